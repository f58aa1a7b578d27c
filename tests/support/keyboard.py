"""Presses every control that a page currently has, and checks where the focus is afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Request

from tests.support.browser import Tab

SCRIPT: Final = (Path(__file__).parent / "keyboard.js").read_text()
KEYS: Final = {
    "fluent-switch": "Space",
    "input checkbox": "Space",
    "input radio": "Space",
    "select select-one": "ArrowDown",
}
"""The key for each kind of control; all others are pressed with Enter."""
SECONDS: Final = 20.0


class Keyboard:
    """Presses controls. `open_page` restores the page after a key has changed it."""

    def __init__(self, open_page: Callable[[], Awaitable[Tab]]) -> None:
        self._open_page = open_page
        self.tab: Tab | None = None
        self.lost: list[str] = []
        """Controls after which the document had the focus."""
        self.small: list[str] = []
        self.pressed: list[str] = []
        self._asking: set[Request] = set()

    async def press_all(self) -> None:
        await self._open()
        for name in await self._call("names"):
            if not await self._is_there(name):
                await self._open()
            opens_dialog = await self._press(name)
            if opens_dialog:
                await self._press_dialog(name)

    async def _press_dialog(self, opener: str) -> None:
        self.small += await self._call("small", 24)
        for name in await self._call("names"):
            if not await self._call("hasDialog"):
                if not await self._is_there(opener):
                    await self._open()
                await self._press(opener)
            await self._press(name, f"{opener} > ")

    async def _open(self) -> None:
        if self.tab is not None:
            await self.tab.close()
        self.tab = await self._open_page()
        self._asking.clear()
        self.tab.page.on("request", self._began)
        self.tab.page.on("requestfinished", self._ended)
        self.tab.page.on("requestfailed", self._ended)
        await self.tab.frame().evaluate(SCRIPT)
        await self._settle()
        self.small += await self._call("small", 24)

    def _began(self, request: Request) -> None:
        if "/api/v1/" in request.url and "/events" not in request.url:
            self._asking.add(request)

    def _ended(self, request: Request) -> None:
        self._asking.discard(request)

    async def _is_there(self, name: str) -> bool:
        return not await self._call("hasDialog") and name in await self._call("names")

    async def _press(self, name: str, within: str = "") -> bool:
        """Press the control, and return whether it opened a dialog."""
        assert self.tab is not None
        kind = await self._call("focus", name)
        if kind is None:
            return False
        before = await self._call("hasDialog")
        await self.tab.page.keyboard.press(KEYS.get(kind, "Enter"))
        await self._settle()
        self.pressed.append(within + name)
        if await self._call("focused") is None:
            self.lost.append(within + name)
        return bool(not before and await self._call("hasDialog"))

    async def _settle(self) -> None:
        """Wait until no request is pending, and the page has rendered the answers."""
        assert self.tab is not None
        ends = asyncio.get_running_loop().time() + SECONDS
        quiet = 0
        while quiet < 3 and asyncio.get_running_loop().time() < ends:
            await self.tab.frame().evaluate(
                "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
            )
            quiet = 0 if self._asking or await self._call("isBusy") else quiet + 1

    async def _call(self, function: str, argument: Any = None) -> Any:
        assert self.tab is not None
        return await self.tab.frame().evaluate(
            f"(argument) => window.keyboard.{function}(argument)", argument
        )
