"""The connection page in a real browser: lights, the doctor, a name handed over by keyboard."""

import re

from playwright.async_api import expect

from connector.state import ConnectorState
from tests.app.test_connection import operator
from tests.app.test_connector_door import Peer, connected, say
from tests.e2e.conftest import OpenTab
from tests.support.world import CLARA, World, eventually
from wire.link import fingerprint


async def test_an_administrator_sees_each_part_and_has_it_examined(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, page="connection")
    # Strangers of other tests have tried the name, which makes the link yellow.
    await expect(clara.view.locator("#part-link")).to_have_attribute("data-light", re.compile("green|yellow"))
    for part in ("module", "rest", "uci", "permission", "licence-key"):
        await expect(clara.view.locator(f"#part-{part}")).to_have_attribute(
            "data-light", "green", timeout=80_000
        )
    await clara.button("Run diagnostics").click()
    await expect(clara.view.locator("#findings li[data-outcome=ok]")).to_have_count(18)
    await world.pbx("PATCH", "settings", {"uci": False})
    # Changes at the PBX appear automatically.
    await expect(clara.view.locator("#part-uci")).to_have_attribute("data-light", "yellow", timeout=40_000)
    await clara.sees("switch the UCI connector off and on again")
    await clara.button("Run diagnostics").click()
    failed = clara.view.locator("#findings li[data-outcome=failed]")
    await expect(failed).to_have_count(1)
    await expect(failed).to_have_attribute("data-step", "uci-login")


async def test_a_name_is_handed_over_after_a_question(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    other = Peer(world.pbx_name)
    async with connected(world) as (socket, nonce):
        await say(socket, other.hello(nonce))
    identity = fingerprint(other.hello("n" * 32).identity)
    clara = await open_tab(CLARA, page="connection")
    hand_over = clara.button(f"Hand the name over to {identity}")
    await hand_over.focus()
    await clara.page.keyboard.press("Enter")
    dialog = clara.view.get_by_role("dialog")
    await expect(dialog).to_contain_text(identity)
    await clara.page.keyboard.press("Escape")
    await expect(hand_over).to_be_focused()
    await clara.page.keyboard.press("Enter")
    await dialog.get_by_role("button", name="Hand the name over").click()
    await clara.sees("The PBX has been handed over")  # everybody is signed out, Clara as well
    # And back, by the operator.
    mine = ConnectorState(world.demo.state / "connector").fingerprint

    async def has_tried() -> bool:
        return mine in await operator(world, "show", world.pbx_name)

    await eventually(has_tried, "the old installation is refused", seconds=80)
    await operator(world, "hand-over", world.pbx_name, mine)
    await world.connected()
