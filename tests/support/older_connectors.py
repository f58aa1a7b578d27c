"""Connectors of earlier versions in place of the current one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.world import World


@asynccontextmanager
async def first_version_connector(world: World) -> AsyncIterator[None]:
    """Run a connector of the first version in place of the current one."""
    await world.demo.stop_part("connector")
    await world.demo.start_connector(module="tests.support.first_connector")
    await world.connected()
    try:
        yield
    finally:
        await world.demo.stop_part("connector")
        await world.demo.start_connector()
        await world.connected()
