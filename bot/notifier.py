"""Delivers notices: the bot writes first, to people whose conversation it has stored."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from botbuilder.core import MessageFactory, TurnContext

from bot import cards
from bot.adapter import Adapter
from bot.conversation import Conversation
from core.advisor.advisor import NOTICE as AUDIO_NOTICE
from core.hub.bus import NOTICES_TOPIC, Bus
from core.language import Language
from core.store.conversations import Conversations
from core.store.moments import now
from core.store.notices import Notice, Notices

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
"""How often retries are looked for; a new notice wakes the notifier at once."""
SEND_SECONDS: Final = 30.0
TAKEN_FOR: Final = timedelta(seconds=2 * SEND_SECONDS)
"""A replica that dies with a notice in its hand leaves it to another after this long."""


class Notifier:
    def __init__(
        self,
        adapter: Adapter,
        conversation: Conversation,
        conversations: Conversations,
        notices: Notices,
        bus: Bus,
    ) -> None:
        self._adapter = adapter
        self._conversation = conversation
        self._conversations = conversations
        self._notices = notices
        self._bus = bus

    async def run(self) -> None:
        with self._bus.watch(NOTICES_TOPIC) as woken:
            while True:
                woken.clear()
                try:
                    await self._deliver_due()
                except Exception:
                    logger.exception("notices not delivered")
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await woken.wait()
                except TimeoutError:
                    continue

    async def _deliver_due(self) -> None:
        for notice in await self._notices.due(now()):
            if not await self._notices.take(notice, now() + TAKEN_FOR):
                continue  # another replica has it
            stored = await self._conversations.of(notice.tenant_id, notice.object_id)
            if stored is None:
                await self._notices.give_up(notice)
                continue
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await self._send(notice, stored.reference, Language.of(stored.locale))
            except Exception:
                logger.warning("notice not delivered", extra={"notice": notice.id}, exc_info=True)
                await self._notices.failed(notice, now())
            else:
                await self._notices.delivered(notice, now())

    async def _send(self, notice: Notice, reference: str, language: Language) -> None:
        if notice.kind == AUDIO_NOTICE:
            open_url = self._conversation.open_url("audio")
            card = cards.audio_notice_card(notice.detail, language, open_url)
        else:
            open_url = self._conversation.open_url("home")
            card = cards.notice_card(notice.kind, notice.detail, language, open_url)

        async def send(context: TurnContext) -> None:
            await context.send_activity(MessageFactory.attachment(cards.attachment(card)))

        await self._adapter.write_to(reference, send)
