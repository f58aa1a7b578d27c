"""Three weeks of history for the demonstration, so that its pages have content.

    python -m infra.showcase.history --database-url URL --pbx-name NAME

`make run` calls this for the PBX of the demonstration, whose users are `simulator.colleagues`. The company's working
days are played through the service's own ledger with a clock that this module sets: people sign in and out, are refused
when all seats are taken, wait, and have their licence revoked. Nothing in the service knows of this module.

A later start adds the days since the last one. At the end some colleagues are signed in, and three seats are free (with
few seats all of them), so that the demo people can sign in.
"""

import argparse
import asyncio
import heapq
import itertools
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from random import Random
from typing import Final

from core.diagnosis.finding import RefusedError
from core.hub.claims import LinkEventKind
from core.hub.registry import Pbx, Registry
from core.identity.teams_user import TeamsUser
from core.licensing.ledger import Ledger, open_ledger
from core.licensing.policy import Policy
from core.licensing.rules import SeatChoice, TakeSeat, UseUal
from core.licensing.session import (
    SESSION_COLUMNS,
    EndCause,
    Ending,
    Proof,
    Session,
    SessionPerson,
    SessionRequest,
    to_session,
)
from core.signin.preferences import PreferenceStore
from core.store.audit import Actor, AuditKind, audit
from core.store.database import Database
from core.store.timestamps import from_ms, now, to_ms
from core.store.transaction import Transaction, execute
from simulator.colleagues import COLLEAGUES, FIRST_USER_ID, Colleague
from simulator.people import PEOPLE, TENANT_ID

WEEKS: Final = 3
FREE_SEATS: Final = 3
"""Seats that the colleagues leave to the demo people."""
PRESENT: Final = timedelta(minutes=160)
"""How long ago the first of those who are present signed in."""
JOINS_AFTER: Final = timedelta(minutes=1)
TRIES_AGAIN_AFTER: Final = timedelta(minutes=2)
GIVES_UP_AFTER: Final = timedelta(minutes=50)
WEEKEND_CREW: Final = 3
ATTENDANCE: Final = 0.72
"""Share of the other people who need a licence on a working day."""
REVOKED_ON: Final = 2
"""The weekday (Wednesday) on which the administrator takes back a licence."""
REASONS: Final = ("Urlaub bis Montag", "On leave until Monday", "Bitte melden Sie sich nur bei Bedarf an")

_ANNA, _BEN, _CLARA = PEOPLE
_CLARA_USER_ID: Final = FIRST_USER_ID - 1


@dataclass(order=True)
class _Event:
    at: datetime
    number: int
    happen: Callable[[datetime], Awaitable[None]] = field(compare=False)


