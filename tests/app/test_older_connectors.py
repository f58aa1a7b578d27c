"""Recordings of connectors of earlier commits, replayed with the current service: the first one, and the last one
that read the PBX without validating its answers in one place. Both were version 0.1.0.

The recordings were made by running those commits' connectors against a simulated PBX and a service. A line is a
frame that the connector sent unasked, or a request with its answer. All members are replayed unchanged, except that
name, keys, nonce and signature are those of the test's own PBX, and the version is that of the old connector, where
the recording has the version of the package that happened to be installed.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from simulator.people import TENANT_ID
from tests.support.connection_page import get_part
from tests.support.connector_peer import Peer, connected, enrolled, say
from tests.support.logs import list_errors
from tests.support.operator import run_operator_command
from tests.support.world import ANNA, BEN, CLARA, World, eventually
from wire.bounds import b64url
from wire.link import Hello, signed_bytes
from wire.pbxkey import grouped

RECORDINGS: Final = {path.stem: path for path in (Path(__file__).parent / "recordings").glob("*.jsonl")}
NO_SUCH_METHOD: Final = {"error": {"code": -32601, "message": "no such method"}}
"""What each of them answers to what came later."""
ONE_OF_MANY: Final = ("pbx.loginChallenge", "link.ping", "calls.keep")
"""Requests that have the same answer for all parameters."""


class Recording:
    def __init__(self, path: Path) -> None:
        lines = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
        said = [line["says"] for line in lines if "says" in line]
        (self.hello,) = [frame["params"] for frame in said if frame["method"] == "link.hello"]
        self.statuses = [frame for frame in said if frame["method"] == "link.status"]
        self.changes = [frame for frame in said if frame["method"] == "link.usersChanged"]
        self._answers = [(line["asked"], line["answers"]) for line in lines if "asked" in line]

    def answer(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        for asked, answer in self._answers:
            if asked["method"] == method and (method in ONE_OF_MANY or _fits(asked["params"], params)):
                return answer
        return NO_SUCH_METHOD


def _fits(recorded: dict[str, Any], params: dict[str, Any]) -> bool:
    if "proof" in recorded:  # the nonce and the secret differ from one login to the next
        logins = [one["proof"]["secret"].partition(":")[0] for one in (recorded, params)]
        return logins[0] == logins[1]
    return recorded == params


@pytest.fixture(params=sorted(RECORDINGS))
def recording(request: pytest.FixtureRequest) -> Recording:
    return Recording(RECORDINGS[request.param])


@asynccontextmanager
async def linked(
    world: World, peer: Peer, recording: Recording, licence_key: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The link of a connector that answers as it was recorded."""
    async with connected(world) as (socket, nonce):
        mine = peer.hello(nonce).model_dump(mode="json", by_alias=True)
        own = ("pbxName", "identity", "nonce", "sealingKey", "sealingSignature", "keyDigest")
        hello = recording.hello | {name: mine[name] for name in own if name in recording.hello}
        hello |= {"licenceKeys": [licence_key], "connectorVersion": "0.1.0"}
        hello["signature"] = b64url(peer.identity.sign(signed_bytes(hello)))
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "link.hello", "params": hello})
        welcome = (await socket.receive(timeout=20)).json()
        assert [key["accepted"] for key in welcome["result"]["licenceKeys"]] == [True], welcome
        for status in recording.statuses:
            await socket.send_json(status)

        async def answer_all() -> None:
            async for message in socket:
                frame = json.loads(message.data)
                if "method" in frame and "id" in frame:
                    answer = recording.answer(frame["method"], frame.get("params") or {})
                    await socket.send_json({"jsonrpc": "2.0", "id": frame["id"], **answer})

        answering = asyncio.create_task(answer_all())
        try:
            yield socket
        finally:
            await socket.close()
            await answering


def test_two_are_recorded() -> None:
    assert sorted(RECORDINGS) == ["connector_before_readings", "connector_first"]


def test_what_it_signed_is_its_own(recording: Recording) -> None:
    """A member that came later does not spoil the signature of those that did not know it."""
    hello = Hello.model_validate(recording.hello)
    assert hello.is_genuine(recording.hello)
    assert not hello.is_genuine(recording.hello | {"connectorVersion": "9.9.9"})


async def test_people_sign_in_and_administrators_are_advised_to_update(
    world: World, recording: Recording
) -> None:
    name = (
        f"older-{recording.hello['connectorVersion'].replace('.', '-')}-{len(recording.changes)}.example.com"
    )
    peer = await enrolled(world, name)
    async with connected(world) as (socket, nonce):  # the name was claimed before names needed a code
        assert "result" in await say(socket, peer.hello(nonce))
    logged, key = len(world.log()), grouped(peer.key)
    anna, ben, clara = (world.client(person) for person in (ANNA, BEN, CLARA))
    licence_key = await world.demo.licence_key(3, f"OLDER-{len(recording.changes)}")
    async with linked(world, peer, recording, licence_key) as socket:
        for client, kind in ((anna, "FL"), (ben, "UAL"), (clara, "FL")):
            answer = await client.sign_in(name, key)
            assert answer.status == 200, answer.body
            assert answer.body["licence"]["kind"] == kind
        view = await clara.call("GET", "licences")
        assert [holder["login"] for holder in view.body["holders"]] == ["1001", "1002", "1003"]
        link = get_part(await clara.call("GET", "connection"), "link")
        assert (link["light"], link["finding"]["code"]) == ("yellow", "connector-outdated")
        assert (await clara.call("POST", "connection/diagnostics")).status in (200, 404)

        found = await clara.call("GET", "licences/people?search=an")
        if recording.answer("pbx.people", {"search": "an", "userIds": []}) == NO_SUCH_METHOD:
            assert (found.status, found.code) == (502, "protocol-error")
            assert "Update" in found.body["cure"]
        else:
            assert [user["login"] for user in found.body["users"]] == ["1001"]

        await run_operator_command(world, "approve", name, TENANT_ID, group="trust")
        wish = {"trusted": True, "entry": "one-click"}
        assert (await clara.call("PUT", "trust", wish)).status == 200
        await anna.sign_out()
        keyless = await anna.call("POST", "sign-in/keyless", {"pbxName": name})
        assert keyless.status == 200, keyless.body

        for change in recording.changes:  # Ben loses the licence of his own, and gets a seat
            await socket.send_json(change)

            async def is_moved() -> bool:
                return bool((await ben.state())["licence"]["kind"] == "FL")

            await eventually(is_moved, "Ben's licence follows", seconds=20)
        for client in (anna, ben, clara):
            state = await client.state()
            assert state["signedIn"] and state["connection"]["connected"]
            await client.sign_out()
    assert list_errors(world, logged) == []
