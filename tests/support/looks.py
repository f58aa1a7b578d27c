"""Compares the look of the tab with stored reference pictures: every page in both languages, three themes and three
widths.

`make references` takes new ones (`VIEWS="audio licences"` for only these), after somebody has reviewed the change.
Text is drawn in a font that is part of the tests, all times show the same text, and content that differs between
runs (charts, identities) is covered, so that only the page itself is compared.
"""

import asyncio
import io
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageChops
from playwright.async_api import Browser, Page, Playwright, async_playwright, expect

from tests.support.browser import E2E, Tab, launch
from tests.support.world import ANNA, BEN, CLARA, World

REFERENCES: Final = E2E / "references"
LOCALES: Final = ("de-DE", "en-US")
THEMES: Final = ("default", "dark", "contrast")
WIDTHS: Final = (320, 550, 1100)
"""A phone; 1100 pixels at a zoom of 200 %; a window."""
HEIGHT: Final = 1200

SAME_MOMENT: Final = """
  Object.defineProperty(Intl.DateTimeFormat.prototype, "format", {
    get() { return () => document.documentElement.lang === "de" ? "25.11.2026, 08:00" : "25 Nov 2026, 08:00"; },
  });
  Object.defineProperty(Intl.RelativeTimeFormat.prototype, "format", {
    value() { return document.documentElement.lang === "de" ? "vor 2 Tagen" : "2 days ago"; },
  });
"""
_SHRINK: Final = 4
"""Pictures are compared at a quarter of their size, which hides differences in anti-aliasing between browser
versions."""
_BLOCK: Final = 32
"""Size of a block in pixels of the page; missing content differs in whole blocks."""
_FAINT: Final = 8
"""Mean difference of a block, of 255, below which the eye sees none."""
MAX_DIFFERENT: Final = 0.005
"""Share of blocks that may differ: one or two on a phone's page; a button has more."""
MAX_HEIGHT: Final = 0.03
"""Share by which the height of a page may differ."""


@dataclass(frozen=True)
class View:
    name: str
    person: Any
    ready: str
    """Selector of an element that exists when the page is complete."""
    page: str = "home"
    covered: tuple[str, ...] = field(default=())
    as_high: tuple[str, ...] = field(default=())
    """Lists that get a fixed height, because their length differs between runs."""


SIGN_IN = View("sign-in", ANNA, "#pbx-name")
OFFERS = View("offers", ANNA, "pbx-offers fluent-button")
STATE = View("state", ANNA, "#situation", "state")
SETTINGS = View("settings", ANNA, "pbx-notices form", "settings")
PHONE = View("phone", ANNA, "pbx-phone-history li", "phone")
AUDIO = View("audio", ANNA, "#finding ol", "audio")
LICENCES = View(
    "licences",
    CLARA,
    "pbx-usage svg",
    "licences",
    ("pbx-usage svg", "pbx-usage p", "pbx-advice p"),
)
CONNECTION = View(
    "connection",
    CLARA,
    "pbx-connection svg",
    "connection",
    ("dl", "section[aria-labelledby=history] svg", ".events", "#history ~ p"),
    (".events",),
)
AUDIT = View(
    "audit",
    CLARA,
    "pbx-audit table",
    "audit",
    ("pbx-audit table", "#audit-count", "#audit-since", "#audit-until"),
    ("pbx-audit table",),
)
SECURITY = View("security", CLARA, "#save-trust", "security")
VIEWS: Final = (SIGN_IN, OFFERS, STATE, SETTINGS, PHONE, AUDIO, LICENCES, CONNECTION, AUDIT, SECURITY)


def name_of(view: View, locale: str, theme: str, width: int) -> str:
    return f"{view.name}-{locale[:2]}-{theme}-{width}.png"


