"""Read from SQLite, short statements directly on the event loop.

Reading a few rows takes less time than handing the statement to a thread and back, so it is done on the event loop,
over a separate connection. A statement that turns out to be long is interrupted and handed to a thread, and so are
the next statements with the same text. Length is measured in instructions of SQLite's virtual machine, because a
clock also counts what other processes do on a busy machine. Each read is its own transaction and sees everything that
was committed before.
"""

import asyncio
import contextlib
import logging
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.store.limits import BUSY_SECONDS, STATEMENT_SECONDS, UNSTORABLE
from core.store.sqlite_connection import open_for_reading, to_sqlite
from core.store.transaction import StorageUnavailableError, UnstorableValueError, describe

logger = logging.getLogger(__name__)

HERE_INSTRUCTIONS: Final = 300_000
"""How many instructions of SQLite's virtual machine a statement may take on the event loop: some milliseconds."""
SLOW_SECONDS: Final = 0.05
"""A short statement that takes this long has waited for the disk, and counts as long."""
NEXT_ELSEWHERE: Final = 20
"""How many statements with the same text go to a thread before the event loop is tried again."""
THREADS: Final = 2
STUCK_SECONDS: Final = 2 * STATEMENT_SECONDS
"""How long to wait for a thread. A statement and its wait for a lock take less, so beyond that the disk does not
answer."""
MAX_TEXTS: Final = 512
"""How many long statements are remembered."""
_STEP: Final = 10_000
"""After how many instructions the limits are checked."""


class _ReadConnection:
    """A connection that opens with the first read and again after an error.

    `read` is interrupted after `instructions` or `seconds`.
    """

    def __init__(self, path: Path, busy_seconds: float, instructions: float, seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._instructions = instructions
        self._seconds = seconds
        self._left = 0.0
        self._until = 0.0
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    def read(self, text: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        if self._connection is None:
            self._connection = open_for_reading(self._path, self._busy_seconds)
            self._connection.set_progress_handler(self._is_over, _STEP)
            self._opened += 1
        self._left = self._instructions
        self._until = time.monotonic() + self._seconds
        try:
            return self._connection.execute(to_sqlite(text), values).fetchall()
        except sqlite3.Error as fault:
            if getattr(fault, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_INTERRUPT:
                self.close()
            raise

    def data_version(self) -> tuple[int, int] | None:
        """Return SQLite's `data_version`, which changes when another connection commits.

        It is comparable only within one connection, so the number of times a connection was opened is part of the mark.
        """
        try:
            (row,) = self.read("PRAGMA data_version", ())
        except sqlite3.Error:
            return None
        return self._opened, row[0]

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _is_over(self) -> bool:
        self._left -= _STEP
        return self._left < 0 or time.monotonic() > self._until


@dataclass(slots=True)
class _PendingRead:
    text: str
    values: Sequence[Any]
    done: asyncio.Future[list[sqlite3.Row]]


class SqliteReader:
    """Reads from SQLite. An instance belongs to one event loop at a time."""

    def __init__(self, path: Path, *, statement_seconds: float = STATEMENT_SECONDS) -> None:
        self._path = path
        self._statement_seconds = statement_seconds
        self._here = _ReadConnection(
            path=path, busy_seconds=0, instructions=HERE_INSTRUCTIONS, seconds=statement_seconds
        )
        self._elsewhere: dict[str, int] = {}
        """Maps the text of a long statement to the number of times it still goes to a thread."""
        self._queue: queue.SimpleQueue[_PendingRead | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    async def fetch_long(self, text: str, values: Sequence[Any]) -> Sequence[sqlite3.Row]:
        """Like `fetch`, for a statement that is known to be long: it goes to a thread directly."""
        return await self._in_thread(text, values)

    async def fetch(self, text: str, values: Sequence[Any]) -> Sequence[sqlite3.Row]:
        """Return the rows of a statement. Raises StorageUnavailableError and UnstorableValueError."""
        elsewhere = self._elsewhere.get(text, 0)
        if elsewhere:
            self._elsewhere[text] = elsewhere - 1
            return await self._in_thread(text, values)
        begun = time.monotonic()
        try:
            rows = self._here.read(text, values)
        except UNSTORABLE as unstorable:
            raise UnstorableValueError(describe(unstorable)) from unstorable
        except (
            sqlite3.Error,
            OSError,
        ):  # long, locked or broken: a thread has its own connection and can wait
            self._is_long(text)
            return await self._in_thread(text, values)
        if time.monotonic() - begun > SLOW_SECONDS:
            self._is_long(text)
        return rows

    async def data_version(self) -> tuple[int, int] | None:
        return self._here.data_version()

    async def close(self) -> None:
        threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            await asyncio.to_thread(thread.join)
        self._here.close()

    async def _in_thread(self, text: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        if not self._threads:
            for number in range(THREADS):
                name = f"sqlite-reader-{number}"
                thread = threading.Thread(target=self._work, args=(self._queue,), name=name, daemon=True)
                thread.start()
                self._threads.append(thread)
        asked = _PendingRead(text, values, asyncio.get_running_loop().create_future())
        self._queue.put(asked)
        try:
            async with asyncio.timeout(STUCK_SECONDS):
                return await asked.done
        except TimeoutError as slow:
            raise StorageUnavailableError("the reader is stuck") from slow

    def _work(self, asked_for: "queue.SimpleQueue[_PendingRead | None]") -> None:
        connection = _ReadConnection(
            path=self._path, busy_seconds=BUSY_SECONDS, instructions=math.inf, seconds=self._statement_seconds
        )
        while (asked := asked_for.get()) is not None:
            if asked.done.cancelled():
                continue
            rows: list[sqlite3.Row] = []
            error: Exception | None = None
            try:
                rows = connection.read(asked.text, asked.values)
            except UNSTORABLE as unstorable:
                error = UnstorableValueError(describe(unstorable))
                error.__cause__ = unstorable
            except Exception as fault:  # noqa: BLE001 - passed to the caller
                logger.warning("a read failed", extra={"reason": describe(fault)})
                error = StorageUnavailableError(f"{type(fault).__name__}: {fault}")
                error.__cause__ = fault
            with contextlib.suppress(RuntimeError):  # the event loop has ended, and so has the caller
                asked.done.get_loop().call_soon_threadsafe(_resolve, asked, rows, error)
        connection.close()

    def _is_long(self, text: str) -> None:
        if len(self._elsewhere) >= MAX_TEXTS:
            self._elsewhere.clear()
        self._elsewhere[text] = NEXT_ELSEWHERE


def _resolve(asked: _PendingRead, rows: list[sqlite3.Row], error: Exception | None) -> None:
    if asked.done.done():
        return
    if error is not None:
        asked.done.set_exception(error)
    else:
        asked.done.set_result(rows)
