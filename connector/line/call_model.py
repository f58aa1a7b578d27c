"""The calls of one line, as the PBX reports them. Pure; tested by traces.

The PBX is the truth. Events report a change immediately, and a poll (of all ids and their structs) corrects what
events have missed. A call keeps the id by which it was first known, so that a page or a card finds it again when the PBX
changes its id (`callChangesIdEvent`).

docs/facts/starface.md, "Calls and their states", describes the states, their order and what is assumed.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from connector.symptom import Symptom, seconds_of
from wire.bounds import MAX_NAME, clean_line
from wire.phone import MAX_CALLS, CallEnd, CallState, Direction, PhoneCall

ENDED_SECONDS: Final = 20.0
"""How long an ended call is shown, so that a page can say how it ended."""
TOMBSTONE_SECONDS: Final = 120.0
"""How long an ended call is remembered, so that a late event does not bring it back."""
PLACED_SECONDS: Final = 8.0
"""How long a newly placed call may be missing in the PBX's list."""
MAX_KNOWN: Final = 60
"""Most calls of one line in memory, including ended ones."""
MAX_ID: Final = 100
MAX_NUMBER: Final = 100
MAX_AGE_SECONDS: Final = 24 * 3600.0
MAX_AHEAD_SECONDS: Final = 60.0
"""A PBX time that is older, or further ahead, is ignored."""

_IN, _OUT = Direction.IN, Direction.OUT
STATES: Final[Mapping[str, tuple[CallState | None, Direction | None]]] = {
    # Three independent v22 clients state these (IAH, ESPO, SPICE).
    "PROCEEDING": (CallState.DIALLING, _OUT),
    "RINGBACK": (CallState.RINGING_THERE, _OUT),
    "INCOMING": (CallState.RINGING, _IN),
    "RINGING": (CallState.RINGING, _IN),
    "CONNECTED": (CallState.CONNECTED, None),
    "HANGUP": (CallState.ENDED, None),
    # Only in answers of `getCallState` (UCP.PHP).
    "REQUESTED": (CallState.DIALLING, _OUT),
    # The Java enum behind UCI v30 (SFWiki).
    "OUTGOING": (CallState.DIALLING, _OUT),
    "PARKED": (CallState.HELD, None),
    "CONSULT": (CallState.HELD, None),
    "CONFERENCE_ACTIVE": (CallState.CONFERENCE, None),
    "CONFERENCE_CONSULT": (CallState.CONFERENCE, None),
    "CONFERENCE_INACTIVE": (CallState.HELD, None),
    "VOICEMAIL_LINKED": (CallState.VOICEMAIL, None),
    "VOICEMAIL_MAIN": (CallState.CONNECTED, _OUT),
    "CCBS": (CallState.DIALLING, _OUT),
    "LOGIN_LOGOUT": (CallState.UNKNOWN, _OUT),
    "MUSICONHOLD_TEST": (CallState.UNKNOWN, _OUT),
    # The gRPC interface from version 10 on (StarCLX).
    "PROVISIONAL": (None, None),
    "RING_BACK": (CallState.RINGING_THERE, _OUT),
    "CALL_BACK_ON_BUSY": (CallState.DIALLING, _OUT),
    "MUSIC_ON_HOLD_TEST": (CallState.UNKNOWN, _OUT),
}
"""The meaning of each PBX state, and the direction that it implies. None: it implies none."""
_TALKS: Final = frozenset({CallState.CONNECTED, CallState.HELD, CallState.CONFERENCE})
_NOT_FORWARDED: Final = frozenset({"", "NONE"})


@dataclass(slots=True)
class _KnownCall:
    call_id: str
    """The id by which the call was first known."""
    pbx_id: str
    """The PBX's present id of the call."""
    began: float
    heard: float
    """When the PBX last reported something about the call."""
    state: CallState = CallState.UNKNOWN
    direction: Direction = Direction.UNKNOWN
    caller: tuple[str, str] = ("", "")
    called: tuple[str, str] = ("", "")
    group: str = ""
    connected: float | None = None
    ended: float | None = None
    end: CallEnd | None = None
    is_ours: bool = False
    is_set_up: bool = False
    """The PBX dials the other side; before that, the person's own phone rings."""
    was_hung_up_here: bool = False
    ended_by_event: bool = False
    forwarded: bool = False
    is_hidden: bool = False
    """The call has ended and is no longer shown."""


