import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.store.database import upgrade
from infra.artefacts import windows as windows_packages
from infra.artefacts.folder import plan_build
from tests.support.book import Book
from tests.support.postgres import Postgres
from tests.support.secrets import check_logs
from tests.support.wine import Wine
from tests.support.wine import wine as run_wine
from tests.support.world import World

MARKERS = {
    "the_world": "world",
    "playwright": "browser",
    "postgres": "postgres",
    "database_url": "postgres",
    "empty_database_url": "postgres",
    "wine": "wine",
}
"""Maps a fixture to the marker for what it needs: the world's processes, a browser, a PostgreSQL, Wine."""


@pytest.fixture
def later() -> Callable[[float], None]:
    """Move the clock of the running event loop forward: its timers fire as if the time had passed. It never goes back,
    because timers of other tests would then fire too late.
    """

    def move(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time
        loop.time = lambda: before() + seconds  # type: ignore[method-assign]

    return move


@pytest.fixture(scope="session")
async def the_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    await world.start()
    yield world
    try:
        await world.reset()
        await check_logs(world)
    finally:
        await world.stop()


@pytest.fixture
async def world(the_world: World) -> World:
    """The world of this test process, reset to its initial state."""
    await the_world.reset()
    return the_world


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL server of this test process."""
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables and no rows, as a template: running the migrations takes ten times as long as a
    copy.
    """
    path = tmp_path_factory.mktemp("tables") / "tables.db"
    in_a_thread(upgrade, f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_with_tables(postgres: Postgres) -> str:
    """The name of the template database on PostgreSQL."""
    in_a_thread(upgrade, postgres.new_database("with_tables"))
    return "with_tables"


def in_a_thread(work: Callable[[str], None], url: str) -> None:
    """Run a coroutine in a thread, because the session's event loop may already be running."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(work, url).result()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with all tables and no rows, once for each kind."""
    if request.param == "sqlite":
        path = shutil.copy2(request.getfixturevalue("sqlite_with_tables"), tmp_path / "test.db")
        return f"sqlite:///{path}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database("pbx_teams", like=request.getfixturevalue("postgres_with_tables"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables, once for each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database("pbx_teams")


@pytest.fixture
async def book(database_url: str) -> AsyncIterator[Book]:
    """A ledger, once for each kind of database."""
    book = await Book(database_url).open()
    yield book
    await book.close()


@pytest.fixture(scope="session")
def wine() -> Iterator[Wine]:
    """Wine with a prefix of this test process."""
    with run_wine() as started:
        yield started


@pytest.fixture(scope="session")
def audio_helper(wine: Wine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the audio helper for Windows, built and unpacked on Wine's drive C."""
    plan = plan_build(tmp_path_factory.mktemp("packages"))
    return wine.unpack(plan.out / windows_packages.build_audio_helper(plan).file, "helper")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the fixtures that it uses, so that `-m` can select tests by their needs."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if (marker := MARKERS.get(fixture)) is not None:
                item.add_marker(marker)
