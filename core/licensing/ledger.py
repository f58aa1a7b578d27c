"""The ledger: sessions and the seats they hold. Every operation is one transaction, acknowledged after it.

`Ledger` is the interface that the rest of the house sees; `core.licensing.sqlite_ledger` keeps it in SQLite.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing.licence_key import LicenceKey
from core.licensing.rules import LicenceKind, TakeSeat, UseUal


class Proof(StrEnum):
    """How the PBX user was proven."""

    PASSWORD = "password"  # noqa: S105 - a kind of proof, not a secret
    EMAIL = "email"


class EndCause(StrEnum):
    SIGNED_OUT = "signed-out"
    REVOKED = "revoked"
    TAKEN_OVER = "taken-over"
    SWITCHED = "switched"
    """The Teams user signed in as another PBX user."""


@dataclass(frozen=True, slots=True)
class SessionPerson:
    """The PBX user of a session, as the PBX told at sign-in."""

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
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class OpenSession:
    """What a sign-in wants, after everything that can be checked beforehand was checked."""

    teams_user: TeamsUser
    pbx_id: str
    pbx_name: str
    person: SessionPerson
    licence: UseUal | TakeSeat
    proof: Proof
    take_over: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    session: Session
    ended: tuple[Session, ...]
    """Sessions that ended for this one: taken over, or this Teams user's earlier one."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why sessions end: goes to the audit, to the ended user's tab, and to the bot."""

    cause: EndCause
    actor: str
    reason: str
    now: datetime


class Ledger(Protocol):
    async def open_session(self, wish: OpenSession) -> Opened | Finding:
        """Opens or refreshes a session with its licence. Idempotent per PBX user: a retry never takes two seats."""

    async def end_sessions(
        self, pbx_id: str, session_ids: Sequence[str], ending: Ending
    ) -> tuple[Session, ...]:
        """Ends those that are still there, frees their seats, and returns them."""

    async def record_denial(self, pbx_id: str, who: str, finding: Finding, now: datetime) -> None:
        """Writes a refusal for want of a licence into the audit."""

    async def put_pool(self, pbx_id: str, key: LicenceKey, now: datetime) -> bool:
        """Makes or adjusts the pool of one licence key; False when the key is bound to another PBX."""

    async def withdraw_pools_except(self, pbx_id: str, serials: Sequence[str], now: datetime) -> None:
        """Pools whose key is no longer in the connector's configuration grant nothing any more."""

    async def touch(self, session_id: str, now: datetime) -> None:
        """Notes that the user was seen."""

    async def put_administrator(self, session_id: str, *, is_administrator: bool) -> None:
        """Notes what the PBX said last about the user's administrator permission."""

    async def close(self) -> None: ...
