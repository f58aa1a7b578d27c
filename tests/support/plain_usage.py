"""Usage over time and its advice, computed in the simplest way from single holdings, as the reference for the
computation by days.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from core.licensing.advice import (
    CONSTANT_HOURS,
    CONSTANT_SHARE,
    MIN_WORKING_DAYS,
    Advice,
    Constant,
    Mix,
    period_start,
)
from core.licensing.usage import Bucket, Span
from core.store.timestamps import from_ms

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Holding:
    """A period in which one PBX user held one seat. `until` is None if they still do."""

    pbx_user_id: int
    name: str
    since: datetime
    until: datetime | None
    login: str = ""
    """Login of the PBX user while they hold the seat."""


def usage(
    holdings: Iterable[Holding], denials: Iterable[datetime], span: Span, now: datetime
) -> list[Bucket]:
    """Return the buckets up to the one that contains `now`."""
    count, length = span.buckets
    seconds = length.total_seconds()
    last = int(now.timestamp() // seconds)
    first = last - count + 1
    steps: list[tuple[float, int]] = []
    for holding in holdings:
        begins = max(holding.since.timestamp(), first * seconds)
        ends = min((holding.until or now).timestamp(), now.timestamp())
        if ends > begins:
            steps += ((begins, 1), (ends, -1))
    peaks, areas, refused = [0] * count, [0.0] * count, [0] * count
    for denied in denials:
        index = int(denied.timestamp() // seconds) - first
        if 0 <= index < count:
            refused[index] += 1
    held, at = 0, first * seconds
    for moment, step in [*sorted(steps), (now.timestamp(), 0)]:
        while moment > at:
            index = int(at // seconds) - first
            until = min(moment, (first + index + 1) * seconds)
            peaks[index] = max(peaks[index], held)
            areas[index] += held * (until - at)
            at = until
        held += step
    return [
        Bucket(
            from_ms(round((first + index) * seconds * 1000)),
            peaks[index],
            areas[index] / (seconds if first + index < last else max(now.timestamp() - last * seconds, 1)),
            refused[index],
        )
        for index in range(count)
    ]


def advise(
    holdings: Sequence[Holding], *, uals: int, seats: int, history_from: datetime, now: datetime
) -> Advice:
    since = max(history_from, period_start(now))
    days = _working_days(since, now)
    enough = len(days) >= MIN_WORKING_DAYS
    constant = _constant(holdings, days, since, now) if enough else {}
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
    """Return complete working days: without a first day that had already begun, and without today."""
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
    """Return (peak, 95th percentile of the hourly peaks of the hours in which anybody held a seat)."""
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
