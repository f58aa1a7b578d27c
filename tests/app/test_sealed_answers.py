"""The answer to the PBX's challenge crosses the service sealed; connectors and services of the first version still work."""

import asyncio
import json
from contextlib import closing
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connector.login import internal_secret
from simulator.people import TENANT_ID
from tests.support.connection_page import get_part
from tests.support.older_connectors import first_version_connector
from tests.support.world import ANNA, BEN, CLARA, World
from wire.bounds import from_b64url
from wire.link import SUBPROTOCOL, Hello, capabilities_bytes

FIRST_HELLO = {
    *("pbxName", "identity", "nonce", "sealingKey", "keyDigest", "licenceKeys", "connectorVersion", "status"),
    *("sealingSignature", "enrolmentCode", "previousKeyDigest", "previousKeyUntil", "signature"),
}
"""The members of a hello that a service of the first version takes."""


async def test_no_answer_leaves_the_browser_unsealed(world: World) -> None:
    client = world.client(ANNA)
    challenge = (await client.prepare(world.pbx_name, world.key)).body
    assert challenge["method"] == "sealed-challenge"
    assert challenge["pbxNonce"] and challenge["pbxNonce"] != challenge["nonce"]
    proof = client.proof(challenge, world.key)
    assert "secret" not in proof and ANNA.login + ":" not in json.dumps(proof)
    assert (await client.submit(world.pbx_name, world.key, proof)).status == 200


async def test_the_connectors_identity_vouches_for_what_it_can_do(world: World) -> None:
    challenge = (await world.client(ANNA).prepare(world.pbx_name, world.key)).body
    assert "sealed-answers" in challenge["capabilities"]
    identity = Ed25519PublicKey.from_public_bytes(from_b64url(challenge["connectorIdentity"]))
    statement = capabilities_bytes(challenge["sealingKey"], challenge["capabilities"])
    identity.verify(from_b64url(challenge["capabilitiesSignature"]), statement)
    assert json.loads(world.demo.key_file.read_text())["sealedOnly"] is True


async def test_an_unsealed_answer_is_refused_even_when_it_is_right(world: World) -> None:
    """A service that hides what the connector can do gains nothing: the connector takes no unsealed answer."""
    client = world.client(ANNA)
    challenge = (await client.prepare(world.pbx_name, world.key)).body
    for nonce in (challenge["pbxNonce"], challenge["nonce"]):
        proof = {
            "method": "challenge",
            "nonce": nonce,
            "secret": internal_secret("1001", nonce, ANNA.password),
        }
        answer = await client.submit(world.pbx_name, world.key, proof)
        assert (answer.status, answer.code) == (409, "challenge-expired")
    assert not (await client.state())["signedIn"]


async def test_a_tab_of_the_first_version_is_asked_to_seal_the_password(world: World) -> None:
    """It was open in the browser when the service was updated, and knows no sealed answers."""
    client = world.client(ANNA)
    challenge = (await client.prepare(world.pbx_name, world.key, methods=())).body
    assert (challenge["method"], challenge["pbxNonce"]) == ("sealed", None)
    assert (await client.sign_in(world.pbx_name, world.key, methods=())).status == 200
    assert (await client.prepare(world.pbx_name, world.key, methods=("telepathy",))).body[
        "method"
    ] == "sealed"


async def test_the_service_carries_what_it_cannot_read(world: World) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    for name in ("service", "connector"):
        assert f"{ANNA.login}:" not in world.log(name)


async def test_a_connector_of_the_first_version_works_and_is_distinguished(world: World) -> None:
    anna, clara = world.client(ANNA), world.client(CLARA)
    async with first_version_connector(world):
        challenge = (await anna.prepare(world.pbx_name, world.key)).body
        assert (challenge["method"], challenge["capabilities"]) == ("challenge", [])
        assert challenge["capabilitiesSignature"] is None
        assert (await anna.sign_in(world.pbx_name, world.key)).status == 200
        assert (await clara.sign_in(world.pbx_name, world.key)).status == 200
        assert (await anna.follow_calls(world.pbx_name, world.key)).status == 200
        for client, word in (
            (clara, "Update the connector"),
            (world.client(CLARA, "de"), "Aktualisieren Sie den Connector"),
        ):
            link = get_part(await client.call("GET", "connection"), "link")
            assert (link["light"], link["finding"]["code"]) == ("yellow", "connector-outdated")
            assert word in link["finding"]["cure"] and not link["finding"]["blocking"]
            assert "0.1.0" in link["finding"]["detail"]
        # Of no interest to people who cannot change it.
        assert (await anna.state())["connection"]["findings"] == []
    finding = get_part(await clara.call("GET", "connection"), "link")["finding"]
    assert finding is None or finding["code"] != "connector-outdated"
    assert (await anna.prepare(world.pbx_name, world.key)).body["method"] == "sealed-challenge"


