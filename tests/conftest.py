from collections.abc import AsyncIterator

import pytest

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The search of the whole run's log comes after everything that writes to it."""
    items.sort(key=lambda item: "test_secrets" in item.nodeid)
