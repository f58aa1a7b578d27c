"""Usage over time and the advice: pure functions with table-driven tests, and the stored days compared with the
simplest computation.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from core.licensing.advice import (
    Advice,
    Constant,
    Mix,
    Prices,
    advise,
    find_constant,
    get_history_start,
    period_start,
)
from core.licensing.seat_day import DAY_MS, HOUR_MS, Held, Hour, SeatDay, Steps
from core.licensing.seat_history import DAYS_KEPT, MANY_SEATS, OVER_AFTER, HolderName, SeatHistory
from core.licensing.usage import Bucket, Span, usage
from core.store import tables
from core.store.timestamps import from_ms, to_ms
from tests.support import plain_usage
from tests.support.book import NOW, PBX, Book
from tests.support.plain_usage import Holding

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
END = MONDAY + timedelta(days=28, hours=12)  # Monday noon, four whole weeks later


def held(user: int, since: datetime, until: datetime | None) -> Holding:
    return Holding(user, f"User {user}", since, until)


def working_days(user: int, days: int, hours: float, first: int = 0) -> list[Holding]:
    """So many working days, counted from Monday, from 8 o'clock on."""
    starts = [MONDAY + n * DAY + 8 * HOUR for n in range(28) if (MONDAY + n * DAY).weekday() < 5]
    return [held(user, start, start + hours * HOUR) for start in starts[first : first + days]]


def days_of(holdings: Sequence[Holding], now: datetime, days: int = DAYS_KEPT) -> list[SeatDay]:
    held = [Held(one.pbx_user_id, to_ms(one.since), to_ms(one.until or now)) for one in holdings]
    held = [one._replace(until=min(one.until, to_ms(now))) for one in held]
    last = to_ms(now) // DAY_MS
    return [SeatDay.of(number, held) for number in range(last - days, last + 1)]


