"""What a replica answers another is read there as it was said, and one that stops answers what it has taken."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from core.hub.plane import NatsPlane, NobodyThereError, OutgoingCall, PlaneDownError, Reply
from tests.support.nats import Nats
from tests.support.world import eventually
from wire.model import Empty
from wire.plane import NOT_HERE, PlaneAnswer, PlaneCall

PBX_ID = "018f0000-0000-7000-8000-000000000000"


@pytest.fixture
def nats() -> Iterator[Nats]:
    server = Nats()
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize(
    ("reply", "members"),
    [
        (Reply({"method": "challenge", "nonce": "ä\n"}), {"result": {"method": "challenge", "nonce": "ä\n"}}),
        (Reply({}), {"result": {}}),
        (Reply(code=NOT_HERE), {"code": NOT_HERE}),
        (
            Reply(code="login-rejected", evidence={"pbx_name": "a.example", "seconds": 1.5}),
            {"code": "login-rejected", "evidence": {"pbx_name": "a.example", "seconds": 1.5}},
        ),
    ],
)
def test_a_reply_is_read_as_it_was_said(reply: Reply, members: dict[str, Any]) -> None:
    line = reply.line(7)
    assert b"\n" not in line, "a message has one line for each"
    assert PlaneAnswer.model_validate_json(line[1:]) == PlaneAnswer(id=7, **members)


async def test_a_replica_that_stops_leaves_no_call_without_an_answer(nats: Nats) -> None:
    """Each was answered, or was handed to nobody: anyone who asked may ask another."""
    here, there = NatsPlane(nats.url), NatsPlane(nats.url)

    async def answer(_call: PlaneCall) -> Reply:
        await asyncio.sleep(0.001)
        return Reply({})

    for plane in (here, there):
        plane.start(answer, lambda _topics: None, lambda: None)
    outcomes: Counter[str] = Counter()

    async def ask() -> None:
        while not outcomes["nobody there"]:
            question = OutgoingCall(PBX_ID, 1, "pbx.loginChallenge", Empty(), deadline=1.0)
            try:
                await here.call(there.replica_id, question)
            except NobodyThereError:
                outcomes["nobody there"] += 1
            except TimeoutError:
                outcomes["unknown"] += 1
            else:
                outcomes["answered"] += 1

    async def is_answered() -> bool:
        try:
            await here.call(there.replica_id, OutgoingCall(PBX_ID, 1, "link.ping", Empty(), deadline=1.0))
        except (NobodyThereError, PlaneDownError, TimeoutError):
            return False
        return True

    await eventually(is_answered, "the planes reach each other", seconds=30)
    asking = [asyncio.create_task(ask()) for _ in range(64)]
    while outcomes["answered"] < 1000:
        await asyncio.sleep(0.01)
    await there.close()
    await asyncio.gather(*asking)
    await here.close()
    assert outcomes["unknown"] == 0, outcomes
