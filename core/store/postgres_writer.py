"""Writes to PostgreSQL through asyncpg. What belongs to a group goes out together, in one statement for all that
wait (design, section 9); every other transaction has a connection of its own from a small pool.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import asyncpg

from core.store.script import (
    MAX_TOGETHER,
    NOT_THIS_WAY,
    MakeScript,
    Script,
    StorageUnavailableError,
    WriterClosedError,
)

logger = logging.getLogger(__name__)

POOL_SIZE: Final = 5
CONNECT_SECONDS: Final = 10.0
STATEMENT_SECONDS: Final = 30.0
REPLAYS: Final = 5
"""How often a transaction that met another (deadlock, serialization, a unique row) is played again."""

T = TypeVar("T")
Group = Callable[["asyncpg.Connection[Any]", Sequence[Any]], Awaitable[Sequence[Any]]]
"""Does many payloads in one statement; gives a result for each, `NOT_THIS_WAY` for one that needs its script."""

_MET_ANOTHER: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
)
_GONE: Final = (
    *(OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError),
    asyncpg.InternalClientError,  # a connection that was cut in the middle of something
)
_REFUSED: Final = (asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError)


@dataclass(slots=True)
class _Waiting:
    payload: Any
    done: asyncio.Future[Any]


class PostgresWriter:
    def __init__(self, dsn: str, groups: Mapping[str, Group] | None = None) -> None:
        self._dsn = dsn
        self._groups = groups or {}
        self._waiting: defaultdict[str, list[_Waiting]] = defaultdict(list)
        self._closed = False
        self._pool: asyncpg.Pool[Any] | None = None
        self._pool_lock = asyncio.Lock()
        self._together_connection: asyncpg.Connection[Any] | None = None
        self._sending = asyncio.Lock()  # by whoever uses that connection
        self._work: asyncio.Task[None] | None = None

    async def run(self, make: MakeScript[T]) -> T:
        if self._closed:
            raise WriterClosedError
        met: Exception | None = None
        for _attempt in range(REPLAYS):
            try:
                return await self._play(make)
            except _MET_ANOTHER as another:
                met = another
        raise StorageUnavailableError(str(met)) from met

    async def run_together(self, group: str, payload: Any, make: MakeScript[T]) -> T:
        if self._closed:
            raise WriterClosedError
        waiting = _Waiting(payload, asyncio.get_running_loop().create_future())
        if self._work is None and not self._sending.locked():
            # Whoever comes alone sends by itself: a task between costs it a twentieth of its time.
            async with self._sending:
                await self._together(group, [waiting])
        else:
            self._waiting[group].append(waiting)
            if self._work is None:
                self._work = asyncio.create_task(self._work_off())
        result = await waiting.done
        if result is NOT_THIS_WAY:
            return await self.run(make)
        done: T = result
        return done

    async def run_small(self, make: MakeScript[T]) -> T:
        return await self.run(make)

    async def close(self) -> None:
        self._closed = True
        if self._work is not None:
            await self._work
        async with self._sending:
            if self._together_connection is not None:
                await self._together_connection.close()
        if self._pool is not None:
            await self._pool.close()

    async def _play(self, make: MakeScript[T]) -> T:
        try:
            pool = await self._connected_pool()
            async with pool.acquire() as connection, connection.transaction():
                return await play(connection, make())
        except (*_GONE, *_REFUSED) as gone:
            raise StorageUnavailableError(f"{type(gone).__name__}: {gone}") from gone

    async def _connected_pool(self) -> "asyncpg.Pool[Any]":
        async with self._pool_lock:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=0,
                    max_size=POOL_SIZE,
                    timeout=CONNECT_SECONDS,
                    command_timeout=STATEMENT_SECONDS,
                )
            return self._pool

    async def _work_off(self) -> None:
        """Sends what waits, as long as something waits: a task of its own, which no caller's end cuts short."""
        async with self._sending:
            while any(self._waiting.values()):
                for group in list(self._waiting):
                    members = self._waiting[group][:MAX_TOGETHER]
                    if members:
                        del self._waiting[group][: len(members)]
                        await self._together(group, members)
                # Those who were answered come again together, if they come again at once.
                await asyncio.sleep(0)
        self._work = None

    async def _together(self, group: str, members: list[_Waiting]) -> None:
        """One statement, committed by itself. One member that spoils it sends all of them the long way."""
        outcome: Sequence[Any] | Exception
        try:
            if self._together_connection is None or self._together_connection.is_closed():
                self._together_connection = await asyncpg.connect(
                    self._dsn,
                    timeout=CONNECT_SECONDS,
                    command_timeout=STATEMENT_SECONDS,
                )
            outcome = await self._groups[group](
                self._together_connection, [waiting.payload for waiting in members]
            )
        except _MET_ANOTHER:
            outcome = [NOT_THIS_WAY] * len(members)
        except (*_GONE, *_REFUSED) as gone:
            logger.warning("the database is gone", extra={"reason": f"{type(gone).__name__}: {gone}"[:300]})
            outcome = StorageUnavailableError(f"{type(gone).__name__}: {gone}")
            if self._together_connection is not None:  # whatever state it is in: the next has one of its own
                self._together_connection.terminate()
                self._together_connection = None
        except Exception as fault:
            logger.exception("a group failed", extra={"group": group})
            outcome = fault
        for index, waiting in enumerate(members):
            if waiting.done.done():
                continue
            if isinstance(outcome, Exception):
                waiting.done.set_exception(outcome)
            else:
                waiting.done.set_result(outcome[index])


async def play(connection: Any, script: Script[T]) -> T:
    """Drives a script on a connection that is in a transaction."""
    try:
        statement = next(script)
        while True:
            rows = await connection.fetch(statement.text, *statement.values)
            statement = script.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result
