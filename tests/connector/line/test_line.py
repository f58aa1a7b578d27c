"""A person's telephone, with the connector's own parts and a simulated STARFACE."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.config import UciSection
from connector.errors import LoginRejectedError, PhoneError
from connector.line.uci_line import UciLine
from connector.logins import Use
from connector.readings import Readings
from connector.uci import UciClient
from tests.support.line import ANNA, BEN, CLARA, Site, credentials, running_site
from tests.support.world import eventually
from wire.link import CallsCredentials
from wire.phone import Access, CallEnd, CallState, Dial, Dialled, Direction, Feature, LineState


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as one:
        yield one


def wants(number: str, **more: object) -> Dial:
    return Dial.model_validate({"user_id": ANNA, "call_id": str(uuid.uuid4()), "number": number, **more})


async def refused(dialled: "asyncio.Future[Dialled] | object") -> PhoneError:
    with pytest.raises(PhoneError) as raised:
        await dialled  # type: ignore[misc]
    return raised.value


async def test_a_line_says_what_the_pbx_offers_and_which_phones_there_are(site: Site) -> None:
    await site.open(ANNA)
    line = await site.line()
    assert line.state is LineState.UP
    assert set(line.features) == set(Feature) - {Feature.CALLS}
    assert line.features[Feature.DIAL] is Access.CHANGE
    assert [(phone.phone_id, phone.name, phone.is_primary) for phone in line.phones] == [
        ("SIP/snom-1001", "snom-1001", True),
        ("SIP/app-1001", "app-1001", False),
    ]
    assert [one.number for one in line.shown_numbers if one.is_chosen] == ["00493023125102"]


async def test_an_incoming_call_is_seen_while_it_rings_is_answered_and_ends(site: Site) -> None:
    await site.open(ANNA)
    (leg,) = await site.arrive("1001")
    call = await site.call_that(CallState.RINGING)
    assert (call.direction, call.number, call.name) == (Direction.IN, "00493023125901", "Jürgen Lindner")
    await site.act(leg["id"], "connect")
    assert (await site.call_that(CallState.CONNECTED)).connected_at is not None
    await site.act(leg["id"], "hangup")
    assert (await site.call_that(CallState.ENDED)).end is CallEnd.AT_ONCE


async def test_a_call_is_dialled_from_the_own_phone_and_hung_up(site: Site) -> None:
    line = await site.open(ANNA)
    wanted = wants("030 231 25 901")
    dialled = await line.dial(wanted)
    assert dialled == Dialled(call_id=wanted.call_id, number="00493023125901", phone="snom-1001")
    call = await site.call_that(CallState.DIALLING)
    assert (call.call_id, call.number, call.is_ours) == (wanted.call_id, "00493023125901", True)
    for act, state in (
        ("lift", CallState.DIALLING),
        ("alert", CallState.RINGING_THERE),
        ("connect", CallState.CONNECTED),
    ):
        await site.act(wanted.call_id, act)
        call = await site.call_that(state)
        assert (call.direction, call.name) == (Direction.OUT, "Jürgen Lindner")
    await line.hang_up(wanted.call_id)
    assert (await site.call_that(CallState.ENDED)).end is CallEnd.DONE
    assert await site.pbx_calls() == []
    assert (await refused(line.hang_up(wanted.call_id))).code == "call-gone"


async def test_one_call_id_is_dialled_once_however_often_it_is_asked(site: Site) -> None:
    line = await site.open(ANNA)
    wanted = wants("1002")
    answers = await asyncio.gather(*(line.dial(wanted) for _ in range(5)))
    assert len({answer.call_id for answer in answers}) == 1
    assert len(await site.pbx_calls()) == 1
    await line.hang_up(wanted.call_id)
    await site.call_that(CallState.ENDED)
    assert (await line.dial(wanted)).call_id == wanted.call_id
    assert await site.pbx_calls() == [], "what is over is not dialled again"


async def test_a_restarted_connector_knows_what_it_has_dialled(site: Site) -> None:
    line = await site.open(ANNA)
    wanted = wants("1002")
    await line.dial(wanted)
    await site.stop()
    await site.start()
    await site.until(lambda line: line.state is LineState.UP, "the line comes back")
    call = await site.call_that(CallState.DIALLING)
    assert call.call_id == wanted.call_id
    assert (await site.lines.line(ANNA).dial(wanted)).call_id == wanted.call_id
    assert len(await site.pbx_calls()) == 1


async def test_a_call_id_from_before_the_start_is_looked_up_before_it_is_dialled(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = wants("1002")
    await (await site.open(ANNA)).dial(wanted)
    await site.stop()

    async def sees_nothing(_line: UciLine) -> bool:
        return False

    monkeypatch.setattr(UciLine, "_poll", sees_nothing)
    await site.start()
    await site.until(lambda line: line.state is LineState.UP, "the line comes back")
    assert (await site.lines.line(ANNA).dial(wanted)).call_id == wanted.call_id
    assert len(await site.pbx_calls()) == 1


async def test_a_second_call_while_the_own_phone_rings_is_refused(site: Site) -> None:
    line = await site.open(ANNA)
    await line.dial(wants("1002"))
    second = wants("1003")
    assert (await refused(line.dial(second))).code == "already-dialling"
    (first,) = await site.pbx_calls()
    await line.hang_up(first["id"])
    assert (await line.dial(second)).call_id == second.call_id, "a call that was refused may be tried again"


@pytest.mark.parametrize(
    ("number", "code", "evidence"),
    [
        ("112", "number-needs-confirmation", {"kind": "emergency", "number": "112"}),
        ("0900 1234567", "number-needs-confirmation", {"kind": "premium", "number": "00499001234567"}),
        ("call me", "number-unusable", {"number": "call me"}),
    ],
)
async def test_a_number_that_asks_first_is_not_dialled(
    site: Site, number: str, code: str, evidence: dict[str, str]
) -> None:
    line = await site.open(ANNA)
    fault = await refused(line.dial(wants(number)))
    assert (fault.code, fault.evidence) == (code, evidence)
    assert await site.pbx_calls() == []
    if code == "number-needs-confirmation":
        assert (await line.dial(wants(number, is_confirmed=True))).number == number.replace(" ", "").replace(
            "0900", "0049900"
        )


async def test_phone_and_shown_number_can_be_chosen(site: Site) -> None:
    line = await site.open(ANNA)
    (other,) = [one for one in (await site.line()).shown_numbers if not one.is_chosen]
    dialled = await line.dial(wants("1002", phone_id="SIP/app-1001", shown_number_id=other.number_id))
    assert dialled.phone == "app-1001"
    line_now = await site.line()
    assert [one.number_id for one in line_now.shown_numbers if one.is_chosen] == [other.number_id]
    assert (
        await refused(line.dial(wants("1002", phone_id="SIP/of-somebody-else")))
    ).code == "phone-not-offered"


async def test_who_has_no_line_is_informed(site: Site) -> None:
    assert (await refused(site.line(BEN))).code == "phone-off"
    wrong = CallsCredentials(login="1002", uci_token="1002:00")
    with pytest.raises(LoginRejectedError):
        await site.lines.open(BEN, wrong)
    assert site.lines.kept == frozenset()
    await site.open(BEN)
    await site.lines.keep_only([ANNA])
    assert (await refused(site.line(BEN))).code == "phone-off"
    assert (await site.control("GET", "state"))["uciLogins"] == {}


async def test_telephone_and_help_share_one_login_which_stays_while_one_needs_it(site: Site) -> None:
    async def logins() -> list[str]:
        return sorted((await site.control("GET", "state"))["uciLogins"])

    await site.open(ANNA)
    await site.calls.follow(ANNA, credentials(ANNA))
    assert len(site.callbacks._receivers) == 1
    (leg,) = await site.arrive("1001")
    await site.act(leg["id"], "connect")
    await site.act(leg["id"], "hangup")
    await site.call_that(CallState.ENDED)
    assert [one.user_id for one in site.calls.unreported()] == [ANNA], "both hear the same events"
    await site.lines.keep_only([])
    assert (await logins(), site.calls.followed) == (["1001"], {ANNA})
    await site.stop()
    await site.start()
    await eventually(lambda: _is_up(site, ANNA, Use.HELP), "help is taken up after a restart")
    assert (site.lines.kept, site.calls.followed) == (frozenset(), {ANNA})
    await site.calls.keep_only([])
    assert await logins() == []


async def _is_up(site: Site, user_id: int, use: Use) -> bool:
    return user_id in site.logins.holders(use)


async def test_a_password_that_was_changed_switches_the_telephone_off_and_reports_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector import uci

    monkeypatch.setattr(uci, "_delay", lambda _failures, _refusals: 0.01)
    await site.open(ANNA)
    await site.control("PATCH", "users/1001", {"password": "new"})
    await site.control("POST", "uci/reset")
    await site.until(lambda line: line.state is LineState.REFUSED, "the PBX refuses the login")
    assert site.logins.holders(Use.PHONE) == frozenset(), "nothing of the login is kept"
    assert site.lines.kept == {ANNA}, "and a page can say why"
    assert (await refused(_dial(site))).code == "line-down"
    await site.control("PATCH", "users/1001", {"password": "anna-1001"})
    await site.open(ANNA)
    assert (await site.line()).state is LineState.UP


async def _dial(site: Site) -> Dialled:
    return await site.lines.line(ANNA).dial(wants("1002"))


async def test_a_wrong_password_for_a_telephone_that_is_on_changes_nothing(site: Site) -> None:
    line = await site.open(ANNA)
    (leg,) = await site.arrive("1001")
    await site.call_that(CallState.RINGING)
    with pytest.raises(LoginRejectedError):
        await site.lines.open(ANNA, CallsCredentials(login="1001", uci_token="1001:00"))
    assert site.lines.line(ANNA) is line
    assert (await site.line()).state is LineState.UP
    await site.act(leg["id"], "hangup")
    await site.call_that(CallState.ENDED)


async def test_changes_are_reported_by_the_ids_of_users_alone_and_once(site: Site) -> None:
    await site.open(ANNA)
    await site.open(CLARA)
    await site.line(ANNA)
    await site.line(CLARA)
    while site.lines.take_changed() is not None:
        pass
    await site.arrive("1001")
    await site.call_that(CallState.RINGING)
    changed = site.lines.take_changed()
    assert changed is not None and changed.user_ids == [ANNA]
    assert site.lines.take_changed() is None


async def test_what_the_pbx_offers_is_in_the_log_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    client = UciClient(UciSection(), site.rest, asyncio.Event(), Readings(lambda: None), site.callbacks)
    for _ in range(2):
        await client._session.connect()
    await client._session.end()
    (offer,) = [record for record in caplog.records if record.getMessage() == "UCI offers"]
    assert "ucp.v30.requests.callList" in vars(offer)["requests"]
    assert "ucp.v22.events.call" in vars(offer)["events"]
