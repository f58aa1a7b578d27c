"""Real faults on the line between connector and service, strangers at the door, and rubbish in the frames."""

import asyncio
import itertools
import json
import os
import random
import statistics
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import psutil
import pytest

from tests.support.connector_peer import Peer, connected, enrolled, other_address, say
from tests.support.relay import Fault, Relay
from tests.support.tokens import good
from tests.support.world import ANNA, CLARA, World, eventually
from wire.pbxkey import digest, grouped, new_key, parse_key

FRAMES = int(os.environ.get("PBX_TEAMS_FUZZ_FRAMES", "10000"))
HANDSHAKES = int(os.environ.get("PBX_TEAMS_FUZZ_HANDSHAKES", "500"))
OPENERS = 1000


@asynccontextmanager
async def through_a_relay(world: World) -> AsyncIterator[Relay]:
    relay = await Relay(world.demo.service_port).start()
    await world.demo.stop_part("connector")
    await world.demo.start_connector(service_url=relay.url)
    await world.connected()
    try:
        yield relay
    finally:
        relay.fault = Fault.NONE
        await relay.stop()
        await world.demo.stop_part("connector")
        await world.demo.start_connector()
        await world.connected()


def service_process(world: World) -> psutil.Process:
    (process,) = [process for name, process in world.demo.processes if name == "service"]
    return psutil.Process(process.pid)


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.TRUNCATE, Fault.CORRUPT])
async def test_a_connector_comes_back_through_a_bad_line(world: World, fault: Fault) -> None:
    async with through_a_relay(world) as relay:
        await world.client().sign_in(world.pbx_name, world.key)
        relay.fault = fault
        if fault is not Fault.CORRUPT:
            await relay.cut()

        async def is_told() -> bool:
            answer = await world.client(CLARA).prepare(world.pbx_name, world.key)
            assert answer.status != 500, answer
            if fault is Fault.CORRUPT:  # a frame that was turned over is answered by nobody, or cuts the line
                return answer.code in ("outcome-unknown", "link-down", "protocol-error")
            return answer.code == "link-down"

        await eventually(is_told, "people are told that there is no connection", seconds=40)
        assert (await world.client().state())["signedIn"]  # a link that drops frees nothing
        relay.fault = Fault.NONE
        await relay.cut()
        await world.connected()


async def test_a_slow_line_is_only_slow(world: World) -> None:
    async with through_a_relay(world) as relay:
        relay.delay = 0.3
        begun = time.monotonic()
        assert (await world.client().prepare(world.pbx_name, world.key)).status == 200
        assert time.monotonic() - begun >= 0.6


async def test_a_half_open_link_is_found_within_45_seconds(world: World) -> None:
    async with through_a_relay(world) as relay:
        closed, lost = '"reason": "silent"', "no link to the service"
        before = world.log().count(closed), world.log("connector").count(lost)
        relay.fault = Fault.SWALLOW
        begun = time.monotonic()

        async def is_found() -> bool:
            return world.log().count(closed) > before[0]

        await eventually(is_found, "the service finds it", seconds=45)
        print(f"\nhalf-open: the service found it after {time.monotonic() - begun:.0f} s")
        assert (await world.client().prepare(world.pbx_name, world.key)).code == "link-down"

        async def is_lost() -> bool:
            return world.log("connector").count(lost) > before[1]

        await eventually(is_lost, "the connector finds it", seconds=45 - (time.monotonic() - begun))


