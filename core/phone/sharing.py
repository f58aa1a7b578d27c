"""Shares one answer among callers that ask the same question at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")


class Shared(Generic[K, A]):
    """Shares running requests by key. Answers are not cached after they arrive."""

    def __init__(self) -> None:
        self._asking: dict[K, asyncio.Task[A]] = {}
        self._running: set[asyncio.Task[A]] = set()

    async def ask(self, key: K, question: Callable[[], Coroutine[Any, Any, A]]) -> A:
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(question())
            self._running.add(task)
            task.add_done_callback(partial(self._done, key))
        return await asyncio.shield(task)  # a caller that is cancelled must not cancel it for the others

    def forget_if(self, fits: Callable[[K], bool]) -> None:
        """Make later callers with such a key ask again, because a running request may return an outdated answer."""
        for key in [key for key in self._asking if fits(key)]:
            del self._asking[key]

    def forget_all(self) -> None:
        self._asking.clear()

    def _done(self, key: K, task: asyncio.Task[A]) -> None:
        self._running.discard(task)
        if self._asking.get(key) is task:
            del self._asking[key]
        if not task.cancelled():
            task.exception()  # callers that still wait raise it
