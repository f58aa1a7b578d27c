"""Live updates: an open tab is sent what has changed, and only what concerns its person."""

import asyncio
from typing import Any

from tab.feeds import SEATS_SECONDS
from tests.support.licences import revoke_session
from tests.support.live import open_tab
from tests.support.world import ANNA, BEN, CLARA, World, eventually


async def come(world: World, *people: Any) -> None:
    for person in people:
        assert (await world.client(person).sign_in(world.pbx_name, world.key)).status == 200


async def test_who_is_there_already_is_sent_the_new_number_alone(world: World) -> None:
    await come(world, ANNA)
    async with open_tab(world.client(ANNA)) as anna:
        assert anna.seen[0][1]["licence"]["seatsUsed"] == 1
        await come(world, CLARA)
        assert await anna.next("seats", seatsUsed=2) == {"seatsUsed": 2, "seatsTotal": 2}
        await world.client(CLARA).sign_out()
        await anna.next("seats", seatsUsed=1)
        assert anna.names.count("state") == 1, "nobody's own state has changed but Clara's"
        assert set(anna.names) <= {"state", "seats", "connection"}


async def test_who_signs_in_is_sent_their_own_state_at_every_window(world: World) -> None:
    async with open_tab(world.client(ANNA)) as one, open_tab(world.client(ANNA, "de")) as other:
        await come(world, ANNA)
        for tab in (one, other):
            assert (await tab.next("state", signedIn=True))["licence"]["seatsUsed"] == 1


async def test_many_changes_are_few_numbers_and_the_last_one_is_right(world: World) -> None:
    await come(world, ANNA)
    clara = world.client(CLARA)
    loop = asyncio.get_running_loop()
    async with open_tab(world.client(ANNA)) as anna:
        begun = loop.time()
        for _ in range(10):
            await come(world, CLARA)
            await clara.sign_out()
        await come(world, CLARA)
        await anna.next("seats", seatsUsed=2)

        async def is_settled() -> bool:
            return (await clara.state())["licence"]["seatsUsed"] == 2

        await eventually(is_settled, "what is stored")
        most = (loop.time() - begun) / SEATS_SECONDS + 2
        assert anna.names.count("seats") <= most


async def test_a_lost_link_is_reported_in_the_words_of_each_language(world: World) -> None:
    await come(world, ANNA, BEN)
    async with (
        open_tab(world.client(ANNA, "en")) as anna,
        open_tab(world.client(BEN, "de")) as ben,
    ):
        await world.demo.stop_part("connector")
        english = await anna.next("connection", connected=False)
        german = await ben.next("connection", connected=False)
        assert english["findings"][0]["code"] == german["findings"][0]["code"] == "link-down"
        assert english["findings"][0]["title"] != german["findings"][0]["title"]
        await world.demo.start_connector()
        await anna.next("connection", connected=True, findings=[])
        assert "state" not in [*anna.names[1:], *ben.names[1:]]


async def test_only_administrators_are_informed_of_holders(world: World) -> None:
    await come(world, CLARA, BEN)
    async with open_tab(world.client(CLARA)) as clara, open_tab(world.client(BEN)) as ben:
        await come(world, ANNA)
        change = await clara.next("holders")
        assert change["waiting"] == 0 and change["pools"][0]["seatsTotal"] == 2
        await ben.next("seats", seatsUsed=2)
        await world.client(ANNA).sign_out()
        await ben.next("seats", seatsUsed=1)
        assert set(ben.names) <= {"state", "seats", "connection"}


async def test_a_former_administrator_receives_nothing_about_holders(world: World) -> None:
    await come(world, CLARA)
    async with open_tab(world.client(CLARA)) as clara:
        await world.pbx("PATCH", f"users/{CLARA.login}", {"permissions": []})
        # Noticed by a call to the PBX, before the connector reports it.
        assert (await world.client(CLARA).call("PUT", "trust", {"trusted": True})).code == "not-administrator"
        while (await clara.next("state"))["person"]["isAdministrator"]:
            pass
        before = len(clara.seen)
        await come(world, ANNA)
        await clara.next("seats", seatsUsed=2)
        await world.client(ANNA).sign_out()
        await clara.next("seats", seatsUsed=1)
        assert "holders" not in clara.names[before:]


async def test_who_was_signed_out_is_informed_and_nothing_more_of_that_pbx(world: World) -> None:
    await come(world, ANNA, CLARA)
    async with open_tab(world.client(ANNA)) as anna, open_tab(world.client(CLARA)) as clara:
        await revoke_session(world, ANNA)
        assert (await anna.next("state", signedIn=False))["sessionEnd"]["cause"] == "revoked"
        before = len(anna.seen)
        await come(world, BEN)
        await clara.next("holders")
        await world.demo.stop_part("connector")
        await clara.next("connection", connected=False)
        await world.demo.start_connector()
        await clara.next("connection", connected=True)
        await come(world, ANNA)
        await anna.next("state", signedIn=True)
        assert anna.names[before:].count("state") == 1 and "connection" not in anna.names[before:-1]


async def test_who_waits_is_informed_of_their_place_and_the_seat_that_is_offered(world: World) -> None:
    await world.pbx("PATCH", f"users/{BEN.login}", {"permissions": []})
    await come(world, ANNA, CLARA)
    ben = world.client(BEN)
    assert (await ben.sign_in(world.pbx_name, world.key)).code == "no-licence"
    async with open_tab(ben) as tab:
        assert tab.seen[0][1]["waiting"]["joined"] is False
        await ben.call("POST", "waiting")
        assert (await tab.next("state"))["waiting"]["joined"]
        await world.client(ANNA).sign_out()
        offered = await tab.next("waiting")
        while offered["offeredUntil"] is None:
            offered = await tab.next("waiting")
        await come(world, BEN)
        assert (await tab.next("state", signedIn=True))["waiting"] is None


async def test_a_page_of_the_version_before_is_sent_whole_states(world: World) -> None:
    await come(world, CLARA)
    async with open_tab(world.client(CLARA), takes_changes=False) as clara:
        await clara.next("licences")
        await come(world, ANNA)
        state = await clara.next("state")
        while state["licence"]["seatsUsed"] != 2:
            state = await clara.next("state")
        await clara.next("licences")
        assert set(clara.names) == {"audio", "state", "licences"}


async def test_the_devices_come_with_the_news_of_them(world: World) -> None:
    await come(world, ANNA)
    anna = world.client(ANNA)
    async with open_tab(anna) as tab:
        device = {"kind": "input", "label": "Jabra Evolve2 65 (0b0e:0305)", "deviceId": "", "groupId": ""}
        uses = [{"program": program, "device": device} for program in ("teams", "softphone")]
        assert (await anna.call("PUT", "audio/declared", {"uses": uses})).status == 200
        news = await tab.next("audio")
        assert news["finding"]["verdict"] in ("conflict", "likely") and len(news["uses"]) == 2
        assert news == (await anna.call("GET", "audio")).body
        assert tab.names.count("state") == 1


async def test_a_page_that_opens_says_where_its_person_is(world: World) -> None:
    """With the stream, which is all that it asks for at first. What is no time zone changes nothing."""
    await come(world, ANNA)
    anna = world.client(ANNA)
    for zone in ("Asia/Tokyo", "x" * 500):
        async with anna.get(f"events?changes=true&timeZone={zone}") as response:
            assert response.status == 200
        assert (await anna.call("GET", "notices")).body["timeZone"] == "Asia/Tokyo"
