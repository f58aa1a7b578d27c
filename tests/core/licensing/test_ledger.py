"""The ledger on a real SQLite file and a real PostgreSQL: never more holders than seats, nothing half done."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing.session import EndCause, Ending, Opened, SessionPerson
from core.store.transaction import Transaction, execute
from tests.support.book import ADMIN, NOW, PBX, Book
from tests.support.world import eventually


async def test_never_more_holders_than_seats_under_a_rush(book: Book) -> None:
    await book.put(5)
    outcomes = await asyncio.gather(*(book.take(number) for number in range(40)))
    assert sum(isinstance(outcome, Opened) for outcome in outcomes) == 5
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Finding)]
    assert {refusal.variant for refusal in refusals} == {"pool-exhausted"}
    assert await book.used() == (5, 5)
    assert len(await book.rows("SELECT 1 FROM session")) == 5


async def test_a_refusal_leaves_the_users_earlier_session_as_it_was(book: Book) -> None:
    await book.put(1)
    first = await book.take(1)
    assert isinstance(first, Opened)
    other_person = SessionPerson(2, "2", "User 2", "", is_administrator=False)
    await book.take(3, ual=True)
    request = await book.take(3, person=other_person)
    assert isinstance(request, Finding)
    kept = await book.overview.session_of(TeamsUser("tenant", "object-3"))
    assert kept is not None and kept.person.pbx_user_id == 3
    assert await book.used() == (1, 1)


async def test_a_person_who_switches_pbx_users_moves_their_seat(book: Book) -> None:
    await book.put(1)
    await book.take(1)
    moved = await book.take(1, person=SessionPerson(2, "2", "User 2", "", is_administrator=False))
    assert isinstance(moved, Opened) and moved.ended[0].person.pbx_user_id == 1
    assert await book.rows("SELECT holder FROM seat") == [(2,)]


async def test_taking_over_moves_the_session_and_tells_the_other(book: Book) -> None:
    await book.put(1)
    await book.take(1)
    thief = TeamsUser("tenant", "other", "Other")
    asked = await book.take(1, teams_user=thief)
    assert isinstance(asked, Finding) and asked.code is Code.SESSION_HELD_ELSEWHERE
    taken = await book.take(1, teams_user=thief, take_over=True)
    assert isinstance(taken, Opened) and taken.ended[0].teams_user.object_id == "object-1"
    assert await book.used() == (1, 1)
    assert await book.rows("SELECT object_id, kind FROM notice") == [("object-1", "taken-over")]


async def test_revoking_frees_the_seat_and_leaves_a_notice_and_an_audit_row(book: Book) -> None:
    await book.put(1)
    opened = await book.take(1)
    assert isinstance(opened, Opened)
    assert await book.end(opened, cause=EndCause.REVOKED) == 1
    assert await book.used() == (0, 1)
    assert await book.rows("SELECT kind FROM notice") == [("revoked",)]
    assert [kind for (kind,) in await book.rows("SELECT kind FROM audit ORDER BY id")] == [
        "pool-added",
        "granted",
        "ended",
    ]
    assert await book.end(opened, cause=EndCause.REVOKED) == 0


async def test_another_pbxs_administrator_cannot_end_a_session(book: Book) -> None:
    await book.put(1)
    opened = await book.take(1)
    assert isinstance(opened, Opened)
    ending = Ending(EndCause.REVOKED, ADMIN, "", NOW)
    assert await book.ledger.end_sessions("another", [opened.session.id], ending) == ()
    assert await book.used() == (1, 1)


async def test_a_pool_that_shrinks_throws_nobody_out_and_grants_only_when_it_fits(book: Book) -> None:
    await book.put(4)
    held = [await book.take(number) for number in range(4)]
    await book.put(2)
    assert await book.used() == (4, 2)
    assert isinstance(await book.take(9), Finding)
    await book.end(held[0])
    await book.end(held[3])
    assert await book.used() == (2, 2)
    assert isinstance(await book.take(9), Finding)
    await book.end(held[1])
    assert isinstance(await book.take(9), Opened)
    assert await book.used() == (2, 2)


async def test_a_pool_that_shrinks_keeps_the_seats_that_are_held(book: Book) -> None:
    await book.put(4)
    held = [await book.take(number) for number in range(4)]
    await book.end(held[0], held[1])
    await book.put(2)
    assert await book.used() == (2, 2)
    assert await book.rows("SELECT count(*) FROM seat WHERE retired AND holder IS NOT NULL") == [(0,)]


async def test_a_renewed_key_keeps_the_holders_and_grows_the_pool(book: Book) -> None:
    await book.put(1)
    await book.take(1)
    await book.put(3)
    assert await book.used() == (1, 3)


async def test_a_key_is_bound_to_the_first_pbx(book: Book) -> None:
    await book.add_pbx("pbx-2")
    assert await book.put(1)
    assert not await book.put(1, pbx_id="pbx-2")
    assert await book.put(1)


async def test_a_withdrawn_pool_grants_nothing(book: Book) -> None:
    await book.put(1)
    await book.ledger.register_keys(PBX, [], [], NOW)
    assert await book.overview.pools(PBX) == []
    await book.put(1)
    assert isinstance(await book.take(1), Opened)


async def test_gaining_a_licence_of_ones_own_gives_the_seat_back(book: Book) -> None:
    await book.put(1)
    first = await book.take(1)
    second = await book.take(1, ual=True)
    assert isinstance(first, Opened) and isinstance(second, Opened)
    assert first.session.id == second.session.id
    assert await book.used() == (0, 1)


async def test_an_operation_that_fails_undoes_only_itself(book: Book) -> None:
    await book.put(1)

    def good() -> Transaction[str]:
        yield from execute("UPDATE pool SET licensee = 'good'")
        return "done"

    def bad() -> Transaction[None]:
        yield from execute("UPDATE pool SET licensee = 'bad'")
        raise RuntimeError("broken")

    run = book.ledger._writer.run
    results = await asyncio.gather(run(good), run(bad), return_exceptions=True)
    assert results[0] == "done" and isinstance(results[1], RuntimeError)
    assert await book.rows("SELECT licensee FROM pool") == [("good",)]


ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@contextlib.asynccontextmanager
async def on_its_way(book: Book, number: int) -> AsyncIterator[asyncio.Task[Any]]:
    """A sign-in that has come as far as PostgreSQL, and no further before this ends."""
    async with book.database.writing() as connection:
        await connection.execute(text("SELECT 1 FROM pool FOR UPDATE"))

        async def is_waited_for() -> bool:
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid"
            return (await connection.execute(text(waiting))).first() is not None

        taking = asyncio.create_task(book.take(number))
        await eventually(is_waited_for, "it is at the database")
        yield taking


@ON_POSTGRESQL
async def test_who_gives_up_keeps_nobody_from_it_and_leaves_nothing_half_done(book: Book) -> None:
    await book.put(3)
    async with on_its_way(book, 1) as given_up:
        patient = asyncio.create_task(book.take(2))
        given_up.cancel()
        await asyncio.wait([given_up])
    assert isinstance(await asyncio.wait_for(patient, 15), Opened)
    assert isinstance(await book.take(3), Opened)
    # Whether it took place after all is unknown, as after a lost line; but it did as a whole or not at all.
    holders = await book.rows("SELECT holder FROM seat WHERE holder IS NOT NULL ORDER BY holder")
    assert holders == await book.rows("SELECT pbx_user_id FROM session ORDER BY pbx_user_id")
    assert {(2,), (3,)} <= set(holders)


@ON_POSTGRESQL
async def test_what_is_on_its_way_is_finished_before_the_ledger_closes(book: Book) -> None:
    await book.put(1)
    async with on_its_way(book, 1) as taking:
        closing = asyncio.create_task(book.ledger.close())
    await closing
    assert isinstance(await taking, Opened)
    assert await book.used() == (1, 1)
