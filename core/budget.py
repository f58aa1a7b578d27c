"""Budgets in memory: how often something may happen, as token buckets by the monotonic clock."""

import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

MAX_KEYS: Final = 20_000
"""Buckets kept for one budget. The one that was used longest ago goes first: it is full again, or nearly."""


class Budget:
    """One bucket: `burst` at once, and `per_second` in the long run."""

    __slots__ = ("_at", "_burst", "_left", "_per_second")

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = burst
        self._at = time.monotonic()

    @property
    def has(self) -> bool:
        self._refill()
        return self._left >= 1

    def take(self) -> bool:
        """Whether there was one left; it is gone now."""
        if not self.has:
            return False
        self._left -= 1
        return True

    def spend(self) -> None:
        """Takes one, whether or not there is one left."""
        self._refill()
        self._left = max(0.0, self._left - 1)

    def give_back(self) -> None:
        self._left = min(self._burst, self._left + 1)

    @property
    def is_full(self) -> bool:
        self._refill()
        return self._left >= self._burst

    def reserve(self) -> float:
        """Takes one in any case; gives the seconds after which it may be used."""
        self._refill()
        self._left -= 1
        return max(0.0, -self._left / self._per_second)

    def _refill(self) -> None:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now


class Budgets:
    """A bucket for each key, for instance for each address."""

    def __init__(self, per_second: float, burst: float, max_keys: int = MAX_KEYS) -> None:
        self._per_second = per_second
        self._burst = burst
        self._max_keys = max_keys
        self._of: OrderedDict[Hashable, Budget] = OrderedDict()

    def __getitem__(self, key: Hashable) -> Budget:
        budget = self._of.get(key)
        if budget is None:
            if len(self._of) >= self._max_keys:
                self._of.popitem(last=False)
            budget = self._of[key] = Budget(self._per_second, self._burst)
        self._of.move_to_end(key)
        return budget

    def give_back(self, key: Hashable) -> None:
        budget = self._of.get(key)
        if budget is not None:
            budget.give_back()
            if budget.is_full:
                del self._of[key]

    def forget(self, key: Hashable) -> None:
        self._of.pop(key, None)

    def has(self, key: Hashable) -> bool:
        """Without making a bucket for a key that has none."""
        budget = self._of.get(key)
        return budget is None or budget.has


def address_group(address: str) -> str:
    """What counts as one address: an IPv4 address, and an IPv6 network of /64, which any one host has to itself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


@contextmanager
def counted(counts: Counter[str], key: str) -> Iterator[None]:
    """One more of this key while inside."""
    counts[key] += 1
    try:
        yield
    finally:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]
