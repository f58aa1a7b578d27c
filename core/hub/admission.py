"""Throttling the opening of links, by address. Only what fails counts, so that a company behind one address, whose
connectors are in order, never meets it (design, section 6).
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

FAILURES_PER_ADDRESS: Final = parse("60/minute")
"""A connector that is refused comes back about once a minute; sixty of them may share an address."""
MAX_SUSPECTS: Final = 10_000
OPENING_AT_ONCE: Final = 1000
"""Connections of one address that have not authenticated yet; each is cut after two seconds anyway."""


class Admission:
    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._opening: Counter[str] = Counter()
        self._suspects: set[str] = set()
        """Addresses from which something has failed: of all others nothing needs to be looked up."""

    @contextmanager
    def opening(self, address: str) -> Iterator[bool]:
        """Whether a connection from there may try to open a link; it counts as opening while inside."""
        is_admitted = self._opening[address] < OPENING_AT_ONCE and not (
            address in self._suspects and not self._limiter.test(FAILURES_PER_ADDRESS, "link", address)
        )
        self._opening[address] += 1
        try:
            yield is_admitted
        finally:
            self._opening[address] -= 1
            if not self._opening[address]:
                del self._opening[address]

    def failed(self, address: str) -> None:
        if len(self._suspects) >= MAX_SUSPECTS:
            self._suspects.clear()
        self._suspects.add(address)
        self._limiter.hit(FAILURES_PER_ADDRESS, "link", address)
