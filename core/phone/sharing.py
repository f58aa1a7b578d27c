"""Those who ask the same at the same moment share one answer."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")


class Shared(Generic[K, A]):
    """Answers are shared while they are under way and not kept thereafter."""

    def __init__(self) -> None:
        self._asking: dict[K, asyncio.Task[A]] = {}
        self._running: set[asyncio.Task[A]] = set()

    async def ask(self, key: K, question: Callable[[], Coroutine[Any, Any, A]]) -> A:
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(question())
            self._running.add(task)
            task.add_done_callback(partial(self._done, key))
        return await asyncio.shield(task)  # one of those who wait may go away

    def forget(self, key: K) -> None:
        """Something has changed: an answer on its way may be older, so later callers ask again."""
        self._asking.pop(key, None)

    def forget_all(self) -> None:
        self._asking.clear()

    def _done(self, key: K, task: asyncio.Task[A]) -> None:
        self._running.discard(task)
        if self._asking.get(key) is task:
            del self._asking[key]
        if not task.cancelled():
            task.exception()  # callers that still wait raise it
