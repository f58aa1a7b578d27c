"""Delivers notices: the bot writes first, to people whose conversation it has stored."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from botbuilder.core import MessageFactory, TurnContext

from bot.adapter import Adapter, Outcome, outcome_of
from bot.answers import Answers
from bot.cards.audio import audio_notice_card
from bot.cards.notices import notice_card
from bot.cards.parts import attachment
from core.advisor.advisor import NOTICE as AUDIO_NOTICE
from core.hub.bus import NOTICES_TOPIC, Bus
from core.identity.teams_user import TeamsUser
from core.language import Language
from core.signin.preferences import PreferenceStore, Topic, topic_of
from core.signin.signin import SignIn
from core.store.conversations import Conversation as StoredConversation
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
        answers: Answers,
        conversations: Conversations,
        preferences: PreferenceStore,
        sign_in: SignIn,
        notices: Notices,
        bus: Bus,
    ) -> None:
        self._adapter = adapter
        self._answers = answers
        self._conversations = conversations
        self._preferences = preferences
        self._sign_in = sign_in
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
            if await self._notices.take(notice, now() + TAKEN_FOR):  # else another replica has it
                await self._deliver(notice)

    async def _deliver(self, notice: Notice) -> None:
        """Once, or not at all where nobody knows whether it has arrived: the tab and every card tell the same state."""
        if notice.sending:
            logger.warning("notice may have been delivered", extra={"notice": notice.id, "kind": notice.kind})
            await self._notices.give_up(notice)
            return
        stored = await self._conversations.of(notice.tenant_id, notice.object_id)
        if stored is None or not await self._is_wanted(notice):
            await self._notices.give_up(notice)
            return
        preferences = await self._preferences.of((notice.tenant_id, notice.object_id))
        morning = preferences.quiet_ends(now()) if topic_of(notice.kind) is not None else None
        if morning is not None:
            await self._notices.postpone(notice, morning)
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(notice, stored)
        except Exception as fault:
            outcome = outcome_of(fault)
            logger.warning(
                "notice not delivered", extra={"notice": notice.id, "outcome": outcome}, exc_info=True
            )
            if outcome is Outcome.NOT_DELIVERED:
                await self._notices.failed(notice, now())
            else:
                await self._notices.give_up(notice)
        else:
            await self._notices.delivered(notice, now())

    async def _is_wanted(self, notice: Notice) -> bool:
        """Not muted; and no longer told that a session has ended to whoever has begun another since."""
        person = (notice.tenant_id, notice.object_id)
        topic = topic_of(notice.kind)
        if topic in (await self._preferences.of(person)).muted:
            return False
        if topic is not Topic.SESSION:
            return True
        since = await self._sign_in.session_since(TeamsUser(*person))
        return since is None or since < notice.created_at

    async def _send(self, notice: Notice, stored: StoredConversation) -> None:
        reader = self._answers.reader(Language.of(stored.locale), stored.channel_id)
        if notice.kind == AUDIO_NOTICE:
            card = audio_notice_card(notice.detail, reader)
        else:
            card = notice_card(notice.kind, notice.detail, reader)

        async def send(context: TurnContext) -> None:
            await self._notices.sends(notice)
            await context.send_activity(MessageFactory.attachment(attachment(card)))

        await self._adapter.write_to(stored.reference, send)
