"""The whole path through service, link, connector and PBX, as the tab's requests see it."""

import asyncio
import signal

import pytest

from simulator.people import LICENCE_PERMISSION
from tests.support.world import ANNA, BEN, CLARA, World, eventually

NOBODY = "0192f0c1-2f3a-7b4c-8d5e-6f7a8b9c0d1e"
"""The id of no session."""


async def test_a_user_signs_in_and_sees_who_they_are(world: World) -> None:
    answer = await world.client(ANNA).sign_in(world.pbx_name, world.key)
    assert answer.status == 200
    state = await world.client(ANNA).state()
    assert state["person"] == {
        "login": "1001",
        "displayName": "Anna Berger",
        "email": "anna.berger@example.com",
        "isAdministrator": False,
        "needsPassword": False,
    }
    assert (state["licence"]["kind"], state["licence"]["seatsUsed"], state["licence"]["seatsTotal"]) == (
        "FL",
        1,
        2,
    )
    assert state["connection"]["connected"] and state["connection"]["pbxVersion"] == "6.7.3.20"


async def test_who_holds_the_permission_takes_no_seat(world: World) -> None:
    await world.client(BEN).sign_in(world.pbx_name, world.key)
    licence = (await world.client(BEN).state())["licence"]
    assert (licence["kind"], licence["seatsUsed"]) == ("UAL", 0)


async def test_the_name_does_not_tell_case_and_the_key_is_forgiving(world: World) -> None:
    typed = world.key.lower().replace("-", " ")
    answer = await world.client().sign_in(f" {world.pbx_name.upper()}. ", typed)
    assert answer.status == 200


async def test_an_administrator_revokes_and_the_user_is_informed(world: World) -> None:
    anna, clara = world.client(ANNA), world.client(CLARA)
    await anna.sign_in(world.pbx_name, world.key)
    await clara.sign_in(world.pbx_name, world.key)
    view = (await clara.call("GET", "licences")).body
    held = {holder["displayName"]: holder for holder in view["holders"]}
    assert set(held) == {"Anna Berger", "Clara Vogt"} and held["Clara Vogt"]["isMe"]
    assert view["pools"][0]["seatsUsed"] == 2
    body = {"sessionIds": [held["Anna Berger"]["sessionId"]], "reason": "Please call me"}
    assert (await clara.call("POST", "licences/revoke", body)).status == 200
    state = await anna.state()
    assert not state["signedIn"]
    assert state["sessionEnd"]["cause"] == "revoked" and state["sessionEnd"]["reason"] == "Please call me"
    assert (await clara.call("GET", "licences")).body["pools"][0]["seatsUsed"] == 1
    again = await clara.call("POST", "licences/revoke", body)
    assert (again.status, again.code) == (410, "session-gone")


async def test_a_revoked_seat_is_seen_in_the_open_tab_within_a_second(world: World) -> None:
    anna, clara = world.client(ANNA), world.client(CLARA)
    await anna.sign_in(world.pbx_name, world.key)
    await clara.sign_in(world.pbx_name, world.key)
    session_id = next(
        holder["sessionId"]
        for holder in (await clara.call("GET", "licences")).body["holders"]
        if not holder["isMe"]
    )
    headers = {"Authorization": f"Bearer {await anna.token()}"}
    async with world.http.get(f"{world.demo.service_url}/api/v1/events", headers=headers) as stream:
        while b'"signedIn":true' not in await stream.content.readline():
            pass
        await clara.call("POST", "licences/revoke", {"sessionIds": [session_id]})
        async with asyncio.timeout(1):
            while b'"signedIn":false' not in await stream.content.readline():
                pass


async def test_only_administrators_see_and_revoke(world: World) -> None:
    anna = world.client(ANNA)
    assert (await anna.call("GET", "licences")).code == "not-signed-in"
    await anna.sign_in(world.pbx_name, world.key)
    assert (await anna.call("GET", "licences")).code == "not-administrator"
    assert (await anna.call("POST", "licences/revoke", {"sessionIds": [NOBODY]})).code == "not-administrator"
    assert (await anna.call("PUT", "trust", {"trusted": True})).code == "not-administrator"


