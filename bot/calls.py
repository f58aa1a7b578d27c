"""Calls in the chat: one card for each call, updated during the call, for people who switched that on.

Cards follow the events on the line, and their content is only in this process's memory: nothing about a call is stored.
After a restart a card is no longer updated, but it refreshes itself when somebody views it (`Command.CALL_STATE`). Only
the replica that holds the PBX's link creates a card for an incoming call.

The channel limits the messages of a bot in one chat, so a card is written at most four times: sent once, updated three
times (docs/facts/teams.md, "The channel").
"""

import asyncio
import json
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bot import missed
from bot.cards.parts import Card, CardReader, message
from bot.cards.phone import (
    ASK_TO_CALL_BACK,
    GOES_ON,
    CallShown,
    CallStatus,
    Colleague,
    call_card,
    get_call_status,
    missed_summary_card,
)
from bot.cards.plain import plain
from bot.channel import Channel, DeliveryError
from core.background import Background
from core.diagnosis.codes import Code
from core.diagnosis.finding import RefusedError
from core.hub.bus import Bus
from core.identity.teams_user import TeamsUser
from core.language import Language
from core.phone.colleagues import Colleagues
from core.phone.telephone import Telephone
from core.signin.preferences import Preferences, PreferenceStore
from core.store.conversations import Conversations
from core.store.timestamps import now, to_ms
from wire.phone import Direction, HistoryFilter, LineState, PhoneCall, PhoneLine

logger = logging.getLogger(__name__)

Person = tuple[str, str]
MAX_UPDATES: Final = 3
"""Updates of one card."""
MAX_CONCURRENT_READS: Final = 32
"""Lines that are read at the same time."""
MAX_PEOPLE: Final = 10_000
"""Number of people whose cards may still change. Beyond it the oldest cards are no longer updated."""
MAX_MISSED: Final = 10
"""Number of a person's cards of missed calls that are updated when they call back."""
MISSED_SECONDS: Final = 12 * 3600.0
"""How long a card of a missed call is updated."""
MAX_CARDS_PER_HOUR: Final = 60
"""New cards for one person in an hour, so that a hotline's phone does not flood a chat."""
MAX_FAILED_READS: Final = 6
"""How often the call list is read until it is left unread after an interruption."""
RETRY_SECONDS: Final = 5.0
SETTLING_SECONDS: Final = 60.0
"""Period after the start in which older calls get no new card: an earlier process may have written one."""
_OFF: Final = frozenset(
    (Code.NOT_SIGNED_IN, Code.PHONE_OFF, Code.PHONE_NEEDS_LICENCE, Code.PHONE_NOT_OFFERED, Code.UNKNOWN_PBX)
)
"""Codes that mean that this person has no telephone any more. Other refusals may be temporary."""


@dataclass(slots=True)
class _Written:
    """A card in a chat."""

    activity_id: str
    reference: Mapping[str, Any]
    reader: CardReader
    shown: CallShown
    with_numbers: bool
    updates_left: int = MAX_UPDATES
    number: str = ""
    """Number of the other party, to notice a call back."""
    missed_at: float = 0.0


@dataclass(slots=True)
class _Person:
    cards: dict[str, _Written] = field(default_factory=dict)
    """Cards of ongoing calls, by call id."""
    missed: list[_Written] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    """Ids of calls that get no new card."""
    begun: deque[float] = field(default_factory=deque)
    """Creation times of the cards of the last hour."""
    rung: set[str] = field(default_factory=set)
    """Ids of calls that rang before this process started: an earlier one may have shown that they ring."""
    may_have_missed: bool = False
    """Nobody followed the line for a while, so the PBX's call list may have missed calls that nobody has announced."""
    reads_failed: int = 0
    """How often the call list could not be read since."""
    is_changed: bool = False
    may_begin: bool = False
    is_looked_at: bool = False

    @property
    def is_idle(self) -> bool:
        return not (
            self.cards
            or self.missed
            or self.known
            or self.rung
            or self.begun
            or self.may_have_missed
            or self.is_looked_at
        )


