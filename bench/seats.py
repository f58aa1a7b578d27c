"""Measures taking and freeing seats, with session and audit row, as in a sign-in and a sign-out.

    postgresql_hot_pool  over the plainest UPDATE of one hot row, 64 clients, on the same server in the same run
    sqlite_hot_pool      over the same rows written by sqlite3 itself, one commit for each take or free
    latency_alone        one client's take or free over the plain way, by the database's driver itself, with no other
                         load; the worse of the two databases. The plain way is the design's: on SQLite the same rows
                         in a commit of their own, on PostgreSQL "seat rows with SKIP LOCKED, a commit each"

Rates are the median of short rounds in which baseline and measurement alternate, so that slow moments of the
machine affect both.
"""

import asyncio
import contextlib
import itertools
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench.report import Bar, Report
from core.identity.teams_user import TeamsUser
from core.licensing.batched import BatchedSignIn
from core.licensing.rules import LicenceKind, SeatChoice, TakeSeat
from core.licensing.session import SESSION_COLUMNS, Opened, SessionRequest
from core.store.audit import INSERT_AUDIT, INSERT_AUDIT_SQLITE, Actor, AuditKind, audit_values
from core.store.database import PostgresAddress, upgrade_async
from core.store.limits import SQLITE_PRAGMAS
from core.store.tables import FREE_FOR_ALL
from tests.support.book import NOW, PBX, Book, person
from tests.support.postgres import Postgres

CLIENTS: Final = 64
SEATS: Final = 500
POOLS: Final = 1000
ROUNDS: Final = 7
ROUND_SECONDS: Final = 1
BARS: Final = {
    "postgresql_hot_pool": Bar(2.5),
    "sqlite_hot_pool": Bar(8),
    "latency_alone": Bar(1.2, at_most=True),
}

_BARE_OPEN: Final = f"INSERT INTO session ({SESSION_COLUMNS}) VALUES ({', '.join('?' * 18)})"
_ACTOR: Final = Actor.person(tenant_id="tenant", object_id="object-1", pbx_user_id=1, name="Teams 1")
_PARAMETERS: Final = ", ".join(
    [*(f"${n}" for n in range(1, 13)), "number", "$13", "$14", "$15", "$16", "$17"]
)
_BARE_POSTGRESQL: Final = (
    f"""
    WITH taken AS (UPDATE seat SET holder = $6 WHERE (pool_id, number) = (SELECT pool_id, number FROM seat
    WHERE pool_id = $12 AND {FREE_FOR_ALL} LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING number), opened AS
    (INSERT INTO session ({SESSION_COLUMNS}) SELECT {_PARAMETERS} FROM taken)
    {INSERT_AUDIT}
    SELECT $14, $5, 'granted', $4, $8, '{{}}', $6, $12, NULL, 'person', $2, $3, $6 FROM taken
    """,
    f"""
    WITH gone AS (DELETE FROM session WHERE id = $1 RETURNING *), freed AS
    (UPDATE seat SET holder = NULL FROM gone WHERE seat.pool_id = gone.pool_id AND number = seat_number)
    {INSERT_AUDIT}
    SELECT started_at, pbx_id, 'ended', teams_name, display_name, '{{}}', pbx_user_id, pool_id, started_at,
    'person', tenant_id, object_id, pbx_user_id FROM gone
    """,
)

Rate = Callable[[float], Awaitable[float]]
"""Runs for the given number of seconds; returns operations per second."""


async def run() -> Report:
    report = Report("seats", BARS)
    with tempfile.TemporaryDirectory() as directory:
        async with _book(f"sqlite:///{directory}/bench.db") as book:
            await _sqlite(report, book, Path(directory) / "bare.db")
        server = Postgres()
        server.start()
        try:
            async with _book(server.new_database("bench")) as book:
                await _postgresql(report, book)
        finally:
            server.stop()
    report.ratios["latency_alone"] = max(
        report.ratios.pop("sqlite_latency_alone"), report.ratios.pop("postgresql_latency_alone")
    )
    return report


