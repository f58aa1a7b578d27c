"""Telephone commands of the bot, and the cards that answer them.

A call's id is fixed before the PBX is asked: it is derived from the message or contained in the button. So a repeated
message or click leads to one call, and a call whose answer was lost is looked up and never dialled again.
"""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bot.cards import phone as cards
from bot.cards.parts import Card, finding, text
from bot.cards.phone import CallShown, CallTold, Colleague
from bot.commands import Command
from bot.phone_words import OFF, ON, is_number
from bot.request import BotRequest
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.phone.colleagues import Colleagues
from core.phone.telephone import Telephone
from core.store.timestamps import now
from wire.bounds import MAX_NAME
from wire.phone import Access, CallState, HistoryFilter, PhoneCall, PhoneLine, RedirectTarget

ANSWER_SECONDS: Final = 8.0
"""Time-out of an answer. A button must be answered within about ten seconds."""
MAX_NUMBER: Final = 100
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OF_MESSAGES: Final = uuid.UUID("6f0c52c5-2c0b-4a43-9c60-2f1c5f6a7d11")


def id_of_call(user_key: tuple[str, str], activity_id: str) -> str:
    """Return the id of the call that a message requests. Repeated deliveries of the message give the same id."""
    return str(uuid.uuid5(_OF_MESSAGES, "\n".join((*user_key, activity_id))))


