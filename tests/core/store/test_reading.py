"""Reads by the drivers themselves, on both databases: what was committed is seen, nobody waits for ever, a loss is survived."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from core.store.database import Database, SqliteAddress, upgrade_async
from core.store.sqlite_reader import NEXT_ELSEWHERE, SqliteReader
from core.store.transaction import StorageUnavailableError, UnstorableValueError, execute
from core.store.writing import open_writer
from tests.support.book import Book
from tests.support.postgres import Postgres

MARK = "INSERT INTO clock_mark (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = excluded.at"
READ = "SELECT at FROM clock_mark WHERE id = $1"
LONG = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT max(i) AS n FROM n"
)


async def test_a_writer_reads_its_own_writes(book: Book) -> None:
    """By the loop's connection and by the threads', whichever way the writer took."""
    writer = book.ledger.writer
    for number in range(200):
        write = (writer.run, writer.run_small)[number % 2]
        await write(lambda number=number: execute(MARK, number))
        row = await book.database.fetch_first(READ, 1)
        assert row is not None and row["at"] == number


async def test_nobody_reads_an_older_state_while_many_write(book: Book) -> None:
    async def client(name: int) -> None:
        mark = MARK.replace("(1, $1)", f"({name}, $1)")
        for number in range(30):
            await book.ledger.writer.run_small(lambda number=number: execute(mark, number))
            row = await book.database.fetch_first(READ, name)
            assert row is not None and row["at"] == number

    await asyncio.gather(*(client(name) for name in range(2, 12)))


async def test_a_read_of_a_thread_sees_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "threads.db"
    await upgrade_async(f"sqlite:///{path}")
    writer, reader = open_writer(SqliteAddress(path)), SqliteReader(path)
    slow = f"{READ} AND ({LONG.format(100_000)}) > 0"
    try:
        for number in range(20):
            await writer.run(lambda number=number: execute(MARK, number))
            (row,) = await reader.fetch(slow, (1,))
            assert row["at"] == number
        assert reader._threads, "the statement was too slow for the event loop"
    finally:
        await writer.close()
        await reader.close()


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[SqliteReader]:
    path = tmp_path / "reader.db"
    await upgrade_async(f"sqlite:///{path}")
    reader = SqliteReader(path)
    yield reader
    await reader.close()


async def test_a_long_statement_leaves_the_event_loop(reader: SqliteReader) -> None:
    """While it runs, others of the loop go on; and the next of its kind does not even begin there."""
    ended = asyncio.create_task(_fetch(reader, LONG.format(3_000_000)))
    turns = 0
    while not ended.done():
        turns += 1
        await asyncio.sleep(0)
    assert (await ended) == 3_000_000
    assert turns > 1
    assert reader._elsewhere[LONG.format(3_000_000)] == NEXT_ELSEWHERE
    seemed_long = 0
    for _ in range(100):
        assert await _fetch(reader, LONG.format(1000)) == 1000
        seemed_long += reader._elsewhere.get(LONG.format(1000)) == NEXT_ELSEWHERE
    assert seemed_long <= 2, "a busy machine makes a short read seem long now and then, not each time"


async def test_a_statement_has_a_limit_of_time(tmp_path: Path) -> None:
    path = tmp_path / "limit.db"
    await upgrade_async(f"sqlite:///{path}")
    reader = SqliteReader(path, statement_seconds=2)
    try:
        with pytest.raises(StorageUnavailableError):
            await _fetch(reader, LONG.format(10**12))
        assert await _fetch(reader, "SELECT 7 AS n") == 7
        for count in (20_000, 20_000):  # by a thread, whose connection goes on
            assert await _fetch(reader, LONG.format(count)) == count
    finally:
        await reader.close()


async def test_nothing_is_written_on_a_connection_for_reading(book: Book) -> None:
    with pytest.raises((StorageUnavailableError, asyncpg.ReadOnlySQLTransactionError)):
        await book.database.fetch("DELETE FROM clock_mark")


@pytest.mark.parametrize("value", ["a\0b", "\ud800", 2**70])
async def test_a_value_that_fits_no_column_is_named(book: Book, value: object) -> None:
    query = "SELECT id FROM pbx WHERE name = $1" if isinstance(value, str) else READ
    if value == "a\0b" and book.url.startswith("sqlite"):
        assert await book.database.fetch(query, value) == []  # SQLite can look for it
        return
    with pytest.raises(UnstorableValueError):
        await book.database.fetch(query, value)
    assert await book.database.fetch(READ, 99) == []


async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StorageUnavailableError):
        await database.fetch(READ, 1)
    assert not path.exists()
    await upgrade_async(f"sqlite:///{path}")
    assert await database.fetch(READ, 1) == []
    await database.close()


async def test_a_file_that_is_damaged_and_mended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    await upgrade_async(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    path.write_bytes(b"no database" * 1000)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StorageUnavailableError):
        await database.fetch(READ, 1)
    path.write_bytes(whole)
    assert await database.fetch(READ, 1) == []
    await database.close()


async def test_reads_survive_a_postgresql_that_was_killed(postgres: Postgres) -> None:
    url = postgres.new_database("reads")
    await upgrade_async(url)
    database = Database(url)
    await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.05)") for _ in range(10)))
    postgres.kill()
    with pytest.raises(StorageUnavailableError):
        await database.fetch(READ, 1)
    postgres.start()
    # The first read may use an old connection; it is then retried on a new one.
    assert await database.fetch(READ, 1) == []
    await database.close()


async def test_a_read_that_meets_a_connection_that_was_ended_is_asked_once_more(postgres: Postgres) -> None:
    url = postgres.new_database("ended")
    await upgrade_async(url)
    database = Database(url)
    await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.05)") for _ in range(10)))
    other = await asyncpg.connect(url.replace("+asyncpg", ""))
    mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'ended' AND pid <> pg_backend_pid()"
    assert len(await other.fetch(mine)) == 5, "a few connections, which stay"
    assert await asyncio.gather(*(database.fetch(READ, 1) for _ in range(20))) == [[]] * 20
    await other.close()
    await database.close()


async def test_a_reader_that_was_cancelled_leaves_a_connection_for_the_next(book: Book) -> None:
    slow = LONG.format(2_000_000) if book.url.startswith("sqlite") else "SELECT pg_sleep(20)"
    tasks = [asyncio.create_task(book.database.fetch(slow)) for _ in range(12)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=20)
    assert all(task.cancelled() or task.exception() is None for task in tasks)
    begun = time.monotonic()
    assert await book.database.fetch(READ, 99) == []
    assert time.monotonic() - begun < 20


async def _fetch(reader: SqliteReader, query: str) -> int:
    (row,) = await reader.fetch(query, ())
    return int(row["n"])
