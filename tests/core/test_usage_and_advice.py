"""Use over time and what it advises: pure functions, by table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.licensing.advice import Mix, Prices, advise, period_start
from core.licensing.usage import Holding, Span, UsageReader, usage
from tests.support.book import NOW, PBX, Book

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


# --- use


def test_peaks_averages_and_denials_fall_into_their_buckets() -> None:
    noon = NOW.replace(minute=30)
    holdings = [
        held(1, NOW - 3 * HOUR, NOW - 2 * HOUR),
        held(2, NOW - 2.5 * HOUR, NOW - 1.5 * HOUR),
        held(3, NOW - 40 * HOUR, None),
    ]
    buckets = usage(holdings, [NOW - 1.2 * HOUR, NOW - 30 * HOUR], Span.DAY, noon)
    assert len(buckets) == 24
    assert [bucket.peak for bucket in buckets[-4:]] == [3, 2, 1, 1]
    assert [bucket.denials for bucket in buckets[-4:]] == [0, 1, 0, 0]
    assert [round(bucket.average, 2) for bucket in buckets[-4:]] == [2.5, 1.5, 1.0, 1.0]
    assert buckets[0].peak == 1 and buckets[-1].start == NOW


def test_one_after_the_other_is_not_both_at_once() -> None:
    holdings = [held(1, NOW - 2 * HOUR, NOW - HOUR), held(2, NOW - HOUR, NOW)]
    assert max(bucket.peak for bucket in usage(holdings, [], Span.DAY, NOW)) == 1


@pytest.mark.parametrize("span", list(Span))
def test_nothing_held_is_nothing_shown(span: Span) -> None:
    assert {bucket.peak for bucket in usage([], [], span, NOW)} == {0}


async def test_the_history_is_read_from_audit_and_sessions(book: Book) -> None:
    await book.put(2)
    first = await book.take(1)
    await book.take(2, now=NOW + HOUR)
    await book.end(first, now=NOW + 2 * HOUR)
    reader = UsageReader(book.database)
    found = await reader.holdings(PBX, NOW)
    assert sorted((one.pbx_user_id, one.since, one.until) for one in found if one.until) == [
        (1, NOW, NOW + 2 * HOUR)
    ]
    assert [(one.pbx_user_id, one.since) for one in found if one.until is None] == [(2, NOW + HOUR)]


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
    advice = advise(holdings, uals=3, seats=5, history_from=MONDAY - 100 * DAY, now=END)
    assert advice.working_days == 20 and advice.enough_history
    assert [(one.name, one.days) for one in advice.constant] == constant
    assert (advice.now, advice.advised, advice.lean) == (Mix(3, 5), advised, lean)


def test_two_of_one_name_are_told_apart_by_their_logins() -> None:
    holdings = [replace(one, name="Peter Müller") for user in (1, 2) for one in working_days(user, 20, 8)]
    holdings += [Holding(user, "Peter Müller", END - HOUR, None, f"200{user}") for user in (1, 2)]
    advice = advise(holdings, uals=0, seats=5, history_from=MONDAY - 100 * DAY, now=END)
    assert [(one.name, one.login) for one in advice.constant] == [
        ("Peter Müller", "2001"),
        ("Peter Müller", "2002"),
    ]


@pytest.mark.parametrize("hour", [0, 9, 23])
def test_the_first_day_counts_whole_at_every_hour(hour: int) -> None:
    at = MONDAY + timedelta(days=28, hours=hour)
    seen = [one for one in working_days(1, 20, 8) if one.until is None or one.until >= period_start(at)]
    advice = advise(seen, uals=0, seats=1, history_from=MONDAY - 100 * DAY, now=at)
    assert [one.days for one in advice.constant] == [advice.working_days] == [20]


def test_without_ten_working_days_nothing_is_advised() -> None:
    advice = advise(working_days(1, 20, 8), uals=0, seats=5, history_from=END - 11 * DAY, now=END)
    assert not advice.enough_history
    assert advice.advised == advice.now and advice.constant == ()


def test_the_cost_of_a_mix() -> None:
    assert Mix(2, 3).cost(Prices(ual=4.5, fl=7)) == 30
