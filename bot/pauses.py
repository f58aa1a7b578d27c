"""Pauses notices to an organisation while the channel throttles it.

Teams limits the messages of a bot for each conversation and for each organisation (about 50 a second). Status 429 does not
say which limit was reached. If two conversations of an organisation are throttled at about the same time, it is the limit
of the organisation. https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

SAME_TIME_SECONDS: Final = 10.0
"""Longest interval, in seconds, between two throttled conversations of one organisation that counts as its limit."""
MIN_PAUSE: Final = timedelta(seconds=1)
"""Shortest pause, also used if the channel names none, since it counts by the second."""
MAX_PAUSE: Final = timedelta(minutes=1)
MAX_TENANTS: Final = 10_000
"""Number of organisations that are remembered."""


@dataclass(slots=True)
class _Throttled:
    object_id: str
    at: float
    until: float = 0.0


class Pauses:
    def __init__(self) -> None:
        self._tenants: dict[str, _Throttled] = {}

    def record_throttled(self, tenant_id: str, object_id: str, wait: timedelta | None) -> None:
        """Record that the channel throttled a message to this person. `wait` is the pause that it asked for, if any."""
        time = asyncio.get_running_loop().time()
        before = self._tenants.pop(tenant_id, None)
        while len(self._tenants) >= MAX_TENANTS:
            del self._tenants[next(iter(self._tenants))]
        now = self._tenants[tenant_id] = _Throttled(object_id, time)
        if before is None:
            return
        now.until = before.until
        if before.object_id != object_id and time - before.at < SAME_TIME_SECONDS:
            pause = min(max(wait or MIN_PAUSE, MIN_PAUSE), MAX_PAUSE)
            now.until = max(now.until, time + pause.total_seconds())

    def get_remaining(self, tenant_id: str) -> timedelta:
        """Return the rest of the organisation's pause; zero if there is none."""
        throttled = self._tenants.get(tenant_id)
        seconds = throttled.until - asyncio.get_running_loop().time() if throttled is not None else 0.0
        return timedelta(seconds=max(seconds, 0.0))
