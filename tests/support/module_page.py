"""The module page of a running connector, used over HTTP as a browser does, without one."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from connector.site.security import leave_ticket
from tests.support.starface import running_starface
from tests.support.tiny_hub import ConnectorProcess, TinyHub, tiny_hub
from tests.support.world import eventually, free_ports
from wire.jsonrpc import Handler

SECONDS = 20.0


class Visitor:
    """One browser with its session."""

    def __init__(self, http: aiohttp.ClientSession, base: str, connector: ConnectorProcess) -> None:
        self.http = http
        self.base = base
        self._connector = connector
        self.root = ""
        self.csrf = ""

    async def read(self, language: str = "en") -> str:
        """Return the page. The first time it enters by a one-time link."""
        path = self.root or f"/start/{leave_ticket(self._connector.state)}"
        async with self.http.get(f"{self.base}{path}", params={"lang": language}) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            self.root = answer.url.path
        found = re.search(r'name="csrf" value="([^"]+)"', text)
        assert found is not None
        self.csrf = found.group(1)
        return text

    async def post(self, path: str, form: Mapping[str, str], **headers: str) -> tuple[int, str]:
        """Send a form as the page does; return status and text of the page that follows."""
        async with self.http.post(
            f"{self.base}{self.root}{path}",
            data={"csrf": self.csrf, **form},
            headers={"Origin": self.base, **headers},
        ) as answer:
            return answer.status, await answer.text()

    async def act(self, action: str, **form: str) -> tuple[int, str]:
        return await self.post("act", {"action": action, **form})


class Place:
    """A connector with its page, its hub and its PBX."""

    def __init__(self, hub: TinyHub, connector: ConnectorProcess, port: int) -> None:
        self.hub, self.connector = hub, connector
        self.base = f"http://127.0.0.1:{port}"

    @asynccontextmanager
    async def visitor(self) -> AsyncIterator[Visitor]:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            visitor = Visitor(http, self.base, self.connector)

            async def is_open() -> bool:
                try:
                    async with http.get(self.base):
                        return True
                except aiohttp.ClientConnectionError:
                    return False

            await eventually(is_open, "the module page is open", SECONDS)
            await visitor.read()
            yield visitor


@asynccontextmanager
async def module_page(directory: Path, handlers: Mapping[str, Handler] | None = None) -> AsyncIterator[Place]:
    """Run a connector that is linked. `handlers`: what its hub answers besides the methods of the first version."""
    async with running_starface() as pbx, tiny_hub(handlers) as hub:
        port = free_ports(1)
        connector = ConnectorProcess(directory, hub, pbx)
        connector.configuration.write_text(f"{connector.configuration.read_text()}[page]\nport = {port}\n")
        await connector.start()
        try:
            await hub.linked()
            yield Place(hub, connector, port)
        finally:
            await connector.kill()
