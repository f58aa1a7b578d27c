"""Takes the pictures of the connector's set-up for `docs/connector.md`.

make screenshots
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.support.browser import launch
from tests.support.setup import Technician, is_at, open_page, running_setup
from tests.support.starface import running_starface_with_tls
from tests.support.world import World

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


async def main(out: Path, scheme: str, width: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        world = World(Path(state))
        await world.start()
        try:
            async with async_playwright() as playwright:
                browser = await launch(playwright)
                await take_setup(world, browser, out, scheme=scheme, width=width)
                await browser.close()
        finally:
            await world.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
