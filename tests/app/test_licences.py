"""Licences through the API, the link and the bot's outbox: waiting, policies, exports, usage, the mix at the PBX."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from simulator.people import LICENCE_PERMISSION
from tests.support.postgres import Postgres
from tests.support.world import ANNA, BEN, CLARA, World, eventually

A_MINUTE = 65.0
"""A change at the PBX is known within a minute."""


@pytest.fixture
async def holders(world: World) -> AsyncIterator[World]:
    """Clara, the administrator, and Anna hold the two seats; Ben has lost his own licence."""
    await world.pbx("PATCH", f"users/{BEN.login}", {"permissions": []})
    for person in (CLARA, ANNA):
        answer = await world.client(person).sign_in(world.pbx_name, world.key)
        assert answer.status == 200, answer
    yield world
    clara = world.client(CLARA)
    for pool in (await clara.call("GET", "licences")).body.get("pools", []):
        policy = {"idleHours": None, "reservations": [], "admitted": None}
        await clara.call("PUT", "licences/policy", {"poolId": pool["poolId"], "policy": policy})
    await world.client(BEN).call("DELETE", "waiting")


async def test_refused_waiting_offered_signed_in(holders: World) -> None:
    ben = holders.client(BEN)
    assert (await ben.call("POST", "waiting")).body["code"] == "not-refused"
    refused = await ben.sign_in(holders.pbx_name, holders.key)
    assert (refused.status, refused.body["reason"]) == (409, "pool-exhausted")
    assert "2 of 2" in refused.body["detail"]
    state = await ben.state()
    assert state["waiting"] == {
        "pbxName": holders.pbx_name,
        "joined": False,
        "position": 1,
        "offeredUntil": None,
    }
    joined = await ben.call("POST", "waiting")
    assert joined.body["waiting"]["joined"]
    view = await holders.client(CLARA).call("GET", "licences")
    assert view.body["waiting"] == 1

    await holders.client(ANNA).sign_out()
    offered = (await ben.state())["waiting"]
    assert offered["offeredUntil"] is not None
    anna_again = await holders.client(ANNA).sign_in(holders.pbx_name, holders.key)
    assert anna_again.body["reason"] == "pool-exhausted" and "1 more" in anna_again.body["detail"]
    assert (await ben.sign_in(holders.pbx_name, holders.key)).status == 200
    assert (await ben.state())["licence"]["kind"] == "FL"


async def test_an_administrator_is_not_locked_out_by_a_full_pool(holders: World) -> None:
    """Finding B1 of the walk: the user who could free a seat was asked to contact the administrator."""
    clara, ben, anna = holders.client(CLARA), holders.client(BEN), holders.client(ANNA)
    await clara.sign_out()
    await anna.sign_out()
    for client in (ben, anna):
        assert (await client.sign_in(holders.pbx_name, holders.key)).body["licence"]["kind"] == "FL"
    state = (await clara.sign_in(holders.pbx_name, holders.key)).body
    assert state["signedIn"] and state["licence"]["kind"] == "ADM" and state["waiting"] is None
    view = (await clara.call("GET", "licences")).body
    assert {holder["login"]: holder["kind"] for holder in view["holders"]} == {
        ANNA.login: "FL",
        BEN.login: "FL",
        CLARA.login: "ADM",
    }
    assert [(pool["seatsUsed"], pool["seatsTotal"]) for pool in view["pools"]] == [(2, 2)]
    exported = (await clara.call("GET", "licences/export?format=csv")).body["content"].decode("utf-8-sig")
    assert "none, administration only" in exported and "ADM" not in exported
    (bens,) = [holder["sessionId"] for holder in view["holders"] if holder["login"] == BEN.login]
    assert (await clara.call("POST", "licences/revoke", {"sessionIds": [bens], "reason": ""})).status == 200
    assert (await clara.sign_in(holders.pbx_name, holders.key)).body["licence"]["kind"] == "FL"
    # Anyone who is no administrator is refused as before.
    refused = await ben.sign_in(holders.pbx_name, holders.key)
    assert (refused.status, refused.body["reason"]) == (409, "pool-exhausted")


async def test_a_reservation_and_who_is_admitted(holders: World) -> None:
    clara = holders.client(CLARA)
    people = (await clara.call("GET", "licences/people?search=anna")).body
    assert [group["name"] for group in people["groups"]] == ["Vertrieb"]
    (anna,) = [user for user in people["users"] if user["login"] == ANNA.login]
    (pool,) = (await clara.call("GET", "licences")).body["pools"]
    assert (pool["seatsUsed"], pool["seatsTotal"], pool["seatsFree"]) == (2, 2, 0)

    too_many = {"id": "r", "name": "R", "seats": 3, "people": {"userIds": [anna["id"]], "groupIds": []}}
    policy = {"idleHours": 8, "reservations": [too_many], "admitted": None}
    refused = await clara.call("PUT", "licences/policy", {"poolId": pool["poolId"], "policy": policy})
    assert (refused.status, refused.body["code"]) == (422, "bad-policy")

    policy = {"idleHours": 8, "reservations": [], "admitted": {"userIds": [], "groupIds": [1]}}
    taken = await clara.call("PUT", "licences/policy", {"poolId": pool["poolId"], "policy": policy})
    assert taken.body["pools"][0]["policy"] == policy
    await holders.client(ANNA).sign_out()
    ben = await holders.client(BEN).sign_in(holders.pbx_name, holders.key)
    assert ben.body["reason"] == "not-admitted"
    # Anna belongs to the group.
    assert (await holders.client(ANNA).sign_in(holders.pbx_name, holders.key)).status == 200


async def test_the_table_is_searched_sorted_and_paged_by_the_service(holders: World) -> None:
    clara = holders.client(CLARA)
    page = (await clara.call("GET", "licences?sort=name&descending=true&limit=1")).body
    assert page["found"] == 2 and [one["displayName"] for one in page["holders"]] == ["Clara Vogt"]
    page = (await clara.call("GET", "licences?sort=name&limit=1&offset=1")).body
    assert [one["displayName"] for one in page["holders"]] == ["Clara Vogt"]
    found = (await clara.call("GET", "licences?search=BERG")).body
    assert [one["displayName"] for one in found["holders"]] == ["Anna Berger"] and found["found"] == 1
    assert (await clara.call("GET", "licences?search=%25")).body["found"] == 0
    for language, word, count in (
        ("de", "Floating-Liz", 2),
        ("de", "benutzerlizenz", 0),
        ("en", "floating", 2),
    ):
        answer = await holders.client(CLARA, language).call("GET", f"licences?search={word}")
        assert answer.body["found"] == count, word
    assert (await clara.call("GET", "licences?limit=100000")).body["code"] == "invalid-request"
    assert (await clara.call("GET", "licences?nonsense=1")).body["code"] == "invalid-request"


async def test_exports_usage_and_advice_are_for_administrators(holders: World) -> None:
    clara, anna = holders.client(CLARA), holders.client(ANNA)
    for path in ("licences/export", "audit/export", "licences/usage", "licences/advice", "licences/people"):
        assert (await anna.call("GET", path)).body["code"] == "not-administrator", path
    clara.language = "de"
    export = (await clara.call("GET", "licences/export?timeZone=Europe/Berlin")).body
    assert export["fileName"] == "Lizenzen.csv"
    rows = list(csv.reader(export["content"].decode("utf-8-sig").splitlines(), delimiter=";"))
    assert [row[0] for row in rows] == ["Benutzer der Telefonanlage", "Anna Berger", "Clara Vogt"]
    clara.language = "en"
    audit = (await clara.call("GET", "audit/export?timeZone=Nowhere/Land")).body["content"].decode()
    assert "granted" in audit and "Anna Berger" in audit
    await the_audit_of_days(clara)
    usage = (await clara.call("GET", "licences/usage?span=day")).body
    assert usage["seats"] == 2 and usage["buckets"][-1]["peak"] == 2 and len(usage["buckets"]) == 24
    advice = (await clara.call("GET", "licences/advice?ualPrice=5&flPrice=7.5")).body
    assert not advice["enoughHistory"] and advice["now"] == {"ual": 0, "fl": 2, "cost": 15.0}


@pytest.fixture
async def second_key(holders: World) -> AsyncIterator[World]:
    """Another key of two seats, for members of the group that Anna is in."""
    keys = [await holders.demo.licence_key(2, serial) for serial in ("DEMO-1", "GROUP-1")]
    await holders.demo.stop_part("connector")
    await holders.demo.start_connector(keys=json.dumps(keys))
    await holders.connected()
    clara = holders.client(CLARA)
    pool_id = next(pool["poolId"] for pool in await pools(clara) if pool["serial"] == "GROUP-1")
    admitted = {"userIds": [], "groupIds": [1]}
    policy = {"idleHours": None, "reservations": [], "admitted": admitted}
    answer = await clara.call("PUT", "licences/policy", {"poolId": pool_id, "policy": policy})
    assert answer.status == 200, answer.body
    yield holders
    policy["admitted"] = None
    await clara.call("PUT", "licences/policy", {"poolId": pool_id, "policy": policy})
    await holders.demo.stop_part("connector")
    await holders.demo.start_connector()
    await holders.connected()


async def pools(clara: Any) -> Any:
    return (await clara.call("GET", "licences")).body["pools"]


async def test_a_group_lets_a_session_of_an_expired_key_go_to_another(second_key: World) -> None:
    clara = second_key.client(CLARA)
    with second_key.expired_key():

        async def used() -> bool:
            return {pool["serial"]: pool["seatsUsed"] for pool in await pools(clara)} == {
                "DEMO-1": 1,
                "GROUP-1": 1,
            }

        await eventually(used, "Anna has a seat of the other key")
        assert (await second_key.client(ANNA).state())["licence"]["endsBy"] is None
        assert (await clara.state())["licence"]["endsBy"], "Clara is in no group, and has the hour"


async def the_audit_of_days(clara: Any) -> None:
    zone = ZoneInfo("Pacific/Kiritimati")  # the first to see a day
    today = datetime.now(zone).date()
    path = f"audit/export?timeZone={zone.key}"
    for query, is_there in (
        (f"&since={today}&until={today}", True),
        (f"&until={today - timedelta(days=2)}", False),
        (f"&since={today + timedelta(days=1)}", False),
        ("&until=2000-01-01", False),
        ("&until=2999-12-31", False),
    ):
        found = (await clara.call("GET", path + query)).body
        assert (b"Anna Berger" in found["content"]) is is_there, query
        assert found["complete"]
    for query in (f"&since={today}&until={today - timedelta(days=1)}", "&since=0001-01-01", "&until=soon"):
        assert (await clara.call("GET", path + query)).code == "invalid-request", query


async def test_what_changes_at_the_pbx_reaches_the_sessions_within_a_minute(holders: World) -> None:
    anna = holders.client(ANNA)
    await holders.pbx("PATCH", f"users/{ANNA.login}", {"permissions": [LICENCE_PERMISSION]})

    async def has_ual() -> bool:
        return (await anna.state())["licence"]["kind"] == "UAL"

    await eventually(has_ual, "the session moves to the user's own licence", A_MINUTE)
    assert (await anna.state())["licence"]["seatsUsed"] == 1
    # Ben takes the seat that came free; then Anna loses the permission, and nothing is left for her.
    assert (await holders.client(BEN).sign_in(holders.pbx_name, holders.key)).status == 200
    await holders.pbx("PATCH", f"users/{ANNA.login}", {"permissions": []})

    async def is_out() -> bool:
        return not (await anna.state())["signedIn"]

    await eventually(is_out, "the session ends, because no seat is free", A_MINUTE)
    assert (await anna.state())["sessionEnd"]["cause"] == "licence-lost"


async def test_the_whole_service_on_postgresql(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = World(
        tmp_path_factory.mktemp("postgres"), seats=1, database_url=postgres.new_database("whole_service")
    )
    await world.start()
    try:
        anna, ben, clara = (world.client(person) for person in (ANNA, BEN, CLARA))
        assert (await anna.sign_in(world.pbx_name, world.key)).body["licence"]["kind"] == "FL"
        assert (await ben.sign_in(world.pbx_name, world.key)).body["licence"]["kind"] == "UAL"
        assert (await clara.sign_in(world.pbx_name, world.key)).body["licence"]["kind"] == "ADM"
        await anna.sign_out()
        assert (await clara.sign_in(world.pbx_name, world.key)).status == 200
        view = (await clara.call("GET", "licences")).body
        assert view["found"] == 2 and view["pools"][0]["seatsUsed"] == 1
        assert (await clara.call("PUT", "trust", {"trusted": True})).body["tenantTrusted"]

        # The database goes away and comes back: a clear word meanwhile, nothing lost after.
        await asyncio.to_thread(postgres.kill)
        gone = await anna.sign_in(world.pbx_name, world.key)
        assert (gone.status, gone.body["code"]) == (503, "storage-unavailable")
        await asyncio.to_thread(postgres.start)

        async def is_back() -> bool:
            return (await clara.call("GET", "state")).body.get("signedIn", False)

        await eventually(is_back, "the service finds its database again")
        assert (await clara.sign_out()).status == 200
        assert (await anna.sign_in(world.pbx_name, world.key)).status == 200
    finally:
        await world.stop()
