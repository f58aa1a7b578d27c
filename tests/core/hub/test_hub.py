"""The hub behind real WebSockets, with heartbeats short enough to wait for."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app import websocket
from app.connector_door import serve_connector
from core.diagnosis.codes import Code
from core.hub.admission import NEW_NAMES
from core.hub.bus import Bus
from core.hub.hub import CHANGES, Hub, PbxRefusedError
from core.hub.plane import NoPlane
from core.hub.registry import Registry
from core.store.database import Database, upgrade_async
from core.store.timestamps import now
from core.store.transaction import StorageUnavailableError
from core.store.writing import open_writer
from tests.support.connector_peer import Peer
from tests.support.world import eventually, free_ports
from wire.jsonrpc import MAX_IN_FLIGHT, LinkClosedError
from wire.link import SUBPROTOCOL, LoginChallenge, LoginChallengeParams, Method, PbxTrust, Status

HEARTBEAT = 0.2
APP = "00000000-0000-4000-8000-000000000000"


class Place:
    def __init__(self, hub: Hub, registry: Registry, url: str, http: aiohttp.ClientSession) -> None:
        self.hub = hub
        self.registry = registry
        self.url = url
        self.http = http

    async def connect(self, peer: Peer) -> aiohttp.ClientWebSocketResponse:
        socket = await self.http.ws_connect(self.url, protocols=(SUBPROTOCOL,), autoping=True)
        nonce = json.loads((await socket.receive()).data)["params"]["nonce"]
        params = peer.hello(nonce).model_dump(mode="json", by_alias=True)
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": Method.HELLO, "params": params})
        welcome = json.loads((await socket.receive()).data)
        peer.pbx_id = welcome["result"]["pbxId"]
        return socket


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    await upgrade_async(url)
    database = Database(url)
    writer = open_writer(database.address)
    registry = Registry(database, writer, b"pepper", enrolment_required=False)
    plane = NoPlane()

    async def no_keys(_pbx_id: str, _keys: list[str], _epoch: int) -> list[Any]:
        return []

    async def unheard(_pbx_id: str, *_changed: object) -> None:
        return None

    async def no_trust(_pbx_id: str) -> PbxTrust:
        return PbxTrust(tenants=[], total=0, teams_app_id=APP)

    hub = Hub(registry, plane, Bus(plane), no_keys, unheard, unheard, unheard, no_trust, heartbeat=HEARTBEAT)
    app = web.Application()

    async def door(request: web.Request) -> web.StreamResponse:
        return await serve_connector(request, hub)

    app.router.add_get("/link", door)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    port = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    beating = asyncio.create_task(hub.run())
    async with aiohttp.ClientSession() as http:
        yield Place(hub, registry, f"http://127.0.0.1:{port}/link", http)
        await hub.drain(0)
    beating.cancel()
    await runner.cleanup()
    await writer.close()
    await database.close()


async def test_a_silent_link_is_dead_after_three_heartbeats(place: Place) -> None:
    peer = Peer("silent.example.com")
    socket = await place.connect(peer)
    begun = asyncio.get_running_loop().time()
    while (message := await socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
        assert json.loads(message.data)["method"] == Method.PING  # heard, and not answered
    assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 4410
    assert 2 * HEARTBEAT < asyncio.get_running_loop().time() - begun < 8 * HEARTBEAT
    assert place.hub.link(peer.pbx_id) is None


async def test_a_link_that_answers_its_pings_stays(place: Place) -> None:
    peer = Peer("alive.example.com")
    socket = await place.connect(peer)
    for _ in range(8):
        ping = json.loads((await socket.receive(timeout=5)).data)
        await socket.send_json({"jsonrpc": "2.0", "id": ping["id"], "result": {}})
    assert place.hub.link(peer.pbx_id) is not None
    await socket.close()


async def test_a_late_close_of_an_old_link_never_removes_the_new_one(place: Place) -> None:
    peer = Peer("epoch.example.com")
    first = await place.connect(peer)
    second = await place.connect(peer)
    await first.receive()
    await first.close()
    link = place.hub.link(peer.pbx_id)
    assert link is not None and link.epoch == 2
    pbx = await place.registry.by_id(peer.pbx_id)
    assert pbx is not None and pbx.link_closed_at is None
    await second.close()

    async def closed() -> bool:
        pbx = await place.registry.by_id(peer.pbx_id)
        return pbx is not None and pbx.link_closed_at is not None

    await eventually(closed, "the last link's end is written down")


async def test_of_two_statuses_in_one_moment_the_later_stays(place: Place, monkeypatch: Any) -> None:
    peer = Peer("hasty.example.com")
    socket = await place.connect(peer)
    link = place.hub.link(peer.pbx_id)
    assert link is not None
    at_first = peer.hello("x" * 32).status
    write, slow, begun, written = place.registry.report, asyncio.Event(), asyncio.Event(), []

    async def report(pbx_id: str, epoch: int, status: Status, now: Any) -> None:
        begun.set()
        if status.detail == "first":
            await slow.wait()
        await write(pbx_id, epoch, status, now)
        written.append(status.detail)

    monkeypatch.setattr(place.registry, "report", report)
    for detail in ("first", "second"):
        status = at_first.model_copy(update={"detail": detail})
        params = status.model_dump(mode="json", by_alias=True)
        await socket.send_json({"jsonrpc": "2.0", "method": Method.STATUS, "params": params})

    await begun.wait()
    # Anyone who wanted to overtake the first has had the time to.
    await place.registry.report(peer.pbx_id, -1, at_first.model_copy(update={"detail": "stale epoch"}), now())
    slow.set()

    async def both_written() -> bool:
        return len(written) == 3

    await eventually(both_written, "both are written")
    pbx = await place.registry.by_id(peer.pbx_id)
    assert pbx is not None and pbx.status is not None and pbx.status.detail == "second"
    await socket.close()


async def test_without_a_link_nothing_is_asked(place: Place) -> None:
    peer = Peer("gone.example.com")
    await (await place.connect(peer)).close()
    with pytest.raises(PbxRefusedError) as refused:
        pbx = await place.registry.by_id(peer.pbx_id)
        await place.hub.call(pbx, Method.LOGIN_CHALLENGE, LoginChallengeParams(), LoginChallenge)
    assert refused.value.finding.code is Code.LINK_DOWN


async def test_a_hub_that_stops_takes_no_new_link_and_closes_the_old(place: Place) -> None:
    socket = await place.connect(Peer("stops.example.com"))
    await place.hub.drain(0)
    while (message := await socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert message.data == 1001
    late = await place.http.ws_connect(place.url, protocols=(SUBPROTOCOL,))
    assert (await late.receive(timeout=5)).data == 1001
    await late.close()


async def test_an_answer_on_its_way_is_not_lost_when_a_newer_link_takes_over(place: Place) -> None:
    peer = Peer("handover.example.com")
    old = await place.connect(peer)
    asking = asyncio.create_task(ask(place, peer))
    question = await next_call(old)
    new = await place.connect(peer)
    # The old link is asked nothing more; what it was asked before it may still answer.
    await old.send_json({"jsonrpc": "2.0", "id": question["id"], "result": ANSWER})
    assert (await asyncio.wait_for(asking, 5)).nonce == ANSWER["nonce"]
    while (message := await old.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert message.data == 4409
    asking = asyncio.create_task(ask(place, peer))
    question = await next_call(new)
    await new.send_json({"jsonrpc": "2.0", "id": question["id"], "result": ANSWER})
    assert (await asyncio.wait_for(asking, 5)).nonce == ANSWER["nonce"]
    await new.close()


async def test_a_hub_that_stops_answers_what_is_in_flight(place: Place) -> None:
    peer = Peer("drains.example.com")
    socket = await place.connect(peer)
    asking = asyncio.create_task(ask(place, peer))
    question = await next_call(socket)
    draining = asyncio.create_task(place.hub.drain(0))
    await asyncio.sleep(0)
    assert not draining.done()
    await socket.send_json({"jsonrpc": "2.0", "id": question["id"], "result": ANSWER})
    assert (await asyncio.wait_for(asking, 5)).nonce == ANSWER["nonce"]
    while (message := await socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert message.data == 1001
    await asyncio.wait_for(draining, 5)


async def test_past_the_bound_a_caller_is_informed_at_once(place: Place) -> None:
    peer = Peer("busy.example.com")
    socket = await place.connect(peer)
    asking = [asyncio.create_task(ask(place, peer)) for _ in range(MAX_IN_FLIGHT)]
    for _ in range(MAX_IN_FLIGHT):
        await next_call(socket)
    with pytest.raises(PbxRefusedError) as refused:
        await asyncio.wait_for(ask(place, peer), 1)
    assert refused.value.finding.code is Code.PBX_BUSY
    await socket.close()
    for outcome in await asyncio.gather(*asking, return_exceptions=True):
        assert isinstance(outcome, PbxRefusedError) and outcome.finding.code is Code.OUTCOME_UNKNOWN


async def test_an_older_link_that_opens_late_is_turned_away(place: Place, monkeypatch: Any) -> None:
    """Two openings cross: the one that was written first in the table comes last to the hub."""
    peer = Peer("crossing.example.com")
    entered, slow, write = asyncio.Event(), asyncio.Event(), place.hub._opening._register_licence_keys

    async def register(pbx_id: str, keys: list[str], epoch: int) -> Any:
        if not entered.is_set():  # the first that is in the table waits here
            entered.set()
            await slow.wait()
        return await write(pbx_id, keys, epoch)

    monkeypatch.setattr(place.hub._opening, "_register_licence_keys", register)
    late = await place.http.ws_connect(place.url, protocols=(SUBPROTOCOL,))
    nonce = json.loads((await late.receive()).data)["params"]["nonce"]
    params = peer.hello(nonce).model_dump(mode="json", by_alias=True)
    await late.send_json({"jsonrpc": "2.0", "id": 1, "method": Method.HELLO, "params": params})
    await entered.wait()
    winner = await place.connect(peer)
    link = place.hub.link(peer.pbx_id)
    assert link is not None and link.epoch == 2
    slow.set()
    assert (await late.receive(timeout=5)).data == 4409
    assert place.hub.link(peer.pbx_id) in (link, None)
    await winner.close()


async def test_an_end_that_could_not_be_written_down_is_written_later(place: Place, monkeypatch: Any) -> None:
    peer = Peer("unwritten.example.com")
    socket = await place.connect(peer)
    write = place.registry.record_closed

    async def away(*_end: Any) -> None:
        raise StorageUnavailableError

    monkeypatch.setattr(place.registry, "record_closed", away)
    await socket.close()

    async def is_gone() -> bool:
        return place.hub.link(peer.pbx_id) is None

    await eventually(is_gone, "the link is gone")
    monkeypatch.setattr(place.registry, "record_closed", write)
    await place.hub.close_stale()
    pbx = await place.registry.by_id(peer.pbx_id)
    assert pbx is not None and pbx.is_linked  # it might be an opening under way
    await place.hub.close_stale()
    pbx = await place.registry.by_id(peer.pbx_id)
    assert pbx is not None and not pbx.is_linked


async def test_a_peer_that_reads_too_slowly_is_cut(place: Place, monkeypatch: Any) -> None:
    """Nothing is buffered for it beyond what its socket takes."""
    monkeypatch.setattr(websocket, "SEND_SECONDS", 0.3)
    peer = Peer("deaf.example.com")
    socket = await place.connect(peer)
    link = place.hub.link(peer.pbx_id)
    assert link is not None
    large = {"search": "x" * 200_000}
    calls = [asyncio.create_task(link.endpoint.call("pbx.people", large, deadline=20)) for _ in range(64)]

    async def is_cut() -> bool:
        return place.hub.link(peer.pbx_id) is None

    await eventually(is_cut, "the peer is cut")
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, ConnectionError | LinkClosedError), outcome
    await socket.close()


ANSWER = {"method": "challenge", "nonce": "n" * 32}


async def ask(place: Place, peer: Peer) -> LoginChallenge:
    pbx = await place.registry.by_id(peer.pbx_id)
    assert pbx is not None
    return await place.hub.call(pbx, Method.LOGIN_CHALLENGE, LoginChallengeParams(), LoginChallenge)


async def next_call(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """The next question of the hub; its pings are answered."""
    while True:
        frame = json.loads((await socket.receive(timeout=5)).data)
        if frame.get("method") == Method.LOGIN_CHALLENGE:
            return frame
        if frame.get("method") == Method.PING:
            await socket.send_json({"jsonrpc": "2.0", "id": frame["id"], "result": {}})


async def test_one_address_gets_few_names_without_a_code_and_keeps_those_it_has(place: Place) -> None:
    """Where the operator lets names in without a code."""
    first = Peer("name-0.example.com")
    await (await place.connect(first)).close()
    for number in range(1, NEW_NAMES[1]):
        await (await place.connect(Peer(f"name-{number}.example.com"))).close()
    refused = await refusal_of(place, Peer("one-more.example.com"))
    assert refused == "enrolment-needed"
    for _ in range(3):  # a name that is there costs nothing
        await (await place.connect(first)).close()
    code, _ = await place.registry.enrol("with-a-code.example.com", now())
    enrolled = Peer("with-a-code.example.com")
    enrolled.enrolment_code = code
    await (await place.connect(enrolled)).close()


async def test_names_that_are_claimed_at_once_count_before_they_are_claimed(place: Place) -> None:
    async def one(number: int) -> bool:
        try:
            await (await place.connect(Peer(f"crowd-{number}.example.com"))).close()
        except KeyError:
            return False
        return True

    welcome = await asyncio.gather(*(one(number) for number in range(60)))
    assert sum(welcome) <= NEW_NAMES[1] + 1


async def test_what_breaks_an_opening_counts_and_is_no_traceback_for_strangers(
    place: Place, monkeypatch: Any
) -> None:
    async def broken(*_hello: Any, **_more: Any) -> Any:
        raise OverflowError

    monkeypatch.setattr(place.registry, "claim", broken)
    before = place.hub.admission._failures["127.0.0.1"]._left
    async with place.http.ws_connect(place.url, protocols=(SUBPROTOCOL,)) as socket:
        nonce = json.loads((await socket.receive()).data)["params"]["nonce"]
        params = Peer("broken.example.com").hello(nonce).model_dump(mode="json", by_alias=True)
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": Method.HELLO, "params": params})
        assert (await socket.receive(timeout=5)).data == 1008
    assert place.hub.admission._failures["127.0.0.1"]._left < before


async def test_a_burst_of_statuses_is_written_as_few(place: Place, monkeypatch: Any) -> None:
    peer = Peer("flaps.example.com")
    socket = await place.connect(peer)
    base = peer.hello("x" * 32).status
    write, written = place.registry.report, []

    async def report(pbx_id: str, epoch: int, status: Status, now: Any) -> None:
        await write(pbx_id, epoch, status, now)
        written.append(status.detail)

    monkeypatch.setattr(place.registry, "report", report)
    for number in range(150):
        status = base.model_copy(update={"detail": str(number)}).model_dump(mode="json", by_alias=True)
        await socket.send_json({"jsonrpc": "2.0", "method": Method.STATUS, "params": status})
        if number % 30 == 29:  # so that none is refused because too many are under way
            await socket.send_json({"jsonrpc": "2.0", "id": number, "method": Method.PING, "params": {}})
            while json.loads((await socket.receive(timeout=5)).data).get("id") != number:
                pass

    async def is_last() -> bool:
        return bool(written) and written[-1] == "149"

    await eventually(is_last, "the newest is written in the end")
    assert len(written) <= CHANGES[1] + 10
    await socket.close()


async def refusal_of(place: Place, peer: Peer) -> str:
    async with place.http.ws_connect(place.url, protocols=(SUBPROTOCOL,)) as socket:
        nonce = json.loads((await socket.receive()).data)["params"]["nonce"]
        params = peer.hello(nonce).model_dump(mode="json", by_alias=True)
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": Method.HELLO, "params": params})
        return str(json.loads((await socket.receive()).data)["error"]["data"]["code"])


async def test_a_connector_asks_which_tenants_are_trusted_until_a_newer_link_replaces_it(
    place: Place,
) -> None:
    peer = Peer("trust.example.com")
    first = await place.connect(peer)

    async def ask(**params: object) -> Any:
        await first.send_json({"jsonrpc": "2.0", "id": 7, "method": Method.TRUST, "params": params})
        while True:
            frame = json.loads((await first.receive(timeout=5)).data)
            if "method" not in frame:
                return frame

    assert (await ask())["result"] == {"tenants": [], "total": 0, "teamsAppId": APP}
    assert (await ask(pbx="another"))["error"]["code"] == -32602
    ping = json.loads((await first.receive(timeout=5)).data)
    assert ping["method"] == Method.PING  # not answered, so the replaced link stays for a while
    await place.connect(peer)
    assert (await ask())["error"]["data"]["code"] == Code.LINK_DOWN
