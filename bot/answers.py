"""Answers commands with cards. Every card shows the present state."""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from bot.cards import audio, licences, notices, person
from bot.cards.parts import Card, CardReader, text
from bot.commands import Command
from bot.phone import PhoneAnswers
from bot.request import BotRequest
from bot.settings import BotSettings
from core.administration.administration import Administration
from core.advisor.advisor import Advisor
from core.audio.finding import AudioVerdict
from core.diagnosis.codes import Code
from core.diagnosis.finding import RefusedError
from core.language import Language
from core.licensing.overview import HoldersQuery
from core.signin.preferences import DAY_MINUTES, PreferenceStore, Topic
from core.signin.signin import SignIn
from wire.bounds import MAX_NAME
from wire.deep_link import deep_link

MAX_REASON: Final = 500
MAX_SEARCH: Final = 100
_HOURS: Final = re.compile(r"[0-9]{1,2}")


class Answers:
    def __init__(
        self,
        settings: BotSettings,
        sign_in: SignIn,
        administration: Administration,
        advisor: Advisor,
        preferences: PreferenceStore,
        phone: PhoneAnswers,
    ) -> None:
        self._settings = settings
        self._sign_in = sign_in
        self._administration = administration
        self._advisor = advisor
        self._preferences = preferences
        self._phone = phone
        self._urls = [self._open_url(page) for page in ("home", "audio", "licences", "phone")]
        self._handlers: Mapping[Command, Callable[[BotRequest], Awaitable[Card]]] = {
            Command.LICENCE: self._licence,
            Command.AUDIO: self._audio,
            Command.AUDIO_NOTICE: self._audio_notice,
            Command.AUDIO_NOT_NOW: self._not_now,
            Command.AUDIO_NEVER: self._never,
            Command.NOTICES: self._notices,
            Command.NOTICES_SAVE: self._save_notices,
            Command.NOTICE: self._notice,
            Command.LICENCES: self._licences,
            Command.REVOKE_ASK: self._ask_to_revoke,
            Command.REVOKE: self._revoke,
            Command.SIGN_OUT: self._sign_out,
            Command.SIGN_OUT_ASK: self._ask_to_sign_out,
            Command.HELP: self._help,
            Command.WELCOME: self._welcome,
        }

    async def answer(self, command: Command | None, request: BotRequest) -> Card:
        """Return the card that answers a command. None stands for a message that was not understood."""
        if command in self._phone.commands:
            return await self._phone.answer(command, request)
        try:
            return await self._handlers.get(command or Command.HELP, self._status)(request)
        except RefusedError as refused:
            if refused.finding.code is Code.NOT_SIGNED_IN:
                return await self._status(request)
            return licences.refused_card(refused.finding, request.reader)

    def reader(self, language: Language, channel_id: str) -> CardReader:
        """Return the reader of a card, with the tab's deep links."""
        return CardReader(language, channel_id, *self._urls)

    def _open_url(self, page: str) -> str:
        return deep_link(self._settings.teams_app_id, page)

    async def _status(self, request: BotRequest) -> Card:
        return person.status_card(await self._sign_in.state(request.user), request.reader)

    async def _licence(self, request: BotRequest) -> Card:
        return person.licence_card(await self._sign_in.state(request.user), request.reader)

    async def _sign_out(self, request: BotRequest) -> Card:
        return person.status_card(await self._sign_in.sign_out(request.user), request.reader)

    async def _ask_to_sign_out(self, request: BotRequest) -> Card:
        state = await self._sign_in.state(request.user)
        return (
            person.status_card(state, request.reader)
            if state.session is None
            else person.confirm_sign_out_card(request.reader)
        )

    async def _help(self, request: BotRequest) -> Card:
        return person.help_card(await self._sign_in.state(request.user), request.reader)

    async def _welcome(self, request: BotRequest) -> Card:
        return person.help_card(await self._sign_in.state(request.user), request.reader, welcome=True)

    async def _audio(self, request: BotRequest) -> Card:
        return audio.audio_card(await self._advisor.view(request.user), request.reader)

    async def _audio_notice(self, request: BotRequest) -> Card:
        """Refresh a notice about devices: unchanged unless the conflict is resolved, otherwise the present conclusion."""
        view = await self._advisor.view(request.user)
        detail = request.data.get("detail")
        if view.conclusion.verdict is not AudioVerdict.CLEAR and isinstance(detail, dict):
            with suppress(ValueError):  # not the data of one of our cards
                return audio.audio_notice_card(detail, request.reader)
        return audio.audio_card(view, request.reader)

    async def _not_now(self, request: BotRequest) -> Card:
        await self._advisor.mute_for_a_while(request.user.key)
        return audio.audio_quiet_card(request.reader, None)

    async def _never(self, request: BotRequest) -> Card:
        device = request.get_text("device", MAX_NAME)
        if not device:
            return await self._not_now(request)
        await self._advisor.mute_device(request.user.key, device)
        return audio.audio_quiet_card(request.reader, device)

    async def _notices(self, request: BotRequest, *, saved: bool = False) -> Card:
        state = await self._sign_in.state(request.user)
        is_administrator = state.session is not None and state.session.may_administer
        preferences = await self._preferences.get(request.user.key)
        return notices.settings_card(preferences, request.reader, administrator=is_administrator, saved=saved)

    async def _save_notices(self, request: BotRequest) -> Card:
        """Store the preferences in the card. Values that it did not contain or that are invalid are not changed."""
        before = await self._preferences.get(request.user.key)
        shown = request.data.get("topics")
        topics = {topic for topic in Topic if isinstance(shown, list) and topic.value in shown}
        muted = {topic for topic in topics if request.data.get(topic.value) == "false"}
        hours = (
            _minute(request.data.get("quiet-from"), before.quiet_from),
            _minute(request.data.get("quiet-until"), before.quiet_until),
        )
        await self._preferences.put_notices(
            request.user.key,
            frozenset(before.muted - topics | muted),
            quiet=request.data.get("quiet") != "false",
            hours=hours,
        )
        toggles = [request.get_text(name, 10) for name in notices.CALL_TOGGLES]
        if all(toggle in ("true", "false") for toggle in toggles):
            calls, missed, numbers = (toggle == "true" for toggle in toggles)
            await self._preferences.put_calls(request.user.key, calls=calls, missed=missed, numbers=numbers)
        return await self._notices(request, saved=True)

    async def _notice(self, request: BotRequest) -> Card:
        """Refresh a notice, and add what has changed since."""
        kind, detail = request.data.get("kind"), request.data.get("detail")
        state = await self._sign_in.state(request.user)
        if not isinstance(kind, str) or not isinstance(detail, dict):
            return person.status_card(state, request.reader)
        try:
            return notices.notice_card(kind=kind, detail=detail, reader=request.reader, state=state)
        except ValueError:  # not the data of one of our cards
            return person.status_card(state, request.reader)

    async def _licences(self, request: BotRequest, *notes: Card) -> Card:
        search = request.get_text("search", MAX_SEARCH)
        query = HoldersQuery(search, limit=licences.HOLDERS_SHOWN)
        view = await self._administration.view(request.user, query)
        return licences.licences_card(view, search, request.reader, *notes)

    async def _ask_to_revoke(self, request: BotRequest) -> Card:
        try:
            session = await self._administration.holder(request.user, request.get_text("session", 36))
        except RefusedError as refused:
            if refused.finding.code is not Code.SESSION_GONE:
                raise
            word = "licences.gone" if request.data.get("session") else "licences.choose-first"
            return await self._licences(request, text(request.reader.t(word)))
        return licences.confirm_card(session, request.get_text("reason", MAX_REASON), request.reader)

    async def _revoke(self, request: BotRequest) -> Card:
        session_id, reason = request.get_text("session", 36), request.get_text("reason", MAX_REASON)
        try:
            ended = await self._administration.revoke(request.user, [session_id], reason)
        except RefusedError as refused:
            if refused.finding.code is not Code.SESSION_GONE:
                raise
            return await self._licences(request, text(request.reader.t("licences.gone")))
        person = ended[0].person
        done = request.reader.t("licences.revoked", name=person.display_name, login=person.login)
        return await self._licences(request, text(done))


def _minute(value: object, before: int) -> int:
    """Return the minute of the day in a time field ("07:00"); `before` if the value is invalid."""
    hours, _, minutes = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (_HOURS.fullmatch(hours) and _HOURS.fullmatch(minutes)):
        return before
    minute = int(hours) * 60 + int(minutes)
    return minute if minute < DAY_MINUTES and int(minutes) < 60 else before
