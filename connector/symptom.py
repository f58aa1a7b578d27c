"""Finds the symptom in call events: a call that the user answered and that our side ended at once. Pure; tested by table.

UCI sends states but no reason for an end, so one call proves nothing: the service waits for a second one, or for other
evidence. The states and their order are those of docs/facts/starface.md, "Calls and their states". UCI does not send the
direction of a call; it is derived from the states before the answer.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

AT_ONCE_SECONDS: Final = 2.0
"""Teams declines within about two seconds of the answer (docs/facts/teams.md, "Audio devices and their names")."""
MAX_CALLS: Final = 50
"""Most calls of one user that are followed at the same time; the oldest is dropped first."""


class Phase(StrEnum):
    """The meaning of a state for the symptom."""

    RINGING_IN = "ringing-in"
    OUTGOING = "outgoing"
    ANSWERED = "answered"
    ELSEWHERE = "elsewhere"
    """Parked, transferred, in a conference or at the voicemail: the end of such a call is not the symptom."""
    ENDED = "ended"
    ENDED_BY_OTHER = "ended-by-other"
    UNKNOWN = "unknown"


PHASES: Final[dict[str, Phase]] = {
    # Three independent v22 clients state these (IAH, ESPO, SPICE).
    "PROCEEDING": Phase.OUTGOING,
    "RINGBACK": Phase.OUTGOING,
    "INCOMING": Phase.RINGING_IN,
    "RINGING": Phase.RINGING_IN,
    "CONNECTED": Phase.ANSWERED,
    "HANGUP": Phase.ENDED,
    # The Java enum behind UCI v30 (SFWiki).
    "OUTGOING": Phase.OUTGOING,
    "PARKED": Phase.ELSEWHERE,
    "CONSULT": Phase.ELSEWHERE,
    "CONFERENCE_ACTIVE": Phase.ELSEWHERE,
    "CONFERENCE_CONSULT": Phase.ELSEWHERE,
    "CONFERENCE_INACTIVE": Phase.ELSEWHERE,
    "VOICEMAIL_LINKED": Phase.ELSEWHERE,
    "VOICEMAIL_MAIN": Phase.ELSEWHERE,
    "CCBS": Phase.ELSEWHERE,
    "LOGIN_LOGOUT": Phase.ELSEWHERE,
    "MUSICONHOLD_TEST": Phase.ELSEWHERE,
    # The gRPC interface from version 10 on (StarCLX).
    "PROVISIONAL": Phase.UNKNOWN,
    "RING_BACK": Phase.OUTGOING,
    "CALL_BACK_ON_BUSY": Phase.ELSEWHERE,
    "MUSIC_ON_HOLD_TEST": Phase.ELSEWHERE,
    # Assumed: in no UCI source.
    "HUNGUP": Phase.ENDED,
    "DISCONNECTED": Phase.ENDED,
    "HANGUP_BY_CALLER": Phase.ENDED_BY_OTHER,
    "TRANSFERRED": Phase.ELSEWHERE,
    "FORWARDED": Phase.ELSEWHERE,
}
SECONDS_BELOW: Final = 1e11
"""A time below this is in seconds since the epoch (before the year 5138); in milliseconds it would be before 1973."""
MILLISECONDS_BELOW: Final = 1e14
MAX_DELIVERY_SECONDS: Final = 6.0
"""How much further apart two events may arrive than the PBX's own times say. Beyond it, those times are not the events'
own, but for instance the beginning of the call."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """The time of an event by two clocks, which are never compared with each other."""

    heard: float
    pbx: float | None


@dataclass(slots=True)
class _FollowedCall:
    phase: Phase = Phase.UNKNOWN
    rang_in: bool = False
    rang_at: _Moment | None = None
    answered_at: _Moment | None = None
    disturbed: bool = False
    """Something else happened to the call, for instance a transfer."""


class Symptom:
    """Follows the calls of one user."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _FollowedCall] = OrderedDict()

    def state(self, event: dict[str, Any], heard_at: float) -> bool:
        """Process a `receiveCallState` struct and return whether it ends a call at once. `heard_at`: seconds."""
        call_id, name = event.get("id"), event.get("state")
        if isinstance(call_id, int) and not isinstance(call_id, bool):
            call_id = str(call_id)
        if not isinstance(call_id, str) or not call_id or not isinstance(name, str):
            return False
        phase = PHASES.get(name.strip().upper(), Phase.UNKNOWN)
        at = _Moment(heard_at, seconds_of(event.get("timestamp")))
        call = self._calls.setdefault(call_id, _FollowedCall())
        if phase in (Phase.ENDED, Phase.ENDED_BY_OTHER):
            del self._calls[call_id]
            return phase is Phase.ENDED and _ended_at_once(call, at)
        if name.strip():  # the first event of a call may come without a state (IAH)
            self._take(call, phase, at)
        while len(self._calls) > MAX_CALLS:
            self._calls.popitem(last=False)
        return False

    def new_id(self, old: str, new: str) -> None:
        """Process a `callChangesIdEvent`: the call continues under another id."""
        call = self._calls.pop(old, None)
        if call is not None:
            known = self._calls.get(new)
            self._calls[new] = call
            if known is not None:  # its first event arrived before the new id
                call.answered_at = call.answered_at or known.answered_at
                call.disturbed |= known.disturbed
                call.rang_in |= known.rang_in
                call.rang_at = call.rang_at or known.rang_at

    @staticmethod
    def _take(call: _FollowedCall, phase: Phase, at: _Moment) -> None:
        if phase is Phase.RINGING_IN:
            # A call that rings again after the answer has come back, for instance from a transfer.
            call.disturbed |= call.answered_at is not None or call.phase is Phase.OUTGOING
            call.rang_in = True
            call.rang_at = call.rang_at or at
        elif phase is Phase.ANSWERED:
            if call.answered_at is None:
                call.answered_at = at
        elif phase in (Phase.OUTGOING, Phase.ELSEWHERE):
            call.disturbed = True
        elif phase is Phase.UNKNOWN:
            # The effect of an unknown state after the answer is not known.
            call.disturbed |= call.answered_at is not None
        if phase is not Phase.UNKNOWN:
            call.phase = phase


def _ended_at_once(call: _FollowedCall, at: _Moment) -> bool:
    answered = call.answered_at
    if not call.rang_in or answered is None or call.disturbed:
        return False
    heard = at.heard - answered.heard
    if answered.pbx is None or at.pbx is None or _stands_still(call, at):
        return 0 <= heard <= AT_ONCE_SECONDS
    return 0 <= at.pbx - answered.pbx <= AT_ONCE_SECONDS and heard <= AT_ONCE_SECONDS + MAX_DELIVERY_SECONDS


def _stands_still(call: _FollowedCall, at: _Moment) -> bool:
    """Return whether all events have the same PBX time, which is then the call's and not the events'."""
    times = {one.pbx for one in (call.rang_at, call.answered_at, at) if one is not None}
    return len(times) == 1


def seconds_of(timestamp: Any) -> float | None:
    """Return the PBX's time in seconds since the epoch, or None without one. The type on the wire is not known."""
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float | str):
        return None
    try:
        value = float(timestamp)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(value) or not 0 < value < MILLISECONDS_BELOW:
        return None
    return value if value < SECONDS_BELOW else value / 1000
