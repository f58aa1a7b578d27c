from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Playwright, async_playwright, expect

from tests.support.browser import OpenTab, Tab, launch
from tests.support.world import World

expect.set_options(timeout=20_000)
"""Milliseconds. What a test waits for comes in a moment; on a busy machine in several."""


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    browser = await launch(playwright)
    yield browser
    await browser.close()


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