class CallModel:
    """The calls of one line. All times are seconds since the epoch by a clock that never jumps, unless named as the PBX's."""

    def __init__(self) -> None:
        self.shift = 0.0
        """Seconds to add to get the time of day."""
        self._calls: OrderedDict[str, _KnownCall] = OrderedDict()
        """Calls by the PBX's present id."""
        self.own_numbers: frozenset[str] = frozenset()
        """The person's numbers as the PBX writes them. If one of them is the caller of a ringing call, it is the own phone
        that rings before the PBX dials.
        """
        self._symptom = Symptom()

    def apply_event(self, struct: Mapping[str, Any], at: float) -> bool:
        """Process the struct of a `receiveCallState`; return whether something visible has changed."""
        pbx_id = _id(struct.get("id"))
        if not pbx_id:
            return False
        at_once = self._symptom.state(dict(struct), at)
        call = self._calls.get(pbx_id)
        if call is not None and call.ended is not None and call.ended_by_event:
            return False  # a late event of an ended call
        if call is None:
            if _state_name(struct) == "HANGUP":
                return False  # an unknown call that has ended
            call = self._add(pbx_id, at)
        before = _shown(call)
        self._put(call, struct, at, at_once=at_once, is_event=True)
        return before != _shown(call)

    def change_id(self, old: str, new: str, at: float) -> bool:
        """Process a `callChangesIdEvent`: the call continues under another id. Return whether the call is known."""
        old, new = _id(old), _id(new)
        if not old or not new or old == new:
            return False
        self._symptom.new_id(old, new)
        call, known = self._calls.pop(old, None), self._calls.get(new)
        if call is None:
            return False
        call.pbx_id, call.heard = new, at
        if not call.ended_by_event:
            _revive(call)  # a poll did not find it under its old id
        if known is not None:  # its first event arrived before the new id
            _merge(call, known)
        self._calls[new] = call
        return True

    def add_placed(self, call_id: str, number: str, at: float) -> None:
        """Add a call that `phone.dial` gave to the PBX. The PBX reports it at the latest when the own phone is picked up."""
        call = self._calls.get(call_id) or self._add(call_id, at)
        call.is_ours, call.direction = True, Direction.OUT
        if call.state in (CallState.UNKNOWN, CallState.RINGING):
            call.state = CallState.DIALLING
        if not call.called[0]:
            call.called = (clean_line(number, MAX_NUMBER), call.called[1])

    def mark_hung_up(self, call_id: str) -> None:
        """Mark a call that the person has ended from here; the PBX reports when it is over."""
        call = self._of(call_id)
        if call is not None:
            call.was_hung_up_here = True

    def apply_poll(
        self, ids: Iterable[str], structs: Mapping[str, Mapping[str, Any]], asked: float, at: float
    ) -> bool:
        """Process the result of a poll; return whether something visible has changed.

        The poll began at `asked`, so what was reported after that is newer. `structs`: the structs of the ids that were
        requested; an empty struct means that the PBX knows no such call.
        """
        found = {known for one in ids if (known := _id(one)) and structs.get(one) != {}}
        changed = False
        for pbx_id in found:
            call, struct = self._calls.get(pbx_id), structs.get(pbx_id)
            if call is not None and (call.heard > asked or (call.ended is not None and call.ended_by_event)):
                continue
            if call is None:
                if struct is None or _state_name(struct) == "HANGUP":
                    continue
                call = self._add(pbx_id, at)
                changed = True
            before = _shown(call)
            _revive(call)
            if struct is not None:
                self._put(call, struct, at, is_event=False)
            changed |= before != _shown(call)
        for call in self._calls.values():
            if call.pbx_id in found or call.ended is not None or call.heard > asked:
                continue
            if call.is_ours and at - call.began < PLACED_SECONDS:
                continue
            self._end(call, at, _end_unheard(call))
            changed = True
        return changed

    def forget_ended(self, at: float) -> bool:
        """Hide and drop ended calls that are old enough; return whether one of them was visible until now."""
        gone = [one.pbx_id for one in self._calls.values() if _age(one, at) > TOMBSTONE_SECONDS]
        for pbx_id in gone:
            del self._calls[pbx_id]
        hidden = [one for one in self._calls.values() if _age(one, at) > ENDED_SECONDS and not one.is_hidden]
        for one in hidden:
            one.is_hidden = True
        return bool(hidden)

    def pbx_id(self, call_id: str) -> str | None:
        """Return the PBX's present id of a call, or None if it has ended or is unknown."""
        call = self._of(call_id)
        return call.pbx_id if call is not None and call.ended is None else None

    def is_known(self, call_id: str) -> bool:
        return self._of(call_id) is not None

    @property
    def live(self) -> list[str]:
        """The PBX's ids of calls that have not ended."""
        return [one.pbx_id for one in self._calls.values() if one.ended is None]

    @property
    def awaits_phone(self) -> bool:
        """Whether a call of ours waits for the own phone to be picked up; no event reports that the PBX gives it up."""
        return any(one.ended is None and one.is_ours and not one.is_set_up for one in self._calls.values())

    @property
    def next_forgetting(self) -> float | None:
        """When the next ended call must be hidden; None without one."""
        times = [one.ended + ENDED_SECONDS for one in self._calls.values() if one.ended and not one.is_hidden]
        return min(times, default=None)

    def calls(self, at: float, group_name: Callable[[str], str] = lambda group: group) -> list[PhoneCall]:
        """Return the visible calls, newest last, at most `MAX_CALLS`; if there are more, calls that go on are preferred."""
        shown = [one for one in self._calls.values() if _age(one, at) <= ENDED_SECONDS]
        if len(shown) > MAX_CALLS:
            shown.sort(key=lambda one: (one.ended is not None, -one.began))
            shown = shown[:MAX_CALLS]
        shown.sort(key=lambda one: one.began)
        return [_phone_call(one, group_name, self.shift) for one in shown]

    def _of(self, call_id: str) -> _KnownCall | None:
        found = self._calls.get(call_id)
        if found is None:
            found = next((one for one in self._calls.values() if one.call_id == call_id), None)
        return found

    def _add(self, pbx_id: str, at: float) -> _KnownCall:
        call = self._calls[pbx_id] = _KnownCall(call_id=pbx_id, pbx_id=pbx_id, began=at, heard=at)
        while len(self._calls) > MAX_KNOWN:
            oldest = next((one.pbx_id for one in self._calls.values() if one.ended is not None), None)
            del self._calls[oldest if oldest is not None else next(iter(self._calls))]
        return call

    def _put(
        self, call: _KnownCall, struct: Mapping[str, Any], at: float, *, at_once: bool = False, is_event: bool
    ) -> None:
        call.heard = at
        call.caller = _number_and_name(struct, "caller", call.caller)
        call.called = _number_and_name(struct, "called", call.called)
        call.group = _group(struct) or call.group
        forward = struct.get("forwardType")
        call.forwarded |= isinstance(forward, str) and forward.strip().upper() not in _NOT_FORWARDED
        name = _state_name(struct)
        if not name:
            return  # the first event of a call may have no state (IAH)
        state, direction = STATES.get(name, (None, None))
        if state is CallState.ENDED:
            self._end(call, at, _end(call, at_once=at_once), by_event=True)
            return
        _revive(call)
        self._direct(call=call, state=state, direction=direction, own=self.own_numbers)
        if name == "CONSULT" and call.connected is None:
            state = CallState.CONNECTED  # it is the consultation call itself (assumed)
            if call.direction is Direction.UNKNOWN:
                call.direction = Direction.OUT
        if state is CallState.RINGING and call.direction is Direction.OUT and not call.is_set_up:
            state = CallState.DIALLING  # the own phone rings first
        if state in (CallState.DIALLING, CallState.RINGING_THERE):
            call.is_set_up |= name != "REQUESTED" and direction is Direction.OUT and state_is_set_up(name)
            call.connected = None  # the own phone was picked up, but the other side not yet
        if state in _TALKS and call.connected is None:
            call.connected = at if is_event else _moment(struct, at + self.shift) - self.shift
        if state is not None:
            call.state = state

    @staticmethod
    def _direct(
        call: _KnownCall, state: CallState | None, direction: Direction | None, own: frozenset[str]
    ) -> None:
        """Derive the direction from the states before the call is connected."""
        if direction is None or call.is_ours or call.connected is not None:
            return
        if state is CallState.RINGING and call.direction is Direction.OUT:
            return  # the call has come back, or the own phone rings
        is_own_phone = call.caller[0] in own and call.called[0] not in own
        call.direction = Direction.OUT if is_own_phone else direction

    @staticmethod
    def _end(call: _KnownCall, at: float, end: CallEnd, *, by_event: bool = False) -> None:
        call.ended, call.end, call.state, call.heard = at, end, CallState.ENDED, at
        call.ended_by_event = by_event


