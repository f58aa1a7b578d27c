"""Somebody who was an administrator a moment ago: every door of administrators, their open tab, and the chat.

The doors are those of the API's table, so that a new one is asked without anybody thinking of it.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from core.administration.guard import READ_RECHECK_SECONDS
from core.diagnosis.codes import Code
from tab.budgets import Cost
from tab.operation import API, Operation
from tab.operations import OPERATIONS
from tests.support.chat import ask, list_choices, press_button
from tests.support.live import open_tab
from tests.support.tab_client import TabClient
from tests.support.world import ANNA, BEN, CLARA, World, eventually

DOORS: Final = {one.id: one for one in OPERATIONS if Code.NOT_ADMINISTRATOR in one.problems}
VIEWS: Final = {
    "getLicences",
    "selectHolders",
    "getUsage",
    "getAdvice",
    "getTrust",
    "getConnection",
    "getConflicts",
    "getAudit",
    "getSetup",
    "getDownloads",
}
"""They ask the PBX again at most every `READ_RECHECK_SECONDS`; all others each time."""
SOMEBODY: Final = "6f0c7a53-0d3c-4c77-8a51-6a9d4f1f0a11"
POLICY: Final = {"idleHours": 1, "reservations": [], "admitted": {"userIds": [], "groupIds": []}}


@pytest.fixture
async def clara(world: World) -> AsyncIterator[TabClient]:
    """An administrator, whom the PBX has confirmed a moment ago."""
    clara = world.client(CLARA)
    assert (await clara.sign_in(world.pbx_name, world.key)).status == 200
    assert (await world.client(ANNA).sign_in(world.pbx_name, world.key)).status == 200
    assert (await clara.call("GET", "licences")).status == 200
    yield clara
    await promote(world, is_administrator=True)


async def promote(world: World, *, is_administrator: bool) -> None:
    permissions = ["Administrator"] if is_administrator else []
    await world.pbx("PATCH", f"users/{CLARA.login}", {"permissions": permissions})


async def body_for(door: Operation, clara: TabClient) -> Any:
    """One with which the door would do something, were she an administrator."""
    match door.id:
        case "revoke":
            rows = (await clara.call("GET", "licences")).body["holders"]
            anna = next(row["sessionId"] for row in rows if row["teamsName"] == ANNA.name)
            return {"sessionIds": [anna], "reason": "because"}
        case "setPolicy":
            pools = (await clara.call("GET", "licences")).body["pools"]
            return {"poolId": pools[0]["poolId"], "policy": POLICY}
        case "setTrust":
            return {"trusted": True}
        case "removeTrust":
            return {"tenantId": SOMEBODY}
        case "handOver":
            return {"identity": "-".join(["0000"] * 8)}
        case "makeDownloadLink":
            return {"file": "pbx-connector_1.0.0_all.deb"}
        case "makeNewKey":
            return {"nonce": "n", "box": {"ephemeralKey": "A" * 87, "nonce": "A" * 16, "ciphertext": "AAAA"}}
        case _:
            assert door.body is None, f"say in this test what {door.id} is asked"
            return None


async def knock(clara: TabClient, door: Operation, body: Any = None) -> tuple[int, str | None]:
    answer = await clara.call(door.method, door.path.removeprefix(f"{API}/"), body)
    return answer.status, answer.code


@pytest.mark.parametrize("name", sorted(DOORS.keys() - VIEWS))
async def test_no_act_is_for_somebody_who_was_an_administrator_a_moment_ago(
    world: World, clara: TabClient, name: str
) -> None:
    door = DOORS[name]
    body = await body_for(door, clara)
    before = (await clara.call("GET", "licences")).body
    await promote(world, is_administrator=False)
    assert await knock(clara, door, body) == (403, "not-administrator")
    # From now on the service knows, so that no view is left open either.
    for view in sorted(VIEWS):
        assert await knock(clara, DOORS[view]) == (403, "not-administrator"), view
    assert not (await clara.state())["person"]["isAdministrator"]
    assert (await world.client(ANNA).state())["signedIn"]
    await promote(world, is_administrator=True)

    async def is_seen() -> Any:
        await knock(clara, DOORS["getPeople"])  # asks the PBX each time, so that the views need not wait
        answer = await clara.call("GET", "licences")
        return answer.body if answer.status == 200 else None

    after = await eventually(is_seen, "she is an administrator again", seconds=80)
    for part in ("pools", "tenantTrusted", "tenants"):
        assert after.get(part) == before.get(part)


def test_every_door_of_administrators_is_asked() -> None:
    """What writes, costs an export or an examination, or asks the PBX about others is an act."""
    acts = {name for name, one in DOORS.items() if one.method != "GET" or one.its_cost is Cost.EXPORT}
    assert acts | {"getPeople"} == DOORS.keys() - VIEWS
    assert READ_RECHECK_SECONDS <= 30


async def test_an_open_tab_receives_nothing_more_about_others(world: World, clara: TabClient) -> None:
    async with open_tab(clara) as tab:
        assert (await world.client(ANNA).sign_out()).status == 200
        await tab.next("holders")
        await promote(world, is_administrator=False)
        assert (await clara.call("PUT", "trust", {"trusted": True})).code == "not-administrator"
        await tab.next("state")
        assert not tab.seen[-1][1]["person"]["isAdministrator"]
        told = len(tab.seen)
        # Somebody else's licence changes, and then her own state: what is sent last comes after what was to be said.
        assert (await world.client(ANNA).sign_in(world.pbx_name, world.key)).status == 200
        await tab.next("seats")
        await asyncio.sleep(3)  # a feed says nothing for at most two seconds
        assert (await world.client(ANNA).sign_out()).status == 200
        await tab.next("seats")
        assert {"holders", "claims"}.isdisjoint(name for name, _ in tab.seen[told:])


async def test_the_chat_asks_the_pbx_as_well(world: World, clara: TabClient) -> None:
    assert (await world.client(BEN).sign_in(world.pbx_name, world.key)).status == 200
    anna = list_choices(await ask(world, CLARA, "licences"))["Anna Berger"]
    await promote(world, is_administrator=False)
    for verb, data in (
        ("revoke", {"session": anna}),
        ("revoke-ask", {"session": anna}),
        ("licences", {}),
        ("licences", {"search": "Ben"}),
    ):
        card = str(await press_button(world, CLARA, verb, **data))
        assert "Ben Kr" not in card and "Anna Berger" not in card, verb
    assert (await world.client(ANNA).state())["signedIn"]
