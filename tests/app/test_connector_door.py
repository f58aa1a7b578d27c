"""Hostile and clumsy peers at the connectors' door, by real WebSockets."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.world import ANNA, World, eventually
from wire.link import SUBPROTOCOL, Hello, RestState, Status, UciState, sealing_key_bytes
from wire.pbxkey import digest, new_key
from wire.sealing import b64url, public_bytes


class Peer:
    """A connector made by hand."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity = Ed25519PrivateKey.generate()
        self.sealing = b64url(public_bytes(ec.generate_private_key(ec.SECP256R1()).public_key()))
        self.key = new_key()

    def hello(self, nonce: str, **changes: Any) -> Hello:
        status = Status(module_active=True, uci=UciState.ON, rest=RestState.OK, pbx_version="6.7.3")
        hello = Hello(
            pbx_name=self.name,
            identity=b64url(self.identity.public_key().public_bytes_raw()),
            nonce=nonce,
            sealing_key=self.sealing,
            sealing_signature=b64url(self.identity.sign(sealing_key_bytes(self.sealing))),
            key_digest=digest(self.key),
            licence_keys=[],
            connector_version="test",
            status=status,
        )
        return hello.model_copy(update=changes).signed_by(self.identity)


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


async def test_a_new_name_is_welcome(the_world: World) -> None:
    async with connected(the_world) as (socket, nonce):
        answer = await say(socket, Peer("welcome.example.com").hello(nonce))
        assert answer["result"]["pbxId"] and answer["result"]["licenceKeys"] == []


async def test_who_says_nothing_is_cut_after_two_seconds(the_world: World) -> None:
    loop = asyncio.get_running_loop()
    async with connected(the_world) as (socket, _):
        begun = loop.time()
        message = await socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 4408
        assert 1.5 < loop.time() - begun < 4


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        "{}",
        '{"jsonrpc":"2.0","id":1,"method":"link.ping"}',
        '{"jsonrpc":"1.0","id":1,"method":"link.hello","params":{}}',
        '{"jsonrpc":"2.0","id":1,"method":"link.hello","params":{"pbxName":"x"}}',
        "[" * 5000,
    ],
)
async def test_what_is_no_hello_is_refused(the_world: World, text: str) -> None:
    async with connected(the_world) as (socket, _):
        answer = await answer_to(socket, text)
        assert answer["error"]["data"]["code"] == "protocol-error"
        assert (await socket.receive()).data == 4403


async def test_a_signature_over_something_else_is_refused(the_world: World) -> None:
    peer = Peer("signature.example.com")
    async with connected(the_world) as (socket, nonce):
        hello = peer.hello(nonce).model_copy(update={"pbx_name": "pbx.example.com"})
        assert (await say(socket, hello))["error"]["data"]["code"] == "bad-signature"


async def test_a_hello_cannot_be_replayed(the_world: World) -> None:
    peer = Peer("replay.example.com")
    async with connected(the_world) as (_, old), connected(the_world) as (socket, _):
        assert (await say(socket, peer.hello(old)))["error"]["data"]["code"] == "bad-signature"


async def test_knowing_the_pbx_key_does_not_let_anyone_pose_as_the_pbx(world: World) -> None:
    impostor = Peer(world.pbx_name)
    async with connected(world) as (socket, nonce):
        answer = await say(socket, impostor.hello(nonce))
        assert answer["error"]["data"]["code"] == "name-bound-elsewhere"
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    findings = (await world.client(ANNA).state())["connection"]["findings"]
    assert [finding["code"] for finding in findings] == ["name-bound-elsewhere"]


async def test_an_oversized_frame_closes_the_link(the_world: World) -> None:
    async with connected(the_world) as (socket, nonce):
        await say(socket, Peer("oversized.example.com").hello(nonce))
        message = await answer_to(socket, json.dumps({"jsonrpc": "2.0", "method": "x" * (300 * 1024)}))
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 1009


