"""One service for organisations that do not know each other: every tenant is let in, and two PBXs are linked."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest

from core.diagnosis.codes import Code
from simulator.people import TENANT_ID
from tab.operation import API
from tab.operations import OPERATIONS
from tests.support.connector_peer import Peer, connected, enrolled, say
from tests.support.scripted_pbx import scripted_pbx
from tests.support.tab_client import TabClient
from tests.support.tokens import good
from tests.support.world import ANNA, CLARA, World
from wire.link import fingerprint
from wire.pbxkey import digest, new_key

SECOND: Final = "22222222-9999-4999-8999-999999999999"
THIRD: Final = "33333333-9999-4999-8999-999999999999"
GUEST: Final = {"acct": 1, "idp": f"https://sts.windows.net/{THIRD}/"}


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PBX_TEAMS_ALLOWED_TENANTS", "")
        world = World(tmp_path_factory.mktemp("tenants"), seats=5)
        await world.start()
    yield world
    await world.stop()


async def token(world: World, tenant: str, **claims: Any) -> str:
    issuer = f"https://127.0.0.1:{world.demo.entra_port}/{tenant}/v2.0"
    given = {**good(world), "tid": tenant, "iss": issuer, "oid": str(uuid.uuid4()), "acct": 0}
    given |= {"name": "Mallory", **claims}
    return await world.sign(given)


async def member(world: World, tenant: str, **claims: Any) -> TabClient:
    """Somebody of that tenant, with an account of their own."""
    client = world.client(replace(CLARA, object_id=str(uuid.uuid4())))
    signed = await token(world, tenant, oid=client.person.object_id, **claims)

    async def given(_seconds: int = 3600) -> str:
        return signed

    client.token = given  # type: ignore[method-assign]
    return client


async def test_a_member_of_any_trusted_tenant_is_informed_that_it_is_the_key(shared: World) -> None:
    """Of the first as of the second; not its guests, and of a name that is nobody's not even the members."""
    peer = await enrolled(shared, "shared.example.com")

    async def told(tenant: str, name: str = peer.name, **claims: Any) -> str:
        body = {"pbxName": name, "keyDigest": digest(new_key())}
        signed = await token(shared, tenant, **claims)
        answer = await shared.client().call("POST", "sign-in/challenge", body, signed)
        assert (answer.status, answer.code) == (403, "wrong-key")
        return str(answer.body["title"])

    it_is_the_key, either = "The PBX key is not right", "PBX name or key is not right"
    async with scripted_pbx(shared, peer):
        administrators = {}
        for tenant in (TENANT_ID, SECOND):
            # One after the other; the PBX user is the same, so each takes the session over.
            client = administrators[tenant] = await member(shared, tenant)
            answer = await take_over(client, peer)
            assert answer.status == 200, answer.body
            assert (await client.call("PUT", "trust", {"trusted": True})).status == 200
        for tenant in (TENANT_ID, SECOND):
            assert await told(tenant) == it_is_the_key
            assert await told(tenant, **GUEST) == either
            assert await told(tenant, "nobody.example.com") == either
        assert await told(THIRD) == either
        last = administrators[SECOND]
        assert (await last.call("POST", "trust/remove", {"tenantId": TENANT_ID})).status == 200
        assert await told(TENANT_ID) == either
        assert await told(SECOND) == it_is_the_key


async def take_over(client: TabClient, peer: Any) -> Any:
    proof = {"method": "challenge", "nonce": "n" * 32, "secret": "1001:" + "0" * 128}
    body = {"pbxName": peer.name, "keyDigest": digest(peer.key), "proof": proof, "takeOver": True}
    return await client.call("POST", "sign-in", body)


async def test_ids_of_another_pbx_open_no_door(shared: World) -> None:
    """Its own administrator, with every id of the other PBX that could ever have been seen: at each door that takes one."""
    anna, clara = shared.client(ANNA), shared.client(CLARA)
    for client in (anna, clara):
        assert (await client.sign_in(shared.pbx_name, shared.key, take_over=True)).status == 200
    assert (await clara.call("PUT", "trust", {"trusted": True})).status == 200
    before = (await clara.call("GET", "licences")).body
    (of_anna,) = [row["sessionId"] for row in before["holders"] if row["teamsName"] == ANNA.name]
    pool = before["pools"][0]["poolId"]
    policy = {"idleHours": 1, "reservations": [], "admitted": {"userIds": [], "groupIds": []}}
    intruder = Peer(shared.pbx_name)
    async with connected(shared) as (socket, nonce):
        assert "error" in await say(socket, intruder.hello(nonce))
    claim = fingerprint(intruder.hello("n" * 43).identity)
    peer = await enrolled(shared, "neighbour.example.com")
    async with scripted_pbx(shared, peer):
        mallory = await member(shared, SECOND)
        assert (await take_over(mallory, peer)).status == 200
        asked = {
            "revoke": ({"sessionIds": [of_anna], "reason": "x"}, {"session-gone"}),
            "setPolicy": ({"poolId": pool, "policy": policy}, {"pool-gone"}),
            "removeTrust": ({"tenantId": TENANT_ID}, {None}),
            "handOver": ({"identity": claim}, {"claim-gone"}),
            "setTrust": (
                {"trusted": True, "entry": "automatic", "primary": True},
                {"tenant-authority-needed"},
            ),
            "makeDownloadLink": ({"file": "pbx-connector_1.0.0_all.deb"}, {"package-gone"}),
            "makeNewKey": (
                {"nonce": "n", "box": {"ephemeralKey": "A" * 87, "nonce": "A" * 16, "ciphertext": "AAAA"}},
                {"connector-outdated"},
            ),
        }
        with_ids = {
            one.id for one in OPERATIONS if one.body is not None and Code.NOT_ADMINISTRATOR in one.problems
        }
        assert asked.keys() == with_ids
        for door in OPERATIONS:
            if door.id in asked:
                body, codes = asked[door.id]
                answer = await mallory.call(door.method, door.path.removeprefix(f"{API}/"), body)
                assert answer.code in codes, (door.id, answer.body)
        shown = (await mallory.call("GET", "licences?search=Berger")).body
        assert shown["holders"] == [] and shown["pools"] == []
        for path in ("licences/export", "audit/export?timeZone=UTC"):
            exported = await mallory.call("GET", path)
            assert exported.status == 200
            assert ANNA.email.encode() not in exported.body["content"]
            assert b"Berger" not in exported.body["content"]
    after = (await clara.call("GET", "licences")).body
    assert [row["sessionId"] for row in after["holders"]] == [row["sessionId"] for row in before["holders"]]
    assert after["pools"] == before["pools"] and after["tenantTrusted"] is True
    assert shared.is_linked()
