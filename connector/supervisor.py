"""Keeps the connector's parts running: one that fails is logged, started again with back-off, and never ends another."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

logger = logging.getLogger(__name__)

BACK_OFF_CAP_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 300.0
"""A part that has run for so long begins with the shortest back-off again."""


@dataclass(slots=True)
class PartState:
    name: str
    running: bool = False
    restarts: int = 0
    last_fault: str | None = None
    """The class of the last exception; its text may hold words of the PBX and stays in the log."""
    failed_at: datetime | None = None


class Supervisor:
    def __init__(self, back_off_cap: float = BACK_OFF_CAP_SECONDS) -> None:
        self._back_off_cap = back_off_cap
        self._tasks: list[asyncio.Task[None]] = []
        self.parts: dict[str, PartState] = {}

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """`run` is called until the supervisor stops; one that returns has done its work and is not called again."""
        state = self.parts[name] = PartState(name)
        self._tasks.append(asyncio.create_task(self._keep(state, run), name=name))

    async def stop(self, seconds: float) -> None:
        """Cancels every part; one that does not end in time is left behind."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _done, left = await asyncio.wait(self._tasks, timeout=seconds)
            for task in left:
                logger.warning("a part did not stop in time", extra={"part": task.get_name()})

    async def _keep(self, state: PartState, run: Callable[[], Awaitable[None]]) -> None:
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
            # Full jitter, so that many connectors do not come back in step.
            await asyncio.sleep(random.uniform(0, min(self._back_off_cap, 2.0**failures)))  # noqa: S311