async def test_bad_frames_of_an_open_link_are_answered_and_it_stays(the_world: World) -> None:
    async with connected(the_world) as (socket, nonce):
        await say(socket, Peer("frames.example.com").hello(nonce))
        assert (await answer_to(socket, "no json"))["error"]["code"] == -32700
        assert (await answer_to(socket, '{"jsonrpc":"2.0","id":1}'))["error"]["code"] == -32600
        unknown = await answer_to(socket, '{"jsonrpc":"2.0","id":2,"method":"pbx.explode"}')
        assert (unknown["id"], unknown["error"]["code"]) == (2, -32601)
        misfit = await answer_to(
            socket, '{"jsonrpc":"2.0","id":3,"method":"link.status","params":{"uci":"x"}}'
        )
        assert (misfit["id"], misfit["error"]["code"]) == (3, -32602)
        pong = await answer_to(socket, '{"jsonrpc":"2.0","id":4,"method":"link.ping","params":{}}')
        assert pong == {"jsonrpc": "2.0", "id": 4, "result": {}}


async def test_a_peer_that_sends_only_bad_frames_is_cut(the_world: World) -> None:
    async with connected(the_world) as (socket, nonce):
        await say(socket, Peer("babble.example.com").hello(nonce))
        for _ in range(20):
            last = await answer_to(socket, "babble")
        message = await socket.receive(timeout=5)
        assert last["error"]["code"] == -32700
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 1008


async def test_a_newer_link_of_the_same_identity_replaces_the_older(the_world: World) -> None:
    peer = Peer("twice.example.com")
    async with connected(the_world) as (old, first), connected(the_world) as (new, second):
        await say(old, peer.hello(first))
        await say(new, peer.hello(second))
        closed = await old.receive(timeout=5)
        assert closed.type is aiohttp.WSMsgType.CLOSE and closed.data == 4409
        pong = await answer_to(new, '{"jsonrpc":"2.0","id":9,"method":"link.ping","params":{}}')
        assert pong["id"] == 9


async def test_a_pbx_that_answers_nonsense_is_no_internal_error(the_world: World) -> None:
    peer = Peer("nonsense.example.com")
    async with connected(the_world) as (socket, nonce):
        await say(socket, peer.hello(nonce))
        body = {"pbxName": peer.name, "keyDigest": digest(peer.key)}
        asked = asyncio.create_task(the_world.client().call("POST", "sign-in/challenge", body))
        while (frame := json.loads((await socket.receive(timeout=5)).data))["method"] != "pbx.loginChallenge":
            pass
        await socket.send_json({"jsonrpc": "2.0", "id": frame["id"], "result": {"method": "magic"}})
        answer = await asked
        assert (answer.status, answer.code) == (502, "protocol-error")


async def test_a_link_that_breaks_before_its_answer_is_told_as_unknown(the_world: World) -> None:
    peer = Peer("breaks.example.com")
    async with connected(the_world) as (socket, nonce):
        await say(socket, peer.hello(nonce))
        body = {"pbxName": peer.name, "keyDigest": digest(peer.key)}
        asked = asyncio.create_task(the_world.client().call("POST", "sign-in/challenge", body))
        while json.loads((await socket.receive(timeout=5)).data)["method"] != "pbx.loginChallenge":
            pass
    answer = await asked
    assert (answer.status, answer.code) == (504, "outcome-unknown")


async def test_plain_requests_and_foreign_subprotocols_are_turned_away(the_world: World) -> None:
    url = f"{the_world.demo.service_url}/connector/link"
    async with the_world.http.get(url) as response:
        assert response.status == 426
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await the_world.http.ws_connect(url, protocols=("other.v1",))


async def test_a_busy_link_says_so_at_once(the_world: World) -> None:
    peer = Peer("busy.example.com")
    async with connected(the_world) as (socket, nonce):
        await say(socket, peer.hello(nonce))
        body = {"pbxName": peer.name, "keyDigest": digest(peer.key)}
        client = the_world.client()
        token = await client.token()
        calls = [
            asyncio.create_task(client.call("POST", "sign-in/challenge", body, token)) for _ in range(70)
        ]

        async def refused() -> list[Any]:
            done = [call for call in calls if call.done()]
            return done if len(done) >= 6 else []

        done = await eventually(refused, "the link is full", seconds=5)
        assert {call.result().code for call in done} == {"pbx-busy"}
        await socket.close()
        codes = [call.result().code for call in calls if await asyncio.wait([call])]
        assert codes.count("pbx-busy") == 6 and codes.count("outcome-unknown") == 64
