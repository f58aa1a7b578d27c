"""What a line says while the PBX, the way to it, or this program breaks down in the middle of a call."""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector import logins, uci
from connector.errors import PhoneError
from connector.line import call_model, uci_line
from connector.logins import FILE, Use
from connector.state import ConnectorState
from tests.support.line import ANNA, BEN, CLARA, LOGINS, Site, credentials, running_site
from tests.support.world import eventually
from wire.phone import CallEnd, CallState, Dial, Direction, LineState

QUICK = 0.2


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is waited for comes sooner; in the same order."""
    monkeypatch.setattr(logins, "KEEP_ALIVE_SECONDS", QUICK)
    monkeypatch.setattr(uci_line, "POLL_SECONDS", QUICK)
    monkeypatch.setattr(uci_line, "AWAITS_PHONE_SECONDS", QUICK)
    monkeypatch.setattr(call_model, "PLACED_SECONDS", QUICK)
    monkeypatch.setattr(uci, "_delay", lambda _failures, _refusals: QUICK)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as one:
        await one.open(ANNA)
        yield one


async def talk(site: Site) -> str:
    """A call that was answered."""
    (leg,) = await site.arrive("1001")
    await site.call_that(CallState.RINGING)
    await site.act(leg["id"], "connect")
    await site.call_that(CallState.CONNECTED)
    return leg["id"]


async def test_the_pbx_is_gone_and_comes_back_with_the_call(site: Site) -> None:
    call = await talk(site)
    await site.control("PATCH", "settings", {"reachable": False})
    line = await site.until(lambda line: line.state is LineState.CONNECTING, "the line is down")
    assert [one.state for one in line.calls] == [CallState.CONNECTED], "nothing says that it is over"
    with pytest.raises(PhoneError, match="no UCI login"):
        await site.lines.line(ANNA).hang_up(call)
    await site.control("PATCH", "settings", {"reachable": True})
    line = await site.until(lambda line: line.state is LineState.UP, "the line is up again")
    (same,) = line.calls
    assert (same.call_id, same.state, same.direction) == (call, CallState.CONNECTED, Direction.IN)
    await site.act(call, "hangup")
    assert (await site.call_that(CallState.ENDED)).end in (CallEnd.DONE, CallEnd.AT_ONCE)


@pytest.mark.parametrize(
    ("answered", "end"), [(True, CallEnd.DONE), (False, CallEnd.UNKNOWN)], ids=["talk", "ringing"]
)
async def test_the_call_ends_while_the_pbx_is_gone(site: Site, answered: bool, end: CallEnd) -> None:
    if answered:
        call = await talk(site)
    else:
        ((leg,), call) = (await site.arrive("1001"), "")
        call = leg["id"]
        await site.call_that(CallState.RINGING)
    await site.control("PATCH", "settings", {"reachable": False})
    await site.until(lambda line: line.state is LineState.CONNECTING, "the line is down")
    await site.control("POST", "uci/drop")  # no event comes through
    await site.act(call, "hangup")
    await site.control("PATCH", "settings", {"reachable": True})
    assert (await site.call_that(CallState.ENDED)).end is end


@pytest.mark.parametrize("how", ["uci/drop", "uci/reset"])
async def test_the_pbx_was_restarted_in_a_call(site: Site, how: str) -> None:
    """It has dropped the login, with or without notice; readers soon see the true state."""
    call = await talk(site)
    await site.control("POST", how)
    await site.act(call, "hangup")
    assert (await site.call_that(CallState.ENDED)).end is CallEnd.DONE
    (leg,) = await site.arrive("1001", "004915228895456")
    ringing = await site.call_that(CallState.RINGING)
    assert (ringing.call_id, ringing.number) == (leg["id"], "004915228895456"), "events come again"


async def test_a_pbx_that_refuses_everybody_while_it_starts_switches_nobodys_telephone_off(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    site.uci_works = False  # as the connector's own login finds
    await site.control("PATCH", "settings", {"uci": False})
    await site.control("POST", "uci/reset")

    async def often_refused() -> bool:
        lost = [one for one in caplog.records if one.getMessage() == "UCI connection lost"]
        return len(lost) > 2 * uci.MAX_REFUSALS

    await eventually(often_refused, "the login is refused again and again")
    assert site.logins.holders(Use.PHONE) == {ANNA}
    await site.control("PATCH", "settings", {"uci": True})
    await site.until(lambda line: line.state is LineState.UP, "the line is up again")


async def test_a_call_that_began_while_the_login_was_lost_is_found(site: Site) -> None:
    await site.control("POST", "uci/drop")
    (leg,) = await site.arrive("1001")
    assert (await site.call_that(CallState.RINGING)).call_id == leg["id"]


async def test_an_own_phone_that_is_not_picked_up_is_noticed_without_an_event(site: Site) -> None:
    await site.awkward("uci-own-leg-rings", on=False)
    call_id = str(uuid.uuid4())
    await site.lines.line(ANNA).dial(Dial(user_id=ANNA, call_id=call_id, number="1002"))
    await site.call_that(CallState.DIALLING)
    await site.control("POST", "uci/drop")  # no event can tell it
    await site.act(call_id, "hangup")
    assert (await site.call_that(CallState.ENDED)).end is CallEnd.NOT_REACHED


@pytest.mark.parametrize("stage", ["ringing", "talk", "dialling", "held"])
async def test_the_connector_restarts_during_a_call(site: Site, stage: str) -> None:
    wanted = {
        "ringing": (CallState.RINGING, Direction.IN),
        "talk": (CallState.CONNECTED, Direction.UNKNOWN),
        "dialling": (CallState.DIALLING, Direction.OUT),
        "held": (CallState.HELD, Direction.UNKNOWN),
    }[stage]
    if stage == "dialling":
        call = str(uuid.uuid4())
        await site.lines.line(ANNA).dial(Dial(user_id=ANNA, call_id=call, number="1002"))
    else:
        (leg,) = await site.arrive("1001")
        call = leg["id"]
        if stage != "ringing":
            await site.act(call, "connect")
        if stage == "held":
            await site.act(call, "park")
    await site.stop()
    await site.start()
    found = await site.call_that(wanted[0])
    assert (found.call_id, found.direction) == (call, wanted[1])
    await site.lines.line(ANNA).hang_up(call)
    await site.call_that(CallState.ENDED)
    assert await site.pbx_calls() == []


async def test_an_answer_to_dial_that_is_lost_is_looked_up_and_never_dialled_again(site: Site) -> None:
    """The PBX takes the call, and its answer never comes."""
    line = site.lines.line(ANNA)
    await site.line()
    call_id = str(uuid.uuid4())
    session = site.logins.session(ANNA, Use.PHONE)
    assert session is not None
    real, lost = session.call, []

    async def loses(method: str, *params: Any) -> Any:
        answer = await real(method, *params)
        if method.endswith("placeCallWithPhone"):
            lost.append(answer)
            raise uci.PbxUnreachableError("the connection is lost")
        return answer

    session.call = loses  # type: ignore[method-assign]
    wanted = Dial(user_id=ANNA, call_id=call_id, number="1002")
    assert (await line.dial(wanted)).call_id == call_id
    assert (await line.dial(wanted)).call_id == call_id
    assert (lost, len(await site.pbx_calls())) == ([call_id], 1)


async def test_a_dial_that_was_lost_altogether_is_unknown_until_a_look_finds_it(site: Site) -> None:
    line = site.lines.line(ANNA)
    await site.line()
    session = site.logins.session(ANNA, Use.PHONE)
    assert session is not None
    real, asked = session.call, []

    async def gone(method: str, *params: Any) -> Any:
        asked.append(method.rpartition(".")[2])
        if method.endswith(("placeCallWithPhone", "getCallState")):
            raise uci.PbxUnreachableError("the connection is lost")
        return await real(method, *params)

    session.call = gone  # type: ignore[method-assign]
    line._opened_at -= uci_line.AFTER_START_SECONDS + 1  # type: ignore[attr-defined]
    wanted = Dial(user_id=ANNA, call_id=str(uuid.uuid4()), number="1002")
    for _ in range(2):
        with pytest.raises(PhoneError) as raised:
            await line.dial(wanted)
        assert raised.value.code == "outcome-unknown"
    assert asked.count("placeCallWithPhone") == 1, "asked again, it is not dialled again"
    session.call = real  # type: ignore[method-assign]
    await real("ucp.v30.requests.call.placeCallWithPhone", "1002", "", wanted.call_id)
    await site.call_that(CallState.DIALLING)
    assert (await line.dial(wanted)).call_id == wanted.call_id
    assert len(await site.pbx_calls()) == 1


async def test_a_caller_may_go_away_while_the_pbx_is_slow(site: Site) -> None:
    await site.line()
    await site.awkward("slow", {"seconds": 0.5})
    wanted = Dial(user_id=ANNA, call_id=str(uuid.uuid4()), number="1002")
    asking = asyncio.create_task(site.lines.line(ANNA).dial(wanted))
    await asyncio.sleep(0.1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (await site.lines.line(ANNA).dial(wanted)).call_id == wanted.call_id
    assert len(await site.pbx_calls()) == 1


async def test_a_group_call_that_a_colleague_takes(site: Site) -> None:
    await site.control("PATCH", "groups/1", {"logins": ["1001", "1002"]})
    await site.open(BEN)
    legs = {leg["login"]: leg["id"] for leg in await site.arrive("801")}
    assert (await site.call_that(CallState.RINGING)).group == "Vertrieb"
    await site.act(legs["1002"], "connect")
    assert (await site.call_that(CallState.ENDED)).end is CallEnd.ELSEWHERE
    assert (await site.call_that(CallState.CONNECTED, BEN)).number == "00493023125901"


async def test_a_call_between_two_people_and_its_renaming(site: Site) -> None:
    await site.open(BEN)
    call_id = str(uuid.uuid4())
    await site.lines.line(ANNA).dial(Dial(user_id=ANNA, call_id=call_id, number="1002"))
    await site.call_that(CallState.DIALLING)
    await site.act(call_id, "lift")
    hers = await site.call_that(CallState.RINGING_THERE)
    his = await site.call_that(CallState.RINGING, BEN)
    assert (hers.name, his.name, hers.call_id != his.call_id) == ("Ben Krüger", "Anna Berger", True)
    await site.act(call_id, "rename")
    await site.act(his.call_id, "connect")
    assert (await site.call_that(CallState.CONNECTED)).call_id == call_id, "a page finds it under the old id"
    await site.lines.line(ANNA).hang_up(call_id)
    for person in (ANNA, BEN):
        await site.call_that(CallState.ENDED, person)


async def test_a_login_file_of_a_version_without_the_telephone_serves_help_with_calls_only(
    site: Site, tmp_path: Path
) -> None:
    await site.stop()
    state = ConnectorState(tmp_path)
    old = {str(BEN): credentials(BEN).model_dump(mode="json", by_alias=True)}
    key = logins.AESGCM(state.key_at_rest(b"pbx-calls at rest v1"))
    nonce = b"\x01" * 12
    state.write(FILE, nonce + key.encrypt(nonce, json.dumps(old).encode(), b"pbx-calls at rest v1"))
    await site.start()
    assert (site.calls.followed, site.lines.kept) == ({BEN}, frozenset())


async def test_no_number_no_name_and_no_token_is_in_the_log_of_a_run(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    line = site.lines.line(ANNA)
    await site.line()
    for number in ("0721 9876543", "anonymous caller", "112"):
        try:
            await line.dial(Dial(user_id=ANNA, call_id=str(uuid.uuid4()), number=number))
        except PhoneError as refused:
            assert number not in str(refused)
    call = await talk(site)
    await line.search("Lindner")
    await site.awkward("uci-fault")
    for failing in (line.voicemails(), line.set_do_not_disturb(on=True), line.hang_up(call)):
        with pytest.raises(PhoneError):
            await failing
    await line.search("Hölzl")
    await site.awkward("uci-fault", on=False)
    receiver = next(iter(site.callbacks._receivers))
    await site.control("POST", "uci/reset")
    await site.until(lambda line: line.state is LineState.UP, "the line is up again")
    text = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    told = {"9876543", "anonymous", "3023125901", "Lindner", "Hölzl", "Anna", LOGINS[ANNA][1]}
    told |= {credentials(ANNA).uci_token, call, receiver}
    assert caplog.records and not [one for one in told if one in text]


async def test_a_login_that_the_pbx_is_slow_with_keeps_nobody_else_waiting(site: Site) -> None:
    await site.lines.keep_only([])  # its keepAlive would be what hangs
    await site.control("PUT", "answers", [{"path": "^/xml-rpc", "hang": True, "times": 1}])
    before = await site.requests()
    slow = asyncio.create_task(site.open(BEN))
    await eventually(lambda: _more_than(site, before), "the PBX thinks about the first")
    await site.open(CLARA)
    assert (await site.line(CLARA)).state is LineState.UP
    await site.lines.keep_only([CLARA])
    assert not slow.done()
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    assert site.lines.kept == {CLARA}


async def _more_than(site: Site, before: int) -> bool:
    return await site.requests() > before


async def test_many_people_switch_their_telephones_on_at_the_same_time(site: Site, tmp_path: Path) -> None:
    people = (ANNA, BEN, CLARA)
    await asyncio.gather(*(site.open(user_id) for user_id in people))
    await asyncio.gather(*(site.calls.follow(user_id, credentials(user_id)) for user_id in people))
    await site.stop()
    await site.start()
    assert site.lines.kept == site.calls.followed == set(people), "all of them are on the disk"


class _Clock:
    """Python's, whose time of day can be corrected."""

    def __init__(self) -> None:
        self.off = 0.0

    def time(self) -> float:
        return time.time() + self.off

    @staticmethod
    def monotonic() -> float:
        return time.monotonic()


