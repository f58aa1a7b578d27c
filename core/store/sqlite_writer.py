"""Writes to SQLite, one transaction after the other, and commits what waits together (design, section 9).

Transactions that wait at the same time share one commit: those of one group in one go, all others one by one,
each in a savepoint of its own, so that one that fails undoes only itself. A result is handed out only after the
commit that made it last.

Where the work is done is a matter of cost. On a quick disk a commit takes less time than handing it to a thread
and back, so a group's work is done on the event loop, as long as commits are quick and nobody else is writing;
scripts, and everything on a slow disk, are done by a thread.
"""

import asyncio
import contextlib
import functools
import logging
import queue
import re
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from core.store.database import BUSY_SECONDS, SQLITE_PRAGMAS
from core.store.script import (
    MAX_TOGETHER,
    NOT_THIS_WAY,
    MakeScript,
    Script,
    StorageUnavailableError,
    WriterClosedError,
)

logger = logging.getLogger(__name__)

QUICK_COMMIT_SECONDS: Final = 0.001
"""While commits take longer on average, none is done on the event loop."""
_NEWEST_COUNTS: Final = 0.1

T = TypeVar("T")
Group = Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]
"""Does many payloads in one go; gives a result for each, `NOT_THIS_WAY` for one that needs its script."""


_SMALL: Final = "small"


class SpoiltError(Exception):
    """A group cannot be done together: undone, and each member's script is run."""


@dataclass(slots=True)
class _Waiting:
    make: MakeScript[Any]
    group: str | None
    payload: Any
    done: asyncio.Future[Any]
    result: Any = NOT_THIS_WAY
    error: BaseException | None = None


class SqliteWriter:
    """For one event loop: the one that runs when its first transaction comes."""

    def __init__(self, path: Path, groups: Mapping[str, Group] | None = None) -> None:
        self._path = path
        self._groups = {**(groups or {}), _SMALL: _run_small_ones}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._together: list[_Waiting] = []
        self._handed_over = 0  # transactions that the thread has and has not answered
        self._commit_seconds = 0.0  # a moving average, so that one checkpoint does not decide
        self._connection: sqlite3.Connection | None = None
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._closed = False
        self._thread.start()

    async def run(self, make: MakeScript[T]) -> T:
        waiting = self._waiting(make, None, None)
        self._hand_over([waiting])
        result: T = await waiting.done
        return result

    async def run_together(self, group: str, payload: Any, make: MakeScript[T]) -> T:
        waiting = self._waiting(make, group, payload)
        if not self._together:
            # After everything that is ready now: whoever comes in the same turn of the loop is done together.
            waiting.done.get_loop().call_soon(self._flush)
        self._together.append(waiting)
        result: T = await waiting.done
        return result

    async def run_small(self, make: MakeScript[T]) -> T:
        return await self.run_together(_SMALL, make, make)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._flush()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._connection is not None:
            self._connection.close()

    def _waiting(self, make: MakeScript[Any], group: str | None, payload: Any) -> _Waiting:
        if self._closed:
            raise WriterClosedError
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return _Waiting(make, group, payload, self._loop.create_future())

    def _hand_over(self, members: Sequence[_Waiting]) -> None:
        self._handed_over += len(members)
        for waiting in members:
            self._queue.put(waiting)

    def _flush(self) -> None:
        members, self._together = self._together, []
        while members and self._done_here(members[:MAX_TOGETHER]):
            del members[:MAX_TOGETHER]
        self._hand_over(members)

    def _done_here(self, members: list[_Waiting]) -> bool:
        """Does them on the event loop, if that costs it little; one that needs its script goes to the thread."""
        if self._handed_over or self._commit_seconds > QUICK_COMMIT_SECONDS:
            return False
        try:
            if self._connection is None:
                self._connection = self._connect(timeout=0)
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:  # somebody else is writing: waiting is for the thread
            return False
        self._do(self._connection, members, scripts=False)
        left = [waiting for waiting in members if waiting.result is NOT_THIS_WAY and waiting.error is None]
        _hand_out([waiting for waiting in members if waiting not in left] if left else members)
        for waiting in left:
            waiting.group = None
        self._hand_over(left)
        return True

    def _connect(self, timeout: float) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            isolation_level=None,
            timeout=timeout,
            cached_statements=512,
            check_same_thread=False,  # made and closed by the loop's thread, whichever that is
        )
        connection.row_factory = sqlite3.Row
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)
        return connection

    def _work(self) -> None:
        connection = self._connect(timeout=BUSY_SECONDS)
        try:
            while (one := self._queue.get()) is not None:
                members, ends = self._gather(one)
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except sqlite3.Error as locked:
                    _fail(members, locked)
                else:
                    self._do(connection, members, scripts=True)
                if self._loop is not None:
                    with contextlib.suppress(RuntimeError):  # the loop has ended, and the callers with it
                        self._loop.call_soon_threadsafe(self._answered, members)
                if ends:
                    break
        finally:
            connection.close()

    def _gather(self, one: _Waiting) -> tuple[list[_Waiting], bool]:
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

    def _do(self, connection: sqlite3.Connection, members: list[_Waiting], *, scripts: bool) -> None:
        """The rest of a transaction that has begun; when it fails (a full disk), nothing of it was made last."""
        try:
            if len(members) > 1 or scripts:
                _run_groups(connection, self._groups, members)
            else:
                _run_alone(connection, self._groups, members[0])
            for waiting in members if scripts else ():
                if waiting.result is NOT_THIS_WAY:
                    _run_one(connection, waiting)
            started = time.perf_counter()
            connection.execute("COMMIT")
        except sqlite3.Error as fault:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            _fail(members, fault)
        else:
            took = time.perf_counter() - started
            self._commit_seconds += _NEWEST_COUNTS * (took - self._commit_seconds)

    def _answered(self, members: list[_Waiting]) -> None:
        self._handed_over -= len(members)
        _hand_out(members)


