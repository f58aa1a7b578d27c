"""One party's data never harms another: for every fault of a transaction or batch in the shared writers, the other
transactions succeed, the faulty one fails with its own error, and the writer continues without an open transaction.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from core.licensing.session import Opened, SessionPerson
from core.store import sqlite_writer, tables
from core.store.database import PostgresAddress, SqliteAddress
from core.store.postgres_writer import PostgresWriter
from core.store.sqlite_writer import SqliteWriter
from core.store.transaction import (
    NEEDS_TRANSACTION,
    StorageUnavailableError,
    Transaction,
    TransactionAbortedError,
    UnstorableValueError,
    execute,
)
from tests.support.book import Book
from tests.support.refusals import outcome_of

WAIT = 60.0
"""Far beyond what anything here takes: a caller who is never answered fails the test."""


class Poison(BaseException):
    """Nobody has listed it anywhere."""


POISON_VALUES = (2**63, -(2**63) - 1, 2**70, 10**400, "half an emoji \ud83d", "\udfff", "\ud800" * 50)
"""What neither database can store."""
POSTGRESQL_POISON_VALUES = ("a\x00b", "x" * 100_000)
"""What PostgreSQL cannot store in these columns; SQLite can."""
RAISED = (
    *(KeyError("k"), ValueError("v"), RuntimeError("r"), ZeroDivisionError(), MemoryError(), OSError("o")),
    *(StopIteration(1), StopAsyncIteration(), GeneratorExit(), SystemExit(3), Poison()),
    *(asyncio.CancelledError(), TimeoutError(), sqlite3.OperationalError("x"), RecursionError()),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "reason"),
)


def put(note: str, value: Any = 0) -> Transaction[str]:
    """An honest transaction, or one with a value that fits nowhere."""
    column = "actor" if isinstance(value, str) else "at"
    at, actor = (0, value) if column == "actor" else (value, "someone")
    yield from execute(
        "INSERT INTO audit (at, pbx_id, kind, actor, subject, detail) VALUES ($1, 'p', 'k', $2, $3, '{}')",
        at,
        actor,
        note,
    )
    return note


def failing(note: str, fault: BaseException) -> Transaction[str]:
    yield from put(note)
    raise fault


def committing(note: str) -> Transaction[str]:
    """Ends the transaction that it shares with others."""
    yield from put(note)
    yield from execute("ROLLBACK")
    yield from put(note)
    raise RuntimeError(note)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def module_book(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Book]:
    """One database of each kind for all tests here: what one of them left open would show in the next."""
    url = f"sqlite:///{tmp_path_factory.mktemp('writers') / 'test.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database("shared_writers")
    book = await Book(url).open()
    yield book
    await book.close()


@pytest.fixture
async def book(module_book: Book) -> Book:
    async with module_book.database.writing() as connection:
        await connection.execute(delete(tables.audit))
    return module_book


async def answers(*calls: Any) -> list[Any]:
    async with asyncio.timeout(WAIT):
        return await asyncio.gather(*calls, return_exceptions=True)


async def subjects(book: Book) -> list[str]:
    return sorted(row[0] for row in await book.rows("SELECT subject FROM audit WHERE kind = 'k'"))


async def works_on(book: Book) -> None:
    """Writes pass in every way, from this process and another, so no transaction is open."""
    writer = book.ledger.writer
    honest = await answers(
        writer.run(lambda: put("run")), writer.run_small(lambda: put("small")), writer.run(lambda: put("run"))
    )
    assert honest == ["run", "small", "run"]
    async with book.database.writing() as connection:
        await connection.execute(
            insert(tables.audit).values(at=0, pbx_id="p", kind="w", actor="", subject="", detail="{}")
        )
    address = book.database.address
    if isinstance(address, SqliteAddress):
        with contextlib.closing(sqlite3.connect(address.path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # at once: nobody holds the lock
            other.execute("ROLLBACK")
    else:
        assert isinstance(address, PostgresAddress)
        connection = await asyncpg.connect(address.dsn)
        try:
            stuck = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in %'"
            assert await connection.fetch(stuck) == []
        finally:
            await connection.close()


def is_poison(book: Book, value: Any) -> bool:
    return value in POISON_VALUES or not isinstance(book.database.address, SqliteAddress)


@pytest.mark.parametrize(
    "value", [*POISON_VALUES, *POSTGRESQL_POISON_VALUES], ids=lambda value: repr(value)[:20]
)
@pytest.mark.parametrize("way", ["run", "run_small"])
async def test_a_value_that_cannot_be_stored_fails_its_own_transaction_alone(
    book: Book, way: str, value: Any
) -> None:
    run = getattr(book.ledger.writer, way)
    *honest, poisoned = await answers(
        *(run(lambda number=number: put(f"n{number}")) for number in range(5)), run(lambda: put("bad", value))
    )
    assert honest == [f"n{number}" for number in range(5)]
    if is_poison(book, value):
        assert isinstance(poisoned, UnstorableValueError)
        assert repr(value)[1:8] not in str(poisoned), "the error repeats somebody's data"
    else:
        assert poisoned == "bad"
    await works_on(book)
    assert set(await subjects(book)) >= {f"n{number}" for number in range(5)}


@pytest.mark.parametrize("fault", RAISED, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("way", ["run", "run_small"])
async def test_whatever_a_script_raises_is_its_own_callers(
    book: Book, way: str, fault: BaseException
) -> None:
    run = getattr(book.ledger.writer, way)
    first, poisoned, last = await answers(
        run(lambda: put("first")), run(lambda: failing("bad", fault)), run(lambda: put("last"))
    )
    assert (first, last) == ("first", "last")
    assert isinstance(poisoned, Exception)
    if type(fault) in (KeyError, ValueError, ZeroDivisionError, MemoryError):
        assert poisoned is fault
    if isinstance(fault, (SystemExit, Poison)):
        assert isinstance(poisoned, TransactionAbortedError)
    assert await subjects(book) == ["first", "last"]
    await works_on(book)


async def test_a_script_that_ends_the_shared_transaction_harms_nobody_else(tmp_path: Path) -> None:
    book = await Book(f"sqlite:///{tmp_path / 'test.db'}").open()
    try:
        run = book.ledger.writer.run
        first, poisoned, last = await answers(
            run(lambda: put("first")), run(lambda: committing("bad")), run(lambda: put("last"))
        )
        assert (first, last) == ("first", "last") and isinstance(poisoned, Exception)
        assert {"first", "last"} <= set(await subjects(book))
        await works_on(book)
    finally:
        await book.close()


async def test_cancelled_callers_leave_the_others_their_answers(book: Book) -> None:
    writer = book.ledger.writer
    tasks = [asyncio.create_task(writer.run_small(lambda n=n: put(f"n{n}"))) for n in range(10)]
    tasks += [asyncio.create_task(writer.run(lambda n=n: put(f"r{n}"))) for n in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await answers(*tasks)
    assert outcomes[1::2] == [f"n{n}" for n in range(1, 10, 2)] + [f"r{n}" for n in range(1, 10, 2)]
    await works_on(book)


# --- groups


@pytest.fixture
async def open_with(book: Book) -> AsyncIterator[Callable[[Any], Any]]:
    """Opens a writer with one group, whose function the test gives."""
    writers: list[Any] = []

    def open_with(function: Any) -> Any:
        address = book.database.address
        if isinstance(address, SqliteAddress):
            writer: Any = SqliteWriter(address.path, {"g": function})
        else:
            assert isinstance(address, PostgresAddress)

            async def on_postgresql(connection: Any, payloads: Sequence[Any]) -> Sequence[Any]:
                outcome = function(connection, payloads)
                return await outcome if asyncio.iscoroutine(outcome) else outcome

            writer = PostgresWriter(address.dsn, {"g": on_postgresql})
        writers.append(writer)
        return writer

    yield open_with
    for writer in writers:
        await writer.close()


def raising(fault: BaseException) -> Callable[..., Any]:
    def group(connection: Any, payloads: Sequence[Any]) -> Any:
        if "bad" in payloads:
            raise fault
        return [NEEDS_TRANSACTION] * len(payloads)

    return group


# A group that meets an OSError has lost its database, and so have all its members.
@pytest.mark.parametrize(
    "fault",
    [f for f in RAISED if not isinstance(f, (asyncio.CancelledError, OSError))],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("alone", [True, False])
async def test_a_group_that_raises_sends_each_member_its_own_way(
    book: Book, open_with: Any, fault: BaseException, alone: bool
) -> None:
    writer = open_with(raising(fault))
    notes = ["bad"] if alone else ["a", "bad", "c"]
    assert await answers(*(writer.run_together("g", n, lambda n=n: put(n)) for n in notes)) == notes
    assert await subjects(book) == notes
    assert await answers(writer.run_together("g", "d", lambda: put("d"))) == ["d"]


@pytest.mark.parametrize(
    "results",
    [lambda n: [], lambda n: [1] * (n + 1), lambda n: None, lambda n: 7],
    ids=["none", "more", "None", "7"],
)
async def test_a_group_that_answers_for_the_wrong_number_is_not_believed(
    book: Book, open_with: Any, results: Any
) -> None:
    writer = open_with(lambda _connection, payloads: results(len(payloads)))
    assert await answers(*(writer.run_together("g", n, lambda n=n: put(n)) for n in "abc")) == list("abc")
    assert await subjects(book) == list("abc")


async def test_a_group_nobody_knows_is_run_by_its_scripts(book: Book, open_with: Any) -> None:
    writer = open_with(raising(KeyError()))
    assert await answers(*(writer.run_together("other", n, lambda n=n: put(n)) for n in "ab")) == list("ab")
    assert await subjects(book) == list("ab")


async def test_a_group_that_leaves_the_transaction_in_disorder_is_undone(book: Book, open_with: Any) -> None:
    """It commits, rolls back or begins on its own."""

    def disorder(connection: Any, payloads: Sequence[Any]) -> Any:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("ROLLBACK")
            return list(payloads)
        return begin(connection, payloads)

    async def begin(connection: Any, payloads: Sequence[Any]) -> Sequence[Any]:
        await connection.execute("BEGIN")
        return list(payloads)

    writer = open_with(disorder)
    assert await answers(*(writer.run_together("g", n, lambda n=n: put(n)) for n in "ab")) == list("ab")
    assert await subjects(book) == list("ab")


# --- SQLite: statements that fail though nobody's data is the reason


class Unruly(sqlite3.Connection):
    """Fails on demand, at statements with a given beginning."""

    failing: dict[str, int] = {}  # noqa: RUF012 - one for all of a test

    def execute(self, statement: str, *arguments: Any) -> Any:
        for word, left in self.failing.items():
            if statement.startswith(word) and left > 0:
                self.failing[word] = left - 1
                raise sqlite3.OperationalError(f"{word} fails")
        return super().execute(statement, *arguments)


@pytest.fixture
async def unruly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Book]:
    connect = sqlite3.connect
    book = await Book(f"sqlite:///{tmp_path / 'test.db'}").open()
    await book.ledger.writer.run(lambda: put("before"))
    Unruly.failing = {}
    monkeypatch.setattr(
        "core.store.sqlite_connection.sqlite3.connect",
        lambda *arguments, **options: connect(*arguments, **({"factory": Unruly} | options)),
    )
    await book.ledger.close()
    address = book.database.address
    assert isinstance(address, SqliteAddress)
    book.ledger._writer = SqliteWriter(address.path)
    yield book
    await book.close()


@pytest.mark.parametrize("word", ["BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "INSERT"])
@pytest.mark.parametrize("way", ["run", "run_small"])
@pytest.mark.parametrize("rollbacks", [0, 1, 1000], ids=lambda n: f"{n} rollbacks fail")
async def test_a_statement_that_fails_once_leaves_a_writer_that_works(
    unruly: Book, word: str, way: str, rollbacks: int
) -> None:
    Unruly.failing = {word: 1, "ROLLBACK": rollbacks}
    run = getattr(unruly.ledger.writer, way)
    outcomes = await answers(*(run(lambda n=n: put(f"n{n}")) for n in range(5)))
    Unruly.failing = {}
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert all(isinstance(outcome, StorageUnavailableError) for outcome in failed)
    if word == "COMMIT" and way == "run_small":
        assert failed == []  # each was run again
    stored = set(await subjects(unruly)) - {"before"}
    assert stored == {outcome for outcome in outcomes if isinstance(outcome, str)}
    await works_on(unruly)


async def test_a_full_disk_fails_what_does_not_fit_and_the_writer_comes_back(tmp_path: Path) -> None:
    book = await Book(f"sqlite:///{tmp_path / 'test.db'}").open()
    try:
        writer = book.ledger.writer
        assert isinstance(writer, SqliteWriter)
        await writer.run(lambda: put("before"))

        def limit(pages: int) -> Transaction[None]:
            yield from execute(f"PRAGMA max_page_count = {pages}")

        (pages,) = (await book.rows("PRAGMA page_count"))[0]
        await writer.run(lambda: limit(pages + 2))
        big = "x" * 100_000
        outcomes = await answers(
            *(writer.run(lambda n=n: put(f"n{n}", big if n == 2 else "small")) for n in range(5))
        )
        assert [outcome for outcome in outcomes if isinstance(outcome, str)] == ["n0", "n1", "n3", "n4"]
        assert isinstance(outcomes[2], StorageUnavailableError)
        await writer.run(lambda: limit(1_000_000))
        await works_on(book)
        assert await writer.run(lambda: put("n2", big)) == "n2"
    finally:
        await book.close()


async def test_who_waits_for_a_writer_that_is_stuck_is_informed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = await Book(f"sqlite:///{tmp_path / 'test.db'}").open()
    await book.ledger.close()
    address = book.database.address
    assert isinstance(address, SqliteAddress)
    monkeypatch.setattr(sqlite_writer, "BUSY_SECONDS", 30.0)
    writer = SqliteWriter(address.path, stuck_seconds=0.3)
    book.ledger._writer = writer
    other = sqlite3.connect(address.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        outcomes = await answers(writer.run(lambda: put("a")), writer.run_small(lambda: put("b")))
        assert [type(outcome) for outcome in outcomes] == [StorageUnavailableError] * 2
        other.execute("ROLLBACK")
        assert await answers(writer.run(lambda: put("c"))) == ["c"]
        await works_on(book)
    finally:
        other.close()
        await book.close()


# --- SQLAlchemy's way


@pytest.mark.parametrize(
    "value", [*POISON_VALUES, *POSTGRESQL_POISON_VALUES], ids=lambda value: repr(value)[:20]
)
async def test_administrative_writes_and_reads_name_what_cannot_be_stored(book: Book, value: Any) -> None:
    column = "actor" if isinstance(value, str) else "at"
    values = {"at": 0, "pbx_id": "p", "kind": "k", "actor": "", "subject": "", "detail": "{}"} | {
        column: value
    }
    outcome: Any = None
    try:
        async with book.database.writing() as connection:
            await connection.execute(insert(tables.audit).values(**values))
    except Exception as fault:
        outcome = fault
    assert isinstance(outcome, UnstorableValueError) == is_poison(book, value)
    if value in POISON_VALUES or value == "a\x00b":
        query = select(tables.audit).where(tables.audit.c[column] == value)
        with contextlib.suppress(UnstorableValueError):
            async with book.database.reading() as connection:
                assert (await connection.execute(query)).all() == [] or not is_poison(book, value)
    await works_on(book)


async def test_a_cancelled_administrative_write_leaves_no_transaction_open(book: Book) -> None:
    async def write() -> None:
        async with book.database.writing() as connection:
            for _ in range(3):
                await connection.execute(
                    insert(tables.audit).values(at=0, pbx_id="p", kind="c", actor="", subject="", detail="{}")
                )

    for turns in range(25):
        task = asyncio.create_task(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await answers(task)
    await works_on(book)


# --- honest and poisoned sign-ins, in any order

NAMES = st.one_of(
    st.sampled_from(["Ada", "half \ud83d", "nul \x00", "y" * 5000, "", "ñ" * 40]),
    st.text(st.characters(codec=None), max_size=20),
)
IDS = st.one_of(st.integers(1, 9), st.sampled_from([2**63, 2**70, -(2**80), 0, -1, 2**53, 2**63 - 1]))
STEP = st.tuples(st.sampled_from(["take", "free", "script", "small"]), st.integers(0, 5), IDS, NAMES)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(STEP, min_size=1, max_size=8), min_size=1, max_size=5))
async def test_honest_people_sign_in_whatever_the_others_send(
    module_book: Book, rounds: list[list[Any]]
) -> None:
    """Ten honest users sign in and out in the same batches as hostile ones; the seats stay consistent."""
    book = module_book
    await book.put(30)
    writer = book.ledger.writer
    for number, steps in enumerate(rounds):
        calls: list[Any] = []
        honest = []
        for index, (kind, user, pbx_user, name) in enumerate(steps):
            honest.append(book.take(1000 + index))
            person = SessionPerson(pbx_user, name, name, name, is_administrator=False)
            if kind == "take":
                request = await book.request(user + 500)
                calls.append(outcome_of(book.ledger.open_session(replace(request, person=person))))
            elif kind == "free":
                calls.append(_free(book, user + 500))
            else:
                run = writer.run if kind == "script" else writer.run_small
                fault = RAISED[(user + number) % len(RAISED)]
                calls.append(run(lambda name=name, fault=fault: failing(name, fault)))
        outcomes = await answers(*calls, *honest)
        opened = outcomes[len(calls) :]
        assert all(isinstance(one, Opened) for one in opened), opened
        # Finding: a refusal; else an error of one's own, never the database's or a neighbour's.
        for one in outcomes[: len(calls)]:
            assert not isinstance(one, StorageUnavailableError) or isinstance(
                one.__cause__, (sqlite3.Error, OSError)
            )
        left = await answers(*(book.end(one) for one in opened))
        assert left == [1] * len(opened)
        held = await book.rows("SELECT count(*) FROM seat WHERE holder IS NOT NULL")
        sessions = await book.rows("SELECT count(*) FROM session WHERE pool_id IS NOT NULL")
        assert held == sessions
    await works_on(book)


async def _free(book: Book, number: int) -> Any:
    sessions = [
        one
        for one in await book.overview.all_holders("pbx-1")
        if one.teams_user.object_id == f"object-{number}"
    ]
    return await book.end(*(Opened(one, ()) for one in sessions[:1])) or None
