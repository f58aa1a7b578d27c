"""Connections to SQLite, and one that replaces itself when it no longer works."""

import contextlib
import functools
import logging
import re
import sqlite3
from pathlib import Path
from typing import Final

from core.store.folding import octet_length, translate
from core.store.limits import SQLITE_PRAGMAS

logger = logging.getLogger(__name__)

CACHED_STATEMENTS: Final = 512


class ReplaceableConnection:
    """A connection that opens with the first transaction. After an error, `undo` makes sure that no transaction is
    open.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        """`timeout`: how many seconds `begin` waits for another writer."""
        self._path = path
        self._timeout = timeout
        self._connection: sqlite3.Connection | None = None

    def begin(self) -> sqlite3.Connection:
        """Begin a transaction that may write; return the connection. Raises sqlite3.Error when that is not possible
        now.
        """
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
        """Roll back. A connection that cannot roll back is closed, which undoes its transaction as well."""
        connection = self._connection
        if connection is None:
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute("SELECT 1").fetchone()
        except Exception as fault:  # noqa: BLE001 - whatever the error, the connection is not used again
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
            check_same_thread=False,  # opened and closed by whichever thread runs the event loop
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
    """Open an existing database for reading only."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",  # WAL writes its index for readers too
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
        if sqlite3.sqlite_version_info < (3, 43):
            connection.create_function("octet_length", 1, octet_length, deterministic=True)
    except BaseException:
        connection.close()
        raise
    return connection


@functools.lru_cache(maxsize=512)
def to_sqlite(text: str) -> str:
    """Translate a statement of a transaction (`core.store.transaction`) for SQLite."""
    return re.sub(r" FOR (UPDATE|SHARE|KEY SHARE)$", "", re.sub(r"\$(\d+)", r"?\1", text))


def _is_busy(fault: BaseException) -> bool:
    """Return whether the error only means that another connection is writing; this connection is intact."""
    code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # the primary result code
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
