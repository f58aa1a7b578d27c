"""Work that goes on beside the requests: it is started and not waited for, and no fault ends it silently."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
"""After a fault, work begins again: at first soon, then less and less often, but never more rarely than this."""
CANCEL_AGAIN_SECONDS: Final = 0.1
MAX_RESTING: Final = 10_000
"""Keys whose faults are remembered; beyond that the oldest are forgotten, and tried sooner."""


class Background:
    """Keeps tasks alive; the event loop itself has only weak references to them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def finish(self) -> None:
        """Waits for those that are under way now."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.error("background work failed", exc_info=fault)


async def cancel_and_wait(*tasks: "asyncio.Task[Any]") -> None:
    """Cancels tasks, and returns when they have ended. Faults with which they end are logged.

    A task that goes on is cancelled again, because a library may lose a cancellation: nats-py does while it connects, and
    `asyncio.wait_for` did before Python 3.12 when it came together with the result (python/cpython#86296).
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
    """Runs work that should never end, until cancelled: whatever ends it is logged, and it begins again after a pause."""
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
            setbacks.worked(name)
        await asyncio.sleep(
            setbacks.failed(name, fault or RuntimeError("it returned"), "work ended; begun again")
        )


@dataclass(slots=True)
class _Setback:
    pause: float
    rests_until: float


class Setbacks:
    """The members of a loop that fail (a PBX, a row): each is logged when it begins to fail, and then left alone for
    longer and longer, so that it neither ends the loop nor takes the time of the others.
    """

    def __init__(
        self, *, first_pause: float = FIRST_PAUSE_SECONDS, longest_pause: float = LONGEST_PAUSE_SECONDS
    ) -> None:
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._setbacks: dict[str, _Setback] = {}

    def rests(self, key: str) -> bool:
        setback = self._setbacks.get(key)
        return setback is not None and asyncio.get_running_loop().time() < setback.rests_until

    def failed(self, key: str, fault: BaseException, what: str, **context: Any) -> float:
        """Gives how many seconds the member rests."""
        is_first = key not in self._setbacks
        pause = self._rest(key)
        extra = {"of": key, "again_in_seconds": pause, **context}
        if is_first:
            logger.error(what, extra=extra, exc_info=fault)
        else:
            logger.warning(what, extra={**extra, "reason": type(fault).__name__})
        return pause

    def refused(self, key: str, reason: str, what: str) -> None:
        """The other side says no, or something that cannot be read: no fault of ours, so there is no traceback. Strangers
        can cause it as often as they like.
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

    def worked(self, key: str) -> None:
        self._setbacks.pop(key, None)
