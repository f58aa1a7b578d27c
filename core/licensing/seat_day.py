"""How the seats of a PBX were held on one day (UTC): a pure computation, and the compact form in which a day is stored.

A day that is over does not change any more. The table `usage_day` stores what reports need of it: the peaks and sums of
its hours, and every moment at which a seat was taken or given back. This suffices for a month of 10,000 people.
"""

import json
import sys
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, compress, repeat
from operator import mul, sub
from typing import Final, NamedTuple

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


class Held(NamedTuple):
    """One seat that one PBX user held. `since` and `until` are milliseconds since the epoch."""

    pbx_user_id: int
    since: int
    until: int


class Hour(NamedTuple):
    peak: int
    """The largest number of seats held at one moment."""
    held: int
    """How long seats were held, added up over all seats, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Steps:
    """All moments of a day at which a seat was taken or given back, in order; the three arrays run in parallel.

    At the same moment, seats that are given back come first, so that two users in succession do not count as two seats.
    A seat that was held when the day began counts as taken at the day's first moment.
    """

    moments: "array[int]"
    """Milliseconds since the day began."""
    users: "array[int]"
    """Ids of PBX users."""
    changes: "array[int]"
    """1: taken; -1: given back."""

    @classmethod
    def of(cls, day: int, held: Iterable[Held]) -> "Steps":
        begins, ends = day * DAY_MS, (day + 1) * DAY_MS
        order: list[int] = []  # twice the moment, plus 1 for "taken"; small integers sort quickly
        users: list[int] = []
        for user, since, until in held:
            first, last = max(since, begins) - begins, min(until, ends) - begins
            if last > first:
                order += (2 * first + 1, 2 * last)
                users += (user, user)
        sequence = sorted(range(len(order)), key=order.__getitem__)
        return cls(
            array("I", [order[place] >> 1 for place in sequence]),
            array("q", [users[place] for place in sequence]),
            array("b", [1 if order[place] & 1 else -1 for place in sequence]),
        )

    def hours(self, *, without: Collection[int] = (), first: int = 0) -> Sequence[Hour]:
        """Return the 24 hours of the day.

        `without` are users who do not count. `first` is the first moment that counts, in milliseconds since the day
        began.
        """
        moments: Sequence[int] = self.moments
        changes: Sequence[int] = self.changes
        if without:
            counts = [user not in without for user in self.users]
            moments, changes = list(compress(moments, counts)), list(compress(changes, counts))
        held = list(accumulate(changes, initial=0))
        found = []
        for begins in range(0, DAY_MS, HOUR_MS):
            at, ends = max(begins, first), begins + HOUR_MS
            if at >= ends:
                found.append(Hour(0, 0))
                continue
            # `held[low]` is the number of seats held at the hour's first moment, after all steps at that moment.
            low, high = bisect_right(moments, at), bisect_left(moments, ends)
            area = held[low] * (ends - at) + sum(
                map(mul, changes[low:high], map(sub, repeat(ends), moments[low:high]))
            )
            found.append(Hour(max(held[low : high + 1]), area))
        return found

    def held_by_user(self) -> Mapping[int, int]:
        """Return how many milliseconds of the day each PBX user held a seat."""
        found: defaultdict[int, int] = defaultdict(int)
        for user, lasted in zip(
            self.users, map(mul, self.changes, map(sub, repeat(DAY_MS), self.moments)), strict=True
        ):
            found[user] += lasted
        return found

    def packed(self) -> bytes:
        """Return the compressed form that `unpacked` reads."""
        parts = (self.moments, self.users, self.changes)
        return zlib.compress(b"".join(_little(part).tobytes() for part in parts), 1)

    @classmethod
    def unpacked(cls, packed: bytes) -> "Steps":
        plain = zlib.decompress(packed)
        moments, users, changes = array("I"), array("q"), array("b")
        count = len(plain) // (moments.itemsize + users.itemsize + changes.itemsize)
        at = 0
        for part in (moments, users, changes):
            size = count * part.itemsize
            part.frombytes(plain[at : at + size])
            at += size
        return cls(*(_little(part) for part in (moments, users, changes)))


@dataclass(frozen=True, slots=True)
class SeatDay:
    number: int
    """Days since the epoch."""
    hours: Sequence[Hour]
    packed: bytes | None
    """The packed steps; None if they were not read."""

    @classmethod
    def of(cls, number: int, held: Iterable[Held]) -> "SeatDay":
        steps = Steps.of(number, held)
        return cls(number, steps.hours(), steps.packed())

    def steps(self) -> Steps:
        """Return the day's steps. Raises ValueError if they were not read."""
        if self.packed is None:
            raise ValueError("without its steps")
        return Steps.unpacked(self.packed)


def hours_as_text(hours: Sequence[Hour]) -> str:
    return json.dumps(hours, separators=(",", ":"))


def hours_of_text(text: str) -> Sequence[Hour]:
    return [Hour(*one) for one in json.loads(text)]


def _little(part: "array[int]") -> "array[int]":
    """Return the array in little-endian byte order, so that the stored bytes are the same on every machine."""
    if sys.byteorder == "little":
        return part
    swapped = array(part.typecode, part)
    swapped.byteswap()
    return swapped
