"""Which entries of the PBX's call list are announced after an interruption."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot import missed
from wire.phone import CallState, Direction, HistoryEntry, PhoneCall

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HANDLED = NOW - timedelta(hours=1)


def entry(minutes: float, **changes: Any) -> HistoryEntry:
    """An entry that began so many minutes before now."""
    values = {
        "entry_id": f"e{minutes}",
        "direction": Direction.IN,
        "is_answered": False,
        "number": "0721151042",
        "name": "",
        "began_at": NOW - timedelta(minutes=minutes),
        "seconds": 20,
    }
    return HistoryEntry.model_validate(values | changes)


def announced(
    *entries: HistoryEntry, followed: tuple[PhoneCall, ...] = (), handled: datetime = HANDLED
) -> list[str]:
    found = missed.list_unannounced(entries, handled_until=handled, at=NOW, followed=followed)
    return [one.entry_id for one in found]


def test_what_came_since_is_announced_oldest_first() -> None:
    assert announced(entry(5), entry(50), entry(61)) == ["e50", "e5"]


@pytest.mark.parametrize("changes", [{"is_answered": True}, {"direction": Direction.OUT}, {"group": "Sales"}])
def test_answered_outgoing_and_group_calls_are_not(changes: Any) -> None:
    assert announced(entry(5, **changes)) == []


def test_a_call_that_the_line_still_shows_is_left_to_the_line() -> None:
    call = PhoneCall(
        call_id="one",
        state=CallState.RINGING,
        direction=Direction.IN,
        number="0721151042",
        name="",
        began_at=NOW - timedelta(minutes=5, seconds=30),
    )
    assert announced(entry(5), followed=(call,)) == []
    assert announced(entry(5, number="0721151043"), followed=(call,)) == ["e5"]
    assert announced(entry(7), followed=(call,)) == ["e7"]


def test_yesterdays_calls_are_not_announced_after_a_long_interruption() -> None:
    assert announced(entry(13 * 60), entry(11 * 60), handled=NOW - timedelta(days=3)) == ["e660"]
