"""What one signed-in person may ask for, and what others notice of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from core.diagnosis.finding import RefusedError
from core.identity.teams_user import TeamsUser
from tab.budgets import EXPORTS_AT_ONCE, Cost, PersonBudgets
from tab.operations import OPERATIONS
from tab.streams import STREAMS_PER_PERSON
from tests.support.world import ANNA, BEN, CLARA, World

SOMEBODY, ANOTHER, THIRD = (TeamsUser("tenant", name) for name in ("a", "b", "c"))


@pytest.fixture
async def strict(world: World) -> AsyncIterator[World]:
    """With budgets as small as an operator can make them; the demonstration's are for tests."""
    await world.demo.stop_part("service")
    await world.demo.start_service(PBX_TEAMS_CHANGES_PER_MINUTE="20")
    yield world
    await world.forget_throttles()


async def test_changes_are_bounded_for_each_person(strict: World) -> None:
    ben = strict.client(BEN)
    token = await ben.token()
    url = f"{strict.demo.service_url}/api/v1/sign-out"
    statuses: Counter[int] = Counter()
    told: dict[str, Any] = {}
    for _ in range(60):
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
        async with strict.http.post(url, headers=headers) as answer:
            statuses[answer.status] += 1
            if answer.status == 429:
                told = await answer.json()
                retry_after = answer.headers["Retry-After"]
    assert set(statuses) == {200, 429} and 20 <= statuses[200] <= 30
    assert told["code"] == "throttled" and told["reason"] == "busy"
    assert f"Wait {retry_after} seconds" in told["cure"]
    assert (await ben.call("GET", "state", token=token)).status == 200
    assert (await strict.client(ANNA).sign_out()).status == 200, "nobody else is kept out"


async def test_expensive_views_are_bounded(strict: World) -> None:
    for path in ("licences/usage", "licences/people", "connection", "licences/export"):
        answers = [await strict.client(BEN).call("GET", path) for _ in range(30)]
        codes = Counter(answer.code for answer in answers)
        assert codes["throttled"] > 0, path


def test_every_operation_that_changes_or_costs_something_has_a_budget() -> None:
    for operation in OPERATIONS:
        if operation.method != "GET":
            assert operation.its_cost is not Cost.LITTLE, operation.id
    costs = {operation.id: operation.its_cost for operation in OPERATIONS}
    assert costs["exportHolders"] is costs["exportAudit"] is Cost.EXPORT
    assert costs["examineConnection"] is Cost.EXAMINATION
    assert costs["getPeople"] is costs["getUsage"] is costs["getAdvice"] is Cost.VIEW


def test_one_export_for_each_person_and_few_for_all() -> None:
    budgets = PersonBudgets(1000)
    assert EXPORTS_AT_ONCE == 2
    with budgets.exporting(SOMEBODY):
        with pytest.raises(RefusedError) as refused, budgets.exporting(SOMEBODY):
            pass
        assert refused.value.finding.variant == "export"
        with budgets.exporting(ANOTHER), pytest.raises(RefusedError), budgets.exporting(THIRD):
            pass
        with budgets.exporting(THIRD):
            pass
    with budgets.exporting(SOMEBODY):
        pass


async def test_concurrent_exports_are_asked_to_wait(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    token = await clara.token()
    answers = await asyncio.gather(*(clara.call("GET", "audit/export", token=token) for _ in range(12)))
    outcomes = Counter((answer.status, answer.code) for answer in answers)
    assert outcomes[200, None] >= 1 and set(outcomes) <= {(200, None), (429, "throttled")}
    whole = await clara.call("GET", "audit/export")
    assert whole.status == 200 and whole.body["content"].count(b"\n") > 1


async def test_a_newer_stream_takes_the_place_of_the_oldest(world: World) -> None:
    anna = world.client(ANNA)
    headers = {"Authorization": f"Bearer {await anna.token()}"}
    url = f"{world.demo.service_url}/api/v1/events"
    async with AsyncExitStack() as opened:
        streams = []
        for _ in range(STREAMS_PER_PERSON + 2):
            answer = await opened.enter_async_context(world.http.get(url, headers=headers))
            assert answer.status == 200
            assert b"event: state" in await answer.content.readuntil(b"\n\n")
            streams.append(answer.content)
        for replaced in streams[:2]:
            rest = await asyncio.wait_for(replaced.read(), 10)
            assert rest.endswith(b"event: replaced\ndata: {}\n\n")
        await anna.sign_in(world.pbx_name, world.key)
        for living in streams[2:]:
            while b"event: state" not in await asyncio.wait_for(living.readuntil(b"\n\n"), 10):
                pass
        # Another person's are not touched.
        other = {"Authorization": f"Bearer {await world.client(BEN).token()}"}
        async with world.http.get(url, headers=other) as answer:
            assert b"event: state" in await answer.content.readuntil(b"\n\n")
