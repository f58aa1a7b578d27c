"""The ledger: sessions and the seats they hold. Every method is one transaction and returns after the commit.

A method that refuses raises `TransactionRefusedError`; its transaction has then changed nothing.

Ordinary sign-ins and sign-outs are batched: many of them share a few statements (core.licensing.batched). Everything
else runs as a transaction of its own (core.licensing.transactions): a reserved or offered seat, an existing session,
an empty pool. The functions there describe arguments and results in full.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

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
from core.licensing.transactions.sweeping import SweepResult
from core.licensing.transactions.trusting import TrustChange, TrustChanged
from core.store.audit import Actor
from core.store.database import Address
from core.store.timestamps import new_id
from core.store.transaction import TransactionFactory, Writer
from core.store.writing import open_writer


class Ledger:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @property
    def writer(self) -> Writer:
        """The only writer of this process; other stores share it."""
        return self._writer

    async def open_session(self, request: SessionRequest) -> Opened:
        """Open or refresh a session with its licence. Idempotent for each PBX user: a retry never takes a second
        seat.
        """
        batched = _batched(request)
        make: TransactionFactory[Any] = partial(sessions.open_session, request)
        if batched is None:
            opened = await self._writer.run(make)
        else:
            opened = await self._writer.run_together(OPEN, batched, make)
        if batched is None or isinstance(opened, Opened):
            result: Opened = opened
            return result
        return Opened(batched.session(opened), ())  # the batched path returns the seat number

    async def end_sessions(
        self, pbx_id: str, session_ids: Sequence[str], ending: Ending
    ) -> tuple[Session, ...]:
        """End the sessions that still exist, free their seats, and return them."""
        return await self._writer.run(lambda: sessions.end_sessions(pbx_id, session_ids, ending))

    async def sign_out(self, session: Session, now: datetime) -> Session | None:
        """End a session because its user signs out; return None if it had ended already."""
        batched = BatchedSignOut(session, now)
        is_ended = await self._writer.run_together(END, batched, partial(sessions.sign_out, batched))
        return session if is_ended else None

    async def list_followed_user_ids(self, pbx_id: str) -> Sequence[int]:
        """Return the ids of PBX users who are signed in or on the waiting list."""
        return await self._writer.run_small(lambda: sessions.list_followed_user_ids(pbx_id))

    async def follow_user(
        self, pbx_id: str, pbx_name: str, facts: UserFacts, now: datetime, epoch: int | None = None
    ) -> Session | None:
        """Bring a session in line with what the PBX reports; return it when it changed or ended.

        `epoch` is the epoch of the link that reported the facts; a link that has been replaced changes nothing.
        """
        return await self._writer.run(
            lambda: sessions.follow_user(pbx_id=pbx_id, pbx_name=pbx_name, facts=facts, now=now, epoch=epoch)
        )

    async def record_denial(self, request: SessionRequest, finding: Finding) -> None:
        """Record a sign-in that was denied because no licence is available; the user may then join the waiting list.

        If the PBX's installation or the trust has changed in the meantime, record nothing and raise that as the
        reason.
        """
        await self._writer.run(lambda: waiting_list.record_denial(request, finding))

    async def join_waiting_list(self, user: TeamsUser, now: datetime) -> str:
        """Put the user on the waiting list of the PBX that refused them last; return the PBX's id. Idempotent."""
        return await self._writer.run(lambda: waiting_list.join_waiting_list(user, now))

    async def leave_waiting_list(self, user: TeamsUser, now: datetime) -> str | None:
        """Remove the user from the waiting list; return the PBX's id, or None when the user was not on a list."""
        return await self._writer.run(lambda: waiting_list.leave_waiting_list(user, now))

    async def put_pool(self, pbx_id: str, key: LicenceKey, now: datetime) -> bool:
        """Create or update the pool of one licence key; return False when the key is bound to another PBX."""
        return await self._writer.run(lambda: pools.put_pool(pbx_id, key, now))

    async def register_keys(
        self,
        pbx_id: str,
        keys: Sequence[LicenceKey],
        refused: Sequence[LicenceReason],
        now: datetime,
        epoch: int | None = None,
    ) -> Sequence[str]:
        """Make the PBX's pools match all licence keys of its connector; withdraw the pools of other keys.

        `refused` are the reasons why further keys were refused. Return the serials of keys that are bound to another
        PBX.
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
    ) -> None:
        """Replace the rules of a pool. `installation`: the one under which the actor is an administrator."""
        await self._writer.run(
            lambda: pools.put_policy(
                pbx_id=pbx_id, pool_id=pool_id, policy=policy, actor=actor, now=now, installation=installation
            )
        )

    async def change_trust(self, change: TrustChange) -> TrustChanged:
        """Trust a Microsoft tenant, change how its members sign in, or withdraw the trust. Idempotent."""
        return await self._writer.run(lambda: trusting.change_trust(change))

    async def approve_entry(
        self, pbx_id: str, tenant_id: str, actor: Actor, now: datetime, *, over_others: bool
    ) -> str | None:
        """Let the PBX admit the tenant's members without a key, by the operator's approval.

        Return the id of the PBX that has lost its role as the tenant's main PBX (only with `over_others`), or None.
        """
        return await self._writer.run(
            lambda: trusting.approve_entry(
                pbx_id=pbx_id, tenant_id=tenant_id, actor=actor, now=now, over_others=over_others
            )
        )

    async def end_approval(self, pbx_id: str, tenant_id: str, actor: Actor, now: datetime) -> bool:
        """Withdraw the operator's approval; return whether there was one."""
        return await self._writer.run(
            lambda: trusting.end_approval(pbx_id=pbx_id, tenant_id=tenant_id, actor=actor, now=now)
        )

    async def hand_over(
        self, pbx_id: str, identity: str, actor: Actor, now: datetime, installation: int | None = None
    ) -> HandedOver | None:
        """Bind the name to an identity that has claimed it, and end what the earlier one vouched for.

        Return None when there is no such claim, or no longer.
        """
        return await self._writer.run(
            lambda: handing_over.hand_over(
                pbx_id=pbx_id, identity=identity, actor=actor, now=now, installation=installation
            )
        )

    async def release_key(
        self, serial: str, actor: Actor, now: datetime, *, end_sessions: bool
    ) -> tuple[Session, ...]:
        """Unbind a licence key from its PBX; return the sessions that ended.

        With `end_sessions`, sessions that hold its seats end. Without it, they prevent the release: raises
        `SeatsHeldError`.
        """
        return await self._writer.run(
            lambda: pools.release_key(serial, actor, now, end_sessions=end_sessions)
        )

    async def touch(self, session_id: str, now: datetime) -> None:
        """Note that the session's user was active at `now`."""
        await self._writer.run_small(lambda: sessions.touch(session_id, now))

    async def put_administrator(self, session_id: str, *, is_administrator: bool) -> None:
        """Store whether the session's PBX user has the PBX's administrator permission."""
        await self._writer.run(
            lambda: sessions.put_administrator(session_id, is_administrator=is_administrator)
        )

    async def list_pbxs_to_sweep(self, now: datetime, age: SessionAge | None = None) -> Sequence[str]:
        """Return the ids of PBXs where `sweep` has something to do. `age` None: sessions have no maximum age."""
        return await self._writer.run(lambda: sweeping.list_pbxs_to_sweep(now, age))

    async def list_expired_holders(
        self, pbx_id: str, now: datetime, age: SessionAge | None = None
    ) -> ExpiredHolders:
        """Return who still holds a seat of an expired key, or has a session that is too old."""
        return await self._writer.run(lambda: sweeping.list_expired_holders(pbx_id, now, age))

    async def sweep(
        self,
        pbx_id: str,
        now: datetime,
        facts: CallFacts = NO_CALL_FACTS,
        age: SessionAge | None = None,
    ) -> SweepResult:
        """Clean up one PBX; return what changed. `facts`: what the PBX reports about the users that
        `list_expired_holders` returned.
        """
        return await self._writer.run(lambda: sweeping.sweep(pbx_id=pbx_id, now=now, facts=facts, age=age))

    async def withdraw_warnings(self, now: datetime, age: SessionAge | None) -> None:
        """Withdraw the warnings that no longer apply after a change of the maximum age (None: no limit)."""
        await self._writer.run(lambda: ageing.withdraw_warnings(age, now))

    async def close(self) -> None:
        await self._writer.close()


def open_ledger(address: Address) -> Ledger:
    """Open the ledger of this database. PostgreSQL needs a running event loop."""
    return Ledger(open_writer(address, batched_sqlite.GROUPS, batched_postgres.GROUPS))


def _batched(request: SessionRequest) -> BatchedSignIn | None:
    """Return the request for the batched path, or None when it needs a transaction.

    The batched path serves a user-assigned licence, no licence (administration), or any free seat of the first pool.
    """
    if request.take_over or request.proof is Proof.EMAIL or request.renews_pin:
        return None
    if not isinstance(request.licence, TakeSeat):
        kind = LicenceKind.UAL if isinstance(request.licence, UseUal) else LicenceKind.ADMINISTRATION
        return BatchedSignIn(session_id=new_id(), request=request, kind=kind, pool_id=None)
    choice = next(iter(request.licence.choices), None)
    if choice is None or choice.reservations:
        return None
    return BatchedSignIn(session_id=new_id(), request=request, kind=LicenceKind.FL, pool_id=choice.pool_id)
