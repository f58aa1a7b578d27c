"""Sessions: a Teams user tied to a PBX user, with the licence it holds; and how one begins and ends."""

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
    """How the PBX user was proven."""

    PASSWORD = "password"  # noqa: S105 - a kind of proof, not a secret
    EMAIL = "email"


class EndCause(StrEnum):
    SIGNED_OUT = "signed-out"
    SWITCHED = "switched"
    """The Teams user signed in as another PBX user."""
    REVOKED = "revoked"
    TAKEN_OVER = "taken-over"
    LICENCE_LOST = "licence-lost"
    """The PBX user lost the permission, and no seat was free."""
    USER_GONE = "user-gone"
    IDLE = "idle"
    EXPIRED = "licence-expired"
    TOO_OLD = "session-too-old"
    """As old as the operator lets a session become; the person was told beforehand."""
    HANDED_OVER = "handed-over"
    """The PBX's name went to another installation: what the earlier one vouched for ends with it."""
    TRUST_WITHDRAWN = "trust-withdrawn"
    """It was proven by e-mail, and the PBX no longer trusts that tenant."""


TOLD: Final = frozenset(EndCause) - {EndCause.SIGNED_OUT, EndCause.SWITCHED}
"""Causes that the user did not choose: they are told, in the tab and by the bot."""


@dataclass(frozen=True, slots=True)
class SessionPerson:
    """The PBX user of a session, as the PBX told last."""

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
    """Since when it holds this licence; the session itself may be older."""
    last_seen_at: datetime
    installation: int = 1
    """The number of the PBX's installation that vouched for the user."""

    @property
    def may_administer(self) -> bool:
        """As far as the PBX said last; an e-mail address alone never makes an administrator."""
        return self.person.is_administrator and self.proof is Proof.PASSWORD

    @property
    def actor(self) -> Actor:
        """The session's user, for the audit of what they do."""
        return self.teams_user.acting_as(self.person.pbx_user_id, self.person.display_name)


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a sign-in wants, after everything that can be checked beforehand was checked."""

    teams_user: TeamsUser
    pbx_id: str
    pbx_name: str
    person: SessionPerson
    licence: Grant
    proof: Proof
    take_over: bool
    now: datetime
    group_ids: tuple[int, ...] = ()
    """The PBX groups of the user: kept with a place on the waiting list."""
    installation: int = 1
    """The number of the PBX's installation that was asked: when it is another by now, its answer does not count."""
    is_keyless: bool = False
    """By e-mail, and without the PBX key."""
    renews_pin: bool = False
    """By password, and the PBX user was not pinned to this Teams identity a moment ago, or by e-mail alone."""

    @property
    def actor(self) -> Actor:
        return self.teams_user.acting_as(self.person.pbx_user_id, self.person.display_name)


@dataclass(frozen=True, slots=True)
class Opened:
    session: Session
    ended: tuple[Session, ...]
    """Sessions that ended for this one: taken over, or this Teams user's earlier one."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why sessions end: goes to the audit, to the ended user's tab, and to the bot."""

    cause: EndCause
    actor: Actor
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True)
class UserFacts:
    """What the PBX says now of a user, and the licence that follows from it. `person` None: there is no such user."""

    pbx_user_id: int
    person: SessionPerson | None
    licence: UseUal | TakeSeat | None = None


@dataclass(frozen=True, slots=True)
class ExpiredHolders:
    """Who still holds a seat of an expired key."""

    user_ids: tuple[int, ...]
    groups_matter: bool
    """Another key has room, and who may have a seat of it depends on PBX groups."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What the PBX says now of those: nothing, as long as it has not been asked or does not answer."""

    without_call: Collection[int] = ()
    """They have no call now."""
    groups: Mapping[int, Collection[int]] = field(default_factory=dict)
    """User to the ids of their groups."""


NO_CALL_FACTS: Final = CallFacts()


SESSION_COLUMNS: Final = (
    "id, tenant_id, object_id, teams_name, pbx_id, pbx_user_id, pbx_login, display_name, email,"
    " is_administrator, licence_kind, pool_id, seat_number, proof, started_at, licence_since, last_seen_at,"
    " installation"
)


def to_session(row: Row) -> Session:
    """From a row of the table `session`."""
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
