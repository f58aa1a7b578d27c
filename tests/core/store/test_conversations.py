"""Which activity is answered by whom, and whether the bot can write to somebody."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from core.licensing.ledger import open_ledger
from core.store.conversations import ANSWERED_KEPT, LEASE, Claim, ClosedReason, Conversation, Conversations
from core.store.database import Database, upgrade_async

ANNA = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
CHAT = Conversation('{"user": {"id": "29:anna"}}', "de-DE")
NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)


@pytest.fixture
async def conversations(database_url: str) -> AsyncIterator[Conversations]:
    await upgrade_async(database_url)
    database = Database(database_url)
    ledger = open_ledger(database.address)
    yield Conversations(database, ledger.writer)
    await ledger.close()
    await database.close()


async def test_of_simultaneous_deliveries_one_is_answered(conversations: Conversations) -> None:
    claims = await asyncio.gather(*(conversations.open(*ANNA, CHAT, "a1", NOON) for _ in range(8)))
    assert sorted(claims) == [Claim.IN_HAND] * 7 + [Claim.NEW]


async def test_what_was_answered_is_not_answered_again(conversations: Conversations) -> None:
    assert await conversations.open(*ANNA, CHAT, "a1", NOON) is Claim.NEW
    await conversations.mark_answered((*ANNA, "a1"))
    assert await conversations.open(*ANNA, CHAT, "a1", NOON + timedelta(days=1)) is Claim.ANSWERED


async def test_what_was_not_answered_is_answered_when_it_comes_again(conversations: Conversations) -> None:
    await conversations.open(*ANNA, CHAT, "a1", NOON)
    await conversations.release(*ANNA, "a1")
    assert await conversations.open(*ANNA, CHAT, "a1", NOON) is Claim.NEW


@pytest.mark.parametrize("later", [LEASE, -timedelta(hours=1)])
async def test_a_process_that_died_with_an_activity_in_hand_leaves_it_to_another(
    conversations: Conversations, later: timedelta
) -> None:
    await conversations.open(*ANNA, CHAT, "a1", NOON)
    assert await conversations.open(*ANNA, CHAT, "a1", NOON + LEASE / 2) is Claim.IN_HAND
    # Whether the time has passed, or the clock was turned back meanwhile.
    assert await conversations.open(*ANNA, CHAT, "a1", NOON + later) is Claim.NEW


async def test_only_the_last_answered_are_remembered(conversations: Conversations) -> None:
    for number in range(ANSWERED_KEPT + 1):
        await conversations.open(*ANNA, CHAT, f"a{number}", NOON)
        await conversations.mark_answered((*ANNA, f"a{number}"))
    assert await conversations.open(*ANNA, CHAT, "a1", NOON) is Claim.ANSWERED
    assert await conversations.open(*ANNA, CHAT, "a0", NOON) is Claim.NEW


@pytest.mark.parametrize("activity_id", [None, "a1"])
async def test_a_closed_conversation_is_opened_by_the_next_message(
    conversations: Conversations, activity_id: str | None
) -> None:
    await conversations.open(*ANNA, CHAT, None, NOON)
    await conversations.close(*ANNA, ClosedReason.BLOCKED)
    stored = await conversations.get(*ANNA)
    assert stored is not None
    assert stored.closed is ClosedReason.BLOCKED
    await conversations.open(*ANNA, CHAT, activity_id, NOON)
    assert await conversations.get(*ANNA) == CHAT


async def test_closing_makes_no_conversation(conversations: Conversations) -> None:
    await conversations.close(*ANNA, ClosedReason.REMOVED)
    await conversations.mark_answered((*ANNA, "a1"))
    assert await conversations.get(*ANNA) is None


async def test_a_person_who_moves_is_written_to_at_the_new_address(conversations: Conversations) -> None:
    await conversations.open(*ANNA, CHAT, None, NOON)
    moved = Conversation('{"user": {"id": "29:elsewhere"}}', "en-US")
    await conversations.open(*ANNA, moved, None, NOON)
    assert await conversations.get(*ANNA) == moved
