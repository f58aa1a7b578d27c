"""Background tasks: started without being awaited, restarted after a failure, and never failing without a log line."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
"""Pause before the first retry after a failure; it doubles with each further failure in a row."""
LONGEST_PAUSE_SECONDS: Final = 60.0
"""Upper bound of that pause."""
CANCEL_AGAIN_SECONDS: Final = 0.1
"""How long a cancelled task has to end before it is cancelled again."""
MAX_RESTING: Final = 10_000
"""Number of keys whose failures are remembered. Beyond it the oldest are forgotten, so those are retried sooner."""


class Background:
    """Holds strong references to running tasks, because the event loop has only weak ones."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return the number of running tasks."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def finish(self) -> None:
        """Wait for the tasks that are running now."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.error("background work failed", exc_info=fault)


async def cancel_and_wait(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks and wait until all have ended. Exceptions that they raise are logged.

    A task that keeps running is cancelled again, because a library may swallow a cancellation: nats-py does so while it
    connects, and `asyncio.wait_for` did before Python 3.12 when the cancellation coincided with the result
    (python/cpython#86296).
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.error("background work failed", exc_info=fault)


async def supervise(
    name: str,
    work: Callable[[], Awaitable[None]],
    *,
    first_pause: float = FIRST_PAUSE_SECONDS,
    longest_pause: float = LONGEST_PAUSE_SECONDS,
) -> None:
    """Run `work`, which should never end, until cancelled. When it ends, log why and restart it after a pause."""
    clock = asyncio.get_running_loop().time
    setbacks = Setbacks(first_pause=first_pause, longest_pause=longest_pause)
    while True:
        began = clock()
        fault: BaseException | None = None
        try:
            await work()
        except (Exception, asyncio.CancelledError) as ended:
            task = asyncio.current_task()
            if isinstance(ended, asyncio.CancelledError) and (task is None or task.cancelling()):
                raise
            fault = ended
        if clock() - began >= longest_pause:
            setbacks.record_success(name)
        await asyncio.sleep(
            setbacks.record_failure(name, fault or RuntimeError("it returned"), "work ended; restarted")
        )


@dataclass(slots=True)
class _Setback:
    pause: float
    rests_until: float


class Setbacks:
    """Per-item exponential back-off for loops over many items (PBXs, rows).

    An item that fails is logged and skipped for a pause that doubles with each failure, so that it neither ends the loop
    nor takes time from the other items.
    """

    def __init__(
        self, *, first_pause: float = FIRST_PAUSE_SECONDS, longest_pause: float = LONGEST_PAUSE_SECONDS
    ) -> None:
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._setbacks: dict[str, _Setback] = {}

    def is_resting(self, key: str) -> bool:
        setback = self._setbacks.get(key)
        return setback is not None and asyncio.get_running_loop().time() < setback.rests_until

    def record_failure(self, key: str, fault: BaseException, what: str, **context: Any) -> float:
        """Record and log a failure of our own; return the pause before the next try, in seconds.

        The first failure in a row is logged with its traceback.
        """
        is_first = key not in self._setbacks
        pause = self._rest(key)
        extra = {"of": key, "again_in_seconds": pause, **context}
        if is_first:
            logger.error(what, extra=extra, exc_info=fault)
        else:
            logger.warning(what, extra={**extra, "reason": type(fault).__name__})
        return pause

    def record_refusal(self, key: str, reason: str, what: str) -> None:
        """Record that the other side refused or sent something unreadable.

        That is not our failure, and strangers can cause it at will, so it is logged at info level without a traceback.
        """
        pause = self._rest(key)
        logger.info(what, extra={"of": key, "again_in_seconds": pause, "reason": reason})

    def _rest(self, key: str) -> float:
        before = self._setbacks.pop(key, None)
        pause = self._first_pause if before is None else min(2 * before.pause, self._longest_pause)
        while len(self._setbacks) >= MAX_RESTING:
            del self._setbacks[next(iter(self._setbacks))]
        self._setbacks[key] = _Setback(pause, asyncio.get_running_loop().time() + pause)
        return pause

    def record_success(self, key: str) -> None:
        self._setbacks.pop(key, None)
