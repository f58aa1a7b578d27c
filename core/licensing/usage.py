"""How seats were used: peaks, averages and denials over time."""

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
        """How many, and how long each: whole hours, which begin with a day (UTC)."""
        return {
            Span.DAY: (24, timedelta(hours=1)),
            Span.WEEK: (28, timedelta(hours=6)),
            Span.MONTH: (30, timedelta(days=1)),
        }[self]

    def start(self, now: datetime) -> datetime:
        """When the first bucket begins; the last one is that in which `now` is."""
        count, length = self.buckets
        milliseconds = length // timedelta(milliseconds=1)
        return from_ms((to_ms(now) // milliseconds - count + 1) * milliseconds)


@dataclass(frozen=True, slots=True)
class Bucket:
    start: datetime
    peak: int
    """The most seats held at one moment."""
    average: float
    denials: int


def usage(days: Sequence[SeatDay], denials: Mapping[int, int], span: Span, now: datetime) -> Sequence[Bucket]:
    """The buckets that end with the one in which `now` is. `days`: from `span.start` until now; `denials`: how many in an
    hour, since the epoch.
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
