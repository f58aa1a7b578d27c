"""Time-outs of the databases, SQLite's settings, and the meaning of the drivers' errors."""

import sqlite3
from typing import Final

import asyncpg

BUSY_SECONDS: Final = 10.0
"""How long a writer waits for another one before SQLite reports "database is locked"."""
CONNECT_SECONDS: Final = 10.0
"""Time-out of connecting."""
STATEMENT_SECONDS: Final = 30.0
"""Time-out of a statement, so that nobody waits forever for a database that does not answer."""

SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a granted seat is on disk
    "PRAGMA foreign_keys=ON",
)

UNSTORABLE: Final = (
    asyncpg.DataError,  # class 22 of SQLSTATE: too long, out of range, not in the repertoire (NUL)
    asyncpg.exceptions._base.DataError,  # noqa: SLF001 - asyncpg's error for a bad argument has no public name
    asyncpg.ProgramLimitExceededError,  # class 54: beyond what a row or an entry of an index can hold
    sqlite3.DataError,  # longer than SQLite accepts
    OverflowError,
    UnicodeError,
)
"""Errors of the drivers for a value that does not fit its column."""

POSTGRES_GONE: Final = (
    *(OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError),
    asyncpg.InternalClientError,  # a connection that was cut in the middle of a statement
)
"""Errors of asyncpg for a lost connection."""
POSTGRES_REFUSED: Final = (asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError)
"""Errors of asyncpg for a server that shuts down or has no resources left."""
