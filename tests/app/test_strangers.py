"""Strangers, guests and people who are somebody elsewhere, from outside: nobody gains here what they hold there.

The recipes of the security findings B2, M1 and M2, with tokens as they would be issued and a connector made by hand.
"""

import time
from contextlib import closing
from typing import Any

import pytest

from core.identity.token_user import GLOBAL_ADMINISTRATOR
from simulator.people import APP_ID, TENANT_ID
from tests.support.keyless import ONE_CLICK_PRIMARY, set_trust, sign_in_without_key
from tests.support.operator import run_operator_command
from tests.support.tab_client import Answer
from tests.support.world import ANNA, BEN, CLARA, World
from wire.pbxkey import digest, parse_key

OTHER_TENANT = "99999999-9999-4999-8999-999999999999"
MALLORY = "99999999-aaaa-4aaa-8aaa-999999999999"
BY_EMAIL = {"method": "email"}


async def token(world: World, **claims: Any) -> str:
    """Of Mallory, a member of the tenant who is nobody at the PBX; `claims` make her somebody else."""
    now = int(time.time())
    given = {
        "aud": APP_ID,
        "iss": f"https://127.0.0.1:{world.demo.entra_port}/{TENANT_ID}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "tid": TENANT_ID,
        "oid": MALLORY,
        "scp": "access_as_user",
        "azp": "1fec8e78-bce4-4aaf-ab1b-5451cc387264",
        "name": "Mallory",
        "acct": 0,
        "preferred_username": "mallory@example.com",
        "email": "mallory@example.com",
        "xms_edov": True,
        "ver": "2.0",
    } | claims
    return await world.sign({name: value for name, value in given.items() if value is not None})


async def keyless(world: World, token: str, **more: Any) -> Answer:
    body = {"pbxName": world.pbx_name, **more}
    return await world.client(ANNA).call("POST", "sign-in/keyless", body, token=token)


IMPOSTORS: dict[str, tuple[dict[str, Any], str]] = {
    "a guest with Clara's address": (
        {"acct": 1, "idp": f"https://sts.windows.net/{OTHER_TENANT}/", "email": CLARA.email},
        "guest",
    ),
    "a guest whose token says only where they come from": (
        {"acct": None, "idp": f"https://sts.windows.net/{OTHER_TENANT}/", "email": CLARA.email},
        "guest",
    ),
    "a guest by name": ({"preferred_username": f"{ANNA.email}#EXT#@x.onmicrosoft.com"}, "guest"),
    "a member with an address that nobody verified": (
        {"email": ANNA.email.upper(), "xms_edov": False},
        "email-not-verified",
    ),
    "a member with an address of which nothing is said": (
        {"email": ANNA.email, "xms_edov": None},
        "email-not-matched",
    ),
}


@pytest.mark.parametrize("who", IMPOSTORS)
async def test_an_address_alone_makes_nobody_somebody_else(world: World, who: str) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    claims, code = IMPOSTORS[who]
    impostor = await token(world, **claims)
    assert (await keyless(world, impostor)).code == code
    client = world.client(ANNA)
    key_digest = digest(parse_key(world.key))
    body = {"pbxName": world.pbx_name, "keyDigest": key_digest, "proof": BY_EMAIL}
    assert (await client.call("POST", "sign-in", body, token=impostor)).code == code
    state = (await client.call("GET", "state", token=impostor)).body
    assert not state["signedIn"]


async def test_once_somebody_is_a_pbx_user_nobody_else_becomes_it_by_email(world: World) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    assert (await sign_in_without_key(world, ANNA)).status == 200
    await world.client(ANNA).sign_out()
    renamed = await token(world, email=ANNA.email)  # anyone who administers users can write this
    assert (await keyless(world, renamed)).code == "identity-changed"
    assert (await keyless(world, renamed, takeOver=True)).code == "identity-changed"
    assert (await sign_in_without_key(world, ANNA)).status == 200


