"""Many simultaneous notices: each user is notified once and in order, and a busy organisation does not delay
others.
"""

import json
import uuid
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from core.store.timestamps import new_id
from tests.support.chat import set_channel_faults
from tests.support.world import World, eventually


class Tenant:
    """An organisation of people whose chats the bot knows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.id = str(uuid.uuid4())
        self.people: list[str] = []

    def add_people(self, count: int) -> list[str]:
        added = [str(uuid.uuid4()) for _ in range(count)]
        rows = [(self.id, person, self._reference(person), "en-US", 0) for person in added]
        with closing(self.world.database()) as database, database:
            database.executemany(
                "INSERT INTO conversation (tenant_id, object_id, reference, locale, updated_at)"
                " VALUES (?, ?, ?, ?, ?)",
                rows,
            )
        self.people += added
        return added

    def _reference(self, person: str) -> str:
        return json.dumps(
            {
                "channelId": "msteams",
                "serviceUrl": f"http://127.0.0.1:{self.world.demo.teams_port}",
                "conversation": {"id": person, "conversationType": "personal", "tenantId": self.id},
                "user": {"id": f"29:{person}"},
                "bot": {"id": "28:bot"},
            }
        )

    def tell(self, *people: str, reason: str = "because") -> None:
        at = int(datetime.now(UTC).timestamp() * 1000)
        detail = json.dumps({"pbx_name": "pbx.example.com", "actor": "Clara Vogt", "reason": reason})
        with closing(self.world.database()) as database, database:
            database.executemany(
                "INSERT INTO notice (id, tenant_id, object_id, kind, detail, created_at, attempts, next_attempt_at,"
                " given_up) VALUES (?, ?, ?, 'revoked', ?, ?, 0, ?, 0)",
                [(new_id(), self.id, person, detail, at, at) for person in people],
            )

    def notices(self) -> list[dict[str, Any]]:
        with closing(self.world.database()) as database:
            query = "SELECT object_id, attempts, delivered_at, given_up, next_attempt_at FROM notice WHERE tenant_id = ?"
            names = ("object_id", "attempts", "delivered_at", "given_up", "next_attempt_at")
            return [dict(zip(names, row, strict=True)) for row in database.execute(query, (self.id,))]

    async def all_delivered(self) -> bool:
        return all(notice["delivered_at"] for notice in self.notices())

    async def said_to(self, person: str) -> list[dict[str, Any]]:
        async with self.world.http.get(f"{self.world.demo.teams_url}/host/chats/{person}") as answer:
            return (await answer.json())["activities"]


async def test_many_people_are_informed_once_each(the_world: World) -> None:
    tenant = Tenant(the_world)
    people = tenant.add_people(150)
    tenant.tell(*people)
    await eventually(tenant.all_delivered, "everybody is told", seconds=60)
    for person in people:
        assert len(await tenant.said_to(person)) == 1


async def test_messages_for_one_person_arrive_in_order(the_world: World) -> None:
    tenant = Tenant(the_world)
    (person,) = tenant.add_people(1)
    for number in range(5):
        tenant.tell(person, reason=f"reason {number}")
    await eventually(tenant.all_delivered, "everything is told", seconds=60)
    said = [json.dumps(activity) for activity in await tenant.said_to(person)]
    assert [number for text in said for number in range(5) if f"reason {number}" in text] == [*range(5)]


async def test_an_organisation_that_gets_too_many_waits_and_nobody_else_does(the_world: World) -> None:
    busy, other = Tenant(the_world), Tenant(the_world)
    first, second, third = busy.add_people(3)
    (elsewhere,) = other.add_people(1)
    throttled = {"status": 429, "retryAfter": "50"}
    await set_channel_faults(the_world, throttled, throttled)
    busy.tell(first, second)

    async def tried() -> bool:
        return [notice["attempts"] for notice in busy.notices()] == [1, 1]

    await eventually(tried, "the channel does not take them", seconds=30)
    busy.tell(third)
    other.tell(elsewhere)
    await eventually(other.all_delivered, "the other organisation is told", seconds=30)

    async def postponed() -> bool:
        (notice,) = [notice for notice in busy.notices() if notice["object_id"] == third]
        assert notice["attempts"] == 0 and notice["delivered_at"] is None, "not even tried"
        return notice["next_attempt_at"] > datetime.now(UTC).timestamp() * 1000 + 10_000

    await eventually(postponed, "the third of the busy organisation waits", seconds=30)
