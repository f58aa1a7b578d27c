"""In-memory rate limits: token buckets that are refilled by the monotonic clock."""

import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

MAX_KEYS: Final = 20_000
"""Number of buckets in one `Budgets`. The least recently used one is dropped first: it is (nearly) full again."""


class Budget:
    """One token bucket: up to `burst` events at once, and `per_second` events on average."""

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
        """Take a token; return False if there was none left."""
        if not self.has:
            return False
        self._left -= 1
        return True

    def spend(self) -> None:
        """Take a token if there is one left; do nothing otherwise."""
        self._refill()
        self._left = max(0.0, self._left - 1)

    def give_back(self) -> None:
        self._left = min(self._burst, self._left + 1)

    @property
    def is_full(self) -> bool:
        self._refill()
        return self._left >= self._burst

    def reserve(self) -> float:
        """Take a token in advance if need be; return the seconds to wait before it may be used."""
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
        """Return whether this key has a token left. Unlike `self[key].has`, this creates no bucket."""
        budget = self._of.get(key)
        return budget is None or budget.has


def address_group(address: str) -> str:
    """Return the key by which a client address is rate limited: an IPv4 address, or the /64 network of an IPv6 address.

    A single IPv6 host usually has a whole /64 to itself. Text that is no IP address is returned, cut to 64 characters.
    """
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
    """Count `key` up on entry and down on exit; a key whose count is 0 is removed."""
    counts[key] += 1
    try:
        yield
    finally:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]
