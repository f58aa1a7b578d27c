"""The tab by keyboard alone: every control of every page and dialog is pressed, as the page has them at that moment.

Afterwards the focus is still somewhere: a screen reader never begins at the top of the document again.
"""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Route, expect

from tests.support import history
from tests.support.browser import OpenTab, Tab
from tests.support.connector_peer import Peer, connected, say
from tests.support.keyboard import Keyboard
from tests.support.licences import NO_RULES
from tests.support.world import ANNA, BEN, CLARA, World

Opening = Callable[[World, OpenTab], Awaitable[Tab]]


async def signed_out(world: World, open_tab: OpenTab) -> Tab:
    await world.client(ANNA).sign_out()
    tab = await open_tab(ANNA)
    await expect(tab.view.locator("#pbx-name")).to_be_visible()
    return tab


async def half_signed_in(world: World, open_tab: OpenTab) -> Tab:
    tab = await signed_out(world, open_tab)
    await tab.enter_pbx(world.pbx_name, world.key)
    await expect(tab.view.locator("#login")).to_be_visible()
    return tab


async def held_elsewhere(world: World, open_tab: OpenTab) -> Tab:
    await world.client(ANNA).sign_out()
    world.forget_pins()
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    tab = await half_signed_in(world, open_tab)
    await tab.enter_user(CLARA.login, CLARA.password)
    await expect(tab.button("Take over")).to_be_visible()
    return tab


async def offered(world: World, open_tab: OpenTab) -> Tab:
    await trusted(world)
    await world.client(ANNA).sign_out()
    tab = await open_tab(ANNA)
    await expect(tab.view.locator("pbx-offers fluent-button")).to_be_visible()
    return tab


async def waiting(world: World, open_tab: OpenTab) -> Tab:
    """Signed out, and refused: Ben and Clara have the two licences."""
    await world.client(ANNA).call("DELETE", "waiting")
    await world.pbx("PATCH", f"users/{BEN.login}", {"permissions": []})
    for person in (BEN, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    tab = await half_signed_in(world, open_tab)
    await tab.enter_user(ANNA.login, ANNA.password)
    await expect(tab.button("Notify me")).to_be_visible()
    return tab


async def trusted(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    await clara.call("PUT", "trust", {"trusted": True, "entry": "one-click", "primary": True})


async def overview(world: World, open_tab: OpenTab) -> Tab:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    tab = await open_tab(ANNA)
    await expect(tab.view.locator("#situation")).to_be_visible()
    return tab


async def settings(world: World, open_tab: OpenTab) -> Tab:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    tab = await open_tab(ANNA, page="settings")
    await expect(tab.view.locator("pbx-notices form")).to_be_visible()
    return tab


async def elsewhere(world: World, open_tab: OpenTab) -> Tab:
    tab = await overview(world, open_tab)
    await tab.go_elsewhere()
    await expect(tab.view.locator("#pbx-name")).to_be_visible()
    return tab


async def phone_off(world: World, open_tab: OpenTab) -> Tab:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    await world.client(ANNA).call("DELETE", "phone")
    tab = await open_tab(ANNA, page="phone")
    await expect(tab.button("Use my telephone here …")).to_be_visible()
    return tab


async def phone(world: World, open_tab: OpenTab) -> Tab:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    await world.client(ANNA).switch_phone_on(world.pbx_name, world.key)
    tab = await open_tab(ANNA, page="phone")
    await expect(tab.view.locator("pbx-phone-switches input").first).to_be_visible()
    return tab


async def audio(world: World, open_tab: OpenTab) -> Tab:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    uses = [
        {"program": program, "device": {"kind": "output", "label": label}}
        for program, label in (("teams", "Headset (Jabra Evolve2 65)"), ("softphone", "Jabra Evolve2 65"))
    ]
    await clara.call("PUT", "audio/declared", {"uses": uses})
    tab = await open_tab(CLARA, page="audio")
    await expect(tab.view.locator("#finding [data-verdict=conflict]")).to_be_visible()
    return tab


async def licences(world: World, open_tab: OpenTab) -> Tab:
    await trusted(world)
    clara = world.client(CLARA)
    (pool,) = (await clara.call("GET", "licences")).body["pools"]
    await clara.call("PUT", "licences/policy", {"poolId": pool["poolId"], "policy": NO_RULES})
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    tab = await open_tab(CLARA, page="licences")
    await expect(tab.view.locator("pbx-usage svg")).to_be_visible()
    await expect(tab.view.locator("#ual-price")).to_be_visible()
    return tab


async def fail(route: Route) -> None:
    await route.abort()


async def connection(world: World, open_tab: OpenTab) -> Tab:
    """Somebody else wants the name: the page offers to hand it over, which fails here."""
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    async with connected(world) as (socket, nonce):
        await say(socket, Peer(world.pbx_name).hello(nonce))
    tab = await open_tab(CLARA, page="connection")
    await tab.page.route("**/connection/hand-over", fail)
    await expect(tab.view.locator("#examine")).to_be_visible()
    return tab


async def audit(world: World, open_tab: OpenTab) -> Tab:
    for person in (ANNA, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    tab = await open_tab(CLARA, page="audit")
    await expect(tab.view.get_by_role("table")).to_be_visible()
    return tab


async def security(world: World, open_tab: OpenTab) -> Tab:
    await trusted(world)
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    tab = await open_tab(CLARA, page="security")
    await expect(tab.view.locator("#save-trust")).to_be_visible()
    return tab


PAGES: dict[str, tuple[Opening, int]] = {
    "sign-in": (signed_out, 4),
    "second step of sign-in": (half_signed_in, 5),
    "held elsewhere": (held_elsewhere, 2),
    "offers": (offered, 5),
    "waiting": (waiting, 5),
    "overview": (overview, 9),
    "another PBX": (elsewhere, 5),
    "settings": (settings, 12),
    "phone, switched off": (phone_off, 4),
    "phone": (phone, 20),
    "audio": (audio, 14),
    "licences": (licences, 40),
    "connection": (connection, 8),
    "audit": (audit, 8),
    "security": (security, 8),
}
"""How to get there, and how many controls there are at least."""


@pytest.mark.parametrize("name", PAGES)
async def test_the_focus_never_falls_to_the_document(world: World, open_tab: OpenTab, name: str) -> None:
    opening, least = PAGES[name]
    if name == "licences":
        history.write(world)
    keyboard = Keyboard(lambda: opening(world, open_tab))
    try:
        await keyboard.press_all()
    finally:
        await world.client(ANNA).sign_out()
        if name == "licences":
            await licences(world, open_tab)
            history.forget(world)
    assert len(keyboard.pressed) >= least, keyboard.pressed
    assert keyboard.lost == []
    assert sorted(set(keyboard.small)) == [], "smaller than a finger: 24 pixels"


async def test_what_happened_is_said_by_a_region_that_was_there_before(
    world: World, open_tab: OpenTab
) -> None:
    tab = await settings(world, open_tab)
    region = tab.view.get_by_role("status")
    await expect(region).to_have_count(1)
    before = await region.element_handle()
    await tab.button("Save").press("Enter")
    await expect(region).to_contain_text("Saved.")
    assert before is not None
    assert "Saved." in (await before.text_content() or "")