async def test_an_answer_in_flight_during_an_update_of_the_connector_is_requested_again(
    world: World,
) -> None:
    client = world.client(ANNA)
    async with first_version_connector(world):
        proof = client.proof((await client.prepare(world.pbx_name, world.key)).body, world.key)
    answer = await client.submit(world.pbx_name, world.key, proof)
    assert answer.code == "challenge-expired"  # upon which the tab asks for another challenge
    assert (await client.sign_in(world.pbx_name, world.key)).status == 200


async def test_a_service_of_the_first_version_is_spoken_to_in_its_own_words(world: World) -> None:
    """It refuses members that it does not know, and its tab knows no sealed answers: there, too, nothing goes unsealed."""
    heard: dict[str, Any] = {}
    done = asyncio.Event()

    async def door(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,))
        await socket.prepare(request)

        async def call(number: int, method: str, params: Any) -> Any:
            await socket.send_json({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
            while True:
                frame = json.loads((await socket.receive(timeout=10)).data)
                if "method" not in frame:
                    return frame["result"]

        first = {"nonce": "n" * 43, "serverTime": "2026-11-25T08:00:00Z"}
        await socket.send_json({"jsonrpc": "2.0", "method": "link.challenge", "params": first})
        frame = json.loads((await socket.receive()).data)
        heard["hello"] = frame["params"]
        welcome = {"pbxId": "1", "heartbeatSeconds": 12, "licenceKeys": []}
        await socket.send_json({"jsonrpc": "2.0", "id": frame["id"], "result": welcome})
        heard["challenge"] = await call(1, "pbx.loginChallenge", {})
        sealed = heard["challenge"] | {"pbxName": world.pbx_name, "sealingKey": heard["hello"]["sealingKey"]}
        proof = world.client(ANNA).proof(sealed, world.key)
        whom = {"tenantId": TENANT_ID, "objectId": ANNA.object_id}
        heard["user"] = await call(2, "pbx.login", {"proof": proof, **whom})
        done.set()
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/connector/link", door)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await world.demo.stop_part("connector")
    try:
        await world.demo.write_connector_configuration(world.demo.site, service_url=url)
        await world.demo.spawn_connector()
        async with asyncio.timeout(20):
            await done.wait()
        assert (
            set(heard["hello"]) - {name for name, value in heard["hello"].items() if value is None}
            <= FIRST_HELLO
        )
        assert set(heard["hello"]) <= FIRST_HELLO
        hello = Hello.model_validate(heard["hello"])
        assert hello.is_genuine(heard["hello"]) and hello.capabilities is None
        assert set(heard["challenge"]) == {"method", "nonce"} and heard["challenge"]["method"] == "sealed"
        assert heard["user"]["login"] == ANNA.login
    finally:
        await world.demo.stop_part("connector")
        await world.demo.start_connector()
        await world.connected()
        await runner.cleanup()


async def test_a_person_is_informed_at_a_pbx_that_their_organisation_never_used(world: World) -> None:
    anna, ben, clara = world.client(ANNA), world.client(BEN), world.client(CLARA)

    async def is_first() -> bool:
        return bool((await anna.prepare(world.pbx_name, world.key)).body["firstUse"])

    with closing(world.database()) as database, database:
        database.execute("DELETE FROM used_pbx")
    await world.forget_throttles()  # the service remembers whom it has noted
    assert await is_first()
    assert (await ben.sign_in(world.pbx_name, world.key, password="wrong")).code == "login-rejected"
    assert await is_first()
    # One of them knows it; their colleagues need no warning, also when nobody is signed in any more.
    assert (await ben.sign_in(world.pbx_name, world.key)).status == 200
    await ben.sign_out()
    assert not await is_first()
    # Trusted by an administrator of the PBX: it is theirs.
    assert (await clara.sign_in(world.pbx_name, world.key)).status == 200
    await clara.call("PUT", "trust", {"trusted": True})
    with closing(world.database()) as database, database:
        database.execute("DELETE FROM used_pbx")
    assert not await is_first()