async def test_who_is_no_administrator_any_more_cannot_act(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    await world.pbx("PATCH", f"users/{CLARA.login}", {"permissions": []})
    assert (await clara.call("PUT", "trust", {"trusted": True})).code == "not-administrator"
    assert not (await clara.state())["person"]["isAdministrator"]


async def test_an_unknown_name_and_a_wrong_key_are_indistinguishable(world: World) -> None:
    wrong = "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-XGPU"
    from wire.pbxkey import grouped, new_key

    wrong = grouped(new_key())
    unknown = await world.client().sign_in("pbx.example.net", wrong)
    mistaken = await world.client().sign_in(world.pbx_name, wrong)
    for answer in (unknown, mistaken):
        answer.body.pop("requestId")
        answer.body["detail"] = answer.body["detail"].replace("example.net", "example.com")
    assert unknown == mistaken
    assert (unknown.status, unknown.code) == (403, "wrong-key")


async def test_a_wrong_password_is_reported_and_takes_no_seat(world: World) -> None:
    answer = await world.client().sign_in(world.pbx_name, world.key, password="wrong")
    assert (answer.status, answer.code) == (403, "login-rejected")
    assert answer.body["cure"]
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    assert (await clara.call("GET", "licences")).body["pools"][0]["seatsUsed"] == 1


async def test_a_challenge_is_good_once(world: World) -> None:
    client = world.client()
    proof = client.proof((await client.prepare(world.pbx_name, world.key)).body, world.key)
    assert (await client.submit(world.pbx_name, world.key, proof)).status == 200
    assert (await client.submit(world.pbx_name, world.key, proof)).code == "challenge-expired"


async def test_an_exhausted_pool_names_used_and_total(world: World) -> None:
    await world.pbx("PATCH", f"users/{BEN.login}", {"permissions": []})
    for person in (ANNA, CLARA):
        assert (await world.client(person).sign_in(world.pbx_name, world.key)).status == 200
    answer = await world.client(BEN, "de").sign_in(world.pbx_name, world.key)
    assert (answer.status, answer.code, answer.body["reason"]) == (409, "no-licence", "pool-exhausted")
    assert "2 von 2" in answer.body["detail"]
    await world.client(ANNA).sign_out()
    assert (await world.client(BEN).sign_in(world.pbx_name, world.key)).status == 200


async def test_a_retry_takes_no_second_seat(world: World) -> None:
    answers = await asyncio.gather(*(world.client(ANNA).sign_in(world.pbx_name, world.key) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}
    assert (await world.client(ANNA).state())["licence"]["seatsUsed"] == 1


async def test_gaining_the_permission_gives_the_seat_back(world: World) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    await world.pbx("PATCH", f"users/{ANNA.login}", {"permissions": [LICENCE_PERMISSION]})
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    licence = (await world.client(ANNA).state())["licence"]
    assert (licence["kind"], licence["seatsUsed"]) == ("UAL", 0)


async def test_a_second_teams_identity_is_asked_before_it_takes_over(world: World) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    as_anna = {"login": ANNA.login, "password": ANNA.password}
    asked = await world.client(BEN).sign_in(world.pbx_name, world.key, **as_anna)
    assert (asked.status, asked.code) == (409, "session-held-elsewhere")
    assert "Anna Berger" in asked.body["detail"]
    assert (await world.client(ANNA).state())["signedIn"]
    taken = await world.client(BEN).sign_in(world.pbx_name, world.key, **as_anna, take_over=True)
    assert taken.body["person"]["login"] == ANNA.login and taken.body["licence"]["seatsUsed"] == 1
    assert (await world.client(ANNA).state())["sessionEnd"]["cause"] == "taken-over"


async def test_sign_in_by_email_only_in_a_trusted_tenant(world: World) -> None:
    anna, clara = world.client(ANNA), world.client(CLARA)
    by_email = {"method": "email"}
    assert (await anna.submit(world.pbx_name, world.key, by_email)).code == "tenant-not-trusted"
    await clara.sign_in(world.pbx_name, world.key)
    assert (await clara.call("PUT", "trust", {"trusted": True})).body["tenantTrusted"]
    assert (await anna.prepare(world.pbx_name, world.key)).body["emailOffered"]
    assert (await anna.submit(world.pbx_name, world.key, by_email)).body["person"]["login"] == ANNA.login
    await anna.sign_out()
    await world.pbx("PATCH", f"users/{BEN.login}", {"email": ANNA.email})
    assert (await anna.submit(world.pbx_name, world.key, by_email)).code == "email-not-matched"


async def test_a_member_of_a_trusted_tenant_is_informed_that_it_is_the_key(world: World) -> None:
    from wire.pbxkey import grouped, new_key

    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    await clara.call("PUT", "trust", {"trusted": True})
    answer = await world.client(ANNA).sign_in(world.pbx_name, grouped(new_key()))
    assert answer.body["title"] == "The PBX key is not right"


async def test_a_pbx_that_goes_away_in_the_middle_leaves_no_seat_taken(world: World) -> None:
    client = world.client()
    proof = client.proof((await client.prepare(world.pbx_name, world.key)).body, world.key)
    await world.pbx("PATCH", "settings", {"reachable": False})
    answer = await client.submit(world.pbx_name, world.key, proof)
    assert (answer.status, answer.code) == (503, "pbx-unreachable")
    await world.pbx("PATCH", "settings", {"reachable": True})
    assert not (await client.state())["signedIn"]
    clara = world.client(CLARA)

    async def signed_in() -> bool:
        return (await clara.sign_in(world.pbx_name, world.key)).status == 200

    await eventually(signed_in, "the PBX is back")
    assert (await clara.call("GET", "licences")).body["pools"][0]["seatsUsed"] == 1


async def test_a_pbx_that_is_too_old_is_refused(world: World) -> None:
    await world.pbx("PATCH", "settings", {"version": "6.6.0.1"})

    async def refused() -> bool:
        return (await world.client().prepare(world.pbx_name, world.key)).code == "pbx-too-old"

    await eventually(refused, "the connector reports the version", seconds=25)
    await world.pbx("PATCH", "settings", {"version": "6.7.3.20"})

    async def admitted() -> bool:
        return (await world.client().prepare(world.pbx_name, world.key)).status == 200

    await eventually(admitted, "the connector reports the version", seconds=25)


async def test_an_unreachable_pbx_is_a_finding_of_the_state(world: World) -> None:
    await world.client().sign_in(world.pbx_name, world.key)
    await world.pbx("PATCH", "settings", {"reachable": False})

    async def found() -> bool:
        findings = (await world.client().state())["connection"]["findings"]
        return any(finding["code"] == "pbx-unreachable" for finding in findings)

    await eventually(found, "the connector reports it", seconds=25)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_session_survives_a_restart_of_service_and_connector(
    world: World, number: signal.Signals
) -> None:
    await world.client().sign_in(world.pbx_name, world.key)
    await world.demo.stop_part("service", number)
    await world.demo.start_service()
    assert (await world.client().state())["signedIn"]

    async def reconnected() -> bool:
        return (await world.client().state())["connection"]["connected"]

    await eventually(reconnected, "the connector comes back by itself", seconds=20)
    await world.demo.stop_part("connector", number)

    async def lost() -> bool:
        connection = (await world.client().state())["connection"]
        return not connection["connected"] and connection["findings"][0]["code"] == "link-down"

    await eventually(lost, "the lost link is seen")
    refused = await world.client(BEN).prepare(world.pbx_name, world.key)
    assert (refused.status, refused.code) == (503, "link-down")
    await world.demo.start_connector()
    assert (await world.client().state())["licence"]["seatsUsed"] == 1


async def test_failed_attempts_are_throttled_per_identity(world: World) -> None:
    from wire.pbxkey import grouped, new_key

    try:
        wrong = [grouped(new_key()) for _ in range(12)]
        codes = [(await world.client(BEN).sign_in(world.pbx_name, key)).code for key in wrong]
        assert codes == ["wrong-key"] * 10 + ["throttled"] * 2
        assert (await world.client(BEN).sign_in(world.pbx_name, world.key)).code == "throttled"
        assert (await world.client(ANNA).sign_in(world.pbx_name, world.key)).status == 200
    finally:
        await world.forget_throttles()
