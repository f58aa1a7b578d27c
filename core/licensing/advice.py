"""Advise how many licences of each kind a PBX needs, based on its history. The rule is tested by a table.

The rule looks at the last 28 days, or at the whole history if it is shorter. With fewer than 10 working days (Monday
to Friday, UTC) there is no advice.

A *constant* user held a seat for at least 4 hours on at least 80 % of the working days. They should get a
user-assigned licence, because their seat was hardly ever free for anybody else. The other users need as many seats as
they held together at the busiest moment (the peak). A leaner choice is the 95th percentile: the number of seats that
was enough in 95 % of the hours in which anybody held one. Every denial in that time is a reason not to go below the
peak.
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
    """The price of one licence of each kind, for the same time and in the same currency."""

    ual: float
    fl: float


@dataclass(frozen=True, slots=True)
class Constant:
    """A user who held a seat for most of the time."""

    name: str
    login: str
    """Empty while the user holds no seat."""
    days: int
    """Number of working days on which the user held a seat for at least `CONSTANT_HOURS`."""


@dataclass(frozen=True, slots=True)
class Mix:
    """A number of user-assigned licences and of seats."""

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
    """Seats that all users together held at the busiest moment."""
    percentile: int
    """Seats that were enough in 95 % of the hours in which anybody held one."""
    now: Mix
    """What the PBX has at present."""
    advised: Mix
    """User-assigned licences for constant users, and as many seats as the peak of all others."""
    lean: Mix
    """Like `advised`, but with seats for the 95th percentile only: cheaper, with an occasional refusal."""


def period_start(now: datetime) -> datetime:
    """Return the earliest moment that `advise` looks at: midnight (UTC) at the start of the period's first day."""
    return (now - PERIOD).replace(hour=0, minute=0, second=0, microsecond=0)


def get_history_start(history_from: datetime, now: datetime) -> datetime:
    """Return the start of what `advise` looks at, for a history that begins at `history_from`."""
    return max(history_from, period_start(now))


def find_constant(days: Sequence[SeatDay], history_from: datetime, now: datetime) -> Mapping[int, int]:
    """Return the constant users: PBX user id to the number of working days with at least `CONSTANT_HOURS`.

    The result is empty while there are too few working days. `days` are those from `get_history_start` until now,
    with steps.
    """
    working = _working_days(get_history_start(history_from, now), now)
    if len(working) < MIN_WORKING_DAYS:
        return {}
    wanted = {_day_number(day) for day in working}
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
    """Return the advice for one PBX.

    `days` are as for `find_constant`, and `constant` are the users that it found. `uals` and `seats` are the present
    numbers of licences. `history_from` is the start of the recorded history.
    """
    since = get_history_start(history_from, now)
    working_days = len(_working_days(since, now))
    enough = working_days >= MIN_WORKING_DAYS
    all_peak, all_percentile = _find_peak_and_percentile(_hourly_peaks(days, since))
    peak, percentile = (
        _find_peak_and_percentile(_hourly_peaks(days, since, without=constant.keys()))
        if constant
        else (all_peak, all_percentile)
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
    """Return the whole working days from `since` until yesterday; a day that began before `since` does not count."""
    first, found = (since + timedelta(days=1) - timedelta(microseconds=1)).date(), []
    while first < now.date():
        if first.weekday() < 5:
            found.append(first)
        first += timedelta(days=1)
    return found


def _day_number(day: date) -> int:
    """Return the number of a day: days since the epoch."""
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC)) // DAY_MS


def _hourly_peaks(
    days: Sequence[SeatDay], since: datetime, *, without: Collection[int] = ()
) -> Iterable[int]:
    """Return the peak of each hour since then. `without`: users who do not count."""
    for day in days:
        first = to_ms(since) - day.number * DAY_MS
        if first >= DAY_MS:
            continue
        is_kept = first <= 0 and not without
        hours = day.hours if is_kept else day.steps().hours(without=without, first=max(first, 0))
        yield from (hour.peak for hour in hours)


def _find_peak_and_percentile(hourly: Iterable[int]) -> tuple[int, int]:
    """Return the peak, and the 95th percentile of the hourly peaks. Hours in which nobody held a seat do not count."""
    peaks = sorted(peak for peak in hourly if peak)
    if not peaks:
        return 0, 0
    return peaks[-1], peaks[math.ceil(0.95 * len(peaks)) - 1]
