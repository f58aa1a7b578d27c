from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, Playwright, async_playwright

from tests.support.browser import Tab, launch
from tests.support.world import World


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    browser = await launch(playwright)
    yield browser
    await browser.close()


OpenTab = Callable[..., Awaitable[Tab]]


@pytest.fixture
async def open_tab(world: World, browser: Browser) -> AsyncIterator[OpenTab]:
    opened: list[Tab] = []

    async def open_one(person: Any, **options: Any) -> Tab:
        tab = await Tab.open(browser, world, person, **options)
        opened.append(tab)
        return tab

    yield open_one
    for tab in opened:
        await tab.close()
