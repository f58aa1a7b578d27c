"""Open the database (SQLite or PostgreSQL, with one schema) and upgrade its schema (Alembic)."""

import asyncio
import logging
import os
import sqlite3
import ssl
import stat
import time
from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, ExceptionContext, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.store.errors import UnusableDatabaseError
from core.store.limits import (
    BUSY_SECONDS,
    CONNECT_SECONDS,
    SQLITE_PRAGMAS,
    STATEMENT_SECONDS,
    UNSTORABLE,
)
from core.store.postgres_reader import PostgresReader
from core.store.sqlite_reader import SqliteReader
from core.store.transaction import (
    Row,
    StorageUnavailableError,
    UnstorableValueError,
    WriterClosedError,
    describe,
)

logger = logging.getLogger(__name__)

OLDEST_SQLITE: Final = (3, 35, 0)
"""The first version with RETURNING."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_UPGRADE_LOCK: Final = 0x70627874  # any number, the same for every replica

STORAGE_ERRORS: Final = (
    StorageUnavailableError,
    WriterClosedError,
    OperationalError,
    InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,
    OSError,
)
"""Errors of reading and writing while the database is away."""


_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InternalClientError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class SqliteAddress:
    path: Path

    @property
    def engine_url(self) -> str:
        return f"sqlite+aiosqlite:///{self.path}"


_TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_VERIFYING: Final = ("verify-ca", "verify-full")
_TLS_NAMES: Final = ("sslmode", "ssl", "sslrootcert")


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """The address of a PostgreSQL database.

    SQLAlchemy calls the TLS mode `ssl`, asyncpg calls it `sslmode`, and each rejects the other's name. So the TLS
    parameters are taken out of the URL, and both drivers get them as arguments.
    """

    url: URL
    """Without the TLS parameters."""
    tls_mode: str | None = None
    """As libpq's sslmode: https://www.postgresql.org/docs/current/libpq-ssl.html. None: TLS if the server offers it."""
    root_certificates: str | None = None
    """A PEM file with the trusted authorities; None: those of the system."""

    @property
    def tls(self) -> ssl.SSLContext | str | None:
        """The `ssl` argument for asyncpg. Raises UnusableDatabaseError when the file of certificates cannot be read."""
        if self.tls_mode not in _VERIFYING:
            return self.tls_mode
        try:
            context = ssl.create_default_context(cafile=self.root_certificates)
        except OSError as fault:
            raise UnusableDatabaseError(
                f"DATABASE_URL: {self.root_certificates} holds no certificates: {fault.strerror or fault}"
            ) from fault
        context.check_hostname = self.tls_mode == "verify-full"
        return context

    @classmethod
    def of(cls, url: URL) -> "PostgresAddress":
        """Take the TLS parameters out of a URL. Raises UnusableDatabaseError when they are wrong."""
        given = {name: url.query[name] for name in _TLS_NAMES if name in url.query}
        values = {name: value for name, value in given.items() if isinstance(value, str)}
        modes = {values[name] for name in ("sslmode", "ssl") if name in values}
        if len(values) < len(given) or len(modes) > 1 or not modes <= set(_TLS_MODES):
            raise UnusableDatabaseError(f"DATABASE_URL: sslmode is one of {', '.join(_TLS_MODES)}")
        mode, roots = next(iter(modes), None), values.get("sslrootcert")
        if roots is not None and mode not in _VERIFYING:
            raise UnusableDatabaseError("DATABASE_URL: sslrootcert needs sslmode=verify-full or verify-ca")
        return cls(url.difference_update_query(_TLS_NAMES), mode, None if roots == "system" else roots)

    @property
    def engine_url(self) -> URL:
        return self.url.set(drivername="postgresql+asyncpg")

    @property
    def dsn(self) -> str:
        """The address for asyncpg, with the password."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)


Address = SqliteAddress | PostgresAddress


def address_of(url: str) -> Address:
    """Parse DATABASE_URL. Raises UnusableDatabaseError, whose message says what to do."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (
        ArgumentError,
        ValueError,
    ) as fault:  # for instance a port that is not a number; the text may contain a password
        raise UnusableDatabaseError("DATABASE_URL is not a database address") from fault
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise UnusableDatabaseError(
                f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or later is needed"
            )
        return SqliteAddress(Path(parsed.database))
    if backend == "postgresql" and parsed.drivername in ("postgresql", "postgresql+asyncpg"):
        return PostgresAddress.of(parsed)
    raise UnusableDatabaseError(
        f"DATABASE_URL names {parsed.drivername!r}; use an SQLite file, for instance sqlite:///pbx-teams.db,"
        " or postgresql+asyncpg://user:password@host/database"
    )


