"""Hostile and clumsy peers at the connectors' door, by real WebSockets."""

import asyncio
import json
import statistics
import time
import uuid
from contextlib import closing, suppress
from typing import Any

import aiohttp
import pytest

from core.hub.opening import STRANGERS_ANSWERED_AFTER
from tests.support.connector_peer import Peer, answer_to, connected, enrolled, other_address, say
from tests.support.tokens import good
from tests.support.world import ANNA, CLARA, World, eventually
from wire.bounds import b64url
from wire.link import (
    Hello,
    UciState,
    fingerprint,
    signed_bytes,
)
from wire.pbxkey import digest, grouped


async def test_a_new_name_is_welcome(the_world: World) -> None:
    async with connected(the_world) as (socket, nonce):
        answer = await say(socket, (await enrolled(the_world, "welcome.example.com")).hello(nonce))
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
    """And what a stranger tries is for administrators alone: users neither see it nor are they woken."""
    impostor = Peer(world.pbx_name)
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    async with connected(world) as (socket, nonce):
        answer = await say(socket, impostor.hello(nonce))
        assert answer["error"]["data"]["code"] == "enrolment-needed"
    identity = fingerprint(impostor.hello("n" * 32).identity)

    async def is_shown() -> bool:
        others = (await clara.call("GET", "connection")).body["others"]
        return identity in [other["identity"] for other in others]

    await eventually(is_shown, "administrators see it")
    for person in (ANNA, CLARA):
        assert (await world.client(person).state())["connection"]["findings"] == []
    assert identity not in json.dumps(await world.client(ANNA).state())


async def answer_at(
    socket: aiohttp.ClientWebSocketResponse, method: str, hello: Hello
) -> tuple[Any, int, float]:
    """What the door says, how it closes, and after how many seconds."""
    begun = time.perf_counter()
    params = hello.model_dump(mode="json", by_alias=True)
    await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    answer = json.loads((await socket.receive()).data)
    took = time.perf_counter() - begun
    return answer, (await socket.receive()).data, took


@pytest.mark.parametrize("method", ["link.hello", "link.check"])
async def test_no_stranger_learns_whether_a_name_is_taken(the_world: World, method: str) -> None:
    """The same words at the same moment for a name that is free, waits for its code, or is somebody else's."""
    await the_world.enrolment_code("waits.example.com")
    names = [the_world.pbx_name, "free.example.com", "waits.example.com"]
    took: dict[str, list[float]] = {name: [] for name in names}
    said = set()
    address = "127.0.0.10" if method == "link.hello" else "127.0.0.11"
    for _ in range(6):
        for name in names:
            for code in (None, "0" * 32):
                async with other_address(the_world, address) as knock, knock.connected() as (socket, nonce):
                    peer = Peer(name)
                    peer.enrolment_code = code
                    answer, closed, seconds = await answer_at(socket, method, peer.hello(nonce))
                    said.add((json.dumps(answer), closed))
                    took[name].append(seconds)
    assert len(said) == 1, said
    assert "enrolment-needed" in said.pop()[0]
    # The time of the answer is set before any lookup, so no name is answered earlier.
    assert min(min(seconds) for seconds in took.values()) >= STRANGERS_ANSWERED_AFTER * 0.95
    medians = [statistics.median(seconds) for seconds in took.values()]
    assert max(medians) - min(medians) < 0.1, took


async def test_a_code_opens_exactly_its_name_once(the_world: World) -> None:
    peer, thief = await enrolled(the_world, "code.example.com"), Peer("other-code.example.com")
    thief.enrolment_code = peer.enrolment_code
    async with connected(the_world) as (socket, nonce):
        assert (await say(socket, thief.hello(nonce)))["error"]["data"]["code"] == "enrolment-needed"
    async with connected(the_world) as (socket, nonce):
        assert "result" in await say(socket, peer.hello(nonce))
    late = Peer(peer.name)
    late.enrolment_code = peer.enrolment_code
    async with connected(the_world) as (socket, nonce):
        assert (await say(socket, late.hello(nonce)))["error"]["data"]["code"] == "enrolment-needed"
    async with connected(the_world) as (socket, nonce):  # which it may keep in its configuration
        assert "result" in await say(socket, peer.hello(nonce))


async def test_wrong_codes_are_bounded_and_do_not_lock_the_owner_out(the_world: World) -> None:
    peer = await enrolled(the_world, "guessed.example.com")
    async with connected(the_world) as (socket, nonce):
        assert "result" in await say(socket, peer.hello(nonce))
    fresh = await enrolled(the_world, "guessed-too.example.com")
    code, fresh.enrolment_code = fresh.enrolment_code, "f" * 32
    async with other_address(the_world, "127.0.0.12") as knock:
        for _ in range(12):
            assert (await knock(fresh))["error"]["data"]["code"] == "enrolment-needed"
        fresh.enrolment_code = code  # too late from there: nothing is compared any more
        assert (await knock(fresh))["error"]["data"]["code"] == "enrolment-needed"
    async with connected(the_world) as (socket, nonce):
        assert "result" in await say(socket, peer.hello(nonce))
    async with connected(the_world) as (socket, nonce):
        assert "result" in await say(socket, fresh.hello(nonce))


