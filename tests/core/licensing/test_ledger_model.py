"""The ledger against a plain model, by random histories, on both databases.

make test                        a short run
python -m tests.proof model      2,000 examples of 50 steps on each database
"""

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.licensing.rules import GRACE, LicenceKind, TakeSeat, UseUal
from core.licensing.session import (
    CallFacts,
    EndCause,
    Ending,
    Opened,
    Proof,
    SessionRequest,
    UserFacts,
)
from core.licensing.transactions.settling import OFFER_LIFETIME
from core.licensing.transactions.trusting import TrustChange
from core.licensing.transactions.waiting_list import REFUSAL_LIFETIME
from core.store.audit import OPERATOR
from core.store.transaction import Transaction, execute
from tests.support.book import ADMIN, NOW, PBX, Book, person
from tests.support.refusals import outcome_of

EXAMPLES = int(os.environ.get("PBX_TEAMS_MODEL_EXAMPLES", "25"))
STEPS = 50
NO_SHRINK = "PBX_TEAMS_MODEL_NO_SHRINK" in os.environ
USERS = st.integers(1, 7)
POOLS = ("S", "T")
TABLES = (
    "trusted_tenant",
    "pinned_identity",
    "waiting",
    "session",
    "session_end",
    "notice",
    "audit",
    "seat",
    "pool",
)


@dataclass
class ModelPool:
    seats: int
    until: datetime
    idle_hours: int | None = None
    withdrawn: bool = False


@dataclass
class Model:
    """What must be true, kept the plainest way: sets of people, no seats at all."""

    pools: dict[str, ModelPool] = field(default_factory=dict)
    ual: set[int] = field(default_factory=set)
    holders: dict[int, str] = field(default_factory=dict)
    refused: dict[int, datetime] = field(default_factory=dict)
    line: list[int] = field(default_factory=list)
    offered: dict[int, tuple[str, datetime]] = field(default_factory=dict)
    trusted: bool = False
    by_email: set[int] = field(default_factory=set)
    """Whose session nothing but trust in the tenant proves."""

    def room(self, serial: str) -> int:
        pool = self.pools[serial]
        held = sum(of == serial for of in self.holders.values())
        kept = sum(of == serial for of, _ in self.offered.values())
        return pool.seats - held - kept


