"""Users' telephone lines with a simulated STARFACE in the test's own process, without link and service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from connector.calls import Calls
from connector.config import PbxSection, TelephoneSection, UciSection
from connector.line.line import Line
from connector.line.lines import Lines
from connector.login import uci_token
from connector.logins import Logins
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from connector.uci import Callbacks
from simulator.starface.model import Settings
from tests.support.starface import running_starface
from tests.support.world import eventually
from wire.link import CallsCredentials
from wire.phone import CallState, PhoneCall, PhoneLine

ANNA, BEN, CLARA = 2, 3, 4
"""Ids of PBX users."""
LOGINS = {ANNA: ("1001", "anna-1001"), BEN: ("1002", "ben-1002"), CLARA: ("1003", "clara-1003")}


class Site:
    """The connector's side of a PBX. `stop` and `start` correspond to a restart of the program."""

    def __init__(self, port: int, directory: Path, http: aiohttp.ClientSession, login: str = "0001") -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._http = http
        self._directory = directory
        self._login = login
        self._running: asyncio.Task[None] | None = None
        self.settings = TelephoneSection()
        self.pbx: dict[str, Any] = {}
        """More settings of the connector's section `[pbx]`."""
        self.uci_works = True
        """Whether the connector's own login is accepted."""
        self.provided_requests: list[str] = []
        """The UCI requests that the PBX offers to the connector's own login."""

    async def start(self) -> None:
        password = {"0001": "foobar"}.get(self._login) or dict(LOGINS.values())[self._login]
        self.rest = StarfaceRest(
            PbxSection(name="p", url=self.url, login=self._login, password=password, **self.pbx)
        )
        self.callbacks = Callbacks(UciSection())
        await self.callbacks.start()
        self.logins = Logins(
            self.rest, self.callbacks, ConnectorState(self._directory), lambda: self.uci_works
        )
        self.calls = Calls(self.logins)
        self.lines = Lines(
            self.rest,
            self.logins,
            self.settings,
            lambda group: {"1": "Vertrieb"}.get(group, group),
            lambda: self.provided_requests,
            lambda: self.uci_works,
        )
        self._running = asyncio.create_task(self.logins.run())
        await asyncio.sleep(0)

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None
            await self.callbacks.stop()
            await self.rest.close()

    async def open(self, user_id: int) -> Line:
        await self.lines.open(user_id, credentials(user_id))
        return self.lines.line(user_id)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with self._http.request(method, f"{self.url}/control/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def awkward(self, name: str, on: Any = True) -> None:
        await self.control("PUT", "awkward", {"name": name, "on": on})

    async def act(self, call: str, act: str, **body: Any) -> None:
        await self.control("POST", f"calls/{call}/{act}", body or None)

    async def arrive(
        self, called: str, number: str = "00493023125901", name: str = ""
    ) -> list[dict[str, str]]:
        body = {"called": called, "callerNumber": number, "callerName": name}
        found: list[dict[str, str]] = (await self.control("POST", "incoming", body))["calls"]
        return found

    async def pbx_calls(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = (await self.control("GET", "state"))["calls"]
        return found

    async def requests(self) -> int:
        """Return the requests that the PBX has received."""
        return int((await self.control("GET", "state"))["requests"])

    async def line(self, user_id: int = ANNA) -> PhoneLine:
        return await self.lines.snapshot(user_id)

    async def until(self, fits: Callable[[PhoneLine], Any], what: str, user_id: int = ANNA) -> PhoneLine:
        async def found() -> PhoneLine | None:
            line = await self.line(user_id)
            return line if fits(line) else None

        line: PhoneLine = await eventually(found, what, seconds=20)
        return line

    async def call_that(self, state: CallState, user_id: int = ANNA) -> PhoneCall:
        """Wait for the only call in that state."""
        line = await self.until(
            lambda line: any(one.state is state for one in line.calls), f"a call is {state}", user_id
        )
        (call,) = [one for one in line.calls if one.state is state]
        return call


def credentials(user_id: int) -> CallsCredentials:
    login, password = LOGINS[user_id]
    return CallsCredentials(login=login, uci_token=uci_token(login, password))


@asynccontextmanager
async def running_site(
    directory: Path, settings: Settings | None = None, login: str = "0001"
) -> AsyncIterator[Site]:
    async with running_starface(settings) as port, aiohttp.ClientSession() as http:
        site = Site(port, directory, http, login)
        await site.start()
        try:
            yield site
        finally:
            await site.stop()
