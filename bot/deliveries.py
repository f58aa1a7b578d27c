"""Which activities have been answered, so that one that the channel delivers again is not answered twice.

The channel delivers an activity again when it got no good answer within 15 seconds: mostly to the same replica, and never
while all is well. So this replica's own memory comes first, and the database costs a turn one read and no write that
anybody waits for:

- what was answered is written a moment later, many at once (`Deliveries.run`). A process that dies within that moment has
  sent its response already, so the activity comes again only if that response was lost as well;
- an activity is claimed in the database, for the other replicas, when its turn lasts, and before it has an effect;
- where to write to is stored when it has changed.
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
"""A turn that lasts longer is claimed: the channel, or what stands between, may lose patience."""
LOOK_SECONDS: Final = 0.5
"""How often a second delivery looks what has become of the first, in another replica."""
WRITE_SECONDS: Final = 0.05
AT_ONCE: Final = 64
"""Marks in one transaction."""
MAX_REMEMBERED: Final = 20_000
"""Answered activities, here and while the database is away; beyond that the oldest are forgotten."""

Key = tuple[str, str, str]
"""Tenant id, object id, activity id."""


class Delivery:
    """An activity in this replica's hand. Ends with `answered` or `release`."""

    def __init__(self, deliveries: "Deliveries", key: Key, conversation: Conversation) -> None:
        self.key = key
        self.is_claimed = False
        """In the database."""
        self._deliveries = deliveries
        self.conversation = conversation
        self._over = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._lasts: asyncio.TimerHandle | None = None

    async def over(self) -> None:
        """Waits until it is answered or released."""
        await self._over.wait()

    async def claim(self) -> Claim:
        """For all replicas, until `answered` or `release`; `LEASE` at the longest."""
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

    def answered(self) -> None:
        """The same activity is not answered again."""
        self.drop()
        self._deliveries.note_answered(self.key)

    async def release(self) -> None:
        """There was no answer: the same activity is answered when the channel delivers it again."""
        try:
            async with self._claiming:
                if self.is_claimed:
                    await self._deliveries.conversations.release(*self.key)
        finally:
            self.drop()

    def claim_if_it_lasts(self) -> None:
        self._lasts = asyncio.get_running_loop().call_later(
            CLAIM_SECONDS, lambda: self._deliveries.background.start(self._claim_late())
        )

    async def _claim_late(self) -> None:
        async with self._claiming:
            if self.is_claimed or self._over.is_set():
                return
            if await self.claim() is Claim.IN_HAND:
                logger.warning("another replica answers the same activity", extra={"activity": self.key[2]})

    def drop(self) -> None:
        """Not this request's to answer; the one that waits for it looks again."""
        if self._lasts is not None:
            self._lasts.cancel()
        self._deliveries.ended(self)
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
        """None: it has been answered. While another request has it in hand, waits for what becomes of that.

        Stores where to write to, if that has changed. `has_effect`: what it asks for must not be done twice, so it is
        claimed at once.
        """
        key = (*person, activity_id)
        while True:
            if key in self._answered:
                return None
            if (other := self._in_hand.get(key)) is not None:
                await other.over()
                continue
            delivery = self._in_hand[key] = Delivery(self, key, conversation)
            claim = Claim.IN_HAND
            try:
                claim = await self._look(delivery, has_effect=has_effect)
            finally:
                if claim is not Claim.NEW:
                    delivery.drop()
            if claim is Claim.NEW:
                delivery.claim_if_it_lasts()
                return delivery
            if claim is Claim.ANSWERED:
                return None
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, delivery: Delivery, *, has_effect: bool) -> Claim:
        tenant_id, object_id, activity_id = delivery.key
        if not has_effect:
            known = await self.conversations.known(tenant_id, object_id)
            if known is not None and known.conversation == delivery.conversation:
                return known.claim_of(activity_id, now())
        return await delivery.claim()

    async def met(self, person: tuple[str, str], conversation: Conversation) -> None:
        """Stores where to write to, if that has changed."""
        await self.conversations.open(*person, conversation, None, now())

    def note_answered(self, key: Key) -> None:
        for memory in (self._answered, self._unwritten):
            memory[key] = None
            while len(memory) > MAX_REMEMBERED:
                memory.popitem(last=False)
        self._noted.set()

    def ended(self, delivery: Delivery) -> None:
        if self._in_hand.get(delivery.key) is delivery:
            del self._in_hand[delivery.key]

    async def run(self) -> None:
        """Writes what was answered, for the other replicas and for this one after a restart."""
        while True:
            await self._noted.wait()
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except Exception as fault:  # noqa: BLE001 - it is tried again, whatever it is
                await asyncio.sleep(self._setbacks.failed("answered", fault, "answers not noted"))
            else:
                self._setbacks.worked("answered")

    async def write(self) -> None:
        """Everything that was answered until now."""
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