async def test_an_address_makes_no_administrator_until_the_password_is_given(world: World) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    clara = world.client(CLARA)
    await clara.sign_out()
    state = (await sign_in_without_key(world, CLARA)).body
    assert not state["person"]["isAdministrator"] and state["person"]["needsPassword"]
    for method, path, body in (
        ("GET", "licences", None),
        ("GET", "connection", None),
        ("GET", "trust", None),
        ("PUT", "trust", {"trusted": False}),
        ("POST", "connection/doctor", None),
        ("GET", "audit/export?timeZone=UTC", None),
    ):
        refused = await clara.call(method, path, body)
        assert (refused.status, refused.code) == (403, "password-needed"), path
    await clara.sign_in(world.pbx_name, world.key)
    state = await clara.state()
    assert state["person"]["isAdministrator"] and not state["person"]["needsPassword"]
    assert (await clara.call("GET", "licences")).status == 200


async def test_an_administrator_of_a_pbx_does_not_speak_for_the_tenant(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    plain = await token(world, oid=CLARA.object_id, wids=[])
    for wish in ({"entry": "one-click"}, {"entry": "automatic"}, {"primary": True}):
        refused = await clara.call("PUT", "trust", {"trusted": True, **wish}, token=plain)
        assert (refused.status, refused.code) == (403, "tenant-authority-needed")
    allowed = await clara.call("PUT", "trust", {"trusted": True}, token=plain)
    assert allowed.status == 200 and not allowed.body["mayOffer"], "with the key: it is her PBX"
    guest = await token(world, oid=CLARA.object_id, acct=1, wids=[GLOBAL_ADMINISTRATOR])
    await clara.call("PUT", "trust", {"trusted": False}, token=guest)
    for wish in ({}, {"entry": "one-click"}, {"primary": True}):
        refused = await clara.call("PUT", "trust", {"trusted": True, **wish}, token=guest)
        assert (refused.status, refused.code) == (403, "guest")


async def test_the_operator_speaks_where_nobody_else_does(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    plain = await token(world, oid=CLARA.object_id, wids=[])
    assert "may now let people" in await operator_of_trust(world, "approve", world.pbx_name, TENANT_ID)
    assert (
        await clara.call("PUT", "trust", {"trusted": True, "entry": "one-click"}, token=plain)
    ).status == 200
    shown = await operator_of_trust(world, "show", world.pbx_name)
    assert TENANT_ID in shown and "one-click" in shown and "approved" in shown
    assert (await sign_in_without_key(world, ANNA)).status == 200
    assert "1 sessions have ended" in await operator_of_trust(world, "remove", world.pbx_name, TENANT_ID)
    assert (await world.client(ANNA).state())["sessionEnd"]["cause"] == "trust-withdrawn"


async def test_administrators_see_and_remove_what_a_stranger_left(world: World) -> None:
    """Corresponds to a hand-over before this was fixed: the PBX trusts a tenant that nobody here knows."""
    with closing(world.database()) as database, database:
        database.execute(
            "INSERT INTO trusted_tenant (pbx_id, tenant_id, trusted_by, at, entry, is_primary)"
            " SELECT id, ?, 'Mallory', 0, 'one-click', true FROM pbx WHERE name = ?",
            (OTHER_TENANT, world.pbx_name),
        )
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    (seen,) = (await clara.call("GET", "trust")).body["tenants"]
    assert (seen["tenantId"], seen["trustedBy"], seen["entry"]) == (OTHER_TENANT, "Mallory", "one-click")
    assert seen["isPrimary"] and not seen["isMine"]
    removed = await clara.call("POST", "trust/remove", {"tenantId": OTHER_TENANT})
    assert removed.status == 200 and removed.body["tenants"] == []
    assert (await world.client(BEN).call("POST", "trust/remove", {"tenantId": OTHER_TENANT})).status == 403
    audit = (await clara.call("GET", "audit/export?timeZone=UTC")).body["content"].decode()
    assert OTHER_TENANT in audit


async def test_withdrawn_trust_ends_the_sessions_that_it_proved(world: World) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    assert (await sign_in_without_key(world, ANNA)).status == 200
    await world.client(BEN).sign_in(world.pbx_name, world.key)
    await set_trust(world, trusted=False)
    anna, ben = await world.client(ANNA).state(), await world.client(BEN).state()
    assert not anna["signedIn"] and anna["sessionEnd"]["cause"] == "trust-withdrawn"
    assert ben["signedIn"], "Ben gave his password"


async def operator_of_trust(world: World, *arguments: str) -> str:
    return await run_operator_command(world, *arguments, group="trust")
