"""Signing in without the PBX key, where an administrator wants that; and more than one PBX for one organisation."""

from collections.abc import AsyncIterator

import pytest

from simulator.demo import Site
from tests.support.keyless import (
    ONE_CLICK_PRIMARY,
    forget_session,
    second_pbx,
    set_trust,
    sign_in_without_key,
)
from tests.support.world import ANNA, BEN, CLARA, World, eventually


@pytest.fixture
async def branch(world: World) -> AsyncIterator[Site]:
    async with second_pbx(world) as site:
        yield site


async def test_nothing_is_offered_until_an_administrator_permits_it(world: World) -> None:
    anna = world.client(ANNA)
    assert (await anna.state())["offers"] == []
    await set_trust(world, trusted=True)
    assert (await anna.state())["offers"] == [], "trust alone still needs the key"
    refused, unknown = (
        await sign_in_without_key(world),
        await sign_in_without_key(world, pbx_name="nobody.example.com"),
    )
    assert refused.status == unknown.status == 403
    assert refused.code == unknown.code == "tenant-not-trusted"


async def test_one_click_signs_in_with_a_licence_by_the_same_rules(world: World) -> None:
    decided = await set_trust(world, **ONE_CLICK_PRIMARY)
    assert decided.body["entry"] == "one-click" and decided.body["isPrimary"]
    assert decided.body["primaryName"] == world.pbx_name
    offer = {"pbxName": world.pbx_name, "isPrimary": True, "automatic": False, "asksConsent": False}
    assert (await world.client(ANNA).state())["offers"] == [offer]
    assert (await sign_in_without_key(world, ANNA)).body["licence"]["kind"] == "FL"
    assert (await sign_in_without_key(world, BEN)).body["licence"]["kind"] == "UAL"
    await world.client(CLARA).sign_out()
    await sign_in_without_key(world, CLARA)
    await world.pbx("PATCH", "users/1002", {"permissions": []})
    await world.client(BEN).sign_out()

    async def refused() -> bool:
        return (await sign_in_without_key(world, BEN)).code == "no-licence"

    await eventually(refused, "two seats are held, and Ben's permission is gone")
    assert (await world.client(BEN).state())["waiting"]["joined"] is False


async def test_automatically_only_where_the_administrator_wants_it_and_the_person_has_agreed(
    world: World,
) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    assert (await sign_in_without_key(world, BEN, byItself=True)).code == "not-automatic"
    await set_trust(world, trusted=True, entry="automatic")
    ben = world.client(BEN)
    (offer,) = (await ben.state())["offers"]
    assert offer["asksConsent"] and not offer["automatic"], "Ben has never been there"
    assert (await sign_in_without_key(world, BEN, byItself=True)).code == "not-automatic"
    assert (await sign_in_without_key(world, BEN)).status == 200, "his click is the consent"
    forget_session(world, BEN)
    (offer,) = (await ben.state())["offers"]
    assert offer["automatic"] and not offer["asksConsent"]
    assert (await sign_in_without_key(world, BEN, byItself=True)).status == 200
    await ben.sign_out()
    assert not (await ben.state())["offers"][0]["automatic"], "who signed out on purpose stays out"
    assert (await sign_in_without_key(world, BEN, byItself=True)).code == "not-automatic"
    assert (await sign_in_without_key(world, BEN)).status == 200


async def test_who_was_signed_out_by_an_administrator_is_not_signed_in_again_automatically(
    world: World,
) -> None:
    await set_trust(world, trusted=True, entry="automatic", primary=True)
    signed_in = await sign_in_without_key(world, ANNA)
    assert signed_in.status == 200
    clara = world.client(CLARA)
    holders = (await clara.call("GET", "licences")).body["holders"]
    session_id = next(holder["sessionId"] for holder in holders if holder["displayName"] == "Anna Berger")
    await clara.call("POST", "licences/revoke", {"sessionIds": [session_id], "reason": ""})
    assert not (await world.client(ANNA).state())["offers"][0]["automatic"]
    assert (await sign_in_without_key(world, ANNA, byItself=True)).code == "not-automatic"


async def test_an_address_that_no_pbx_user_has_is_reported(world: World) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    await world.pbx("PATCH", "users/1001", {"email": "somebody.else@example.com"})
    assert (await sign_in_without_key(world, ANNA)).code == "email-not-matched"


async def test_giving_trust_up_closes_the_door(world: World) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    await set_trust(world, trusted=False)
    assert (await world.client(ANNA).state())["offers"] == []
    assert (await sign_in_without_key(world, ANNA)).code == "tenant-not-trusted"
    again = await set_trust(world, trusted=True)
    assert again.body["entry"] == "with-key" and not again.body["isPrimary"], "nothing is remembered"


async def test_a_tenant_has_one_main_pbx_which_its_spokesperson_chooses(world: World, branch: Site) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    taken = await set_trust(world, branch.pbx_name, world.demo.pbx_key(branch), **ONE_CLICK_PRIMARY)
    assert taken.body["isPrimary"] and taken.body["primaryName"] == branch.pbx_name
    first = await set_trust(world, trusted=True)
    assert first.body["primaryName"] == branch.pbx_name and not first.body["isPrimary"]
    assert first.body["entry"] == "one-click", "everything else stays"
    assert (await set_trust(world, **ONE_CLICK_PRIMARY)).body["primaryName"] == world.pbx_name


async def test_switching_to_another_pbx_and_back(world: World, branch: Site) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    await set_trust(world, branch.pbx_name, world.demo.pbx_key(branch), trusted=True, entry="one-click")
    await world.client(CLARA).sign_out()
    await sign_in_without_key(world, ANNA)
    offers = (await world.client(ANNA).state())["offers"]
    assert [offer["pbxName"] for offer in offers] == [world.pbx_name, branch.pbx_name]
    switched = await sign_in_without_key(world, ANNA, branch.pbx_name)
    assert switched.body["connection"]["pbxName"] == branch.pbx_name
    assert (await sign_in_without_key(world, BEN)).status == 200
    assert (await sign_in_without_key(world, CLARA)).body["licence"]["seatsUsed"] == 1, (
        "Anna's seat came free here"
    )
    # The branch has one seat: who switches there and gets none stays where they are.
    refused = await sign_in_without_key(world, CLARA, branch.pbx_name)
    assert refused.code == "no-licence"
    assert (await world.client(CLARA).state())["connection"]["pbxName"] == world.pbx_name
    assert (await sign_in_without_key(world, ANNA)).body["connection"]["pbxName"] == world.pbx_name


async def test_a_pbx_that_is_away_is_reported_and_the_session_stays(world: World, branch: Site) -> None:
    await set_trust(world, branch.pbx_name, world.demo.pbx_key(branch), trusted=True, entry="one-click")
    await set_trust(world, world.pbx_name, world.key, **ONE_CLICK_PRIMARY)
    await sign_in_without_key(world, ANNA)
    await world.demo.stop_part("connector-2")

    async def told() -> bool:
        return (await sign_in_without_key(world, ANNA, branch.pbx_name)).code == "link-down"

    await eventually(told, "the link of the branch is down")
    assert (await world.client(ANNA).state())["connection"]["pbxName"] == world.pbx_name
    await world.demo.start_connector(branch)
