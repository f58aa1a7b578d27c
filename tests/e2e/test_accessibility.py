"""axe finds nothing, on every page, in both languages, in all themes, and at a phone's width."""

import pytest
from playwright.async_api import expect

from tests.support.browser import OpenTab, overflow
from tests.support.connector_peer import Peer, connected, say
from tests.support.world import ANNA, BEN, CLARA, World
from wire.doctor import STEPS
from wire.pbxkey import grouped, new_key

LANGUAGES = ("de-DE", "en-US")
THEMES = ("default", "dark", "contrast")


@pytest.mark.parametrize("locale", LANGUAGES)
@pytest.mark.parametrize("theme", THEMES)
async def test_pages(world: World, open_tab: OpenTab, locale: str, theme: str) -> None:
    tab = await open_tab(ANNA, locale=locale, theme=theme)
    await expect(tab.view.locator("#pbx-name")).to_be_visible()
    assert await tab.violations() == []
    await tab.view.locator("#pbx-name").fill("pbx.example.com")
    await tab.view.locator("#pbx-key").fill(grouped(new_key()))
    await tab.page.keyboard.press("Enter")
    await expect(tab.view.get_by_role("alert")).to_be_visible()
    assert await tab.violations() == []
    await tab.view.locator("#pbx-key").fill(world.key)
    await tab.page.keyboard.press("Enter")
    await expect(tab.view.locator("#login")).to_be_visible()
    # While it works its buttons are pale, and stay so for a moment.
    await expect(tab.view.locator("fluent-button[aria-disabled=true]")).to_have_count(0)
    assert await tab.violations() == []
    for person in (ANNA, BEN, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    await expect(tab.view.locator("#seats")).to_be_visible()
    assert await tab.violations() == []
    uses = [
        {"program": program, "device": {"kind": "output", "label": label}}
        for program, label in (("teams", "Headset (Jabra Evolve2 65)"), ("softphone", "Jabra Evolve2 65"))
    ]
    await world.client(CLARA).call("PUT", "audio/declared", {"uses": uses})
    audio = await open_tab(CLARA, locale=locale, theme=theme, page="audio")
    await expect(audio.view.locator("#finding [data-verdict=conflict]")).to_be_visible()
    await expect(audio.view.get_by_role("table")).to_have_count(2)
    assert await audio.violations() == []
    await world.client(CLARA).call("DELETE", "audio")
    admin = await open_tab(CLARA, locale=locale, theme=theme, page="licences")
    await expect(admin.view.get_by_role("row")).to_have_count(4)
    assert await admin.violations() == []
    await admin.view.get_by_role("row").nth(1).get_by_role("button").click()
    await expect(admin.view.get_by_role("dialog")).to_be_visible()
    assert await admin.violations() == []
    # Somebody else wants the name: the page offers to hand it over.
    async with connected(world) as (socket, nonce):
        await say(socket, Peer(world.pbx_name).hello(nonce))
    connection = await open_tab(CLARA, locale=locale, theme=theme, page="connection")
    await expect(connection.view.locator("#part-link")).to_be_visible()
    await connection.view.locator("#examine").click()
    await expect(connection.view.locator("#findings li")).to_have_count(len(STEPS))
    for summary in await connection.view.locator("summary").all():
        await summary.click()
    assert await connection.violations() == []


@pytest.mark.parametrize("width", [320, 375])
async def test_a_phones_width_needs_no_sideways_scrolling(
    world: World, open_tab: OpenTab, width: int
) -> None:
    tab = await open_tab(CLARA, locale="de-DE", width=width)
    await expect(tab.view.locator("#pbx-name")).to_be_visible()
    assert await overflow(tab) <= 0
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    await expect(tab.view.locator("#seats")).to_be_visible()
    assert await overflow(tab) <= 0
    await tab.goes_to("Audiogeräte")
    await expect(tab.view.locator("#finding")).to_be_visible()
    assert await overflow(tab) <= 0
    assert await tab.violations() == []
    await tab.goes_to("Lizenzen")
    await expect(tab.view.get_by_role("table")).to_be_visible()
    assert await overflow(tab) <= 0
    assert await tab.violations() == []
    await tab.goes_to("Verbindung")
    await tab.view.locator("#examine").click()
    await expect(tab.view.locator("#findings li")).to_have_count(len(STEPS))
    assert await overflow(tab) <= 0
    assert await tab.violations() == []
