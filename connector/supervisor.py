"""Keeps the connector's parts running. A part that fails is logged and restarted with back-off; the others go on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from wire.connection import choose_delay

logger = logging.getLogger(__name__)

BACK_OFF_CAP_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 300.0
"""A part that has run this long starts again with the shortest back-off."""


@dataclass(slots=True)
class SupervisedPart:
    name: str
    running: bool = False
    restarts: int = 0
    last_fault: str | None = None
    """The class of the last exception. Its text appears only in the log, because it may contain words of the PBX."""
    failed_at: datetime | None = None


class Supervisor:
    def __init__(self, back_off_cap: float = BACK_OFF_CAP_SECONDS) -> None:
        self._back_off_cap = back_off_cap
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.parts: dict[str, SupervisedPart] = {}

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Call `run` again after each failure until the part is stopped. If `run` returns, its work is done."""
        state = self.parts.setdefault(name, SupervisedPart(name))
        self._tasks[name] = asyncio.create_task(self._keep(state, run), name=name)

    async def stop(self, seconds: float) -> None:
        """Cancel all parts and wait `seconds` at most; parts that have not ended by then are abandoned."""
        await self.stop_parts(seconds, *self._tasks)

    async def stop_parts(self, seconds: float, *names: str) -> None:
        """Cancel these parts, as `stop` does; they can be started again."""
        tasks = [self._tasks.pop(name) for name in names if name in self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            _done, left = await asyncio.wait(tasks, timeout=seconds)
            for task in left:
                logger.warning("a part did not stop in time", extra={"part": task.get_name()})

    async def _keep(self, state: SupervisedPart, run: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            state.running = True
            try:
                await run()
            except Exception as fault:
                logger.exception("a part failed; it is started again", extra={"part": state.name})
                state.last_fault = type(fault).__name__
                state.failed_at = datetime.now(UTC)
            else:
                return
            finally:
                state.running = False
            failures = 1 if loop.time() - started > STEADY_SECONDS else failures + 1
            state.restarts += 1
            await asyncio.sleep(choose_delay(failures, self._back_off_cap))
