"""How a line shows its calls: traces of UCI events, including lost and faulty ones. There is one trace for each row
of docs/facts/starface.md, "Calls and their states".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from connector.line.call_model import (
    ENDED_SECONDS,
    MAX_KNOWN,
    PLACED_SECONDS,
    STATES,
    TOMBSTONE_SECONDS,
    CallModel,
)
from wire.phone import MAX_CALLS, CallEnd, CallState, Direction, PhoneCall

IN, OUT, UNKNOWN = Direction.IN, Direction.OUT, Direction.UNKNOWN
START = 1_800_000_000.0
OTHER, OTHERS_NAME, OWN = "00493023125901", "Jürgen Lindner", "00493023125102"

Step = Callable[[CallModel, float], object]


def tell(state: str, call: str = "1", *, caller: str = OTHER, called: str = OWN, **more: Any) -> Step:
    """An event of a call."""
    names = {OTHER: OTHERS_NAME, OWN: "Anna Berg"}
    struct = {
        "id": call,
        "state": state,
        "timestamp": "",
        "groupID": "",
        "callerNumber": caller,
        "callerName": names.get(caller, ""),
        "calledNumber": called,
        "calledName": names.get(called, ""),
    } | more
    return lambda model, at: model.apply_event(struct, at)


def out(state: str, call: str = "1", **more: Any) -> Step:
    return tell(state, call, **({"caller": OWN, "called": OTHER} | more))


def bare(call: str = "1") -> Step:
    """A first event without state, numbers and names (IAH, ESPO, SPICE)."""
    return tell("", call, caller="", called="")


def place(call: str = "1", number: str = OTHER) -> Step:
    return lambda model, at: model.add_placed(call, number, at)


def rename(old: str, new: str) -> Step:
    return lambda model, at: model.change_id(old, new, at)


def hang_up(call: str = "1") -> Step:
    return lambda model, _at: model.mark_hung_up(call)


def look(*found: Step | str, asked: float = 0.0) -> Step:
    """What the PBX answers to a look: calls by their ids, or with the struct that an event would have."""
    ids = [one if isinstance(one, str) else _struct(one)["id"] for one in found]
    structs = {_struct(one)["id"]: _struct(one) for one in found if not isinstance(one, str)}
    return lambda model, at: model.apply_poll(ids, structs, at - asked, at)


def _struct(step: Step) -> dict[str, Any]:
    class Reader:
        def apply_event(self, struct: dict[str, Any], _at: float) -> dict[str, Any]:
            return struct

    found: Any = step(Reader(), 0.0)  # type: ignore[arg-type]
    return dict(found)


@dataclass(frozen=True)
class Shown:
    state: CallState
    direction: Direction = IN
    end: CallEnd | None = None
    number: str = OTHER
    connected: bool = False
    group: str = ""
    ours: bool = False


def over(end: CallEnd, direction: Direction = IN, **more: Any) -> Shown:
    return Shown(CallState.ENDED, direction, end, **more)


RING, TALK, HELD = CallState.RINGING, CallState.CONNECTED, CallState.HELD
DIALLING, THERE = CallState.DIALLING, CallState.RINGING_THERE

TRACES: list[tuple[str, list[tuple[float, Step]], list[Shown]]] = [
    # Incoming, answered
    ("rings", [(0, tell("INCOMING"))], [Shown(RING)]),
    ("rings, told twice", [(0, tell("INCOMING")), (1, tell("RINGING"))], [Shown(RING)]),
    ("a first event without state and number", [(0, bare())], [Shown(CallState.UNKNOWN, UNKNOWN, number="")]),
    ("and the second brings them", [(0, bare()), (0.1, tell("RINGING"))], [Shown(RING)]),
    (
        "answered",
        [(0, bare()), (0, tell("INCOMING")), (1, tell("RINGING")), (5, tell("CONNECTED"))],
        [Shown(TALK, connected=True)],
    ),
    (
        "answered and over",
        [(0, tell("INCOMING")), (5, tell("CONNECTED")), (65, tell("HANGUP"))],
        [over(CallEnd.DONE, connected=True)],
    ),
    (
        "answered without INCOMING",
        [(0, tell("RINGING")), (5, tell("CONNECTED")), (65, tell("HANGUP"))],
        [over(CallEnd.DONE, connected=True)],
    ),
    ("small letters and blanks", [(0, tell(" incoming ")), (5, tell("connected"))], [Shown(TALK, connected=True)]),
    (
        "answered and ended at once: the conflict of two programs",
        [(0, tell("INCOMING")), (5, tell("CONNECTED")), (5.5, tell("HANGUP"))],
        [over(CallEnd.AT_ONCE, connected=True)],
    ),
    # Incoming, missed
    ("missed", [(0, tell("INCOMING")), (1, tell("RINGING")), (20, tell("HANGUP"))], [over(CallEnd.MISSED)]),
    ("missed, from a withheld number", [(0, tell("RINGING", caller="")), (9, tell("HANGUP", caller=""))],
     [over(CallEnd.MISSED, number="")]),
    ("rejected from here", [(0, tell("RINGING")), (3, hang_up()), (3, tell("HANGUP"))], [over(CallEnd.DONE)]),
    # Outgoing
    ("outgoing, v22", [(0, out("PROCEEDING"))], [Shown(DIALLING, OUT)]),
    ("outgoing, v30", [(0, out("OUTGOING"))], [Shown(DIALLING, OUT)]),
    ("it rings there", [(0, out("PROCEEDING")), (2, out("RINGBACK"))], [Shown(THERE, OUT)]),
    ("it rings there, by the newer name", [(0, out("OUTGOING")), (2, out("RING_BACK"))], [Shown(THERE, OUT)]),
    (
        "outgoing, answered, over",
        [(0, out("PROCEEDING")), (2, out("RINGBACK")), (9, out("CONNECTED")), (99, out("HANGUP"))],
        [over(CallEnd.DONE, OUT, connected=True)],
    ),
    ("busy", [(0, out("PROCEEDING")), (2, out("HANGUP"))], [over(CallEnd.NOT_REACHED, OUT)]),
    ("no answer", [(0, out("PROCEEDING")), (2, out("RINGBACK")), (40, out("HANGUP"))],
     [over(CallEnd.NOT_REACHED, OUT)]),
    ("outgoing, ended at once, is not the conflict",
     [(0, out("PROCEEDING")), (5, out("CONNECTED")), (5.5, out("HANGUP"))],
     [over(CallEnd.DONE, OUT, connected=True)]),
    # Placed from here
    ("asked for, and no event says so", [(0, place())], [Shown(DIALLING, OUT, ours=True)]),
    ("own phone first: RINGING", [(0, place()), (1, out("RINGING"))], [Shown(DIALLING, OUT, ours=True)]),
    ("own phone first: INCOMING, with a bare event", [(0, place()), (1, bare()), (1, out("INCOMING"))],
     [Shown(DIALLING, OUT, ours=True)]),
    ("own phone first: the event comes before the answer to placeCall", [(0, tell("RINGING", caller=OWN, called=OTHER)), (0.1, place())],
     [Shown(DIALLING, OUT, ours=True)]),
    ("picked up: the PBX dials", [(0, place()), (1, out("RINGING")), (4, out("PROCEEDING"))],
     [Shown(DIALLING, OUT, ours=True)]),
    ("picked up, told as CONNECTED of the own leg, then the PBX dials",
     [(0, place()), (1, out("RINGING")), (4, out("CONNECTED")), (4, out("PROCEEDING")), (5, out("RINGBACK"))],
     [Shown(THERE, OUT, ours=True)]),
    ("placed, answered, over",
     [(0, place()), (1, out("RINGING")), (4, out("PROCEEDING")), (5, out("RINGBACK")), (9, out("CONNECTED")), (99, out("HANGUP"))],
     [over(CallEnd.DONE, OUT, connected=True, ours=True)]),
    ("the own phone was not picked up", [(0, place()), (1, out("RINGING")), (30, out("HANGUP"))],
     [over(CallEnd.NOT_REACHED, OUT, ours=True)]),
    ("the own phone was not picked up, and nothing says so: a look misses it",
     [(0, place()), (30, look())], [over(CallEnd.NOT_REACHED, OUT, ours=True)]),
    ("just placed, not yet in the PBX's list", [(0, place()), (PLACED_SECONDS - 1, look())],
     [Shown(DIALLING, OUT, ours=True)]),
    ("a look tells REQUESTED", [(0, place()), (9, look(out("REQUESTED")))], [Shown(DIALLING, OUT, ours=True)]),
    ("given up from here", [(0, place()), (3, hang_up()), (3, out("HANGUP"))], [over(CallEnd.DONE, OUT, ours=True)]),
    # Parked, consulted, transferred
    ("parked", [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("PARKED"))], [Shown(HELD, connected=True)]),
    ("parked and taken up",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("PARKED")), (20, tell("CONNECTED"))],
     [Shown(TALK, connected=True)]),
    ("parked, and the caller gives up",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("PARKED")), (50, tell("HANGUP"))],
     [over(CallEnd.DONE, connected=True)]),
    ("a consultation beside it: PARKED, and CONSULT on a second id",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("PARKED")), (9, out("CONSULT", "2", called="1003"))],
     [Shown(HELD, connected=True), Shown(TALK, OUT, number="1003", connected=True)]),
    ("CONSULT on the call itself", [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("CONSULT"))],
     [Shown(HELD, connected=True)]),
    ("transferred: both end",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("PARKED")), (9, out("CONSULT", "2", called="1003")),
      (20, tell("HANGUP")), (20, out("HANGUP", "2", called="1003"))],
     [over(CallEnd.DONE, connected=True), over(CallEnd.DONE, OUT, number="1003", connected=True)]),
    ("transferred to here: CONNECTED without RINGING", [(0, tell("CONNECTED"))],
     [Shown(TALK, UNKNOWN, connected=True)]),
    ("transferred to here, over", [(0, tell("CONNECTED")), (60, tell("HANGUP"))],
     [over(CallEnd.DONE, UNKNOWN, connected=True)]),
    ("a transfer that comes back rings again and stays incoming",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("RINGING"))], [Shown(RING, connected=True)]),
    ("the other side changes: the old name is not theirs",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("CONNECTED", caller="1003"))],
     [Shown(TALK, number="1003", connected=True)]),
    ("into a conference", [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("CONFERENCE_ACTIVE"))],
     [Shown(CallState.CONFERENCE, connected=True)]),
    ("a conference that rests", [(0, tell("CONFERENCE_ACTIVE")), (3, tell("CONFERENCE_INACTIVE"))],
     [Shown(HELD, UNKNOWN, connected=True)]),
    # Groups
    ("a group's call", [(0, tell("RINGING", groupID="7"))], [Shown(RING, group="7")]),
    ("a group's call, its id as a number", [(0, tell("RINGING", groupID=7))], [Shown(RING, group="7")]),
    ("no group: 0", [(0, tell("RINGING", groupID=0))], [Shown(RING)]),
    ("a colleague took the group's call", [(0, tell("RINGING", groupID="7")), (8, tell("HANGUP", groupID="7"))],
     [over(CallEnd.ELSEWHERE, group="7")]),
    ("the group's id came with the first event alone",
     [(0, tell("INCOMING", groupID="7")), (1, tell("RINGING")), (8, tell("HANGUP"))],
     [over(CallEnd.ELSEWHERE, group="7")]),
    ("a group's call taken here", [(0, tell("RINGING", groupID="7")), (3, tell("CONNECTED")), (60, tell("HANGUP"))],
     [over(CallEnd.DONE, group="7", connected=True)]),
    # Voicemail and redirects
    ("the voicemail takes it", [(0, tell("RINGING")), (20, tell("VOICEMAIL_LINKED"))], [Shown(CallState.VOICEMAIL)]),
    ("the voicemail took it", [(0, tell("RINGING")), (20, tell("VOICEMAIL_LINKED")), (50, tell("HANGUP"))],
     [over(CallEnd.VOICEMAIL)]),
    ("the voicemail takes it at once", [(0, tell("VOICEMAIL_LINKED")), (50, tell("HANGUP"))],
     [over(CallEnd.VOICEMAIL, UNKNOWN)]),
    ("listening to the own voicemail", [(0, out("VOICEMAIL_MAIN", called="*91001"))],
     [Shown(TALK, OUT, number="*91001", connected=True)]),
    ("redirected when nobody answered: HANGUP with a forwardType",
     [(0, tell("RINGING")), (20, tell("HANGUP", forwardType="CFNR"))], [over(CallEnd.ELSEWHERE)]),
    ("picked up by a colleague", [(0, tell("RINGING")), (5, tell("HANGUP", forwardType="PICKUP"))],
     [over(CallEnd.ELSEWHERE)]),
    ("forwardType NONE", [(0, tell("RINGING")), (20, tell("HANGUP", forwardType="NONE"))], [over(CallEnd.MISSED)]),
    ("redirected always: nothing is told but the end", [(0, tell("HANGUP"))], []),
    # Names that come later
    ("a name that comes with a later event", [(0, tell("RINGING", callerName="")), (1, tell("RINGING"))], [Shown(RING)]),
    ("what was known stays when a later event leaves it out",
     [(0, tell("RINGING")), (3, tell("CONNECTED", caller="", called=""))], [Shown(TALK, connected=True)]),
    # Renamed
    ("renamed while it rings, answered under the new id",
     [(0, tell("RINGING")), (2, rename("1", "2")), (3, tell("CONNECTED", "2"))], [Shown(TALK, connected=True)]),
    ("the new id's first event comes before the renaming",
     [(0, tell("RINGING")), (2, tell("CONNECTED", "2")), (2, rename("1", "2"))], [Shown(TALK, connected=True)]),
    ("the end under the new id comes before the renaming",
     [(0, tell("RINGING")), (2, tell("RINGING", "2")), (9, tell("HANGUP", "2")), (9, rename("1", "2"))],
     [over(CallEnd.MISSED)]),
    ("renamed twice", [(0, tell("RINGING")), (1, rename("1", "2")), (2, rename("2", "3")), (9, tell("HANGUP", "3"))],
     [over(CallEnd.MISSED)]),
    ("a call of ours that the PBX renames", [(0, place()), (1, rename("1", "2")), (4, out("PROCEEDING", "2"))],
     [Shown(DIALLING, OUT, ours=True)]),
    ("a renaming of a call that is not known", [(0, rename("8", "9"))], []),
    # Lost events and looks
    ("the end was lost: a look misses the call",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (60, look())], [over(CallEnd.DONE, connected=True)]),
    ("answer and end were lost: not known whether it was missed", [(0, tell("RINGING")), (60, look())],
     [over(CallEnd.UNKNOWN)]),
    ("the answer was lost: a look tells it", [(0, tell("RINGING")), (15, look(tell("CONNECTED")))],
     [Shown(TALK, connected=True)]),
    ("the beginning was lost: a look finds the call", [(0, look(tell("CONNECTED")))],
     [Shown(TALK, UNKNOWN, connected=True)]),
    ("a look that was begun before the last event is older than it",
     [(0, tell("RINGING")), (5, tell("CONNECTED")), (5.5, look(tell("RINGING"), asked=1))], [Shown(TALK, connected=True)]),
    ("a call that began while the PBX was asked is not ended by the answer",
     [(0, tell("RINGING")), (0.5, look(asked=1))], [Shown(RING)]),
    ("a look missed it, and it goes on", [(0, tell("RINGING")), (5, look()), (6, tell("CONNECTED"))],
     [Shown(TALK, connected=True)]),
    ("a look missed it, and the next finds it", [(0, tell("RINGING")), (5, look()), (9, look(tell("RINGING")))],
     [Shown(RING)]),
    ("a late event does not bring an ended call back",
     [(0, tell("RINGING")), (9, tell("HANGUP")), (9.1, tell("RINGING"))], [over(CallEnd.MISSED)]),
    ("nor does a late look", [(0, tell("RINGING")), (9, tell("HANGUP")), (9.1, look(tell("RINGING")))],
     [over(CallEnd.MISSED)]),
    ("told twice that it is over", [(0, tell("RINGING")), (9, tell("HANGUP")), (9.1, tell("HANGUP"))],
     [over(CallEnd.MISSED)]),
    ("the list has the id, and the PBX knows nothing of it any more",
     [(0, tell("RINGING")), (5, tell("CONNECTED")), (60, lambda model, at: model.apply_poll(["1"], {"1": {}}, at, at))],
     [over(CallEnd.DONE, connected=True)]),
    ("the struct could not be had: the call goes on", [(0, tell("RINGING")), (15, look("1"))], [Shown(RING)]),
    # The PBX starts again
    ("the PBX was restarted in the call: a look finds none",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (90, look())], [over(CallEnd.DONE, connected=True)]),
    ("the PBX was restarted, and the call goes on",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (90, look(tell("CONNECTED")))], [Shown(TALK, connected=True)]),
    ("the PBX was restarted, and the call has another id",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (90, look(tell("CONNECTED", "77")))],
     [over(CallEnd.DONE, connected=True), Shown(TALK, UNKNOWN, connected=True)]),
    # Several calls
    ("a second call rings while the first goes on",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("RINGING", "2", caller="1003"))],
     [Shown(TALK, connected=True), Shown(RING, number="1003")]),
    ("the second is taken, the first held",
     [(0, tell("RINGING")), (3, tell("CONNECTED")), (9, tell("RINGING", "2", caller="1003")),
      (11, tell("PARKED")), (11, tell("CONNECTED", "2", caller="1003"))],
     [Shown(HELD, connected=True), Shown(TALK, number="1003", connected=True)]),
    ("a call of ours while another rings", [(0, tell("RINGING")), (1, place("2", "1003"))],
     [Shown(RING), Shown(DIALLING, OUT, number="1003", ours=True)]),
    # What nobody foresaw
    ("a state that nobody knows changes nothing", [(0, tell("RINGING")), (1, tell("ATXFER"))], [Shown(RING)]),
    ("a first state that nobody knows", [(0, tell("LINKED"))], [Shown(CallState.UNKNOWN, UNKNOWN)]),
    ("PROVISIONAL says nothing", [(0, tell("PROVISIONAL")), (1, tell("RINGING"))], [Shown(RING)]),
    ("an end of what was unknown", [(0, tell("LINKED")), (5, tell("HANGUP"))], [over(CallEnd.UNKNOWN, UNKNOWN)]),
    ("no id", [(0, tell("RINGING", ""))], []),
    ("an id that is none", [(0, tell("RINGING", "a b"))], []),
    ("an id that is a number", [(0, tell("RINGING", 17))], [Shown(RING)]),  # type: ignore[arg-type]
    ("a callback on busy", [(0, out("CCBS"))], [Shown(DIALLING, OUT)]),
    ("logging in to a group by a code", [(0, out("LOGIN_LOGOUT", called="*41"))],
     [Shown(CallState.UNKNOWN, OUT, number="*41")]),
]  # fmt: skip


def played(steps: list[tuple[float, Step]]) -> tuple[CallModel, float]:
    model, at = CallModel(), START
    for seconds, step in steps:
        at = START + seconds
        step(model, at)
    return model, at


def shown(call: PhoneCall) -> Shown:
    return Shown(
        call.state,
        call.direction,
        call.end,
        call.number,
        call.connected_at is not None,
        call.group,
        call.is_ours,
    )


@pytest.mark.parametrize(
    ("steps", "wanted"), [(steps, wanted) for _, steps, wanted in TRACES], ids=[name for name, *_ in TRACES]
)
def test_what_is_shown_of_a_trace(steps: list[tuple[float, Step]], wanted: list[Shown]) -> None:
    model, at = played(steps)
    calls = model.calls(at)
    assert [shown(call) for call in calls] == wanted
    for call in calls:
        assert call.name == (OTHERS_NAME if call.number == OTHER and not call.is_ours else call.name)
        assert (call.ended_at is None) == (call.end is None)


def test_there_are_enough_traces_and_every_known_state_is_in_one() -> None:
    assert len(TRACES) >= 40
    told: set[str] = set()

    class Listener(CallModel):
        def apply_event(self, struct: Any, at: float) -> bool:
            told.add(str(struct["state"]).strip().upper())
            return super().apply_event(struct, at)

        def apply_poll(self, ids: Any, structs: Any, asked: float, at: float) -> bool:
            told.update(str(one["state"]) for one in structs.values() if one)
            return super().apply_poll(ids, structs, asked, at)

    for _, steps, _ in TRACES:
        model = Listener()
        for seconds, step in steps:
            step(model, START + seconds)
    alike = {"CALL_BACK_ON_BUSY", "MUSIC_ON_HOLD_TEST", "MUSICONHOLD_TEST", "CONFERENCE_CONSULT"}
    assert set(STATES) - told <= alike


def test_a_call_between_two_of_our_users_is_a_call_of_each() -> None:
    anna, ben = CallModel(), CallModel()
    for at, state in ((0, "PROCEEDING"), (1, "RINGBACK"), (5, "CONNECTED"), (60, "HANGUP")):
        tell(state, "a", caller="1001", called="1002")(anna, START + at)
    for at, state in ((1, "INCOMING"), (1, "RINGING"), (5, "CONNECTED"), (60, "HANGUP")):
        tell(state, "b", caller="1001", called="1002")(ben, START + at)
    (hers,), (his,) = anna.calls(START + 60), ben.calls(START + 60)
    assert (hers.call_id, hers.direction, hers.number, hers.end) == ("a", OUT, "1002", CallEnd.DONE)
    assert (his.call_id, his.direction, his.number, his.end) == ("b", IN, "1001", CallEnd.DONE)


def test_a_call_keeps_the_id_under_which_it_was_first_known() -> None:
    model, at = played([(0, place("ours")), (1, rename("ours", "theirs")), (2, out("PROCEEDING", "theirs"))])
    (call,) = model.calls(at)
    assert call.call_id == "ours"
    assert (model.pbx_id("ours"), model.pbx_id("theirs"), model.pbx_id("other")) == ("theirs", "theirs", None)
    out("HANGUP", "theirs")(model, at + 1)
    assert model.pbx_id("ours") is None and model.is_known("ours") and not model.is_known("other")


def test_a_phone_that_rings_with_an_own_number_is_the_own_phone() -> None:
    """After a restart nobody knows any more that the call was ours."""
    model = CallModel()
    model.own_numbers = frozenset({OWN})
    look(out("RINGING"))(model, START)
    (call,) = model.calls(START)
    assert (call.state, call.direction, call.number) == (DIALLING, OUT, OTHER)


def test_an_ended_call_is_shown_for_some_seconds_and_known_for_longer() -> None:
    model, at = played([(0, tell("RINGING")), (9, tell("HANGUP"))])
    assert model.next_forgetting == at + ENDED_SECONDS
    assert model.calls(at + ENDED_SECONDS - 1) != []
    assert not model.forget_ended(at + ENDED_SECONDS - 1)
    assert model.forget_ended(at + ENDED_SECONDS + 1), "it is no longer shown: a change"
    assert (model.calls(at + ENDED_SECONDS + 1), model.next_forgetting) == ([], None)
    assert model.is_known("1"), "a late event does not bring it back"
    assert not model.forget_ended(at + TOMBSTONE_SECONDS + 1)
    assert not model.is_known("1")


def test_times_are_of_the_connector_and_of_the_pbx_where_the_call_is_older() -> None:
    model, at = played(
        [(0, tell("RINGING", timestamp=str(int(START * 1000) - 7_200_000))), (5, tell("CONNECTED"))]
    )
    (call,) = model.calls(at)
    assert (call.began_at.timestamp(), call.connected_at and call.connected_at.timestamp()) == (
        START,
        START + 5,
    )
    for told, since in (
        (str(int(START * 1000) - 300_000), START - 300),
        (START - 300, START - 300),
        ("", START),
        ("nonsense", START),
        (str(int(START * 1000) + 3_600_000), START),
        (str(int(START - 10 * 86_400)), START),
    ):
        model = CallModel()
        look(tell("CONNECTED", timestamp=told))(model, START)
        (call,) = model.calls(START)
        assert call.connected_at is not None and call.connected_at.timestamp() == since, told


def test_only_what_is_shown_is_a_change() -> None:
    model = CallModel()
    assert tell("RINGING")(model, START) is True
    assert tell("RINGING")(model, START + 1) is False
    assert tell("RINGING", timestamp="123")(model, START + 1) is False
    assert look(tell("RINGING"))(model, START + 2) is False
    assert tell("CONNECTED")(model, START + 3) is True
    assert look()(model, START + 9) is True
    assert look()(model, START + 10) is False


def test_what_the_pbx_tells_is_bounded() -> None:
    model = CallModel()
    for number in range(5 * MAX_KNOWN):
        tell("RINGING", f"call-{number}", callerName="x" * 5000, caller="9" * 5000)(model, START + number)
    calls = model.calls(START + 1000)
    assert len(calls) == MAX_CALLS and len(model.live) == MAX_KNOWN
    assert calls[-1].call_id == f"call-{5 * MAX_KNOWN - 1}", "the newest are shown"
    assert (len(calls[0].name), len(calls[0].number)) == (200, 100)


@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], {}, "\x00", "\ud800", "x" * 9999, b"bytes"])
@pytest.mark.parametrize(
    "member",
    [
        "id",
        "state",
        "timestamp",
        "callerNumber",
        "callerName",
        "groupID",
        "forwardType",
        "connectedTimestamp",
    ],
)
def test_any_value_in_an_event_is_used_or_ignored(member: str, value: Any) -> None:
    model = CallModel()
    model.apply_event({"id": "1", "state": "RINGING", "callerNumber": OTHER, member: value}, START)
    model.apply_poll(["1"], {"1": {"id": "1", "state": "CONNECTED", member: value}}, START + 1, START + 1)
    for call in model.calls(START):
        call.model_dump_json()
