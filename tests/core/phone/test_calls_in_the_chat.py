"""What is stored for calls in the chat, on both databases: what a person wants, and nothing of a call."""

from dataclasses import replace

from core.identity.teams_user import TeamsUser
from core.licensing.session import Opened
from core.phone.colleagues import Colleagues
from core.signin.preferences import PreferenceStore, Topic
from tests.support.book import Book, person

ANNA = ("tenant", "object-1")


async def sign_in(book: Book, number: int, name: str, tenant: str = "tenant") -> None:
    who = replace(person(number), display_name=name, email=f"{number}@example.com")
    opened = await book.take(
        number, ual=True, person=who, teams_user=TeamsUser(tenant, f"object-{number}", name)
    )
    assert isinstance(opened, Opened)


async def test_calls_are_reported_only_to_people_who_asked_for_them(book: Book) -> None:
    store = PreferenceStore(book.database)
    before = await store.get(ANNA)
    assert not (before.calls_in_chat or before.missed_calls or before.numbers_in_chat)
    await store.put_calls(ANNA, calls=True, missed=False, numbers=True)
    await store.put_notices(ANNA, frozenset({Topic.AUDIO}), quiet=False, hours=(0, 1))
    after = await store.get(ANNA)
    assert (after.calls_in_chat, after.missed_calls, after.numbers_in_chat) == (True, False, True)
    assert after.muted == {Topic.AUDIO} and not after.quiet
    await store.put_calls(ANNA, calls=False, missed=False, numbers=False)
    assert not (await store.get(ANNA)).calls_in_chat


async def test_a_colleague_is_known_by_a_name_that_one_alone_has(book: Book) -> None:
    await sign_in(book, 1, "Anna Berger")
    await sign_in(book, 2, "Ben Krüger")
    await sign_in(book, 3, "Max Müller")
    await sign_in(book, 4, "Max Müller")
    await sign_in(book, 5, "Eva Fremd", tenant="other")
    colleagues = Colleagues(book.database)
    assert await colleagues.email_of(ANNA, "Ben Krüger") == "2@example.com"
    for name in ("Max Müller", "Eva Fremd", "Anna Berger", "", "Nobody", "%"):
        assert await colleagues.email_of(ANNA, name) == ""
    assert await colleagues.email_of(("tenant", "stranger"), "Ben Krüger") == ""
