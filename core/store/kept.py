"""What was read is kept as long as nothing has been committed, and read again after that.

For what is dear to read and read often: pages over thousands of rows. Nothing is ever older than the database, because its
own mark of its data is compared at every use (`Database.data_version`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Final, Generic, TypeVar

from core.store.database import Database

MOST: Final = 64
"""Values; the one that nobody has asked for the longest goes first."""

T = TypeVar("T")


class Kept(Generic[T]):
    def __init__(self, database: Database, most: int = MOST) -> None:
        self._database = database
        self._most = most
        self._values: OrderedDict[Hashable, tuple[Any, asyncio.Task[T]]] = OrderedDict()

    async def get(self, key: Hashable, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `read` gives, or gave at the same state of the data, also to somebody who asked at the same time. Nobody
        changes what they get.
        """
        # Before the reading: what is committed meanwhile may be in it or not, and makes it be read once more.
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
