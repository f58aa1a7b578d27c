"""Which calls are the symptom, and which are not: traces of call events as UCI sends them."""

from collections.abc import Callable
from typing import Any

import pytest

from connector.symptom import MAX_CALLS, Symptom

Step = tuple[float, str] | tuple[float, str, str] | tuple[str, str, str]
"""Seconds and state, or those and another call's id, or `("id", old, new)`."""

TRACES: list[tuple[str, list[Step], int]] = [
    ("answered and ended by our side at once", [(0, "INCOMING"), (3, "CONNECTED"), (3.4, "HANGUP")], 1),
    ("the newer system's names", [(0, "RINGING"), (3, "CONNECTED"), (4.9, "HANGUP")], 1),
    ("names in small letters", [(0, "incoming"), (3, "connected"), (3.1, "hangup")], 1),
    ("ended in the very moment of the answer", [(0, "INCOMING"), (3, "CONNECTED"), (3, "HANGUP")], 1),
    ("exactly two seconds", [(0, "INCOMING"), (3, "CONNECTED"), (5, "HANGUP")], 1),
    ("a little more than two seconds", [(0, "INCOMING"), (3, "CONNECTED"), (5.1, "HANGUP")], 0),
    ("a talk", [(0, "INCOMING"), (3, "CONNECTED"), (300, "HANGUP")], 0),
    ("the caller gave up before the answer", [(0, "INCOMING"), (20, "HANGUP")], 0),
    (
        "the caller hung up right after the answer, and the PBX says so",
        [(0, "INCOMING"), (3, "CONNECTED"), (3.5, "HANGUP_BY_CALLER")],
        0,
    ),
    ("rejected without an answer", [(0, "INCOMING"), (1, "HANGUP")], 0),
    (
        "taken by the voicemail",
        [(0, "INCOMING"), (20, "VOICEMAIL_LINKED"), (20.5, "CONNECTED"), (21, "HANGUP")],
        0,
    ),
    ("asking one's own voicemail", [(0, "VOICEMAIL_MAIN"), (1, "CONNECTED"), (1.5, "HANGUP")], 0),
    ("a group call that another answered", [(0, "INCOMING"), (8, "HANGUP")], 0),
    ("an outgoing call that was busy", [(0, "RING_BACK"), (1, "CONNECTED"), (1.5, "HANGUP")], 0),
    ("an outgoing call of the older kind", [(0, "OUTGOING"), (1, "CONNECTED"), (1.5, "HANGUP")], 0),
    ("answered and parked at once", [(0, "INCOMING"), (3, "CONNECTED"), (4, "PARKED"), (4.5, "HANGUP")], 0),
    (
        "answered and transferred at once",
        [(0, "INCOMING"), (3, "CONNECTED"), (4, "TRANSFERRED"), (4.2, "HANGUP")],
        0,
    ),
    (
        "answered to ask somebody else",
        [(0, "INCOMING"), (3, "CONNECTED"), (3.5, "CONSULT"), (4, "HANGUP")],
        0,
    ),
    (
        "answered into a conference",
        [(0, "INCOMING"), (3, "CONFERENCE_ACTIVE"), (3.2, "CONNECTED"), (4, "HANGUP")],
        0,
    ),
    (
        "forwarded before it was answered",
        [(0, "INCOMING"), (1, "FORWARDED"), (2, "CONNECTED"), (3, "HANGUP")],
        0,
    ),
    ("a transfer that comes back", [(0, "INCOMING"), (3, "CONNECTED"), (3.5, "INCOMING"), (4, "HANGUP")], 0),
    ("ringing told twice", [(0, "INCOMING"), (1, "INCOMING"), (3, "CONNECTED"), (3.5, "HANGUP")], 1),
    (
        "the answer told twice counts from the first",
        [(0, "INCOMING"), (3, "CONNECTED"), (6, "CONNECTED"), (6.5, "HANGUP")],
        0,
    ),
    ("the end told twice is one", [(0, "INCOMING"), (3, "CONNECTED"), (3.5, "HANGUP"), (3.6, "HANGUP")], 1),
    ("the answer was never told", [(0, "INCOMING"), (3.5, "HANGUP")], 0),
    ("the ring was never told", [(3, "CONNECTED"), (3.5, "HANGUP")], 0),
    (
        "a state that nobody knows",
        [(0, "INCOMING"), (1, "SOMETHING_NEW"), (3, "CONNECTED"), (3.5, "HANGUP")],
        1,
    ),
    (
        "the call gets a new id",
        [(0, "INCOMING"), ("id", "c", "d"), (3, "CONNECTED", "d"), (3.5, "HANGUP", "d")],
        1,
    ),
    (
        "the new id is told after its first event",
        [(0, "INCOMING"), (3, "CONNECTED", "d"), ("id", "c", "d"), (3.5, "HANGUP", "d")],
        1,
    ),
    ("an id that nobody has", [("id", "x", "y"), (0, "INCOMING"), (3, "CONNECTED"), (9, "HANGUP")], 0),
    (
        "two calls, one of them at once",
        [(0, "INCOMING"), (1, "INCOMING", "d"), (3, "CONNECTED", "d"), (3.5, "HANGUP", "d"), (9, "HANGUP")],
        1,
    ),
    (
        "again and again",
        [
            (0, "INCOMING"),
            (3, "CONNECTED"),
            (3.5, "HANGUP"),
            (60, "INCOMING"),
            (63, "CONNECTED"),
            (64, "HANGUP"),
        ],
        2,
    ),
    (
        "click to dial, ended while it rings at the other side",
        [(0, "RINGING"), (0.5, "PROCEEDING"), (1, "RINGBACK"), (3, "CONNECTED"), (4, "HANGUP")],
        0,
    ),
    ("an outgoing call", [(0, "PROCEEDING"), (1, "RINGBACK"), (2, "CONNECTED"), (3, "HANGUP")], 0),
    ("the first event has no state", [(0, ""), (0, "INCOMING"), (3, "CONNECTED"), (3.5, "HANGUP")], 1),
    (
        "a conference is asked",
        [(0, "INCOMING"), (3, "CONNECTED"), (3.2, "CONFERENCE_CONSULT"), (4, "HANGUP")],
        0,
    ),
    (
        "a state after the answer that nobody knows",
        [(0, "INCOMING"), (3, "CONNECTED"), (3.2, "SOMETHING_NEW"), (3.5, "HANGUP")],
        0,
    ),
    ("a clock that jumps back", [(10, "INCOMING"), (13, "CONNECTED"), (3, "HANGUP")], 0),
]


