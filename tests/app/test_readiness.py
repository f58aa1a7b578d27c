"""`/readyz` proves that the service can write; and the real service under a clock that jumps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.readiness import CheckState, Readiness, prove_writer
from core.store.clock_watch import ClockWatch
from core.store.transaction import StorageUnavailableError
from tests.support.book import Book
from tests.support.postgres import Postgres
from tests.support.world import ANNA, World, eventually

PARTS = ("read", "write", "seats")


async def readiness(world: World) -> tuple[int, dict[str, Any]]:
    async with world.http.get(f"{world.demo.service_url}/readyz") as answer:
        return answer.status, await answer.json()


async def is_ready(world: World) -> bool:
    return (await readiness(world))[0] == 200


async def test_a_service_in_order_reports_it_for_each_part(world: World) -> None:
    await eventually(lambda: is_ready(world), "the service is ready")
    status, body = await readiness(world)
    assert status == 200
    assert body["status"] == "ready" and body["clock"] == "ok"
    assert {name: body[name] for name in PARTS} == dict.fromkeys(PARTS, "ok")


async def test_a_writer_that_is_stuck_is_not_ready_and_comes_back(world: World) -> None:
    await eventually(lambda: is_ready(world), "the service is ready")
    with closing(world.database()) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")

        async def both_ways_fail() -> dict[str, Any] | None:
            status, body = await readiness(world)
            bad = body["write"] != "ok" and body["seats"] != "ok"
            return body if status == 503 and bad else None

        body = await eventually(both_ways_fail, "503 while nothing can be written", seconds=40)
        assert body["read"] == "ok" and body["status"] == "not ready"
        assert {body["write"], body["seats"]} <= {"stuck", "failed"}
        other.execute("ROLLBACK")
    await eventually(lambda: is_ready(world), "it comes back by itself", seconds=40)


@pytest.fixture
async def proven(database_url: str) -> AsyncIterator[tuple[Book, Readiness]]:
    book = await Book(database_url).open()

    async def seats() -> None:
        await book.ledger.writer.run(prove_writer)

    found = Readiness(
        {"write": ClockWatch(book.database).prove, "seats": seats}, prove_seconds=0.1, answer_seconds=1
    )
    found.start()
    yield book, found
    await found.close()
    await book.close()


def states(found: Readiness) -> set[CheckState]:
    return set(found.states().values())


async def reaches(found: Readiness, wanted: set[CheckState]) -> None:
    async def check() -> bool:
        return states(found) <= wanted

    await eventually(check, f"{wanted}, not {found.states()}", seconds=40)


async def test_a_proof_is_a_commit(proven: Any) -> None:
    book, found = proven
    assert states(found) == {CheckState.STARTING}
    await reaches(found, {CheckState.OK})
    assert (await book.rows("SELECT count(*) FROM clock_mark")) == [(1,)]


async def test_postgresql_that_goes_away_is_not_ready_and_comes_back(postgres: Postgres) -> None:
    book = await Book(postgres.new_database("readiness")).open()

    async def seats() -> None:
        await book.ledger.writer.run(prove_writer)

    found = Readiness(
        {"write": ClockWatch(book.database).prove, "seats": seats}, prove_seconds=0.1, answer_seconds=5
    )
    found.start()
    try:
        await reaches(found, {CheckState.OK})
        await asyncio.to_thread(postgres.kill)
        await reaches(found, {CheckState.FAILED, CheckState.STUCK})
    finally:
        await asyncio.to_thread(postgres.start)
    await reaches(found, {CheckState.OK})
    await found.close()
    await book.close()


async def test_a_part_whose_proof_fails_is_not_ready_and_comes_back() -> None:
    full = False

    async def write() -> None:
        if full:
            raise StorageUnavailableError("database or disk is full")

    found = Readiness({"seats": write}, prove_seconds=0.01)
    found.start()
    await reaches(found, {CheckState.OK})
    full = True
    await reaches(found, {CheckState.FAILED})
    full = False
    await reaches(found, {CheckState.OK})
    await found.close()


# --- the clock of the real service


def kept(world: World) -> list[int]:
    queries = (
        "SELECT count(*) FROM audit",
        "SELECT count(*) FROM link_event",
        "SELECT count(*) FROM seat WHERE holder IS NOT NULL",
        "SELECT count(*) FROM session",
    )
    with closing(world.database()) as database:
        return [database.execute(query).fetchone()[0] for query in queries]


@pytest.mark.parametrize("steady", ["steady clock stays", "steady clock jumps as well"])
async def test_a_jump_of_500_days_deletes_and_ends_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steady: str
) -> None:
    """The service runs under libfaketime, its connector and its PBX do not."""
    library = next(path for path in Path("/").glob("usr/lib/*/faketime/libfaketime.so.1"))
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    faked = world.demo.service_environment() | {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1" if steady == "steady clock stays" else "0",
    }
    await world.demo.stop_part("service")
    monkeypatch.setattr(world.demo, "service_environment", lambda: faked)
    await world.demo.start_service()
    await world.connected()
    anna = world.client(ANNA)
    assert (await anna.sign_in(world.pbx_name, world.key)).status == 200

    async def clock() -> str:
        return str((await readiness(world))[1]["clock"])

    async def is_doubted() -> bool:
        return await clock() != "ok"

    try:
        before = kept(world)
        assert before[2] >= 1 and before[1] >= 1 and await clock() == "ok"
        offset.write_text("+500d\n")
        await eventually(is_doubted, "the jump is noticed")
        await asyncio.sleep(12)  # as long as the one that deleted everything: two sweeps and more
        assert all(now >= then for now, then in zip(kept(world), before, strict=True))
        assert "the clock is not trusted" in world.log()
        if steady == "steady clock stays":
            offset.write_text("+0\n")

            async def is_trusted() -> bool:
                return await clock() == "ok"

            await eventually(is_trusted, "the old time is back")
            assert (await anna.state())["signedIn"]
    finally:
        monkeypatch.undo()
        await world.demo.stop_part("service")
        await world.demo.start_service()
        await world.connected()
    assert (await anna.state())["signedIn"]
    assert all(now >= then for now, then in zip(kept(world), before, strict=True))
