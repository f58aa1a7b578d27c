"""What is kept is never older than the database, no matter who has written."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.store.database import Database
from core.store.kept import Kept
from core.store.transaction import StorageUnavailableError, execute
from core.store.writing import open_writer
from tests.support.book import PBX, Book

MARK = "INSERT INTO clock_mark (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = excluded.at"
READ = "SELECT at FROM clock_mark WHERE id = $1"


class Reading:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.times = 0

    async def __call__(self) -> int | None:
        self.times += 1
        row = await self._database.fetch_first(READ, 1)
        return row["at"] if row is not None else None


class Held:
    """A read that continues when the test releases it."""

    def __init__(self) -> None:
        self.times = 0
        self.goes_on = asyncio.Event()
        self.fault: Exception | None = None

    async def __call__(self) -> int:
        self.times += 1
        await self.goes_on.wait()
        if self.fault is not None:
            raise self.fault
        return self.times


async def test_what_is_asked_again_is_read_once(book: Book) -> None:
    kept, reading = Kept[int | None](book.database), Reading(book.database)

    async def is_kept() -> bool:
        """A server that is busy with itself, as PostgreSQL is now and then, makes it be read once more."""
        before = reading.times
        assert await kept.get("a", reading) is None
        return reading.times == before

    await kept.get("a", reading)
    assert any([await is_kept() for _ in range(20)])


async def test_many_who_ask_at_once_are_one_reading(tmp_path: Path) -> None:
    book = await Book(f"sqlite:///{tmp_path / 'kept.db'}").open()  # nobody else writes there
    kept, held = Kept[int](book.database), Held()
    asking = [asyncio.create_task(kept.get("a", held)) for _ in range(50)]
    while not held.times:
        await asyncio.sleep(0)
    asking[0].cancel()  # the first caller has gone; the others are not concerned
    held.goes_on.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [1] * 49
    assert held.times == 1
    await book.close()


async def test_a_reading_that_failed_is_not_kept(book: Book) -> None:
    kept, held = Kept[int](book.database), Held()
    held.goes_on.set()
    held.fault = StorageUnavailableError("away")
    for _ in range(2):
        with pytest.raises(StorageUnavailableError):
            await kept.get("a", held)
    held.fault = None
    assert await kept.get("a", held) == 3


async def test_every_commit_is_seen(book: Book) -> None:
    """By each way of writing, and by a writer that this process knows nothing of."""
    kept, reading = Kept[int | None](book.database), Reading(book.database)
    other_database, other = Database(book.url), open_writer(book.database.address)
    writer = book.ledger.writer

    async def administratively(number: int) -> None:
        async with other_database.writing() as connection:
            await connection.exec_driver_sql(f"UPDATE clock_mark SET at = {number} WHERE id = 1")

    ways: list[Callable[[int], Awaitable[object]]] = [
        lambda number: writer.run(lambda: execute(MARK, number)),
        lambda number: writer.run_small(lambda: execute(MARK, number)),
        lambda number: other.run(lambda: execute(MARK, number)),
        administratively,
    ]
    try:
        for number in range(40):
            await ways[number % len(ways)](number)
            assert await kept.get("a", reading) == number
            assert await kept.get("a", reading) == number
    finally:
        await other.close()
        await other_database.close()


async def test_what_is_committed_while_it_is_read_is_seen_the_next_time(book: Book) -> None:
    kept, writer = Kept[int | None](book.database), book.ledger.writer
    await writer.run(lambda: execute(MARK, 1))

    async def slow() -> int | None:
        value = await Reading(book.database)()
        await writer.run(lambda: execute(MARK, 2))
        return value

    assert await kept.get("a", slow) == 1
    assert await kept.get("a", Reading(book.database)) == 2


async def test_who_writes_all_the_time_is_seen_all_the_time(book: Book) -> None:
    kept, writer = Kept[int | None](book.database), book.ledger.writer
    done = 0

    async def write() -> None:
        nonlocal done
        for number in range(1, 200):
            await writer.run_small(lambda number=number: execute(MARK, number))
            done = number

    await writer.run(lambda: execute(MARK, 0))
    writing = asyncio.create_task(write())
    while not writing.done():
        before = done
        value = await kept.get("a", Reading(book.database))
        assert value is not None and value >= before
        await asyncio.sleep(0)
    await writing
    assert await kept.get("a", Reading(book.database)) == 199


async def test_only_so_many_are_kept(book: Book) -> None:
    kept = Kept[int | None](book.database, most=3)
    for number in range(10):
        await kept.get(number, Reading(book.database))
    assert len(kept._values) == 3


async def test_a_replaced_connection_keeps_nothing_of_the_earlier_one(book: Book) -> None:
    kept, reading = Kept[int | None](book.database), Reading(book.database)
    await book.ledger.writer.run(lambda: execute(MARK, 1))
    assert await kept.get("a", reading) == 1
    await book.database.close()
    await book.ledger.writer.run(lambda: execute(MARK, 2))
    assert await kept.get("a", reading) == 2
    assert (await book.overview.pools(PBX)) == []