def _run_groups(
    connection: sqlite3.Connection, groups: Mapping[str, Group], members: Sequence[_Waiting]
) -> None:
    grouped: defaultdict[str, list[_Waiting]] = defaultdict(list)
    for waiting in members:
        if waiting.group is not None:
            grouped[waiting.group].append(waiting)
    for name, together in grouped.items():
        connection.execute("SAVEPOINT together")
        if not _is_done(connection, groups[name], together):
            connection.execute("ROLLBACK TO together")
        connection.execute("RELEASE together")


def _run_alone(connection: sqlite3.Connection, groups: Mapping[str, Group], waiting: _Waiting) -> None:
    """The only one of its transaction needs no savepoint."""
    if not _is_done(connection, groups[waiting.group or ""], [waiting]):
        connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")


def _is_done(connection: sqlite3.Connection, group: Group, together: Sequence[_Waiting]) -> bool:
    """Does them together; if that cannot be, the scripts find out what is the matter, one by one."""
    try:
        results = group(connection, [waiting.payload for waiting in together])
    except (SpoiltError, sqlite3.IntegrityError):
        return False
    for waiting, result in zip(together, results, strict=True):
        waiting.result = result
    return True


def _run_small_ones(connection: sqlite3.Connection, makes: Sequence[MakeScript[Any]]) -> Sequence[Any]:
    """One after the other; when one fails, all are undone and each is run by itself, to fail there with its own word."""
    try:
        return [play(connection, make()) for make in makes]
    except Exception as fault:
        raise SpoiltError from fault


def _fail(members: Sequence[_Waiting], fault: sqlite3.Error) -> None:
    logger.error("commit failed", extra={"transactions": len(members), "reason": str(fault)})
    for waiting in members:
        waiting.error = StorageUnavailableError(str(fault))


def _run_one(connection: sqlite3.Connection, waiting: _Waiting) -> None:
    connection.execute("SAVEPOINT one")
    try:
        waiting.result = play(connection, waiting.make())
    except sqlite3.Error as fault:
        waiting.error = StorageUnavailableError(str(fault))
        waiting.error.__cause__ = fault
    except Exception as fault:  # noqa: BLE001 - handed to whoever asked
        waiting.error = fault
    if waiting.error is not None and connection.in_transaction:
        connection.execute("ROLLBACK TO one")
    if connection.in_transaction:
        connection.execute("RELEASE one")


def play(connection: sqlite3.Connection, script: Script[T]) -> T:
    """Drives a script on a connection that is in a transaction."""
    try:
        statement = next(script)
        while True:
            rows = connection.execute(to_sqlite(statement.text), statement.values).fetchall()
            statement = script.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result


@functools.lru_cache(maxsize=512)
def to_sqlite(text: str) -> str:
    return re.sub(r"\$(\d+)", r"?\1", text).removesuffix(" FOR UPDATE")


def _hand_out(members: Sequence[_Waiting]) -> None:
    for waiting in members:
        if waiting.done.cancelled():
            continue
        if waiting.error is not None:
            waiting.done.set_exception(waiting.error)
        else:
            waiting.done.set_result(waiting.result)