def state_is_set_up(name: str) -> bool:
    """Return whether the PBX dials the other side; before that, the own phone rings."""
    return name in ("PROCEEDING", "OUTGOING", "RINGBACK", "RING_BACK")


def _end(call: _KnownCall, *, at_once: bool) -> CallEnd:
    """Return how a call ended, if an event reported its end."""
    if at_once:
        return CallEnd.AT_ONCE
    if call.state is CallState.VOICEMAIL and call.connected is None:
        return CallEnd.VOICEMAIL
    if call.connected is not None or call.was_hung_up_here:
        return CallEnd.DONE
    if call.direction is Direction.OUT:
        return CallEnd.NOT_REACHED
    if call.direction is Direction.UNKNOWN:
        return CallEnd.UNKNOWN
    return CallEnd.ELSEWHERE if call.group or call.forwarded else CallEnd.MISSED


def _end_unheard(call: _KnownCall) -> CallEnd:
    """Return how a call ended, if a poll no longer finds it; whether it was answered in between is not known."""
    if call.connected is not None or call.was_hung_up_here:
        return CallEnd.DONE
    if call.state is CallState.VOICEMAIL:
        return CallEnd.VOICEMAIL
    return CallEnd.NOT_REACHED if call.is_ours and not call.is_set_up else CallEnd.UNKNOWN


