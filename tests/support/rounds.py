"""Barrier rounds: processes that repeatedly take seats of one pool at the same moment.

Every process starts a round at the same clock time. In a round each of its clients takes a seat once; there are
more requests than seats, so exactly as many clients must hold one as there are seats. Everybody signs out between
rounds.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from core.licensing.session import Opened
from core.store.database import PostgresAddress, address_of
from tests.support.book import Book
from tests.support.refusals import outcome_of


class WrongWay(StrEnum):
    """The two methods of the design's table that oversell, as controls."""

    NO_LOCK = "count, then insert, without a lock"
    LATE_LOCK = "count and insert with the advisory lock in the same statement"


@dataclass(frozen=True, slots=True)
class Round:
    granted: int
    refused: int
    held: int
    """Seats that are held after the round according to the database."""


def check_round(one: Round, seats: int) -> str | None:
    """Return what is wrong with a round that had more requests than seats."""
    if one.held > seats or one.granted > seats:
        return f"oversold: {one}"
    if one.granted < seats:
        return f"refused while a seat was free: {one}"
    return None if one.held == one.granted else f"granted is not held: {one}"


def run_rounds(
    url: str, rounds: int, *, processes: int, each: int, seats: int, wrong_way: WrongWay | None = None
) -> list[Round]:
    asyncio.run(_prepare(url, seats, wrong_way))
    commands = [
        [sys.executable, "-m", "tests.support.rounds", url, str(each), str(number * each), wrong_way or ""]
        for number in range(1, processes + 1)
    ]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    try:
        for worker in workers:
            _answer(worker)
        found: list[Round] = []
        with asyncio.Runner() as runner:
            for _round in range(rounds):
                for worker in workers:
                    _say(worker, "take")
                granted = sum(_answer(worker) for worker in workers)
                held = runner.run(_held(url, wrong_way))
                found.append(Round(granted, processes * each - granted, held))
                for worker in workers:
                    _say(worker, "free")
                for worker in workers:
                    _answer(worker)
        return found
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _say(worker: "subprocess.Popen[str]", word: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(word + "\n")
    worker.stdin.flush()


def _answer(worker: "subprocess.Popen[str]") -> int:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError("a process of the round has ended")
    return int(json.loads(line))


async def _prepare(url: str, seats: int, wrong_way: WrongWay | None) -> None:
    book = await Book(url).open()
    await book.put(seats)
    if wrong_way is not None:
        address = book.database.address
        assert isinstance(address, PostgresAddress)
        connection = await asyncpg.connect(address.dsn)
        await connection.execute("CREATE TABLE wrong (holder BIGINT PRIMARY KEY)")
        await connection.execute("CREATE TABLE wrong_pool (seats INTEGER)")
        await connection.execute("INSERT INTO wrong_pool VALUES ($1)", seats)
        await connection.close()
    await book.close()


async def _held(url: str, wrong_way: WrongWay | None) -> int:
    book = await Book(url).open(prepare=False)
    table = "wrong" if wrong_way else "seat"
    ((held,),) = await book.rows(f"SELECT count(holder) FROM {table}")
    await book.close()
    return int(held)


async def _work(url: str, users: Sequence[int], wrong_way: WrongWay | None) -> None:
    clients = _Wrong(url, wrong_way, users) if wrong_way is not None else _Right(url, users)
    await clients.start()
    print(0, flush=True)
    for line in iter(sys.stdin.readline, ""):
        print(await (clients.take() if line.strip() == "take" else clients.free()), flush=True)


class _Right:
    def __init__(self, url: str, users: Sequence[int]) -> None:
        self._book = Book(url)
        self._users = users
        self._opened: list[Opened] = []

    async def start(self) -> None:
        await self._book.open(prepare=False)
        self._requests = [await self._book.request(user) for user in self._users]

    async def take(self) -> int:
        outcomes = await asyncio.gather(
            *(outcome_of(self._book.ledger.open_session(request)) for request in self._requests)
        )
        self._opened = [outcome for outcome in outcomes if isinstance(outcome, Opened)]
        return len(self._opened)

    async def free(self) -> int:
        left = await asyncio.gather(*(self._book.end(opened) for opened in self._opened))
        assert all(left), "a seat that was granted could not be given back"
        return sum(left)


class _Wrong:
    """Every client has its own connection, like a service with a connection pool."""

    def __init__(self, url: str, way: WrongWay, users: Sequence[int]) -> None:
        self._url, self._way, self._users = url, way, users

    async def start(self) -> None:
        address = address_of(self._url)
        assert isinstance(address, PostgresAddress)
        self._connections = [await asyncpg.connect(address.dsn) for _user in self._users]

    async def take(self) -> int:
        took = await asyncio.gather(
            *(self._one(*pair) for pair in zip(self._connections, self._users, strict=True))
        )
        return sum(took)

    async def _one(self, connection: "asyncpg.Connection[object]", user: int) -> bool:
        if self._way is WrongWay.LATE_LOCK:
            status = await connection.execute(
                "WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(1)) INSERT INTO wrong (holder)"
                " SELECT $1 FROM locked WHERE (SELECT count(*) FROM wrong) < (SELECT seats FROM wrong_pool)",
                user,
            )
            return status == "INSERT 0 1"
        held = await connection.fetchval("SELECT count(*) FROM wrong")
        if held >= await connection.fetchval("SELECT seats FROM wrong_pool"):
            return False
        await connection.execute("INSERT INTO wrong (holder) VALUES ($1)", user)
        return True

    async def free(self) -> int:
        await self._connections[0].execute("DELETE FROM wrong WHERE holder = ANY($1)", list(self._users))
        return 0


if __name__ == "__main__":
    address, clients, first, way = sys.argv[1:]
    numbers = range(int(first), int(first) + int(clients))
    asyncio.run(_work(address, numbers, WrongWay(way) if way else None))
