"""The table of who holds a licence: sorted and searched as people expect of names, on both databases."""

import unicodedata
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from core.licensing.overview import HoldersQuery, SortBy
from core.licensing.rules import LicenceKind
from core.store import tables
from core.store.timestamps import now, to_ms
from tests.support.book import PBX, Book, person

NAMES = (
    "Schwarz",
    "Schröder",
    "Schäfer",
    "Schaefer",
    "Zoë Krüger",
    "strauß",
    "Strauss",
    "Ömer",
    "Łukasz",
    "Otto",
)


@pytest.fixture
async def filled(book: Book) -> Book:
    await book.put(len(NAMES))
    for number, name in enumerate(NAMES):
        await book.take(number, person=replace(person(number), display_name=name))
    return book


async def found(book: Book, search: str, *kinds: str) -> list[str]:
    page = await book.overview.holders(PBX, HoldersQuery(search, kinds=kinds))
    assert page.found == len(page.sessions)
    return [session.person.display_name for session in page.sessions]


async def test_names_stand_where_a_german_dictionary_has_them(filled: Book) -> None:
    expected = [
        "Łukasz",
        "Ömer",
        "Otto",
        "Schaefer",
        "Schäfer",
        "Schröder",
        "Schwarz",
        "Strauss",
        "strauß",
        "Zoë Krüger",
    ]
    assert await found(filled, "") == expected
    page = await filled.overview.holders(PBX, HoldersQuery(sort=SortBy.NAME, descending=True))
    assert [session.person.display_name for session in page.sessions] == expected[::-1]
    assert [session.person.display_name for session in await filled.overview.all_holders(PBX)] == expected


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("kruger", ["Zoë Krüger"]),
        ("KRÜGER", ["Zoë Krüger"]),
        ("krueger", ["Zoë Krüger"]),
        (unicodedata.normalize("NFD", "krüger"), ["Zoë Krüger"]),
        ("zoe", ["Zoë Krüger"]),
        ("schäfer", ["Schaefer", "Schäfer"]),
        ("schaefer", ["Schaefer", "Schäfer"]),
        ("STRAUSS", ["Strauss", "strauß"]),
        ("strauß", ["Strauss", "strauß"]),
        ("omer", ["Ömer"]),
        ("lukasz", ["Łukasz"]),
        ("%", []),
        ("_", []),
    ],
)
async def test_a_name_is_found_however_it_is_typed(filled: Book, search: str, names: list[str]) -> None:
    assert await found(filled, search) == names


async def test_a_kind_of_licence_is_found_by_its_name(filled: Book) -> None:
    await filled.take(100, ual=True, person=replace(person(100), display_name="Adam"))
    assert await found(filled, "benutzerlizenz", "UAL") == ["Adam"]
    assert await found(filled, "benutzerlizenz") == []
    assert len(await found(filled, "floating", "FL")) == len(NAMES)


async def test_filters_and_search_narrow_together(filled: Book) -> None:
    """People who were not seen for a week, with one kind of licence, and a name."""
    await filled.take(100, ual=True, person=replace(person(100), display_name="Adam Schäfer"))
    async with filled.database.writing() as connection:
        await connection.execute(update(tables.session).values(last_seen_at=to_ms(now())))
        await connection.execute(
            update(tables.session)
            .where(tables.session.c.display_name.like("%Schäfer"))
            .values(last_seen_at=to_ms(now() - timedelta(days=8)))
        )

    async def names(**query: object) -> list[str]:
        page = await filled.overview.holders(PBX, HoldersQuery(**query))
        assert page.found == len(page.sessions)
        return [session.person.display_name for session in page.sessions]

    assert await names(kind=LicenceKind.UAL) == ["Adam Schäfer"]
    assert await names(unseen_days=7) == ["Adam Schäfer", "Schäfer"]
    assert await names(unseen_days=9) == []
    assert await names(kind=LicenceKind.FL, unseen_days=7) == ["Schäfer"]
    assert await names(search="adam", kind=LicenceKind.FL) == []
    assert await names(search="schafer", unseen_days=7) == ["Adam Schäfer", "Schäfer"]