class Company:
    """The colleagues of one PBX, who sign in and out at the times of a clock that is set."""

    def __init__(self, ledger: Ledger, pbx: Pbx, pool_id: str, seats: int) -> None:
        self._ledger = ledger
        self._pbx = pbx
        self._pool_id = pool_id
        self._seats = seats
        self._events: list[_Event] = []
        self._numbers = itertools.count()
        self._sessions: dict[int, Session] = {}
        """Open sessions by PBX user id."""
        self._waiting: dict[int, datetime] = {}
        """Since when somebody waits, by PBX user id."""
        self.administrator = Actor.person(
            tenant_id=TENANT_ID, object_id=_CLARA.object_id, pbx_user_id=_CLARA_USER_ID, name=_CLARA.name
        )
        floating = [one for one in COLLEAGUES if not one.has_user_licence]
        # With few seats there are fewer people, so that the history is not made of refusals.
        self.floating: Sequence[Colleague] = floating[: max(2, 2 * seats)]

    def resume(self, sessions: Iterable[Session]) -> None:
        """Take over the sessions that an earlier run has left open."""
        self._sessions = {session.person.pbx_user_id: session for session in sessions}

    def at(self, moment: datetime, happen: Callable[[datetime], Awaitable[None]]) -> None:
        heapq.heappush(self._events, _Event(moment, next(self._numbers), happen))

    async def play(self) -> None:
        """Let everything happen that is planned, in the order of time."""
        while self._events:
            event = heapq.heappop(self._events)
            await event.happen(event.at)

    def plan_day(self, day: date, until: datetime) -> None:
        """Plan the sessions of one day. Those that would last beyond `until` end there."""
        chance = Random(day.toordinal())  # noqa: S311 - the same days in each run
        constant = max(1, self._seats // 4)
        if day.weekday() >= 5:
            for colleague in self.floating[constant : constant + WEEKEND_CREW]:
                self._plan(colleague, day, chance.uniform(8, 10), chance.uniform(2, 5), until)
            return
        for number, colleague in enumerate(self.floating):
            if number < constant:
                self._plan(colleague, day, chance.uniform(6.6, 7.4), chance.uniform(8, 9), until)
            elif chance.random() < ATTENDANCE:
                begins = chance.triangular(7, 14.5, 9)
                self._plan(colleague, day, begins, chance.uniform(1.2, 4.5), until)
        if day.weekday() == REVOKED_ON:
            self.at(_moment(day, 11.5), self._revoke_one)

    def _plan(self, colleague: Colleague, day: date, begins: float, hours: float, until: datetime) -> None:
        since, end = _moment(day, begins), min(_moment(day, begins + hours), until)
        if since < end:
            self.at(since, partial(self.sign_in, colleague))
            self.at(end, partial(self.sign_out, colleague))

    async def sign_in(self, colleague: Colleague, at: datetime, *, may_wait: bool = True) -> None:
        request = self._request(colleague, at)
        try:
            opened = await self._ledger.open_session(request)
        except RefusedError as refused:
            if may_wait:
                await self._ledger.record_denial(request, refused.finding)
                if colleague.user_id % 2:
                    self.at(at + JOINS_AFTER, partial(self._wait, colleague))
            return
        self._sessions[colleague.user_id] = opened.session
        self._waiting.pop(colleague.user_id, None)

    async def sign_out(self, colleague: Colleague, at: datetime) -> None:
        session = self._sessions.pop(colleague.user_id, None)
        if session is not None:
            await self._ledger.sign_out(session, at)
            for user_id in self._waiting:
                waits = next(one for one in COLLEAGUES if one.user_id == user_id)
                self.at(at + TRIES_AGAIN_AFTER, partial(self.sign_in, waits, may_wait=False))
        elif colleague.user_id in self._waiting:
            await self._give_up(colleague, at)

    async def _wait(self, colleague: Colleague, at: datetime) -> None:
        if colleague.user_id not in self._sessions:
            try:
                await self._ledger.join_waiting_list(_teams_user(colleague), at)
            except RefusedError:
                return
            self._waiting[colleague.user_id] = at
            self.at(at + GIVES_UP_AFTER, partial(self._give_up, colleague))

    async def _give_up(self, colleague: Colleague, at: datetime) -> None:
        if self._waiting.pop(colleague.user_id, None) is not None:
            await self._ledger.leave_waiting_list(_teams_user(colleague), at)

    async def _revoke_one(self, at: datetime) -> None:
        present = [self._sessions[one.user_id] for one in self.floating if one.user_id in self._sessions]
        if not present:
            return
        chosen, reason = present[at.day % len(present)], REASONS[at.day % len(REASONS)]
        del self._sessions[chosen.person.pbx_user_id]
        ending = Ending(cause=EndCause.REVOKED, actor=self.administrator, reason=reason, now=at)
        await self._ledger.end_sessions(self._pbx.id, (chosen.id,), ending)

    async def note(self, kind: AuditKind, detail: dict[str, object], at: datetime) -> None:
        """Write what the administrator did into the audit."""

        def make() -> Transaction[None]:
            yield from audit(self._pbx.id, kind, self.administrator, self._pbx.name, detail, at)

        await self._ledger.writer.run(make)

    async def fail(self, colleague: Colleague, at: datetime) -> None:
        """Write a sign-in with a wrong password into the audit."""
        actor = _teams_user(colleague).acting_as(None)

        def make() -> Transaction[None]:
            detail = {"cause": "login-rejected"}
            yield from audit(self._pbx.id, AuditKind.SIGN_IN_FAILED, actor, colleague.login, detail, at)

        await self._ledger.writer.run(make)

    async def set_rules(self, policy: Policy, at: datetime) -> None:
        await self._ledger.put_policy(self._pbx.id, self._pool_id, policy, self.administrator, at)

    async def fill(self, held_by_others: int, at: datetime) -> None:
        """Sign colleagues in or out until the wanted number of them is present."""
        chance = Random(at.toordinal())  # noqa: S311 - which people, not a secret
        wanted = max(0, min(self._seats - FREE_SEATS - held_by_others, len(self.floating)))
        with_seat = [one for one in COLLEAGUES if not one.has_user_licence and one.user_id in self._sessions]
        for colleague in with_seat[wanted:]:
            await self.sign_out(colleague, at)
        absent = [one for one in self.floating if one.user_id not in self._sessions]
        arrivals = sorted(chance.uniform(0.06, 1) for _ in range(wanted - len(with_seat[:wanted])))
        for share, colleague in zip(reversed(arrivals), absent, strict=False):
            self.at(at - share * PRESENT, partial(self.sign_in, colleague))
        await self.play()
        for session in self._sessions.values():
            seen = max(session.licence_since, at - timedelta(minutes=chance.uniform(0, 45)))
            await self._ledger.touch(session.id, seen)

    async def sign_in_users_with_licence(self, first: date) -> None:
        """People with a user-assigned licence stay signed in."""
        chance = Random(first.toordinal())  # noqa: S311 - which people, not a secret
        for number, colleague in enumerate(one for one in COLLEAGUES if one.has_user_licence):
            day = first + timedelta(days=min(number // 3, 4))
            self.at(_moment(day, chance.uniform(7, 9)), partial(self.sign_in, colleague))

    def _request(self, colleague: Colleague, at: datetime) -> SessionRequest:
        return SessionRequest(
            teams_user=_teams_user(colleague),
            pbx_id=self._pbx.id,
            pbx_name=self._pbx.name,
            person=SessionPerson(
                pbx_user_id=colleague.user_id,
                login=colleague.login,
                display_name=colleague.name,
                email=colleague.email,
                is_administrator=False,
            ),
            licence=UseUal() if colleague.has_user_licence else TakeSeat((SeatChoice(self._pool_id),)),
            proof=Proof.PASSWORD,
            take_over=False,
            now=at,
            installation=self._pbx.installation,
        )


async def write(database_url: str, pbx_name: str, at: datetime) -> int:
    """Write the history of this PBX up to `at`; return the number of days that were added, 0 without a pool."""
    database = Database(database_url)
    ledger = open_ledger(database.address)
    try:
        pbx = await Registry(database, ledger.writer, b"").by_name(pbx_name)
        pool = await database.fetch_first(
            "SELECT pool.id AS id, count(*) AS seats FROM pool JOIN seat ON seat.pool_id = pool.id"
            " JOIN pbx ON pbx.id = pool.pbx_id"
            " WHERE pbx.name = $1 AND NOT pool.withdrawn AND NOT seat.retired GROUP BY pool.id",
            pbx_name,
        )
        if pbx is None or pool is None:
            return 0
        company = Company(ledger, pbx, pool["id"], pool["seats"])
        return await _continue(database, ledger, company, pbx, at)
    finally:
        await ledger.close()
        await database.close()


async def _continue(database: Database, ledger: Ledger, company: Company, pbx: Pbx, at: datetime) -> int:
    last = await database.fetch_first(
        "SELECT max(at) AS at FROM audit WHERE pbx_id = $1 AND pbx_user_id >= $2", pbx.id, FIRST_USER_ID
    )
    written_until = None if last is None or last["at"] is None else from_ms(last["at"])
    sessions = [
        to_session(row)
        for row in await database.fetch(f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1", pbx.id)  # noqa: S608
    ]
    company.resume(one for one in sessions if one.person.pbx_user_id >= FIRST_USER_ID)
    today = at.date()
    first = (
        today - timedelta(weeks=WEEKS) if written_until is None else written_until.date() + timedelta(days=1)
    )
    if written_until is None:
        await ledger.writer.run(partial(_begin, pbx.id, _moment(first, 5)))
        for person in PEOPLE:
            # The tour works at night, too. Each of them can set quiet hours again.
            await PreferenceStore(database).put_notices(
                (TENANT_ID, person.object_id), frozenset(), quiet=False, hours=(22 * 60, 7 * 60)
            )
        await company.sign_in_users_with_licence(first)
        _plan_administration(company, first)
    elif first <= today:
        for colleague in company.floating:
            company.at(_moment(first - timedelta(days=1), 17), partial(company.sign_out, colleague))
    days = [first + timedelta(days=number) for number in range((today - first).days + 1)]
    for day in days:
        company.plan_day(day, until=at - PRESENT)
    await company.play()
    held_by_others = sum(
        one.pool_id is not None and one.person.pbx_user_id < FIRST_USER_ID for one in sessions
    )
    await company.fill(held_by_others, at)
    return len(days)


def _plan_administration(company: Company, first: date) -> None:
    """Plan what Clara did, and sign-ins that failed."""
    notes: Sequence[tuple[int, float, AuditKind, dict[str, object]]] = (
        (0, 6.2, AuditKind.EXAMINED, {"outcome": "faults"}),
        (0, 6.6, AuditKind.EXAMINED, {"outcome": "ok"}),
        (7, 9.1, AuditKind.HOLDERS_EXPORTED, {"format": "xlsx"}),
        (14, 9.3, AuditKind.HOLDERS_EXPORTED, {"format": "xlsx"}),
        (14, 9.4, AuditKind.AUDIT_EXPORTED, {"format": "csv"}),
    )
    for days, hour, kind, detail in notes:
        company.at(_moment(first + timedelta(days=days), hour), partial(company.note, kind, detail))
    for days, hours in ((4, 10), (11, None)):
        at = _moment(first + timedelta(days=days), 15.2)
        company.at(at, partial(company.set_rules, Policy(idle_hours=hours)))
    for days, number in ((1, 2), (1, 2), (6, 9), (12, 15), (18, 4)):
        at = _moment(first + timedelta(days=days), 7.5 + number / 10)
        company.at(at, partial(company.fail, COLLEAGUES[number]))


def _begin(pbx_id: str, at: datetime) -> Transaction[None]:
    """Let the PBX have been there since the beginning of the history, with two short interruptions of its link."""
    yield from execute("UPDATE pbx SET claimed_at = $1 WHERE id = $2", to_ms(at), pbx_id)
    events: Sequence[tuple[timedelta, LinkEventKind, dict[str, str]]] = (
        (timedelta(0), LinkEventKind.OPENED, {}),
        (timedelta(days=9, hours=21), LinkEventKind.CLOSED, {"reason": "connection-lost"}),
        (timedelta(days=9, hours=21, minutes=4), LinkEventKind.OPENED, {}),
        (timedelta(days=17, hours=22), LinkEventKind.CLOSED, {"reason": "silent"}),
        (timedelta(days=17, hours=22, minutes=11), LinkEventKind.OPENED, {}),
    )
    for after, kind, detail in events:
        yield from execute(
            "INSERT INTO link_event (pbx_id, at, kind, detail) VALUES ($1, $2, $3, $4)",
            pbx_id,
            to_ms(at + after),
            kind.value,
            json.dumps(detail),
        )


def _teams_user(colleague: Colleague) -> TeamsUser:
    return TeamsUser(TENANT_ID, colleague.object_id, colleague.name)


def _moment(day: date, hour: float) -> datetime:
    """Return the moment of a day's hour, in UTC."""
    return datetime.combine(day, time(tzinfo=UTC)) + timedelta(hours=hour)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.showcase.history", description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--pbx-name", required=True)
    options = parser.parse_args()
    days = asyncio.run(write(options.database_url, options.pbx_name, now()))
    print(days)
    return 0


if __name__ == "__main__":
    sys.exit(main())
