"""Read from PostgreSQL over a few permanent connections, each with its prepared statements.

A connection runs one statement at a time. It holds neither a transaction nor settings of a caller, so it needs no reset
before the next statement. A lost connection is replaced, and a read that failed because of it is repeated once.
"""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from core.store.limits import (
    CONNECT_SECONDS,
    POSTGRES_GONE,
    POSTGRES_REFUSED,
    STATEMENT_SECONDS,
    UNSTORABLE,
)
from core.store.transaction import StorageUnavailableError, UnstorableValueError, describe

logger = logging.getLogger(__name__)

CONNECTIONS: Final = 5
_SETTINGS: Final = (
    "SET default_transaction_read_only = on;"
    # Statements look rows up by key, so one plan fits all values. Planning again would take longer than running them.
    " SET plan_cache_mode = force_generic_plan; SET jit = off"
)
_DATA_VERSION: Final = (
    "SELECT concat(pg_postmaster_start_time(), ' ', pg_current_snapshot()) AS version"  # since PostgreSQL 13
)


class PostgresReader:
    """Reads from PostgreSQL. An instance belongs to one event loop at a time."""

    def __init__(self, dsn: str, tls: ssl.SSLContext | str | None = None) -> None:
        self._dsn = dsn
        self._tls = tls
        self._idle: list[asyncpg.Connection[Any]] = []
        self._free = asyncio.Semaphore(CONNECTIONS)

    async def fetch(self, text: str, values: Sequence[Any]) -> Sequence[Any]:
        """Return the rows of a statement. Raises StorageUnavailableError and UnstorableValueError."""
        if self._free.locked():
            try:
                async with asyncio.timeout(STATEMENT_SECONDS):
                    await self._free.acquire()
            except TimeoutError as slow:
                raise StorageUnavailableError("no connection became free") from slow
        else:
            await self._free.acquire()
        try:
            if self._idle:
                try:
                    return await self._fetch(self._idle.pop(), text, values)
                except StorageUnavailableError:
                    # The connection may have been lost while it was idle, and the others with it.
                    self._drop_idle()
            return await self._fetch(await self._connect(), text, values)
        finally:
            self._free.release()

    async def fetch_long(self, text: str, values: Sequence[Any]) -> Sequence[Any]:
        """Like `fetch`: the work is done by the server, so long statements need no special care."""
        return await self.fetch(text, values)

    async def data_version(self) -> str | None:
        """Return the server's start time and snapshot.

        Two statements with the same snapshot see the same rows. The start time differs after a server was restored to
        an earlier state.
        """
        rows = await self.fetch(_DATA_VERSION, ())
        return str(rows[0]["version"])

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            try:
                await connection.close(timeout=CONNECT_SECONDS)
            except (*POSTGRES_GONE, *POSTGRES_REFUSED):
                connection.terminate()

    async def _fetch(
        self, connection: "asyncpg.Connection[Any]", text: str, values: Sequence[Any]
    ) -> Sequence[Any]:
        try:
            rows: Sequence[Any] = await connection.fetch(text, *values)
        except UNSTORABLE as unstorable:
            self._put_back(connection)
            raise UnstorableValueError(describe(unstorable)) from unstorable
        except (*POSTGRES_GONE, *POSTGRES_REFUSED) as gone:
            connection.terminate()
            raise StorageUnavailableError(f"{type(gone).__name__}: {gone}") from gone
        except BaseException:  # the caller was cancelled during the statement, or the statement is wrong
            connection.terminate()
            raise
        self._put_back(connection)
        return rows

    async def _connect(self) -> "asyncpg.Connection[Any]":
        try:
            connection = await asyncpg.connect(
                self._dsn, ssl=self._tls, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS
            )
        except (*POSTGRES_GONE, *POSTGRES_REFUSED, asyncpg.PostgresError) as gone:
            raise StorageUnavailableError(f"{type(gone).__name__}: {gone}") from gone
        try:
            await connection.execute(_SETTINGS)
        except (*POSTGRES_GONE, *POSTGRES_REFUSED) as gone:
            connection.terminate()
            raise StorageUnavailableError(f"{type(gone).__name__}: {gone}") from gone
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _put_back(self, connection: "asyncpg.Connection[Any]") -> None:
        if not connection.is_closed():
            self._idle.append(connection)

    def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        if idle:
            logger.warning("connections to PostgreSQL are replaced", extra={"connections": len(idle)})
        for connection in idle:
            connection.terminate()
