"""A session that is as old as the operator lets it become: the tab and the chat say so before and after, in a real browser."""

from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
from playwright.async_api import expect

from tests.support.browser import OpenTab
from tests.support.chat import ask
from tests.support.world import ANNA, World, eventually

DAY_MS = 86_400_000


@pytest.fixture
async def one_day(world: World) -> AsyncIterator[World]:
    """The service, where sessions last a day."""
    await world.demo.stop_part("service")
    await world.demo.start_service(PBX_TEAMS_SESSION_DAYS="1")
    await world.connected()
    yield world
    await world.forget_throttles()


def older(world: World, column: str, by_ms: int) -> None:
    """As if so much time had passed: neither browser nor service wait for a day."""
    with closing(world.database()) as database, database:
        database.execute(f"UPDATE session SET {column} = {column} - ?", (by_ms,))


async def test_the_person_is_warned_signs_in_again_and_is_informed_of_the_end(
    one_day: World, open_tab: OpenTab
) -> None:
    world = one_day
    await ask(world, ANNA, "status")
    anna = await open_tab(ANNA)
    await anna.sign_in()
    older(world, "started_at", DAY_MS)
    await anna.sees("Your session ends on ")
    await anna.sees("No call is cut off.")

    async def written() -> bool:
        return "Your session ends soon" in str(await world.chat(ANNA))

    await eventually(written, "the bot has written of it")
    await anna.button("Sign in again").click()
    client = world.client(ANNA)
    assert (await client.sign_in(world.pbx_name, world.key)).status == 200
    assert (await client.state())["endsAt"] is None, "a password renews it"
    older(world, "started_at", DAY_MS)
    older(world, "proven_at", DAY_MS)

    async def warned() -> Any:
        return (await client.state())["endsAt"]

    await eventually(warned, "it is warned of again")
    older(world, "ends_at", 2 * DAY_MS)
    await anna.page.reload()

    async def ended() -> Any:
        return (await client.state())["sessionEnd"]

    end = await eventually(ended, "the session ends", seconds=30)
    assert (end["cause"], end["pbxName"]) == ("session-too-old", world.pbx_name)
    await anna.sees("Please sign in again")
    await anna.sees("was as old as the operator of this service allows")
    await expect(anna.view.locator("#session-ends")).to_have_count(0)
    client.language = "de"
    assert (await client.sign_in(world.pbx_name, world.key)).status == 200
