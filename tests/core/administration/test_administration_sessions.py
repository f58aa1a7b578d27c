"""An administrator for whom there is no licence administers without one, on both databases."""

import json
from datetime import timedelta
from typing import Any

from core.diagnosis.finding import Finding
from core.licensing.rules import GRACE, Administer, LicenceKind, TakeSeat, UseUal
from core.licensing.session import CallFacts, EndCause, Opened, Proof, Session, SessionPerson, UserFacts
from tests.support.book import NOW, PBX, Book, person

ADMINISTRATOR = SessionPerson(1, "u1", "Ada Admin", "", True)
ENDS_TODAY = NOW.replace(hour=0) + timedelta(days=1)


async def administer(book: Book, **changes: Any) -> Opened | Finding:
    return await book.take(1, **{"person": ADMINISTRATOR, "licence": Administer()} | changes)


async def follow(book: Book, who: SessionPerson, *, ual: bool) -> Session | None:
    licence = UseUal() if ual else TakeSeat(await book.choices(who.pbx_user_id))
    return await book.ledger.follow_user(PBX, "pbx", UserFacts(who.pbx_user_id, who, licence), NOW)


async def kind_of(book: Book, number: int = 1) -> LicenceKind | None:
    session = await book.session_of(number)
    return session.kind if session is not None else None


async def test_it_takes_no_seat_and_counts_as_no_licence(book: Book) -> None:
    await book.put(1)
    await book.take(2)
    for changes in ({}, {"renews_pin": True}):  # together with others, and alone
        opened = await administer(book, **changes)
        assert isinstance(opened, Opened) and opened.session.kind is LicenceKind.ADMINISTRATION
        assert opened.session.may_administer
        assert await book.used() == (1, 1) and await book.overview.ual_count(PBX) == 0
        await book.end(opened)
    assert await book.used() == (1, 1) and await book.session_of(1) is None
    details = await book.rows("SELECT detail FROM audit WHERE kind = 'granted' ORDER BY id")
    assert [json.loads(detail)["kind"] for (detail,) in details] == ["FL", "ADM", "ADM"]


async def test_signing_in_again_takes_the_seat_that_has_become_free(book: Book) -> None:
    await book.put(1)
    other = await book.take(2)
    assert isinstance(other, Opened)
    before = await administer(book)
    assert isinstance(before, Opened)
    await book.end(other)
    after = await book.take(1, person=ADMINISTRATOR)
    assert isinstance(after, Opened) and after.session.id == before.session.id
    assert after.session.kind is LicenceKind.FL and await book.used() == (1, 1)


async def test_a_session_with_a_licence_keeps_it(book: Book) -> None:
    await book.put(1)
    await book.take(1, person=ADMINISTRATOR)
    again = await administer(book)
    assert isinstance(again, Opened) and again.session.kind is LicenceKind.FL
    assert await book.used() == (1, 1)


async def test_a_permission_at_the_pbx_makes_it_a_licence(book: Book) -> None:
    await administer(book)
    assert await follow(book, ADMINISTRATOR, ual=False) is None, "nothing has changed"
    moved = await follow(book, ADMINISTRATOR, ual=True)
    assert moved is not None and moved.kind is LicenceKind.UAL
    assert await book.overview.ual_count(PBX) == 1


async def test_it_takes_no_seat_automatically(book: Book) -> None:
    """Anyone who only administers needs none."""
    await administer(book)
    await book.put(1)
    assert await follow(book, ADMINISTRATOR, ual=False) is None
    assert await book.used() == (0, 1)


async def test_a_former_administrator_is_signed_out(book: Book) -> None:
    await administer(book)
    await follow(book, person(1), ual=False)
    assert await book.session_of(1) is None
    ending = (await book.states.read((await book.request(1)).teams_user)).ending
    assert ending is not None and ending[1].cause is EndCause.LICENCE_LOST


async def test_an_administrator_who_loses_the_licence_stays_to_administer(book: Book) -> None:
    await book.put(1)
    await book.take(2)
    await book.take(1, ual=True, person=ADMINISTRATOR)
    moved = await follow(book, ADMINISTRATOR, ual=False)
    assert moved is not None and moved.kind is LicenceKind.ADMINISTRATION
    assert await book.used() == (1, 1)


async def test_an_address_alone_makes_no_administrator_here_either(book: Book) -> None:
    await book.put(1)
    await book.take(2)
    await book.take(1, ual=True, person=ADMINISTRATOR, proof=Proof.EMAIL)
    await follow(book, ADMINISTRATOR, ual=False)
    assert await book.session_of(1) is None


async def test_when_the_key_has_expired_administrators_stay_to_enter_a_new_one(book: Book) -> None:
    await book.put(2, until=NOW.date())
    await book.take(1, person=ADMINISTRATOR)
    await book.take(2)
    await book.ledger.sweep(PBX, ENDS_TODAY, CallFacts([1, 2]))
    assert await kind_of(book) is LicenceKind.ADMINISTRATION and await book.session_of(2) is None
    assert await book.used() == (0, 2)
    await book.ledger.sweep(PBX, ENDS_TODAY + GRACE)
    assert await kind_of(book) is LicenceKind.ADMINISTRATION
