"""Tokens as they must not be: each is refused with 401, and the log says why. None reaches a state."""

import base64
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulator.people import APP_ID, TENANT_ID
from tests.support.tokens import good
from tests.support.world import ANNA, World

OTHER_TENANT = "99999999-9999-4999-8999-999999999999"
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def changed(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(claims: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in (claims | changes).items() if value is not None}

    return change


def foreign_issuer(claims: dict[str, Any]) -> dict[str, Any]:
    return claims | {"tid": OTHER_TENANT, "iss": claims["iss"].replace(TENANT_ID, OTHER_TENANT)}


SIGNED_BY_THE_RIGHT_KEY = {
    "expired": (changed(exp=int(time.time()) - 3600), "expired"),
    "expired a little past the leeway": (changed(exp=int(time.time()) - 120), "expired"),
    "without expiry": (changed(exp=None), "missing-claim"),
    "expiry is no number": (changed(exp="tomorrow"), "malformed"),
    "not yet valid": (changed(nbf=int(time.time()) + 3600), "not-yet-valid"),
    "issued in the future": (changed(iat=int(time.time()) + 3600), "not-yet-valid"),
    "without not-before": (changed(nbf=None), "missing-claim"),
    "wrong audience": (changed(aud="11111111-2222-4333-8444-555555555555"), "wrong-audience"),
    "audience of Graph": (changed(aud="https://graph.microsoft.com"), "wrong-audience"),
    "audience is a list that holds ours": (changed(aud=[APP_ID, "other"]), "wrong-audience"),
    "without audience": (changed(aud=None), "missing-claim"),
    "wrong issuer": (changed(iss="https://login.example.com/x/v2.0"), "wrong-issuer"),
    "issuer of another tenant than its own": (
        changed(iss=f"https://127.0.0.1:1/{OTHER_TENANT}/v2.0"),
        "wrong-issuer",
    ),
    "tenant of another issuer": (changed(tid=OTHER_TENANT), "wrong-issuer"),
    "without tenant": (changed(tid=None), "missing-claim"),
    "tenant is no GUID": (changed(tid="../common"), "malformed"),
    "without object id": (changed(oid=None), "missing-claim"),
    "object id is a list": (changed(oid=[ANNA.object_id]), "malformed"),
    "missing scope": (changed(scp=None), "missing-scope"),
    "other scope": (changed(scp="User.Read"), "missing-scope"),
    "scope that only begins alike": (changed(scp="access_as_user_too"), "missing-scope"),
    "scope as a list": (changed(scp=["access_as_user"]), "missing-scope"),
    "an application's token": (changed(idtyp="app"), "not-a-user"),
    "made for another program": (changed(azp="04b07795-8ddb-461a-bbee-02f9e1bf7b46"), "wrong-client"),
    "made for another program, version 1": (changed(appid="another", azp=None), "wrong-client"),
    "roles instead of scope": (changed(scp=None, roles=["access_as_user"]), "missing-scope"),
}


@pytest.mark.parametrize("name", SIGNED_BY_THE_RIGHT_KEY)
async def test_claims_that_do_not_fit(the_world: World, name: str) -> None:
    change, reason = SIGNED_BY_THE_RIGHT_KEY[name]
    await refused(the_world, f"Bearer {await the_world.sign(change(good(the_world)))}", reason)


async def test_the_same_claims_unchanged_are_good(the_world: World) -> None:
    token = await the_world.sign(good(the_world))
    assert (await the_world.client().call("GET", "state", token=token)).status == 200


async def kid_of(world: World) -> str:
    return str(jwt.get_unverified_header(await world.sign(good(world)))["kid"])


@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_tenant_that_is_not_let_in_is_informed(the_world: World, language: str) -> None:
    token = await the_world.sign(foreign_issuer(good(the_world)))
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": language}
    for path in ("state", "events"):
        url = f"{the_world.demo.service_url}/api/v1/{path}"
        async with the_world.http.get(url, headers=headers) as response:
            assert response.status == 403
            problem = await response.json(content_type="application/problem+json")
        assert problem["code"] == "tenant-not-allowed"
        assert {"en": "organisation", "de": "Organisation"}[language] in problem["cure"]


async def test_a_tenant_that_is_not_let_in_learns_so_only_by_a_good_token(the_world: World) -> None:
    forged = jwt.encode(
        foreign_issuer(good(the_world)), STRANGER, algorithm="RS256", headers={"kid": await kid_of(the_world)}
    )
    await refused(the_world, f"Bearer {forged}", "bad-signature")


async def test_algorithm_none(the_world: World) -> None:
    token = jwt.encode(good(the_world), None, algorithm="none", headers={"kid": await kid_of(the_world)})
    await refused(the_world, f"Bearer {token}", "wrong-algorithm")


async def test_hs256_with_the_public_key_as_its_secret(the_world: World) -> None:
    kid = await kid_of(the_world)
    async with the_world.http.get(f"{the_world.entra_url}/common/discovery/v2.0/keys") as answer:
        public = jwt.PyJWK((await answer.json())["keys"][0]).key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, claims = (
        _segment({"alg": "HS256", "typ": "JWT", "kid": kid}),
        _segment(good(the_world)),
    )
    import hashlib
    import hmac

    mac = hmac.new(pem, f"{header}.{claims}".encode(), hashlib.sha256).digest()
    token = f"{header}.{claims}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    await refused(the_world, f"Bearer {token}", "wrong-algorithm")


async def test_a_strangers_key_under_our_key_id(the_world: World) -> None:
    token = jwt.encode(good(the_world), STRANGER, algorithm="RS256", headers={"kid": await kid_of(the_world)})
    await refused(the_world, f"Bearer {token}", "bad-signature")


async def test_a_strangers_key_under_its_own_key_id(the_world: World) -> None:
    token = jwt.encode(good(the_world), STRANGER, algorithm="RS256", headers={"kid": "stranger"})
    await refused(the_world, f"Bearer {token}", "unknown-key-id")


async def test_a_key_that_the_token_brings_itself(the_world: World) -> None:
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(STRANGER.public_key()))
    token = jwt.encode(good(the_world), STRANGER, algorithm="RS256", headers={"kid": "own", "jwk": jwk})
    await refused(the_world, f"Bearer {token}", "unknown-key-id")


