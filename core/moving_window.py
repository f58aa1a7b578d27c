"""A sliding-window rate limit for many keys, in bounded memory.

The `limits` package never drops a key: 100,000 hostile names cost 72 MB. Here the least recently used key is dropped
when there are too many. A key whose count still matters is used again and again, so it stays.
"""

import time
from array import array
from collections import OrderedDict
from typing import Final

MAX_KEYS: Final = 20_000


class MovingWindow:
    """Allows at most `limit` events of one key within any period of `seconds`."""

    def __init__(self, limit: int, seconds: float, max_keys: int = MAX_KEYS) -> None:
        self._limit = limit
        self._seconds = seconds
        self._max_keys = max_keys
        self._moments: OrderedDict[str, array[float]] = OrderedDict()
        """Times of the events on the monotonic clock, oldest first, at most `limit` for each key."""

    def __len__(self) -> int:
        return len(self._moments)

    def wait(self, key: str) -> float:
        """Return the seconds until the next event is allowed; 0 if it is allowed now."""
        moments = self._moments.get(key)
        if moments is None or len(moments) < self._limit:
            return 0.0
        return max(0.0, moments[0] + self._seconds - time.monotonic())

    def count(self, key: str) -> None:
        """Count an event, whether or not it was allowed."""
        now = time.monotonic()
        moments = self._moments.get(key)
        if moments is None:
            if len(self._moments) >= self._max_keys:
                self._moments.popitem(last=False)
            moments = self._moments[key] = array("d")
        self._moments.move_to_end(key)
        while moments and (moments[0] <= now - self._seconds or len(moments) >= self._limit):
            del moments[0]
        moments.append(now)

    def give_back(self, key: str) -> None:
        """Undo the last count of this key."""
        moments = self._moments.get(key)
        if moments:
            del moments[-1]
            if not moments:
                del self._moments[key]

    def take(self, key: str) -> float:
        """Count an event if it is allowed. Return the seconds to wait, as `wait` does."""
        seconds = self.wait(key)
        if not seconds:
            self.count(key)
        return seconds
