"""Delivers notices: messages that the bot sends first, to people whose conversation is stored.

Many are sent at the same time, but at most one to each person, so that they arrive in order. If the channel throttles
messages to an organisation, all notices to that organisation wait; others do not.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, NamedTuple

from botbuilder.schema import Activity
from pydantic_core import from_json

from bot.answers import Answers
from bot.cards.audio import audio_notice_card
from bot.cards.notices import notice_card
from bot.cards.parts import message
from bot.channel import Channel, DeliveryError, DeliveryOutcome
from bot.pauses import Pauses
from core.advisor.advisor import NOTICE as AUDIO_NOTICE
from core.background import Setbacks, cancel_and_wait
from core.hub.bus import NOTICES_TOPIC, Bus
from core.language import Language
from core.signin.preferences import Topic, get_topic, to_preferences
from core.store.conversations import Conversations
from core.store.notices import (
    DueNotice,
    Notice,
    NoticeChange,
    Notices,
    give_up,
    mark_delivered,
    postpone,
    schedule_retry,
)
from core.store.timestamps import now

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 5.0
"""Interval at which due retries are searched. A new notice wakes the notifier immediately."""
SEND_SECONDS: Final = 30.0
"""Time-out for sending one notice."""
TAKEN_FOR: Final = timedelta(seconds=2 * SEND_SECONDS)
"""Lease of a notice: if the replica that sends it crashes, another one takes it over after this time."""
AT_ONCE: Final = 128
"""Notices that are sent at the same time."""
GATHER_SECONDS: Final = 0.02
"""The longest time for which outcomes are collected before they are written together."""
CLOSE_SECONDS: Final = 5.0
"""How long a stopping service waits for notices that are being sent."""


Person = tuple[str, str]


class NoticeMessage(NamedTuple):
    reference: Mapping[str, Any]
    """The conversation reference, as the Bot Framework defines it."""
    activity: Activity


class Notifier:
    def __init__(
        self, channel: Channel, answers: Answers, conversations: Conversations, notices: Notices, bus: Bus
    ) -> None:
        self._channel = channel
        self._answers = answers
        self._conversations = conversations
        self._notices = notices
        self._bus = bus
        self._setbacks = Setbacks()
        self._under_way: dict[Person, asyncio.Task[None]] = {}
        """Running deliveries, by person."""
        self._changes: dict[str, NoticeChange] = {}
        """Unwritten outcomes, by notice id. Until they are written, the rows say that the notice may have arrived."""
        self._pauses = Pauses()
        self._has_backlog = False
        """Whether the last search found as many due notices as it asked for."""
        self._enough = AT_ONCE
        """The end of a delivery wakes the notifier when no more than this many are running."""
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Deliver notices until cancelled."""
        with self._bus.watch(NOTICES_TOPIC) as self._woken:
            while True:
                self._woken.clear()
                more = False
                try:
                    more = await self._deliver_due()
                except Exception as fault:  # noqa: BLE001 - any failure is retried after a pause
                    await asyncio.sleep(
                        self._setbacks.record_failure("notices", fault, "notices not delivered")
                    )
                else:
                    self._setbacks.record_success("notices")
                if not more:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(POLL_SECONDS):
                            await self._woken.wait()
                    await self._gather_outcomes()

    async def _gather_outcomes(self) -> None:
        """Wait until running deliveries have ended, so that their outcomes are written together.

        With a backlog half of them is enough, because the next notices can then be begun.
        """
        self._enough = AT_ONCE // 2 if self._has_backlog else 0
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                while len(self._under_way) > self._enough:
                    self._woken.clear()
                    await self._woken.wait()
        self._enough = AT_ONCE

    async def close(self) -> None:
        """Wait up to `CLOSE_SECONDS` for running deliveries, and write their outcomes."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=CLOSE_SECONDS)
        await cancel_and_wait(*self._under_way.values())
        await self._write([])

    async def _deliver_due(self) -> bool:
        """Begin to deliver due notices. Return whether more may be due and there is room for them."""
        room = AT_ONCE - len(self._under_way)
        found: Sequence[DueNotice] = []
        if room > AT_ONCE // 2:
            found = await self._notices.list_due(now(), room)
            self._has_backlog = len(found) == room
        begun: dict[Person, tuple[Notice, NoticeMessage]] = {}
        changed = 0
        for due in found:
            notice = due.notice
            person = (notice.tenant_id, notice.object_id)
            if person in self._under_way or person in begun:
                continue
            if notice.id in self._changes or self._setbacks.is_resting(notice.id):
                continue
            try:
                drawn = self._decide(due)
            except Exception as fault:  # noqa: BLE001 - a bad row must not hold up other people's notices
                self._setbacks.record_failure(
                    notice.id, fault, "a notice cannot be delivered", kind=notice.kind
                )
                drawn = schedule_retry(notice, now())
            if isinstance(drawn, NoticeChange):
                self._changes[notice.id] = drawn
                changed += 1
            else:
                begun[person] = (notice, drawn)
        taken = await self._write([notice for notice, _ in begun.values()])
        for person, (notice, drawn) in begun.items():
            if notice.id in taken:  # otherwise another replica delivers it
                self._under_way[person] = asyncio.create_task(self._deliver(notice, drawn))
        return changed + len(taken) > 0 and AT_ONCE - len(self._under_way) > AT_ONCE // 2

    async def _write(self, wanted: Sequence[Notice]) -> set[str]:
        changes = dict(self._changes)
        if not changes and not wanted:
            return set()
        taken = await self._notices.write(
            changes=[*changes.values()], wanted=wanted, at=now(), until=now() + TAKEN_FOR
        )
        for notice_id in changes:
            del self._changes[notice_id]
        return taken

    def _decide(self, due: DueNotice) -> NoticeChange | NoticeMessage:
        """Return the message to send for a notice, or the change of its row if it is not sent now."""
        notice, stored = due.notice, due.conversation
        if notice.sending:
            logger.warning("notice may have been delivered", extra={"notice": notice.id, "kind": notice.kind})
            return give_up(notice)
        if stored is None or stored.closed is not None:
            return give_up(notice)
        preferences, topic = to_preferences(due.preference), get_topic(notice.kind)
        if topic in preferences.muted:
            return give_up(notice)
        # A notice about the end of a session is obsolete once the person has a newer session.
        if (
            topic is Topic.SESSION
            and due.session_since is not None
            and due.session_since >= notice.created_at
        ):
            return give_up(notice)
        at = now()
        morning = preferences.quiet_ends(at) if topic is not None else None
        if morning is not None:
            return postpone(notice, morning)
        if pause := self._pauses.get_remaining(notice.tenant_id):
            return postpone(notice, at + pause)
        reference = from_json(stored.reference)
        channel_id = str((reference.get("user") or {}).get("id", ""))
        reader = self._answers.reader(Language.of(stored.locale), channel_id)
        if notice.kind == AUDIO_NOTICE:
            return NoticeMessage(reference, message(audio_notice_card(notice.detail, reader)))
        return NoticeMessage(reference, message(notice_card(notice.kind, notice.detail, reader)))

    async def _deliver(self, notice: Notice, drawn: NoticeMessage) -> None:
        """Send a notice at most once. If its delivery is uncertain it is not repeated; tab and cards show the state."""
        try:
            self._changes[notice.id] = await self._send(notice, drawn)
            self._setbacks.record_success(notice.id)
        finally:
            del self._under_way[notice.tenant_id, notice.object_id]
            if len(self._under_way) <= self._enough:
                self._woken.set()

    async def _send(self, notice: Notice, drawn: NoticeMessage) -> NoticeChange:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._channel.send(drawn.reference, drawn.activity)
        except DeliveryError as fault:
            return await self._handle_failure(notice, fault)
        except Exception:
            logger.exception("notice not delivered", extra={"notice": notice.id, "kind": notice.kind})
            return schedule_retry(notice, now(), doubtful=True)
        return mark_delivered(notice, now())

    async def _handle_failure(self, notice: Notice, fault: DeliveryError) -> NoticeChange:
        logger.warning(
            "notice not delivered",
            extra={"notice": notice.id, "outcome": fault.outcome, "reason": str(fault)},
        )
        if fault.is_throttled:
            self._pauses.record_throttled(notice.tenant_id, notice.object_id, fault.wait)
        if fault.closed is not None:
            await self._conversations.close(notice.tenant_id, notice.object_id, fault.closed)
        if fault.outcome in (DeliveryOutcome.NOT_DELIVERED, DeliveryOutcome.DOUBTFUL):
            return schedule_retry(
                notice, now(), wait=fault.wait, doubtful=fault.outcome is DeliveryOutcome.DOUBTFUL
            )
        return give_up(notice)
