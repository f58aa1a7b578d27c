"""Write to PostgreSQL through asyncpg.

Payloads of a group that wait at the same time share one statement. Every other transaction gets its own connection
from a small pool. When the statement of a group fails, each member runs its own transaction, so that only the faulty
one fails.
"""

import asyncio
import logging
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import asyncpg

from core.store.limits import (
    CONNECT_SECONDS,
    POSTGRES_GONE,
    POSTGRES_REFUSED,
    STATEMENT_SECONDS,
    UNSTORABLE,
)
from core.store.transaction import (
    MAX_TOGETHER,
    NEEDS_TRANSACTION,
    StorageUnavailableError,
    Transaction,
    TransactionFactory,
    UnstorableValueError,
    WriterClosedError,
    describe,
    error_for_caller,
)

logger = logging.getLogger(__name__)

POOL_SIZE: Final = 5
LOCK_MS: Final = 500
"""How long the statement of a group waits for a lock, so that a lock on one PBX does not delay the others."""
REPLAYS: Final = 5
"""How often a transaction is tried when it conflicts with another one (deadlock, serialization, unique row)."""

T = TypeVar("T")
Group = Callable[["asyncpg.Connection[Any]", Sequence[Any]], Awaitable[Sequence[Any]]]
"""Handles many payloads in one statement. Returns a result for each; `NEEDS_TRANSACTION` if it needs its own
transaction."""

_CONFLICTS: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
)


@dataclass(slots=True)
class _QueuedPayload:
    payload: Any
    done: asyncio.Future[Any]


