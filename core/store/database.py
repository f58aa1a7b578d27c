"""Opening the database, and bringing its schema up to date (Alembic). SQLite and PostgreSQL, one schema."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.store.script import StorageUnavailableError, WriterClosedError

BUSY_SECONDS: Final = 10.0
"""How long a writer waits for another before SQLite says "database is locked"."""
OLDEST_SQLITE: Final = (3, 35, 0)
"""The first that knows RETURNING."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_UPGRADE_LOCK: Final = 0x70627874  # any number, the same for every replica

SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a seat granted is a seat on disk
    "PRAGMA foreign_keys=ON",
)


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
"""What reading and writing raise while the database is away."""


_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InternalClientError,
    OSError,
)


class UnusableDatabaseError(Exception):
    """The database address cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class SqliteAddress:
    path: Path

    @property
    def engine_url(self) -> str:
        return f"sqlite+aiosqlite:///{self.path}"


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    url: URL

    @property
    def engine_url(self) -> URL:
        return self.url.set(drivername="postgresql+asyncpg")

    @property
    def dsn(self) -> str:
        """For asyncpg itself."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)


Address = SqliteAddress | PostgresAddress


def address_of(url: str) -> Address:
    """Reads DATABASE_URL; raises `UnusableDatabaseError`."""
    try:
        parsed = make_url(url)
    except ArgumentError as fault:
        raise UnusableDatabaseError("DATABASE_URL is not a database address") from fault
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise UnusableDatabaseError(
                f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or later is needed"
            )
        return SqliteAddress(Path(parsed.database))
    if backend == "postgresql" and parsed.drivername in ("postgresql", "postgresql+asyncpg"):
        return PostgresAddress(parsed)
    raise UnusableDatabaseError(
        f"DATABASE_URL names {parsed.drivername!r}; use an SQLite file, for instance sqlite:///pbx-teams.db,"
        " or postgresql+asyncpg://user:password@host/database"
    )


class Database:
    """Reads and administrative writes, through SQLAlchemy Core. Seats have a way of their own (`Writer`)."""

    def __init__(self, url: str) -> None:
        self.address = address_of(url)
        self._engine = _engine(self.address)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        with _lost_connections():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction. SQLite: it holds the write lock from its start. PostgreSQL: whoever writes what they
        have read locks the rows (`with_for_update`, which SQLite does not need).
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
        await self._engine.dispose()


@contextmanager
def _lost_connections() -> Iterator[None]:
    """SQLAlchemy has no class of its own for a server that is starting or was killed in the middle of something."""
    try:
        yield
    except DBAPIError as fault:
        cause = fault.orig.__cause__ if fault.orig is not None else None
        if fault.connection_invalidated or isinstance(cause, _AWAY):
            raise StorageUnavailableError(str(fault.orig)) from fault
        raise


def upsert(connection: AsyncConnection, table: Table) -> Any:
    """`INSERT … ON CONFLICT` of the connection's database."""
    return {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name](table)


def upgrade(url: str, to: str = "head") -> None:
    """Creates the schema or brings it up to date; doing so twice, or on two replicas at once, changes nothing."""
    asyncio.run(upgrade_async(url, to))


async def upgrade_async(url: str, to: str = "head") -> None:
    address = address_of(url)
    if isinstance(address, SqliteAddress):
        try:
            address.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise UnusableDatabaseError(f"cannot create {address.path.parent}: {fault.strerror}") from fault
    engine = _engine(address)
    try:
        async with engine.connect() as connection:
            if isinstance(address, SqliteAddress):
                # A table that is built anew is dropped first; whether every row still fits is looked at after.
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


def _migrate(connection: Connection, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _engine(address: Address) -> AsyncEngine:
    if isinstance(address, PostgresAddress):
        return create_async_engine(address.engine_url, pool_pre_ping=True, pool_size=5, max_overflow=5)
    engine = create_async_engine(address.engine_url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None  # transactions begin where the code says so
        cursor = dbapi_connection.cursor()
        for pragma in SQLITE_PRAGMAS:
            _execute_patiently(cursor, pragma)
        cursor.close()

    return engine


def _execute_patiently(cursor: Any, pragma: str) -> None:
    """The change to WAL does not wait for others that open a new file at the same time: SQLite says "locked" at once."""
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
    connection: Connection = config.attributes["connection"]
    return connection
