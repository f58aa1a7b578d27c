"""Organisations that get no notices for a moment, because the channel says that it takes too many.

Teams counts the messages of a bot for each conversation and for each organisation (about 50 a second), and says by status
429 that it is enough, but not of what. One conversation that is throttled says nothing of the others; two of an
organisation at about the same time do. https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

AT_ABOUT_THE_SAME_TIME: Final = 10.0
SHORTEST: Final = timedelta(seconds=1)
"""Also where the channel does not say: it counts by the second."""
LONGEST: Final = timedelta(minutes=1)
MAX_TENANTS: Final = 10_000


@dataclass(slots=True)
class _Throttled:
    object_id: str
    at: float
    until: float = 0.0


class Pauses:
    def __init__(self) -> None:
        self._tenants: dict[str, _Throttled] = {}

    def throttled(self, tenant_id: str, object_id: str, wait: timedelta | None) -> None:
        """The channel did not take a message to this person, and has said how long to wait."""
        time = asyncio.get_running_loop().time()
        before = self._tenants.pop(tenant_id, None)
        while len(self._tenants) >= MAX_TENANTS:
            del self._tenants[next(iter(self._tenants))]
        now = self._tenants[tenant_id] = _Throttled(object_id, time)
        if before is None:
            return
        now.until = before.until
        if before.object_id != object_id and time - before.at < AT_ABOUT_THE_SAME_TIME:
            pause = min(max(wait or SHORTEST, SHORTEST), LONGEST)
            now.until = max(now.until, time + pause.total_seconds())

    def left(self, tenant_id: str) -> timedelta:
        """How long the organisation is still left alone; zero: it is not."""
        throttled = self._tenants.get(tenant_id)
        seconds = throttled.until - asyncio.get_running_loop().time() if throttled is not None else 0.0
        return timedelta(seconds=max(seconds, 0.0))
