"""The bus between replicas of two versions: each hears what the other says, and what is said in both words is heard once."""

import asyncio
from collections.abc import Sequence

import pytest

from core.hub.bus import Bus, claims_topic, pbx_topics, user_topic
from core.hub.plane import NoPlane


class Wire(NoPlane):
    """Keeps what goes to the other replicas."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def publish(self, topics: Sequence[str]) -> None:
        self.said.extend(topics)


@pytest.fixture
async def wire() -> Wire:
    return Wire()


def heard_by(bus: Bus) -> list[str]:
    heard: list[str] = []
    for kind in ("user", "seats", "holders", "connection", "claims", "pbx"):
        bus.listen(kind, lambda rest, kind=kind: heard.append(f"{kind}:{rest}"))
    return heard


async def test_a_replica_of_the_version_before_hears_that_something_of_a_pbx_changed(wire: Wire) -> None:
    """It knows `pbx:PBX` alone (commit dffd06e)."""
    bus = Bus(wire)
    for topics in (pbx_topics("p"), (claims_topic("q"),), (user_topic("t", "o"), *pbx_topics("r"))):
        bus.publish(*topics)
    assert [topic for topic in wire.said if topic.startswith("pbx:")] == ["pbx:p", "pbx:q", "pbx:r"]


async def test_nobody_of_this_version_does_the_work_twice(wire: Wire) -> None:
    ours, theirs = Bus(wire), Bus(Wire())
    heard_here, heard_there = heard_by(ours), heard_by(theirs)
    ours.publish(user_topic("t", "o"), *pbx_topics("p"))
    theirs.deliver(wire.said)
    assert heard_here == heard_there == ["user:t:o", *pbx_topics("p")]


async def test_what_the_version_before_says_is_heard(wire: Wire) -> None:
    bus = Bus(wire)
    heard = heard_by(bus)
    bus.deliver(["user:t:o", "pbx:p", "notices"])
    assert heard == ["user:t:o", "pbx:p"]
    with bus.watch("pbx:p") as woken:
        bus.deliver(["pbx:p"])
        await asyncio.wait_for(woken.wait(), 20)
