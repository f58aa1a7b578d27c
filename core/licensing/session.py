"""Sessions: a Teams user tied to a PBX user, with a licence; and what starts and ends one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.identity.teams_user import TeamsUser
from core.licensing.rules import Grant, LicenceKind, TakeSeat, UseUal
from core.store.audit import Actor
from core.store.timestamps import from_ms
from core.store.transaction import Row


class Proof(StrEnum):
    """How the person proved to be the PBX user."""

    PASSWORD = "password"  # noqa: S105 - a kind of proof, not a secret
    EMAIL = "email"


class EndCause(StrEnum):
    """Why a session ended."""

    SIGNED_OUT = "signed-out"
    SWITCHED = "switched"
    """The Teams user signed in as another PBX user."""
    REVOKED = "revoked"
    TAKEN_OVER = "taken-over"
    LICENCE_LOST = "licence-lost"
    """The PBX user lost the user-assigned licence, and no seat was free."""
    USER_GONE = "user-gone"
    IDLE = "idle"
    EXPIRED = "licence-expired"
    TOO_OLD = "session-too-old"
    """The session reached the maximum age that the operator has set; the user was warned before."""
    HANDED_OVER = "handed-over"
    """The PBX name was handed over to another installation, which ends everything the earlier one vouched for."""
    TRUST_WITHDRAWN = "trust-withdrawn"
    """The session was proven by e-mail, and the PBX no longer trusts that tenant."""


NOTIFIED_CAUSES: Final = frozenset(EndCause) - {EndCause.SIGNED_OUT, EndCause.SWITCHED}
"""Causes that the user did not choose. The user is notified, in the tab and by the bot."""


@dataclass(frozen=True, slots=True)
class SessionPerson:
    """The PBX user of a session, as the PBX last reported it."""

    pbx_user_id: int
    login: str
    display_name: str
    email: str
    is_administrator: bool


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    teams_user: TeamsUser
    pbx_id: str
    person: SessionPerson
    kind: LicenceKind
    pool_id: str | None
    seat_number: int | None
    proof: Proof
    started_at: datetime
    licence_since: datetime
    """Since when the session holds this licence; the session itself may be older."""
    last_seen_at: datetime
    installation: int = 1
    """The number of the PBX's installation that vouched for the user."""

    @property
    def may_administer(self) -> bool:
        """Whether the user may administer, as last reported by the PBX. A sign-in by e-mail never makes an
        administrator.
        """
        return self.person.is_administrator and self.proof is Proof.PASSWORD

    @property
    def actor(self) -> Actor:
        """The session's user as the actor of an audit row."""
        return self.teams_user.acting_as(self.person.pbx_user_id, self.person.display_name)


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """A sign-in that has passed all checks that can be made before the transaction."""

    teams_user: TeamsUser
    pbx_id: str
    pbx_name: str
    person: SessionPerson
    licence: Grant
    proof: Proof
    take_over: bool
    now: datetime
    group_ids: tuple[int, ...] = ()
    """Ids of the user's PBX groups; stored with a place on the waiting list."""
    installation: int = 1
    """Number of the PBX installation that vouched for the user. The transaction refuses if it has changed since."""
    is_keyless: bool = False
    """Proven by e-mail, without the PBX key."""
    renews_pin: bool = False
    """Proven by password, while the PBX user is pinned to another Teams identity, to none, or only by e-mail."""

    @property
    def actor(self) -> Actor:
        """The person who signs in, as the actor of an audit row."""
        return self.teams_user.acting_as(self.person.pbx_user_id, self.person.display_name)


@dataclass(frozen=True, slots=True)
class Opened:
    """The result of a sign-in."""

    session: Session
    ended: tuple[Session, ...]
    """Sessions that this one replaced: a session that was taken over, and the Teams user's earlier session."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why sessions end. It appears in the audit, in the user's tab, and in the bot's message."""

    cause: EndCause
    actor: Actor
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True)
class UserFacts:
    """What the PBX reports about a user, and the licence that follows from it. `person` None: the user is gone."""

    pbx_user_id: int
    person: SessionPerson | None
    licence: UseUal | TakeSeat | None = None


@dataclass(frozen=True, slots=True)
class ExpiredHolders:
    """PBX users whose session ends with their call: the key expired, or the session is too old."""

    user_ids: tuple[int, ...]
    groups_matter: bool
    """Whether their PBX groups must be read: another pool has room, and its rules name groups."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What the PBX reports about `ExpiredHolders`. Empty while the PBX was not asked or does not answer."""

    without_call: Collection[int] = ()
    """Ids of PBX users who certainly have no call now."""
    groups: Mapping[int, Collection[int]] = field(default_factory=dict)
    """Maps a PBX user id to the ids of the user's groups."""


NO_CALL_FACTS: Final = CallFacts()


SESSION_COLUMNS: Final = (
    "id, tenant_id, object_id, teams_name, pbx_id, pbx_user_id, pbx_login, display_name, email,"
    " is_administrator, licence_kind, pool_id, seat_number, proof, started_at, licence_since, last_seen_at,"
    " installation"
)


def to_session(row: Row) -> Session:
    """Make a session from a row of the table `session` (`SESSION_COLUMNS`)."""
    return Session(
        id=row["id"],
        teams_user=TeamsUser(row["tenant_id"], row["object_id"], row["teams_name"]),
        pbx_id=row["pbx_id"],
        person=SessionPerson(
            pbx_user_id=row["pbx_user_id"],
            login=row["pbx_login"],
            display_name=row["display_name"],
            email=row["email"],
            is_administrator=bool(row["is_administrator"]),
        ),
        kind=LicenceKind(row["licence_kind"]),
        pool_id=row["pool_id"],
        seat_number=row["seat_number"],
        proof=Proof(row["proof"]),
        started_at=from_ms(row["started_at"]),
        licence_since=from_ms(row["licence_since"]),
        last_seen_at=from_ms(row["last_seen_at"]),
        installation=row["installation"],
    )