class CallCards:
    def __init__(
        self,
        channel: Channel,
        telephone: Telephone,
        preferences: PreferenceStore,
        conversations: Conversations,
        colleagues: Colleagues,
        bus: Bus,
        reader: Callable[[Language, str], CardReader],
    ) -> None:
        self._channel = channel
        self._telephone = telephone
        self._preferences = preferences
        self._conversations = conversations
        self._colleagues = colleagues
        self._reader = reader
        self._people: OrderedDict[Person, _Person] = OrderedDict()
        self._seen: set[Person] = set()
        """People whose lines were read during `SETTLING_SECONDS`."""
        self._started_at = now()
        self._settles_at = time.monotonic() + SETTLING_SECONDS
        self._looks = asyncio.Semaphore(MAX_CONCURRENT_READS)
        self._background = Background()
        bus.listen("phone", self._handle_topic)
        bus.listen("user", self._handle_topic)  # the person may have signed out or lost the licence

    def update_cards(self, people: Collection[Person]) -> None:
        """Update the cards of people whose lines have changed, at a PBX whose link this replica holds."""
        for person in people:
            self._wake(person, may_begin=True)

    def announce_missed(self, people: Collection[Person]) -> None:
        """Announce what people have missed while nobody followed their lines, at a PBX that this replica has got back."""
        for person in people:
            self._person(person).may_have_missed = True
            self._wake(person, may_begin=True)

    def follow(
        self, person: Person, shown: CallShown, activity_id: str, reference: str, reader: CardReader
    ) -> None:
        """Keep a card up to date that the bot sent as an answer and that shows an ongoing call."""
        if activity_id:
            written = _Written(
                activity_id=activity_id,
                reference=json.loads(reference),
                reader=reader,
                shown=shown,
                with_numbers=not shown.is_quiet,
                number=shown.number,
            )
            self._person(person).cards[shown.call] = written
            self._wake(person, may_begin=False)

    async def close(self) -> None:
        self._background.cancel()
        await self._background.finish()

    def _handle_topic(self, rest: str) -> None:
        """Update existing cards after a change that any replica published."""
        tenant_id, _, object_id = rest.partition(":")
        if (tenant_id, object_id) in self._people:
            self._wake((tenant_id, object_id), may_begin=False)

    def _person(self, person: Person) -> _Person:
        known = self._people.setdefault(person, _Person())
        self._people.move_to_end(person)
        while len(self._people) > MAX_PEOPLE:
            self._people.popitem(last=False)
        return known

    def _wake(self, person: Person, *, may_begin: bool) -> None:
        known = self._person(person)
        known.is_changed = True
        known.may_begin = known.may_begin or may_begin
        if not known.is_looked_at:
            known.is_looked_at = True
            self._background.start(self._follow_line(person, known))

    async def _follow_line(self, person: Person, known: _Person) -> None:
        try:
            async with self._looks:
                while known.is_changed:
                    known.is_changed = False
                    await self._read_line(person, known)
        except Exception:
            # The next change tries again, and the tab shows the line in any case.
            logger.exception("calls in the chat were not brought up to date")
        finally:
            known.is_looked_at = False
            if known.is_idle and self._people.get(person) is known:
                del self._people[person]

    async def _read_line(self, person: Person, known: _Person) -> None:
        preferences = await self._preferences.get(person)
        wants = preferences.calls_in_chat or preferences.missed_calls
        is_first = self._is_first_look(person)
        known.may_have_missed = known.may_have_missed and preferences.missed_calls
        if not (wants or known.cards or known.missed):
            return
        try:
            line = await self._telephone.line(TeamsUser(*person))
        except RefusedError as refused:
            if refused.finding.code in _OFF:
                await self._stop_showing(person, known)
            return
        if line.state is not LineState.UP:
            known.may_have_missed = known.may_have_missed or (known.may_begin and preferences.missed_calls)
            return
        if is_first:
            before = [call for call in line.calls if call.began_at < self._started_at]
            rings = {call.call_id for call in before if get_call_status(call) is CallStatus.RINGING}
            known.rung |= rings - known.cards.keys()
            known.known |= {call.call_id for call in before} - rings - known.cards.keys()
        if known.may_have_missed:
            line = await self._announce_unannounced(person, known, line, preferences)
        present = {call.call_id for call in line.calls}
        may_begin, known.may_begin = known.may_begin and wants, False
        for call in line.calls:
            await self._process_call(
                person=person, known=known, call=call, preferences=preferences if may_begin else None
            )
        for call_id in known.cards.keys() - present:
            written = known.cards.pop(call_id)
            await self._write(person, written, written.shown.model_copy(update={"status": CallStatus.GONE}))
        known.known &= present
        known.rung &= present

    async def _announce_unannounced(
        self, person: Person, known: _Person, line: PhoneLine, preferences: Preferences
    ) -> PhoneLine:
        """Announce missed calls from the PBX's call list. Return the line as it is after that list was read."""
        if not preferences.missed_calls:
            known.may_have_missed = False
            return line
        user, at = TeamsUser(*person), now()
        handled_until = await self._telephone.missed_until(user)
        try:
            page = await self._telephone.history(user, HistoryFilter.MISSED, None, 0, missed.MAX_READ)
            again = await self._telephone.line(user)
        except RefusedError as refused:
            known.reads_failed += 1
            is_offered = refused.finding.code not in _OFF
            known.may_have_missed = is_offered and known.reads_failed < MAX_FAILED_READS
            if known.may_have_missed:
                self._background.start(self._try_again(person))
            return line
        known.may_have_missed, known.reads_failed = False, 0
        calls = {
            call.call_id: call for call in (*line.calls, *again.calls) if call.call_id not in known.known
        }
        found = missed.list_unannounced(
            page.entries, handled_until=handled_until or at, at=at, followed=calls.values()
        )
        until = max([at, *(entry.began_at for entry in found)])
        if len(found) > missed.MAX_CARDS:
            if await self._telephone.claim_missed(user, handled_until, until):
                await self._send_summary(person, known, preferences, len(found))
            return again
        for entry in found:
            # Claimed before sending, one by one: a crash loses at most one message and repeats none.
            if not await self._telephone.claim_missed(user, handled_until, entry.began_at):
                return again  # another replica announces them
            handled_until = entry.began_at
            call = missed.to_missed_call(entry)
            await self._create_card(person=person, known=known, call=call, preferences=preferences)
        await self._telephone.claim_missed(user, handled_until, until)
        return again

    async def _try_again(self, person: Person) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        self._wake(person, may_begin=True)

    async def _send_summary(
        self, person: Person, known: _Person, preferences: Preferences, count: int
    ) -> None:
        chat = await self._open_chat(person, known, preferences)
        if chat is None:
            return
        reference, reader = chat
        try:
            await self._channel.send(reference, message(missed_summary_card(count, reader)))
        except DeliveryError as fault:
            await self._handle_failure(person, fault)

    def _is_first_look(self, person: Person) -> bool:
        if time.monotonic() > self._settles_at:
            self._seen.clear()
            return False
        is_first = person not in self._seen
        self._seen.add(person)
        return is_first

    async def _stop_showing(self, person: Person, known: _Person) -> None:
        """Stop showing ongoing calls of a person without a telephone (signed out, switched off, no licence)."""
        cards, known.cards = known.cards, {}
        known.missed.clear()
        known.known |= cards.keys()
        for written in cards.values():
            shown = CallShown(status=CallStatus.GONE, at=written.shown.at, is_quiet=True)
            await self._write(person, written, shown)

    async def _process_call(
        self, person: Person, known: _Person, call: PhoneCall, preferences: Preferences | None
    ) -> None:
        """Update the card of a call, or create one. Without `preferences`, none is created."""
        status = get_call_status(call)
        if status is CallStatus.CONNECTED or (call.direction is Direction.OUT and status is CallStatus.OVER):
            await self._mark_called_back(person, known, call)
        written = known.cards.get(call.call_id)
        if written is not None:
            await self._update(person=person, known=known, written=written, call=call)
        elif (
            preferences is not None
            and call.call_id not in known.known
            and not (status is CallStatus.RINGING and call.call_id in known.rung)
            and _gets_card(call, status, preferences)
        ):
            known.known.add(call.call_id)  # before sending, so that the card is sent at most once
            await self._mark_handled(person, call, status)
            await self._create_card(person=person, known=known, call=call, preferences=preferences)

    async def _create_card(
        self, person: Person, known: _Person, call: PhoneCall, preferences: Preferences
    ) -> None:
        chat = await self._open_chat(person, known, preferences)
        if chat is None:
            return
        reference, reader = chat
        with_numbers = preferences.numbers_in_chat
        shown = CallShown.of(call, with_numbers=with_numbers)
        card = await self._card(person, shown, reader)
        try:
            # The toast shows the caller if the person has chosen that.
            about = plain(shown.name or shown.number)
            activity_id = await self._channel.send(reference, message(card, about=about))
        except DeliveryError as fault:
            await self._handle_failure(person, fault)
            return
        if not activity_id:
            return
        written = _Written(
            activity_id=activity_id,
            reference=reference,
            reader=reader,
            shown=shown,
            with_numbers=with_numbers,
            number=call.number,
        )
        if shown.status in GOES_ON:
            known.cards[call.call_id] = written
        else:
            self._remember_missed(known, written)

    async def _open_chat(
        self, person: Person, known: _Person, preferences: Preferences
    ) -> tuple[Mapping[str, Any], CardReader] | None:
        """Return where to send a card now; None in quiet hours, without a chat, and after too many cards."""
        if preferences.quiet_ends(now()) is not None or not self._has_room(known):
            return None
        stored = await self._conversations.get(*person)
        if stored is None or stored.closed is not None:
            return None
        reference = json.loads(stored.reference)
        user_id = str((reference.get("user") or {}).get("id", ""))
        return reference, self._reader(Language.of(stored.locale), user_id)

    async def _mark_handled(self, person: Person, call: PhoneCall, status: CallStatus) -> None:
        """Store that missed calls up to now are handled, so that no later process announces this one again."""
        if status in ASK_TO_CALL_BACK and call.direction is Direction.IN and not call.group:
            await self._telephone.mark_missed_handled(TeamsUser(*person), now())

    async def _update(self, person: Person, known: _Person, written: _Written, call: PhoneCall) -> None:
        shown = CallShown.of(call, with_numbers=written.with_numbers)
        shown = shown.model_copy(update={"phone": written.shown.phone})
        written.number = call.number or written.number
        goes_on = shown.status in GOES_ON
        if not goes_on:
            known.cards.pop(call.call_id, None)
            known.known.add(call.call_id)
            await self._mark_handled(person, call, shown.status)
        has_changed = shown.status is not written.shown.status or (
            shown.status is CallStatus.RINGING and (shown.name, shown.number) != _who(written.shown)
        )
        # The last update is reserved for the end of the call.
        if not has_changed or (goes_on and written.updates_left <= 1):
            return
        await self._write(person, written, shown)
        if shown.status in ASK_TO_CALL_BACK and not shown.is_outgoing:
            self._remember_missed(known, written)

    async def _mark_called_back(self, person: Person, known: _Person, call: PhoneCall) -> None:
        """Mark cards of missed calls as settled after the two parties have talked. A talk from before is still on the line
        for a while; it settles nothing.
        """
        known.missed = [one for one in known.missed if one.missed_at > time.monotonic() - MISSED_SECONDS]
        began = to_ms(call.began_at)
        for written in [one for one in known.missed if call.number and one.number == call.number]:
            if began <= written.shown.at:
                continue
            known.missed.remove(written)
            shown = written.shown.model_copy(update={"status": CallStatus.CALLED_BACK})
            await self._write(person, written, shown)

    async def _write(self, person: Person, written: _Written, shown: CallShown) -> None:
        """Update the card in place, if it has updates left."""
        if written.updates_left <= 0:
            return
        written.updates_left -= 1
        written.shown = shown
        card = await self._card(person, shown, written.reader)
        try:
            await self._channel.update(written.reference, written.activity_id, message(card))
        except DeliveryError as fault:
            await self._handle_failure(person, fault)

    async def _card(self, person: Person, shown: CallShown, reader: CardReader) -> Card:
        email = await self._colleagues.email_of(person, shown.name)
        return call_card(shown, reader, Colleague(email) if email else None)

    async def _handle_failure(self, person: Person, fault: DeliveryError) -> None:
        logger.warning(
            "a card of a call was not delivered", extra={"outcome": fault.outcome, "reason": str(fault)}
        )
        if fault.closed is not None:
            await self._conversations.close(*person, fault.closed)

    @staticmethod
    def _has_room(known: _Person) -> bool:
        moment = time.monotonic()
        while known.begun and known.begun[0] < moment - 3600:
            known.begun.popleft()
        if len(known.begun) >= MAX_CARDS_PER_HOUR:
            return False
        known.begun.append(moment)
        return True

    @staticmethod
    def _remember_missed(known: _Person, written: _Written) -> None:
        if written.number and written.shown.status in ASK_TO_CALL_BACK:
            written.missed_at = time.monotonic()
            known.missed = [*known.missed, written][-MAX_MISSED:]


def _gets_card(call: PhoneCall, status: CallStatus, preferences: Preferences) -> bool:
    """Return whether a call gets a card that nobody asked for: it rings here or was missed.

    Outgoing calls and missed calls of a group, which somebody else may have answered, get none.
    """
    if call.direction is not Direction.IN or call.is_ours:
        return False
    if status is CallStatus.RINGING:
        return preferences.calls_in_chat
    is_missed = status is CallStatus.AT_ONCE or (status in ASK_TO_CALL_BACK and not call.group)
    return is_missed and preferences.missed_calls


def _who(shown: CallShown) -> tuple[str, str]:
    return shown.name, shown.number