async def _sqlite(report: Report, book: Book, bare_path: Path) -> None:
    await upgrade_async(f"sqlite:///{bare_path}")
    bare = sqlite3.connect(bare_path, isolation_level=None, check_same_thread=False)
    for pragma in SQLITE_PRAGMAS:
        bare.execute(pragma)
    await _fill(f"sqlite:///{bare_path}")
    (pool_id,) = bare.execute("SELECT id FROM pool").fetchone()
    session = (await book.request(1), pool_id)

    def take_and_free(seconds: float) -> float:
        count, ends = 0, time.perf_counter() + seconds
        while time.perf_counter() < ends:
            number, id_ = count // 2 % SEATS + 1, f"{count // 2:036}"
            bare.execute("BEGIN IMMEDIATE")
            bare.execute("UPDATE seat SET holder = 1 WHERE pool_id = ? AND number = ?", (pool_id, number))
            bare.execute(_BARE_OPEN, _row(id_, session, number))
            bare.execute(INSERT_AUDIT_SQLITE, _audit(AuditKind.GRANTED, pool_id, None))
            bare.execute("COMMIT")
            bare.execute("BEGIN IMMEDIATE")
            bare.execute("DELETE FROM session WHERE id = ?", (id_,))
            bare.execute("UPDATE seat SET holder = NULL WHERE pool_id = ? AND number = ?", (pool_id, number))
            bare.execute(INSERT_AUDIT_SQLITE, _audit(AuditKind.ENDED, pool_id, 0))
            bare.execute("COMMIT")
            count += 2
        return count / seconds

    def one_row(seconds: float) -> float:
        count, ends = 0, time.perf_counter() + seconds
        while time.perf_counter() < ends:
            bare.execute("UPDATE pool SET expiry_told = ?", (count,))
            count += 1
        return count / seconds

    report.figures["sqlite: one row and its commit, microseconds"] = round(
        1e6 / await _blocking(one_row)(ROUND_SECONDS)
    )
    bare_rate = _blocking(take_and_free)
    await _measure(report=report, name="sqlite", book=book, baseline=bare_rate, one_commit=bare_rate)
    bare.close()


async def _postgresql(report: Report, book: Book) -> None:
    assert isinstance(book.database.address, PostgresAddress)
    connections: list[asyncpg.Connection[Any]] = [
        await asyncpg.connect(book.database.address.dsn) for _ in range(CLIENTS)
    ]
    await connections[0].execute("CREATE TABLE hot (id INTEGER PRIMARY KEY, n BIGINT)")
    await connections[0].execute("INSERT INTO hot VALUES (1, 0)")

    async def hot_row(seconds: float, count: int = CLIENTS) -> float:
        ends, done = time.perf_counter() + seconds, 0

        async def client(connection: "asyncpg.Connection[Any]") -> None:
            nonlocal done
            statement = await connection.prepare("UPDATE hot SET n = n + 1 WHERE id = 1")
            while time.perf_counter() < ends:
                await statement.fetch()
                done += 1

        await asyncio.gather(*(client(connection) for connection in connections[:count]))
        return done / seconds

    await book.put(SEATS, "bare")
    pool_id = next(pool.id for pool in await book.overview.pools(PBX) if pool.serial == "bare")
    take, free = [await connections[0].prepare(text) for text in _BARE_POSTGRESQL]
    session = (replace(await book.request(1), teams_user=TeamsUser("bare", "bare", "Bare")), pool_id)
    session = (replace(session[0], person=person(10_000)), pool_id)

    async def same_rows(seconds: float) -> float:
        ends, done = time.perf_counter() + seconds, 0
        while time.perf_counter() < ends:
            id_ = f"{done // 2:036}"
            row = _row(id_, session, 0)
            await take.fetch(*row[:12], *row[13:])
            await free.fetch(id_)
            done += 2
        return done / seconds

    report.figures["postgresql: one row and its commit, microseconds"] = round(
        1e6 / await hot_row(ROUND_SECONDS, 1)
    )
    await _measure(report=report, name="postgresql", book=book, baseline=hot_row, one_commit=same_rows)
    for connection in connections:
        await connection.close()


