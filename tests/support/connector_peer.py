"""A connector made by hand, at the connectors' door."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.world import World
from wire.bounds import b64url
from wire.link import (
    SUBPROTOCOL,
    Hello,
    RestState,
    Status,
    UciState,
    sealing_key_bytes,
)
from wire.pbxkey import digest, new_key
from wire.sealing import public_bytes

HEALTHY = Status(module_active=True, uci=UciState.ON, rest=RestState.OK, pbx_version="6.7.3")
"""The status of a PBX where everything works."""


class Peer:
    """A connector made by hand."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity = Ed25519PrivateKey.generate()
        self.sealing = b64url(public_bytes(ec.generate_private_key(ec.SECP256R1()).public_key()))
        self.key = new_key()
        self.enrolment_code: str | None = None

    def hello(self, nonce: str, **changes: Any) -> Hello:
        hello = Hello(
            pbx_name=self.name,
            identity=b64url(self.identity.public_key().public_bytes_raw()),
            nonce=nonce,
            sealing_key=self.sealing,
            sealing_signature=b64url(self.identity.sign(sealing_key_bytes(self.sealing))),
            key_digest=digest(self.key),
            licence_keys=[],
            connector_version="test",
            status=HEALTHY,
            enrolment_code=self.enrolment_code,
        )
        return hello.model_copy(update=changes).signed_by(self.identity)


async def enrolled(world: World, name: str) -> Peer:
    """Return a peer with an enrolment code for its name."""
    peer = Peer(name)
    peer.enrolment_code = await world.enrolment_code(name)
    return peer


@asynccontextmanager
async def connected(world: World):
    url = f"{world.demo.service_url}/connector/link"
    async with world.http.ws_connect(url, protocols=(SUBPROTOCOL,)) as socket:
        challenge = json.loads((await socket.receive()).data)
        assert challenge["method"] == "link.challenge"
        yield socket, challenge["params"]["nonce"]


async def say(socket: aiohttp.ClientWebSocketResponse, hello: Hello) -> Any:
    params = hello.model_dump(mode="json", by_alias=True)
    await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "link.hello", "params": params})
    return json.loads((await socket.receive()).data)


async def answer_to(socket: aiohttp.ClientWebSocketResponse, text: str) -> Any:
    await socket.send_str(text)
    while True:
        message = await socket.receive(timeout=5)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return message
        frame = json.loads(message.data)
        if "method" not in frame:
            return frame


class Knock:
    """Opens connections from an address of its own, one after the other."""

    def __init__(self, world: World, http: aiohttp.ClientSession) -> None:
        self._url = f"{world.demo.service_url}/connector/link"
        self._http = http

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, str]]:
        async with self._http.ws_connect(self._url, protocols=(SUBPROTOCOL,)) as socket:
            yield socket, json.loads((await socket.receive()).data)["params"]["nonce"]

    async def open(self, peer: Peer) -> aiohttp.ClientWebSocketResponse:
        socket = await self._http.ws_connect(self._url, protocols=(SUBPROTOCOL,))
        nonce = json.loads((await socket.receive()).data)["params"]["nonce"]
        assert "result" in await say(socket, peer.hello(nonce))
        return socket

    async def __call__(self, what: Peer | Hello | dict[str, Any] | str) -> Any:
        """The answer to this opening, or the code with which it was closed."""
        async with self._http.ws_connect(self._url, protocols=(SUBPROTOCOL,)) as socket:
            first = await socket.receive()
            if first.type is not aiohttp.WSMsgType.TEXT:
                return first.data
            if isinstance(what, Peer):
                what = what.hello(json.loads(first.data)["params"]["nonce"])
            if isinstance(what, Hello):
                what = what.model_dump(mode="json", by_alias=True)
            if isinstance(what, dict):
                what = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "link.hello", "params": what})
            await socket.send_str(what)
            answer = await socket.receive()
            return json.loads(answer.data) if answer.type is aiohttp.WSMsgType.TEXT else answer.data


@asynccontextmanager
async def other_address(world: World, address: str) -> AsyncIterator[Knock]:
    """Use a separate address, so that failures do not count against other tests."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Knock(world, http)
