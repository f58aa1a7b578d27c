"""Transactions that are written once for both databases, as generators without I/O ("sans-IO").

A transaction yields a `Statement` and receives that statement's rows. Its return value is the result; an exception
rolls it back. The writers (`core.store.sqlite_writer`, `core.store.postgres_writer`) send the statements to the
database. The SQL is what both databases understand, with PostgreSQL's `$1` for values. `FOR UPDATE`, `FOR SHARE` and
`FOR KEY SHARE` at the end are dropped for SQLite, which has one writer anyway.
"""

import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")


class Row(Protocol):
    """A row, by column name: what both drivers and SQLAlchemy's mappings give."""

    def __getitem__(self, name: Any, /) -> Any: ...


class Prefixed:
    """The columns of a row whose names begin with a prefix, without it: one table's part of a row of several."""

    __slots__ = ("_prefix", "_row")

    def __init__(self, row: Row, prefix: str) -> None:
        self._row = row
        self._prefix = prefix

    def __getitem__(self, name: Any, /) -> Any:
        return self._row[self._prefix + name]


def prefixed(columns: str, table: str, prefix: str) -> str:
    """A list of columns of a table as a SELECT names them for `Prefixed`."""
    return ", ".join(f"{table}.{name} AS {prefix}{name}" for name in columns.split(", "))


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    values: tuple[Any, ...]


Transaction = Generator[Statement, Sequence[Any], T]
TransactionFactory = Callable[[], Transaction[T]]
"""Makes a fresh generator, because a transaction may have to run again."""


def execute(text: str, *values: Any) -> Transaction[Sequence[Any]]:
    """Runs one statement and returns its rows."""
    return (yield Statement(text, values))


def first(text: str, *values: Any) -> Transaction[Any | None]:
    """The first row of one statement, or None."""
    rows = yield Statement(text, values)
    return rows[0] if rows else None


def count(text: str, *values: Any) -> Transaction[int]:
    """The number that one statement counts: its first column, named `n`."""
    row = yield from first(text, *values)
    return int(row["n"]) if row is not None else 0


def placeholders(values: Sequence[Any], start: int) -> str:
    """`$4, $5, $6`: placeholders for an IN list; `NULL` for an empty one, so that nothing matches."""
    return ", ".join(f"${start + offset}" for offset in range(len(values))) or "NULL"


class StorageUnavailableError(Exception):
    """The database did not answer; whether the transaction took place is unknown."""


class UnstorableValueError(ValueError):
    """A value fits no column: a number beyond 64 bits, text that is too long, is not Unicode or has a NUL in it.

    Nothing is wrong with the database: the transaction that carried the value is undone, and only that one.
    """


class TransactionAbortedError(Exception):
    """A transaction ended in a way that no transaction may end, and was undone."""


class WriterClosedError(Exception):
    """The service is shutting down."""


MAX_TOGETHER: Final = 64
"""Transactions in one commit. More would let the first wait long for the last."""


class Writer(Protocol):
    """Runs transactions, each acknowledged after its commit."""

    async def run(self, make: TransactionFactory[T]) -> T:
        """Runs a transaction; returns its result after the commit and raises what it raised."""

    async def run_together(self, group: str, payload: Any, make: TransactionFactory[T]) -> T:
        """As `run`, but may share one statement with others of its group that wait at the same time.

        Runs the transaction when the group cannot handle this payload.
        """

    async def run_small(self, make: TransactionFactory[T]) -> T:
        """As `run`, for a transaction of a few quick statements. SQLite runs those on the event loop, because handing
        them to a thread and back would cost more.
        """

    async def close(self) -> None:
        """Finishes what waits."""


def describe(fault: BaseException) -> str:
    """For a log: the kind of fault and its place, never its message, which may carry somebody's values."""
    frames = traceback.extract_tb(fault.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    code = getattr(fault, "sqlite_errorname", None) or getattr(fault, "sqlstate", None)
    return f"{type(fault).__name__}{f' {code}' if code else ''}{where}"


def error_for_caller(fault: BaseException) -> Exception:
    """What a transaction's own caller is told. What would end the event loop or a task does not reach them as it is."""
    if isinstance(fault, Exception) and not isinstance(fault, StopIteration):
        return fault
    error = TransactionAbortedError(describe(fault))
    error.__cause__ = fault
    return error


class _NeedsTransaction:
    """A group's answer for a payload that needs its own transaction."""


NEEDS_TRANSACTION = _NeedsTransaction()
