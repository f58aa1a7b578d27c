"""Remembers answered activities, so that an activity that the channel delivers again is not answered twice.

The channel repeats an activity if it gets no successful response within 15 seconds, usually to the same replica. Without
failures there are no repetitions. So this replica's own memory is checked first, and a turn costs one database read and no
write that it waits for:

- answered activities are written a moment later, in batches (`Deliveries.run`). If the process crashes in that moment, it
  has sent its response already, so the activity is only repeated if the response was lost too;
- an activity is claimed in the database, for other replicas, before it has an effect, or when its turn takes long;
- the address of the conversation is stored when it has changed.
"""

import asyncio
import logging
from collections import OrderedDict
from typing import Final

from core.background import Background, Setbacks
from core.store.conversations import Claim, Conversation, Conversations
from core.store.timestamps import now

logger = logging.getLogger(__name__)

CLAIM_SECONDS: Final = 2.0
"""A turn that takes longer is claimed, because the channel or a proxy may time out and repeat the activity."""
POLL_SECONDS: Final = 0.5
"""How often a repeated delivery checks the state of the first one at another replica."""
WRITE_SECONDS: Final = 0.05
"""How long answered activities are collected before they are written."""
AT_ONCE: Final = 64
"""Number of activities in one transaction."""
MAX_REMEMBERED: Final = 20_000
"""Number of answered activities kept in memory, and of those not yet written. Beyond it the oldest are dropped."""

Key = tuple[str, str, str]
"""Tenant id, object id, activity id."""


class Delivery:
    """An activity that this replica is answering. Must end with `mark_answered` or `release`."""

    def __init__(self, deliveries: "Deliveries", key: Key, conversation: Conversation) -> None:
        self.key = key
        self.is_claimed = False
        """Whether it is claimed in the database."""
        self._deliveries = deliveries
        self.conversation = conversation
        self._over = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._lasts: asyncio.TimerHandle | None = None

    async def wait_until_over(self) -> None:
        """Wait until it is answered or released."""
        await self._over.wait()

    async def claim(self) -> Claim:
        """Claim the activity for this replica until `mark_answered` or `release`, at most for `LEASE`."""
        tenant_id, object_id, activity_id = self.key
        claim = await self._deliveries.conversations.open(
            tenant_id=tenant_id,
            object_id=object_id,
            conversation=self.conversation,
            activity_id=activity_id,
            at=now(),
        )
        self.is_claimed = claim is Claim.NEW
        return claim

    def mark_answered(self) -> None:
        """Record the answer. The same activity is not answered again."""
        self.give_up()
        self._deliveries.note_answered(self.key)

    async def release(self) -> None:
        """Record that there was no answer. The activity is answered when the channel delivers it again."""
        try:
            async with self._claiming:
                if self.is_claimed:
                    await self._deliveries.conversations.release(*self.key)
        finally:
            self.give_up()

    def schedule_claim(self) -> None:
        self._lasts = asyncio.get_running_loop().call_later(
            CLAIM_SECONDS, lambda: self._deliveries.background.start(self._claim_late())
        )

    async def _claim_late(self) -> None:
        async with self._claiming:
            if self.is_claimed or self._over.is_set():
                return
            if await self.claim() is Claim.IN_HAND:
                logger.warning("another replica answers the same activity", extra={"activity": self.key[2]})

    def give_up(self) -> None:
        """Give the activity up, and wake the request that waits for it."""
        if self._lasts is not None:
            self._lasts.cancel()
        self._deliveries.remove(self)
        self._over.set()


class Deliveries:
    def __init__(self, conversations: Conversations) -> None:
        self.conversations = conversations
        self.background = Background()
        self._in_hand: dict[Key, Delivery] = {}
        self._answered: OrderedDict[Key, None] = OrderedDict()
        self._unwritten: OrderedDict[Key, None] = OrderedDict()
        self._noted = asyncio.Event()
        self._setbacks = Setbacks()

    async def begin(
        self, person: tuple[str, str], conversation: Conversation, activity_id: str, *, has_effect: bool
    ) -> Delivery | None:
        """Begin to answer an activity; return None if it has been answered already.

        While another request is answering it, wait for the outcome. The conversation's address is stored if it has
        changed. With `has_effect`, the activity must not be carried out twice, so it is claimed immediately.
        """
        key = (*person, activity_id)
        while True:
            if key in self._answered:
                return None
            if (other := self._in_hand.get(key)) is not None:
                await other.wait_until_over()
                continue
            delivery = self._in_hand[key] = Delivery(self, key, conversation)
            claim = Claim.IN_HAND
            try:
                claim = await self._look(delivery, has_effect=has_effect)
            finally:
                if claim is not Claim.NEW:
                    delivery.give_up()
            if claim is Claim.NEW:
                delivery.schedule_claim()
                return delivery
            if claim is Claim.ANSWERED:
                return None
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self, delivery: Delivery, *, has_effect: bool) -> Claim:
        tenant_id, object_id, activity_id = delivery.key
        if not has_effect:
            known = await self.conversations.known(tenant_id, object_id)
            if known is not None and known.conversation == delivery.conversation:
                return known.claim_of(activity_id, now())
        return await delivery.claim()

    async def store_conversation(self, person: tuple[str, str], conversation: Conversation) -> None:
        """Store the conversation's address if it has changed."""
        await self.conversations.open(*person, conversation, None, now())

    def note_answered(self, key: Key) -> None:
        for memory in (self._answered, self._unwritten):
            memory[key] = None
            while len(memory) > MAX_REMEMBERED:
                memory.popitem(last=False)
        self._noted.set()

    def remove(self, delivery: Delivery) -> None:
        if self._in_hand.get(delivery.key) is delivery:
            del self._in_hand[delivery.key]

    async def run(self) -> None:
        """Write answered activities, for other replicas and for this one after a restart, until cancelled."""
        while True:
            await self._noted.wait()
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except Exception as fault:  # noqa: BLE001 - any failure is retried
                await asyncio.sleep(self._setbacks.record_failure("answered", fault, "answers not noted"))
            else:
                self._setbacks.record_success("answered")

    async def write(self) -> None:
        """Write everything that was answered until now."""
        self._noted.clear()
        try:
            while self._unwritten:
                marks = [key for key, _ in zip(self._unwritten, range(AT_ONCE), strict=False)]
                await self.conversations.mark_answered(*marks)
                for key in marks:
                    self._unwritten.pop(key, None)
        finally:
            if self._unwritten:
                self._noted.set()

    async def close(self) -> None:
        await self.background.finish()
        await self.write()
