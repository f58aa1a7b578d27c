"""The ledger: sessions and the seats they hold. Every operation is one transaction, acknowledged after it.

Signing in and out in the ordinary case takes the quick way: many at once, in few statements. Whatever is not
ordinary (a seat reserved, kept or shared out by a waiting list, a session that is there already, an empty pool)
is a script of `core.licensing.transactions`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from core.diagnosis.codes import LicenceReason
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing import quick_postgres, quick_sqlite
from core.licensing.licence_key import LicenceKey
from core.licensing.policy import Policy
from core.licensing.quick import END, OPEN, QuickEnd, QuickOpen
from core.licensing.rules import LicenceKind, TakeSeat
from core.licensing.session import (
    NOTHING_KNOWN,
    Ending,
    Expired,
    ExpiredFacts,
    Opened,
    OpenSession,
    Session,
    UserFacts,
)
from core.licensing.transactions import pools, sessions, sweeping, waiting_list
from core.licensing.transactions.steps import RefusedError
from core.licensing.transactions.sweeping import Swept
from core.store.database import Address
from core.store.moments import new_id
from core.store.script import MakeScript, Writer
from core.store.writing import open_writer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SeatsHeld:
    """So many sessions hold seats of this key."""

    count: int


class Ledger:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @property
    def writer(self) -> Writer:
        """The process's one writer, which others share."""
        return self._writer

    async def open_session(self, wish: OpenSession) -> Opened | Finding:
        """Opens or refreshes a session with its licence. Idempotent per PBX user: a retry never takes two seats."""
        quick = _quick(wish)
        make: MakeScript[Any] = partial(sessions.open_session, wish)
        try:
            if quick is None:
                opened = await self._writer.run(make)
            else:
                opened = await self._writer.run_together(OPEN, quick, make)
        except RefusedError as refused:
            return refused.finding
        if quick is None or isinstance(opened, Opened):
            played: Opened = opened
            return played
        return Opened(quick.session(opened), ())  # the quick way answers with the number of the seat

    async def end_sessions(
        self, pbx_id: str, session_ids: Sequence[str], ending: Ending
    ) -> tuple[Session, ...]:
        """Ends those that are still there, frees their seats, and returns them."""
        return await self._writer.run(lambda: sessions.end_sessions(pbx_id, session_ids, ending))

    async def sign_out(self, session: Session, actor: str, now: datetime) -> Session | None:
        """Ends a session at its user's wish; None when it had ended already."""
        quick = QuickEnd(session, actor, now)
        is_ended = await self._writer.run_together(END, quick, partial(sessions.sign_out, quick))
        return session if is_ended else None

    async def followed(self, pbx_id: str) -> Sequence[int]:
        """The PBX users that are signed in or wait: whose changes matter."""
        return await self._writer.run_small(lambda: sessions.followed(pbx_id))

    async def follow_user(
        self, pbx_id: str, pbx_name: str, facts: UserFacts, now: datetime
    ) -> Session | None:
        """Brings a session in line with what the PBX says now; gives it when something changed."""
        return await self._writer.run(lambda: sessions.follow_user(pbx_id, pbx_name, facts, now))

    async def record_denial(self, wish: OpenSession, finding: Finding) -> None:
        """Writes a refusal for want of a licence down; afterwards the user may join the waiting list."""
        await self._writer.run(lambda: waiting_list.record_denial(wish, finding))

    async def join_waiting_list(self, user: TeamsUser, now: datetime) -> str | Finding:
        """Gives the PBX's id."""
        return await self._refusable(lambda: waiting_list.join_waiting_list(user, now))

    async def leave_waiting_list(self, user: TeamsUser, now: datetime) -> str | None:
        return await self._writer.run(lambda: waiting_list.leave_waiting_list(user, now))

    async def put_pool(self, pbx_id: str, key: LicenceKey, now: datetime) -> bool:
        """Makes or adjusts the pool of one licence key; False when the key is bound to another PBX."""
        return await self._writer.run(lambda: pools.put_pool(pbx_id, key, now))

    async def register_keys(
        self, pbx_id: str, keys: Sequence[LicenceKey], refused: Sequence[LicenceReason], now: datetime
    ) -> Sequence[str]:
        """All licence keys that a connector has; pools of others grant nothing any more. `refused`: why further keys
        were refused already. Gives the serials of those that are bound to another PBX.
        """
        make: MakeScript[Sequence[str]] = partial(pools.register_keys, pbx_id, keys, refused, now)
        return await (self._writer.run(make) if keys else self._writer.run_small(make))

    async def put_policy(
        self, pbx_id: str, pool_id: str, policy: Policy, actor: str, now: datetime
    ) -> Finding | None:
        return await self._refusable(lambda: pools.put_policy(pbx_id, pool_id, policy, actor, now))

    async def release_key(
        self, serial: str, actor: str, now: datetime, *, end_sessions: bool
    ) -> tuple[Session, ...] | SeatsHeld | Finding:
        """Unbinds a licence key from its PBX; ends the sessions that hold its seats only when told to."""
        outcome = await self._refusable(
            lambda: pools.release_key(serial, actor, now, end_sessions=end_sessions)
        )
        return SeatsHeld(outcome) if isinstance(outcome, int) else outcome

    async def touch(self, session_id: str, now: datetime) -> None:
        """Notes that the user was seen."""
        await self._writer.run(lambda: sessions.touch(session_id, now))

    async def put_administrator(self, session_id: str, *, is_administrator: bool) -> None:
        """Notes what the PBX said last about the user's administrator permission."""
        await self._writer.run(
            lambda: sessions.put_administrator(session_id, is_administrator=is_administrator)
        )

    async def due(self, now: datetime) -> Sequence[str]:
        """The PBXs where `sweep` has something to do."""
        return await self._writer.run(lambda: sweeping.due(now))

    async def expired(self, pbx_id: str, now: datetime) -> Expired:
        """Who still holds a seat of an expired key."""
        return await self._writer.run(lambda: sweeping.expired(pbx_id, now))

    async def sweep(self, pbx_id: str, now: datetime, facts: ExpiredFacts = NOTHING_KNOWN) -> Swept:
        """`facts`: what the PBX says of those that `expired` has named."""
        return await self._writer.run(lambda: sweeping.sweep(pbx_id, now, facts))

    async def forget_audit(self, before: datetime) -> None:
        await self._writer.run(lambda: sweeping.forget_audit(before))

    async def close(self) -> None:
        await self._writer.close()

    async def _refusable(self, make: MakeScript[T]) -> T | Finding:
        try:
            return await self._writer.run(make)
        except RefusedError as refused:
            return refused.finding


def open_ledger(address: Address) -> Ledger:
    """The ledger of this database; on PostgreSQL it needs a running event loop."""
    return Ledger(open_writer(address, quick_sqlite.GROUPS, quick_postgres.GROUPS))


def _quick(wish: OpenSession) -> QuickOpen | None:
    """The ordinary sign-in: a licence of one's own, or any seat of the first pool that has one."""
    if wish.take_over:
        return None
    if not isinstance(wish.licence, TakeSeat):
        return QuickOpen(new_id(), wish, LicenceKind.UAL, None)
    choice = next(iter(wish.licence.choices), None)
    if choice is None or choice.reservations:
        return None
    return QuickOpen(new_id(), wish, LicenceKind.FL, choice.pool_id)
