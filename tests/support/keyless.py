"""Sign-in without the PBX key, and the trust that permits it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

from simulator.demo import SECOND_PBX_NAME, Site
from tests.support.tab_client import Answer
from tests.support.world import ANNA, CLARA, World, free_ports

ONE_CLICK_PRIMARY = {"trusted": True, "entry": "one-click", "primary": True}


async def set_trust(world: World, pbx_name: str | None = None, key: str | None = None, **wish: Any) -> Answer:
    """Set the trust in the tenant, as Clara, who administers this PBX."""
    clara = world.client(CLARA)
    await clara.sign_in(pbx_name or world.pbx_name, key or world.key)
    return await clara.call("PUT", "trust", wish)


async def sign_in_without_key(
    world: World, person: Any = ANNA, pbx_name: str | None = None, **more: Any
) -> Answer:
    """Sign a person in with one click, or automatically with `byItself`."""
    body = {"pbxName": pbx_name or world.pbx_name, **more}
    return await world.client(person).call("POST", "sign-in/keyless", body)


def forget_session(world: World, person: Any) -> None:
    """Delete a session as if it had never existed: neither signed out nor ended by anybody."""
    with closing(world.database()) as database, database:
        held = "SELECT pool_id, seat_number FROM session WHERE object_id = ?"
        database.execute(
            f"UPDATE seat SET holder = NULL WHERE (pool_id, number) IN ({held})", (person.object_id,)
        )
        database.execute("DELETE FROM session WHERE object_id = ?", (person.object_id,))


@asynccontextmanager
async def second_pbx(world: World) -> AsyncIterator[Site]:
    """Run a second PBX, with the same people and one seat."""
    site = Site(SECOND_PBX_NAME, free_ports(1), "-2")
    world.demo.seats = 1
    await world.demo.start_site(site)
    yield site
    clara = world.client(CLARA)
    await clara.sign_in(site.pbx_name, world.demo.pbx_key(site))
    await clara.call("PUT", "trust", {"trusted": False})
    await clara.sign_out()
    await world.demo.stop_site(site)
    world.demo.seats = 2
