"""Seat usage over time: peaks, averages and denials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.licensing.seat_day import DAY_MS, HOUR_MS, SeatDay
from core.store.timestamps import from_ms, to_ms


class Span(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def buckets(self) -> tuple[int, timedelta]:
        """Number of buckets, and the length of each: whole hours, aligned to days (UTC)."""
        return {
            Span.DAY: (24, timedelta(hours=1)),
            Span.WEEK: (28, timedelta(hours=6)),
            Span.MONTH: (30, timedelta(days=1)),
        }[self]

    def start(self, now: datetime) -> datetime:
        """Return the start of the first bucket; the last bucket contains `now`."""
        count, length = self.buckets
        milliseconds = length // timedelta(milliseconds=1)
        return from_ms((to_ms(now) // milliseconds - count + 1) * milliseconds)


@dataclass(frozen=True, slots=True)
class Bucket:
    start: datetime
    peak: int
    """The largest number of seats held at one moment."""
    average: float
    """The average number of seats held."""
    denials: int


def usage(days: Sequence[SeatDay], denials: Mapping[int, int], span: Span, now: datetime) -> Sequence[Bucket]:
    """Return the span's buckets, oldest first; the last one contains `now` and is not complete yet.

    `days` are those from `span.start` until now. `denials` maps an hour (hours since the epoch) to its number of
    denials.
    """
    count, length = span.buckets
    size = length // timedelta(hours=1)
    hours = {
        day.number * DAY_MS // HOUR_MS + number: hour for day in days for number, hour in enumerate(day.hours)
    }
    found = []
    for index in range(count):
        begins = to_ms(span.start(now)) + index * size * HOUR_MS
        numbers = range(begins // HOUR_MS, begins // HOUR_MS + size)
        within = [hours[number] for number in numbers if number in hours]
        lasted = size * HOUR_MS if index < count - 1 else max(to_ms(now) - begins, 1000)
        found.append(
            Bucket(
                start=from_ms(begins),
                peak=max((hour.peak for hour in within), default=0),
                average=sum(hour.held for hour in within) / lasted,
                denials=sum(denials.get(number, 0) for number in numbers),
            )
        )
    return found
