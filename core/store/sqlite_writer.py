"""Write to SQLite, one transaction after another, with a shared commit for those that wait at the same time.

In a shared commit, the members of a group run as one batch. All others run one by one, each in its own savepoint, so
that a failing one undoes only itself. When the shared transaction itself fails, it is rolled back and its members run
again, each in its own transaction, so that only the faulty one fails. A result is returned only after the commit.

Where the work runs is a matter of cost. On a fast disk a commit takes less time than handing it to a thread and back.
So groups run on the event loop while commits are fast and nobody else is writing. Other transactions, and everything
on a slow disk, run in a thread.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from core.store.limits import BUSY_SECONDS, UNSTORABLE
from core.store.sqlite_connection import ReplaceableConnection, to_sqlite
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

QUICK_COMMIT_SECONDS: Final = 0.001
"""The longest average duration of a commit with which commits run on the event loop."""
STUCK_SECONDS: Final = 4 * BUSY_SECONDS
"""When the thread has finished nothing for this time, its callers get an "outcome unknown". The thread waits at most
`BUSY_SECONDS` for a lock of another process, so the disk does not answer."""
_NEWEST_COUNTS: Final = 0.1
"""Weight of the newest commit in the moving average of commit times."""

T = TypeVar("T")
Group = Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]
"""Handles many payloads in one batch. Returns a result for each; `NEEDS_TRANSACTION` if it needs its own transaction.
"""


_SMALL: Final = "small"
"""The group of transactions that come through `run_small`."""


class BatchFailedError(Exception):
    """A batch failed as a whole. It is undone, and each member runs its own transaction."""


class _TransactionLostError(Exception):
    """The shared transaction is no longer open, so the work of all its members is lost."""


@dataclass(slots=True, eq=False)
class _QueuedTransaction:
    make: TransactionFactory[Any]
    group: str | None
    payload: Any
    done: asyncio.Future[Any]
    result: Any = NEEDS_TRANSACTION
    error: Exception | None = None
    given_up: bool = False
    """The caller no longer waits, so the transaction must not be started any more."""


class SqliteWriter:
    """The `Writer` for SQLite. It belongs to the event loop in which its first transaction runs."""

    def __init__(
        self, path: Path, groups: Mapping[str, Group] | None = None, *, stuck_seconds: float = STUCK_SECONDS
    ) -> None:
        self._groups = {**(groups or {}), _SMALL: _run_small_ones}
        self._stuck_seconds = stuck_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._together: list[_QueuedTransaction] = []
        self._handed_over: set[_QueuedTransaction] = (
            set()
        )  # transactions that the thread has not answered yet
        self._answers = 0
        self._watching: asyncio.TimerHandle | None = None
        self._commit_seconds = 0.0  # a moving average, so that a single checkpoint does not matter much
        self._here = ReplaceableConnection(path, timeout=0)
        self._in_thread = ReplaceableConnection(path, timeout=BUSY_SECONDS)
        self._queue: queue.SimpleQueue[_QueuedTransaction | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._closed = False
        self._thread.start()

    async def run(self, make: TransactionFactory[T]) -> T:
        waiting = self._waiting(make, None, None)
        self._hand_over([waiting])
        result: T = await waiting.done
        return result

    async def run_together(self, group: str, payload: Any, make: TransactionFactory[T]) -> T:
        waiting = self._waiting(make, group, payload)
        if not self._together:
            # Run after everything that is ready now: callers of the same turn of the event loop share a commit.
            waiting.done.get_loop().call_soon(self._flush)
        self._together.append(waiting)
        result: T = await waiting.done
        return result

    async def run_small(self, make: TransactionFactory[T]) -> T:
        return await self.run_together(_SMALL, make, make)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._flush()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._watching is not None:
            self._watching.cancel()
        self._here.close()

    def _waiting(self, make: TransactionFactory[Any], group: str | None, payload: Any) -> _QueuedTransaction:
        if self._closed:
            raise WriterClosedError
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return _QueuedTransaction(make=make, group=group, payload=payload, done=self._loop.create_future())

    def _hand_over(self, members: Sequence[_QueuedTransaction]) -> None:
        if not members:
            return
        self._handed_over.update(members)
        for waiting in members:
            self._queue.put(waiting)
        if self._watching is None and self._loop is not None:
            self._watching = self._loop.call_later(self._stuck_seconds, self._watch, self._answers)

    def _watch(self, answers_before: int) -> None:
        """Fail all waiting callers when the thread is stuck, so that nobody waits forever for the disk."""
        self._watching = None
        if self._answers == answers_before and self._handed_over:
            logger.error("the writer is stuck", extra={"transactions": len(self._handed_over)})
            for waiting in self._handed_over:
                waiting.given_up = True
                if not waiting.done.done():
                    waiting.done.set_exception(StorageUnavailableError("the writer is stuck"))
        if self._handed_over and self._loop is not None:
            self._watching = self._loop.call_later(self._stuck_seconds, self._watch, self._answers)

    def _flush(self) -> None:
        members, self._together = self._together, []
        try:
            while members and self._run_on_loop(members[:MAX_TOGETHER]):
                del members[:MAX_TOGETHER]
        finally:
            self._hand_over(members)

    def _run_on_loop(self, members: list[_QueuedTransaction]) -> bool:
        """Run transactions on the event loop, if that is cheap; return False when they are left to the thread,
        unchanged.

        A member that needs its own transaction goes to the thread.
        """
        if self._handed_over or self._commit_seconds > QUICK_COMMIT_SECONDS:
            return False
        try:
            connection = self._here.begin()
        except (sqlite3.Error, OSError):  # somebody else is writing: let the thread wait
            return False
        try:
            if len(members) > 1:
                _run_groups(connection, self._groups, members)
            else:
                _run_alone(connection, self._groups, members[0])
            self._commit(connection)
        except BaseException as fault:
            self._here.undo()
            _log_fault("a transaction on the event loop failed; the thread runs it again", fault, members)
            for waiting in members:
                _reset(waiting)
            if isinstance(fault, KeyboardInterrupt):  # Ctrl-C happened to arrive here
                raise
            return False
        left = [waiting for waiting in members if waiting.result is NEEDS_TRANSACTION]
        _resolve([waiting for waiting in members if waiting not in left] if left else members)
        for waiting in left:
            waiting.group = None
        self._hand_over(left)
        return True

    def _work(self) -> None:
        """Run in the thread. It ends only on request, and answers every transaction that it took from the queue."""
        ends = False
        while not ends:
            one = self._queue.get()
            if one is None:
                break
            members, ends = self._gather(one)
            try:
                self._run_members([waiting for waiting in members if not waiting.given_up])
            except BaseException as fault:  # noqa: BLE001 - the last safety net: no transaction may end this thread
                _log_fault("the writer failed", fault, members)
                self._in_thread.close()
                for waiting in members:
                    waiting.result, waiting.error = NEEDS_TRANSACTION, error_for_caller(fault)
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the event loop has ended, and so have the callers
                    self._loop.call_soon_threadsafe(self._answered, members)
        self._in_thread.close()

    def _gather(self, one: _QueuedTransaction) -> tuple[list[_QueuedTransaction], bool]:
        members = [one]
        while len(members) < MAX_TOGETHER:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return members, True
            members.append(following)
        return members, False

    def _run_members(self, members: list[_QueuedTransaction]) -> None:
        """Run all members in one transaction; if that fails, run each in its own."""
        if not members:
            return
        try:
            connection = self._in_thread.begin()
        except (sqlite3.Error, OSError) as locked:
            _fail(members, locked)
            return
        try:
            _run_groups(connection, self._groups, members)
            for waiting in members:
                if waiting.result is NEEDS_TRANSACTION:
                    _run_one(connection, waiting)
            self._commit(connection)
        except BaseException as fault:  # noqa: BLE001 - whatever the error, at most one member is at fault
            self._in_thread.undo()
            _log_fault("a transaction failed", fault, members)
            if len(members) > 1:
                self._run_one_by_one(members)
            else:
                _fail(members, fault)

    def _run_one_by_one(self, members: list[_QueuedTransaction]) -> None:
        for waiting in members:
            _reset(waiting)
        for index, waiting in enumerate(members):
            try:
                connection = self._in_thread.begin()
            except (sqlite3.Error, OSError) as locked:  # not this member's fault: the others would fail too
                _fail(members[index:], locked)
                return
            try:
                _run_one(connection, waiting)
                self._commit(connection)
            except BaseException as fault:  # noqa: BLE001 - passed to the caller
                self._in_thread.undo()
                _fail([waiting], fault)

    def _commit(self, connection: sqlite3.Connection) -> None:
        if not connection.in_transaction:
            raise _TransactionLostError
        started = time.perf_counter()
        connection.execute("COMMIT")
        took = time.perf_counter() - started
        self._commit_seconds += _NEWEST_COUNTS * (took - self._commit_seconds)

    def _answered(self, members: list[_QueuedTransaction]) -> None:
        self._handed_over.difference_update(members)
        self._answers += 1
        _resolve(members)


def _run_groups(
    connection: sqlite3.Connection, groups: Mapping[str, Group], members: Sequence[_QueuedTransaction]
) -> None:
    grouped: defaultdict[str, list[_QueuedTransaction]] = defaultdict(list)
    for waiting in members:
        if waiting.group is not None:
            grouped[waiting.group].append(waiting)
    for name, together in grouped.items():
        connection.execute("SAVEPOINT together")
        if not _run_batch(connection=connection, groups=groups, name=name, together=together):
            _check_open(connection)
            connection.execute("ROLLBACK TO together")
        _check_open(connection)
        connection.execute("RELEASE together")


def _run_alone(
    connection: sqlite3.Connection, groups: Mapping[str, Group], waiting: _QueuedTransaction
) -> None:
    """Run the batch of a single member, which needs no savepoint."""
    if not _run_batch(connection=connection, groups=groups, name=waiting.group or "", together=[waiting]):
        _check_open(connection)
        connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")


def _run_batch(
    connection: sqlite3.Connection,
    groups: Mapping[str, Group],
    name: str,
    together: Sequence[_QueuedTransaction],
) -> bool:
    """Run a batch; return False when it failed. Then each member runs alone, so that only the faulty one fails."""
    try:
        results = groups[name](connection, [waiting.payload for waiting in together])
        if len(results) != len(together):
            raise TypeError(f"{len(results)} results for {len(together)} transactions")  # noqa: TRY301 - handled below
    except (BatchFailedError, sqlite3.IntegrityError):
        return False
    except Exception as fault:  # noqa: BLE001 - one member's values, or a fault of the group's own
        _log_fault("a batch failed; its members run one by one", fault, together)
        return False
    for waiting, result in zip(together, results, strict=True):
        waiting.result = result
    return True


def _run_small_ones(
    connection: sqlite3.Connection, makes: Sequence[TransactionFactory[Any]]
) -> Sequence[Any]:
    """Run small transactions in one batch.

    When one fails, all are undone and run one by one, so that each reports its own error.
    """
    try:
        return [drive(connection, make()) for make in makes]
    except Exception as fault:
        raise BatchFailedError from fault


def _check_open(connection: sqlite3.Connection) -> None:
    """Raise an error when no transaction is open.

    SQLite itself rolls back after some errors, for instance a full disk. Every further statement would then commit at
    once.
    """
    if not connection.in_transaction:
        raise _TransactionLostError


def _reset(waiting: _QueuedTransaction) -> None:
    """Reset a member so that it runs again in its own transaction, because the batch may be what failed."""
    waiting.result, waiting.error, waiting.group = NEEDS_TRANSACTION, None, None


def _fail(members: Sequence[_QueuedTransaction], fault: BaseException) -> None:
    if isinstance(fault, (sqlite3.Error, OSError, _TransactionLostError)):
        logger.error("commit failed", extra={"transactions": len(members), "reason": describe(fault)})
    for waiting in members:
        if waiting.error is None or not isinstance(fault, _TransactionLostError):
            waiting.error = _error_for_caller(fault)
        waiting.result = NEEDS_TRANSACTION


def _error_for_caller(fault: BaseException) -> Exception:
    if isinstance(fault, UNSTORABLE):
        error: Exception = UnstorableValueError(describe(fault))
    elif isinstance(fault, (sqlite3.Error, OSError, _TransactionLostError)):
        error = StorageUnavailableError(str(fault) or "the transaction was lost")
    else:
        return error_for_caller(fault)
    error.__cause__ = fault
    return error


def _run_one(connection: sqlite3.Connection, waiting: _QueuedTransaction) -> None:
    """Run one transaction in a savepoint. Raises an error only when the shared transaction as a whole is in doubt."""
    connection.execute("SAVEPOINT one")
    try:
        waiting.result = drive(connection, waiting.make())
    except BaseException as fault:  # noqa: BLE001 - handed to the caller
        waiting.error = _error_for_caller(fault)
        _check_open(connection)
        connection.execute("ROLLBACK TO one")
    _check_open(connection)
    connection.execute("RELEASE one")


def drive(connection: sqlite3.Connection, transaction: Transaction[T]) -> T:
    """Run a transaction on a connection on which a transaction has begun."""
    try:
        statement = next(transaction)
        while True:
            rows = connection.execute(to_sqlite(statement.text), statement.values).fetchall()
            statement = transaction.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result


def _log_fault(what: str, fault: BaseException, members: Sequence[_QueuedTransaction]) -> None:
    logger.warning(what, extra={"transactions": len(members), "reason": describe(fault)})


def _resolve(members: Sequence[_QueuedTransaction]) -> None:
    for waiting in members:
        if waiting.done.done():  # the caller was cancelled, or got "outcome unknown"
            continue
        if waiting.error is not None:
            waiting.done.set_exception(waiting.error)
        else:
            waiting.done.set_result(waiting.result)