@pytest.mark.parametrize("timed", [True, False], ids=["PBX's time", "time of arrival"])
@pytest.mark.parametrize(
    ("steps", "found"), [trace[1:] for trace in TRACES], ids=[trace[0] for trace in TRACES]
)
def test_a_trace(steps: list[Step], found: int, timed: bool) -> None:
    symptom, count = Symptom(), 0
    for first, state, *more in steps:
        if isinstance(first, str):
            symptom.new_id(state, more[0])
            continue
        event = {"id": more[0] if more else "c", "state": state}
        if timed:
            event["timestamp"] = str(int(1_700_000_000_000 + first * 1000))
        count += symptom.state(event, heard_at=first)
    assert count == found


EPOCH = 1_700_000_000
TALK = (("INCOMING", 0), ("CONNECTED", 5), ("HANGUP", 600))
AT_ONCE = (("INCOMING", 0), ("CONNECTED", 5), ("HANGUP", 6))


@pytest.mark.parametrize(
    ("trace", "timestamp", "found"),
    [
        (TALK, lambda at: str(EPOCH + at), False),  # seconds
        (AT_ONCE, lambda at: str(EPOCH + at), True),
        (TALK, lambda _at: str(EPOCH * 1000), False),  # the call's beginning in every event
        (AT_ONCE, lambda _at: str(EPOCH * 1000), True),
        (TALK, lambda at: str((EPOCH + min(at, 5)) * 1000), False),  # the end carries the time of the answer
        (TALK, lambda at: "" if at == 600 else str((EPOCH + at) * 1000), False),  # the end has no time
        (TALK, lambda at: "" if at == 600 else str((EPOCH + at + 599) * 1000), False),  # and the PBX is ahead
        (AT_ONCE, lambda at: "" if at == 6 else str((EPOCH + at + 9) * 1000), True),
        (AT_ONCE, lambda at: (EPOCH + at) * 1000.5, True),
        (AT_ONCE, lambda _at: float("nan"), True),
        (TALK, lambda _at: 10**400, False),
        (TALK, lambda _at: True, False),
        (AT_ONCE, lambda _at: "20261127T03:18:22", True),
        (AT_ONCE, lambda _at: -5, True),
    ],
)
def test_times_of_every_kind(
    trace: tuple[tuple[str, int], ...], timestamp: Callable[[int], Any], found: bool
) -> None:
    symptom = Symptom()
    seen = [
        symptom.state({"id": "c", "state": state, "timestamp": timestamp(at)}, heard_at=float(at))
        for state, at in trace
    ]
    assert seen == [False, False, found]


@pytest.mark.parametrize(
    "event", [{}, {"id": 1}, {"id": "", "state": "INCOMING"}, {"id": "c"}, {"id": "c", "state": 7}]
)
def test_a_malformed_event_is_ignored(event: dict) -> None:
    assert not Symptom().state(event, 0.0)


def test_calls_that_never_end_do_not_pile_up() -> None:
    symptom = Symptom()
    for number in range(10 * MAX_CALLS):
        symptom.state({"id": f"c{number}", "state": "INCOMING"}, number)
    assert len(symptom._calls) == MAX_CALLS
