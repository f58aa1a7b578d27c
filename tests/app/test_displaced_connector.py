"""The recipe of the security finding B2 from its beginning to its end: a stranger's connector holds a name, people are
signed in through it, wait and are in the middle of signing in. Then the operator hands the name to its rightful owner.
Nothing that the stranger's connector vouched for is left.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from typing import Final

import pytest

from core.licensing.transactions.removing import UNUSED_FOR
from core.store.timestamps import now, to_ms
from simulator.people import TENANT_ID
from tests.support.connector_peer import Peer, connected, enrolled, say
from tests.support.keyless import set_trust, sign_in_without_key
from tests.support.live import watch_tab
from tests.support.operator import run_operator_command
from tests.support.scripted_pbx import HOLDER, LATE, WAITER, ScriptedPbx, pbx_user, scripted_pbx, sign_in_at
from tests.support.world import ANNA, BEN, CLARA, World, eventually
from wire.link import fingerprint

NAME: Final = "contested.example.com"


@pytest.fixture
async def nobody_signed_in(world: World) -> AsyncIterator[World]:
    people = [world.client(person) for person in (ANNA, BEN, CLARA)]
    for one in people:
        await one.sign_out()
    yield world
    for one in people:
        await one.sign_out()


async def test_nothing_of_a_displaced_connector_is_left(nobody_signed_in: World) -> None:
    world = nobody_signed_in
    mallory, anna, clara = world.client(BEN), world.client(ANNA), world.client(CLARA)
    stranger, owner = await enrolled(world, NAME), Peer(NAME)
    key = await world.demo.licence_key(1, "CONTESTED-1")
    async with scripted_pbx(world, stranger, licence_keys=[key]) as theirs:
        assert (await sign_in_at(mallory, stranger)).status == 200
        assert (await mallory.state())["person"]["isAdministrator"]
        # As if Mallory's organisation had spoken for itself.
        await run_operator_command(world, "approve", NAME, TENANT_ID, group="trust")
        wish = {"trusted": True, "entry": "one-click"}
        assert (await mallory.call("PUT", "trust", wish)).status == 200
        # A seat is taken, another person waits for it, and it is offered to them.
        theirs.logs_in = HOLDER
        assert (await sign_in_at(clara, stranger)).body["licence"]["kind"] == "FL"
        theirs.logs_in = WAITER
        assert (await sign_in_at(anna, stranger)).code == "no-licence"
        assert (await anna.call("POST", "waiting")).status == 200
        await clara.sign_out()

        async def is_offered() -> bool:
            return bool(((await anna.state())["waiting"] or {}).get("offeredUntil"))

        await eventually(is_offered, "the seat is offered to who waits")

        # The rightful owner knocks; Mallory sees it and could hand the name to nobody but them.
        async with connected(world) as (socket, nonce):
            assert "error" in await say(socket, owner.hello(nonce))
        rightful = fingerprint(owner.hello("n" * 32).identity)

        async def is_known() -> bool:
            return rightful in await run_operator_command(world, "show", NAME)

        await eventually(is_known, "the rightful owner's claim is kept")

        # Somebody is in the middle of signing in when the name is handed over.
        theirs.logs_in = LATE
        theirs.was_asked.clear()
        theirs.answers.clear()
        late = asyncio.create_task(sign_in_at(clara, stranger))
        await theirs.was_asked.wait()
        async with watch_tab(mallory) as tab:

            async def shows_session() -> bool:
                return bool(tab.state and tab.state["signedIn"])

            await eventually(shows_session, "Mallory's tab is up")
            said = await run_operator_command(world, "hand-over", NAME, rightful)
            assert "1 sessions have ended" in said
            theirs.answers.set()
            answer = await late
            assert answer.status in (403, 404, 409, 502, 503, 504), answer.body

            async def is_told() -> bool:
                return not tab.state["signedIn"]

            await eventually(is_told, "Mallory's tab is told")
            assert tab.state["sessionEnd"]["cause"] == "handed-over"
            seen = len(tab.seen)
            await nothing_is_left(world, stranger, owner, theirs, key)
            later = tab.seen[seen:]
            assert [data for name, data in later if name == "state" and data["signedIn"]] == []
            assert [name for name, _ in later if name not in ("state", "audio")] == []


async def test_an_open_tab_hears_what_the_operator_does_to_its_session(world: World) -> None:
    """The command ends before the service has noticed the change."""
    assert (await set_trust(world, trusted=True, entry="one-click")).status == 200
    assert (await sign_in_without_key(world, ANNA)).status == 200
    async with watch_tab(world.client(ANNA)) as tab:

        async def shows_session() -> bool:
            return bool(tab.state and tab.state["signedIn"])

        await eventually(shows_session, "Anna's tab is up")
        await run_operator_command(world, "remove", world.pbx_name, TENANT_ID, group="trust")

        async def is_told() -> bool:
            return not tab.state["signedIn"]

        await eventually(is_told, "Anna's tab is told")
        assert tab.state["sessionEnd"]["cause"] == "trust-withdrawn"


async def test_an_open_tab_hears_that_a_pbx_no_longer_offers_itself(world: World) -> None:
    """This includes the tab of a user without a session."""
    assert (await set_trust(world, trusted=True, entry="one-click")).status == 200
    async with watch_tab(world.client(ANNA)) as tab:

        async def is_offered() -> bool:
            return bool(tab.state and tab.state["offers"])

        await eventually(is_offered, "Anna's tab shows the offer")
        await run_operator_command(world, "remove", world.pbx_name, TENANT_ID, group="trust")

        async def is_gone() -> bool:
            return tab.state["offers"] == []

        await eventually(is_gone, "the offer is gone")


@pytest.mark.parametrize("way", ["operator", "administrator", "removed"])
async def test_an_open_tab_hears_that_a_pbx_was_handed_over_or_removed(
    nobody_signed_in: World, way: str
) -> None:
    """This includes the tab of a user without a session who was offered that PBX."""
    world = nobody_signed_in
    name = f"gone-{way}.example.com"
    mallory, anna = world.client(BEN), world.client(ANNA)
    stranger, owner = await enrolled(world, name), Peer(name)
    async with scripted_pbx(world, stranger) as theirs, watch_tab(anna) as tab:

        def offers() -> list[str]:
            return [offer["pbxName"] for offer in tab.state["offers"]] if tab.state else []

        async def is_offered() -> bool:
            return name in offers()

        async def is_gone() -> bool:
            return name not in offers()

        assert (await sign_in_at(mallory, stranger)).status == 200
        await run_operator_command(world, "approve", name, TENANT_ID, group="trust")
        assert (await mallory.call("PUT", "trust", {"trusted": True, "entry": "one-click"})).status == 200
        await eventually(is_offered, "Anna's tab shows the offer", seconds=20)
        async with connected(world) as (socket, nonce):
            assert "error" in await say(socket, owner.hello(nonce))
        rightful = fingerprint(owner.hello("n" * 32).identity)

        async def is_known() -> bool:
            return rightful in await run_operator_command(world, "show", name)

        await eventually(is_known, "the rightful owner's claim is kept", seconds=40)
        if way == "operator":
            await run_operator_command(world, "hand-over", name, rightful)
        elif way == "administrator":
            answer = await mallory.call("POST", "connection/hand-over", {"identity": rightful})
            assert answer.status == 200, answer.body
        else:
            await theirs.leave()
            long_ago = to_ms(now() - UNUSED_FOR - timedelta(days=1))

            async def is_closed() -> bool:
                return "no link" in await run_operator_command(world, "show", name)

            await eventually(is_closed, "the link is closed by the table", seconds=40)
            with closing(world.database()) as database, database:
                database.execute("UPDATE pbx SET link_closed_at = ? WHERE name = ?", (long_ago, name))
            await run_operator_command(world, "remove", name)
        await eventually(is_gone, "the offer is gone", seconds=20)


async def nothing_is_left(world: World, stranger: Peer, owner: Peer, theirs: ScriptedPbx, key: str) -> None:
    mallory, anna, clara = world.client(BEN), world.client(ANNA), world.client(CLARA)

    async def is_cut() -> bool:
        return theirs.closed_with is not None

    async with scripted_pbx(world, owner, licence_keys=[key]) as ours:
        await eventually(is_cut, "the stranger's link is cut")
        # Neither their link nor their key nor what they were.
        async with connected(world) as (socket, nonce):
            assert "error" in await say(socket, stranger.hello(nonce))
        assert (await sign_in_at(mallory, stranger)).code == "wrong-key"
        for client in (mallory, anna, clara):
            state = await client.state()
            assert not state["signedIn"] and state["waiting"] is None and state["offers"] == []
        for method, path, body in (
            ("GET", "licences", None),
            ("GET", "connection", None),
            ("GET", "audit/export", None),
            ("POST", "connection/hand-over", {"identity": fingerprint(stranger.hello("n" * 32).identity)}),
        ):
            assert (await mallory.call(method, path, body)).code == "not-signed-in", path
        keyless = {"pbxName": NAME}
        assert (await mallory.call("POST", "sign-in/keyless", keyless)).code == "tenant-not-trusted"

        # The rightful owner's people find the seat free and nobody else there.
        ours.logs_in = ours.users[1] = pbx_user(1, "Ada Admin", isAdministrator=True)
        answer = await sign_in_at(clara, owner)
        assert (answer.status, answer.body.get("licence", {}).get("kind")) == (200, "FL"), answer.body
        licences = (await clara.call("GET", "licences")).body
        assert [holder["displayName"] for holder in licences["holders"]] == ["Ada Admin"]
        assert licences["trustedTenants"] == [] and licences["waiting"] == 0
        assert not (await mallory.state())["signedIn"]
        await clara.sign_out()
