"""The tab behaves as people expect of one of Microsoft's: while it loads, when something fails, by keyboard alone."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Route, expect

from tests.support.browser import OpenTab, Tab
from tests.support.world import ANNA, BEN, CLARA, World, eventually

PAGES = {
    "phone": "Phone",
    "state": "Overview",
    "audio": "Audio devices",
    "licences": "Licences",
    "connection": "Connection",
    "settings": "Settings",
}
"""With their headings."""
ANSWER_OF = {
    "phone": "phone",
    "state": "state",
    "audio": "audio",
    "licences": "licences",
    "connection": "connection",
    "settings": "notices",
}


@pytest.fixture
async def signed_in(world: World) -> World:
    for person in (ANNA, BEN, CLARA):
        assert (await world.client(person).sign_in(world.pbx_name, world.key)).status == 200
    return world


@pytest.mark.parametrize("page", PAGES)
async def test_deep_links_lead_to_each_page(signed_in: World, open_tab: OpenTab, page: str) -> None:
    tab = await open_tab(CLARA, page=page)
    await expect(tab.view.get_by_role("heading", level=1, name=PAGES[page])).to_be_visible()
    await expect(tab.view.locator("nav a[aria-current=page]")).to_have_count(0 if page == "settings" else 1)


async def test_a_page_that_somebody_may_not_see_leads_to_the_first(
    signed_in: World, open_tab: OpenTab
) -> None:
    for page in ("licences", "nonsense"):
        tab = await open_tab(ANNA, page=page)
        await expect(tab.view.get_by_role("heading", name="Phone", exact=True)).to_be_visible()


async def test_a_cards_link_opens_its_page(signed_in: World, open_tab: OpenTab) -> None:
    tab = await open_tab(CLARA, chat="1")
    await expect(tab.page.locator("#messages .message").first).to_be_visible()
    await tab.page.get_by_label("Message to the bot").fill("licences")
    await tab.page.keyboard.press("Enter")
    await tab.page.locator("#messages").get_by_role("link", name="Open the licence view").last.click()
    await expect(tab.view.get_by_role("heading", level=1, name="Licences")).to_be_visible()


async def test_an_old_card_tells_the_present_state_when_the_chat_is_opened(
    signed_in: World, open_tab: OpenTab
) -> None:
    await signed_in.say(ANNA, type="message", text="status")
    await signed_in.client(ANNA).sign_out()
    tab = await open_tab(ANNA, chat="1")
    await expect(tab.page.locator("#messages .message").last).to_contain_text("You are not signed in")


@pytest.mark.parametrize("page", PAGES)
async def test_every_page_tells_that_it_loads(signed_in: World, open_tab: OpenTab, page: str) -> None:
    tab = await open_tab(CLARA, page="nothing")
    await expect(tab.view.get_by_role("heading", name="Phone", exact=True)).to_be_visible()
    let_go = asyncio.Event()

    async def hold(route: Route) -> None:
        await let_go.wait()
        await route.continue_()

    await tab.page.route(f"**/api/v1/{ANSWER_OF[page]}*", hold)
    await tab.page.route("**/api/v1/events*", hold)  # the stream brings the first answer as well
    await reopen(tab, page)
    await expect(tab.view.get_by_role("status").filter(has_text="Loading …").first).to_be_attached()
    assert await tab.violations() == []
    let_go.set()
    await expect(tab.view.get_by_role("heading", level=1, name=PAGES[page])).to_be_visible()
    await expect(tab.view.locator("pbx-skeleton")).to_have_count(0)


async def reopen(tab: Tab, page: str) -> None:
    """The tab again at a page, in the same window."""
    url = tab.page.url.split("&page=")[0]
    await tab.page.goto(f"{url}&page={page}")


@pytest.mark.parametrize("page", PAGES)
async def test_every_page_tells_when_it_cannot_load_and_offers_to_try_again(
    signed_in: World, open_tab: OpenTab, page: str
) -> None:
    tab = await open_tab(CLARA, page="nothing")
    await expect(tab.view.get_by_role("heading", name="Phone", exact=True)).to_be_visible()
    await tab.page.route(f"**/api/v1/{ANSWER_OF[page]}*", lambda route: route.abort())
    await tab.page.route("**/api/v1/events*", lambda route: route.abort())
    await reopen(tab, page)
    await tab.is_alerted("The service cannot be reached")
    assert await tab.violations() == []
    await tab.page.unroute(f"**/api/v1/{ANSWER_OF[page]}*")
    await tab.button("Try again").click()
    await expect(tab.view.get_by_role("heading", level=1, name=PAGES[page])).to_be_visible()
    await expect(tab.view.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", [320, 1100])
async def test_nothing_jumps_while_a_page_loads(
    signed_in: World, open_tab: OpenTab, page: str, width: int
) -> None:
    tab = await open_tab(CLARA, page=page, width=width, height=1400)
    await expect(tab.view.get_by_role("heading", level=1, name=PAGES[page])).to_be_visible()
    await expect(tab.view.locator("pbx-skeleton")).to_have_count(0)
    shifted = await tab.frame().evaluate(
        """() => new Promise((done) => {
          let sum = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) sum += entry.value;
          }).observe({ type: "layout-shift", buffered: true });
          setTimeout(() => done(sum), 300);
        })"""
    )
    assert shifted < 0.1, "what Google calls good: https://web.dev/articles/cls"


@pytest.mark.parametrize(("locale", "heading"), [("de-DE", "Übersicht"), ("en-US", "Overview")])
async def test_signing_in_with_the_keyboard_alone(
    world: World, open_tab: OpenTab, locale: str, heading: str
) -> None:
    tab = await open_tab(ANNA, locale=locale)
    await expect(tab.view.locator("#pbx-name")).to_be_visible()
    keyboard = tab.page.keyboard
    await tab.frame().evaluate("document.body.tabIndex = -1; document.body.focus()")

    async def tab_to(selector: str) -> None:
        """With the Tab key, as often as it takes; whatever has the focus on the way shows it."""
        for _ in range(12):
            await keyboard.press("Tab")
            if await tab.view.locator(f"{selector}:focus").count():
                return
        raise AssertionError(f"{selector} is not reached")

    await tab_to("#pbx-name")
    await keyboard.type(world.pbx_name)
    await tab_to("#pbx-key")
    await keyboard.type(world.key)
    await tab_to("fluent-button[type=submit]")
    await keyboard.press("Enter")
    await expect(tab.view.locator("#user-title")).to_be_focused()
    await tab_to("#login")
    await keyboard.type(ANNA.login)
    await tab_to("#password")
    await keyboard.type(ANNA.password)
    await keyboard.press("Enter")
    await expect(tab.view.get_by_role("heading", name=heading)).to_be_focused()
    # On to another page by its link, and out of the session by the menu.
    await keyboard.press("Shift+Tab")
    await keyboard.press("Enter")
    await expect(tab.view.locator("#finding")).to_be_visible()
    await tab.view.locator("#account").focus()
    await keyboard.press("Enter")
    for _ in range(3):
        await keyboard.press("Tab")
    await keyboard.press("Enter")
    await expect(tab.view.get_by_role("heading", level=1)).to_be_focused()
    assert not (await world.client(ANNA).state())["signedIn"]


@pytest.mark.parametrize(("path", "heading"), [("sign-out", "Sign in to your PBX"), ("sign-in", "Overview")])
async def test_the_heading_gets_the_focus_when_the_news_overtakes_the_answer(
    world: World, open_tab: OpenTab, path: str, heading: str
) -> None:
    if path == "sign-out":
        await world.client(ANNA).sign_in(world.pbx_name, world.key)
    tab = await open_tab(ANNA)
    let_go = asyncio.Event()

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        await let_go.wait()
        await route.fulfill(response=answer)

    await tab.page.route(f"**/api/v1/{path}", hold)
    if path == "sign-out":
        await tab.sign_out()
    else:
        await tab.try_to_sign_in()
    await expect(tab.view.get_by_role("heading", level=1, name=heading)).to_be_focused()
    async with tab.page.expect_response(f"**/api/v1/{path}"):
        let_go.set()
    await expect(tab.view.get_by_role("heading", level=1, name=heading)).to_be_focused()


async def test_the_focus_can_be_seen_wherever_it_is(signed_in: World, open_tab: OpenTab) -> None:
    tab = await open_tab(CLARA, page="licences")
    await expect(tab.view.get_by_role("row")).to_have_count(4)
    await tab.view.locator("nav a[aria-current=page]").focus()
    seen = set()
    for _ in range(40):
        await tab.page.keyboard.press("Tab")
        style = await tab.frame().evaluate(
            """() => {
              let at = document.activeElement;
              while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
              const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(at);
              const shown = (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
              const host = at.getRootNode().host;
              const hostStyle = host ? getComputedStyle(host) : null;
              const shownByHost = hostStyle !== null && hostStyle.outlineStyle !== "none";
              return { what: `${at.localName}#${at.id}`, shown: shown || shownByHost || at === document.body };
            }"""
        )
        assert style["shown"], style["what"]
        seen.add(style["what"])
    assert len(seen) > 5


async def test_the_theme_changes_while_the_tab_is_open(signed_in: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await expect(tab.view.locator("#seats")).to_be_visible()

    async def background() -> str:
        return await tab.frame().evaluate("getComputedStyle(document.body).backgroundColor")

    first = await background()
    colours = [first]

    async def is_seen() -> bool:
        """Fluent applies a theme with the next frame: one that was there already, or another colour."""
        colour = await background()
        return colour == first if theme == "default" else colour not in colours

    for theme in ("dark", "contrast", "default"):
        await tab.page.get_by_label("Theme").select_option(theme)
        await expect(tab.view.locator("html")).to_have_attribute("data-theme", theme)
        await eventually(is_seen, f"{theme} is seen")
        colours.append(await background())
        assert await tab.violations() == []
    assert len(set(colours)) == 3


async def test_reduced_motion_is_respected(signed_in: World, open_tab: OpenTab) -> None:
    tab = await open_tab(CLARA, page="licences")  # opened with reduced motion
    await expect(tab.view.get_by_role("row")).to_have_count(4)
    moving = await tab.frame().evaluate(
        """() => {
          const moving = [];
          const seconds = (text) => Math.max(...text.split(",").map((part) =>
            parseFloat(part) * (part.trim().endsWith("ms") ? 0.001 : 1)));
          const look = (root) => {
            for (const element of root.querySelectorAll("*")) {
              for (const pseudo of [null, "::before", "::after"]) {
                const style = getComputedStyle(element, pseudo);
                const moves = style.animationName !== "none" && seconds(style.animationDuration) > 0.001;
                if (moves || seconds(style.transitionDuration) > 0.001) moving.push(element.localName + (pseudo ?? ""));
              }
              if (element.shadowRoot) look(element.shadowRoot);
            }
          };
          look(document);
          return [...new Set(moving)];
        }"""
    )
    assert moving == []


STORAGE_BLOCKED = """
  for (const name of ["localStorage", "sessionStorage", "indexedDB", "caches"]) {
    Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });
  }
  Object.defineProperty(document, "cookie", { get() { return ""; }, set() {} });
