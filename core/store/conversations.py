"""Conversation references, with which the bot can write to a Teams user, and which activities have been answered."""

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
"""How many answered activities are remembered for one person: far more than anybody sends within the minute in which
the channel may deliver an activity again."""
LEASE: Final = timedelta(seconds=25)
"""Lease of a claimed activity. A turn is cut off before that, so an older claim belongs to a process that died."""
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
    """The state of an activity that the channel has delivered."""

    NEW = "new"
    """The caller has to answer it."""
    IN_HAND = "in-hand"
    """Another request, perhaps in another replica, is answering it."""
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A person's chat with the bot."""

    reference: str
    """The conversation reference as JSON, in the form of the Bot Framework."""
    locale: str
    closed: ClosedReason | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A person's conversation, with the activities that were claimed or answered."""

    conversation: Conversation
    answered: Collection[str]
    """Ids of the activities that were answered last."""
    in_hand: Mapping[str, int]
    """Maps the id of a claimed activity to the time of the claim (milliseconds since the epoch)."""

    def claim_of(self, activity_id: str, at: datetime) -> Claim:
        """Return the state of an activity at this moment, without claiming it."""
        if activity_id in self.answered:
            return Claim.ANSWERED
        return Claim.IN_HAND if activity_id in _keep_valid_claims(self.in_hand, to_ms(at)) else Claim.NEW


class Conversations:
    """Stores one conversation for each person, who is identified by `tenant_id` and `object_id`."""

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
        """Store the conversation, reopening it if it was closed, and claim the activity.

        The claim lasts until `mark_answered` or `release`, but no longer than `LEASE`. Without an id nothing is
        claimed.
        """
        if activity_id is None and await self.get(tenant_id, object_id) == conversation:
            return Claim.NEW
        person = (tenant_id, object_id)
        return await self._writer.run_small(
            lambda: _open(person=person, conversation=conversation, activity_id=activity_id, at=to_ms(at))
        )

    async def mark_answered(self, *answered: tuple[str, str, str]) -> None:
        """Store that activities were answered, so that they are not answered again, in one transaction.

        Each item is a tenant id, an object id and an activity id.
        """
        # Sorted, so that two replicas cannot deadlock.
        await self._writer.run_small(lambda: _mark_answered(sorted(answered)))

    async def release(self, tenant_id: str, object_id: str, activity_id: str) -> None:
        """Give up the claim without an answer: the activity is answered when the channel delivers it again."""
        person = (tenant_id, object_id)
        await self._writer.run_small(lambda: _release(person, activity_id))

    async def close(self, tenant_id: str, object_id: str, reason: ClosedReason) -> None:
        """Store that the bot can no longer write to this person. Does nothing for a person who never had a chat."""
        statement = "UPDATE conversation SET closed_reason = $1 WHERE tenant_id = $2 AND object_id = $3"
        await self._writer.run_small(lambda: execute(statement, reason.value, tenant_id, object_id))

    async def get(self, tenant_id: str, object_id: str) -> Conversation | None:
        known = await self.known(tenant_id, object_id)
        return known.conversation if known is not None else None

    async def known(self, tenant_id: str, object_id: str) -> Known | None:
        """Read the person's row; None when the person never had a chat."""
        row = await self._database.fetch_first(_KNOWN, tenant_id, object_id)
        if row is None:
            return None
        closed = ClosedReason(row["closed_reason"]) if row["closed_reason"] is not None else None
        conversation = Conversation(row["reference"], row["locale"], closed)
        return Known(conversation, json.loads(row["answered"]), json.loads(row["in_hand"]))


def _keep_valid_claims(in_hand: Mapping[str, int], at: int) -> dict[str, int]:
    """Return the claims whose lease has not expired. Claims from the future, made by a wrong clock, do not count."""
    return {claimed: since for claimed, since in in_hand.items() if since <= at < since + _LEASE_MS}


def _open(
    person: tuple[str, str], conversation: Conversation, activity_id: str | None, at: int
) -> Transaction[Claim]:
    # Insert the row first, so that two replicas cannot both find no row and both claim.
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
    in_hand = _keep_valid_claims(in_hand, at)
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
