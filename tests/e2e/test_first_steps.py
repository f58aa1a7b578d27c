"""The administrator's first steps on the overview: they go when they are done, and can be closed."""

import asyncio
from urllib.parse import unquote

import pytest
from playwright.async_api import Route, expect

from tests.support.browser import OpenTab, Tab, overflow
from tests.support.keyless import ONE_CLICK_PRIMARY, set_trust
from tests.support.world import ANNA, BEN, CLARA, World


async def alone(world: World, open_tab: OpenTab, **options: object) -> Tab:
    for person in (ANNA, BEN):
        await world.client(person).sign_out()
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, **options)
    await expect(clara.view.locator("#step-user")).to_be_visible()
    return clara


async def test_what_is_done_is_ticked_and_what_is_not_says_how(world: World, open_tab: OpenTab) -> None:
    clara = await alone(world, open_tab)
    for step in ("linked", "key"):
        await expect(clara.view.locator(f"#step-{step}")).to_contain_text("(done)")
    await expect(clara.view.locator("#step-user")).to_contain_text("Until now only you are signed in.")
    assert await clara.violations() == []
    address = unquote(
        await clara.view.get_by_role("link", name="Write the e-mail").get_attribute("href") or ""
    )
    assert address.startswith("mailto:?subject=Your telephone system")
    assert f"The name of our telephone system is {world.pbx_name}." in address
    assert world.key not in address, "the key is in the file alone"
    await clara.button("I have handed it out").press("Enter")
    await expect(clara.view.locator("#step-key-file")).to_contain_text("(done)")
    await clara.button("Open “Sign-in and security”").click()
    await expect(clara.view.get_by_role("heading", name="Sign-in and security", level=1)).to_be_visible()


async def test_others_and_one_click_tick_their_steps(world: World, open_tab: OpenTab) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    await set_trust(world, **ONE_CLICK_PRIMARY)
    clara = await open_tab(CLARA)
    setup = (await world.client(CLARA).call("GET", "setup")).body
    assert setup["hasOtherUsers"] and setup["isOffered"] and setup["isConnected"] and setup["hasLicences"]
    if not setup["hasChat"]:
        for step in ("user", "key-file", "one-click"):
            await expect(clara.view.locator(f"#step-{step}")).to_contain_text("(done)")
    assert (await world.client(ANNA).call("GET", "setup")).code == "not-administrator"


async def test_the_list_can_be_closed_for_good(world: World, open_tab: OpenTab) -> None:
    clara = await alone(world, open_tab)
    await clara.button("Close the list").press("Enter")
    await expect(clara.view.locator("#step-user")).to_have_count(0)
    await expect(clara.view.get_by_role("heading", name="Overview")).to_be_focused()
    await clara.page.reload()
    await expect(clara.view.locator("#licence")).to_be_visible()
    await expect(clara.view.locator("pbx-checklist")).to_have_count(1)
    await expect(clara.view.locator("#step-user")).to_have_count(0)


async def test_users_see_no_steps(world: World, open_tab: OpenTab) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    anna = await open_tab(ANNA)
    await expect(anna.view.locator("#licence")).to_be_visible()
    await expect(anna.view.locator("pbx-checklist")).to_have_count(0)


@pytest.mark.parametrize("answer", ["none", "failure"])
async def test_the_overview_does_not_need_the_steps(world: World, open_tab: OpenTab, answer: str) -> None:
    clara = await alone(world, open_tab)
    let_go = asyncio.Event()

    async def withhold(route: Route) -> None:
        if answer == "none":
            await let_go.wait()
        await route.abort()

    await clara.page.route("**/api/v1/setup*", withhold)
    await clara.page.reload()
    await expect(clara.view.locator("#licence")).to_be_visible()
    await expect(clara.view.locator("pbx-skeleton")).to_have_count(0)
    await expect(clara.view.locator("#step-user")).to_have_count(0)
    let_go.set()


@pytest.mark.parametrize("theme", ["dark", "contrast"])
async def test_the_steps_fit_a_phone(world: World, open_tab: OpenTab, theme: str) -> None:
    clara = await alone(world, open_tab, width=320, locale="de-DE", theme=theme)
    assert await overflow(clara) == 0
    assert await clara.violations() == []
