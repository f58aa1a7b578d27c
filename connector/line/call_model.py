"""The calls of one line, from what the PBX tells of them. Pure; tested by traces.

The truth is the PBX: events tell a change at once, and a *look* (all ids, and the struct of each) puts right what events
have missed. A call keeps the id under which it was first known, so that a page or a card that shows it finds it again
when the PBX gives it another (`callChangesIdEvent`).

States, their order and what of it is assumed: docs/facts/starface.md, "Calls and their states".
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
"""So long an ended call is shown, so that a page can say how it ended."""
TOMBSTONE_SECONDS: Final = 120.0
"""So long an ended call is known: an event that comes late must not bring it back."""
PLACED_SECONDS: Final = 8.0
"""So long a call that was just placed need not be in the PBX's list."""
MAX_KNOWN: Final = 60
"""Calls of one line in memory, ended ones included."""
MAX_ID: Final = 100
MAX_NUMBER: Final = 100
MAX_AGE_SECONDS: Final = 24 * 3600.0
MAX_AHEAD_SECONDS: Final = 60.0
"""Times of the PBX outside of these are not believed."""

_IN, _OUT = Direction.IN, Direction.OUT
STATES: Final[Mapping[str, tuple[CallState | None, Direction | None]]] = {
    # Three independent v22 clients state these (IAH, ESPO, SPICE).
    "PROCEEDING": (CallState.DIALLING, _OUT),
    "RINGBACK": (CallState.RINGING_THERE, _OUT),
    "INCOMING": (CallState.RINGING, _IN),
    "RINGING": (CallState.RINGING, _IN),
    "CONNECTED": (CallState.CONNECTED, None),
    "HANGUP": (CallState.ENDED, None),
    # Of `getCallState` alone (UCP.PHP).
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
"""What a state of the PBX means here, and which direction it shows. None: says nothing of it."""
_TALKS: Final = frozenset({CallState.CONNECTED, CallState.HELD, CallState.CONFERENCE})
_NOT_FORWARDED: Final = frozenset({"", "NONE"})


@dataclass(slots=True)
class _Call:
    call_id: str
    """Under which it was first known."""
    pbx_id: str
    """Under which the PBX knows it now."""
    began: float
    heard: float
    """When the PBX last said something of it."""
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
    """The PBX dials: until then the own phone is what rings."""
    was_hung_up_here: bool = False
    ended_by_event: bool = False
    forwarded: bool = False
    is_hidden: bool = False
    """Ended, and shown long enough."""


class CallModel:
    """All times are seconds since the epoch, by the connector's clock, except where the PBX's are named."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        """By the PBX's id of now."""
        self.own_numbers: frozenset[str] = frozenset()
        """Of the person, as the PBX writes them: a phone that rings with one of them as the caller's is the own phone, which
        rings before the PBX dials.
        """
        self._symptom = Symptom()

    def event(self, struct: Mapping[str, Any], at: float) -> bool:
        """Takes the struct of a `receiveCallState`; True when something that is shown has changed."""
        pbx_id = _id(struct.get("id"))
        if not pbx_id:
            return False
        at_once = self._symptom.state(dict(struct), at)
        call = self._calls.get(pbx_id)
        if call is not None and call.ended is not None and call.ended_by_event:
            return False  # a late event of a call that is over
        if call is None:
            if _state_name(struct) == "HANGUP":
                return False  # nothing was known of it, and it is over
            call = self._add(pbx_id, at)
        before = _shown(call)
        self._put(call, struct, at, at_once=at_once, is_event=True)
        return before != _shown(call)

    def renamed(self, old: str, new: str, at: float) -> bool:
        """`callChangesIdEvent`: the same call goes on under another id."""
        old, new = _id(old), _id(new)
        if not old or not new or old == new:
            return False
        self._symptom.new_id(old, new)
        call, known = self._calls.pop(old, None), self._calls.get(new)
        if call is None:
            return False
        call.pbx_id, call.heard = new, at
        if not call.ended_by_event:
            _revive(call)  # a look missed it under its old id
        if known is not None:  # its first event came before the new id was told
            _merge(call, known)
        self._calls[new] = call
        return True

    def placed(self, call_id: str, number: str, at: float) -> None:
        """`phone.dial` has given this call to the PBX, which tells of it when the own phone is picked up, or sooner."""
        call = self._calls.get(call_id) or self._add(call_id, at)
        call.is_ours, call.direction = True, Direction.OUT
        if call.state in (CallState.UNKNOWN, CallState.RINGING):
            call.state = CallState.DIALLING
        if not call.called[0]:
            call.called = (clean_line(number, MAX_NUMBER), call.called[1])

    def hung_up(self, call_id: str) -> None:
        """The person has ended it from here; the PBX says when it is over."""
        call = self._of(call_id)
        if call is not None:
            call.was_hung_up_here = True

    def looked(
        self, ids: Iterable[str], structs: Mapping[str, Mapping[str, Any]], asked: float, at: float
    ) -> bool:
        """What the PBX answered to a look that was begun at `asked`: whatever was heard since then is newer. `structs`: of
        those ids that were asked about; an empty one says that the PBX knows no such call.
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

    def forgotten(self, at: float) -> bool:
        """Drops ended calls that were shown long enough; True when one of them was shown until now."""
        gone = [one.pbx_id for one in self._calls.values() if _age(one, at) > TOMBSTONE_SECONDS]
        for pbx_id in gone:
            del self._calls[pbx_id]
        hidden = [one for one in self._calls.values() if _age(one, at) > ENDED_SECONDS and not one.is_hidden]
        for one in hidden:
            one.is_hidden = True
        return bool(hidden)

    def pbx_id(self, call_id: str) -> str | None:
        """Under which id the PBX knows this call now; None when it is over or unknown."""
        call = self._of(call_id)
        return call.pbx_id if call is not None and call.ended is None else None

    def is_known(self, call_id: str) -> bool:
        return self._of(call_id) is not None

    @property
    def live(self) -> list[str]:
        """The PBX's ids of calls that are not over."""
        return [one.pbx_id for one in self._calls.values() if one.ended is None]

    @property
    def awaits_phone(self) -> bool:
        """A call of ours waits for the own phone to be picked up: no event says when the PBX gives it up."""
        return any(one.ended is None and one.is_ours and not one.is_set_up for one in self._calls.values())

    @property
    def next_forgetting(self) -> float | None:
        """When an ended call is to be hidden."""
        times = [one.ended + ENDED_SECONDS for one in self._calls.values() if one.ended and not one.is_hidden]
        return min(times, default=None)

    def calls(self, at: float, group_name: Callable[[str], str] = lambda group: group) -> list[PhoneCall]:
        """The newest last; at most `MAX_CALLS`, of which those that go on come first."""
        shown = [one for one in self._calls.values() if _age(one, at) <= ENDED_SECONDS]
        if len(shown) > MAX_CALLS:
            shown.sort(key=lambda one: (one.ended is not None, -one.began))
            shown = shown[:MAX_CALLS]
        shown.sort(key=lambda one: one.began)
        return [_phone_call(one, group_name) for one in shown]

    def _of(self, call_id: str) -> _Call | None:
        found = self._calls.get(call_id)
        if found is None:
            found = next((one for one in self._calls.values() if one.call_id == call_id), None)
        return found

    def _add(self, pbx_id: str, at: float) -> _Call:
        call = self._calls[pbx_id] = _Call(call_id=pbx_id, pbx_id=pbx_id, began=at, heard=at)
        while len(self._calls) > MAX_KNOWN:
            oldest = next((one.pbx_id for one in self._calls.values() if one.ended is not None), None)
            del self._calls[oldest if oldest is not None else next(iter(self._calls))]
        return call

    def _put(
        self, call: _Call, struct: Mapping[str, Any], at: float, *, at_once: bool = False, is_event: bool
    ) -> None:
        call.heard = at
        call.caller = _told(struct, "caller", call.caller)
        call.called = _told(struct, "called", call.called)
        call.group = _group(struct) or call.group
        forward = struct.get("forwardType")
        call.forwarded |= isinstance(forward, str) and forward.strip().upper() not in _NOT_FORWARDED
        name = _state_name(struct)
        if not name:
            return  # the first event of a call may come without a state (IAH)
        state, direction = STATES.get(name, (None, None))
        if state is CallState.ENDED:
            self._end(call, at, _end(call, at_once=at_once), by_event=True)
            return
        _revive(call)
        self._direct(call=call, state=state, direction=direction, own=self.own_numbers)
        if name == "CONSULT" and call.connected is None:
            state = CallState.CONNECTED  # it is the consultation itself, not the call beside it (assumed)
            if call.direction is Direction.UNKNOWN:
                call.direction = Direction.OUT
        if state is CallState.RINGING and call.direction is Direction.OUT and not call.is_set_up:
            state = CallState.DIALLING  # the own phone rings first
        if state in (CallState.DIALLING, CallState.RINGING_THERE):
            call.is_set_up |= name != "REQUESTED" and direction is Direction.OUT and state_is_set_up(name)
            call.connected = None  # the own phone was picked up, and the other side was not yet
        if state in _TALKS and call.connected is None:
            call.connected = at if is_event else _moment(struct, at)
        if state is not None:
            call.state = state

    @staticmethod
    def _direct(
        call: _Call, state: CallState | None, direction: Direction | None, own: frozenset[str]
    ) -> None:
        """The direction, which the states show until the call is connected."""
        if direction is None or call.is_ours or call.connected is not None:
            return
        if state is CallState.RINGING and call.direction is Direction.OUT:
            return  # a call that comes back, or the own phone
        is_own_phone = call.caller[0] in own and call.called[0] not in own
        call.direction = Direction.OUT if is_own_phone else direction

    @staticmethod
    def _end(call: _Call, at: float, end: CallEnd, *, by_event: bool = False) -> None:
        call.ended, call.end, call.state, call.heard = at, end, CallState.ENDED, at
        call.ended_by_event = by_event


def state_is_set_up(name: str) -> bool:
    """The PBX dials the other side; before it, the own phone is what rings."""
    return name in ("PROCEEDING", "OUTGOING", "RINGBACK", "RING_BACK")


def _end(call: _Call, *, at_once: bool) -> CallEnd:
    """How a call ended of whose end an event told."""
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


def _end_unheard(call: _Call) -> CallEnd:
    """How a call ended that a look misses: whether it was answered in between is not known."""
    if call.connected is not None or call.was_hung_up_here:
        return CallEnd.DONE
    if call.state is CallState.VOICEMAIL:
        return CallEnd.VOICEMAIL
    return CallEnd.NOT_REACHED if call.is_ours and not call.is_set_up else CallEnd.UNKNOWN


def _revive(call: _Call) -> None:
    """A look has missed the call, and it goes on."""
    if call.ended is not None:
        call.ended, call.end, call.state, call.is_hidden = None, None, CallState.UNKNOWN, False


def _merge(call: _Call, known: _Call) -> None:
    """`known` is the same call under its new id, and newer."""
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


def _phone_call(call: _Call, group_name: Callable[[str], str]) -> PhoneCall:
    number, name = _other(call)
    return PhoneCall(
        call_id=call.call_id,
        state=call.state,
        direction=call.direction,
        number=number,
        name=name,
        group=group_name(call.group) if call.group else "",
        began_at=_utc(call.began),
        connected_at=_utc(call.connected) if call.connected is not None else None,
        ended_at=_utc(call.ended) if call.ended is not None else None,
        end=call.end,
        is_ours=call.is_ours,
    )


def _other(call: _Call) -> tuple[str, str]:
    """Number and name of the other side."""
    if call.direction is Direction.OUT:
        return call.called
    if call.direction is Direction.IN or any(call.caller):
        return call.caller
    return call.called


def _shown(call: _Call) -> tuple[object, ...]:
    return (call.state, call.direction, _other(call), call.group, call.connected, call.end, call.is_ours)


def _age(call: _Call, at: float) -> float:
    return at - call.ended if call.ended is not None else 0.0


def _told(struct: Mapping[str, Any], side: str, known: tuple[str, str]) -> tuple[str, str]:
    """Number and name as they are now: what is empty is not known yet, and what was known stays."""
    number = clean_line(_text(struct.get(f"{side}Number")), MAX_NUMBER)
    name = clean_line(_text(struct.get(f"{side}Name")), MAX_NAME)
    if number and number != known[0]:
        return number, name  # somebody else, for instance after a transfer: the old name is not theirs
    return number or known[0], name or known[1]


def _group(struct: Mapping[str, Any]) -> str:
    """The type of its value is not known; 0 and nothing say that there is none (assumed)."""
    text = clean_line(_text(struct.get("groupID", struct.get("groupId"))), MAX_NAME)
    return "" if text in ("0", "-1", "null") else text


def _state_name(struct: Mapping[str, Any]) -> str:
    return _text(struct.get("state")).strip().upper()


def _moment(struct: Mapping[str, Any], at: float) -> float:
    """Since when a call goes on that was found by a look; the PBX's times are believed where they can be."""
    for member in ("connectedTimestamp", "timestamp"):
        told = seconds_of(struct.get(member))
        if told is not None and at - MAX_AGE_SECONDS < told < at + MAX_AHEAD_SECONDS:
            return min(told, at)
    return at


def _id(value: Any) -> str:
    """Empty for what is no id: it would be another call's when it were changed."""
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