class Database:
    """Access to the database, except for the transactions of the ledger (`Writer`).

    Queries of every request use the drivers directly (`fetch`). Reports and administration use SQLAlchemy Core
    (`reading`), and so do administrative writes (`writing`).
    """

    def __init__(self, url: str) -> None:
        self.address = address_of(url)
        self._engine = _engine(self.address)
        self._reader: PostgresReader | SqliteReader
        if isinstance(self.address, PostgresAddress):
            self._reader = PostgresReader(self.address.dsn, self.address.tls)
        else:
            self._reader = SqliteReader(self.address.path)

    async def fetch(self, text: str, *values: Any) -> Sequence[Row]:
        """Return the rows of one statement, which sees everything that was committed before.

        The statement is written like those of transactions (`core.store.transaction`). Raises StorageUnavailableError
        and UnstorableValueError.
        """
        return await self._reader.fetch(text, values)

    async def fetch_long(self, text: str, *values: Any) -> Sequence[Row]:
        """Like `fetch`, for a statement that reads many rows."""
        return await self._reader.fetch_long(text, values)

    async def fetch_first(self, text: str, *values: Any) -> Row | None:
        """Return the first row of one statement, or None. Raises the errors of `fetch`."""
        rows = await self._reader.fetch(text, values)
        return rows[0] if rows else None

    async def data_version(self) -> Hashable | None:
        """Return a mark of the data: while it stays equal, nobody has committed anything. None: unknown at the
        moment.
        """
        return await self._reader.data_version()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection for reading through SQLAlchemy."""
        with _lost_connections():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection with a transaction, which is committed at the end of the block.

        On SQLite it holds the write lock from the start. On PostgreSQL, a caller that writes what it has read must
        lock the rows (`with_for_update`, which SQLite ignores).
        """
        with _lost_connections():
            async with self._engine.connect() as connection:
                if isinstance(self.address, SqliteAddress):
                    await connection.execute(text("BEGIN IMMEDIATE"))
                try:
                    yield connection
                except BaseException:
                    await connection.rollback()
                    raise
                await connection.commit()

    async def close(self) -> None:
        await self._reader.close()
        await self._engine.dispose()


@contextmanager
def _lost_connections() -> Iterator[None]:
    """Turn errors of lost connections into StorageUnavailableError.

    SQLAlchemy has no error class for a server that is starting or was killed.
    """
    try:
        yield
    except (TimeoutError, PoolTimeoutError) as slow:
        raise StorageUnavailableError(type(slow).__name__) from slow
    except DBAPIError as fault:
        cause = fault.orig.__cause__ if fault.orig is not None else None
        if fault.connection_invalidated or isinstance(cause, _AWAY):
            raise StorageUnavailableError(str(fault.orig)) from fault
        raise


def upsert(connection: AsyncConnection, table: Table) -> Any:
    """Return an `INSERT … ON CONFLICT` in the dialect of the connection's database."""
    return {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name](table)


def upgrade(url: str, to: str = "head") -> None:
    """Create the schema or upgrade it. Idempotent, and safe on two replicas at the same time."""
    asyncio.run(upgrade_async(url, to))


async def upgrade_async(url: str, to: str = "head") -> None:
    address = address_of(url)
    if isinstance(address, SqliteAddress):
        try:
            _make_private(address.path)
        except OSError as fault:
            raise UnusableDatabaseError(f"cannot create {address.path}: {fault.strerror}") from fault
    engine = _engine(address, is_bounded=False)
    try:
        async with engine.connect() as connection:
            if isinstance(address, SqliteAddress):
                # A migration may drop and rebuild a table, so foreign keys are checked at the end instead.
                await connection.execute(text("PRAGMA foreign_keys=OFF"))
                await connection.execute(text("BEGIN IMMEDIATE"))
            else:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})"))
            await connection.run_sync(_migrate, to)
            if isinstance(address, SqliteAddress):
                loose = (await connection.execute(text("PRAGMA foreign_key_check"))).all()
                if loose:
                    raise UnusableDatabaseError(f"{len(loose)} rows refer to others that are not there")
            await connection.commit()
    except (OSError, DBAPIError) as fault:
        cause = fault.orig if isinstance(fault, DBAPIError) else fault
        raise UnusableDatabaseError(f"the database of DATABASE_URL cannot be used: {cause}") from fault
    finally:
        await engine.dispose()


def _make_private(path: Path) -> None:
    """Create the database file readable only by the service's user, before it has any rows.

    SQLite creates its -wal and -shm files with the mode of the database file.
    """
    for folder in reversed([folder for folder in path.parents if not folder.exists()]):
        folder.mkdir(mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if file.exists() and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
            file.chmod(0o600)
            logger.warning("%s could be read by others (mode %o); now it is 0600", file, mode)


def _migrate(connection: Connection, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _engine(address: Address, *, is_bounded: bool = True) -> AsyncEngine:
    """Create the engine. `is_bounded`: statements time out; migrations may take as long as they need."""
    if isinstance(address, PostgresAddress):
        arguments = {
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS if is_bounded else None,
            "ssl": address.tls,
        }
        engine = create_async_engine(
            address.engine_url, pool_pre_ping=True, pool_size=5, max_overflow=5, connect_args=arguments
        )
        event.listen(engine.sync_engine, "handle_error", _name_unstorable)
        return engine
    engine = create_async_engine(address.engine_url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine.sync_engine, "handle_error", _name_unstorable)

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None  # transactions begin where the code begins them
        cursor = dbapi_connection.cursor()
        for pragma in SQLITE_PRAGMAS:
            _execute_patiently(cursor, pragma)
        cursor.close()

    return engine


def _name_unstorable(context: ExceptionContext) -> None:
    """Raise UnstorableValueError for an unstorable value right at the statement, before other errors can be mistaken
    for it.
    """
    fault: BaseException | None = context.original_exception
    while fault is not None:
        if isinstance(fault, UNSTORABLE):
            raise UnstorableValueError(describe(fault)) from fault
        fault = fault.__cause__


def _execute_patiently(cursor: Any, pragma: str) -> None:
    """Execute a pragma and retry while the database is locked.

    The change to WAL does not wait for others that open a new file at the same time: SQLite reports "locked"
    immediately.
    """
    ends = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute(pragma)
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
        else:
            return
        time.sleep(0.01)


def migration_connection(config: Config) -> Connection:
    """Return the connection that `upgrade` gives to Alembic's environment."""
    connection: Connection = config.attributes["connection"]
    return connection
