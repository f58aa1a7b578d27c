"""Signing in without the PBX key, where an administrator wants that; and more than one PBX for one organisation."""

from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest

from simulator.demo import SECOND_PBX_NAME, Site
from tests.support.tab_client import Answer
from tests.support.world import ANNA, BEN, CLARA, World, eventually, free_ports

PRIMARY = {"trusted": True, "entry": "one-click", "primary": True}


async def trust(world: World, pbx_name: str | None = None, key: str | None = None, **wish: Any) -> Answer:
    """Clara decides, as the administrator of this PBX, and signs out again."""
    clara = world.client(CLARA)
    await clara.sign_in(pbx_name or world.pbx_name, key or world.key)
    return await clara.call("PUT", "trust", wish)


async def click(world: World, person: Any = ANNA, pbx_name: str | None = None, **more: Any) -> Answer:
    body = {"pbxName": pbx_name or world.pbx_name, **more}
    return await world.client(person).call("POST", "sign-in/keyless", body)


@pytest.fixture
async def branch(world: World) -> AsyncIterator[Site]:
    """A second PBX, with the same people and one seat."""
    site = Site(SECOND_PBX_NAME, free_ports(1), "-2")
    world.demo.seats = 1
    await world.demo.start_site(site)
    yield site
    clara = world.client(CLARA)
    await clara.sign_in(site.pbx_name, world.demo.pbx_key(site))
    await clara.call("PUT", "trust", {"trusted": False})
    await clara.sign_out()
    await world.demo.stop_site(site)
    world.demo.seats = 2


async def test_nothing_is_offered_until_an_administrator_says_so(world: World) -> None:
    anna = world.client(ANNA)
    assert (await anna.state())["offers"] == []
    await trust(world, trusted=True)
    assert (await anna.state())["offers"] == [], "trust alone still needs the key"
    refused, unknown = await click(world), await click(world, pbx_name="nobody.example.com")
    assert refused.status == unknown.status == 403
    assert refused.code == unknown.code == "tenant-not-trusted"


async def test_one_click_signs_in_with_a_licence_by_the_same_rules(world: World) -> None:
    decided = await trust(world, **PRIMARY)
    assert decided.body["entry"] == "one-click" and decided.body["isPrimary"]
    assert decided.body["primaryName"] == world.pbx_name
    offer = {"pbxName": world.pbx_name, "isPrimary": True, "automatic": False, "asksConsent": False}
    assert (await world.client(ANNA).state())["offers"] == [offer]
    assert (await click(world, ANNA)).body["licence"]["kind"] == "FL"
    assert (await click(world, BEN)).body["licence"]["kind"] == "UAL"
    await world.client(CLARA).sign_out()
    await click(world, CLARA)
    await world.pbx("PATCH", "users/1002", {"permissions": []})
    await world.client(BEN).sign_out()

    async def refused() -> bool:
        return (await click(world, BEN)).code == "no-licence"

    await eventually(refused, "two seats are held, and Ben's permission is gone")
    assert (await world.client(BEN).state())["waiting"]["joined"] is False


async def test_by_itself_only_where_the_administrator_wants_it_and_the_person_has_agreed(
    world: World,
) -> None:
    await trust(world, **PRIMARY)
    assert (await click(world, BEN, byItself=True)).code == "not-automatic"
    await trust(world, trusted=True, entry="automatic")
    ben = world.client(BEN)
    (offer,) = (await ben.state())["offers"]
    assert offer["asksConsent"] and not offer["automatic"], "Ben has never been there"
    assert (await click(world, BEN, byItself=True)).code == "not-automatic"
    assert (await click(world, BEN)).status == 200, "his click is the consent"
    forget_session(world, BEN)
    (offer,) = (await ben.state())["offers"]
    assert offer["automatic"] and not offer["asksConsent"]
    assert (await click(world, BEN, byItself=True)).status == 200
    await ben.sign_out()
    assert not (await ben.state())["offers"][0]["automatic"], "who signed out on purpose stays out"
    assert (await click(world, BEN, byItself=True)).code == "not-automatic"
    assert (await click(world, BEN)).status == 200


