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
from bot.cards import phone_settings as settings
from bot.cards.parts import Card, finding, text
from bot.cards.phone import CallShown, CallStatus, Colleague
from bot.commands import Command
from bot.phone_words import OFF, ON, is_number
from bot.request import BotRequest
from core.diagnosis.codes import Code
from core.diagnosis.finding import RefusedError
from core.phone.colleagues import Colleagues
from core.phone.telephone import Telephone
from core.store.timestamps import now
from wire.bounds import MAX_NAME
from wire.phone import Access, CallState, Feature, HistoryFilter, PhoneCall, PhoneLine, RedirectTarget

ANSWER_SECONDS: Final = 8.0
"""Time-out of an answer. A button must be answered within about ten seconds."""
MAX_NUMBER: Final = 100
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MESSAGE_ID: Final = re.compile(r"[!-~]{1,100}")
_OF_MESSAGES: Final = uuid.UUID("6f0c52c5-2c0b-4a43-9c60-2f1c5f6a7d11")


def id_of_call(user_key: tuple[str, str], activity_id: str) -> str:
    """Return the id of the call that a message requests. Repeated deliveries of the message give the same id."""
    return str(uuid.uuid5(_OF_MESSAGES, "\n".join((*user_key, activity_id))))


class PhoneAnswers:
    def __init__(self, telephone: Telephone, colleagues: Colleagues) -> None:
        self._telephone = telephone
        self._colleagues = colleagues
        self._handlers: Mapping[Command, Callable[[BotRequest], Awaitable[Card]]] = {
            Command.CALL: self._call,
            Command.CALL_CONFIRMED: self._call_confirmed,
            Command.CALL_STATE: self._call_state,
            Command.HANG_UP: self._hang_up,
            Command.CALLS: self._calls,
            Command.DO_NOT_DISTURB: self._do_not_disturb,
            Command.REDIRECT: self._redirect,
            Command.MOBILES: self._mobiles,
            Command.PRIMARY_PHONE: self._primary_phone,
            Command.VOICEMAIL: self._voicemail,
            Command.VOICEMAIL_PLAY: self._play_voicemail,
        }
        self.commands = frozenset(self._handlers)

    async def answer(self, command: Command, request: BotRequest) -> Card:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._handlers[command](request)
        except RefusedError as refused:
            return cards.refused_card(refused.finding, request.reader)
        except TimeoutError:
            return cards.unknown_card(request.reader, command)

    async def _call(self, request: BotRequest) -> Card:
        wanted = request.get_text("number", MAX_NUMBER) or request.get_text("argument", MAX_NUMBER)
        if not wanted:
            return cards.ask_card(request.reader)
        if is_number(wanted):
            return await self._dial(request, wanted, request.get_text("name", MAX_NAME))
        answer = await self._telephone.search(request.user, wanted)
        found = [one for one in answer.found if one.number]
        if len(found) != 1:
            return cards.choices_card(wanted, found, request.reader)
        return await self._dial(request, found[0].number, found[0].name)

    async def _call_confirmed(self, request: BotRequest) -> Card:
        number, name = request.get_text("number", MAX_NUMBER), request.get_text("name", MAX_NAME)
        if not is_number(number):
            return cards.ask_card(request.reader)
        return await self._dial(request, number, name, is_confirmed=True)

    async def _dial(self, request: BotRequest, number: str, name: str, *, is_confirmed: bool = False) -> Card:
        call_id = request.get_text("id", 36)
        if not _GUID.fullmatch(call_id):
            call_id = str(uuid.uuid4())
        try:
            dialled = await self._telephone.dial(request.user, number, call_id, is_confirmed=is_confirmed)
        except RefusedError as refused:
            if refused.finding.code is Code.NUMBER_NEEDS_CONFIRMATION:
                return cards.confirm_card(
                    refusal=refused.finding, number=number, name=name, call_id=call_id, reader=request.reader
                )
            if refused.finding.code is Code.OUTCOME_UNKNOWN:
                return await self._look_for(call_id, request)
            raise
        return cards.call_card(CallShown.dialled(dialled, name, now()), request.reader)

    async def _look_for(self, call_id: str, request: BotRequest) -> Card:
        """Look a call up after the answer to its dial request was lost."""
        call = await self._find_call(request, call_id)
        if call is None:
            return cards.unknown_card(request.reader, Command.CALL)
        return cards.call_card(CallShown.of(call, with_numbers=True), request.reader)

    async def _call_state(self, request: BotRequest) -> Card:
        """Refresh the card of a call."""
        shown = cards.parse_shown_call(request.data.get("shown"))
        return await (self._calls(request) if shown is None else self._as_it_is(shown, request))

    async def _as_it_is(self, shown: CallShown, request: BotRequest, *, was_ended: bool = False) -> Card:
        call = await self._find_call(request, shown.call)
        if call is not None:
            fresh = CallShown.of(call, with_numbers=not shown.is_quiet)
            shown = fresh.model_copy(update={"phone": shown.phone})
        elif shown.status in cards.GOES_ON:
            shown = shown.model_copy(update={"status": CallStatus.OVER if was_ended else CallStatus.GONE})
        return cards.call_card(shown, request.reader, await self._colleague(shown, request))

    async def _colleague(self, shown: CallShown, request: BotRequest) -> Colleague | None:
        email = await self._colleagues.email_of(request.user.key, shown.name)
        return Colleague(email) if email else None

    async def _hang_up(self, request: BotRequest) -> Card:
        call_id = request.get_text("call", MAX_NUMBER)
        if not call_id:
            line = await self._telephone.line(request.user)
            calls = [call for call in line.calls if call.state is not CallState.ENDED]
            if len(calls) != 1:
                return cards.hang_up_card(calls, request.reader)
            call_id = calls[0].call_id
        try:
            await self._telephone.hang_up(request.user, call_id)
        except RefusedError as refused:
            if refused.finding.code is not Code.CALL_GONE:
                raise
        shown = cards.parse_shown_call(request.data.get("shown"))
        if shown is not None and shown.call == call_id:
            return await self._as_it_is(shown, request, was_ended=True)
        return cards.hang_up_card((), request.reader, "phone.hung-up")

    async def _calls(self, request: BotRequest) -> Card:
        missed = HistoryFilter.MISSED
        page = await self._telephone.history(
            user=request.user, which=missed, before=None, offset=0, limit=cards.MISSED_SHOWN
        )
        return cards.calls_card(page.entries, request.reader)

    async def _do_not_disturb(self, request: BotRequest) -> Card:
        wanted = request.get_text("argument", MAX_NUMBER)
        if wanted in (ON, OFF):
            line = await self._telephone.set_do_not_disturb(request.user, is_on=wanted == ON)
        else:
            line = await self._telephone.line(request.user)
        return cards.switches_card(line, Command.DO_NOT_DISTURB, request.reader)

    async def _mobiles(self, request: BotRequest) -> Card:
        wanted, reader = request.get_text("argument", MAX_NUMBER), request.reader
        line = await self._telephone.line(request.user)
        if wanted not in (ON, OFF):
            return settings.mobiles_card(line, reader)
        ours = [one for one in line.mobiles or () if one.access is Access.CHANGE]
        chosen = request.get_text("mobile", MAX_NUMBER)
        found = [one for one in ours if one.mobile_id == chosen] if chosen else ours
        if len(found) != 1:
            return settings.mobiles_card(line, reader)
        line = await self._telephone.set_mobile(request.user, found[0].mobile_id, is_on=wanted == ON)
        return settings.mobiles_card(line, reader)

    async def _primary_phone(self, request: BotRequest) -> Card:
        line = await self._telephone.line(request.user)
        chosen = request.get_text("phone", MAX_NUMBER)
        can_change = line.features.get(Feature.PRIMARY_PHONE) is Access.CHANGE
        if can_change and any(one.phone_id == chosen and not one.is_primary for one in line.phones):
            line = await self._telephone.set_primary_phone(request.user, chosen)
        return settings.primary_phone_card(line, request.reader)

    async def _voicemail(self, request: BotRequest) -> Card:
        line = await self._telephone.line(request.user)
        if Feature.VOICEMAIL not in line.features:
            return settings.not_offered_card(
                Command.VOICEMAIL, "phone.voicemail-title", "phone.not-offered", request.reader
            )
        found = await self._telephone.voicemails(request.user)
        return settings.voicemail_card(found.messages, line, request.reader)

    async def _play_voicemail(self, request: BotRequest) -> Card:
        message_id = request.get_text("message", MAX_NUMBER)
        if not _MESSAGE_ID.fullmatch(message_id):
            return await self._voicemail(request)
        await self._telephone.play_voicemail(request.user, message_id)
        return settings.playing_card(request.reader)

    async def _redirect(self, request: BotRequest) -> Card:
        wanted, reader = request.get_text("argument", MAX_NUMBER), request.reader
        line = await self._telephone.line(request.user)
        if not wanted:
            return cards.switches_card(line, Command.REDIRECT, reader)
        ours = [one for one in cards.own_redirects(line) if one.access is Access.CHANGE]
        if wanted == OFF:
            ours = [one for one in ours if one.is_on]
        elif not ours:
            return cards.switches_card(line, Command.REDIRECT, reader, text(reader.t("phone.no-redirects")))
        target, number = _target(wanted, line)
        if target is RedirectTarget.NUMBER and not is_number(number):
            return cards.switches_card(line, Command.REDIRECT, reader, text(reader.t("phone.no-mobile")))
        for redirect in ours:
            try:
                line = await self._telephone.set_redirect(
                    request.user, redirect.redirect_id, is_on=wanted != OFF, target=target, number=number
                )
            except RefusedError as refused:
                # Earlier redirects have been changed, so the present state is shown with the refusal.
                line = await self._telephone.line(request.user)
                return cards.switches_card(line, Command.REDIRECT, reader, finding(reader, refused.finding))
        return cards.switches_card(line, Command.REDIRECT, reader)

    async def _find_call(self, request: BotRequest, call_id: str) -> PhoneCall | None:
        """Return a call of the person's line; None if there is no such call, or if the line cannot be read."""
        try:
            line = await self._telephone.line(request.user)
        except RefusedError:
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