class Machine(RuleBasedStateMachine):
    """Time moves only forward; every operation is checked against the model, every state against invariants."""

    url = ""
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.model = Model()
        self.book = self.do(self._fresh())

    def do(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    async def _fresh(self) -> Book:
        book = await Book(self.url).open(prepare=False)
        async with book.database.writing() as connection:
            for table in TABLES:
                await connection.execute(text(f"DELETE FROM {table}"))
            await connection.execute(text("UPDATE pbx SET installation = 1"))
        return book

    def teardown(self) -> None:
        self.do(self.book.close())

    # --- what people and time do

    @rule(user=USERS)
    def sign_in(self, user: int) -> None:
        opened = self.do(self.book.take(user, now=self.now))
        model = self.model
        if isinstance(opened, Opened):
            model.by_email.discard(user)
        if user in model.holders:
            assert isinstance(opened, Opened)
            self._left_the_line(user)
            return
        mine = model.offered.get(user)
        serials = self._valid()
        first = next((serial for serial in serials if model.room(serial) > 0), None)
        where = mine[0] if mine is not None and mine[0] in serials else first
        if where is None:
            assert isinstance(opened, Finding) and opened.code is Code.NO_LICENCE
            if serials:
                refused = self.do(self.book.deny(user, now=self.now))
                assert refused.evidence["used"] == sum(of in serials for of in model.holders.values())
                if user not in model.line:
                    model.refused[user] = self.now
            return  # who has lost the permission meanwhile keeps their session until the PBX is followed
        assert isinstance(opened, Opened), opened
        assert opened.session.kind is LicenceKind.FL
        assert self._serial(opened.session.pool_id) == where
        model.holders[user] = where
        model.ual.discard(user)
        self._left_the_line(user)

    @rule(user=USERS)
    def sign_in_with_permission(self, user: int) -> None:
        opened = self.do(self.book.take(user, ual=True, now=self.now))
        assert isinstance(opened, Opened) and opened.session.kind is LicenceKind.UAL
        self.model.by_email.discard(user)
        self.model.holders.pop(user, None)
        self.model.ual.add(user)
        self._left_the_line(user)

    @rule(user=USERS)
    def sign_in_by_email(self, user: int) -> None:
        opened = self.do(self.book.take(user, ual=True, proof=Proof.EMAIL, now=self.now))
        model = self.model
        if not model.trusted:
            assert isinstance(opened, Finding) and opened.code is Code.TENANT_NOT_TRUSTED
            return
        assert isinstance(opened, Opened)
        if user not in model.ual and user not in model.holders:
            model.by_email.add(user)
        model.holders.pop(user, None)
        model.ual.add(user)
        self._left_the_line(user)

    @rule(trusted=st.booleans())
    def decide_about_trust(self, *, trusted: bool) -> None:
        change = TrustChange(
            PBX, "tenant", trusted, None, None, ADMIN, False, self.now, self.book.installation
        )
        changed = self.do(self.book.ledger.change_trust(change))
        ended = set() if trusted else set(self.model.by_email)
        assert {session.person.pbx_user_id for session in changed.ended} == ended
        for user in ended:
            self._gone(user)
        self.model.trusted = trusted

    @rule(users=st.sets(USERS), ual=st.booleans(), by_email=st.booleans())
    def hand_over(self, users: set[int], *, ual: bool, by_email: bool) -> None:
        """Hand the name over while users are signing in: proofs from before are invalid afterwards."""
        book, proof = self.book, Proof.EMAIL if by_email else Proof.PASSWORD
        requests = [self.do(book.request(user, ual=ual, proof=proof, now=self.now)) for user in sorted(users)]
        handed, *opened = self.do(self._all_at_once(requests))
        model = self.model
        before = set(model.ual) | set(model.holders)
        came_first = {
            request.person.pbx_user_id
            for request, one in zip(requests, opened, strict=True)
            if isinstance(one, Opened)
        }
        assert {session.person.pbx_user_id for session in handed.ended} == before | came_first
        for one in opened:
            assert isinstance(one, Opened) or one.code in (
                Code.HANDED_OVER, Code.NO_LICENCE, Code.TENANT_NOT_TRUSTED
            )  # fmt: skip
        book.installation += 1
        for request in requests:
            late = self.do(outcome_of(book.ledger.open_session(request)))
            assert isinstance(late, Finding) and late.code is Code.HANDED_OVER
        for kept in (model.ual, model.holders, model.refused, model.line, model.offered, model.by_email):
            kept.clear()
        model.trusted = False
        assert self.do(book.rows("SELECT pbx_user_id FROM waiting")) == []

    async def _all_at_once(self, requests: list[SessionRequest]) -> list[Any]:
        identity = f"identity-{self.book.installation + 1}"
        await self.book.tried_by(identity)
        ledger = self.book.ledger
        return await asyncio.gather(
            ledger.hand_over(PBX, identity, OPERATOR, self.now),
            *(outcome_of(ledger.open_session(request)) for request in requests),
        )

    @rule(user=USERS, revoked=st.booleans())
    def leave(self, user: int, *, revoked: bool) -> None:
        session = self.do(self.book.session_of(user))
        assert (session is not None) == (user in self.model.ual or user in self.model.holders)
        if session is None:
            return
        if revoked:
            ending = Ending(EndCause.REVOKED, ADMIN, "", self.now)
            assert len(self.do(self.book.ledger.end_sessions(PBX, [session.id], ending))) == 1
        else:
            assert self.do(self.book.ledger.sign_out(session, self.now)) is not None
            assert self.do(self.book.ledger.sign_out(session, self.now)) is None
        self._gone(user)

    @rule(user=USERS)
    def lose_permission(self, user: int) -> None:
        choices = self.do(self.book.choices(user, self.now))
        facts = UserFacts(user, person(user), TakeSeat(choices) if choices else None)
        self.do(self.book.ledger.follow_user(PBX, "pbx", facts, self.now))
        if user not in self.model.ual:
            return
        self.model.ual.discard(user)
        where = next((serial for serial in self._valid() if self.model.room(serial) > 0), None)
        if where is not None:
            self.model.holders[user] = where

    @rule(user=USERS)
    def gain_permission(self, user: int) -> None:
        self.do(self.book.ledger.follow_user(PBX, "pbx", UserFacts(user, person(user), UseUal()), self.now))
        if self.model.holders.pop(user, None) is not None:
            self.model.ual.add(user)
        if user not in self.model.ual:
            self._left_the_line(user)

    @rule(user=USERS)
    def vanish(self, user: int) -> None:
        self.do(self.book.ledger.follow_user(PBX, "pbx", UserFacts(user, None), self.now))
        self._gone(user)
        self._left_the_line(user)

    @rule(user=USERS)
    def wait(self, user: int) -> None:
        request = self.do(self.book.request(user, now=self.now))
        joined = self.do(outcome_of(self.book.ledger.join_waiting_list(request.teams_user, self.now)))
        may = user in self.model.line or (
            user in self.model.refused and self.now - self.model.refused[user] <= REFUSAL_LIFETIME
        )
        assert isinstance(joined, str) == may
        if may and user not in self.model.line:
            self.model.line.append(user)
            self.model.refused.pop(user)

    @rule(user=USERS)
    def wait_no_longer(self, user: int) -> None:
        request = self.do(self.book.request(user, now=self.now))
        self.do(self.book.ledger.leave_waiting_list(request.teams_user, self.now))
        self._left_the_line(user)

    @rule(serial=st.sampled_from(POOLS), seats=st.integers(1, 4), days=st.integers(0, 3))
    def put_key(self, serial: str, seats: int, days: int) -> None:
        last = (self.now + timedelta(days=days)).date()
        assert self.do(self.book.put(seats, serial, until=last, now=self.now))
        ends = datetime.combine(last + timedelta(days=1), datetime.min.time(), self.now.tzinfo)
        self.model.pools[serial] = ModelPool(seats, ends)
        # Offers beyond a pool that has shrunk are taken back, the holders keep theirs.
        while self.model.room(serial) < 0 and (kept := self._kept(serial)):
            del self.model.offered[max(kept, key=self.model.line.index)]

    @rule(hours=st.sampled_from((0, 1, 30)), minutes=st.integers(1, 10), without_call=st.sets(USERS))
    def time_passes(self, hours: int, minutes: int, without_call: set[int]) -> None:
        self._sweep_at(self.now + timedelta(hours=hours, minutes=minutes), without_call)

    @rule(minutes=st.integers(0, 59), without_call=st.sets(USERS))
    def keys_expire(self, minutes: int, without_call: set[int]) -> None:
        """Into the hour after a midnight, in which sessions of expired keys end with their calls."""
        midnight = self.now.replace(hour=0, minute=0) + timedelta(days=1)
        self._sweep_at(midnight + timedelta(minutes=minutes), without_call)

    def _sweep_at(self, moment: datetime, without_call: set[int]) -> None:
        self.now = moment
        for pbx_id in self.do(self.book.ledger.list_pbxs_to_sweep(self.now)):
            self.do(self.book.ledger.sweep(pbx_id, self.now, CallFacts(without_call)))
        model = self.model
        for user, (_, until) in list(model.offered.items()):
            if until <= self.now:
                del model.offered[user]
                model.line.remove(user)
        model.refused = {u: at for u, at in model.refused.items() if self.now - at <= REFUSAL_LIFETIME}
        expired = [user for user, serial in model.holders.items() if model.pools[serial].until <= self.now]
        sessions = {user: self.do(self.book.session_of(user)) for user in expired}
        for user, session in sessions.items():
            if session is not None:
                model.holders[user] = self._serial(session.pool_id)
        for user, session in sessions.items():
            pool = model.pools[model.holders[user]]
            is_due = pool.until + GRACE <= self.now or user in without_call
            if session is not None:
                assert pool.until > self.now or not is_due, "outlived its call and its hour"
            else:
                assert is_due, "ended before its hour of grace, in mid-call"
                assert all(model.room(other) <= 0 for other in self._valid()), "had somewhere to go"
                self._gone(user)

    @rule()
    def crash(self) -> None:
        """A process that dies and another that goes on: what was acknowledged is there, nothing else."""

        async def again() -> Book:
            writer = self.book.ledger._writer

            def half() -> Transaction[None]:
                yield from execute("UPDATE seat SET holder = NULL")
                yield from execute("DELETE FROM session")
                raise RuntimeError("killed here")

            with pytest.raises(RuntimeError):
                await writer.run(half)
            await self.book.close()
            opened = await Book(self.url).open(prepare=False)
            opened.installation = self.book.installation
            return opened

        self.book = self.do(again())

    # --- the model's own computation

    def _valid(self) -> list[str]:
        pools = self.do(self.book.overview.pools(PBX))
        return [pool.serial for pool in pools if self.model.pools[pool.serial].until > self.now]

    def _serial(self, pool_id: str | None) -> str:
        return next(pool.serial for pool in self.do(self.book.overview.pools(PBX)) if pool.id == pool_id)

    def _kept(self, serial: str) -> list[int]:
        return [user for user, (of, _) in self.model.offered.items() if of == serial]

    def _gone(self, user: int) -> None:
        self.model.ual.discard(user)
        self.model.holders.pop(user, None)
        self.model.by_email.discard(user)

    def _left_the_line(self, user: int) -> None:
        self.model.refused.pop(user, None)
        self.model.offered.pop(user, None)
        if user in self.model.line:
            self.model.line.remove(user)

    # --- what must hold in every state

    @invariant()
    def nobody_is_lost_and_nothing_is_oversold(self) -> None:
        rows = self.do(
            self.book.rows(
                "SELECT pool.serial, number, holder, kept_for, retired, kept_until, valid_until"
                " FROM seat JOIN pool ON pool.id = pool_id"
            )
        )
        sessions = self.do(
            self.book.rows(
                "SELECT pbx_user_id, licence_kind, serial, seat_number FROM session"
                " LEFT JOIN pool ON pool.id = pool_id"
            )
        )
        model = self.model
        held = {holder: (serial, number) for serial, number, holder, *_ in rows if holder is not None}
        assert held == {user: (serial, number) for user, kind, serial, number in sessions if kind == "FL"}
        assert {user for user, kind, *_ in sessions if kind == "UAL"} == model.ual
        assert {user: serial for user, (serial, _) in held.items()} == model.holders
        granted: defaultdict[str, int] = defaultdict(int)
        for serial, _, holder, kept_for, retired, *_ in rows:
            granted[serial] += not retired
            assert holder is None or kept_for is None
            assert not (retired and kept_for is not None)
            if retired and holder is not None:  # a surplus: then nothing of this pool is free
                assert not any(other[0] == serial and other[2] is None and not other[4] for other in rows), (
                    "free beside a surplus"
                )
        assert all(granted[serial] == pool.seats for serial, pool in model.pools.items())

        waiting = self.do(
            self.book.rows(
                "SELECT pbx_user_id, offered_at FROM waiting WHERE joined_at IS NOT NULL"
                " ORDER BY joined_at, pbx_user_id"
            )
        )
        assert {user for user, _ in waiting} == set(model.line)
        offers = {
            kept_for: (serial, NOW.fromtimestamp(until / 1000, NOW.tzinfo))
            for serial, _, _, kept_for, _, until, _ in rows
            if kept_for is not None
        }
        assert {user for user, offered_at in waiting if offered_at is not None} == set(offers)
        for user, (_, until) in offers.items():
            assert user in model.line and until <= self.now + OFFER_LIFETIME
        # First come, first served: anyone who has no offer has come later than all who have, or no seat is free.
        without = [user for user, offered_at in waiting if offered_at is None]
        valid = set(self._valid())
        free = [row for row in rows if row[0] in valid and row[2] is None and not row[4] and row[3] is None]
        assert not (without and free), "a seat is free, and somebody who waits has not been offered it"
        model.offered = offers

    @invariant()
    def the_audit_tells_the_whole_story(self) -> None:
        (granted,), (ended,) = self.do(
            self.book.rows(
                "SELECT count(*) FROM audit WHERE kind = 'granted' UNION ALL"
                " SELECT count(*) FROM audit WHERE kind = 'ended'"
            )
        )
        assert granted - ended == len(self.model.ual) + len(self.model.holders)


def run_model(url: str, examples: int) -> None:
    loop = asyncio.new_event_loop()

    async def prepare() -> None:
        await (await Book(url).open()).close()

    loop.run_until_complete(prepare())
    machine = type("LedgerMachine", (Machine,), {"url": url, "loop": loop})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
                phases=(Phase.generate,) if NO_SHRINK else tuple(Phase),
            ),
        )
    finally:
        loop.close()


def test_the_ledger_is_what_the_model_says(database_url: str) -> None:
    run_model(database_url, EXAMPLES)
