"""The complete environment of a test run: service, simulator and connector as separate processes."""

import argparse
import asyncio
import fcntl
import json
import socket
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TextIO

import aiohttp

from core.hub.registry import Registry
from core.store.database import Database
from core.store.timestamps import now, to_ms
from core.store.writing import open_writer
from simulator.demo import Demo
from simulator.people import LICENCE_PERMISSION, PBX_NAME, PEOPLE
from simulator.starface.model import OAUTH_PERMISSION
from tests.support.tab_client import TabClient

ANNA, BEN, CLARA = PEOPLE
SECONDS = 15.0
BY_DAY = {"muted": [], "quiet": False, "quietFrom": 1320, "quietUntil": 420}
"""Notice settings without quiet hours, for tests that expect a notice and may run at night."""


class World:
    def __init__(self, state: Path, **options: Any) -> None:
        defaults = {"pbx_version": "6.7.3.20", "login_type": "Internal", "seats": 2}
        defaults |= {"database_url": None, "nats_url": None, "two_pbxs": False}
        arguments = argparse.Namespace(state=state, first_port=free_ports(5), **(defaults | options))
        self.demo = Demo(arguments)
        self.pbx_name = PBX_NAME

    async def start(self) -> None:
        self.http = aiohttp.ClientSession()
        try:
            await self.demo.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await self.demo.stop()
        await self.http.close()

    @property
    def key(self) -> str:
        return self.demo.pbx_key()

    @property
    def starface_url(self) -> str:
        return f"http://127.0.0.1:{self.demo.starface_port}"

    @property
    def entra_url(self) -> str:
        return f"http://127.0.0.1:{self.demo.entra_port}"

    @property
    def teams_url(self) -> str:
        return self.demo.teams_url

    async def enrolment_code(self, name: str) -> str:
        """Create a code with `pbx-teams pbx enrol`."""
        database = Database(self.demo.database_address)
        writer = open_writer(database.address)
        pepper = (self.demo.state / "pepper").read_text().encode()
        try:
            code, _ = await Registry(database, writer, pepper).enrol(name, now())
        finally:
            await writer.close()
            await database.close()
        return code

    def client(self, person: Any = ANNA, language: str = "en") -> TabClient:
        return TabClient(self.http, self.demo.service_url, self.entra_url, person, language)

    async def pbx(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API of the simulated STARFACE."""
        async with self.http.request(method, f"{self.starface_url}/control/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def sign(self, claims: dict[str, Any], key: str = "users", **header: Any) -> str:
        body = {"claims": claims, "key": key, "header": header}
        async with self.http.post(f"{self.entra_url}/control/sign", json=body) as answer:
            return (await answer.json())["token"]

    async def say(self, person: Any, locale: str = "en-US", **activity: Any) -> Any:
        """Perform an action of a user in the chat with the bot."""
        body = {"locale": locale, **activity}
        async with self.http.post(
            f"{self.demo.teams_url}/host/chats/{person.object_id}", json=body
        ) as answer:
            return await answer.json()

    async def chat(self, person: Any) -> list[dict[str, Any]]:
        """Return the activities of a chat, newest last."""
        async with self.http.get(f"{self.demo.teams_url}/host/chats/{person.object_id}") as answer:
            return (await answer.json())["activities"]

    async def forget_throttles(self) -> None:
        """Restart the service, because throttles are in its memory."""
        await self.demo.stop_part("service")
        await self.demo.start_service()
        await self.connected()

    async def connected(self) -> None:
        """Wait until the connector is linked again."""

        async def is_connected() -> bool:
            if (
                not self.is_linked()
            ):  # after a hand-over no key is valid until then, and wrong ones are throttled
                return False
            answer = await self.client(CLARA).prepare(self.pbx_name, self.key)
            return answer.status == 200

        await eventually(is_connected, "the connector comes back", seconds=80)

    def is_linked(self) -> bool:
        """By the table; without one of our own, nobody knows better than to ask."""
        if not (self.demo.state / "pbx-teams.db").exists():
            return True
        with closing(self.database()) as database:
            query = "SELECT link_opened_at IS NOT NULL AND link_closed_at IS NULL FROM pbx WHERE name = ?"
            row = database.execute(query, (self.pbx_name,)).fetchone()
        return row is not None and bool(row[0])

    async def uci_is_on(self) -> None:
        """Wait until the connector is logged in by UCI. After a test that switched UCI off at the PBX, that takes up to a
        minute: a login that was refused is tried once a minute.
        """

        async def is_on() -> bool:
            with closing(self.database()) as database:
                query = "SELECT status FROM pbx WHERE name = ?"
                row = database.execute(query, (self.pbx_name,)).fetchone()
            return row is not None and bool(json.loads(row[0])["uci"] == "on")

        if (self.demo.state / "pbx-teams.db").exists():
            await eventually(is_on, "the connector is logged in by UCI", seconds=100)

    def database(self) -> sqlite3.Connection:
        """Access the service's own database, for changes that would otherwise take days."""
        return sqlite3.connect(self.demo.state / "pbx-teams.db", timeout=10)

    def forget_pins(self) -> None:
        """Reset identities as if nobody had ever signed in or out: pins are removed, and nobody has chosen to stay
        signed out.
        """
        if (self.demo.state / "pbx-teams.db").exists():
            with closing(self.database()) as database, database:
                database.execute("DELETE FROM pinned_identity")
                database.execute("DELETE FROM session_end")
                database.execute("UPDATE preference SET no_automatic_sign_in = FALSE")

    def forget_other_trust(self) -> None:
        """Delete the trust that other PBXs of earlier tests have in a tenant; otherwise they are offered for sign-in."""
        if (self.demo.state / "pbx-teams.db").exists():
            with closing(self.database()) as database, database:
                others = "SELECT id FROM pbx WHERE name != ?"
                database.execute(f"DELETE FROM trusted_tenant WHERE pbx_id IN ({others})", (self.pbx_name,))

    @contextmanager
    def expired_key(self) -> Iterator[None]:
        """Let the licence key have expired a minute ago; restore it afterwards."""

        def put(until: int) -> int:
            with closing(self.database()) as database, database:
                (before,) = database.execute(
                    "SELECT valid_until FROM pool WHERE serial = 'DEMO-1'"
                ).fetchone()
                database.execute(
                    "UPDATE pool SET valid_until = ?, expiry_told = NULL WHERE serial = 'DEMO-1'", (until,)
                )
            return int(before)

        before = put(to_ms(now()) - 60_000)
        try:
            yield
        finally:
            put(before)

    def log(self, name: str = "service") -> str:
        return self.demo.log(name).read_text(errors="replace")

    def log_entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    async def hang_up(self) -> None:
        """End all calls. One that is no longer there has ended by itself in the meantime."""
        for call in (await self.pbx("GET", "state"))["calls"]:
            url = f"{self.starface_url}/control/calls/{call['id']}/hangup"
            async with self.http.post(url) as answer:
                assert answer.status in (200, 404), await answer.text()

    async def reset(self) -> None:
        """Reset: everybody signed out and unpinned, no quiet hours, the PBX and its telephones in their initial
        state without calls, no trusted tenants.
        """
        await self.http.delete(f"{self.demo.teams_url}/control/posts")
        await self.pbx(
            "PATCH",
            "settings",
            {"version": "6.7.3.20", "reachable": True, "uci": True, "loginType": "Internal"},
        )
        await self.pbx("DELETE", "switches")
        await self.hang_up()
        for person in PEOPLE:
            held = {OAUTH_PERMISSION}
            if person is CLARA:
                held.add("Administrator")
            if person is BEN:
                held.add(LICENCE_PERMISSION)
            await self.pbx(
                "PATCH", f"users/{person.login}", {"permissions": sorted(held), "email": person.email}
            )
        await self.connected()
        self.forget_pins()
        self.forget_other_trust()
        clara = self.client(CLARA)
        # By password, because sign-in by e-mail gives no administrator rights.
        answer = await clara.sign_in(self.pbx_name, self.key)
        assert answer.status == 200, f"an earlier test has left the world unusable: {answer.body}"
        await clara.call("PUT", "trust", {"trusted": False})
        for person in PEOPLE:
            client = self.client(person)
            await client.sign_out()
            await client.call("DELETE", "waiting")
            await client.call("PUT", "notices", BY_DAY)


async def eventually(check: Callable[[], Awaitable[Any]], what: str, seconds: float = SECONDS) -> Any:
    """Wait until `check` returns something truthy, and return it."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    while not (found := await check()):
        if loop.time() > ends:
            raise AssertionError(f"not in {seconds} s: {what}")
        await asyncio.sleep(0.05)
    return found


def free_ports(count: int) -> int:
    """Return the first of `count` consecutive free ports that no other process of the run gets. They stay reserved
    until this process ends, so that a stopped part may restart on its port.
    """
    directory = Path(tempfile.gettempdir()) / "pbx-teams-ports"
    directory.mkdir(exist_ok=True)
    for first in range(FIRST_PORT, LAST_PORT, PORTS_AT_ONCE):
        claim = (directory / str(first)).open("w")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return first
    raise RuntimeError("no free ports")


FIRST_PORT, LAST_PORT = 20_000, 30_000
"""Below the range that the system uses for outgoing connections."""
PORTS_AT_ONCE = 8
_claims: list[TextIO] = []
