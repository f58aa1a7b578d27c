"""Takes the pictures of the connector's set-up for `docs/connector.md`.

make screenshots
"""

import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright, expect

from connector.site.security import leave_ticket
from simulator.people import TENANT_ID
from tests.support.browser import launch
from tests.support.module_page import module_page
from tests.support.setup import Technician, is_at, open_page, running_setup
from tests.support.starface import running_starface_with_tls
from tests.support.world import World
from wire.link import Method, PbxTrust, TrustedTenant

OUT = Path(__file__).parents[2] / "docs" / "screenshots"
WIDTH = 760


async def take_setup(
    world: World, browser: Browser, out: Path, *, scheme: str = "light", width: int = WIDTH
) -> None:
    """Walk through the set-up in both languages, and take one picture of each step."""
    for locale in ("de-DE", "en-US"):
        language = locale[:2]
        name = f"{language}-{scheme}-{width}.example.com"
        code = await world.enrolment_code(name)
        key = await world.demo.licence_key(25, f"PICTURE-{language}-{scheme}-{width}")
        with tempfile.TemporaryDirectory() as directory:
            async with (
                running_starface_with_tls(Path(directory) / "tls") as (url, _),
                running_setup(Path(directory)) as setup,
            ):
                page = await open_page(
                    browser,
                    await setup.start(),
                    locale=locale,
                    color_scheme=scheme,
                    viewport={"width": width, "height": 400},
                )
                technician = Technician(page, world, name)

                async def shoot(step: str, page: Page = page, language: str = language) -> None:
                    await page.screenshot(path=out / f"setup-{step}-{language}.png", full_page=True)

                await technician.fill("service.url", world.demo.service_url)
                await technician.fill("service.enrolment_code", code)
                await shoot("service")
                await technician.service(code)
                await technician.pbx(url)
                await expect(page.locator("[value=accept]")).to_be_visible()
                await shoot("pbx")
                await technician.press("accept")
                await technician.name_()
                await technician.fill("licences.keys", key)
                await technician.press("check")
                await expect(page.locator("a.main")).to_be_visible()
                await shoot("licences")
                await page.locator("a.main").click()
                await shoot("uci")
                await technician.uci()
                await shoot("done")
                await technician.press("save")
                await is_at(page, "finish")
                await shoot("finish")
                await page.context.close()


async def take_module(browser: Browser, out: Path, *, scheme: str = "light", width: int = WIDTH) -> None:
    """Take a picture of the module page of a linked connector, in both languages."""

    async def trust(_params: dict[str, Any]) -> PbxTrust:
        tenant = TrustedTenant(
            tenant_id=TENANT_ID,
            since=datetime(2026, 11, 2, 8, tzinfo=UTC),
            entry="one-click",
            is_primary=True,
            is_approved=False,
        )
        return PbxTrust(tenants=[tenant], total=1, teams_app_id=TENANT_ID)

    with tempfile.TemporaryDirectory() as directory:
        async with module_page(Path(directory), {Method.TRUST: trust}) as place, place.visitor():
            for locale in ("de-DE", "en-US"):
                page = await open_page(
                    browser,
                    f"{place.base}/start/{leave_ticket(place.connector.state)}",
                    locale=locale,
                    color_scheme=scheme,
                    viewport={"width": width, "height": 400},
                )
                await page.screenshot(path=out / f"module-{locale[:2]}.png", full_page=True)
                await page.context.close()


async def main(out: Path, scheme: str, width: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        world = World(Path(state))
        await world.start()
        try:
            async with async_playwright() as playwright:
                browser = await launch(playwright)
                await take_setup(world, browser, out, scheme=scheme, width=width)
                await take_module(browser, out, scheme=scheme, width=width)
                await browser.close()
        finally:
            await world.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