async def test_without_key_id(the_world: World) -> None:
    await refused(the_world, f"Bearer {await the_world.sign(good(the_world), kid=None)}", "no-key-id")


async def test_the_channels_key_signs_no_users(the_world: World) -> None:
    await refused(
        the_world, f"Bearer {await the_world.sign(good(the_world), key='channel')}", "unknown-key-id"
    )


async def test_a_changed_claim_under_an_old_signature(the_world: World) -> None:
    header, _, signature = (await the_world.sign(good(the_world))).split(".")
    token = f"{header}.{_segment(good(the_world) | {'oid': str(uuid.uuid4())})}.{signature}"
    await refused(the_world, f"Bearer {token}", "bad-signature")


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        ("Bearer", "not-bearer"),
        ("Bearer  ", "not-bearer"),
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "not-bearer"),
        ("Bearer nonsense", "malformed"),
        ("Bearer a.b.c", "malformed"),
        ("Bearer " + "." * 50, "malformed"),
        ("Bearer " + "A" * 7000 + ".B.C", "malformed"),
    ],
)
async def test_what_is_no_token(the_world: World, authorization: str | None, reason: str) -> None:
    await refused(the_world, authorization, reason)


@pytest.mark.parametrize("path", ["state", "licences", "events"])
async def test_every_operation_asks_for_a_token(the_world: World, path: str) -> None:
    async with the_world.http.get(f"{the_world.demo.service_url}/api/v1/{path}") as response:
        assert response.status == 401


async def refused(world: World, authorization: str | None, reason: str) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    before = len(world.log_entries())
    async with world.http.get(f"{world.demo.service_url}/api/v1/state", headers=headers) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.content_type == "application/problem+json"
        problem = await response.json()
    assert problem["code"] == "token-rejected" and problem["reason"] is None
    logged = [entry for entry in world.log_entries()[before:] if entry["message"] == "token rejected"]
    assert [entry["reason"] for entry in logged] == [reason]
    assert logged[0]["request_id"] == problem["requestId"]


def _segment(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
