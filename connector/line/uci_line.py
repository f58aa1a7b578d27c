"""A person's line by UCI, and by REST for what UCI lacks."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from connector.errors import PbxError, PhoneError
from connector.line import features
from connector.line.book import Book
from connector.line.call_model import CallModel
from connector.line.numbers import NumberPlan, UnusableNumberError, Wanted
from connector.line.rest_phone import RestPhone
from connector.line.uci_lists import UciLists
from connector.line.uci_requests import UciRequests
from connector.line.uci_settings import UciSettings
from connector.uci import UciFaultError, UciSession, ids_of
from core.diagnosis.codes import Code
from wire.phone import (
    MAX_CALLS,
    Dial,
    Dialled,
    FoundNumbers,
    History,
    HistoryEntry,
    HistoryParams,
    LineState,
    PhoneLine,
    PlayVoicemail,
    SetMobile,
    SetRedirect,
    Voicemails,
)

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 15.0
"""Interval at which the PBX's calls are polled while there is one."""
POLL_CAP_SECONDS: Final = 60.0
"""The longest interval, for a long call."""
AWAITS_PHONE_SECONDS: Final = 5.0
"""Interval while the PBX waits for the own phone to be picked up: no event reports that the PBX gives up such a call."""
_STARTED: Final = time.time() - time.monotonic()
MAX_DIALLED: Final = 50
"""Most dialled calls of one line in memory."""
AFTER_START_SECONDS: Final = 600.0
"""For this long after the line was opened, the PBX is asked about a call id before it is dialled, because this program may
have dialled it before a restart."""
MAX_PBX_NUMBERS: Final = 300
"""Most numbers in memory that came from the PBX; they are dialled unchanged."""


@dataclass(slots=True)
class LineContext:
    """What all lines of one PBX share. Another configuration replaces `plan` and `book` while lines are open."""

    rest: RestPhone
    plan: NumberPlan
    book: Book
    group_name: Callable[[str], str]
    """Maps a group id to its name; returns the id if the group is unknown."""
    has_by_uci: Callable[[str], bool]
    """Returns whether the PBX itself has a request by UCI, even if it is not offered to this person."""
    on_changed: Callable[[int], None]
    """Called with the PBX user id whose line changed."""
    on_refused: Callable[[int], None]
    """Called with the PBX user id whose login the PBX no longer accepts."""


