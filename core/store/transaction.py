"""Transactions written once for both databases, as generators without I/O ("sans-IO").

A transaction yields a `Statement` and receives that statement's rows. Its return value is the result; an exception
rolls it back. The writers (`core.store.sqlite_writer`, `core.store.postgres_writer`) send the statements to the
database. The SQL must work in both databases, with PostgreSQL's `$1` for values. `FOR UPDATE`, `FOR SHARE` and `FOR
KEY SHARE` at the end are removed for SQLite, which has only one writer anyway.
"""

import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")


class Row(Protocol):
    """A row whose values are read by column name, as both drivers and SQLAlchemy's mappings return it."""

    def __getitem__(self, name: Any, /) -> Any: ...


class Prefixed:
    """One table's part of a joined row: the columns whose names begin with a prefix, read without the prefix."""

    __slots__ = ("_prefix", "_row")

    def __init__(self, row: Row, prefix: str) -> None:
        self._row = row
        self._prefix = prefix

    def __getitem__(self, name: Any, /) -> Any:
        return self._row[self._prefix + name]


def prefixed(columns: str, table: str, prefix: str) -> str:
    """Return the columns of a table for a SELECT, named with the prefix as `Prefixed` expects."""
    return ", ".join(f"{table}.{name} AS {prefix}{name}" for name in columns.split(", "))


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with its values."""

    text: str
    values: tuple[Any, ...]


Transaction = Generator[Statement, Sequence[Any], T]
TransactionFactory = Callable[[], Transaction[T]]
"""Creates a new generator, because a transaction may have to run again."""


def execute(text: str, *values: Any) -> Transaction[Sequence[Any]]:
    """Run one statement; return its rows."""
    return (yield Statement(text, values))


def first(text: str, *values: Any) -> Transaction[Any | None]:
    """Run one statement; return its first row, or None."""
    rows = yield Statement(text, values)
    return rows[0] if rows else None


def count(text: str, *values: Any) -> Transaction[int]:
    """Run one statement; return the number in its column `n`."""
    row = yield from first(text, *values)
    return int(row["n"]) if row is not None else 0


def placeholders(values: Sequence[Any], start: int) -> str:
    """Return the placeholders for an IN list, for instance `$4, $5, $6`; `NULL` for an empty list, which matches
    nothing.
    """
    return ", ".join(f"${start + offset}" for offset in range(len(values))) or "NULL"


class StorageUnavailableError(Exception):
    """The database did not answer. It is unknown whether the transaction was committed."""


class UnstorableValueError(ValueError):
    """A value does not fit its column: a number beyond 64 bits, or text that is too long, not Unicode, or contains NUL.

    The database is in order: only the transaction with that value is undone.
    """


class TransactionAbortedError(Exception):
    """A transaction raised what no transaction may raise (for instance SystemExit), and was undone."""


class WriterClosedError(Exception):
    """The service is shutting down."""


MAX_TOGETHER: Final = 64
"""The largest number of transactions in one commit. With more, the first would wait long for the last."""


class Writer(Protocol):
    """Runs transactions and returns each result after its commit.

    All methods raise StorageUnavailableError, UnstorableValueError and WriterClosedError.
    """

    async def run(self, make: TransactionFactory[T]) -> T:
        """Run a transaction; return its result after the commit, or raise what it raised."""

    async def run_together(self, group: str, payload: Any, make: TransactionFactory[T]) -> T:
        """Like `run`, but share a few statements with other payloads of the group that wait at the same time.

        If the group cannot handle the payload, run the transaction of `make` instead.
        """

    async def run_small(self, make: TransactionFactory[T]) -> T:
        """Like `run`, for a transaction of a few fast statements.

        SQLite runs it on the event loop, because handing it to a thread and back would cost more.
        """

    async def close(self) -> None:
        """Finish the transactions that wait, and accept no more."""


def describe(fault: BaseException) -> str:
    """Return the type and place of an error for a log; never its message, which may contain a user's data."""
    frames = traceback.extract_tb(fault.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    code = getattr(fault, "sqlite_errorname", None) or getattr(fault, "sqlstate", None)
    return f"{type(fault).__name__}{f' {code}' if code else ''}{where}"


def error_for_caller(fault: BaseException) -> Exception:
    """Return the error that a transaction's caller gets.

    An error that would end a task or the event loop is replaced by TransactionAbortedError.
    """
    if isinstance(fault, Exception) and not isinstance(fault, StopIteration):
        return fault
    error = TransactionAbortedError(describe(fault))
    error.__cause__ = fault
    return error


class _NeedsTransaction:
    """The type of `NEEDS_TRANSACTION`: a group's result for a payload that needs its own transaction."""


NEEDS_TRANSACTION = _NeedsTransaction()
