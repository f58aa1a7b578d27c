"""A hand-made audio probe that connects to a running service."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.world import World
from wire.probe import SUBPROTOCOL


class Peer:
    """A client that can send anything to the probes' endpoint."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._id = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._id += 1
        await self.socket.send_json({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        async with asyncio.timeout(10):
            return json.loads(await self.socket.receive_str())

    async def pair(self, code: str) -> dict[str, Any]:
        return await self.call("probe.pair", code=code, machine="laptop", platform="windows", version="1")

    async def is_cut(self) -> int:
        """Wait for the end, and return the service's close code."""
        async with asyncio.timeout(15):
            while True:
                message = await self.socket.receive()
                if message.type is aiohttp.WSMsgType.CLOSE:
                    return int(message.data)
                assert message.type is aiohttp.WSMsgType.TEXT, message


@asynccontextmanager
async def peer(world: World) -> AsyncIterator[Peer]:
    async with world.http.ws_connect(
        f"{world.demo.service_url}/probe/link", protocols=(SUBPROTOCOL,)
    ) as socket:
        yield Peer(socket)


def device_use(program: str, label: str, kind: str = "output", **more: Any) -> dict[str, Any]:
    return {"program": program, "kind": kind, "device": {"label": label}, "active": True, **more}


async def get_pairing_code(anna) -> str:
    return (await anna.call("POST", "audio/pairing")).body["code"]


@asynccontextmanager
async def peer_at(world: World, address: str) -> AsyncIterator[Peer]:
    """Connect from a separate address, so that failures do not count against other tests."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    url = f"{world.demo.service_url}/probe/link"
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.ws_connect(url, protocols=(SUBPROTOCOL,)) as socket,
    ):
        yield Peer(socket)
