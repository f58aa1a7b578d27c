"""How long the databases may take, how SQLite is opened, and which faults of the drivers mean what."""

import sqlite3
from typing import Final

import asyncpg

BUSY_SECONDS: Final = 10.0
"""How long a writer waits for another before SQLite says "database is locked"."""
CONNECT_SECONDS: Final = 10.0
STATEMENT_SECONDS: Final = 30.0
"""How long a connection and a statement may take. A database that falls silent keeps nobody for ever."""

SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a seat granted is a seat on disk
    "PRAGMA foreign_keys=ON",
)

UNSTORABLE: Final = (
    asyncpg.DataError,  # class 22 of SQLSTATE: too long, out of range, not in the repertoire (NUL)
    asyncpg.exceptions._base.DataError,  # noqa: SLF001 - asyncpg's own refusal of an argument has no public name
    asyncpg.ProgramLimitExceededError,  # class 54: beyond what a row or an entry of an index can hold
    sqlite3.DataError,  # longer than SQLite takes
    OverflowError,
    UnicodeError,
)
"""What the drivers raise for a value that fits no column."""

POSTGRES_GONE: Final = (
    *(OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError),
    asyncpg.InternalClientError,  # a connection that was cut in the middle of something
)
POSTGRES_REFUSED: Final = (asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError)
