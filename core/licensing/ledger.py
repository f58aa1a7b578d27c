"""The ledger: sessions and the seats they hold. Every operation is one transaction, acknowledged after it.

Ordinary sign-ins and sign-outs are batched: many at once, in few statements (core.licensing.batched). Everything else
(a seat that is reserved or offered to somebody on the waiting list, an existing session, an empty pool) is a transaction
of its own (core.licensing.transactions).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from core.diagnosis.codes import LicenceReason
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing import batched_postgres, batched_sqlite
from core.licensing.batched import END, OPEN, BatchedSignIn, BatchedSignOut
from core.licensing.licence_key import LicenceKey
from core.licensing.policy import Policy
from core.licensing.rules import LicenceKind, TakeSeat, UseUal
from core.licensing.session import (
    NO_CALL_FACTS,
    CallFacts,
    Ending,
    ExpiredHolders,
    Opened,
    Proof,
    Session,
    SessionRequest,
    UserFacts,
)
from core.licensing.transactions import (
    ageing,
    handing_over,
    pools,
    sessions,
    sweeping,
    trusting,
    waiting_list,
)
from core.licensing.transactions.ageing import SessionAge
from core.licensing.transactions.handing_over import HandedOver
from core.licensing.transactions.steps import RefusedError
from core.licensing.transactions.sweeping import SweepResult
from core.licensing.transactions.trusting import TrustChange, TrustChanged
from core.store.audit import Actor
from core.store.database import Address
from core.store.timestamps import new_id
from core.store.transaction import TransactionFactory, Writer
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

    async def open_session(self, request: SessionRequest) -> Opened | Finding:
        """Opens or refreshes a session with its licence. Idempotent per PBX user: a retry never takes two seats."""
        batched = _batched(request)
        make: TransactionFactory[Any] = partial(sessions.open_session, request)
        try:
            if batched is None:
                opened = await self._writer.run(make)
            else:
                opened = await self._writer.run_together(OPEN, batched, make)
        except RefusedError as refused:
            return refused.finding
        if batched is None or isinstance(opened, Opened):
            result: Opened = opened
            return result
        return Opened(batched.session(opened), ())  # the batched path gives the seat number

    async def end_sessions(
        self, pbx_id: str, session_ids: Sequence[str], ending: Ending
    ) -> tuple[Session, ...]:
        """Ends the sessions that still exist, frees their seats, and returns them."""
        return await self._writer.run(lambda: sessions.end_sessions(pbx_id, session_ids, ending))

    async def sign_out(self, session: Session, now: datetime) -> Session | None:
        """Ends a session because its user signs out; None when it had ended already."""
        batched = BatchedSignOut(session, now)
        is_ended = await self._writer.run_together(END, batched, partial(sessions.sign_out, batched))
        return session if is_ended else None

    async def followed(self, pbx_id: str) -> Sequence[int]:
        """The PBX users who are signed in or on the waiting list."""
        return await self._writer.run_small(lambda: sessions.followed(pbx_id))

    async def follow_user(
        self, pbx_id: str, pbx_name: str, facts: UserFacts, now: datetime, epoch: int | None = None
    ) -> Session | None:
        """Updates a session to what the PBX says now; returns it when something changed. `epoch`: of the link that
        reported it.
        """
        return await self._writer.run(
            lambda: sessions.follow_user(pbx_id=pbx_id, pbx_name=pbx_name, facts=facts, now=now, epoch=epoch)
        )

    async def record_denial(self, request: SessionRequest, finding: Finding) -> Finding | None:
        """Records a sign-in that was denied because no licence is available; the user may then join the waiting list.
        Returns a better reason, and records nothing, when the PBX's installation or the trust has changed meanwhile.
        """
        return await self._refusable(lambda: waiting_list.record_denial(request, finding))

    async def join_waiting_list(self, user: TeamsUser, now: datetime) -> str | Finding:
        """Returns the PBX's id."""
        return await self._refusable(lambda: waiting_list.join_waiting_list(user, now))

    async def leave_waiting_list(self, user: TeamsUser, now: datetime) -> str | None:
        return await self._writer.run(lambda: waiting_list.leave_waiting_list(user, now))

    async def put_pool(self, pbx_id: str, key: LicenceKey, now: datetime) -> bool:
        """Makes or adjusts the pool of one licence key; False when the key is bound to another PBX."""
        return await self._writer.run(lambda: pools.put_pool(pbx_id, key, now))

    async def register_keys(
        self,
        pbx_id: str,
        keys: Sequence[LicenceKey],
        refused: Sequence[LicenceReason],
        now: datetime,
        epoch: int | None = None,
    ) -> Sequence[str]:
        """All licence keys that a connector has; pools of other keys grant nothing from now on. `refused`: why further
        keys were refused already. Returns the serials of keys that are bound to another PBX.
        """
        make: TransactionFactory[Sequence[str]] = partial(
            pools.register_keys, pbx_id, keys, refused, now, epoch
        )
        return await (self._writer.run(make) if keys else self._writer.run_small(make))

    async def put_policy(
        self,
        pbx_id: str,
        pool_id: str,
        policy: Policy,
        actor: Actor,
        now: datetime,
        installation: int | None = None,
    ) -> Finding | None:
        return await self._refusable(
            lambda: pools.put_policy(
                pbx_id=pbx_id, pool_id=pool_id, policy=policy, actor=actor, now=now, installation=installation
            )
        )

    async def change_trust(self, change: TrustChange) -> TrustChanged | Finding:
        """Trusts a Microsoft tenant, changes how its people come in, or ends all that."""
        return await self._refusable(lambda: trusting.change_trust(change))

    async def approve_entry(
        self, pbx_id: str, tenant_id: str, actor: Actor, now: datetime, *, over_others: bool
    ) -> str | None:
        """Gives the id of the PBX that is no longer the tenant's main one."""
        return await self._writer.run(
            lambda: trusting.approve_entry(
                pbx_id=pbx_id, tenant_id=tenant_id, actor=actor, now=now, over_others=over_others
            )
        )

    async def end_approval(self, pbx_id: str, tenant_id: str, actor: Actor, now: datetime) -> bool:
        """Whether there was one."""
        return await self._writer.run(
            lambda: trusting.end_approval(pbx_id=pbx_id, tenant_id=tenant_id, actor=actor, now=now)
        )

    async def hand_over(
        self, pbx_id: str, identity: str, actor: Actor, now: datetime, installation: int | None = None
    ) -> HandedOver | None:
        """Binds the name to an identity that has tried it, and ends what the earlier one vouched for. None when there is
        no such claim (any more).
        """
        return await self._writer.run(
            lambda: handing_over.hand_over(
                pbx_id=pbx_id, identity=identity, actor=actor, now=now, installation=installation
            )
        )

    async def release_key(
        self, serial: str, actor: Actor, now: datetime, *, end_sessions: bool
    ) -> tuple[Session, ...] | SeatsHeld | Finding:
        """Unbinds a licence key from its PBX. Ends the sessions that hold its seats only with `end_sessions`."""
        outcome = await self._refusable(
            lambda: pools.release_key(serial, actor, now, end_sessions=end_sessions)
        )
        return SeatsHeld(outcome) if isinstance(outcome, int) else outcome

    async def touch(self, session_id: str, now: datetime) -> None:
        """Notes that the user was seen."""
        await self._writer.run_small(lambda: sessions.touch(session_id, now))

    async def put_administrator(self, session_id: str, *, is_administrator: bool) -> None:
        """Notes what the PBX said last about the user's administrator permission."""
        await self._writer.run(
            lambda: sessions.put_administrator(session_id, is_administrator=is_administrator)
        )

    async def due(self, now: datetime, age: SessionAge | None = None) -> Sequence[str]:
        """The PBXs where `sweep` has something to do. `age`: how old a session may become."""
        return await self._writer.run(lambda: sweeping.due(now, age))

    async def expired(self, pbx_id: str, now: datetime, age: SessionAge | None = None) -> ExpiredHolders:
        """Who still holds a seat of an expired key, and whose session is too old."""
        return await self._writer.run(lambda: sweeping.expired(pbx_id, now, age))

    async def sweep(
        self,
        pbx_id: str,
        now: datetime,
        facts: CallFacts = NO_CALL_FACTS,
        age: SessionAge | None = None,
    ) -> SweepResult:
        """`facts`: what the PBX says of those that `expired` has named."""
        return await self._writer.run(lambda: sweeping.sweep(pbx_id=pbx_id, now=now, facts=facts, age=age))

    async def forget_ends(self, now: datetime, age: SessionAge | None) -> None:
        """Forgets the ends of sessions that were told under another age."""
        await self._writer.run(lambda: ageing.forget_ends(age, now))

    async def close(self) -> None:
        await self._writer.close()

    async def _refusable(self, make: TransactionFactory[T]) -> T | Finding:
        try:
            return await self._writer.run(make)
        except RefusedError as refused:
            return refused.finding


def open_ledger(address: Address) -> Ledger:
    """The ledger of this database; on PostgreSQL it needs a running event loop."""
    return Ledger(open_writer(address, batched_sqlite.GROUPS, batched_postgres.GROUPS))


def _batched(request: SessionRequest) -> BatchedSignIn | None:
    """The request as an ordinary sign-in (a user-assigned licence, or any free seat of the first pool), or None."""
    if request.take_over or request.proof is Proof.EMAIL or request.renews_pin:
        return None
    if not isinstance(request.licence, TakeSeat):
        kind = LicenceKind.UAL if isinstance(request.licence, UseUal) else LicenceKind.ADMINISTRATION
        return BatchedSignIn(session_id=new_id(), request=request, kind=kind, pool_id=None)
    choice = next(iter(request.licence.choices), None)
    if choice is None or choice.reservations:
        return None
    return BatchedSignIn(session_id=new_id(), request=request, kind=LicenceKind.FL, pool_id=choice.pool_id)
