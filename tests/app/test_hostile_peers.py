"""A hostile connector, probe, user and channel against the running service, on each of the two databases: nothing they send
is a 5xx or a traceback, and honest people do not notice.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest
from pydantic import ValidationError

from core.diagnosis.codes import PBX_FAULTS, Code
from tab.openapi import document
from tests.support.connector_peer import answer_to, connected, enrolled, say
from tests.support.hostile import ODD_VALUES, one_odd_each
from tests.support.logs import list_errors
from tests.support.postgres import Postgres
from tests.support.probe_peer import peer as probe_of
from tests.support.world import ANNA, BEN, CLARA, World
from wire.jsonrpc import Frame
from wire.pbxkey import digest
from wire.probe import HelloParams, ProbeDevice, ProbeReport, ProbeUse

JSON_TEXTS: Final = (
    *("[" * 5000 + "]" * 5000, "{", "", "null", "[]", '"x"', "1", '{"a":' * 300 + "1" + "}" * 300),
    *('{"x":"\\ud800"}', '{"x":NaN}', '{"x":' + "9" * 5000 + "}", "\x00", '{"":1e999}'),
)
RESPONSES: Final[dict[str, dict[str, Any]]] = {
    path: operations["post"]["responses"]
    for path, operations in document()["paths"].items()
    if "post" in operations
}
"""What the document of the API says of each status."""


def as_json(members: Any) -> str | None:
    """None for what no JSON can say."""
    try:
        return json.dumps(members)
    except (ValueError, UnicodeError):
        return None


def is_frame(result: Any) -> bool:
    """Whether the service can read a response that carries this result."""
    try:
        Frame.model_validate_json(as_json({"jsonrpc": "2.0", "id": 1, "result": result}) or "")
    except ValidationError:
        return False
    return True


async def is_well(world: World) -> None:
    """An honest person, in between."""
    anna = world.client(ANNA)
    assert (await anna.sign_in(world.pbx_name, world.key)).status == 200
    assert (await anna.sign_out()).status == 200


@pytest.fixture(scope="module")
async def world_on_postgresql(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    world = World(tmp_path_factory.mktemp("hostile"), database_url=postgres.new_database("hostile"))
    await world.start()
    yield world
    await world.stop()


@pytest.fixture(params=["the_world", "world_on_postgresql"], ids=["sqlite", "postgresql"])
def attacked(request: pytest.FixtureRequest) -> World:
    world: World = request.getfixturevalue(request.param)
    return world


@pytest.fixture
async def quiet(attacked: World) -> AsyncIterator[World]:
    """Nothing in the log of the service that an operator would have to look into."""
    world = attacked
    await world.reset()
    before = len(world.log())
    yield world
    assert list_errors(world, before) == []
    await is_well(world)


RIGHT_USER: Final[dict[str, Any]] = {
    "userId": 1,
    "login": "1001",
    "displayName": "Mallory",
    "email": "mallory@example.com",
    "isAdministrator": False,
    "hasLicencePermission": True,
    "groupIds": [],
}


async def test_a_pbx_may_say_anything_of_its_users(quiet: World) -> None:
    """Each odd value in each member of the answer to a sign-in, over a real link."""
    peer, client = await enrolled(quiet, "mallory.example.com"), quiet.client(BEN)
    token = await client.token()
    odd_users = [
        {**RIGHT_USER, member: odd} for member in RIGHT_USER for odd in ODD_VALUES if as_json(odd) is not None
    ]
    random.Random(13).shuffle(odd_users)
    readable = [user for user in odd_users if is_frame(user)]
    # Nobody answers a call whose answer is no frame: such calls wait for their deadline, so a few are enough.
    odd_users = [*readable[:60], *(user for user in odd_users if not is_frame(user))][:62]
    asked = len(odd_users)
    async with connected(quiet) as (socket, nonce):
        assert "result" in await say(socket, peer.hello(nonce))

        async def answer_all() -> None:
            async for message in socket:
                frame = json.loads(message.data)
                if frame.get("method") == "pbx.login":
                    text = as_json({"jsonrpc": "2.0", "id": frame["id"], "result": odd_users.pop()})
                    await socket.send_str(text or "")
                elif "method" in frame and "id" in frame:
                    await socket.send_json({"jsonrpc": "2.0", "id": frame["id"], "result": {}})

        answering = asyncio.create_task(answer_all())
        body = {
            "pbxName": peer.name,
            "keyDigest": digest(peer.key),
            "proof": {"method": "challenge", "nonce": "n", "secret": "1001:" + "0" * 128},
        }
        seen = set()
        for _ in range(asked):
            answer = await client.call("POST", "sign-in", body, token)
            seen.add(answer.status)
            assert answer.status in (200, 403, 409, 429, 502, 504), answer.body
            assert str(answer.status) in RESPONSES["/api/v1/sign-in"]
        answering.cancel()
    assert seen >= {200, 502, 504}
    await is_well(quiet)


async def test_a_refusal_may_carry_any_evidence(quiet: World) -> None:
    """Evidence fills the sentences that people read, and `reason` goes into the problem itself."""
    peer, client = await enrolled(quiet, "evidence.example.com"), quiet.client(BEN)
    token = await client.token()
    body = {"pbxName": peer.name, "keyDigest": digest(peer.key)}
    evidence = [
        *({"reason": odd} for odd in ODD_VALUES if as_json(odd) is not None),
        *({"error": odd, "since": odd, "used": odd} for odd in ODD_VALUES if as_json(odd) is not None),
    ]
    async with connected(quiet) as (socket, nonce):
        assert "result" in await say(socket, peer.hello(nonce))

        async def refuse_all() -> None:
            async for message in socket:
                frame = json.loads(message.data)
                if "method" in frame and "id" in frame:
                    data = {"code": "pbx-login-failed", "evidence": evidence.pop() if evidence else {}}
                    error = {"code": -32000, "message": "no", "data": data}
                    await socket.send_str(
                        as_json({"jsonrpc": "2.0", "id": frame["id"], "error": error}) or ""
                    )

        refusing = asyncio.create_task(refuse_all())
        while evidence:
            answer = await client.call("POST", "sign-in/challenge", body, token)
            # Where the frame itself is refused, nobody answers the call: that is not waited for here.
            assert answer.status in (429, 502, 503, 504), answer.body
            if answer.status in (429, 504):
                break
        refusing.cancel()


async def test_when_to_ask_again_is_a_number_of_our_own(quiet: World) -> None:
    """`Retry-After` is a header: what a connector puts into its evidence does not get there, unless it is a number."""
    peer, client = await enrolled(quiet, "again.example.com"), quiet.client(BEN)
    headers = {"Authorization": f"Bearer {await client.token()}"}
    body = {"pbxName": peer.name, "keyDigest": digest(peer.key)}
    url = f"{quiet.demo.service_url}/api/v1/sign-in/challenge"
    odd = [seconds for seconds in (*ODD_VALUES, -1, 0, 2**53 - 1, "1\r\nX-Evil: 1") if as_json(seconds)]
    said = [(code, seconds) for code in (Code.LOGIN_PAUSED, Code.PBX_BUSY, Code.PBX_SLOW) for seconds in odd]
    said = [one for one in said if is_frame({"seconds": one[1]})] + [(Code.LOGIN_PAUSED, 90)]
    seen = set()
    async with connected(quiet) as (socket, nonce):
        assert "result" in await say(socket, peer.hello(nonce))

        async def refuse_all() -> None:
            async for message in socket:
                frame = json.loads(message.data)
                if "method" in frame and "id" in frame:
                    code, seconds = said[0]
                    error = {"code": -32000, "message": "no"}
                    error["data"] = {"code": code, "evidence": {"seconds": seconds}}
                    await socket.send_str(
                        as_json({"jsonrpc": "2.0", "id": frame["id"], "error": error}) or ""
                    )

        refusing = asyncio.create_task(refuse_all())
        while said:
            async with quiet.http.post(url, json=body, headers=headers) as answer:
                assert (await answer.json())["code"] == said[0][0]
                assert answer.status in (429, 503)
                assert answer.headers["Retry-After"].isdecimal(), said[0]
                assert 1 <= int(answer.headers["Retry-After"]) <= 3600, said[0]
                seen.add(answer.headers["Retry-After"])
            said.pop(0)
        refusing.cancel()
    assert "90" in seen  # the valid value is shown


async def test_a_connector_speaks_for_its_pbx_alone(quiet: World) -> None:
    """It may say that its PBX is away, or that a password is wrong: nothing of tokens, tenants, licences or the service."""
    peer, client = await enrolled(quiet, "ventriloquist.example.com"), quiet.client(BEN)
    token = await client.token()
    body = {"pbxName": peer.name, "keyDigest": digest(peer.key)}
    codes = [code for code in Code if code not in (Code.OUTCOME_UNKNOWN, Code.THROTTLED)]
    said, seen = list(codes), {}
    async with connected(quiet) as (socket, nonce):
        assert "result" in await say(socket, peer.hello(nonce))

        async def refuse_all() -> None:
            async for message in socket:
                frame = json.loads(message.data)
                if "method" in frame and "id" in frame:
                    error = {"code": -32000, "message": "no", "data": {"code": said[0], "evidence": {}}}
                    await socket.send_json({"jsonrpc": "2.0", "id": frame["id"], "error": error})

        refusing = asyncio.create_task(refuse_all())
        while said:
            answer = await client.call("POST", "sign-in/challenge", body, token)
            assert str(answer.status) in RESPONSES["/api/v1/sign-in/challenge"], answer.body
            seen[said.pop(0)] = answer.code
        refusing.cancel()
    believed = {code for code in codes if seen[code] == code}
    assert believed - {Code.PROTOCOL_ERROR} == {
        *PBX_FAULTS,
        *(Code.LOGIN_REJECTED, Code.CHALLENGE_EXPIRED, Code.PBX_BUSY),
    }
    assert {seen[code] for code in codes if code not in believed} == {Code.PROTOCOL_ERROR}


async def test_frames_of_any_shape_end_in_errors_or_a_cut(quiet: World) -> None:
    methods = (
        "link.status",
        "link.usersChanged",
        "link.callEndedAtOnce",
        "link.ping",
        "link.hello",
        "pbx.login",
    )
    frames = [
        {
            "jsonrpc": "2.0",
            "id": 7,
            "method": method,
            "params": {"users": odd, "gone": odd, "userId": odd, "at": odd},
        }
        for method in methods
        for odd in ODD_VALUES
    ]
    texts = [*JSON_TEXTS, *filter(None, map(as_json, frames))]
    random.Random(7).shuffle(texts)
    del texts[100:]
    peer = await enrolled(quiet, "shapes.example.com")
    while texts:
        async with connected(quiet) as (socket, nonce):
            assert "result" in await say(socket, peer.hello(nonce))
            for _ in range(19):  # the twentieth bad frame ends the link
                if texts and not socket.closed:
                    last = await answer_to(socket, texts.pop())
                    if isinstance(last, aiohttp.WSMessage):
                        break


async def test_a_probe_may_report_anything(quiet: World) -> None:
    """Each odd value in each member of a report, over real connections; its person's page stays as it is."""
    anna = quiet.client(ANNA)
    assert (await anna.sign_in(quiet.pbx_name, quiet.key)).status == 200
    code = (await anna.call("POST", "audio/pairing")).body["code"]
    async with probe_of(quiet) as probe:
        paired = (await probe.pair(code))["result"]
    device = {"label": "Jabra", "endpointId": "1", "containerId": "", "usbId": "0b0e:0305", "serial": "1"}
    use = {"program": "teams", "kind": "input", "device": device, "active": True}
    uses = [
        *one_odd_each(ProbeUse, use),
        *({**use, "device": odd} for odd in one_odd_each(ProbeDevice, device)),
    ]
    reports = [{"uses": [one]} for one in uses] + list(one_odd_each(ProbeReport, {"uses": [use]}))
    frames = [
        as_json({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        for method, these in (
            ("probe.report", random.Random(19).sample(reports, 200)),
            ("probe.hello", list(one_odd_each(HelloParams, {"token": paired["token"], "version": "1"}))[::9]),
            ("probe.ping", [{"x": odd} for odd in ODD_VALUES[::7]]),
        )
        for params in these
    ]
    texts = [*JSON_TEXTS, *(text for text in frames if text is not None)]
    random.Random(7).shuffle(texts)
    answers, cuts = 0, 0
    while texts:
        async with probe_of(quiet) as probe:
            assert "result" in await probe.call("probe.hello", token=paired["token"], version="1")
            while texts:
                last = await answer_to(probe.socket, texts.pop())
                if isinstance(last, aiohttp.WSMessage):
                    assert last.data in (1008, 1009, 4429), last
                    cuts += 1
                    break
                answers += 1
        assert (await anna.call("GET", "audio")).status == 200
    assert answers > cuts > 0
    assert (await anna.call("DELETE", "audio")).status == 200


async def test_bodies_and_queries_of_any_shape_are_refused_in_words(quiet: World) -> None:
    clara, ben = quiet.client(CLARA), quiet.client(BEN)
    assert (await clara.sign_in(quiet.pbx_name, quiet.key)).status == 200
    tokens = {CLARA: await clara.token(), BEN: await ben.token()}
    url = f"{quiet.demo.service_url}/api/v1"
    bodies = (
        ("POST", "sign-in", {"pbxName": 1, "keyDigest": 1, "proof": 1}),
        ("POST", "licences/revoke", {"sessionIds": ["x"], "reason": "a\x00b"}),
        ("PUT", "licences/policy", {"poolId": "x", "policy": {}}),
        ("PUT", "trust", {"trusted": "yes"}),
        ("PUT", "notices", {"muted": [], "quiet": 1, "quietFrom": "1", "quietUntil": 0}),
        ("PUT", "audio/devices", {"devices": [{"kind": "input", "label": "x\x00"}]}),
    )
    queries = (
        "search=%00",
        "search=%ff%fe",
        "search=%ED%A0%80",
        "offset=" + "9" * 4001,
        "%00=1",
        "descending=yes",
    )
    for person, token in tokens.items():
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        for method, path, right in bodies:
            odd = [as_json({**right, name: value}) for name in right for value in ODD_VALUES]
            texts = [*JSON_TEXTS, *filter(None, odd)]
            for text in random.Random(path).sample(texts, 30):
                async with quiet.http.request(
                    method, f"{url}/{path}", data=text.encode(), headers=headers
                ) as answer:
                    assert answer.status < 500, (person.login, path, text[:200], await answer.text())
        for query in queries:
            for path in ("licences", "licences/people", "state", "licences/usage", "audit/export"):
                async with quiet.http.get(f"{url}/{path}?{query}", headers=headers) as answer:
                    assert answer.status < 500, (person.login, path, query, await answer.text())


async def test_a_reason_and_ids_that_no_database_takes(quiet: World) -> None:
    """On SQLite and PostgreSQL alike they do not get as far as the database."""
    clara = quiet.client(CLARA)
    assert (await clara.sign_in(quiet.pbx_name, quiet.key)).status == 200
    for path, body in (
        ("licences/revoke", {"sessionIds": ["a\x00"], "reason": "x"}),
        ("licences/revoke", {"sessionIds": ["x" * 36], "reason": "x"}),
        ("audio/probes/remove", {"probeId": "\x00"}),
    ):
        answer = await clara.call("POST", path, body)
        assert answer.status in (400, 404, 405), answer.body
    odd = {"userIds": [10**4001], "groupIds": []}
    policy = {"idleHours": None, "reservations": [], "admitted": odd}
    headers = {"Authorization": f"Bearer {await clara.token()}"}
    text = json.dumps(
        {"poolId": "6f0c7a53-0d3c-4c77-8a51-6a9d4f1f0a11", "policy": {**policy, "admitted": None}}
    )
    text = text.replace('"admitted": null', '"admitted": {"userIds": [1' + "0" * 4000 + '], "groupIds": []}')
    url = f"{quiet.demo.service_url}/api/v1/licences/policy"
    async with quiet.http.put(url, data=text, headers=headers) as answer:
        assert answer.status == 400
