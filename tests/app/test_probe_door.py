"""The door for audio probes: pairing, reports, hostile frames."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.support.probe_peer import device_use, get_pairing_code, peer, peer_at
from tests.support.world import ANNA, World, eventually
from wire.probe import MAX_FRAME_BYTES


@pytest.fixture
async def anna(world: World):
    client = world.client(ANNA)
    await client.sign_in(world.pbx_name, world.key)
    await client.call("DELETE", "audio")
    return client


async def finding(anna) -> dict[str, Any]:
    return (await anna.call("GET", "audio")).body


async def test_a_probe_pairs_reports_and_comes_back_with_its_token(world: World, anna) -> None:
    async with peer(world) as probe:
        paired = await probe.pair(await get_pairing_code(anna))
        assert paired["result"]["person"] == "Anna Berger"
        reported = await probe.call(
            "probe.report",
            uses=[device_use("teams", "Jabra", exclusive=True), device_use("softphone", "Headset (Jabra)")],
        )
        assert reported["result"] == {}
        seen = await finding(anna)
        assert [probe["connected"] for probe in seen["probes"]] == [True]
        assert all(use["active"] for use in seen["uses"])
        assert {use["program"]: use["exclusive"] for use in seen["uses"]} == {
            "teams": True,
            "softphone": False,
        }
    token = paired["result"]["token"]

    async def is_gone() -> bool:
        seen = await finding(anna)
        is_over = not any(use["active"] or use["exclusive"] for use in seen["uses"])
        return not seen["probes"][0]["connected"] and is_over

    await eventually(is_gone, "what was seen is seen no longer")
    assert len((await finding(anna))["uses"]) == 2
    async with peer(world) as again:
        assert (await again.call("probe.hello", token=token, version="2"))["result"] == {
            "person": "Anna Berger"
        }
        # One program less is seen; what it used is remembered.
        await again.call("probe.report", uses=[device_use("teams", "Jabra")])
        seen = await finding(anna)
        assert {use["program"]: use["active"] for use in seen["uses"]} == {
            "teams": True,
            "softphone": False,
        }
        assert seen["probes"][0]["version"] == "2"


async def test_an_unknown_code_and_token_are_refused(world: World) -> None:
    async with peer(world) as probe:
        assert (await probe.pair("AAAA-BBBB"))["error"]["data"]["code"] == "pairing-code-unknown"
        refused = await probe.call("probe.hello", token="x" * 43, version="1")
        assert refused["error"]["data"]["code"] == "probe-unpaired"
        refused = await probe.call("probe.report", uses=[])
        assert refused["error"]["data"]["code"] == "probe-unpaired"


async def test_a_probe_that_is_removed_is_reported_and_its_token_is_worth_nothing(world: World, anna) -> None:
    async with peer(world) as probe:
        token = (await probe.pair(await get_pairing_code(anna)))["result"]["token"]
        probe_id = (await finding(anna))["probes"][0]["probeId"]
        assert (await anna.call("POST", "audio/probes/remove", {"probeId": probe_id})).body["probes"] == []
        assert json.loads(await probe.socket.receive_str())["method"] == "probe.unpaired"
        await probe.is_cut()
    async with peer(world) as again:
        refused = await again.call("probe.hello", token=token, version="1")
        assert refused["error"]["data"]["code"] == "probe-unpaired"


async def test_deleting_everything_ends_the_probe(world: World, anna) -> None:
    async with peer(world) as probe:
        await probe.pair(await get_pairing_code(anna))
        assert (await anna.call("DELETE", "audio")).body["probes"] == []
        assert json.loads(await probe.socket.receive_str())["method"] == "probe.unpaired"


async def test_a_newer_connection_replaces_the_older(world: World, anna) -> None:
    async with peer(world) as first, peer(world) as second:
        token = (await first.pair(await get_pairing_code(anna)))["result"]["token"]
        await second.call("probe.hello", token=token, version="1")
        assert await first.is_cut() == 4409
        await second.call("probe.report", uses=[device_use("teams", "Jabra")])
        assert (await finding(anna))["probes"][0]["connected"]


@pytest.mark.parametrize(
    "params",
    [
        {"uses": [device_use("zoom", "Jabra")]},
        {"uses": [device_use("teams", "Jabra") | {"active": "yes"}]},
        {"uses": [device_use("teams", "Jabra")] * 40},
        {"uses": [device_use("teams", "Jabra", more=1)]},
        {"uses": "all"},
        {},
    ],
)
async def test_a_bad_report_is_refused_and_the_last_good_one_stays(
    world: World, anna, params: dict[str, Any]
) -> None:
    async with peer(world) as probe:
        await probe.pair(await get_pairing_code(anna))
        await probe.call("probe.report", uses=[device_use("teams", "Jabra")])
        refused = await probe.call("probe.report", **params)
        assert refused["error"]["data"]["code"] == "invalid-request"
        assert [use["label"] for use in (await finding(anna))["uses"]] == ["Jabra"]


@pytest.mark.parametrize("frame", ["", "{", "[]", "null", '{"jsonrpc":"1.0"}', '{"jsonrpc":"2.0","id":1}'])
async def test_who_sends_nonsense_is_cut(world: World, frame: str) -> None:
    async with peer(world) as probe:
        for _ in range(6):
            try:
                await probe.socket.send_str(frame)
            except ConnectionError:
                break
        assert await probe.is_cut() == 1008


async def test_a_frame_that_is_too_large_ends_the_connection(world: World) -> None:
    async with peer(world) as probe:
        await probe.socket.send_str("x" * (MAX_FRAME_BYTES + 1))
        assert await probe.is_cut() == 1009


async def test_who_does_not_pair_is_cut_within_seconds(world: World) -> None:
    async with peer(world) as probe:
        assert await probe.is_cut() == 4408


async def test_other_visitors_get_a_word(world: World) -> None:
    url = f"{world.demo.service_url}/probe/link"
    async with world.http.get(url) as answer:
        assert answer.status == 426
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await world.http.ws_connect(url, protocols=("pbx-link.v1",))
    assert refused.value.status == 400


async def test_guessing_codes_is_throttled(world: World, anna) -> None:
    code = await get_pairing_code(anna)
    try:
        async with peer(world) as probe:
            codes = [(await probe.pair(f"AAAA-AA{n:02}"))["error"]["data"]["code"] for n in range(25)]
            assert codes[-1] == "throttled"
            # Even the right one, for the rest of the minute.
            assert (await probe.pair(code))["error"]["data"]["code"] == "throttled"
    finally:
        await world.forget_throttles()


async def test_codes_that_are_tried_at_once_count_before_they_are_looked_up(the_world: World) -> None:
    async def one() -> str:
        async with peer_at(the_world, "127.0.0.21") as probe:
            return str((await probe.pair("AAAA-BBBB"))["error"]["data"]["code"])

    codes = await asyncio.gather(*(one() for _ in range(60)))
    assert set(codes) == {"pairing-code-unknown", "throttled"}
    assert codes.count("pairing-code-unknown") <= 25


async def test_codes_and_tokens_that_are_right_do_not_count(world: World, anna) -> None:
    async with peer_at(world, "127.0.0.22") as probe:
        token = (await probe.pair(await get_pairing_code(anna)))["result"]["token"]
        for _ in range(30):
            assert "result" in await probe.call("probe.hello", token=token, version="1")


async def test_a_probe_that_floods_is_cut(world: World, anna) -> None:
    async with peer_at(world, "127.0.0.23") as probe:
        assert "result" in await probe.pair(await get_pairing_code(anna))
        with suppress(ConnectionError, aiohttp.ClientError):
            for _ in range(1000):
                await probe.socket.send_json({"jsonrpc": "2.0", "method": "probe.ping", "params": {}})
        async with asyncio.timeout(15):
            message = await probe.socket.receive()
            while message.type is aiohttp.WSMsgType.TEXT:
                message = await probe.socket.receive()
        assert message.type is not aiohttp.WSMsgType.CLOSE or message.data == 4429
