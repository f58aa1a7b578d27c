"""A connector with a real link, whose PBX gives the answers that the test sets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from tests.support.connector_peer import Peer, connected, say
from tests.support.tab_client import Answer, TabClient
from tests.support.world import World
from wire.pbxkey import digest


def pbx_user(number: int, name: str, **changes: Any) -> dict[str, Any]:
    """Return a user as the connector reports one."""
    return {
        "userId": number,
        "login": str(number),
        "displayName": name,
        "email": "",
        "isAdministrator": False,
        "hasLicencePermission": False,
        "groupIds": [],
    } | changes


MALLORY: Final = pbx_user(1, "Mallory", isAdministrator=True, hasLicencePermission=True)
HOLDER: Final = pbx_user(3, "Holder")
WAITER: Final = pbx_user(4, "Waiter")
LATE: Final = pbx_user(5, "Late", hasLicencePermission=True)


class ScriptedPbx:
    """Answers what the service asks of the PBX. `logs_in` is the user whom each login proves."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.users = {one["userId"]: one for one in (MALLORY, HOLDER, WAITER, LATE)}
        self.logs_in: dict[str, Any] = MALLORY
        self.answers = asyncio.Event()
        """While it is cleared, logins are requested and not answered."""
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
async def scripted_pbx(world: World, peer: Peer, **hello: Any) -> AsyncIterator[ScriptedPbx]:
    """Connect a connector made by hand, and answer for its PBX until the end of the block."""
    async with connected(world) as (socket, nonce):
        answer = await say(socket, peer.hello(nonce, **hello))
        assert "result" in answer, answer
        pbx = ScriptedPbx(socket)
        serving = asyncio.create_task(pbx.serve())
        try:
            yield pbx
        finally:
            pbx.answers.set()
            await socket.close()
            await serving


async def sign_in_at(client: TabClient, peer: Peer) -> Answer:
    """Sign in at this connector's PBX; the password is not checked."""
    proof = {"method": "challenge", "nonce": "n" * 32, "secret": "1001:" + "0" * 128}
    return await client.call(
        "POST", "sign-in", {"pbxName": peer.name, "keyDigest": digest(peer.key), "proof": proof}
    )
