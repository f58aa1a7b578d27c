"""How heavy the first view is, and what Lighthouse says of the tab as Teams on a phone shows it."""

import gzip
import json
import re
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Playwright, expect

from tests.support.browser import OpenTab
from tests.support.lighthouse import examine, settings
from tests.support.world import ANNA, CLARA, World

FIRST_VIEW_BYTES = 95_000
"""Everything that the first view loads, gzipped."""
FLOORS = {"accessibility": 100, "best-practices": 100}
ASKED_BY = {
    "settings": "notices",
    "phone": "phone",
    "audio": "audio",
    "licences": "licences",
    "connection": "connection",
    "audit": "audit",
    "security": "licences",
}
"""What a page asks the service for."""
MAX_SHIFT = 0.02
"""Lighthouse's layout shift: how far what is seen jumps while the page loads. 0.1 is called good."""


async def sign_in(world: World, person: Any) -> None:
    answer = await world.client(person).sign_in(world.pbx_name, world.key)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("signed_in", [True, False])
async def test_the_first_view_is_light(world: World, open_tab: OpenTab, signed_in: bool) -> None:
    if signed_in:
        await sign_in(world, ANNA)
    tab = await open_tab(ANNA)
    loaded: list[str] = []
    tab.page.on("request", lambda request: loaded.append(request.url))
    await tab.page.reload()
    await expect(tab.view.locator("#seats" if signed_in else "#pbx-name")).to_be_visible()
    if signed_in:
        await expect(tab.view.locator("#situation")).to_be_visible()
    own = sorted({url for url in loaded if "/tab/" in url})
    assert any(url.endswith(".js") for url in own)
    async with aiohttp.ClientSession(auto_decompress=False) as http:

        async def size(url: str) -> int:
            async with http.get(url, headers={"Accept-Encoding": "gzip"}) as response:
                body = await response.read()
                return len(body if "Content-Encoding" in response.headers else gzip.compress(body))

        sizes = {url.rsplit("/", 1)[-1]: await size(url) for url in own}
    answers = len(gzip.compress(json.dumps(await world.client(ANNA).state()).encode()))
    assert sum(sizes.values()) + 2 * answers <= FIRST_VIEW_BYTES, sizes


async def test_the_first_view_is_usable_after_one_round_trip(world: World, open_tab: OpenTab) -> None:
    await sign_in(world, ANNA)
    tab = await open_tab(ANNA)
    await expect(tab.view.locator("#seats")).to_be_visible()
    # Left before anything is held: what the page still asks is not the next page's first question.
    address = tab.page.url
    await tab.page.goto("about:blank")
    asked: list[str] = []

    async def hold(route: Any) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            await route.continue_()
        # The others get no answer: the view must do without.

    await tab.page.route("**/api/v1/**", hold)
    await tab.page.goto(address)
    await expect(tab.view.locator("#seats")).to_contain_text("1 of 2")
    await expect(tab.view.locator("#situation")).to_have_text(
        re.compile("You are connected to pbx.example.com and can make calls.")
    )


@pytest.mark.parametrize("page", ASKED_BY)
async def test_a_page_asks_nothing_twice_as_it_opens(world: World, open_tab: OpenTab, page: str) -> None:
    """The first state comes with the live updates, and what is shown then is as new as they are."""
    await sign_in(world, CLARA)
    tab = await open_tab(CLARA)
    await expect(tab.view.locator("#page > *")).to_be_visible()
    address = tab.page.url.split("&page=")[0]
    await tab.page.goto("about:blank")
    asked: list[str] = []
    tab.page.on("request", lambda one: asked.append(one.url.split("?")[0]) if "/api/v1/" in one.url else None)
    async with (
        tab.page.expect_response("**/api/v1/events?*"),
        tab.page.expect_response(f"**/api/v1/{ASKED_BY[page]}*") as answered,
    ):
        await tab.page.goto(f"{address}&page={page}")
    await (await answered.value).finished()
    await expect(tab.view.locator("pbx-skeleton")).to_have_count(0)
    await tab.frame().evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    assert not any(url.endswith("/api/v1/state") for url in asked), asked
    assert len(set(asked)) == len(asked), asked


async def test_the_app_is_shown_where_the_first_news_is_held_up_on_its_way(
    world: World, open_tab: OpenTab
) -> None:
    """A proxy may collect what a stream sends."""
    await sign_in(world, ANNA)
    tab = await open_tab(ANNA)
    await expect(tab.view.locator("#page > *")).to_be_visible()
    held: list[Any] = []

    async def hold(route: Any) -> None:
        held.append(route)

    await tab.page.route("**/api/v1/events?*", hold)
    await tab.page.reload()
    await expect(tab.view.locator("#page > *")).to_be_visible()
    assert held


@pytest.mark.parametrize("form", ["mobile", "desktop"])
@pytest.mark.parametrize("view", ["sign-in", "state", "licences"])
async def test_lighthouse(world: World, playwright: Playwright, view: str, form: str) -> None:
    """Audits that do not depend on time; `python -m bench page` measures seconds relative to a bare page."""
    person = CLARA if view == "licences" else ANNA
    if view != "sign-in":
        await sign_in(world, person)
    found = await examine(
        f"{world.demo.service_url}/tab/", await settings(world, person, view), form, playwright
    )
    below = {
        name: found["categories"][name] for name, floor in FLOORS.items() if found["categories"][name] < floor
    }
    assert below == {}, json.dumps(found, indent=1)
    assert found["metrics"]["cumulative-layout-shift"]["value"] <= MAX_SHIFT, json.dumps(found, indent=1)