@pytest.mark.parametrize(
    "name",
    ["my_pbx", "pbx.example.com:443", "1.2.3", "0x7f.1", "-pbx.example.com", "xn--e28h.example.com"],
)
async def test_a_name_that_is_no_host_name_is_refused_with_its_own_code(the_world: World, name: str) -> None:
    async with connected(the_world) as (socket, nonce):
        answer = await say(socket, Peer(name).hello(nonce))
        assert answer["error"]["data"]["code"] == "pbx-name-invalid"


@pytest.mark.parametrize(
    "name",
    [
        "<img>",
        "[click](http:evil)",
        "a b",
        "pbx%2eexample.com",
        "anna@pbx.example.com",
        "\U0001f600.example.com",
    ],
)
async def test_what_nobody_could_ever_claim_is_no_hello(the_world: World, name: str) -> None:
    async with connected(the_world) as (socket, nonce):
        said = Peer("x.example.com").hello(nonce).model_copy(update={"pbx_name": name})
        assert (await say(socket, said))["error"]["data"]["code"] == "protocol-error"


async def test_a_look_alike_shows_as_what_it_is(the_world: World) -> None:
    """An older connector sends letters; its signature covers them as it sent them."""
    letters = "st\N{CYRILLIC SMALL LETTER A}rface.example.com"
    peer = await enrolled(the_world, "xn--strface-3fg.example.com")
    async with connected(the_world) as (socket, nonce):
        params = peer.hello(nonce).model_dump(mode="json", by_alias=True) | {"pbxName": letters}
        params["signature"] = b64url(peer.identity.sign(signed_bytes(params)))
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "link.hello", "params": params})
        assert "result" in json.loads((await socket.receive()).data)

    async def is_down() -> Any:
        answer = await the_world.client().prepare(letters, grouped(peer.key))
        return answer if answer.code == "link-down" else None

    answer = await eventually(is_down, "the right key finds the name that it was typed as")
    assert peer.name in answer.body["detail"]


async def test_every_opening_that_fails_counts(the_world: World) -> None:
    """Whatever way: no frame at all, no JSON, a time that no calendar has, a signature over something else."""
    async with other_address(the_world, "127.0.0.13") as knock:
        outcomes: list[Any] = []
        for _ in range(80):
            hello = Peer("x.example.com").hello("n" * 40)
            outcomes.append(await knock(hello))
            params = hello.model_dump(mode="json", by_alias=True)
            overflow = params | {"previousKeyUntil": "0001-01-01T00:00:00+14:00"}
            outcomes.append(await knock(overflow))
            outcomes.append(await knock("{" * 100))
            if 1013 in outcomes:
                break
        assert outcomes[-1] == 1013 or 1013 in outcomes[-3:]
        assert len(outcomes) < 100
    assert '"handshake failed"' not in the_world.log()


async def test_a_link_that_floods_is_cut_and_slows_nobody(world: World) -> None:
    """Thirty thousand changes of status in one go: a few are written, and the link is closed with its code."""
    peer = await enrolled(world, "flood.example.com")
    clara, anna = world.client(CLARA), world.client(ANNA)
    await anna.sign_in(world.pbx_name, world.key)
    async with other_address(world, "127.0.0.14") as knock:
        socket = await knock.open(peer)
        sent, closed = 0, None
        base = peer.hello("n" * 32).status
        with suppress(ConnectionError, aiohttp.ClientError):
            for number in range(30_000):
                status = base.model_copy(update={"uci": UciState.ON if number % 2 else UciState.OFF})
                params = status.model_dump(mode="json", by_alias=True)
                await socket.send_json({"jsonrpc": "2.0", "method": "link.status", "params": params})
                sent += 1
        while closed is None:
            message = await socket.receive(timeout=10)
            if message.type is not aiohttp.WSMsgType.TEXT:
                closed = message.data if message.type is aiohttp.WSMsgType.CLOSE else 1006
    assert closed in (4429, 1006)
    with closing(world.database()) as database:
        (rows,) = database.execute(
            "SELECT count(*) FROM link_event JOIN pbx ON pbx.id = pbx_id WHERE name = ?", (peer.name,)
        ).fetchone()
    assert rows <= 25
    assert (await anna.state())["signedIn"] and (await clara.prepare(world.pbx_name, world.key)).status == 200