def used(holdings: Sequence[Holding], denials: Sequence[datetime], span: Span, now: datetime) -> list[Bucket]:
    hours = Counter(to_ms(one) // HOUR_MS for one in denials)
    return list(usage(days_of(holdings, now), hours, span, now))


def advice_on(
    holdings: Sequence[Holding], *, uals: int, seats: int, history_from: datetime, now: datetime
) -> Advice:
    days = days_of(holdings, now)
    names = {one.pbx_user_id: HolderName(one.name, one.login) for one in holdings}
    constant = {
        user_id: Constant(names[user_id].name, names[user_id].login, count)
        for user_id, count in find_constant(days, history_from, now).items()
    }
    return advise(days, constant, uals=uals, seats=seats, history_from=history_from, now=now)


# --- use


def test_peaks_averages_and_denials_fall_into_their_buckets() -> None:
    noon = NOW.replace(minute=30)
    holdings = [
        held(1, NOW - 3 * HOUR, NOW - 2 * HOUR),
        held(2, NOW - 2.5 * HOUR, NOW - 1.5 * HOUR),
        held(3, NOW - 40 * HOUR, None),
    ]
    buckets = used(holdings, [NOW - 1.2 * HOUR, NOW - 30 * HOUR], Span.DAY, noon)
    assert len(buckets) == 24
    assert [bucket.peak for bucket in buckets[-4:]] == [3, 2, 1, 1]
    assert [bucket.denials for bucket in buckets[-4:]] == [0, 1, 0, 0]
    assert [round(bucket.average, 2) for bucket in buckets[-4:]] == [2.5, 1.5, 1.0, 1.0]
    assert buckets[0].peak == 1 and buckets[-1].start == NOW


def test_one_after_the_other_is_not_both_at_once() -> None:
    holdings = [held(1, NOW - 2 * HOUR, NOW - HOUR), held(2, NOW - HOUR, NOW)]
    assert max(bucket.peak for bucket in used(holdings, [], Span.DAY, NOW)) == 1


@pytest.mark.parametrize("span", list(Span))
def test_nothing_held_is_nothing_shown(span: Span) -> None:
    assert {bucket.peak for bucket in used([], [], span, NOW)} == {0}


# --- advice


@pytest.mark.parametrize(
    ("holdings", "constant", "advised", "lean"),
    [
        ([], [], Mix(3, 0), Mix(3, 0)),
        (working_days(1, 20, 8), [("User 1", 20)], Mix(4, 0), Mix(4, 0)),
        (working_days(1, 16, 4), [("User 1", 16)], Mix(4, 0), Mix(4, 0)),  # 80 % of 20 days, 4 hours
        (working_days(1, 15, 8), [], Mix(3, 1), Mix(3, 1)),
        (working_days(1, 20, 3.9), [], Mix(3, 1), Mix(3, 1)),
        ([*working_days(1, 20, 8), *working_days(2, 3, 2)], [("User 1", 20)], Mix(4, 1), Mix(4, 1)),
        # Through the nights and the weekends: every working day counts.
        ([held(1, MONDAY - DAY, None)], [("User 1", 20)], Mix(4, 0), Mix(4, 0)),
        # Three at once for one hour of a hundred: the peak needs three, 95 % of the hours one.
        (
            [
                *working_days(1, 10, 10),
                held(2, MONDAY + 8 * HOUR, MONDAY + 9 * HOUR),
                held(3, MONDAY + 8 * HOUR, MONDAY + 9 * HOUR),
            ],
            [],
            Mix(3, 3),
            Mix(3, 1),
        ),
    ],
)
def test_the_rule(holdings, constant, advised, lean) -> None:
    advice = advice_on(holdings, uals=3, seats=5, history_from=MONDAY - 100 * DAY, now=END)
    assert advice.working_days == 20 and advice.enough_history
    assert [(one.name, one.days) for one in advice.constant] == constant
    assert (advice.now, advice.advised, advice.lean) == (Mix(3, 5), advised, lean)


def test_two_of_one_name_are_distinguished_by_their_logins() -> None:
    holdings = [replace(one, name="Peter Müller") for user in (1, 2) for one in working_days(user, 20, 8)]
    holdings += [Holding(user, "Peter Müller", END - HOUR, None, f"200{user}") for user in (1, 2)]
    advice = advice_on(holdings, uals=0, seats=5, history_from=MONDAY - 100 * DAY, now=END)
    assert [(one.name, one.login) for one in advice.constant] == [
        ("Peter Müller", "2001"),
        ("Peter Müller", "2002"),
    ]


@pytest.mark.parametrize("hour", [0, 9, 23])
def test_the_first_day_counts_whole_at_every_hour(hour: int) -> None:
    at = MONDAY + timedelta(days=28, hours=hour)
    seen = [one for one in working_days(1, 20, 8) if one.until is None or one.until >= period_start(at)]
    advice = advice_on(seen, uals=0, seats=1, history_from=MONDAY - 100 * DAY, now=at)
    assert [one.days for one in advice.constant] == [advice.working_days] == [20]


def test_without_ten_working_days_nothing_is_advised() -> None:
    advice = advice_on(working_days(1, 20, 8), uals=0, seats=5, history_from=END - 11 * DAY, now=END)
    assert not advice.enough_history
    assert advice.advised == advice.now and advice.constant == ()


def test_the_cost_of_a_mix() -> None:
    assert Mix(2, 3).cost(Prices(ual=4.5, fl=7)) == 30


# --- days that are kept


MOMENT = st.integers(0, 40 * 24 * 4).map(
    lambda quarters: END - 40 * DAY + quarters * 15 * timedelta(minutes=1)
)


@st.composite
def histories(draw: st.DrawFn) -> list[Holding]:
    """Of a few users: each holds one seat at a time, and may hold one still."""
    found = []
    for user in range(draw(st.integers(0, 5))):
        moments = sorted(set(draw(st.lists(MOMENT, max_size=12))))
        for since, until in zip(moments[::2], [*moments[1::2], None][: len(moments[::2])], strict=True):
            is_running = until is None or until >= END
            found.append(held(user, min(since, END - HOUR), None if is_running else until))
            if is_running:
                break
    return found


@settings(deadline=None, max_examples=200)
@given(histories(), st.lists(MOMENT, max_size=10), st.sampled_from(list(Span)))
def test_use_by_days_is_what_single_holdings_give(
    holdings: list[Holding], denials: list[datetime], span: Span
) -> None:
    plain = plain_usage.usage(holdings, denials, span, END)
    assert used(holdings, denials, span, END) == [
        replace(bucket, average=pytest.approx(bucket.average)) for bucket in plain
    ]


@settings(deadline=None, max_examples=200)
@given(histories(), MOMENT, st.booleans())
def test_advice_by_days_is_what_single_holdings_give(
    holdings: list[Holding], history_from: datetime, works: bool
) -> None:
    if works:
        holdings = [*holdings, *working_days(8, 20, 8), *working_days(9, 17, 4)]
    known = {"uals": 2, "seats": 7, "history_from": history_from, "now": END}
    assert advice_on(holdings, **known) == plain_usage.advise(holdings, **known)


def test_a_day_keeps_every_step() -> None:
    steps = Steps.of(3, [Held(2**40, 3 * DAY_MS + 5, 4 * DAY_MS + 9), Held(7, 0, 3 * DAY_MS + HOUR_MS)])
    again = Steps.unpacked(steps.packed())
    assert (list(again.moments), list(again.users), list(again.changes)) == (
        [0, 5, HOUR_MS, DAY_MS],
        [7, 2**40, 7, 2**40],
        [1, 1, -1, -1],
    )
    assert again.hours() == steps.hours()
    assert steps.hours()[0] == Hour(2, 2 * HOUR_MS - 5)


class Past:
    """Writes a history as the ledger leaves it, up to any moment."""

    def __init__(self, book: Book, holdings: Sequence[Holding]) -> None:
        self._book = book
        self._holdings = sorted(holdings, key=lambda one: one.since)

    async def be(self, now: datetime) -> None:
        ended = [one for one in self._holdings if one.until is not None and one.until <= now]
        running = [one for one in self._holdings if one.since <= now and one not in ended]
        audit = [
            {"at": to_ms(one.until), "pbx_id": PBX, "kind": "ended", "actor": "a", "subject": one.name, "detail": "{}",
             "pbx_user_id": one.pbx_user_id, "pool_id": "pool", "held_from": to_ms(one.since)}
            for one in sorted(ended, key=lambda one: one.until)
        ]  # fmt: skip
        pool = (await self._book.overview.pools(PBX))[0].id
        sessions = [
            {"id": str(one.pbx_user_id), "tenant_id": "t", "object_id": str(one.pbx_user_id), "teams_name": "T",
             "pbx_id": PBX, "pbx_user_id": one.pbx_user_id, "pbx_login": str(one.pbx_user_id), "display_name": one.name,
             "email": "", "proof": "password", "is_administrator": False, "licence_kind": "FL", "pool_id": pool,
             "seat_number": one.pbx_user_id + 1, "started_at": to_ms(one.since), "licence_since": to_ms(one.since),
             "last_seen_at": to_ms(one.since)}
            for one in running
        ]  # fmt: skip
        async with self._book.database.writing() as connection:
            await connection.execute(delete(tables.audit))
            await connection.execute(delete(tables.session))
            for table, rows in ((tables.audit, audit), (tables.session, sessions)):
                if rows:
                    await connection.execute(insert(table), rows)


def a_history(chance: random.Random, now: datetime) -> list[Holding]:
    found = []
    for user in range(12):
        at = now - 36 * DAY + chance.random() * DAY
        while at < now:
            until = at + chance.choice((0.5, 4, 9, 60)) * HOUR * (0.5 + chance.random())
            since, until = (from_ms(to_ms(moment)) for moment in (at, until))
            found.append(held(user, since, until if until < now else None))
            at = until + chance.choice((0, 1, 15, 100)) * HOUR * chance.random()
    return found


def history_of(book: Book, *, trusted: bool = True) -> SeatHistory:
    return SeatHistory(book.database, book.ledger.writer, lambda: NOW if trusted else None)


async def looked_at(book: Book, history: SeatHistory, now: datetime, claimed: datetime) -> tuple[object, ...]:
    """What an administrator is shown."""
    buckets = [
        usage(
            await history.days(PBX, span.start(now), now),
            await history.denials(PBX, span.start(now), now),
            span,
            now,
        )
        for span in Span
    ]
    since = get_history_start(claimed, now)
    days = await history.days(PBX, since, now, with_steps=True)
    long_days = find_constant(days, claimed, now)
    names = await history.names(PBX, long_days, since, now)
    constant = {one: Constant(names[one].name, names[one].login, count) for one, count in long_days.items()}
    advice = advise(days, constant, uals=1, seats=20, history_from=claimed, now=now)
    return [[replace(one, average=round(one.average, 4)) for one in span] for span in buckets], advice


def plainly(holdings: Sequence[Holding], now: datetime, claimed: datetime) -> tuple[object, ...]:
    running = [replace(one, login=str(one.pbx_user_id)) for one in holdings if one.until is None]
    ended = sorted((one for one in holdings if one.until is not None), key=lambda one: one.until)
    seen = [one for one in (*ended, *running) if one.until is None or one.until >= period_start(now)]
    buckets = [plain_usage.usage([*ended, *running], [], span, now) for span in Span]
    advice = plain_usage.advise(seen, uals=1, seats=20, history_from=claimed, now=now)
    return [[replace(one, average=round(one.average, 4)) for one in span] for span in buckets], advice


@pytest.mark.parametrize("seed", range(8))
async def test_days_that_were_kept_earlier_change_nothing(book: Book, seed: int) -> None:
    """Whatever was kept when, by which view, and with which seats held at that time."""
    chance = random.Random(seed)
    await book.put(20)
    now = NOW + chance.random() * DAY
    now = from_ms(to_ms(now))
    holdings = a_history(chance, now)
    past, history = Past(book, holdings), history_of(book)
    claimed = now - chance.choice((5, 20, 100)) * DAY
    for days_ago in sorted(chance.sample(range(1, 40), 3), reverse=True):
        earlier = from_ms(to_ms(now - days_ago * DAY + chance.random() * DAY))
        if earlier < now:
            await past.be(earlier)
            await history.days(PBX, earlier - chance.choice((1, 28)) * DAY, earlier)
    await past.be(now)
    for _ in range(2):
        assert await looked_at(book, history, now, claimed) == plainly(holdings, now, claimed)
    kept = [number for (number,) in await book.rows("SELECT day FROM usage_day ORDER BY day")]
    assert kept[-1] < to_ms(now - 2 * HOUR) // DAY_MS, "a day is kept when it is over"
    assert len(kept) >= DAYS_KEPT - 1


async def test_days_are_kept_by_two_replicas_at_once(book: Book) -> None:
    await book.put(20)
    holdings = a_history(random.Random(1), NOW)
    await Past(book, holdings).be(NOW)
    histories = [history_of(book) for _ in range(2)]
    claimed = NOW - 100 * DAY
    found = await asyncio.gather(*(looked_at(book, one, NOW, claimed) for one in histories))
    assert found == [plainly(holdings, NOW, claimed)] * 2


async def test_views_at_the_moment_from_which_a_day_is_kept(book: Book) -> None:
    """The later view must not wait for the earlier one's run alone, which lacks the newest day."""
    await book.put(20)
    moment = from_ms(to_ms(NOW) // DAY_MS * DAY_MS) + OVER_AFTER
    history = history_of(book)
    tick = timedelta(milliseconds=1)
    before, after = await asyncio.gather(
        *(history.days(PBX, now - 5 * DAY, now) for now in (moment - tick, moment + tick))
    )
    assert len(before) == len(after) == 6


async def test_nothing_is_kept_while_the_clock_is_in_doubt(book: Book) -> None:
    """A clock that is a week ahead would keep days that are not over."""
    await book.put(20)
    holdings = a_history(random.Random(2), NOW)
    await Past(book, holdings).be(NOW)
    claimed = NOW - 100 * DAY
    found = await looked_at(book, history_of(book, trusted=False), NOW, claimed)
    assert found == plainly(holdings, NOW, claimed)
    assert await book.rows("SELECT count(*) FROM usage_day") == [(0,)]


async def test_days_of_large_pbxs_are_kept_before_somebody_asks(book: Book) -> None:
    await book.put(MANY_SEATS)
    await book.add_pbx("pbx-2")
    await book.put(MANY_SEATS - 1, "small", "pbx-2")
    history = history_of(book)
    await history.keep_large(NOW)
    assert await book.rows("SELECT DISTINCT pbx_id FROM usage_day") == [(PBX,)]
    await history.forget_old(NOW + 10 * DAY)
    assert await book.rows("SELECT count(*) FROM usage_day") == [(DAYS_KEPT - 10,)]


async def test_what_the_ledger_wrote_is_what_is_read(book: Book) -> None:
    await book.put(2)
    first = await book.take(1)
    await book.take(2, now=NOW + HOUR)
    await book.end(first, now=NOW + 2 * HOUR)
    now = NOW + 3 * HOUR
    history = history_of(book)
    today = (await history.days(PBX, now - DAY, now))[-1]
    held_hours = [(number, hour) for number, hour in enumerate(today.hours) if hour.held]
    assert held_hours == [(12, Hour(1, HOUR_MS)), (13, Hour(2, 2 * HOUR_MS)), (14, Hour(1, HOUR_MS))]
    assert await history.names(PBX, [1, 2], NOW, now) == {
        2: HolderName("User 2", "2"),
        1: HolderName("User 1", ""),
    }
    await book.take(5, now=now)
    await book.deny(3, now=now)
    await book.deny(4, now=now)
    assert await history.denials(PBX, NOW, now) == {to_ms(now) // HOUR_MS: 2}
