"""An activity is answered once: by this replica's memory, by the database for the others, and without a write that waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import pytest

from bot import deliveries as module
from bot.deliveries import Deliveries
from core.licensing.ledger import open_ledger
from core.store.conversations import Claim, Conversation, Conversations
from core.store.database import Database, upgrade_async
from core.store.timestamps import now
from tests.support.world import eventually

ANNA = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
CHAT = Conversation('{"user": {"id": "29:anna"}}', "de-DE")


@pytest.fixture
async def conversations(database_url: str) -> AsyncIterator[Conversations]:
    await upgrade_async(database_url)
    database = Database(database_url)
    ledger = open_ledger(database.address)
    found = Conversations(database, ledger.writer)
    await found.open(*ANNA, CHAT, None, now())
    yield found
    await ledger.close()
    await database.close()


async def row(conversations: Conversations) -> tuple[list[str], list[str]]:
    known = await conversations.known(*ANNA)
    assert known is not None
    return list(known.answered), list(known.in_hand)


async def test_a_turn_writes_nothing_before_its_answer(conversations: Conversations) -> None:
    deliveries = Deliveries(conversations)
    delivery = await deliveries.begin(ANNA, CHAT, "a1", has_effect=False)
    assert delivery is not None and await row(conversations) == ([], [])
    delivery.mark_answered()
    assert await deliveries.begin(ANNA, CHAT, "a1", has_effect=False) is None
    await deliveries.close()
    assert await row(conversations) == (["a1"], [])


async def test_many_answers_are_written_together(conversations: Conversations) -> None:
    deliveries = Deliveries(conversations)
    work = asyncio.create_task(deliveries.run())
    for number in range(5):
        delivery = await deliveries.begin(ANNA, CHAT, f"a{number}", has_effect=False)
        assert delivery is not None
        delivery.mark_answered()

    async def written() -> bool:
        return len((await row(conversations))[0]) == 5

    await eventually(written, "the answers are noted", seconds=20)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    # So another replica, and this one after a restart, know them.
    assert await Deliveries(conversations).begin(ANNA, CHAT, "a3", has_effect=True) is None
    assert await Deliveries(conversations).begin(ANNA, CHAT, "a4", has_effect=False) is None


async def test_deliveries_at_once_are_answered_once(conversations: Conversations) -> None:
    deliveries = Deliveries(conversations)
    begun = [asyncio.create_task(deliveries.begin(ANNA, CHAT, "a1", has_effect=False)) for _ in range(5)]
    done, waiting = await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
    (first,) = [task.result() for task in done]
    assert first is not None and len(waiting) == 4
    first.mark_answered()
    assert await asyncio.gather(*waiting) == [None] * 4


async def test_a_second_delivery_answers_when_the_first_could_not(conversations: Conversations) -> None:
    deliveries = Deliveries(conversations)
    first = await deliveries.begin(ANNA, CHAT, "a1", has_effect=False)
    assert first is not None
    second = asyncio.create_task(deliveries.begin(ANNA, CHAT, "a1", has_effect=False))
    await asyncio.sleep(0)
    await first.release()
    assert await second is not None


async def test_what_has_an_effect_is_claimed_for_all_replicas(conversations: Conversations) -> None:
    here, there = Deliveries(conversations), Deliveries(conversations)
    mine = await here.begin(ANNA, CHAT, "a1", has_effect=True)
    assert mine is not None and (await row(conversations))[1] == ["a1"]
    theirs = asyncio.create_task(there.begin(ANNA, CHAT, "a1", has_effect=True))
    done, _ = await asyncio.wait([theirs], timeout=2 * module.POLL_SECONDS)
    assert not done, "it waits for what becomes of the first"
    await mine.release()
    assert await theirs is not None


async def test_a_turn_that_lasts_is_claimed(
    conversations: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLAIM_SECONDS", 0.01)
    deliveries = Deliveries(conversations)
    delivery = await deliveries.begin(ANNA, CHAT, "a1", has_effect=False)
    assert delivery is not None

    async def claimed() -> bool:
        return (await row(conversations))[1] == ["a1"]

    await eventually(claimed, "it is claimed", seconds=20)
    assert await conversations.open(*ANNA, CHAT, "a1", now()) is Claim.IN_HAND
    await delivery.release()
    assert await row(conversations) == ([], [])


async def test_where_to_write_to_is_stored_when_it_has_changed(conversations: Conversations) -> None:
    deliveries = Deliveries(conversations)
    moved = Conversation('{"user": {"id": "29:elsewhere"}}', "en-US")
    delivery = await deliveries.begin(ANNA, moved, "a1", has_effect=False)
    assert delivery is not None and delivery.is_claimed
    assert await conversations.get(*ANNA) == moved
    delivery.mark_answered()
    await deliveries.close()
    assert await row(conversations) == (["a1"], [])


async def test_a_claim_of_a_replica_that_died_is_taken_over(conversations: Conversations) -> None:
    await conversations.open(*ANNA, CHAT, "a1", now() - timedelta(seconds=24, milliseconds=500))
    assert await Deliveries(conversations).begin(ANNA, CHAT, "a1", has_effect=False) is not None


async def test_memory_is_bounded(conversations: Conversations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    deliveries = Deliveries(conversations)
    for number in range(5):
        deliveries.note_answered((*ANNA, f"a{number}"))
    await deliveries.close()
    assert (await row(conversations))[0] == ["a2", "a3", "a4"]