async def _measure(report: Report, name: str, book: Book, baseline: Rate, one_commit: Rate) -> None:
    hot, alone = _clients(book, ["hot"], CLIENTS), _clients(book, ["alone"], 1)
    many = _clients(book, [f"pool-{number}" for number in range(POOLS)], CLIENTS)
    await _put_pools(book)
    bare_rates, hot_rates, many_rates, commit_rates, alone_rates = [], [], [], [], []
    for _round in range(ROUNDS):
        bare_rates.append(await baseline(ROUND_SECONDS))
        hot_rates.append(await hot(ROUND_SECONDS))
        many_rates.append(await many(ROUND_SECONDS))
        commit_rates.append(await one_commit(ROUND_SECONDS))
        alone_rates.append(await alone(ROUND_SECONDS))
    bare, hot_rate, commits, single = map(
        statistics.median, (bare_rates, hot_rates, commit_rates, alone_rates)
    )
    report.ratios[f"{name}_hot_pool"] = hot_rate / bare
    report.ratios[f"{name}_latency_alone"] = commits / single
    report.figures |= {
        f"{name}: baseline, operations per second": round(bare),
        f"{name}: hot pool of {SEATS}, {CLIENTS} clients, per second": round(hot_rate),
        f"{name}: {POOLS} pools, {CLIENTS} clients, per second": round(statistics.median(many_rates)),
        f"{name}: the same rows by the driver itself, microseconds": round(1e6 / commits),
        f"{name}: one client alone, microseconds": round(1e6 / single),
    }


async def _put_pools(book: Book) -> None:
    await book.put(SEATS, "hot")
    await book.put(SEATS, "alone")  # as untouched by the rush as the baseline's own pool
    for number in range(POOLS):
        await book.put(1, f"pool-{number}")


def _clients(book: Book, serials: list[str], clients: int) -> Rate:
    """Run clients that sign in and out repeatedly, each at its share of the pools."""

    async def rate(seconds: float) -> float:
        ids = {pool.serial: pool.id for pool in await book.overview.pools(PBX)}
        template = await book.request(1)
        requests = [
            [
                replace(
                    template,
                    teams_user=TeamsUser("tenant", f"object-{number}", f"Teams {number}"),
                    person=person(number),
                    licence=TakeSeat((SeatChoice(ids[serial]),)),
                )
                for serial in serials[number::clients] or serials
            ]
            for number in range(clients)
        ]
        ends, done = time.perf_counter() + seconds, 0

        async def client(mine: Sequence[SessionRequest]) -> None:
            nonlocal done
            for request in itertools.cycle(mine):
                opened = await book.ledger.open_session(request)
                assert isinstance(opened, Opened)
                await book.ledger.sign_out(opened.session, NOW)
                done += 2
                if time.perf_counter() >= ends:
                    return

        await asyncio.gather(*(client(mine) for mine in requests))
        return done / seconds

    return rate


def _row(id_: str, session: tuple[SessionRequest, str], number: int) -> tuple[Any, ...]:
    """Return a session's row, in the order of `SESSION_COLUMNS`."""
    return BatchedSignIn(session_id=id_, request=session[0], kind=LicenceKind.FL, pool_id=session[1]).row(
        number
    )


def _audit(kind: AuditKind, pool_id: str, held_from: int | None) -> tuple[Any, ...]:
    return audit_values(
        at=0,
        pbx_id=PBX,
        kind=kind,
        actor=_ACTOR,
        subject="User 1",
        detail="{}",
        pbx_user_id=1,
        pool_id=pool_id,
        held_from=held_from,
    )


async def _fill(url: str) -> None:
    async with _book(url) as book:
        await book.put(SEATS, "bare")


def _blocking(work: Callable[[float], float]) -> Rate:
    async def rate(seconds: float) -> float:
        return await asyncio.to_thread(work, seconds)

    return rate


@contextlib.asynccontextmanager
async def _book(url: str) -> AsyncIterator[Book]:
    book = await Book(url).open()
    yield book
    await book.close()
