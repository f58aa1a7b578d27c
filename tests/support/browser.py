"""A real Chromium that shows the Teams host, and axe in it."""

import functools
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.async_api import Browser, Frame, FrameLocator, Page, Playwright, expect

from tests.support.world import World

E2E = Path(__file__).parents[1] / "e2e"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
HEADLESS_SHELL = "chromium-headless-shell"
"""Chromium's engine without windows, sound and extensions, from the same package source (`infra/browser.sh`)."""
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SETTLED = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  await frame();
  const roots = [document];
  for (const root of roots) {
    for (const { shadowRoot } of root.querySelectorAll("*")) if (shadowRoot) roots.push(shadowRoot);
  }
  const changing = roots.flatMap((root) => root.getAnimations()).filter((one) => one instanceof CSSTransition);
  await Promise.allSettled(changing.map((one) => one.finished));
}"""
"""Wait until every colour is the one that stays: a button that was disabled a moment ago is still pale."""
TEXTS = """() => {
  const roots = [document], texts = [];
  for (const root of roots) {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) roots.push(element.shadowRoot);
      for (const node of element.childNodes) if (node.nodeType === Node.TEXT_NODE) texts.push(node.data.trim());
      for (const { value } of element.attributes) texts.push(value.trim());
    }
  }
  return texts;
}"""
"""All texts and values of attributes in the tab."""


@functools.cache
def word_keys() -> frozenset[str]:
    """Return the keys of the client's texts that cannot be mistaken for a value of an attribute."""
    files = (Path(__file__).parents[2] / "tab/web/src/words").glob("*en.json")
    return frozenset(key for file in files for key in json.loads(file.read_text("utf-8")) if "." in key)


async def launch(
    playwright: Playwright, *more: str, environment: dict[str, str] | None = None, whole: bool = False
) -> Browser:
    """Start the machine's Chromium, or Playwright's own if there is none. `whole`: with sound, so not the headless shell,
    which takes half the processor time.
    """
    names = CHROMIUM if whole else (HEADLESS_SHELL, *CHROMIUM)
    path = next((found for name in names if (found := shutil.which(name))), None)
    return await playwright.chromium.launch(
        executable_path=path,
        channel="chromium" if whole and path is None else None,
        args=[*_ARGUMENTS, *more],
        env=environment,
    )


class Tab:
    """One user's Teams window that shows the tab."""

    def __init__(self, page: Page, world: World, person: Any) -> None:
        self.page = page
        self.world = world
        self.person = person

    @classmethod
    async def open(
        cls,
        browser: Browser,
        world: World,
        person: Any,
        *,
        locale: str = "en-US",
        theme: str = "default",
        width: int = 1100,
        height: int = 860,
        script: str | None = None,
        **query: str,
    ) -> "Tab":
        # Without motion, because colours in the middle of a transition are meaningless.
        context = await browser.new_context(
            viewport={"width": width, "height": height}, timezone_id="Europe/Berlin", reduced_motion="reduce"
        )
        if script is not None:
            await context.add_init_script(script)
        page = await context.new_page()
        tab = cls(page, world, person)
        # Otherwise the telephone page comes first if the PBX offers telephones.
        query = {"page": "state"} | query
        more = "".join(f"&{name}={quote(value)}" for name, value in query.items())
        await page.goto(
            f"{world.demo.teams_url}/?person={person.object_id}&locale={locale}&theme={theme}{more}"
        )
        return tab

    async def close(self) -> None:
        await self.page.context.close()

    @property
    def view(self) -> FrameLocator:
        return self.page.frame_locator("#tab iframe")

    def frame(self) -> Frame:
        return next(frame for frame in self.page.frames if "/tab/" in frame.url)

    def field(self, label: str) -> Any:
        return self.view.get_by_label(label, exact=True)

    def button(self, name: str) -> Any:
        return self.view.get_by_role("button", name=name, exact=True)

    @property
    def links(self) -> Any:
        """Links of the navigation, one for each page."""
        return self.view.get_by_role("navigation").get_by_role("link")

    def link(self, name: str) -> Any:
        return self.view.get_by_role("navigation").get_by_role("link", name=name)

    async def goes_to(self, name: str) -> None:
        """Follow the link to a page."""
        await self.link(name).click()

    async def opens_menu(self) -> None:
        """Open the person's menu."""
        await self.view.locator("#account").click()

    async def sign_out(self) -> None:
        await self.opens_menu()
        await self.button("Sign out").click()

    async def go_elsewhere(self) -> None:
        """Begin to sign in at another PBX."""
        await self.opens_menu()
        await self.button("Use another PBX").click()

    async def enter_pbx(self, name: str, key: str) -> None:
        await self.field("PBX name").fill(name)
        await self.field("PBX key").fill(key)
        await self.button("Continue").click()

    async def enter_user(self, login: str, password: str) -> None:
        await self.field("Login").fill(login)
        await self.field("Password").fill(password)
        await self.button("Sign in").click()

    async def try_to_sign_in(self) -> None:
        """Sign in with valid data; the caller checks the result."""
        await self.enter_pbx(self.world.pbx_name, self.world.key)
        await self.enter_user(self.person.login, self.person.password)

    async def sign_in(self) -> None:
        await self.try_to_sign_in()
        await self.goes_to("Overview")
        await expect(self.view.get_by_role("heading", name="Overview")).to_be_visible()

    async def sees(self, text: str, seconds: float = 20) -> None:
        shown = self.view.get_by_text(text).locator("visible=true")
        await expect(shown.first).to_be_visible(timeout=seconds * 1000)

    async def is_alerted(self, text: str) -> None:
        await expect(self.view.get_by_role("alert")).to_contain_text(text)

    async def violations(self) -> list[str]:
        """Return axe's findings in the tab, one line for each rule and element, and keys shown for lack of a text."""
        frame = self.frame()
        await frame.evaluate(SETTLED)
        if not await frame.evaluate("'axe' in window"):
            await frame.evaluate((E2E / "node_modules/axe-core/axe.min.js").read_text())
        found = await frame.evaluate("axe.run(document, {resultTypes: ['violations']})")
        shown = await frame.evaluate(TEXTS)
        return [
            f"{violation['id']}: {node['html'][:200]} ({node.get('failureSummary', '')[:300]})"
            for violation in found["violations"]
            for node in violation["nodes"]
        ] + [f"key instead of a text: {text}" for text in shown if text in word_keys()]


async def overflow(tab: Tab) -> int:
    """Return by how many pixels the tab is wider than its window."""
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return int(await tab.frame().evaluate(width))


OpenTab = Callable[..., Awaitable[Tab]]
