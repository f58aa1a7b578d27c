"""The recipe of the security finding B2 from its beginning to its end: a stranger's connector holds a name, people are
signed in through it, wait and are in the middle of signing in. Then the operator hands the name to its rightful owner.
Nothing that the stranger's connector vouched for is left.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from typing import Any, Final

import aiohttp
import pytest

from core.licensing.transactions.removing import UNUSED_FOR
from core.store.timestamps import now, to_ms
from simulator.people import TENANT_ID
from tests.app.test_connection import operator
from tests.app.test_keyless import click, trust
from tests.support.connector_peer import Peer, connected, enrolled, say
from tests.support.tab_client import Answer, TabClient
from tests.support.world import ANNA, BEN, CLARA, World, eventually
from wire.link import fingerprint
from wire.pbxkey import digest

NAME: Final = "contested.example.com"


def user(number: int, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "userId": number,
        "login": str(number),
        "displayName": name,
        "email": "",
        "isAdministrator": False,
        "hasLicencePermission": False,
        "groupIds": [],
    } | changes


MALLORY: Final = user(1, "Mallory", isAdministrator=True, hasLicencePermission=True)
HOLDER: Final = user(3, "Holder")
WAITER: Final = user(4, "Waiter")
LATE: Final = user(5, "Late", hasLicencePermission=True)


class PbxByHand:
    """A connector with a real link, whose PBX gives the answers that the test wants."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.users = {one["userId"]: one for one in (MALLORY, HOLDER, WAITER, LATE)}
        self.logs_in: dict[str, Any] = MALLORY
        self.answers = asyncio.Event()
        """Cleared: a login is asked for and not answered yet."""
        self.answers.set()
        self.was_asked = asyncio.Event()
        self.closed_with: int | None = None
        self._socket = socket

    async def leave(self) -> None:
        await self._socket.close()

    async def serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            async for message in self._socket:
                frame = json.loads(message.data)
                if "method" in frame and "id" in frame:
                    tasks.create_task(self._answer(frame))
            self.closed_with = self._socket.close_code

    async def _answer(self, frame: dict[str, Any]) -> None:
        result = await self._result(frame["method"], frame.get("params") or {})
        if not self._socket.closed:
            await self._socket.send_json({"jsonrpc": "2.0", "id": frame["id"], "result": result})

    async def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "pbx.login":
            person = self.logs_in
            self.was_asked.set()
            await self.answers.wait()
            return person
        if method in ("pbx.usersById", "pbx.usersByIds"):
            ids = params.get("userIds") or [params.get("userId")]
            return {"users": [self.users[number] for number in ids if number in self.users]}
        if method in ("pbx.usersByEmail", "pbx.people"):
            return {"users": [], "groups": []}
        return {}


@asynccontextmanager
async def linked(world: World, peer: Peer, **hello: Any) -> AsyncIterator[PbxByHand]:
    async with connected(world) as (socket, nonce):
        answer = await say(socket, peer.hello(nonce, **hello))
        assert "result" in answer, answer
        pbx = PbxByHand(socket)
        serving = asyncio.create_task(pbx.serve())
        try:
            yield pbx
        finally:
            pbx.answers.set()
            await socket.close()
            await serving


async def sign_in(client: TabClient, peer: Peer) -> Answer:
    proof = {"method": "challenge", "nonce": "n" * 32, "secret": "1001:" + "0" * 128}
    return await client.call(
        "POST", "sign-in", {"pbxName": peer.name, "keyDigest": digest(peer.key), "proof": proof}
    )


