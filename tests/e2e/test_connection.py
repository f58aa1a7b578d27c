"""The connection page in a real browser: lights, the doctor, a name handed over by keyboard."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from connector.config_file import ConfigFile
from connector.state import ConnectorState
from tests.support.browser import OpenTab, overflow
from tests.support.connector_peer import Peer, connected, say
from tests.support.operator import run_operator_command
from tests.support.world import CLARA, World, eventually
from wire.link import fingerprint
from wire.pbxkey import KeyFile, grouped, new_key


async def test_an_administrator_sees_each_part_and_has_it_examined(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, page="connection")
    # Strangers of other tests have tried the name, which makes the link yellow.
    await expect(clara.view.locator("#part-link")).to_have_attribute("data-light", re.compile("green|yellow"))
    for part in ("module", "rest", "uci", "permission", "licence-key"):
        await expect(clara.view.locator(f"#part-{part}")).to_have_attribute(
            "data-light", "green", timeout=80_000
        )
    await clara.view.locator("#telephone ~ details summary").click()
    for feature, offer in (("dial", "change"), ("calls", "read-only"), ("mobiles", "change")):
        await expect(clara.view.locator(f"#capabilities [data-feature={feature}]")).to_have_attribute(
            "data-offer", offer
        )
    await clara.button("Run diagnostics").click()
    await expect(clara.view.locator("#findings li[data-outcome=ok]")).to_have_count(21)
    await world.pbx("PATCH", "settings", {"uci": False})
    # Changes at the PBX appear automatically.
    await expect(clara.view.locator("#part-uci")).to_have_attribute("data-light", "yellow", timeout=40_000)
    await clara.sees("switch the UCI connector off and on again")
    await clara.button("Run diagnostics").click()
    failed = clara.view.locator("#findings li[data-outcome=failed]")
    await expect(failed).to_have_count(1)
    await expect(failed).to_have_attribute("data-step", "uci-login")


async def test_an_administrator_repairs_the_connector_from_teams(world: World, open_tab: OpenTab) -> None:
    old = world.key
    await world.client(CLARA).sign_in(world.pbx_name, old)
    clara = await open_tab(CLARA, page="connection")
    asked, connected_before = "as an administrator asks", world.log("connector").count("UCI connected")
    await clara.view.locator("#restart-uci").click()
    await clara.sees("UCI was switched off and on again, and is on")
    log = world.log("connector")
    assert asked in log and log.count("UCI connected") > connected_before

    await clara.button("Make a new key …").click()
    dialog = clara.view.get_by_role("dialog")
    await dialog.get_by_label("Old key stays valid for").select_option("24")
    await dialog.get_by_label("Present PBX key").fill(old)
    async with clara.page.expect_download(timeout=60_000) as download:
        await dialog.get_by_role("button", name="Make a new key").click()
    saved = await download.value
    assert saved.suggested_filename == f"{world.pbx_name}.pbxkey"
    key_file = KeyFile.model_validate_json(await asyncio.to_thread(Path(await saved.path()).read_bytes))
    state = ConnectorState(world.demo.state / "connector")
    assert key_file == state.key_file(world.pbx_name)
    assert key_file.pbx_key != old and key_file.pbx_key not in world.log()
    await clara.sees("The old one stays valid until")
    await world.demo.write_key_file()
    await world.connected()


async def test_a_key_that_is_not_the_present_one_brings_no_other(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, page="connection", locale="de-DE")
    await clara.button("Neuen Schlüssel erzeugen …").click()
    dialog = clara.view.get_by_role("dialog")
    await dialog.get_by_label("Jetziger Schlüssel zur Anlage").fill(grouped(new_key()))
    await dialog.get_by_role("button", name="Neuen Schlüssel erzeugen").click()
    await expect(dialog).to_contain_text("Der Schlüssel der Telefonanlage stimmt nicht")
    assert world.key == grouped(ConnectorState(world.demo.state / "connector").pbx_key())


async def test_the_page_says_that_the_owner_wants_no_repairs(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    file = ConfigFile(world.demo.connector_configuration)
    file.change({"teams.repairs": False})
    try:
        clara = await open_tab(CLARA, page="connection")
        await expect(clara.view.get_by_text("The connector takes no repairs from Teams").first).to_be_visible(
            timeout=40_000
        )
        await expect(clara.button("Run diagnostics")).to_have_count(0)
        await expect(clara.view.locator("#restart-uci, #new-key")).to_have_count(0)
    finally:
        file.change({"teams.repairs": True})
        await world.connected()


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
        return mine in await run_operator_command(world, "show", world.pbx_name)

    await eventually(has_tried, "the old installation is refused", seconds=80)
    await run_operator_command(world, "hand-over", world.pbx_name, mine)
    await world.connected()


@pytest.mark.parametrize(
    ("locale", "title", "failed", "copy", "copied"),
    [
        ("en-US", "No open connection to the PBX", "failed", "Copy for support", "Copied."),
        (
            "de-DE",
            "Keine offene Verbindung zur Telefonanlage",
            "gestört",
            "Für den Support kopieren",
            "Kopiert.",
        ),
    ],
)
async def test_the_page_begins_with_the_verdict_and_marks_the_part_that_fails(
    world: World, open_tab: OpenTab, locale: str, title: str, failed: str, copy: str, copied: str
) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    await world.demo.stop_part("connector")
    try:
        clara = await open_tab(CLARA, page="connection", locale=locale, width=320)
        await clara.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await expect(clara.view.locator("#verdict")).to_have_text(title)
        nodes = clara.view.locator("pbx-connection-chain li")
        for number, light in enumerate(("green", "green", "red", "off", "off")):
            await expect(nodes.nth(number)).to_have_attribute("data-light", light)
        await expect(nodes.nth(2)).to_contain_text(failed)
        assert await clara.violations() == []
        assert await overflow(clara) <= 0
        await clara.button(copy).press("Enter")
        await clara.sees(copied)
        text = await clara.frame().evaluate("navigator.clipboard.readText()")
        assert "link: red [link-down]" in text
    finally:
        await world.demo.start_connector()
    await expect(clara.view.locator("pbx-connection-chain li[data-light=red]")).to_have_count(0)
