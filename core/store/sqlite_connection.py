"""A connection to SQLite that is replaced when it is beyond use."""

import contextlib
import functools
import logging
import re
import sqlite3
from pathlib import Path
from typing import Final

from core.store.folding import translate
from core.store.limits import SQLITE_PRAGMAS

logger = logging.getLogger(__name__)

CACHED_STATEMENTS: Final = 512


class ReplaceableConnection:
    """Opened with the first transaction. After a fault, `undo` leaves no transaction open, whatever that takes."""

    def __init__(self, path: Path, timeout: float) -> None:
        """`timeout`: how many seconds `begin` waits for another that is writing."""
        self._path = path
        self._timeout = timeout
        self._connection: sqlite3.Connection | None = None

    def begin(self) -> sqlite3.Connection:
        """Begins a transaction that may write. Raises `sqlite3.Error` when that is not possible now."""
        connection = self._connection
        if connection is None:
            connection = self._connection = self._open()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except BaseException as fault:
            if not _is_busy(fault):
                self.close()
            raise
        return connection

    def undo(self) -> None:
        """Rolls back. A connection that cannot even do that is closed, which undoes its transaction as well."""
        connection = self._connection
        if connection is None:
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute("SELECT 1").fetchone()
        except Exception as fault:  # noqa: BLE001 - whatever it is, the connection is not used again
            logger.warning("an SQLite connection is replaced", extra={"reason": str(fault)[:300]})
            self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            isolation_level=None,
            timeout=self._timeout,
            cached_statements=CACHED_STATEMENTS,
            check_same_thread=False,  # made and closed by the loop's thread, whichever that is
        )
        try:
            connection.row_factory = sqlite3.Row
            for pragma in SQLITE_PRAGMAS:
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
        return connection


def open_for_reading(path: Path, timeout: float) -> sqlite3.Connection:
    """Of a database that is there: none is made. Nothing can be written on it."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",  # WAL wants to write its index also for a reader
        uri=True,
        isolation_level=None,
        timeout=timeout,
        cached_statements=CACHED_STATEMENTS,
        check_same_thread=False,
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA query_only=ON")
        connection.create_function("translate", 3, translate, deterministic=True)
    except BaseException:
        connection.close()
        raise
    return connection


@functools.lru_cache(maxsize=512)
def to_sqlite(text: str) -> str:
    """A statement of a transaction (`core.store.transaction`) as SQLite takes it."""
    return re.sub(r" FOR (UPDATE|SHARE|KEY SHARE)$", "", re.sub(r"\$(\d+)", r"?\1", text))


def _is_busy(fault: BaseException) -> bool:
    """Another is writing: the connection itself is in order."""
    code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # the primary result code
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