async def test_calls_past_the_budget_are_answered_busy(the_world: World) -> None:
    peer = await enrolled(the_world, "chatty.example.com")
    async with other_address(the_world, "127.0.0.15") as knock:
        socket = await knock.open(peer)
        for number in range(250):
            await socket.send_json({"jsonrpc": "2.0", "id": number, "method": "link.ping", "params": {}})
        answers = [json.loads((await socket.receive(timeout=5)).data) for _ in range(250)]
        codes = [answer.get("error", {}).get("data", {}).get("code") for answer in answers]
        assert set(codes) == {None, "pbx-busy"}


async def test_a_flood_of_websocket_pings_is_cut(the_world: World) -> None:
    peer = await enrolled(the_world, "pings.example.com")
    async with other_address(the_world, "127.0.0.16") as knock:
        socket = await knock.open(peer)
        with suppress(ConnectionError, aiohttp.ClientError):
            for _ in range(200):
                await socket.ping()
        message = await socket.receive(timeout=5)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_one_connector_cannot_open_links_without_end(the_world: World) -> None:
    peer = await enrolled(the_world, "restless.example.com")
    async with other_address(the_world, "127.0.0.17") as knock:
        outcomes = [await knock(peer) for _ in range(40)]
        assert (
            outcomes[-1] == 1013 and sum("result" in one for one in outcomes if isinstance(one, dict)) >= 30
        )


async def test_an_oversized_frame_closes_the_link(the_world: World) -> None:
    async with connected(the_world) as (socket, nonce):
        await say(socket, (await enrolled(the_world, "oversized.example.com")).hello(nonce))
        message = await answer_to(socket, json.dumps({"jsonrpc": "2.0", "method": "x" * (300 * 1024)}))
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 1009


async def test_bad_frames_of_an_open_link_are_answered_and_it_stays(the_world: World) -> None:
    async with connected(the_world) as (socket, nonce):
        await say(socket, (await enrolled(the_world, "frames.example.com")).hello(nonce))
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
        await say(socket, (await enrolled(the_world, "babble.example.com")).hello(nonce))
        for _ in range(20):
            last = await answer_to(socket, "babble")
        message = await socket.receive(timeout=5)
        assert last["error"]["code"] == -32700
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 1008


async def test_a_newer_link_of_the_same_identity_replaces_the_older(the_world: World) -> None:
    peer = await enrolled(the_world, "twice.example.com")
    async with connected(the_world) as (old, first), connected(the_world) as (new, second):
        await say(old, peer.hello(first))
        await say(new, peer.hello(second))
        closed = await old.receive(timeout=5)
        assert closed.type is aiohttp.WSMsgType.CLOSE and closed.data == 4409
        pong = await answer_to(new, '{"jsonrpc":"2.0","id":9,"method":"link.ping","params":{}}')
        assert pong["id"] == 9


async def test_a_pbx_that_answers_nonsense_is_no_internal_error(the_world: World) -> None:
    peer = await enrolled(the_world, "nonsense.example.com")
    async with connected(the_world) as (socket, nonce):
        await say(socket, peer.hello(nonce))
        body = {"pbxName": peer.name, "keyDigest": digest(peer.key)}
        asked = asyncio.create_task(the_world.client().call("POST", "sign-in/challenge", body))
        while (frame := json.loads((await socket.receive(timeout=5)).data))["method"] != "pbx.loginChallenge":
            pass
        await socket.send_json({"jsonrpc": "2.0", "id": frame["id"], "result": {"method": "magic"}})
        answer = await asked
        assert (answer.status, answer.code) == (502, "protocol-error")


async def test_a_link_that_breaks_before_its_answer_is_reported_as_unknown(the_world: World) -> None:
    peer = await enrolled(the_world, "breaks.example.com")
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


async def test_a_busy_link_reports_it_at_once(the_world: World) -> None:
    peer = await enrolled(the_world, "busy.example.com")
    async with connected(the_world) as (socket, nonce):
        await say(socket, peer.hello(nonce))
        body = {"pbxName": peer.name, "keyDigest": digest(peer.key)}
        client = the_world.client()
        # Seventy colleagues: one person alone meets a budget of their own before.
        tokens = [await the_world.sign({**good(the_world), "oid": str(uuid.uuid4())}) for _ in range(70)]
        calls = [
            asyncio.create_task(client.call("POST", "sign-in/challenge", body, token)) for token in tokens
        ]

        async def refused() -> list[Any]:
            done = [call for call in calls if call.done()]
            return done if len(done) >= 6 else []

        done = await eventually(refused, "the link is full", seconds=5)
        assert {call.result().code for call in done} == {"pbx-busy"}
        await socket.close()
        codes = [call.result().code for call in calls if await asyncio.wait([call])]
        assert codes.count("pbx-busy") == 6 and codes.count("outcome-unknown") == 64
