"""Sessions end at the age that the operator has set: after a warning, after the current call, on both databases,
and not because a clock jumps.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from core.hub.registry import Registry
from core.licensing.rules import GRACE
from core.licensing.session import NO_CALL_FACTS, CallFacts, Opened, Proof
from core.licensing.transactions.ageing import WARNING_LEAD_TIME, SessionAge
from core.store import tables
from core.store.audio import AudioStore
from core.store.clock_watch import ClockWatch
from core.store.timestamps import from_ms, now, to_ms
from core.upkeep.sweeper import Sweeper
from tests.support.book import NOW, PBX, Book
from tests.support.clocks import Clocks

DAY = timedelta(days=1)
AGE = SessionAge(30 * DAY)
TOLD_AT = NOW + 27 * DAY
ENDS_AT = NOW + 30 * DAY


async def sweep(
    book: Book, at: datetime, age: SessionAge | None = AGE, without_call: Sequence[int] = ()
) -> None:
    for pbx_id in await book.ledger.list_pbxs_to_sweep(at, age):
        facts = CallFacts(without_call, {}) if without_call else NO_CALL_FACTS
        await book.ledger.sweep(pbx_id, at, facts, age)


async def told(book: Book) -> list[tuple[str, str]]:
    return await book.rows("SELECT object_id, kind FROM notice ORDER BY created_at, object_id")


async def ends_at(book: Book, number: int = 1) -> datetime | None:
    session = await book.session_of(number)
    return (await book.states.read(session.teams_user)).ends_at if session is not None else None


async def take(book: Book, number: int = 1, **changes: Any) -> Opened:
    opened = await book.take(number, ual=True, **changes)
    assert isinstance(opened, Opened)
    return opened


async def test_the_end_of_a_session_is_announced_before_it_ends(book: Book) -> None:
    await book.put(1)
    assert isinstance(await book.take(1), Opened)
    await sweep(book, TOLD_AT - timedelta(milliseconds=1))
    assert await told(book) == [] and await ends_at(book) is None
    await sweep(book, TOLD_AT)
    await sweep(book, TOLD_AT + timedelta(hours=1))
    assert await told(book) == [("object-1", "session-ends")], "once"
    assert await ends_at(book) == ENDS_AT
    ((detail,),) = await book.rows("SELECT detail FROM notice")
    assert json.loads(detail) == {
        "pbx_name": f"{PBX}.example.com",
        "pbx_user": "User 1",
        "until": to_ms(ENDS_AT),
    }
    await sweep(book, ENDS_AT - timedelta(milliseconds=1), without_call=[1])
    assert await book.session_of(1) is not None
    await sweep(book, ENDS_AT, without_call=[1])
    assert await book.session_of(1) is None
    assert await book.used() == (0, 1), "its seat is free"
    assert (await told(book))[-1] == ("object-1", "session-too-old")
    assert await book.rows("SELECT cause, ended_by_kind FROM session_end") == [("session-too-old", "system")]
    ((kind, detail),) = await book.rows("SELECT actor_kind, detail FROM audit WHERE kind = 'ended'")
    assert (kind, json.loads(detail)["cause"]) == ("system", "session-too-old")
    assert await book.ledger.list_pbxs_to_sweep(ENDS_AT + DAY, AGE) == []


async def test_it_ends_after_the_call_at_the_latest_an_hour_later(book: Book) -> None:
    await take(book)
    await sweep(book, TOLD_AT)
    assert (
        list((await book.ledger.list_expired_holders(PBX, ENDS_AT - timedelta(milliseconds=1), AGE)).user_ids)
        == []
    )
    assert list((await book.ledger.list_expired_holders(PBX, ENDS_AT, AGE)).user_ids) == [1]
    assert list((await book.ledger.list_expired_holders(PBX, ENDS_AT)).user_ids) == []
    await sweep(book, ENDS_AT)
    await sweep(book, ENDS_AT + GRACE - timedelta(milliseconds=1))
    assert await book.session_of(1) is not None
    await sweep(book, ENDS_AT + GRACE)
    assert await book.session_of(1) is None


async def test_no_session_ends_before_its_person_was_informed(book: Book) -> None:
    """The operator sets an age that all sessions exceed, or the clock was wrong when they began."""
    for number in (1, 2):
        await take(book, number, now=NOW - 1000 * DAY)
    await sweep(book, NOW)
    assert await told(book) == [("object-1", "session-ends"), ("object-2", "session-ends")]
    assert await ends_at(book) == NOW + WARNING_LEAD_TIME
    await sweep(book, NOW + WARNING_LEAD_TIME - timedelta(milliseconds=1), without_call=[1, 2])
    assert await book.session_of(1) is not None and await book.session_of(2) is not None
    await sweep(book, NOW + WARNING_LEAD_TIME, without_call=[1, 2])
    assert await book.session_of(1) is None and await book.session_of(2) is None


@pytest.mark.parametrize(
    ("days", "before"), [(1, timedelta(hours=6)), (8, 2 * DAY), (12, 3 * DAY), (3650, 3 * DAY)]
)
def test_a_short_life_is_reported_a_quarter_of_it_before(days: int, before: timedelta) -> None:
    assert SessionAge(days * DAY).warning_lead_time == before


async def test_a_password_that_is_given_again_renews_it(book: Book) -> None:
    before = (await take(book)).session
    await sweep(book, TOLD_AT)
    again = (await take(book, now=TOLD_AT + DAY)).session
    assert (again.id, again.started_at) == (before.id, before.started_at), "it is the same session"
    assert await ends_at(book) is None
    await sweep(book, ENDS_AT + DAY, without_call=[1])
    assert await book.session_of(1) is not None
    await sweep(book, TOLD_AT + DAY + 27 * DAY)
    assert await ends_at(book) == TOLD_AT + DAY + 30 * DAY, "from the password on"


@pytest.mark.parametrize(("proof", "renewed"), [(Proof.PASSWORD, False), (Proof.EMAIL, True)])
async def test_an_address_renews_what_an_address_has_proven(book: Book, proof: Proof, renewed: bool) -> None:
    async with book.database.writing() as connection:
        await connection.execute(
            insert(tables.trusted_tenant).values(
                pbx_id=PBX, tenant_id="tenant", trusted_by="a", at=0, entry="one-click", is_primary=False
            )
        )
    await take(book, proof=proof)
    await sweep(book, TOLD_AT)
    assert await ends_at(book) == ENDS_AT
    await take(book, proof=Proof.EMAIL, now=TOLD_AT + DAY)
    assert await ends_at(book) == (None if renewed else ENDS_AT)


async def test_without_an_age_nothing_ends_and_nobody_is_informed(book: Book) -> None:
    await take(book, now=NOW - 5000 * DAY)
    assert await book.ledger.list_pbxs_to_sweep(NOW, None) == []
    await book.ledger.sweep(PBX, NOW, CallFacts([1], {}))
    assert await told(book) == [] and await book.session_of(1) is not None


async def test_an_age_that_is_changed_takes_back_what_was_reported(book: Book) -> None:
    for number, days in ((1, 0), (2, 60)):
        await take(book, number, now=NOW - days * DAY)
    at = TOLD_AT
    await sweep(book, at)
    assert await ends_at(book, 1) == ENDS_AT and await ends_at(book, 2) == at + WARNING_LEAD_TIME
    await book.ledger.withdraw_warnings(at, AGE)
    assert await ends_at(book, 1) == ENDS_AT, "the same age: the same end"
    await book.ledger.withdraw_warnings(at, SessionAge(60 * DAY))
    assert await ends_at(book, 1) is None
    assert await ends_at(book, 2) == at + WARNING_LEAD_TIME, "too old by either"
    await book.ledger.withdraw_warnings(at, None)
    assert await ends_at(book, 2) is None
    await sweep(book, NOW + 4000 * DAY)
    assert await ends_at(book, 2) == NOW + 4000 * DAY + WARNING_LEAD_TIME, "told again"


async def test_two_replicas_tell_and_end_once(book: Book) -> None:
    for number in range(5):
        await take(book, number)
    await asyncio.gather(*(sweep(book, TOLD_AT) for _ in range(4)))
    assert len(await told(book)) == 5
    await asyncio.gather(*(sweep(book, ENDS_AT, without_call=range(5)) for _ in range(4)))
    assert len(await told(book)) == 10
    assert await book.rows("SELECT count(*) FROM audit WHERE kind = 'ended'") == [(5,)]


@pytest.mark.parametrize("jump", [1000 * DAY, -1000 * DAY, 28 * DAY])
async def test_a_jump_of_the_clock_tells_and_ends_nothing(book: Book, jump: timedelta) -> None:
    today = now()
    await take(book, now=today)
    await take(book, 2, now=today - 31 * DAY)
    clocks = Clocks()
    watch = ClockWatch(book.database, wall=clocks.wall, steady=clocks.steady)

    class Everybody:
        def announce(self, *_arguments: Any) -> None: ...

        async def facts(self, _pbx_id: str) -> Any:
            return CallFacts([1, 2], {})

    nobody: Any = Everybody()
    registry = Registry(book.database, book.ledger.writer, b"x" * 32)
    audio = AudioStore(book.database, b"p" * 32)
    sweeper = Sweeper(book.ledger, nobody, book.database, audio, registry, nobody, watch, 400, AGE)
    await watch.prove()
    await sweeper.sweep()
    assert await told(book) == [("object-2", "session-ends")], "the sweeper does its work"
    clocks.wall_off = jump.total_seconds()
    for _ in range(3):
        await watch.prove()
        await sweeper.sweep()
    assert watch.doubt is not None
    assert await told(book) == [("object-2", "session-ends")]
    assert await book.session_of(1) is not None and await book.session_of(2) is not None
    clocks.wall_off = 0
    await watch.prove()
    await sweeper.sweep()
    assert watch.doubt is None
    assert await book.session_of(1) is not None and await book.session_of(2) is not None


async def test_a_sign_in_by_a_clock_that_was_behind_ends_no_sooner(book: Book) -> None:
    """Sessions that began in 1970, because the machine had no time yet, have the whole warning before them."""
    await take(book, now=from_ms(1))
    await sweep(book, NOW, without_call=[1])
    assert await ends_at(book) == NOW + WARNING_LEAD_TIME
    assert await book.session_of(1) is not None
