"""The host page's panel: what a presenter does to a telephone is what happens at the simulated PBX."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from simulator.people import PEOPLE
from simulator.starface import server as starface
from simulator.starface.model import Settings
from simulator.teams.server import create

ANNA, BEN, _ = PEOPLE
CALLER = {"number": "00493023125901", "name": "Jürgen Lindner"}
NOWHERE = "http://127.0.0.1:9"


class Panel:
    def __init__(self, host: TestClient[web.Request, web.Application], pbx: TestServer) -> None:
        self.host = host
        self._pbx = pbx

    async def voicemails(self) -> int:
        url = self._pbx.make_url("/control/state")
        async with self.host.session.get(url) as answer:
            return (await answer.json())["voicemails"][ANNA.login]

    async def calls(self, person: Any = ANNA) -> list[dict[str, Any]]:
        async with self.host.get(f"/host/telephones/{person.object_id}") as answer:
            return (await answer.json())["calls"]

    async def call(self, person: Any = ANNA) -> dict[str, Any]:
        (call,) = await self.calls(person)
        return call

    async def post(self, path: str, body: Any = None, person: Any = ANNA) -> int:
        async with self.host.post(f"/host/telephones/{person.object_id}/{path}", json=body or {}) as answer:
            return answer.status

    async def act(self, act: str, person: Any = ANNA) -> int:
        return await self.post(f"calls/{(await self.call(person))['id']}/{act}", person=person)


@pytest.fixture
async def panel() -> AsyncIterator[Panel]:
    async with TestServer(starface.create(Settings())) as pbx:
        app = create(NOWHERE, NOWHERE, NOWHERE, str(pbx.make_url("/")).rstrip("/"))
        async with TestClient(TestServer(app)) as host:
            yield Panel(host, pbx)


async def test_a_call_rings_is_picked_up_held_and_ends(panel: Panel) -> None:
    assert await panel.post("ring", CALLER) == 201
    call = await panel.call()
    assert (call["state"], call["callerName"]) == ("RINGING", "Jürgen Lindner")
    for act, state in (("pick-up", "CONNECTED"), ("hold", "PARKED"), ("take-back", "CONNECTED")):
        assert await panel.act(act) == 200
        assert (await panel.call())["state"] == state
    assert await panel.act("hang-up") == 200
    assert await panel.calls() == []


async def test_a_colleague_answers_the_groups_call(panel: Panel) -> None:
    assert await panel.post("ring", CALLER | {"group": True}) == 201
    assert "colleague" in (await panel.call())["acts"] and (await panel.call(BEN))["group"]
    assert await panel.act("colleague") == 200
    assert await panel.calls() == []
    assert (await panel.call(BEN))["state"] == "CONNECTED"


async def test_the_caller_of_a_group_gives_up_for_all(panel: Panel) -> None:
    await panel.post("ring", CALLER | {"group": True})
    assert await panel.act("give-up") == 200
    assert await panel.calls() == await panel.calls(BEN) == []


async def test_what_does_not_fit_the_state_is_refused(panel: Panel) -> None:
    await panel.post("ring", CALLER)
    assert await panel.act("take-back") == 409
    assert await panel.post("calls/none/pick-up") == 404
    async with panel.host.get("/host/telephones/nobody") as answer:
        assert answer.status == 404


async def test_a_voicemail_lies_in_the_box(panel: Panel) -> None:
    before = await panel.voicemails()
    assert await panel.post("voicemail", CALLER) == 201
    assert await panel.voicemails() == before + 1
    assert await panel.calls() == []


async def test_without_a_pbx_there_is_no_panel() -> None:
    async with TestClient(TestServer(create(NOWHERE, NOWHERE, NOWHERE))) as host:
        async with host.get("/host/callers") as answer:
            assert await answer.json() is None
        async with host.get(f"/host/telephones/{ANNA.object_id}") as answer:
            assert answer.status == 404
