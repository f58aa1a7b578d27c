"""Which licences the history advises: a rule that is written down here and tested by table.

Looked at are the last 28 days, or less when the history is shorter; below 10 working days (Monday to Friday, UTC)
nothing is advised. A user is *constant* who held a seat for at least 4 hours on at least 80 % of the working days:
for them a user-assigned licence is right, since their seat was hardly ever free for anybody else. What the others
need is the peak of their seats held at one moment, and its 95th percentile: the number that was enough in 95 % of
the hours in which anybody held one. Every denial in that time is a reason not to go below the peak.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from core.licensing.usage import Holding

PERIOD: Final = timedelta(days=28)
MIN_WORKING_DAYS: Final = 10
CONSTANT_SHARE: Final = 0.8
CONSTANT_HOURS: Final = 4.0
_HOUR: Final = 3600.0


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


def advise(
    holdings: Sequence[Holding], *, uals: int, seats: int, history_from: datetime, now: datetime
) -> Advice:
    since = max(history_from, period_start(now))
    days = _working_days(since, now)
    enough = len(days) >= MIN_WORKING_DAYS
    constant = _constant(holdings=holdings, days=days, since=since, now=now) if enough else {}
    others = [holding for holding in holdings if holding.pbx_user_id not in constant]
    all_peak, all_percentile = _need(holdings, since, now)
    peak, percentile = _need(others, since, now)
    present = Mix(uals, seats)
    return Advice(
        working_days=len(days),
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


def _constant(
    holdings: Sequence[Holding], days: Sequence[date], since: datetime, now: datetime
) -> dict[int, Constant]:
    hours: defaultdict[tuple[int, date], float] = defaultdict(float)
    names: dict[int, str] = {}
    logins: dict[int, str] = {}
    for holding in holdings:
        names[holding.pbx_user_id] = holding.name
        if holding.login:
            logins[holding.pbx_user_id] = holding.login
        at, ends = max(holding.since, since), min(holding.until or now, now)
        while at < ends:
            midnight = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            until = min(midnight, ends)
            hours[holding.pbx_user_id, at.date()] += (until - at).total_seconds() / _HOUR
            at = until
    long_days: defaultdict[int, int] = defaultdict(int)
    wanted = set(days)
    for (user_id, day), held in hours.items():
        if day in wanted and held >= CONSTANT_HOURS:
            long_days[user_id] += 1
    return {
        user_id: Constant(names[user_id], logins.get(user_id, ""), count)
        for user_id, count in long_days.items()
        if count >= CONSTANT_SHARE * len(days)
    }


def _need(holdings: Sequence[Holding], since: datetime, now: datetime) -> tuple[int, int]:
    """(peak, 95th percentile of the hourly peaks of the hours in which anybody held a seat)."""
    steps: list[tuple[float, int]] = []
    for holding in holdings:
        begins, ends = max(holding.since, since).timestamp(), min(holding.until or now, now).timestamp()
        if ends > begins:
            steps += ((begins, 1), (ends, -1))
    hourly: defaultdict[int, int] = defaultdict(int)
    held, at = 0, since.timestamp()
    for moment, step in sorted(steps):
        if held and moment > at:
            for hour in range(int(at // _HOUR), math.ceil(moment / _HOUR)):
                hourly[hour] = max(hourly[hour], held)
        held, at = held + step, moment
    if not hourly:
        return 0, 0
    peaks = sorted(hourly.values())
    return peaks[-1], peaks[math.ceil(0.95 * len(peaks)) - 1]