def forget_session(world: World, person: Any) -> None:
    """Gone without a word: nobody has signed them out, and neither have they themselves."""
    with closing(world.database()) as database, database:
        held = "SELECT pool_id, seat_number FROM session WHERE object_id = ?"
        database.execute(
            f"UPDATE seat SET holder = NULL WHERE (pool_id, number) IN ({held})", (person.object_id,)
        )
        database.execute("DELETE FROM session WHERE object_id = ?", (person.object_id,))


async def test_who_was_signed_out_by_an_administrator_is_not_signed_in_again_by_itself(world: World) -> None:
    await trust(world, trusted=True, entry="automatic", primary=True)
    signed_in = await click(world, ANNA)
    assert signed_in.status == 200
    clara = world.client(CLARA)
    holders = (await clara.call("GET", "licences")).body["holders"]
    session_id = next(holder["sessionId"] for holder in holders if holder["displayName"] == "Anna Berger")
    await clara.call("POST", "licences/revoke", {"sessionIds": [session_id], "reason": ""})
    assert not (await world.client(ANNA).state())["offers"][0]["automatic"]
    assert (await click(world, ANNA, byItself=True)).code == "not-automatic"


async def test_an_address_that_no_pbx_user_has_is_told(world: World) -> None:
    await trust(world, **PRIMARY)
    await world.pbx("PATCH", "users/1001", {"email": "somebody.else@example.com"})
    assert (await click(world, ANNA)).code == "email-not-matched"


async def test_giving_trust_up_closes_the_door(world: World) -> None:
    await trust(world, **PRIMARY)
    await trust(world, trusted=False)
    assert (await world.client(ANNA).state())["offers"] == []
    assert (await click(world, ANNA)).code == "tenant-not-trusted"
    again = await trust(world, trusted=True)
    assert again.body["entry"] == "with-key" and not again.body["isPrimary"], "nothing is remembered"


async def test_a_tenant_has_one_main_pbx_and_whoever_speaks_for_it_says_which(
    world: World, branch: Site
) -> None:
    await trust(world, **PRIMARY)
    taken = await trust(world, branch.pbx_name, world.demo.pbx_key(branch), **PRIMARY)
    assert taken.body["isPrimary"] and taken.body["primaryName"] == branch.pbx_name
    first = await trust(world, trusted=True)
    assert first.body["primaryName"] == branch.pbx_name and not first.body["isPrimary"]
    assert first.body["entry"] == "one-click", "everything else stays"
    assert (await trust(world, **PRIMARY)).body["primaryName"] == world.pbx_name


async def test_switching_to_another_pbx_and_back(world: World, branch: Site) -> None:
    await trust(world, **PRIMARY)
    await trust(world, branch.pbx_name, world.demo.pbx_key(branch), trusted=True, entry="one-click")
    await world.client(CLARA).sign_out()
    await click(world, ANNA)
    offers = (await world.client(ANNA).state())["offers"]
    assert [offer["pbxName"] for offer in offers] == [world.pbx_name, branch.pbx_name]
    switched = await click(world, ANNA, branch.pbx_name)
    assert switched.body["connection"]["pbxName"] == branch.pbx_name
    assert (await click(world, BEN)).status == 200
    assert (await click(world, CLARA)).body["licence"]["seatsUsed"] == 1, "Anna's seat came free here"
    # The branch has one seat: who switches there and gets none stays where they are.
    refused = await click(world, CLARA, branch.pbx_name)
    assert refused.code == "no-licence"
    assert (await world.client(CLARA).state())["connection"]["pbxName"] == world.pbx_name
    assert (await click(world, ANNA)).body["connection"]["pbxName"] == world.pbx_name


async def test_a_pbx_that_is_away_is_told_and_the_session_stays(world: World, branch: Site) -> None:
    await trust(world, branch.pbx_name, world.demo.pbx_key(branch), trusted=True, entry="one-click")
    await trust(world, world.pbx_name, world.key, **PRIMARY)
    await click(world, ANNA)
    await world.demo.stop_part("connector-2")

    async def told() -> bool:
        return (await click(world, ANNA, branch.pbx_name)).code == "link-down"

    await eventually(told, "the link of the branch is down")
    assert (await world.client(ANNA).state())["connection"]["pbxName"] == world.pbx_name
    await world.demo.start_connector(branch)
