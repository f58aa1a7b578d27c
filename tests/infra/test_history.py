"""The history of the demonstration: the pages that `make run` shows have content, and the demo people can sign in."""

from datetime import timedelta

import pytest

from core.licensing.advice import advise, find_constant, get_history_start
from core.licensing.seat_history import SeatHistory
from core.signin.preferences import PreferenceStore
from core.store.timestamps import from_ms
from infra.showcase import history
from simulator.colleagues import COLLEAGUES, FIRST_USER_ID
from simulator.people import PEOPLE, TENANT_ID
from simulator.starface.company import PARTNERS
from simulator.starface.model import Settings, Starface
from tests.support.book import NOW, PBX, Book

NAME = f"{PBX}.example.com"


async def written(book: Book, seats: int) -> Book:
    await book.put(seats)
    assert await history.write(book.url, NAME, NOW) == 22
    return book


async def kinds(book: Book) -> dict[str, int]:
    return dict(await book.rows("SELECT kind, count(*) AS n FROM audit GROUP BY kind"))


async def test_three_weeks_have_sign_ins_refusals_waits_and_revoked_licences(book: Book) -> None:
    await written(book, 12)
    found = await kinds(book)
    assert found["granted"] > 200
    assert found["denied"] >= 5
    assert {"offered", "ended", "policy-changed", "sign-in-failed", "holders-exported"} <= found.keys()
    ((value,),) = await book.rows("SELECT count(*) AS n FROM audit WHERE detail LIKE '%revoked%'")
    assert value >= 1
    ((value,),) = await book.rows("SELECT max(at) AS last FROM audit")
    assert from_ms(value) <= NOW, "nothing lies in the future"


async def test_the_advice_has_enough_history_and_somebody_to_advise_on(book: Book) -> None:
    await written(book, 12)
    seats = SeatHistory(book.database, book.ledger.writer, lambda: NOW)
    ((value,),) = await book.rows(f"SELECT claimed_at FROM pbx WHERE id = '{PBX}'")
    begins = from_ms(value)
    days = await seats.days(PBX, get_history_start(begins, NOW), NOW, with_steps=True)
    constant = find_constant(days, begins, NOW)
    advice = advise(days, {}, uals=11, seats=12, history_from=begins, now=NOW)
    assert advice.enough_history
    assert advice.peak == 12, "at the busiest moment all seats are taken"
    assert len(constant) == 3


@pytest.mark.parametrize(("seats", "free"), [(12, 3), (3, 3), (1, 1)])
async def test_seats_are_free_for_the_demo_people(book: Book, seats: int, free: int) -> None:
    await written(book, seats)
    ((value,),) = await book.rows("SELECT count(*) AS n FROM seat WHERE holder IS NULL AND kept_for IS NULL")
    assert value == free
    ((value,),) = await book.rows("SELECT count(*) AS n FROM waiting WHERE joined_at IS NOT NULL")
    assert value == 0


async def test_a_start_with_fewer_seats_sends_colleagues_home(book: Book) -> None:
    await written(book, 12)
    await book.put(1)
    at = NOW + timedelta(minutes=5)
    assert await history.write(book.url, NAME, at) == 0, "no day is written twice"
    rows = await book.rows("SELECT holder FROM seat WHERE holder IS NOT NULL")
    assert rows == []


async def test_a_later_start_adds_the_days_between(book: Book) -> None:
    await written(book, 12)
    before = await kinds(book)
    assert await history.write(book.url, NAME, NOW + timedelta(days=3)) == 3
    after = await kinds(book)
    assert before["granted"] < after["granted"] < before["granted"] + 90
    assert before["policy-changed"] == after["policy-changed"]
    rows = await book.rows("SELECT pbx_user_id FROM session GROUP BY pbx_user_id HAVING count(*) > 1")
    assert rows == []


async def test_the_bot_writes_to_the_demo_people_at_night(book: Book) -> None:
    await written(book, 1)
    store = PreferenceStore(book.database)
    for person in PEOPLE:
        assert not (await store.get((TENANT_ID, person.object_id))).quiet
    await store.put_notices((TENANT_ID, PEOPLE[0].object_id), frozenset(), quiet=True, hours=(0, 60))
    await history.write(book.url, NAME, NOW + timedelta(days=1))
    assert (await store.get((TENANT_ID, PEOPLE[0].object_id))).quiet, "what a person has chosen stays"


async def test_without_a_pool_nothing_is_written(book: Book) -> None:
    assert await history.write(book.url, NAME, NOW) == 0


def test_the_pbx_has_the_colleagues_under_the_ids_of_the_history() -> None:
    pbx = Starface(Settings(), with_company=True)
    assert len(pbx.users) == 41
    for colleague in COLLEAGUES:
        user = pbx.users[colleague.user_id]
        assert (user.login, user.name, user.email) == (colleague.login, colleague.name, colleague.email)
        assert user.holds("Integration mit Microsoft Teams") == colleague.has_user_licence
    calls = pbx.telephony.call_lists[FIRST_USER_ID - 3]
    assert len(calls) > 25
    assert [call.at for call in calls] == sorted(call.at for call in calls)
    assert max(call.at for call in calls) - min(call.at for call in calls) > 18 * 86_400


def test_names_are_unambiguous() -> None:
    words = [word for one in COLLEAGUES for word in one.name.split()]
    known = [word for one in PARTNERS for word in (one.first, one.family)]
    assert not set(words) & {*known, "Anna", "Berger", "Ben", "Krüger", "Clara", "Vogt"}
    assert len({one.email for one in COLLEAGUES}) == len(COLLEAGUES)
    assert all(one.email.isascii() for one in COLLEAGUES)


def test_a_pbx_without_the_company_is_as_before() -> None:
    assert len(Starface(Settings()).users) == 4
