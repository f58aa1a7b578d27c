"""The symptom in call events: a call that the user answered, and that our side ended at once. Pure; tested by table.

UCI tells states, not reasons. Which names there are is only partly known (shared facts, "UCI"): INCOMING, CONNECTED,
PARKED and the newer system's RINGING, RING_BACK, CONSULT, CONFERENCE_…, VOICEMAIL_… were seen in real code or in its
lists. How a call's end is called is assumed, and that a system may tell who ended it as well; an end that does not
say who counts as ours. So one call proves nothing: the service waits for a second one, or for other evidence.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

AT_ONCE_SECONDS: Final = 2.0
"""Teams declines within about two seconds of the answer (design, section 8)."""
MAX_CALLS: Final = 50
"""Calls of one user that are followed at the same time; the oldest is forgotten first."""


class Phase(StrEnum):
    """What a state means here."""

    RINGING_IN = "ringing-in"
    OUTGOING = "outgoing"
    ANSWERED = "answered"
    ELSEWHERE = "elsewhere"
    """Parked, transferred, in a conference, at the voicemail: whatever ends this, it is not the symptom."""
    ENDED = "ended"
    ENDED_BY_OTHER = "ended-by-other"
    UNKNOWN = "unknown"


PHASES: Final[dict[str, Phase]] = {
    # Seen in real code.
    "INCOMING": Phase.RINGING_IN,
    "CONNECTED": Phase.ANSWERED,
    "PARKED": Phase.ELSEWHERE,
    # The newer system's own list.
    "PROVISIONAL": Phase.UNKNOWN,
    "RINGING": Phase.RINGING_IN,
    "RING_BACK": Phase.OUTGOING,
    "CONSULT": Phase.ELSEWHERE,
    "CONFERENCE_ACTIVE": Phase.ELSEWHERE,
    "CONFERENCE_INACTIVE": Phase.ELSEWHERE,
    "VOICEMAIL_LINKED": Phase.ELSEWHERE,
    "VOICEMAIL_MAIN": Phase.ELSEWHERE,
    "CALL_BACK_ON_BUSY": Phase.ELSEWHERE,
    # Assumed.
    "OUTGOING": Phase.OUTGOING,
    "HANGUP": Phase.ENDED,
    "HUNGUP": Phase.ENDED,
    "DISCONNECTED": Phase.ENDED,
    "HANGUP_BY_CALLER": Phase.ENDED_BY_OTHER,
    "TRANSFERRED": Phase.ELSEWHERE,
    "FORWARDED": Phase.ELSEWHERE,
}


@dataclass(slots=True)
class _Call:
    phase: Phase = Phase.UNKNOWN
    rang_in: bool = False
    answered_at: float | None = None
    spoilt: bool = False
    """Something else happened to it on the way."""


class Symptom:
    """Follows the calls of one user."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Call] = OrderedDict()

    def state(self, event: dict[str, Any], heard_at: float) -> bool:
        """Takes a `receiveCallState` struct; True when this event ends a call at once. Times in seconds."""
        call_id, name = event.get("id"), event.get("state")
        if not isinstance(call_id, str) or not call_id or not isinstance(name, str):
            return False
        phase, at = PHASES.get(name.upper(), Phase.UNKNOWN), _seconds(event.get("timestamp"), heard_at)
        call = self._calls.setdefault(call_id, _Call())
        if phase in (Phase.ENDED, Phase.ENDED_BY_OTHER):
            del self._calls[call_id]
            return phase is Phase.ENDED and _ended_at_once(call, at)
        self._take(call, phase, at)
        while len(self._calls) > MAX_CALLS:
            self._calls.popitem(last=False)
        return False

    def new_id(self, old: str, new: str) -> None:
        """`callChangesIdEvent`: the same call goes on under another id."""
        call = self._calls.pop(old, None)
        if call is not None:
            known = self._calls.get(new)
            self._calls[new] = call
            if known is not None:  # its first event came before the new id was told
                call.answered_at = call.answered_at or known.answered_at
                call.spoilt |= known.spoilt
                call.rang_in |= known.rang_in

    @staticmethod
    def _take(call: _Call, phase: Phase, at: float) -> None:
        if phase is Phase.RINGING_IN:
            # A second ring after the answer is a call that comes back, for instance from a transfer.
            call.spoilt |= call.answered_at is not None or call.phase is Phase.OUTGOING
            call.rang_in = True
        elif phase is Phase.ANSWERED:
            if call.answered_at is None:
                call.answered_at = at
        elif phase in (Phase.OUTGOING, Phase.ELSEWHERE):
            call.spoilt = True
        if phase is not Phase.UNKNOWN:
            call.phase = phase


def _ended_at_once(call: _Call, at: float) -> bool:
    if not call.rang_in or call.answered_at is None or call.spoilt:
        return False
    return 0 <= at - call.answered_at <= AT_ONCE_SECONDS


def _seconds(timestamp: Any, heard_at: float) -> float:
    """The PBX's own time in milliseconds, where it gives one."""
    try:
        return int(timestamp) / 1000
    except (TypeError, ValueError):
        return heard_at