"""


@pytest.fixture
async def blocked(world: World, browser: Browser) -> AsyncIterator[Tab]:
    """A browser that lets pages inside others keep nothing."""
    context = await browser.new_context(viewport={"width": 1100, "height": 860})
    await context.add_init_script(STORAGE_BLOCKED)
    page = await context.new_page()
    await page.goto(f"{world.demo.teams_url}/?person={ANNA.object_id}&locale=en-US")
    yield Tab(page, world, ANNA)
    await context.close()


async def test_it_works_where_third_party_storage_is_blocked(world: World, blocked: Tab) -> None:
    await blocked.sign_in()
    await blocked.goes_to("Audio devices")
    await expect(blocked.view.locator("#finding")).to_be_visible()


async def test_no_token_password_or_key_is_kept_or_shows_in_an_address(
    world: World, open_tab: OpenTab
) -> None:
    tab = await open_tab(ANNA)
    addresses: list[str] = []
    tokens: set[str] = set()
    tab.page.on("request", lambda request: addresses.append(request.url))
    tab.page.on(
        "request",
        lambda request: tokens.add(request.headers.get("authorization", "").removeprefix("Bearer ")),
    )
    await tab.sign_in()
    kept = await tab.frame().evaluate(
        """async () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie,
          await indexedDB.databases(), await caches.keys()])"""
    )
    # All that the tab keeps: for which PBXs it has sealed, so that nobody talks it into the unsealed way.
    sealed = {"pbx-teams.sealed": json.dumps([world.pbx_name])}
    local, session, *others = json.loads(kept)
    assert [local, *others] == [sealed, "", [], []]
    # And the page that is visible, for a reload.
    assert session in ({}, {"pbx-page": "state state"})
    tokens.discard("")
    assert tokens, "the tab has sent its token"
    secrets = {*tokens, ANNA.password, world.key, world.key.replace("-", "")}
    assert not [address for address in addresses if any(secret in address for secret in secrets)]


async def test_the_tab_asks_nobody_but_its_own_service(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    asked: list[str] = []
    complaints: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.on(
        "console", lambda message: complaints.append(message.text) if message.type == "error" else None
    )
    tab.page.on("pageerror", lambda error: complaints.append(str(error)))
    await reopen(tab, "home")
    await tab.sign_in()
    for name in ("Audio devices", "Overview"):
        await tab.goes_to(name)
    await expect(tab.view.locator("#seats")).to_be_visible()
    elsewhere = [url for url in asked if not url.startswith((world.demo.teams_url, "data:", "blob:"))]
    assert elsewhere == []
    assert complaints == []


async def test_outside_teams_there_is_a_word_and_a_way(world: World, browser: Browser) -> None:
    context = await browser.new_context(locale="de-DE")
    page = await context.new_page()
    await page.goto(f"{world.demo.service_url}/tab/")
    await expect(
        page.get_by_role("heading", name="Bitte öffnen Sie diese App in Microsoft Teams")
    ).to_be_visible(timeout=15_000)
    await expect(page.get_by_role("link", name="Microsoft Teams öffnen")).to_be_visible()
    await context.close()
