"""Missed calls of a time in which nobody followed the line: a restart of the service, the connector or the PBX.

They are read from the PBX's call list when the line is back. The database has only a moment for each person: missed calls
that began before it have been handled. It is advanced before a message is sent, so a call is announced at most once, also
with several replicas; a crash between the two loses that one message and never repeats it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from wire.phone import CallEnd, CallState, Direction, HistoryEntry, PhoneCall

MAX_READ: Final = 20
"""Entries of the call list that are read."""
MAX_CARDS: Final = 3
"""Most cards after one interruption. More calls are summarised in one card."""
MAX_AGE: Final = timedelta(hours=12)
"""Older missed calls are not announced."""
SAME_CALL: Final = timedelta(seconds=60)
"""Largest difference between a call's begin on the line and in the call list; the two may come from different clocks."""


def list_unannounced(
    entries: Sequence[HistoryEntry], *, handled_until: datetime, at: datetime, followed: Collection[PhoneCall]
) -> list[HistoryEntry]:
    """Return the missed calls to announce, oldest first.

    Calls of a group are left out, because a colleague may have taken them. `followed`: the present calls of the line,
    which are announced when they end.
    """
    since = max(handled_until, at - MAX_AGE)
    found = [
        entry
        for entry in entries
        if entry.began_at > since
        and entry.direction is Direction.IN
        and not entry.is_answered
        and not entry.group
        and not any(_is_same(entry, call) for call in followed)
    ]
    return sorted(found, key=lambda entry: entry.began_at)


def to_missed_call(entry: HistoryEntry) -> PhoneCall:
    return PhoneCall(
        call_id=entry.entry_id,
        state=CallState.ENDED,
        direction=Direction.IN,
        number=entry.number,
        name=entry.name,
        began_at=entry.began_at,
        ended_at=entry.began_at + timedelta(seconds=entry.seconds),
        end=CallEnd.MISSED,
    )


def _is_same(entry: HistoryEntry, call: PhoneCall) -> bool:
    return entry.number == call.number and abs(entry.began_at - call.began_at) < SAME_CALL