async def arrange(world: World, view: View) -> None:
    """Prepare the world for the view."""
    for person in (ANNA, BEN, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    anna, clara = world.client(ANNA), world.client(CLARA)
    offered = view is OFFERS
    body = {"trusted": True, "entry": "one-click" if offered else "with-key", "primary": offered}
    await clara.call("PUT", "trust", body)
    if view in (SIGN_IN, OFFERS):
        await anna.sign_out()
    uses = [
        {"program": program, "device": {"kind": kind, "label": label}}
        for program, label in (("teams", "Headset (Jabra Evolve2 65)"), ("softphone", "Jabra Evolve2 65"))
        for kind in ("input", "output")
    ]
    if view is AUDIO:
        devices = [
            {"kind": kind, "label": label, "deviceId": "", "groupId": ""}
            for kind, label in (
                ("output", "Speakers (Realtek(R) Audio)"),
                ("input", "Microphone (Logitech BRIO)"),
            )
        ]
        await anna.call("PUT", "audio/devices", {"devices": devices})
        await anna.call("PUT", "audio/declared", {"uses": uses})
    if view is PHONE:
        await anna.switch_phone_on(world.pbx_name, world.key)
    if view not in (AUDIO, SIGN_IN):
        await anna.call("DELETE", "audio")


@asynccontextmanager
async def browser_with_own_font(playwright: Playwright) -> AsyncIterator[Browser]:
    """A browser that has only one font, independent of the machine."""
    with tempfile.TemporaryDirectory() as directory:
        fonts = Path(directory) / "fonts.conf"
        fonts.write_text(
            f"""<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
            <fontconfig>
              <dir>{E2E / "node_modules/dejavu-fonts-ttf/ttf"}</dir>
              <cachedir>{directory}/cache</cachedir>
              <match><edit name="family" mode="assign_replace"><string>DejaVu Sans</string></edit></match>
            </fontconfig>"""
        )
        environment = {"FONTCONFIG_FILE": str(fonts), "PATH": "/usr/bin:/bin", "HOME": directory}
        browser = await launch(playwright, "--font-render-hinting=none", environment=environment)
        yield browser
        await browser.close()


async def open_view(browser: Browser, world: World, view: View, locale: str) -> Tab:
    tab = await Tab.open(
        browser, world, view.person, locale=locale, height=HEIGHT, script=SAME_MOMENT, page=view.page
    )
    await expect(tab.view.locator(view.ready).first).to_be_visible()
    await expect(tab.view.locator("pbx-skeleton")).to_have_count(0)
    return tab


async def show(tab: Tab, theme: str, width: int) -> None:
    """Show the open tab in another theme and width, as Teams changes them. Loading the page for each picture would take
    most of the time.
    """
    await tab.page.set_viewport_size({"width": width, "height": HEIGHT})
    await tab.page.get_by_label("Theme").evaluate(
        "(select, theme) => { select.value = theme; select.dispatchEvent(new Event('change')); }", theme
    )
    await expect(tab.view.locator("html")).to_have_attribute("data-theme", theme)
    # Fluent applies a theme with the next frame.
    await tab.frame().evaluate(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


async def picture(tab: Tab, view: View) -> bytes:
    """Take a picture of the whole page; content that differs between runs is covered."""
    for selector in view.as_high:
        await tab.view.locator(selector).evaluate(
            "one => Object.assign(one.style, {display: 'block', height: '6em', overflow: 'hidden'})"
        )
    length = await tab.frame().evaluate("document.documentElement.scrollHeight")
    top = (await frame_box(tab.page))["y"]
    size = tab.page.viewport_size
    assert size is not None
    await tab.page.set_viewport_size({"width": size["width"], "height": int(top + length + 1)})
    return await tab.page.screenshot(
        clip=await frame_box(tab.page) | {"height": length},
        # What is inside closed details has a box, too, which would cover what follows them.
        mask=[tab.view.locator(selector).locator("visible=true") for selector in view.covered],
        mask_color="#888888",
        animations="disabled",
        caret="hide",
    )


async def frame_box(page: Page) -> Any:
    box = await page.locator("#tab iframe").bounding_box()
    assert box is not None
    return box


def difference(one: bytes, other: bytes) -> float:
    """Return the share of the page that differs visibly; 1 if the heights differ too much."""
    first, second = (Image.open(io.BytesIO(picture)).convert("RGB") for picture in (one, other))
    if first.width != second.width or abs(first.height - second.height) > MAX_HEIGHT * second.height:
        return 1.0
    size = (first.width, min(first.height, second.height))
    small = (size[0] // _SHRINK, size[1] // _SHRINK)
    shrunk = (image.crop((0, 0, *size)).resize(small, Image.Resampling.BOX) for image in (first, second))
    channels = ImageChops.difference(*shrunk).split()
    strongest = ImageChops.lighter(ImageChops.lighter(channels[0], channels[1]), channels[2])
    blocks = strongest.resize((-(-size[0] // _BLOCK), -(-size[1] // _BLOCK)), Image.Resampling.BOX)
    return sum(blocks.histogram()[_FAINT:]) / (blocks.width * blocks.height)


def packed(picture: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


async def main(names: Sequence[str]) -> int:
    wanted = [view for view in VIEWS if not names or view.name in names]
    for view in wanted:
        for old in REFERENCES.glob(f"{view.name}-*.png"):
            old.unlink()
    with tempfile.TemporaryDirectory() as state:
        world = World(Path(state), seats=2)
        await world.start()
        try:
            async with async_playwright() as playwright, browser_with_own_font(playwright) as browser:
                for view in wanted:
                    await arrange(world, view)
                    for locale in LOCALES:
                        tab = await open_view(browser, world, view, locale)
                        for theme in THEMES:
                            for width in WIDTHS:
                                await show(tab, theme, width)
                                taken = packed(await picture(tab, view))
                                (REFERENCES / name_of(view, locale, theme, width)).write_bytes(taken)
                        await tab.close()
        finally:
            await world.stop()
    print(f"Wrote {', '.join(view.name for view in wanted)} to {REFERENCES}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
