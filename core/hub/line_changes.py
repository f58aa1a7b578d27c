"""Take a connector's reports of changed telephone lines: rate-limited, without losing one."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from core.budget import Budget
from wire.model import Empty
from wire.phone import MAX_LINES, LinesChanged

LINE_CHANGES: Final = (50.0, 100)
"""Reports of changed lines that a PBX may send, per second and as a burst. Beyond that, reports are delayed and
merged."""


class LineChanges:
    """The reports of one link.

    Ids that arrive while earlier ones wait are passed on together with them. So a connector that sends too much is
    delayed but blocks nothing. `notify` is called with the ids of users whose line changed.
    """

    def __init__(
        self, budget: Callable[[], Budget], notify: Callable[[Collection[int]], Awaitable[None]]
    ) -> None:
        self._budget = budget
        self._notify = notify
        self._changed: set[int] = set()
        self._is_notifying = False

    async def take(self, params: dict[str, Any]) -> Empty:
        """Handle `phone.changed`."""
        named = LinesChanged.model_validate(params).user_ids
        if len(self._changed) + len(named) <= MAX_LINES:  # no PBX has more lines of signed-in users
            self._changed.update(named)
        if self._is_notifying:
            return Empty()
        self._is_notifying = True
        try:
            while self._changed:
                if seconds := self._budget().reserve():
                    await asyncio.sleep(seconds)
                changed = frozenset(self._changed)
                self._changed.clear()
                await self._notify(changed)
        finally:
            self._is_notifying = False
        return Empty()