class PostgresWriter:
    """The `Writer` for PostgreSQL."""

    def __init__(
        self,
        dsn: str,
        groups: Mapping[str, Group] | None = None,
        tls: ssl.SSLContext | str | None = None,
    ) -> None:
        self._dsn = dsn
        self._tls = tls
        self._groups = groups or {}
        self._waiting: defaultdict[str, list[_QueuedPayload]] = defaultdict(list)
        self._closed = False
        self._pool: asyncpg.Pool[Any] | None = None
        self._pool_lock = asyncio.Lock()
        self._together_connection: asyncpg.Connection[Any] | None = None
        self._sending = asyncio.Lock()  # held by the user of that connection
        self._work: asyncio.Task[None] | None = None

    async def run(self, make: TransactionFactory[T]) -> T:
        if self._closed:
            raise WriterClosedError
        met: Exception | None = None
        for _attempt in range(REPLAYS):
            try:
                return await self._run_one(make)
            except _CONFLICTS as another:
                met = another
        raise StorageUnavailableError(str(met)) from met

    async def run_together(self, group: str, payload: Any, make: TransactionFactory[T]) -> T:
        if self._closed:
            raise WriterClosedError
        waiting = _QueuedPayload(payload, asyncio.get_running_loop().create_future())
        if self._work is None and not self._sending.locked():
            # Fast path: a single caller sends directly; a helper task would add about 5 % latency.
            async with self._sending:
                await self._run_batch(group, [waiting])
        else:
            self._waiting[group].append(waiting)
            if self._work is None:
                self._work = asyncio.create_task(self._drain_queue())
        result = await waiting.done
        if result is NEEDS_TRANSACTION:
            return await self.run(make)
        done: T = result
        return done

    async def run_small(self, make: TransactionFactory[T]) -> T:
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

    async def _run_one(self, make: TransactionFactory[T]) -> T:
        try:
            pool = await self._connected_pool()
            async with (
                pool.acquire(timeout=STATEMENT_SECONDS) as connection,
                connection.transaction(),
            ):
                return await drive(connection, make())
        except UNSTORABLE as unstorable:
            raise UnstorableValueError(describe(unstorable)) from unstorable
        except (*POSTGRES_GONE, *POSTGRES_REFUSED) as gone:
            raise StorageUnavailableError(f"{type(gone).__name__}: {gone}") from gone
        except Exception:
            raise
        except BaseException as fault:
            task = asyncio.current_task()
            if isinstance(fault, KeyboardInterrupt) or (task is not None and task.cancelling()):
                raise
            raise error_for_caller(
                fault
            ) from fault  # raised by the transaction itself; it would end a task or the event loop

    async def _connected_pool(self) -> "asyncpg.Pool[Any]":
        async with self._pool_lock:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    ssl=self._tls,
                    min_size=0,
                    max_size=POOL_SIZE,
                    timeout=CONNECT_SECONDS,
                    command_timeout=STATEMENT_SECONDS,
                )
            return self._pool

    async def _drain_queue(self) -> None:
        """Send batches until the queue is empty. It runs as a task of its own, so that no cancelled caller interrupts
        it.
        """
        try:
            async with self._sending:
                while any(self._waiting.values()):
                    for group in list(self._waiting):
                        members = self._waiting[group][:MAX_TOGETHER]
                        if members:
                            del self._waiting[group][: len(members)]
                            await self._run_batch(group, members)
                    # Callers that have just been answered and call again at once form the next batch together.
                    await asyncio.sleep(0)
        finally:
            self._work = None
            # The queue is empty unless this task was cancelled; then each caller runs its own transaction.
            for group in list(self._waiting):
                _resolve(self._waiting.pop(group), NEEDS_TRANSACTION)

    async def _run_batch(self, group: str, members: list[_QueuedPayload]) -> None:
        """Run a batch as one statement, which is its own transaction. If it fails, each member runs its own
        transaction.
        """
        outcome: Any = NEEDS_TRANSACTION
        try:
            outcome = await self._send(group, members)
        except (*_CONFLICTS, asyncpg.LockNotAvailableError):
            pass
        except UNSTORABLE as unstorable:
            logger.warning(
                "a batch contains a value that cannot be stored", extra=_context(group, members, unstorable)
            )
        except (*POSTGRES_GONE, *POSTGRES_REFUSED) as gone:
            logger.warning("connection to the database lost", extra=_context(group, members, gone))
            outcome = StorageUnavailableError(f"{type(gone).__name__}: {gone}")
            self._replace_connection()
        except Exception as fault:  # noqa: BLE001 - one member's values, or a fault of the group's own
            logger.warning(
                "a batch failed; its members run one by one", extra=_context(group, members, fault)
            )
            self._replace_connection()
        except BaseException as fault:
            self._replace_connection()
            if isinstance(fault, (asyncio.CancelledError, KeyboardInterrupt)):
                raise
            logger.warning(
                "a batch failed; its members run one by one", extra=_context(group, members, fault)
            )
        finally:
            _resolve(members, outcome)

    async def _send(self, group: str, members: list[_QueuedPayload]) -> Sequence[Any]:
        connection = self._together_connection
        if connection is None or connection.is_closed():
            connection = self._together_connection = await asyncpg.connect(
                self._dsn,
                ssl=self._tls,
                timeout=CONNECT_SECONDS,
                command_timeout=STATEMENT_SECONDS,
            )
            await connection.execute(f"SET lock_timeout = {LOCK_MS}")
        results = await self._groups[group](connection, [waiting.payload for waiting in members])
        if connection.is_in_transaction():
            raise RuntimeError("the batch left a transaction open")
        if len(results) != len(members):
            raise TypeError(f"{len(results)} results for {len(members)} transactions")
        return results

    def _replace_connection(self) -> None:
        """Drop the connection, whose state is unknown; the next batch opens a new one."""
        if self._together_connection is not None:
            self._together_connection.terminate()
            self._together_connection = None


def _resolve(members: Sequence[_QueuedPayload], outcome: Any) -> None:
    """Hand the outcome to the callers: a result for each, or an error or `NEEDS_TRANSACTION` for all."""
    for index, waiting in enumerate(members):
        if waiting.done.done():
            continue
        if isinstance(outcome, Exception):
            waiting.done.set_exception(outcome)
        else:
            waiting.done.set_result(NEEDS_TRANSACTION if outcome is NEEDS_TRANSACTION else outcome[index])


def _context(group: str, members: Sequence[_QueuedPayload], fault: BaseException) -> dict[str, Any]:
    return {"group": group, "transactions": len(members), "reason": describe(fault)}


async def drive(connection: Any, transaction: Transaction[T]) -> T:
    """Run a transaction on a connection on which a transaction has begun."""
    try:
        statement = next(transaction)
        while True:
            rows = await connection.fetch(statement.text, *statement.values)
            statement = transaction.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result