class Watching:
    """An open tab."""

    def __init__(self, stream: aiohttp.ClientResponse) -> None:
        self.seen: list[tuple[str, Any]] = []
        self._reading = asyncio.create_task(self._read(stream))

    async def _read(self, stream: aiohttp.ClientResponse) -> None:
        name = ""
        async for line in stream.content:
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                name = text.removeprefix("event: ")
            elif text.startswith("data: "):
                self.seen.append((name, json.loads(text.removeprefix("data: "))))

    async def stop(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    @property
    def state(self) -> Any:
        return next((data for name, data in reversed(self.seen) if name == "state"), None)


@asynccontextmanager
async def watching(world: World, client: TabClient) -> AsyncIterator[Watching]:
    headers = {"Authorization": f"Bearer {await client.token()}"}
    async with world.http.get(
        f"{world.demo.service_url}/api/v1/events?changes=true", headers=headers
    ) as stream:
        tab = Watching(stream)
        try:
            yield tab
        finally:
            await tab.stop()


@pytest.fixture
async def nobody_signed_in(world: World) -> AsyncIterator[World]:
    people = [world.client(person) for person in (ANNA, BEN, CLARA)]
    for one in people:
        await one.sign_out()
    yield world
    for one in people:
        await one.sign_out()


async def test_nothing_of_a_displaced_connector_is_left(nobody_signed_in: World) -> None:
    world = nobody_signed_in
    mallory, anna, clara = world.client(BEN), world.client(ANNA), world.client(CLARA)
    stranger, owner = await enrolled(world, NAME), Peer(NAME)
    key = await world.demo.licence_key(1, "CONTESTED-1")
    async with linked(world, stranger, licence_keys=[key]) as theirs:
        assert (await sign_in(mallory, stranger)).status == 200
        assert (await mallory.state())["person"]["isAdministrator"]
        # As if Mallory's organisation had spoken for itself.
        await operator(world, "approve", NAME, TENANT_ID, group="trust")
        wish = {"trusted": True, "entry": "one-click"}
        assert (await mallory.call("PUT", "trust", wish)).status == 200
        # A seat is taken, another person waits for it, and it is offered to them.
        theirs.logs_in = HOLDER
        assert (await sign_in(clara, stranger)).body["licence"]["kind"] == "FL"
        theirs.logs_in = WAITER
        assert (await sign_in(anna, stranger)).code == "no-licence"
        assert (await anna.call("POST", "waiting")).status == 200
        await clara.sign_out()

        async def is_offered() -> bool:
            return bool(((await anna.state())["waiting"] or {}).get("offeredUntil"))

        await eventually(is_offered, "the seat is offered to who waits")

        # The rightful owner knocks; Mallory sees it and could hand the name to nobody but them.
        async with connected(world) as (socket, nonce):
            assert "error" in await say(socket, owner.hello(nonce))
        rightful = fingerprint(owner.hello("n" * 32).identity)

        async def is_known() -> bool:
            return rightful in await operator(world, "show", NAME)

        await eventually(is_known, "the rightful owner's claim is kept")

        # Somebody is in the middle of signing in when the name is handed over.
        theirs.logs_in = LATE
        theirs.was_asked.clear()
        theirs.answers.clear()
        late = asyncio.create_task(sign_in(clara, stranger))
        await theirs.was_asked.wait()
        async with watching(world, mallory) as tab:

            async def shows_session() -> bool:
                return bool(tab.state and tab.state["signedIn"])

            await eventually(shows_session, "Mallory's tab is up")
            said = await operator(world, "hand-over", NAME, rightful)
            assert "1 sessions have ended" in said
            theirs.answers.set()
            answer = await late
            assert answer.status in (403, 404, 409, 502, 503, 504), answer.body

            async def is_told() -> bool:
                return not tab.state["signedIn"]

            await eventually(is_told, "Mallory's tab is told")
            assert tab.state["sessionEnd"]["cause"] == "handed-over"
            seen = len(tab.seen)
            await nothing_is_left(world, stranger, owner, theirs, key)
            later = tab.seen[seen:]
            assert [data for name, data in later if name == "state" and data["signedIn"]] == []
            assert [name for name, _ in later if name not in ("state", "audio")] == []


async def test_an_open_tab_hears_what_the_operator_does_to_its_session(world: World) -> None:
    """The command ends before the service has noticed the change."""
    assert (await trust(world, trusted=True, entry="one-click")).status == 200
    assert (await click(world, ANNA)).status == 200
    async with watching(world, world.client(ANNA)) as tab:

        async def shows_session() -> bool:
            return bool(tab.state and tab.state["signedIn"])

        await eventually(shows_session, "Anna's tab is up")
        await operator(world, "remove", world.pbx_name, TENANT_ID, group="trust")

        async def is_told() -> bool:
            return not tab.state["signedIn"]

        await eventually(is_told, "Anna's tab is told")
        assert tab.state["sessionEnd"]["cause"] == "trust-withdrawn"


async def test_an_open_tab_hears_that_a_pbx_no_longer_offers_itself(world: World) -> None:
    """This includes the tab of a user without a session."""
    assert (await trust(world, trusted=True, entry="one-click")).status == 200
    async with watching(world, world.client(ANNA)) as tab:

        async def is_offered() -> bool:
            return bool(tab.state and tab.state["offers"])

        await eventually(is_offered, "Anna's tab shows the offer")
        await operator(world, "remove", world.pbx_name, TENANT_ID, group="trust")

        async def is_gone() -> bool:
            return tab.state["offers"] == []

        await eventually(is_gone, "the offer is gone")


@pytest.mark.parametrize("way", ["operator", "administrator", "removed"])
async def test_an_open_tab_hears_that_a_pbx_was_handed_over_or_removed(
    nobody_signed_in: World, way: str
) -> None:
    """This includes the tab of a user without a session who was offered that PBX."""
    world = nobody_signed_in
    name = f"gone-{way}.example.com"
    mallory, anna = world.client(BEN), world.client(ANNA)
    stranger, owner = await enrolled(world, name), Peer(name)
    async with linked(world, stranger) as theirs, watching(world, anna) as tab:

        def offers() -> list[str]:
            return [offer["pbxName"] for offer in tab.state["offers"]] if tab.state else []

        async def is_offered() -> bool:
            return name in offers()

        async def is_gone() -> bool:
            return name not in offers()

        assert (await sign_in(mallory, stranger)).status == 200
        await operator(world, "approve", name, TENANT_ID, group="trust")
        assert (await mallory.call("PUT", "trust", {"trusted": True, "entry": "one-click"})).status == 200
        await eventually(is_offered, "Anna's tab shows the offer", seconds=20)
        async with connected(world) as (socket, nonce):
            assert "error" in await say(socket, owner.hello(nonce))
        rightful = fingerprint(owner.hello("n" * 32).identity)

        async def is_known() -> bool:
            return rightful in await operator(world, "show", name)

        await eventually(is_known, "the rightful owner's claim is kept", seconds=40)
        if way == "operator":
            await operator(world, "hand-over", name, rightful)
        elif way == "administrator":
            answer = await mallory.call("POST", "connection/hand-over", {"identity": rightful})
            assert answer.status == 200, answer.body
        else:
            await theirs.leave()
            long_ago = to_ms(now() - UNUSED_FOR - timedelta(days=1))

            async def is_closed() -> bool:
                return "no link" in await operator(world, "show", name)

            await eventually(is_closed, "the link is closed by the table", seconds=40)
            with closing(world.database()) as database, database:
                database.execute("UPDATE pbx SET link_closed_at = ? WHERE name = ?", (long_ago, name))
            await operator(world, "remove", name)
        await eventually(is_gone, "the offer is gone", seconds=20)


async def nothing_is_left(world: World, stranger: Peer, owner: Peer, theirs: PbxByHand, key: str) -> None:
    mallory, anna, clara = world.client(BEN), world.client(ANNA), world.client(CLARA)

    async def is_cut() -> bool:
        return theirs.closed_with is not None

    async with linked(world, owner, licence_keys=[key]) as ours:
        await eventually(is_cut, "the stranger's link is cut")
        # Neither their link nor their key nor what they were.
        async with connected(world) as (socket, nonce):
            assert "error" in await say(socket, stranger.hello(nonce))
        assert (await sign_in(mallory, stranger)).code == "wrong-key"
        for client in (mallory, anna, clara):
            state = await client.state()
            assert not state["signedIn"] and state["waiting"] is None and state["offers"] == []
        for method, path, body in (
            ("GET", "licences", None),
            ("GET", "connection", None),
            ("GET", "audit/export", None),
            ("POST", "connection/hand-over", {"identity": fingerprint(stranger.hello("n" * 32).identity)}),
        ):
            assert (await mallory.call(method, path, body)).code == "not-signed-in", path
        keyless = {"pbxName": NAME}
        assert (await mallory.call("POST", "sign-in/keyless", keyless)).code == "tenant-not-trusted"

        # The rightful owner's people find the seat free and nobody else there.
        ours.logs_in = ours.users[1] = user(1, "Ada Admin", isAdministrator=True)
        answer = await sign_in(clara, owner)
        assert (answer.status, answer.body.get("licence", {}).get("kind")) == (200, "FL"), answer.body
        licences = (await clara.call("GET", "licences")).body
        assert [holder["displayName"] for holder in licences["holders"]] == ["Ada Admin"]
        assert licences["trustedTenants"] == [] and licences["waiting"] == 0
        assert not (await mallory.state())["signedIn"]
        await clara.sign_out()