class UciLine:
    """`connector.line.line.Line`, and one use of a UCI login (`connector.logins.LoginListener`)."""

    def __init__(self, user_id: int, session: UciSession, site: LineContext) -> None:
        self.user_id = user_id
        self._session = session
        self._context = site
        self._uci = UciRequests(session)
        self._settings = UciSettings(
            user_id=user_id, uci=self._uci, rest=site.rest, has_by_uci=site.has_by_uci, changed=self._changed
        )
        self._lists = UciLists(self._uci, site.group_name)
        self._model = CallModel()
        self._state = LineState.CONNECTING
        self._opened_at = time.monotonic()
        self._watching: asyncio.Task[None] | None = None
        self._poll_soon = asyncio.Event()
        self._hiding: asyncio.TimerHandle | None = None
        self._dialling: OrderedDict[str, asyncio.Task[Dialled]] = OrderedDict()
        self._pbx_numbers: OrderedDict[str, None] = OrderedDict()

    # A use of a login

    def on_event(self, method: str, params: tuple[Any, ...]) -> None:
        now = _steady()
        self._model.shift = _shift()
        struct = params[0] if params else None
        if method == "receiveCallState" and isinstance(struct, dict):
            changed = self._model.apply_event(struct, now)
        elif method == "callChangesIdEvent":
            changed = self._model.change_id(*ids_of(params), now)
        elif method == "newMessageWaitingIndicationEvent":
            self._settings.outdate()
            changed = True
        else:
            return
        if changed:
            self._changed()
        if not self._model.live:
            self._lists.outdate()
        self._watch()

    def on_up(self, up: bool) -> None:
        self._uci.is_up = up
        state = LineState.UP if up else LineState.CONNECTING
        if up:
            self._uci.forget()
            self._settings.outdate()
            self._stop_watching()
            self._watching = asyncio.create_task(self._watch_calls())
        else:
            self._stop_watching()
        if state is not self._state:
            self._state = state
            self._changed()

    def on_end(self, *, refused: bool) -> None:
        self._uci.is_up = False
        self._stop_watching()
        self._settings.stop()
        if self._hiding is not None:
            self._hiding.cancel()
        for task in self._dialling.values():
            task.cancel()
        if refused:
            self._state = LineState.REFUSED
            self._context.on_refused(self.user_id)

    # A line

    async def snapshot(self) -> PhoneLine:
        if self._uci.is_up:
            await self._settings.read_soon()
            self._model.own_numbers = self._settings.own_numbers
        self._model.shift = _shift()
        calls = self._model.calls(_steady(), self._context.group_name)
        self._remember(*(call.number for call in calls))
        return self._settings.line(self._state, calls)

    async def dial(self, wanted: Dial) -> Dialled:
        known = self._dialling.get(wanted.call_id)
        if known is None:
            number = self._number(wanted)
            known = self._dialling[wanted.call_id] = asyncio.create_task(self._place(wanted, number))
            known.add_done_callback(_retrieve_exception)
            while len(self._dialling) > MAX_DIALLED:
                self._dialling.popitem(last=False)
        try:
            # Shielded: if the caller is cancelled, the PBX may still place the call.
            return await asyncio.shield(known)
        except asyncio.CancelledError:
            if known.cancelled():  # the login has ended in the meantime
                raise PhoneError(Code.LINE_DOWN, "the line was closed") from None
            raise
        except PbxError as refused:
            if refused.code != Code.OUTCOME_UNKNOWN:
                if self._dialling.get(wanted.call_id) is known:
                    del self._dialling[wanted.call_id]  # not dialled: the person may try again
            elif self._model.is_known(wanted.call_id):  # found since
                return Dialled(call_id=wanted.call_id, number=self._number(wanted).dial, phone="")
            raise

    async def hang_up(self, call_id: str) -> None:
        pbx_id = self._model.pbx_id(call_id)
        if pbx_id is None and self._model.is_known(call_id):
            raise PhoneError(Code.CALL_GONE, "the call is over")
        self._model.mark_hung_up(call_id)
        if not await self._uci.ask(features.HANG_UP, pbx_id or call_id, is_particular=True):
            self._poll_now()
            raise PhoneError(Code.CALL_GONE, "the PBX knows no such call")
        self._poll_now()

    async def history(self, wanted: HistoryParams) -> History:
        found = await self._lists.history(wanted)
        self._remember(*(one.number for one in found.entries))
        return found

    async def search(self, text: str) -> FoundNumbers:
        calls = await self._last_calls()
        found = await self._context.book.search(self.user_id, text, calls)
        self._remember(*(one.number for one in found))
        return FoundNumbers(found=found)

    async def voicemails(self) -> Voicemails:
        found = await self._lists.voicemails()
        self._remember(*(one.number for one in found.messages))
        return found

    async def play_voicemail(self, wanted: PlayVoicemail) -> None:
        if call_id := await self._lists.play(wanted):
            self._mark_placed(call_id, "")

    async def set_do_not_disturb(self, *, on: bool) -> None:
        await self._settings.set_do_not_disturb(on=on)

    async def set_redirect(self, wanted: SetRedirect) -> None:
        if wanted.number:
            number = self._usable(wanted.number)
            wanted = wanted.model_copy(update={"number": number.dial})
        await self._settings.set_redirect(wanted)

    async def set_primary_phone(self, phone_id: str) -> None:
        await self._settings.set_primary_phone(phone_id)

    async def set_mobile(self, wanted: SetMobile) -> None:
        await self._settings.set_mobile(wanted)

    async def _last_calls(self) -> list[HistoryEntry]:
        try:
            return await self._lists.newest()
        except PbxError as fault:
            logger.debug("a line's call list cannot be read", extra={"reason": type(fault).__name__})
            return []

    def _number(self, wanted: Dial) -> Wanted:
        number = self._usable(wanted.number)
        if number.kind is not None and not wanted.is_confirmed:
            raise PhoneError(
                Code.NUMBER_NEEDS_CONFIRMATION,
                "the number must be confirmed",
                kind=number.kind.value,
                number=number.dial,
            )
        return number

    def _usable(self, typed: str) -> Wanted:
        try:
            return self._context.plan.wanted(typed, is_raw=typed in self._pbx_numbers)
        except UnusableNumberError as unusable:
            raise PhoneError(
                Code.NUMBER_UNUSABLE, "what was typed is not a telephone number", number=typed
            ) from unusable

    async def _place(self, wanted: Dial, number: Wanted) -> Dialled:
        if await self._was_placed(wanted.call_id):
            return await self._dialled(wanted, number)
        self._settings.begin_to_read()
        if self._settings.phone_name(wanted.phone_id) is None:
            raise PhoneError(Code.PHONE_NOT_OFFERED, "this phone is not one of the person's")
        await self._settings.show_number(wanted.shown_number_id)
        try:
            placed = await self._uci.ask(features.PLACE, number.dial, wanted.phone_id, wanted.call_id)
        except PhoneError:
            raise
        except PbxError as lost:
            if await self._was_placed(wanted.call_id, after_loss=True):
                return await self._dialled(wanted, number)
            raise PhoneError(Code.OUTCOME_UNKNOWN, "the answer of the PBX is lost") from lost
        if placed == "":
            raise PhoneError(Code.ALREADY_DIALLING, "the PBX rejects the call")
        if isinstance(placed, str) and placed != wanted.call_id:
            self._model.add_placed(wanted.call_id, number.dial, _steady())
            self._model.change_id(wanted.call_id, placed, _steady())
        self._mark_placed(wanted.call_id, number.dial)
        return await self._dialled(wanted, number)

    async def _dialled(self, wanted: Dial, number: Wanted) -> Dialled:
        """Return the answer for a placed call; the phones may still have to be read for their names."""
        await self._settings.read_soon()
        phone = self._settings.phone_name(wanted.phone_id) or ""
        return Dialled(call_id=wanted.call_id, number=number.dial, phone=phone)

    async def _was_placed(self, call_id: str, *, after_loss: bool = False) -> bool:
        """Return whether the PBX already has this call from an earlier request: from before a restart of this program, or
        one whose answer was lost (`after_loss`).
        """
        if self._model.is_known(call_id):
            return True
        if not after_loss and time.monotonic() - self._opened_at > AFTER_START_SECONDS:
            return False
        try:
            struct = await self._session.call_state(call_id)
        except UciFaultError:
            return False
        except PbxError:
            if after_loss:
                return False
            raise
        if struct:
            self._mark_placed(call_id, "")
        return bool(struct)

    def _mark_placed(self, call_id: str, number: str) -> None:
        self._model.add_placed(call_id, number, _steady())
        self._changed()
        self._poll_now()

    # Watching

    def _poll_now(self) -> None:
        self._poll_soon.set()
        self._watch()

    def _watch(self) -> None:
        """Schedule the hiding of ended calls, and poll the PBX's calls while there are some."""
        if (ends := self._model.next_forgetting) is not None and self._hiding is None:
            delay = max(0.0, ends - _steady()) + 0.05
            self._hiding = asyncio.get_running_loop().call_later(delay, self._hide_ended_calls)
        is_watching = self._watching is not None and not self._watching.done()
        if self._uci.is_up and not is_watching and self._model.live:
            self._watching = asyncio.create_task(self._watch_calls(at_once=False))

    async def _watch_calls(self, *, at_once: bool = True) -> None:
        waited, has_polled = 0.0, not at_once
        while True:
            if not has_polled or self._poll_soon.is_set():
                self._poll_soon.clear()
                has_polled = await self._poll()
            if has_polled and not self._model.live:
                return
            delay = AWAITS_PHONE_SECONDS if self._model.awaits_phone else POLL_SECONDS + waited / 20
            delay = min(delay, POLL_CAP_SECONDS)
            waited += delay
            try:
                async with asyncio.timeout(delay):
                    await self._poll_soon.wait()
            except TimeoutError:
                has_polled = False

    async def _poll(self) -> bool:
        """Poll the PBX's calls and correct what events have missed. Return False if the PBX did not answer."""
        asked = _steady()
        self._model.shift = _shift()
        try:
            ids = await self._session.calls()
            if ids:
                await self._settings.read_soon()
                self._model.own_numbers = self._settings.own_numbers
            structs: dict[str, dict[str, Any]] = {}
            for call_id in ids[:MAX_CALLS]:
                structs[call_id] = await self._session.call_state(call_id)
            if self._model.apply_poll(ids=ids, structs=structs, asked=asked, at=_steady()):
                self._changed()
        except PbxError as fault:
            logger.debug("a line's calls cannot be read", extra={"reason": type(fault).__name__})
            if isinstance(fault, UciFaultError):
                await self._check_login()
            return False
        except Exception as odd:  # noqa: BLE001 - unexpected; the next poll may succeed
            # Without the exception: its words may hold a number or a name.
            logger.error("a line's calls are not understood", extra={"reason": type(odd).__name__})  # noqa: TRY400
            return False
        self._watch()
        return True

    async def _check_login(self) -> None:
        try:
            await self._session.is_logged_in()
        except PbxError as fault:
            logger.debug("unknown whether a login is still valid", extra={"reason": type(fault).__name__})

    def _hide_ended_calls(self) -> None:
        self._hiding = None
        if self._model.forget_ended(_steady()):
            self._changed()
        self._watch()

    def _stop_watching(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def _changed(self) -> None:
        self._context.on_changed(self.user_id)

    def _remember(self, *numbers: str) -> None:
        """Remember numbers that came from the PBX."""
        for number in numbers:
            if number:
                self._pbx_numbers[number] = None
                self._pbx_numbers.move_to_end(number)
        while len(self._pbx_numbers) > MAX_PBX_NUMBERS:
            self._pbx_numbers.popitem(last=False)


def _steady() -> float:
    """Return seconds since the epoch by a clock that was set when the program started and never jumps."""
    return _STARTED + time.monotonic()


def _shift() -> float:
    """Return the whole seconds by which the system's clock was corrected since then."""
    return float(round(time.time() - _steady()))


def _retrieve_exception(task: "asyncio.Task[Dialled]") -> None:
    """Mark the task's exception as retrieved, because its caller may be gone."""
    if not task.cancelled():
        task.exception()
