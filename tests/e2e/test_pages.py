"""Pages are addresses, and parts of the app that do not arrive leave no dead page, in a real browser."""

from playwright.async_api import Route, expect

from tests.support.browser import OpenTab, Tab
from tests.support.world import ANNA, CLARA, World

CODE = "**/assets/connection-*.js"


HEADINGS = {"Connection": "Connection to the PBX", "Verbindung": "Verbindung zur Telefonanlage"}
"""Of pages that say more than their tab does."""


async def shows(tab: Tab, page: str) -> None:
    heading = HEADINGS.get(page, page)
    await expect(tab.view.get_by_role("heading", name=heading, exact=True, level=1)).to_be_visible()
    await expect(tab.link(page)).to_have_attribute("aria-current", "page")


async def abort(route: Route) -> None:
    await route.abort()


async def test_a_part_that_fails_once_comes_automatically(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA)
    await shows(clara, "Overview")
    await clara.page.route(CODE, abort, times=1)
    await clara.goes_to("Connection")
    await expect(clara.view.get_by_role("button", name="Run diagnostics")).to_be_visible()


async def test_a_part_that_keeps_failing_can_be_asked_for_again(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA)
    await shows(clara, "Overview")
    await clara.page.route(CODE, abort)
    await clara.goes_to("Connection")
    await clara.is_alerted("The service cannot be reached")
    await expect(clara.view.locator("#not-live")).to_have_count(0)
    assert await clara.violations() == []
    await clara.page.unroute(CODE)
    await clara.button("Try again").press("Enter")
    await expect(clara.view.get_by_role("button", name="Run diagnostics")).to_be_visible()


async def test_the_settings_can_be_asked_for_again(world: World, open_tab: OpenTab) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    anna = await open_tab(ANNA, page="settings")
    await anna.sees("Messages from the bot")
    await anna.page.route("**/assets/settings-*.js", abort)
    await anna.page.reload()
    await anna.is_alerted("The service cannot be reached")
    await anna.page.unroute("**/assets/settings-*.js")
    await anna.button("Try again").click()
    await anna.sees("Messages from the bot")


async def test_after_an_update_of_the_service_the_page_asks_to_be_reloaded(
    world: World, open_tab: OpenTab
) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA)
    await shows(clara, "Overview")

    async def gone(route: Route) -> None:
        await route.fulfill(status=404)

    async def newer(route: Route) -> None:
        await route.fulfill(content_type="text/html", body='<script type="module" src="/tab/assets/x.js">')

    await clara.page.route(CODE, gone)
    await clara.page.route("**/tab/", newer)
    await clara.goes_to("Connection")
    await clara.is_alerted("A new version is there")
    assert await clara.violations() == []
    await expect(clara.button("Reload")).to_be_visible()


async def newer_page(route: Route) -> None:
    await route.fulfill(content_type="text/html", body='<script type="module" src="/tab/assets/x.js">')


async def test_when_updates_come_back_from_an_update_of_the_service_the_page_offers_to_be_reloaded(
    world: World, open_tab: OpenTab
) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    anna = await open_tab(ANNA)
    await shows(anna, "Overview")
    await anna.page.route("**/api/v1/events?*", abort)
    await anna.page.reload()
    await expect(anna.view.locator("#not-live")).to_be_visible()
    assert await anna.violations() == []
    await anna.page.route("**/tab/", newer_page)
    await anna.page.unroute("**/api/v1/events?*")
    await expect(anna.view.locator("#outdated")).to_contain_text("A new version of this app is available.")
    await expect(anna.view.locator("#not-live")).to_have_count(0)
    assert await anna.violations() == []
    await anna.page.unroute("**/tab/")
    await anna.button("Reload").press("Enter")
    await expect(anna.view.locator("#outdated")).to_have_count(0)
    await shows(anna, "Overview")


async def test_an_app_whose_files_are_gone_for_a_moment_starts_automatically(
    world: World, open_tab: OpenTab
) -> None:
    anna = await open_tab(ANNA)
    await expect(anna.view.locator("#pbx-name")).to_be_visible()
    await anna.page.route("**/assets/index-*.js", abort, times=2)
    await anna.page.reload()
    await expect(anna.view.locator("#pbx-name")).to_be_visible()


async def test_an_app_whose_files_stay_away_reports_it(world: World, open_tab: OpenTab) -> None:
    anna = await open_tab(ANNA)
    await expect(anna.view.locator("#pbx-name")).to_be_visible()
    # Not the first, but one that it needs.
    needed = await anna.frame().evaluate("document.querySelector('link[rel=modulepreload]').href")
    await anna.page.route(needed, abort)
    await anna.page.reload()
    await anna.is_alerted("The app could not be loaded.")
    assert await anna.violations() == []
    await anna.page.unroute(needed)
    await anna.button("Try again").press("Enter")
    await expect(anna.view.locator("#pbx-name")).to_be_visible()


async def test_a_page_survives_a_reload_and_back_leads_to_the_one_before(
    world: World, open_tab: OpenTab
) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA)
    await shows(clara, "Overview")
    for page in ("Licences", "Connection"):
        await clara.goes_to(page)
        await shows(clara, page)
    await clara.page.evaluate("history.back()")
    await shows(clara, "Licences")
    await clara.page.evaluate("history.back()")
    await shows(clara, "Overview")
    await clara.goes_to("Licences")
    await clara.page.reload()
    await shows(clara, "Licences")


async def test_a_link_to_a_page_of_administrators_says_why_it_is_not_shown(
    world: World, open_tab: OpenTab
) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    anna = await open_tab(ANNA, page="licences")
    await anna.sees("The page “Licences” is for administrators of the PBX.")
    assert await anna.violations() == []
    await anna.goes_to("Audio devices")
    await expect(anna.view.locator("#no-rights")).to_have_count(0)


async def test_a_link_is_kept_while_one_signs_in(world: World, open_tab: OpenTab) -> None:
    clara = await open_tab(CLARA, page="connection", locale="de-DE")
    await clara.sees("Melden Sie sich an, um die Seite „Verbindung“ zu öffnen.")
    assert await clara.violations() == []
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    await shows(clara, "Verbindung")
