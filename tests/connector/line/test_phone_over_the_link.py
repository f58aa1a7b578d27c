"""People's telephones as the service asks for them: the connector's own program, its link, and a simulated STARFACE."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connector.config import Config, PbxSection, ServiceSection, TelephoneSection, UciSection
from connector.line.lines import Lines
from connector.link import LinkClient, LinkParts
from connector.logins import Logins
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from connector.uci import Callbacks
from simulator.starface.model import CLIENT_SECRET, Settings
from tests.support.line import ANNA, BEN, LOGINS, Site
from tests.support.starface import running_starface
from tests.support.tiny_hub import ConnectorProcess, TinyHub, tiny_hub
from tests.support.world import eventually
from wire.jsonrpc import MAX_FRAME_BYTES, RpcRefusalError
from wire.link import CALLS, Capability
from wire.phone import (
    MAX_CHANGED,
    Access,
    CallState,
    Direction,
    Feature,
    LineState,
    Mobile,
    PhoneCall,
    PhoneDevice,
    PhoneLine,
    PhoneMethod,
    Redirect,
    RedirectTarget,
    RedirectTrigger,
    ShownNumber,
)


class Whole:
    """Hub, connector and PBX."""

    def __init__(self, hub: TinyHub, connector: ConnectorProcess, pbx: Site) -> None:
        self.hub, self.connector, self.pbx = hub, connector, pbx

    async def open(self, user_id: int = ANNA, **changes: str) -> None:
        async def is_possible() -> bool:
            return bool((await self.hub.call("calls.challenge"))["possible"])

        await eventually(is_possible, "the connector has logged in to UCI")
        await self.hub.open_phone(self.connector.state, user_id, *LOGINS[user_id], **changes)

    async def start_again(self) -> None:
        await self.connector.kill()
        await eventually(lambda: _is(self.hub.endpoint is None), "the link is gone")
        await self.connector.start()
        await self.hub.linked()

    async def call_that(self, state: CallState, user_id: int = ANNA) -> PhoneCall:
        async def found() -> PhoneCall | None:
            calls = [one for one in (await self.hub.line(user_id)).calls if one.state is state]
            return calls[0] if calls else None

        call: PhoneCall = await eventually(found, f"a call is {state}")
        return call


async def _is(fact: bool) -> bool:
    return fact


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with running_starface() as port, aiohttp.ClientSession() as http, tiny_hub() as hub:
        connector = ConnectorProcess(tmp_path, hub, port)
        await connector.start()
        await hub.linked()
        yield Whole(hub, connector, Site(port, tmp_path / "none", http))
        await connector.kill()


async def refused(asked: Any) -> str:
    with pytest.raises(RpcRefusalError) as raised:
        await asked
    return raised.value.code


async def test_the_telephone_over_the_link(whole: Whole) -> None:
    hub = whole.hub
    assert Capability.TELEPHONE.value in (hub.hellos[0].capabilities or ())
    assert await refused(hub.line(ANNA)) == "phone-off"
    assert await refused(whole.open(purpose=CALLS)) == "login-rejected", "a box for help opens no telephone"
    assert await refused(hub.open_phone(whole.connector.state, BEN, *LOGINS[ANNA])) == "login-rejected"
    await whole.open()
    line = await hub.line(ANNA)
    assert line.state is LineState.UP and line.phones

    for wish, tells in (({}, False), ({"withCapabilities": True}, True)):
        answer = await hub.call(PhoneMethod.LINE, userId=ANNA, **wish)
        assert ("capabilities" in answer) is tells, "a service of the version before refuses the member"
    assert answer["capabilities"]["dial"] == "change"
    record = (await hub.call(PhoneMethod.CAPABILITIES))["capabilities"]
    assert (record["dial"], record["calls"], record["mobiles"]) == ("change", "read-only", "change")

    call_id = str(uuid.uuid4())
    dial = {"userId": ANNA, "callId": call_id, "number": "0900 1234567"}
    with pytest.raises(RpcRefusalError) as raised:
        await hub.call(PhoneMethod.DIAL, **dial)
    assert (raised.value.code, raised.value.evidence["kind"]) == ("number-needs-confirmation", "premium")
    answer = await hub.call(PhoneMethod.DIAL, **dial, isConfirmed=True)
    assert answer == {"callId": call_id, "number": "00499001234567", "phone": "snom-1001"}
    await whole.call_that(CallState.DIALLING)
    assert await hub.call(PhoneMethod.HANG_UP, userId=ANNA, callId=call_id) == {}
    await whole.call_that(CallState.ENDED)
    await eventually(lambda: _is(bool(hub.changed)), "the changes are told")
    assert {user for _, users in hub.changed for user in users} == {ANNA}

    for method, params in (
        (PhoneMethod.HISTORY, {"limit": 3}),
        (PhoneMethod.SEARCH, {"search": "lindner"}),
        (PhoneMethod.VOICEMAILS, {}),
        (PhoneMethod.SET_DO_NOT_DISTURB, {"isOn": True}),
        (PhoneMethod.SET_PRIMARY_PHONE, {"phoneId": "SIP/app-1001"}),
    ):
        await hub.call(method, userId=ANNA, **params)
    for method, params in (
        (PhoneMethod.HISTORY, {"limit": 101}),
        (PhoneMethod.DIAL, {"callId": "no uuid", "number": "1"}),
        (PhoneMethod.LINE, {"more": 1}),
    ):
        assert await refused(hub.call(method, userId=ANNA, **params)) == "link-protocol-error"

    assert await hub.call(PhoneMethod.KEEP, userIds=[ANNA, BEN]) == {"userIds": [ANNA]}
    assert await hub.call(PhoneMethod.KEEP, userIds=[]) == {"userIds": []}
    assert await refused(hub.line(ANNA)) == "phone-off"
    log = whole.connector.log.read_text()
    told = ("0900", "Lindner", "lindner", "1001:", "anna", "Anna", "snom", "1234567", "00493023125", call_id)
    assert "a user's telephone is on" in log
    assert not [one for one in told if one in log], log


@pytest.mark.parametrize(("token", "possible"), [("sha512", True), ("base64", False)])
async def test_telephones_with_active_directory(whole: Whole, token: str, possible: bool) -> None:
    """The hashed token opens a line where UCI takes it. The other form would be the password itself: nobody is asked for it."""
    site = whole.pbx
    await site.control("PATCH", "settings", {"loginType": "ActiveDirectory"})
    await site.awkward("uci-ad-token", {"token": token})
    await whole.start_again()

    async def is_logged_in() -> bool:
        return "0001" in (await site.control("GET", "state"))["uciLogins"]

    await eventually(is_logged_in, "UCI takes the connector's own login")
    if possible:
        await whole.open()
        assert (await whole.hub.line(ANNA)).state is LineState.UP
        await whole.start_again()

        async def is_up_again() -> bool:
            return (await whole.hub.line(ANNA)).state is LineState.UP

        await eventually(is_up_again, "the line is taken up after a restart")
    else:
        assert not (await whole.hub.call("calls.challenge"))["possible"]


async def test_telephones_at_a_pbx_with_oauth(tmp_path: Path) -> None:
    """The browser seals the password for the connector, which keeps a refresh token instead."""
    oauth = f'auth = "oauth"\noauth_client_secret = "{CLIENT_SECRET}"\n'
    async with (
        running_starface(Settings(oauth=True)) as port,
        aiohttp.ClientSession() as http,
        tiny_hub() as hub,
    ):
        site = Site(port, tmp_path / "none", http)
        await site.awkward("oauth-rotation")
        connector = ConnectorProcess(tmp_path, hub, port, oauth)
        whole = Whole(hub, connector, site)
        await connector.start()
        try:
            await hub.linked()

            async def is_possible() -> bool:
                return bool((await hub.call("calls.challenge", takesPassword=True))["possible"])

            await eventually(is_possible, "the connector has logged in to UCI")
            # A browser of an earlier version, which seals the hash, is told that there is no telephone.
            assert not (await hub.call("calls.challenge"))["possible"]
            login, password = LOGINS[ANNA]
            code = await refused(hub.open_phone(connector.state, ANNA, login, "wrong"))
            assert code == "login-rejected"
            code = await refused(hub.open_phone(connector.state, ANNA, *LOGINS[BEN]))
            assert code == "login-rejected", "the login of another user"
            await hub.open_phone(connector.state, ANNA, login, password)
            await site.arrive("1001")
            await whole.call_that(CallState.RINGING)
            await whole.start_again()

            async def is_up_again() -> bool:
                return (await hub.line(ANNA)).state is LineState.UP

            await eventually(is_up_again, "the line is taken up after kill -9")
            await whole.call_that(CallState.RINGING)
        finally:
            await connector.kill()
        stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert password.encode() not in stored, "neither at rest nor in the log"


@pytest.mark.parametrize("stage", ["ringing", "own phone rings", "dialling", "talk"])
async def test_kill_9_in_a_call_loses_nothing_and_dials_nothing_twice(whole: Whole, stage: str) -> None:
    await whole.open()
    hub, pbx = whole.hub, whole.pbx
    call_id = str(uuid.uuid4())
    dial = {"userId": ANNA, "callId": call_id, "number": "1002"}
    if stage in ("ringing", "talk"):
        (leg,) = await pbx.arrive("1001")
        call_id = leg["id"]
        await whole.call_that(CallState.RINGING)
        if stage == "talk":
            await pbx.act(call_id, "connect")
            await whole.call_that(CallState.CONNECTED)
    else:
        await hub.call(PhoneMethod.DIAL, **dial)
        if stage == "dialling":
            await pbx.act(call_id, "lift")
            await whole.call_that(CallState.RINGING_THERE)
    before = sorted(one["id"] for one in await pbx.pbx_calls())
    await whole.start_again()
    assert await hub.call(PhoneMethod.KEEP, userIds=[ANNA]) == {"userIds": [ANNA]}, (
        "whose telephone is on is known"
    )
    wanted = {
        "ringing": CallState.RINGING,
        "talk": CallState.CONNECTED,
        "own phone rings": CallState.DIALLING,
        "dialling": CallState.RINGING_THERE,
    }[stage]
    assert (await whole.call_that(wanted)).call_id == call_id
    if stage in ("own phone rings", "dialling"):
        assert (await hub.call(PhoneMethod.DIAL, **dial))["callId"] == call_id
    assert sorted(one["id"] for one in await pbx.pbx_calls()) == before
    await hub.call(PhoneMethod.HANG_UP, userId=ANNA, callId=call_id)
    await whole.call_that(CallState.ENDED)
    assert await pbx.pbx_calls() == []


async def test_changes_of_many_lines_are_reported_together_in_portions(tmp_path: Path) -> None:
    rest = StarfaceRest(PbxSection(name="p", url="http://127.0.0.1:1", login="x", password="x"))
    lines = Lines(
        rest, Logins(rest, Callbacks(UciSection()), ConnectorState(tmp_path)), TelephoneSection(), str
    )
    told: list[list[int]] = []

    class Recording:
        async def notify(self, method: str, params: Any) -> None:
            assert method == PhoneMethod.CHANGED
            told.append(params.user_ids)

    config = Config(
        state_directory=tmp_path,
        service=ServiceSection(url="http://127.0.0.1:1"),
        pbx=PbxSection(name="p", url="http://127.0.0.1:1", login="x", password="x"),
    )
    nothing: Any = None
    link = LinkClient(LinkParts(config, nothing, nothing, nothing, nothing, lines, {}))
    for _ in range(3):
        for user_id in range(5 * MAX_CHANGED):
            lines._mark_changed(user_id)
    recording: Any = Recording()
    reporting = asyncio.create_task(link._report_lines(recording))
    await eventually(lambda: _is(len(told) == 5), "all are told")
    await eventually(lambda: _is(not lines.changed.is_set()), "and nothing is left")
    lines._mark_changed(7)
    await eventually(lambda: _is(len(told) == 6), "a later change is told")
    reporting.cancel()
    assert [len(one) for one in told] == [MAX_CHANGED] * 5 + [1]
    assert sorted(user for one in told[:5] for user in one) == list(range(5 * MAX_CHANGED))


def test_a_whole_line_fits_a_frame() -> None:
    long = "ü" * 200
    now = datetime.now(UTC)
    line = PhoneLine(
        state=LineState.UP,
        features=dict.fromkeys(Feature, Access.CHANGE),
        calls=[
            PhoneCall(
                call_id="c" * 100, state=CallState.CONNECTED, direction=Direction.IN, number="9" * 100,
                name=long, group=long, began_at=now, connected_at=now,
            )
        ] * 20,
        phones=[PhoneDevice(phone_id="ü" * 100, name=long, is_primary=True, is_active=True)] * 50,
        shown_numbers=[ShownNumber(number_id="n" * 40, number="9" * 100, is_chosen=True)] * 50,
        redirects=[
            Redirect(
                redirect_id="r" * 100, trigger=RedirectTrigger.ALWAYS, is_on=True, target=RedirectTarget.MAILBOX,
                number="9" * 100, mailbox=long, mailbox_id="m" * 40, seconds=600, of_number="9" * 100, group=long,
                access=Access.CHANGE,
            )
        ] * 100,
        mobiles=[Mobile(mobile_id="m" * 40, number="9" * 100, is_on=True, access=Access.CHANGE)] * 50,
        detail="ü" * 500,
    )  # fmt: skip
    assert len(line.model_dump_json(by_alias=True).encode()) < MAX_FRAME_BYTES
