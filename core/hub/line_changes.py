"""What a connector says of telephones on which something has changed: bounded, and none of it lost."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from core.budget import Budget
from wire.model import Empty
from wire.phone import MAX_LINES, LinesChanged

LINE_CHANGES: Final = (50.0, 100)
"""How often a PBX may say whose telephones have changed, a second and at once. Past it the next word comes later, and
speaks for all that were said meanwhile."""


class LineChanges:
    """Of one link. Ids that come while others wait for their turn are told together with them, so that a connector that
    says too much has its word later, and holds nothing up.
    """

    def __init__(
        self, budget: Callable[[], Budget], tell: Callable[[Collection[int]], Awaitable[None]]
    ) -> None:
        self._budget = budget
        self._tell = tell
        self._changed: set[int] = set()
        self._is_telling = False

    async def take(self, params: dict[str, Any]) -> Empty:
        """Handles `phone.changed`."""
        named = LinesChanged.model_validate(params).user_ids
        if len(self._changed) + len(named) <= MAX_LINES:  # no PBX has more of ours
            self._changed.update(named)
        if self._is_telling:
            return Empty()
        self._is_telling = True
        try:
            while self._changed:
                if seconds := self._budget().reserve():
                    await asyncio.sleep(seconds)
                told = frozenset(self._changed)
                self._changed.clear()
                await self._tell(told)
        finally:
            self._is_telling = False
        return Empty()
