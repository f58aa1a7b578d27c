"""Transactions written once for both databases: scripts that say what to execute, and get the rows.

A script is a generator. It yields a `Statement` and receives that statement's rows; what it returns is the
result of the transaction, what it raises undoes it. Who drives it (`core.store.sqlite_writer`,
`core.store.postgres_writer`) decides how statements reach the database. Statements are written in the SQL that
both understand, with PostgreSQL's `$1` for values; `FOR UPDATE` at the end is dropped for SQLite, which has one
writer anyway.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")


class Row(Protocol):
    """A row, by column name: what both drivers and SQLAlchemy's mappings give."""

    def __getitem__(self, name: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    values: tuple[Any, ...]


Script = Generator[Statement, Sequence[Any], T]
MakeScript = Callable[[], Script[T]]
"""Makes a fresh generator: a transaction may have to be played again."""


def execute(text: str, *values: Any) -> Script[Sequence[Any]]:
    """One statement; gives its rows."""
    return (yield Statement(text, values))


def first(text: str, *values: Any) -> Script[Any | None]:
    """The first row of one statement, or None."""
    rows = yield Statement(text, values)
    return rows[0] if rows else None


def count(text: str, *values: Any) -> Script[int]:
    """The number that one statement counts: its first column, named `n`."""
    row = yield from first(text, *values)
    return int(row["n"]) if row is not None else 0


def marks(values: Sequence[Any], start: int) -> str:
    """`$4, $5, $6`: placeholders for an IN list; `NULL` for an empty one, so that nothing matches."""
    return ", ".join(f"${start + offset}" for offset in range(len(values))) or "NULL"


class StorageUnavailableError(Exception):
    """The database did not answer; whether the transaction took place is unknown."""


class WriterClosedError(Exception):
    """The service is shutting down."""


MAX_TOGETHER: Final = 64
"""Transactions in one commit. More would let the first wait long for the last."""


class Writer(Protocol):
    """Runs transactions, each acknowledged after its commit."""

    async def run(self, make: MakeScript[T]) -> T:
        """Runs one script as a transaction; returns its result after the commit, raises what it raised."""

    async def run_together(self, group: str, payload: Any, make: MakeScript[T]) -> T:
        """As `run`, but may be done in one statement with others of its group that wait at the same time.

        When the group's own way does not fit this payload, the script is run.
        """

    async def run_small(self, make: MakeScript[T]) -> T:
        """As `run`, for a script of a few quick statements: on SQLite those that wait at the same time are done on the
        event loop, where handing them to a thread and back would cost more than doing them.
        """

    async def close(self) -> None:
        """Finishes what waits."""


class _NotThisWay:
    """A group's answer for a payload that needs its script."""


NOT_THIS_WAY = _NotThisWay()
