"""Cache results of reads until something is committed.

It is for results that are expensive and read often, such as pages over thousands of rows. A result is never stale,
because each use compares the database's own mark of its data (`Database.data_version`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Final, Generic, TypeVar

from core.store.database import Database

MOST: Final = 64
"""How many results are cached. The least recently used one is dropped first."""

T = TypeVar("T")


class Kept(Generic[T]):
    """A cache of results by key."""

    def __init__(self, database: Database, most: int = MOST) -> None:
        self._database = database
        self._most = most
        self._values: OrderedDict[Hashable, tuple[Any, asyncio.Task[T]]] = OrderedDict()

    async def get(self, key: Hashable, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the cached result for the key, or the result of `read`.

        Concurrent callers share one read. Callers must not change the result.
        """
        # Taken before the read: a commit during the read may be in the result or not, and makes the next call read
        # again.
        version = await self._database.data_version()
        kept = self._values.get(key)
        if kept is None or version is None or kept[0] != version or _has_failed(kept[1]):
            kept = self._values[key] = (version, asyncio.create_task(read()))
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return await asyncio.shield(kept[1])


def _has_failed(reading: "asyncio.Task[Any]") -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)
