"""Opening the database, and bringing its schema up to date (Alembic)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

BUSY_TIMEOUT_MS: Final = 10_000
"""How long a writer waits for another before SQLite says "database is locked"."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"

SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a seat granted is a seat on disk
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
)


class UnusableDatabaseError(Exception):
    """The database address cannot be used; the message says why and what to do."""


class Database:
    """Reads and administrative writes, through SQLAlchemy Core. Seats have a way of their own (`SqliteWriter`)."""

    def __init__(self, url: str) -> None:
        self.path = sqlite_path(url)
        self._engine: AsyncEngine = create_async_engine(f"sqlite+aiosqlite:///{self.path}")
        _set_up_sqlite(self._engine.sync_engine)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that holds the write lock from its start, so that what it read stays true."""
        async with self._engine.connect() as connection:
            await connection.execute(text("BEGIN IMMEDIATE"))
            try:
                yield connection
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()

    async def close(self) -> None:
        await self._engine.dispose()


def sqlite_path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as fault:
        raise UnusableDatabaseError(f"DATABASE_URL is not a database address: {url!r}") from fault
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise UnusableDatabaseError(
            f"DATABASE_URL names {parsed.get_backend_name()!r}; this version stores in an SQLite file, "
            "for instance sqlite:///pbx-teams.db"
        )
    return Path(parsed.database)


def upgrade(url: str) -> None:
    """Creates the schema or brings it up to date; doing so twice changes nothing."""
    path = sqlite_path(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise UnusableDatabaseError(f"cannot create {path.parent}: {fault.strerror}") from fault
    engine = create_engine(f"sqlite:///{path}")
    _set_up_sqlite(engine)
    try:
        with engine.connect() as connection:
            connection.execute(text("BEGIN IMMEDIATE"))
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    finally:
        engine.dispose()


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None  # transactions begin where the code says so
        cursor = dbapi_connection.cursor()
        for pragma in SQLITE_PRAGMAS:
            cursor.execute(pragma)
        cursor.close()


def migration_connection(config: Config) -> Connection:
    connection: Connection = config.attributes["connection"]
    return connection
