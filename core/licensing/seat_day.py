"""How the seats of a PBX were held on one day (UTC): a pure computation, and the compact form in which a day is kept.

A day that is over does not change any more. What a month of 10,000 people needs of it is kept (`core.store.tables.usage_day`):
the peaks and sums of its hours, and every moment at which a seat was taken or given back.
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
    """One seat, held by one PBX user. Milliseconds since the epoch."""

    pbx_user_id: int
    since: int
    until: int


class Hour(NamedTuple):
    peak: int
    """The most seats held at one moment."""
    held: int
    """Milliseconds, of all seats together."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Every moment of a day at which a seat was taken or given back, in their order. At the same moment, what is given back
    comes first: one after the other is not both at once. Who held a seat when the day began took it at its first moment.
    """

    moments: "array[int]"
    """Milliseconds since the day began."""
    users: "array[int]"
    changes: "array[int]"
    """1 or -1."""

    @classmethod
    def of(cls, day: int, held: Iterable[Held]) -> "Steps":
        begins, ends = day * DAY_MS, (day + 1) * DAY_MS
        order: list[int] = []  # a moment, and its last bit: taken; small numbers, which are sorted quickly
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
        """The 24 hours of the day. `without`: users who do not count; `first`: nothing before that moment of the day does."""
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
            # `held[low]`: what is held at the hour's first moment, with all that was taken and given back in it.
            low, high = bisect_right(moments, at), bisect_left(moments, ends)
            area = held[low] * (ends - at) + sum(
                map(mul, changes[low:high], map(sub, repeat(ends), moments[low:high]))
            )
            found.append(Hour(max(held[low : high + 1]), area))
        return found

    def held_by_user(self) -> Mapping[int, int]:
        """How many milliseconds of the day each user held a seat."""
        found: defaultdict[int, int] = defaultdict(int)
        for user, lasted in zip(
            self.users, map(mul, self.changes, map(sub, repeat(DAY_MS), self.moments)), strict=True
        ):
            found[user] += lasted
        return found

    def packed(self) -> bytes:
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
    """The steps; None where they were not asked for."""

    @classmethod
    def of(cls, number: int, held: Iterable[Held]) -> "SeatDay":
        steps = Steps.of(number, held)
        return cls(number, steps.hours(), steps.packed())

    def steps(self) -> Steps:
        """Raises `ValueError` where they were not asked for."""
        if self.packed is None:
            raise ValueError("without its steps")
        return Steps.unpacked(self.packed)


def hours_as_text(hours: Sequence[Hour]) -> str:
    return json.dumps(hours, separators=(",", ":"))


def hours_of_text(text: str) -> Sequence[Hour]:
    return [Hour(*one) for one in json.loads(text)]


def _little(part: "array[int]") -> "array[int]":
    """The same bytes on every machine."""
    if sys.byteorder == "little":
        return part
    swapped = array(part.typecode, part)
    swapped.byteswap()
    return swapped
