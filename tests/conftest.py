from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.book import Book
from tests.support.postgres import Postgres
from tests.support.world import World


@pytest.fixture(scope="session")
async def the_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    await world.start()
    yield world
    await world.stop()


@pytest.fixture
async def world(the_world: World) -> World:
    """The one world of the run, as it was at the beginning."""
    await the_world.reset()
    return the_world


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The one PostgreSQL of the run."""
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database("pbx_teams")


@pytest.fixture
async def book(database_url: str) -> AsyncIterator[Book]:
    """A ledger on each of the two databases."""
    book = await Book(database_url).open()
    yield book
    await book.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The search of the whole run's log comes after everything that writes to it."""
    items.sort(key=lambda item: "test_secrets" in item.nodeid)
