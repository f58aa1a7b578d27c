"""No secret is in any log: the search that ends each run, and that it finds what it should."""

import pytest

from tests.support.secrets import check_logs
from tests.support.world import World


async def test_no_secret_is_in_any_log(world: World) -> None:
    await check_logs(world)


async def test_the_search_finds_a_secret(world: World) -> None:
    path = world.demo.state / "planted.log"
    path.write_text(f"the key is {world.key}\n")
    try:
        with pytest.raises(AssertionError, match="the PBX key is in planted.log"):
            await check_logs(world)
    finally:
        path.unlink()