def _revive(call: _KnownCall) -> None:
    """Reopen a call that a poll did not find but that goes on."""
    if call.ended is not None:
        call.ended, call.end, call.state, call.is_hidden = None, None, CallState.UNKNOWN, False


def _merge(call: _KnownCall, known: _KnownCall) -> None:
    """Merge `known`, the same call under its new id, whose data is newer, into `call`."""
    call.caller = (known.caller[0] or call.caller[0], known.caller[1] or call.caller[1])
    call.called = (known.called[0] or call.called[0], known.called[1] or call.called[1])
    call.group = call.group or known.group
    call.is_set_up |= known.is_set_up
    call.forwarded |= known.forwarded
    call.began = min(call.began, known.began)
    if call.direction is Direction.UNKNOWN:
        call.direction = known.direction
    if known.state is not CallState.UNKNOWN:
        call.state = known.state
        if call.state is CallState.RINGING and call.direction is Direction.OUT:
            call.state = CallState.DIALLING
    call.connected = call.connected or known.connected
    call.ended, call.end, call.ended_by_event = known.ended, known.end, known.ended_by_event
    if call.ended is not None and call.end is not CallEnd.AT_ONCE:
        state, call.state = call.state, CallState.UNKNOWN
        call.end, call.state = _end(call, at_once=False), state


def _phone_call(call: _KnownCall, group_name: Callable[[str], str], shift: float) -> PhoneCall:
    number, name = _other(call)
    return PhoneCall(
        call_id=call.call_id,
        state=call.state,
        direction=call.direction,
        number=number,
        name=name,
        group=group_name(call.group) if call.group else "",
        began_at=_utc(call.began + shift),
        connected_at=_utc(call.connected + shift) if call.connected is not None else None,
        ended_at=_utc(call.ended + shift) if call.ended is not None else None,
        end=call.end,
        is_ours=call.is_ours,
    )


def _other(call: _KnownCall) -> tuple[str, str]:
    """Return number and name of the other side."""
    if call.direction is Direction.OUT:
        return call.called
    if call.direction is Direction.IN or any(call.caller):
        return call.caller
    return call.called


def _shown(call: _KnownCall) -> tuple[object, ...]:
    return (call.state, call.direction, _other(call), call.group, call.connected, call.end, call.is_ours)


def _age(call: _KnownCall, at: float) -> float:
    return at - call.ended if call.ended is not None else 0.0


def _number_and_name(struct: Mapping[str, Any], side: str, known: tuple[str, str]) -> tuple[str, str]:
    """Return the present number and name. An empty value is not known yet, so the known one remains."""
    number = clean_line(_text(struct.get(f"{side}Number")), MAX_NUMBER)
    name = clean_line(_text(struct.get(f"{side}Name")), MAX_NAME)
    if number and number != known[0]:
        return number, name  # another person, for instance after a transfer, so the old name is wrong
    return number or known[0], name or known[1]


def _group(struct: Mapping[str, Any]) -> str:
    """Return the group, empty without one. The type of the value is not known; 0 and an empty value mean none (assumed)."""
    text = clean_line(_text(struct.get("groupID", struct.get("groupId"))), MAX_NAME)
    return "" if text in ("0", "-1", "null") else text


def _state_name(struct: Mapping[str, Any]) -> str:
    return _text(struct.get("state")).strip().upper()


def _moment(struct: Mapping[str, Any], at: float) -> float:
    """Return since when a call that a poll found is connected: the PBX's time if it is plausible, else `at`."""
    for member in ("connectedTimestamp", "timestamp"):
        pbx_time = seconds_of(struct.get(member))
        if pbx_time is not None and at - MAX_AGE_SECONDS < pbx_time < at + MAX_AHEAD_SECONDS:
            return min(pbx_time, at)
    return at


def _id(value: Any) -> str:
    """Return an id, or an empty string for an unusable value. It is never changed: it could become another call's id."""
    text = _text(value)
    return (
        text if 0 < len(text) <= MAX_ID and text.isascii() and text.isprintable() and " " not in text else ""
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
