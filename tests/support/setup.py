"""`pbx-connector setup` as its own process, and a browser on its page."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

from simulator.people import PBX_NAME
from tests.support.browser import E2E, SETTLED
from tests.support.world import World

SECONDS = 30.0
LINK = re.compile(r"https?://\S+")
LOGIN, PASSWORD = "0001", "foobar"


class SetupProcess:
    """A running set-up. `file` is the configuration that it writes."""

    def __init__(self, directory: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.file = directory / "etc" / "connector.toml"
        self.file.parent.mkdir(exist_ok=True)
        self.state = directory / "state"
        self._options = options
        self._environment = environment or {}
        self.said = ""

    async def start(self) -> str:
        """Start it; return the link that it prints."""
        with (self.state.parent / "setup.log").open("ab") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "connector.cli", "--config", str(self.file), "setup"),
                *("--state-directory", str(self.state), *self._options),
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env={"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1,localhost", **self._environment},
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while not LINK.search(self.said):
                line = await self.process.stdout.readline()
                assert line, (self.state.parent / "setup.log").read_text()
                self.said += line.decode()
        found = LINK.search(self.said)
        assert found is not None
        return found.group()

    def log(self) -> str:
        return (self.state.parent / "setup.log").read_text()

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def running_setup(directory: Path, *options: str, **environment: str) -> AsyncIterator[SetupProcess]:
    process = SetupProcess(directory, *options, environment=environment)
    try:
        yield process
    finally:
        await process.stop()


async def open_page(browser: Browser, link: str, **options: Any) -> Page:
    defaults: dict[str, Any] = {
        "viewport": {"width": 900, "height": 900},
        "locale": "en-US",
        "reduced_motion": "reduce",
    }
    context = await browser.new_context(**(defaults | options))
    page = await context.new_page()
    await page.goto(link)
    return page


async def violations(page: Page) -> list[str]:
    """Return axe's findings on a page of the connector. Its policy admits no script of a stranger, so axe comes by the
    browser's own tools.
    """
    await page.evaluate(SETTLED)
    if not await page.evaluate("'axe' in window"):
        await page.evaluate((E2E / "node_modules/axe-core/axe.min.js").read_text())
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:200]} ({node.get('failureSummary', '')[:300]})"
        for one in found["violations"]
        for node in one["nodes"]
    ]


async def is_at(page: Page, step: str) -> None:
    await expect(page).to_have_url(re.compile(rf"/{step}$"))


class Technician:
    """Fills the steps of the set-up in, as a person does."""

    def __init__(self, page: Page, world: World, name: str = PBX_NAME) -> None:
        self.page = page
        self.world = world
        self.name = name

    async def fill(self, setting: str, value: str) -> None:
        await self.page.locator(f"[name='{setting}']").fill(value)

    async def press(self, action: str) -> None:
        await self.page.locator(f"[name=action][value={action}]").click()

    async def service(self, code: str | None = None) -> None:
        await is_at(self.page, "service")
        await self.fill("service.url", self.world.demo.service_url)
        if code is not None:
            await self.fill("service.enrolment_code", code)
        await self.press("check")
        await is_at(self.page, "pbx")

    async def pbx(self, url: str | None = None, password: str = PASSWORD) -> None:
        await is_at(self.page, "pbx")
        await self.fill("pbx.url", url or self.world.starface_url)
        await self.fill("pbx.login", LOGIN)
        await self.fill("pbx.password", password)
        await self.press("check")

    async def name_(self) -> None:
        await is_at(self.page, "name")
        await self.fill("pbx.name", self.name)
        await self.press("check")
        await is_at(self.page, "licences")

    async def licences(self, key: str | None = None) -> None:
        await is_at(self.page, "licences")
        if key is not None:
            await self.fill("licences.keys", key)
        await self.press("check")
        if key is not None:
            await self.page.locator("a.main").click()
        await is_at(self.page, "uci")

    async def uci(self) -> None:
        await is_at(self.page, "uci")
        await self.press("check")
        await is_at(self.page, "done")