async def test_ten_thousand_frames_of_rubbish(the_world: World) -> None:
    """The frames mix valid ones with noise. Each is answered or its link is cut, and another link continues to
    work."""
    rng = random.Random(20261125)
    process, throwers = service_process(the_world), await several(the_world, 1 + FRAMES // 500)
    await throw_frames(
        the_world, throwers, rng, min(FRAMES, 2000)
    )  # what the first ones build up is not growth
    before = process.memory_info().rss
    await throw_frames(the_world, throwers, rng, FRAMES)
    grown = process.memory_info().rss / before - 1
    print(f"\n{FRAMES} frames of rubbish: memory grew by {grown:.1%}")
    assert grown < 0.05
    assert "unexpected error" not in the_world.log() and '"method failed"' not in the_world.log()
    assert (await the_world.client(CLARA).prepare(the_world.pbx_name, the_world.key)).status == 200


async def several(world: World, count: int) -> list[tuple[Peer, str]]:
    """Connectors with an address each: one that goes on like this is soon let in no more."""
    return [
        (await enrolled(world, f"rubbish-{number}.example.com"), f"127.0.1.{1 + number}")
        for number in range(count)
    ]


async def throw_frames(
    world: World, throwers: list[tuple[Peer, str]], rng: random.Random, count: int
) -> None:
    left = count
    for peer, address in itertools.cycle(throwers):
        async with other_address(world, address) as knock:
            socket = await knock.open(peer)
            for _ in range(min(left, 30)):  # a link is cut after twenty bad ones
                left -= 1
                try:
                    await socket.send_str(rubbish(rng))
                except (ConnectionError, aiohttp.ClientError):
                    break
                if socket.closed:
                    break
            # Either it was cut, or it works on: a good call among them all is answered.
            with suppress(ConnectionError, aiohttp.ClientError):
                await socket.send_str('{"jsonrpc":"2.0","id":"good","method":"link.ping","params":{}}')
            while True:
                message = await asyncio.wait_for(socket.receive(), 10)
                if message.type is not aiohttp.WSMsgType.TEXT or json.loads(message.data).get("id") == "good":
                    break
        if left <= 0:
            return


def rubbish(rng: random.Random) -> str:
    methods = [
        "link.status",
        "link.ping",
        "link.hello",
        "link.usersChanged",
        "link.callEndedAtOnce",
        "pbx.login",
        "x" * 120,
    ]
    values: list[Any] = [
        None,
        True,
        -1,
        2**70,
        1e308,
        "",
        "\u0000",
        "ä" * 50,
        [],
        {},
        [[[[]]]],
        {"users": [{}] * 3},
    ]
    frame: dict[str, Any] = {
        "jsonrpc": rng.choice(["2.0", "2.0", "1.0", 2]),
        "id": rng.choice([rng.randrange(200), "x", None, -1, 2**80]),
    }
    for name in ("method", "params", "result", "error", "extra"):
        if rng.random() < 0.4:
            frame[name] = rng.choice(methods) if name == "method" else rng.choice(values)
    text = json.dumps(frame)
    kind = rng.random()
    if kind < 0.2:
        position = rng.randrange(len(text))
        return text[:position] + rng.choice(['"', "{", "\\", "\u2028", "0" * 300]) + text[position + 1 :]
    if kind < 0.3:
        return text[: rng.randrange(len(text))]
    if kind < 0.35:
        return "[" * rng.randrange(5000)
    return text


async def test_bad_handshakes_are_refused_and_throttled_by_address(the_world: World) -> None:
    """They come from an address of their own: good connectors at others are not touched."""
    rng = random.Random(5)
    url = f"{the_world.demo.service_url}/connector/link"
    outcomes: dict[Any, int] = {}
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.9", 0), limit=50)
    async with aiohttp.ClientSession(connector=connector) as http:

        async def knock(number: int) -> None:
            async with http.ws_connect(url, protocols=("pbx-link.v1",)) as socket:
                first = await socket.receive()
                if first.type is aiohttp.WSMsgType.TEXT:
                    nonce = json.loads(first.data)["params"]["nonce"]
                    hello = Peer(f"bad-{number}.example.com").hello(nonce)
                    broken = hello.model_copy(update={"pbx_name": "other.example.com"}).model_dump_json(
                        by_alias=True
                    )
                    position = rng.randrange(len(broken))
                    text = f'{{"jsonrpc":"2.0","id":1,"method":"link.hello","params":{broken}}}'
                    await socket.send_str(text if number % 2 else text[:position])
                    answer = await socket.receive()
                    assert answer.type is aiohttp.WSMsgType.TEXT, answer
                    outcome = json.loads(answer.data)["error"]["data"]["code"]
                else:
                    outcome = first.data
                outcomes[outcome] = outcomes.get(outcome, 0) + 1

        begun = time.monotonic()
        for start in range(0, HANDSHAKES, 50):
            await asyncio.gather(*(knock(number) for number in range(start, start + 50)))
    assert set(outcomes) == {"bad-signature", "protocol-error", 1013}, outcomes
    minutes = 1 + (time.monotonic() - begun) // 60
    assert (
        outcomes[1013] >= HANDSHAKES - minutes * 180
    )  # after sixty failures a minute nothing more is looked at
    async with connected(the_world) as (socket, nonce):  # from another address
        assert "result" in await say(socket, (await enrolled(the_world, "good.example.com")).hello(nonce))


async def test_a_thousand_slow_openers_do_not_slow_good_callers(world: World) -> None:
    alone = await p99(world)
    port = world.demo.service_port
    begun = time.monotonic()
    slow = await asyncio.gather(*(dribble(port) for _ in range(OPENERS)))
    crowded = await p99(world)
    ends = [await asyncio.wait_for(closed(reader), 15) - begun for reader, _ in slow]
    for _, writer in slow:
        writer.close()
    print(
        f"\np99 alone {alone * 1000:.0f} ms, beside {OPENERS} slow openers {crowded * 1000:.0f} ms; all cut after {max(ends):.1f} s"
    )
    assert max(ends) < 10
    assert crowded < 2 * alone + 0.02


async def dribble(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /connector/link HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    return reader, writer


async def closed(reader: asyncio.StreamReader) -> float:
    try:
        while await reader.read(1024):
            pass
    except ConnectionError:
        pass
    return time.monotonic()


async def p99(world: World, count: int = 150) -> float:
    client = world.client(ANNA)
    token = await client.token()
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        await client.call("GET", "state", token=token)
        took.append(time.perf_counter() - begun)
    return statistics.quantiles(took, n=100)[98]


async def test_an_unknown_name_and_a_wrong_key_are_indistinguishable_by_time(world: World) -> None:
    """Neither by status nor by text nor by the clock: the distributions of many tries of both lie on each other."""
    await world.forget_throttles()
    url = f"{world.demo.service_url}/api/v1/sign-in/challenge"
    wrong_key = digest(parse_key(grouped(new_key())))
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    names = {"known": world.pbx_name, "unknown": "pbx.unknown.example"}
    bodies = set()
    # Below every throttle, the tenant's hundred a minute too: four people at each of three addresses, eight tries each.
    for address in ("127.0.0.21", "127.0.0.22", "127.0.0.23"):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(address, 0))) as http:
            for _person in range(4):
                token = await world.sign({**good(world), "oid": str(uuid.uuid4())})
                headers = {"Authorization": f"Bearer {token}"}
                for turn in range(8):
                    kind = ("known", "unknown")[turn % 2]
                    body = {"pbxName": names[kind], "keyDigest": wrong_key}
                    begun = time.perf_counter()
                    async with http.post(url, json=body, headers=headers) as answer:
                        told = await answer.json()
                    took[kind].append(time.perf_counter() - begun)
                    bodies.add((answer.status, told["code"], told["title"], told["cure"]))
    await world.forget_throttles()
    assert len(bodies) == 1 and next(iter(bodies))[:2] == (403, "wrong-key")
    known, unknown = took["known"], took["unknown"]
    # The share of pairs in which the first is slower: 0.5 if they cannot be distinguished (Mann-Whitney).
    pairs = [(a > b) + 0.5 * (a == b) for a in known for b in unknown]
    share = sum(pairs) / len(pairs)
    medians = statistics.median(known) * 1e6, statistics.median(unknown) * 1e6
    print(f"\nno oracle: {share:.2f} of pairs slower; medians {medians[0]:.0f} and {medians[1]:.0f} µs")
    assert 0.3 < share < 0.7