@pytest.mark.parametrize("off", [-3600.0, 3600.0])
async def test_a_clock_that_jumps_in_a_call_changes_nothing_but_the_time_of_day(
    site: Site, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    clock = _Clock()
    monkeypatch.setattr(uci_line, "time", clock)
    monkeypatch.setattr(call_model, "ENDED_SECONDS", 1.0)
    (leg,) = await site.arrive("1001")
    began = (await site.call_that(CallState.RINGING)).began_at
    await site.act(leg["id"], "connect")
    await site.call_that(CallState.CONNECTED)
    clock.off = off
    moved = (await site.call_that(CallState.CONNECTED)).began_at - began
    assert abs(moved.total_seconds() - off) < 30, "as the clock on the wall has it"
    await site.act(leg["id"], "hangup")

    async def is_forgotten() -> bool:
        return not (await site.line()).calls

    await eventually(is_forgotten, "the ended call is no longer shown", seconds=30)


async def test_what_nobody_foresaw_in_a_part_of_a_telephone_costs_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("of 00493023125901")

    monkeypatch.setattr("connector.line.readers.shown_numbers", broken)
    await site.open(BEN)
    line = await site.line(BEN)
    assert line.phones and line.detail == "pbx-answer-unclear: PbxAnswerError"


async def test_a_look_that_nobody_foresaw_is_not_the_last(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    apply_poll = call_model.CallModel.apply_poll
    times = 0

    def broken_once(model: call_model.CallModel, **arguments: Any) -> bool:
        nonlocal times
        times += 1
        if times == 1:
            raise RuntimeError("of 00493023125901")
        return apply_poll(model, **arguments)

    monkeypatch.setattr(call_model.CallModel, "apply_poll", broken_once)
    await talk(site)

    async def is_looked_at() -> bool:
        return times > 1

    await eventually(is_looked_at, "it looks once more", seconds=30)
    assert "00493023125901" not in caplog.text


async def test_a_login_lives_on_when_who_uses_it_fails(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_line: uci_line.UciLine, _up: bool) -> None:
        raise RuntimeError("of 00493023125901")

    async def is_logged() -> bool:
        return "a change of a UCI login could not be taken" in caplog.text

    with monkeypatch.context() as patch:
        patch.setattr(uci_line.UciLine, "on_up", broken)
        await site.control("POST", "uci/reset")
        await eventually(is_logged, "the fault is in the log", seconds=30)
    await site.control("POST", "uci/reset")
    await site.until(lambda line: line.state is LineState.UP, "the line is up")
    assert "00493023125901" not in caplog.text
