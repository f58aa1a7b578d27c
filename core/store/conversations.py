"""Where the bot can write to a Teams user: stored conversation references, and which activities have been answered."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from core.store.database import Database
from core.store.timestamps import to_ms
from core.store.transaction import Transaction, Writer, execute, first

ANSWERED_KEPT: Final = 20
"""Far more than anybody says within the minute in which the channel may deliver again."""
LEASE: Final = timedelta(seconds=25)
"""How long an activity may be in hand. A turn is cut before that, so a longer one belongs to a process that died."""
_LEASE_MS: Final = LEASE // timedelta(milliseconds=1)
_KNOWN: Final = (
    "SELECT reference, locale, closed_reason, answered, in_hand FROM conversation"
    " WHERE tenant_id = $1 AND object_id = $2"
)
_CLAIMS: Final = (
    "SELECT answered, in_hand FROM conversation WHERE tenant_id = $1 AND object_id = $2 FOR UPDATE"
)


class ClosedReason(StrEnum):
    """Why the bot can no longer write to somebody."""

    REMOVED = "removed"
    """The app was removed, or its chat does not exist any more."""
    BLOCKED = "blocked"
    """The person has blocked the bot."""
    DISABLED = "disabled"
    """An administrator of the organisation has blocked the app."""


class Claim(StrEnum):
    """What is known of an activity that has been delivered."""

    NEW = "new"
    """It is the caller's to answer."""
    IN_HAND = "in-hand"
    """Another request, perhaps in another replica, is answering it."""
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Conversation:
    reference: str
    """The conversation reference as JSON, in the form of the Bot Framework."""
    locale: str
    closed: ClosedReason | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """The row of a person."""

    conversation: Conversation
    answered: Collection[str]
    """Ids of the last activities."""
    in_hand: Mapping[str, int]
    """Ids of claimed activities, and when they were."""

    def claim_of(self, activity_id: str, at: datetime) -> Claim:
        """What is known of an activity at this moment, without taking it in hand."""
        if activity_id in self.answered:
            return Claim.ANSWERED
        return Claim.IN_HAND if activity_id in _living(self.in_hand, to_ms(at)) else Claim.NEW


class Conversations:
    """One row for each person; `tenant_id` and `object_id` name them everywhere."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def open(
        self,
        tenant_id: str,
        object_id: str,
        conversation: Conversation,
        activity_id: str | None,
        at: datetime,
    ) -> Claim:
        """Remembers where to write to, which opens a closed conversation again, and takes the activity in hand.

        The claim lasts until `mark_answered` or `release`, `LEASE` at the longest. Without an id nothing is claimed.
        """
        if activity_id is None and await self.get(tenant_id, object_id) == conversation:
            return Claim.NEW
        person = (tenant_id, object_id)
        return await self._writer.run_small(
            lambda: _open(person=person, conversation=conversation, activity_id=activity_id, at=to_ms(at))
        )

    async def mark_answered(self, *answered: tuple[str, str, str]) -> None:
        """Tenant id, object id and activity: the answers have been delivered, so the same activities are not answered
        again. All in one transaction.
        """
        # In one order, so that two replicas do not wait for each other.
        await self._writer.run_small(lambda: _mark_answered(sorted(answered)))

    async def release(self, tenant_id: str, object_id: str, activity_id: str) -> None:
        """There was no answer: the same activity is answered when the channel delivers it again."""
        person = (tenant_id, object_id)
        await self._writer.run_small(lambda: _release(person, activity_id))

    async def close(self, tenant_id: str, object_id: str, reason: ClosedReason) -> None:
        """The bot can no longer write there. Nothing happens for somebody who never had a chat."""
        statement = "UPDATE conversation SET closed_reason = $1 WHERE tenant_id = $2 AND object_id = $3"
        await self._writer.run_small(lambda: execute(statement, reason.value, tenant_id, object_id))

    async def get(self, tenant_id: str, object_id: str) -> Conversation | None:
        known = await self.known(tenant_id, object_id)
        return known.conversation if known is not None else None

    async def known(self, tenant_id: str, object_id: str) -> Known | None:
        row = await self._database.fetch_first(_KNOWN, tenant_id, object_id)
        if row is None:
            return None
        closed = ClosedReason(row["closed_reason"]) if row["closed_reason"] is not None else None
        conversation = Conversation(row["reference"], row["locale"], closed)
        return Known(conversation, json.loads(row["answered"]), json.loads(row["in_hand"]))


def _living(in_hand: Mapping[str, int], at: int) -> dict[str, int]:
    """Without the claims of processes that died, and those of a clock that went wrong."""
    return {claimed: since for claimed, since in in_hand.items() if since <= at < since + _LEASE_MS}


def _open(
    person: tuple[str, str], conversation: Conversation, activity_id: str | None, at: int
) -> Transaction[Claim]:
    # Made first, so that two replicas cannot both find no row and both claim.
    yield from execute(
        "INSERT INTO conversation (tenant_id, object_id, reference, locale, updated_at) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        *person,
        conversation.reference,
        conversation.locale,
        at,
    )
    (row,) = yield from execute(_CLAIMS, *person)
    answered, in_hand = json.loads(row["answered"]), json.loads(row["in_hand"])
    if activity_id in answered:
        return Claim.ANSWERED
    in_hand = _living(in_hand, at)
    if activity_id in in_hand:
        return Claim.IN_HAND
    if activity_id is not None:
        in_hand[activity_id] = at
    yield from execute(
        "UPDATE conversation SET reference = $1, locale = $2, updated_at = $3, in_hand = $4, closed_reason = NULL"
        " WHERE tenant_id = $5 AND object_id = $6",
        conversation.reference,
        conversation.locale,
        at,
        json.dumps(in_hand),
        *person,
    )
    return Claim.NEW


def _mark_answered(answered: Collection[tuple[str, str, str]]) -> Transaction[None]:
    for tenant_id, object_id, activity_id in answered:
        row = yield from first(_CLAIMS, tenant_id, object_id)
        if row is None:
            continue
        done, in_hand = json.loads(row["answered"]), json.loads(row["in_hand"])
        in_hand.pop(activity_id, None)
        if activity_id not in done:
            done = [*done, activity_id][-ANSWERED_KEPT:]
        yield from execute(
            "UPDATE conversation SET answered = $1, in_hand = $2 WHERE tenant_id = $3 AND object_id = $4",
            json.dumps(done),
            json.dumps(in_hand),
            tenant_id,
            object_id,
        )


def _release(person: tuple[str, str], activity_id: str) -> Transaction[None]:
    row = yield from first(_CLAIMS, *person)
    if row is None:
        return
    in_hand = json.loads(row["in_hand"])
    if in_hand.pop(activity_id, None) is not None:
        statement = "UPDATE conversation SET in_hand = $1 WHERE tenant_id = $2 AND object_id = $3"
        yield from execute(statement, json.dumps(in_hand), *person)
