from collections.abc import AsyncIterator

import pytest

from tests.support.loop_lag import Neighbour
from tests.support.world import World


@pytest.fixture(scope="module")
async def neighbour(the_world: World) -> AsyncIterator[Neighbour]:
    """A client of the service whose requests wait while another request holds the event loop."""
    (pid,) = (process.pid for name, process in the_world.demo.processes if name == "service")
    with Neighbour(the_world.demo.service_port, f"{pid}/task/*") as neighbour:
        yield neighbour
