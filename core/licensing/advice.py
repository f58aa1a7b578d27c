"""Which licences the history advises: a rule that is written down here and tested by table.

Looked at are the last 28 days, or less when the history is shorter; below 10 working days (Monday to Friday, UTC)
nothing is advised. A user is *constant* who held a seat for at least 4 hours on at least 80 % of the working days:
for them a user-assigned licence is right, since their seat was hardly ever free for anybody else. What the others
need is the peak of their seats held at one moment, and its 95th percentile: the number that was enough in 95 % of
the hours in which anybody held one. Every denial in that time is a reason not to go below the peak.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from core.licensing.seat_day import DAY_MS, HOUR_MS, SeatDay
from core.store.timestamps import to_ms

PERIOD: Final = timedelta(days=28)
MIN_WORKING_DAYS: Final = 10
CONSTANT_SHARE: Final = 0.8
CONSTANT_HOURS: Final = 4.0


@dataclass(frozen=True, slots=True)
class Prices:
    """What one licence of each kind costs for the same time, in any currency."""

    ual: float
    fl: float


@dataclass(frozen=True, slots=True)
class Constant:
    name: str
    login: str
    """Empty while they hold no seat."""
    days: int
    """Working days on which they held a seat for long."""


@dataclass(frozen=True, slots=True)
class Mix:
    ual: int
    fl: int

    def cost(self, prices: Prices) -> float:
        return self.ual * prices.ual + self.fl * prices.fl


@dataclass(frozen=True, slots=True)
class Advice:
    working_days: int
    enough_history: bool
    constant: tuple[Constant, ...]
    peak: int
    """Seats of everybody, at the busiest moment."""
    percentile: int
    """Seats that were enough in 95 % of the hours in which anybody held one."""
    now: Mix
    advised: Mix
    """Constant users get licences of their own; the others' peak is kept as seats."""
    lean: Mix
    """As `advised`, with seats for the 95th percentile only: cheaper, at the price of a refusal now and then."""


def period_start(now: datetime) -> datetime:
    """From when on `advise` looks at holdings: the midnight (UTC) that begins the period's first whole day."""
    return (now - PERIOD).replace(hour=0, minute=0, second=0, microsecond=0)


def looked_at_from(history_from: datetime, now: datetime) -> datetime:
    """From when on a history counts that began at `history_from`."""
    return max(history_from, period_start(now))


def find_constant(days: Sequence[SeatDay], history_from: datetime, now: datetime) -> Mapping[int, int]:
    """On how many working days each constant user held a seat for long, by the user's id; empty while there are too few
    working days. `days`: from `looked_at_from` until now, with their steps.
    """
    working = _working_days(looked_at_from(history_from, now), now)
    if len(working) < MIN_WORKING_DAYS:
        return {}
    wanted = {_number(day) for day in working}
    enough = CONSTANT_HOURS * HOUR_MS
    long_days: Counter[int] = Counter()
    for day in days:
        if day.number in wanted:
            held = day.steps().held_by_user()
            long_days.update(user_id for user_id, lasted in held.items() if lasted >= enough)
    return {user_id: count for user_id, count in long_days.items() if count >= CONSTANT_SHARE * len(working)}


def advise(
    days: Sequence[SeatDay],
    constant: Mapping[int, Constant],
    *,
    uals: int,
    seats: int,
    history_from: datetime,
    now: datetime,
) -> Advice:
    """`days` as for `find_constant`; `constant`: whom that has found."""
    since = looked_at_from(history_from, now)
    working_days = len(_working_days(since, now))
    enough = working_days >= MIN_WORKING_DAYS
    all_peak, all_percentile = _need(_hourly(days, since))
    peak, percentile = (
        _need(_hourly(days, since, without=constant.keys())) if constant else (all_peak, all_percentile)
    )
    present = Mix(uals, seats)
    return Advice(
        working_days=working_days,
        enough_history=enough,
        constant=tuple(sorted(constant.values(), key=lambda one: (-one.days, one.name, one.login))),
        peak=all_peak,
        percentile=all_percentile,
        now=present,
        advised=Mix(uals + len(constant), peak) if enough else present,
        lean=Mix(uals + len(constant), percentile) if enough else present,
    )


def _working_days(since: datetime, now: datetime) -> list[date]:
    """Whole days only: not a first one that had begun before, nor today."""
    first, found = (since + timedelta(days=1) - timedelta(microseconds=1)).date(), []
    while first < now.date():
        if first.weekday() < 5:
            found.append(first)
        first += timedelta(days=1)
    return found


def _number(day: date) -> int:
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC)) // DAY_MS


def _hourly(days: Sequence[SeatDay], since: datetime, *, without: Collection[int] = ()) -> Iterable[int]:
    """The peaks of all hours since then."""
    for day in days:
        first = to_ms(since) - day.number * DAY_MS
        if first >= DAY_MS:
            continue
        is_kept = first <= 0 and not without
        hours = day.hours if is_kept else day.steps().hours(without=without, first=max(first, 0))
        yield from (hour.peak for hour in hours)


def _need(hourly: Iterable[int]) -> tuple[int, int]:
    """(peak, 95th percentile of the hourly peaks of the hours in which anybody held a seat)."""
    peaks = sorted(peak for peak in hourly if peak)
    if not peaks:
        return 0, 0
    return peaks[-1], peaks[math.ceil(0.95 * len(peaks)) - 1]