class PhoneAnswers:
    def __init__(self, telephone: Telephone, colleagues: Colleagues) -> None:
        self._telephone = telephone
        self._colleagues = colleagues
        self._ways: Mapping[Command, Callable[[BotRequest], Awaitable[Card]]] = {
            Command.CALL: self._call,
            Command.CALL_CONFIRMED: self._call_confirmed,
            Command.CALL_STATE: self._call_state,
            Command.HANG_UP: self._hang_up,
            Command.CALLS: self._calls,
            Command.DO_NOT_DISTURB: self._do_not_disturb,
            Command.REDIRECT: self._redirect,
        }
        self.commands = frozenset(self._ways)

    async def to(self, command: Command, asked: BotRequest) -> Card:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._ways[command](asked)
        except TimeoutError:
            return cards.unknown_card(asked.reader, command)

    async def _call(self, asked: BotRequest) -> Card:
        wanted = asked.said("number", MAX_NUMBER) or asked.said("argument", MAX_NUMBER)
        if not wanted:
            return cards.ask_card(asked.reader)
        if is_number(wanted):
            return await self._dial(asked, wanted, asked.said("name", MAX_NAME))
        answer = await self._telephone.search(asked.user, wanted)
        if isinstance(answer, Finding):
            return cards.refused_card(answer, asked.reader)
        found = [one for one in answer.found if one.number]
        if len(found) != 1:
            return cards.choices_card(wanted, found, asked.reader)
        return await self._dial(asked, found[0].number, found[0].name)

    async def _call_confirmed(self, asked: BotRequest) -> Card:
        number, name = asked.said("number", MAX_NUMBER), asked.said("name", MAX_NAME)
        if not is_number(number):
            return cards.ask_card(asked.reader)
        return await self._dial(asked, number, name, is_confirmed=True)

    async def _dial(self, asked: BotRequest, number: str, name: str, *, is_confirmed: bool = False) -> Card:
        call_id = asked.said("id", 36)
        if not _GUID.fullmatch(call_id):
            call_id = str(uuid.uuid4())
        dialled = await self._telephone.dial(asked.user, number, call_id, is_confirmed=is_confirmed)
        if not isinstance(dialled, Finding):
            return cards.call_card(CallShown.dialled(dialled, name, now()), asked.reader)
        if dialled.code is Code.NUMBER_NEEDS_CONFIRMATION:
            return cards.confirm_card(
                refusal=dialled, number=number, name=name, call_id=call_id, reader=asked.reader
            )
        if dialled.code is Code.OUTCOME_UNKNOWN:
            return await self._look_for(call_id, asked)
        return cards.refused_card(dialled, asked.reader)

    async def _look_for(self, call_id: str, asked: BotRequest) -> Card:
        """Look a call up after the answer to its dial request was lost."""
        line = await self._telephone.line(asked.user)
        call = _call_of(line, call_id)
        if call is None:
            return cards.unknown_card(asked.reader, Command.CALL)
        return cards.call_card(CallShown.of(call, with_numbers=True), asked.reader)

    async def _call_state(self, asked: BotRequest) -> Card:
        """Refresh the card of a call."""
        shown = cards.data_of(asked.data.get("shown"))
        return await (self._calls(asked) if shown is None else self._as_it_is(shown, asked))

    async def _as_it_is(self, shown: CallShown, asked: BotRequest, *, was_ended: bool = False) -> Card:
        line = await self._telephone.line(asked.user)
        call = _call_of(line, shown.call)
        if call is not None:
            fresh = CallShown.of(call, with_numbers=not shown.is_quiet)
            shown = fresh.model_copy(update={"phone": shown.phone})
        elif shown.told in cards.GOES_ON:
            shown = shown.model_copy(update={"told": CallTold.OVER if was_ended else CallTold.GONE})
        return cards.call_card(shown, asked.reader, await self._colleague(shown, asked))

    async def _colleague(self, shown: CallShown, asked: BotRequest) -> Colleague | None:
        email = await self._colleagues.email_of(asked.user.key, shown.name)
        return Colleague(email) if email else None

    async def _hang_up(self, asked: BotRequest) -> Card:
        call_id = asked.said("call", MAX_NUMBER)
        if not call_id:
            line = await self._telephone.line(asked.user)
            if isinstance(line, Finding):
                return cards.refused_card(line, asked.reader)
            calls = [call for call in line.calls if call.state is not CallState.ENDED]
            if len(calls) != 1:
                return cards.hang_up_card(calls, asked.reader)
            call_id = calls[0].call_id
        ended = await self._telephone.hang_up(asked.user, call_id)
        if isinstance(ended, Finding) and ended.code is not Code.CALL_GONE:
            return cards.refused_card(ended, asked.reader)
        shown = cards.data_of(asked.data.get("shown"))
        if shown is not None and shown.call == call_id:
            return await self._as_it_is(shown, asked, was_ended=True)
        return cards.hang_up_card((), asked.reader, "phone.hung-up")

    async def _calls(self, asked: BotRequest) -> Card:
        missed = HistoryFilter.MISSED
        page = await self._telephone.history(
            user=asked.user, which=missed, before=None, offset=0, limit=cards.MISSED_SHOWN
        )
        if isinstance(page, Finding):
            return cards.refused_card(page, asked.reader)
        return cards.calls_card(page.entries, asked.reader)

    async def _do_not_disturb(self, asked: BotRequest) -> Card:
        wanted = asked.said("argument", MAX_NUMBER)
        if wanted in (ON, OFF):
            line = await self._telephone.set_do_not_disturb(asked.user, is_on=wanted == ON)
        else:
            line = await self._telephone.line(asked.user)
        return self._switches(line, Command.DO_NOT_DISTURB, asked)

    async def _redirect(self, asked: BotRequest) -> Card:
        wanted, reader = asked.said("argument", MAX_NUMBER), asked.reader
        line = await self._telephone.line(asked.user)
        if isinstance(line, Finding) or not wanted:
            return self._switches(line, Command.REDIRECT, asked)
        ours = [one for one in cards.own_redirects(line) if one.access is Access.CHANGE]
        if wanted == OFF:
            ours = [one for one in ours if one.is_on]
        elif not ours:
            return self._switches(line, Command.REDIRECT, asked, text(reader.t("phone.no-redirects")))
        target, number = _target(wanted, line)
        if target is RedirectTarget.NUMBER and not is_number(number):
            return self._switches(line, Command.REDIRECT, asked, text(reader.t("phone.no-mobile")))
        for redirect in ours:
            changed = await self._telephone.set_redirect(
                asked.user, redirect.redirect_id, is_on=wanted != OFF, target=target, number=number
            )
            if isinstance(changed, Finding):
                # Earlier redirects have been changed, so the present state is shown with the refusal.
                line = await self._telephone.line(asked.user)
                return self._switches(line, Command.REDIRECT, asked, finding(reader, changed))
            line = changed
        return self._switches(line, Command.REDIRECT, asked)

    @staticmethod
    def _switches(line: PhoneLine | Finding, command: Command, asked: BotRequest, *notes: Card) -> Card:
        if isinstance(line, Finding):
            return cards.refused_card(line, asked.reader)
        return cards.switches_card(line, command, asked.reader, *notes)


def _call_of(line: PhoneLine | Finding, call_id: str) -> PhoneCall | None:
    if isinstance(line, Finding):
        return None
    return next((call for call in line.calls if call.call_id == call_id), None)


def _target(wanted: str, line: PhoneLine) -> tuple[RedirectTarget | None, str]:
    """Return target and number of a redirect; target None for no change. The number is empty if no mobile is known."""
    if wanted == OFF:
        return None, ""
    if wanted == "mailbox":
        return RedirectTarget.MAILBOX, ""
    if wanted != "mobile":
        return RedirectTarget.NUMBER, wanted
    return RedirectTarget.NUMBER, next((one.number for one in line.mobiles or () if one.number), "")
