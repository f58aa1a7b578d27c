"""One thread that writes to SQLite and commits what waits together (design, section 9).

An operation is a function from a `sqlite3.Connection` to a result. Operations that wait at the same time share
one commit, each in a savepoint of its own, so that one that fails undoes only itself. A result is handed out
only after the commit that made it last.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from core.store.database import BUSY_TIMEOUT_MS, SQLITE_PRAGMAS

logger = logging.getLogger(__name__)

MAX_TOGETHER: Final = 64
"""Operations in one commit. More would let the first wait long for the last."""

T = TypeVar("T")


class WriterClosedError(Exception):
    """The service is shutting down."""


@dataclass(slots=True)
class _Waiting:
    operation: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def hand_out(self) -> None:
        if self.done.cancelled():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)


class SqliteWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._closed = False
        self._thread.start()

    async def run(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Runs one operation; returns its result after the commit, raises what it raised."""
        if self._closed:
            raise WriterClosedError
        loop = asyncio.get_running_loop()
        waiting = _Waiting(operation, loop, loop.create_future())
        self._queue.put(waiting)
        result: T = await waiting.done
        return result

    async def close(self) -> None:
        """Finishes what waits, then ends the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
        try:
            for pragma in SQLITE_PRAGMAS:
                connection.execute(pragma)
            while (first := self._queue.get()) is not None:
                together, ends = self._gather(first)
                self._commit(connection, together)
                for waiting in together:
                    with contextlib.suppress(RuntimeError):  # its loop has ended, and the caller with it
                        waiting.loop.call_soon_threadsafe(waiting.hand_out)
                if ends:
                    break
        finally:
            connection.close()

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        together = [first]
        while len(together) < MAX_TOGETHER:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return together, True
            together.append(following)
        return together, False

    def _commit(self, connection: sqlite3.Connection, together: list[_Waiting]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for waiting in together:
                self._run_one(connection, waiting)
            connection.execute("COMMIT")
        except sqlite3.Error as fault:
            logger.exception("commit failed", extra={"operations": len(together)})
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for waiting in together:
                waiting.error = fault

    @staticmethod
    def _run_one(connection: sqlite3.Connection, waiting: _Waiting) -> None:
        connection.execute("SAVEPOINT operation")
        try:
            waiting.result = waiting.operation(connection)
        except Exception as fault:  # noqa: BLE001 - handed to whoever asked
            connection.execute("ROLLBACK TO operation")
            waiting.error = fault
        connection.execute("RELEASE operation")
