"""A person's telephone through the whole service: the tab's API, the connector and a simulated STARFACE."""

import uuid
from contextlib import closing
from typing import Any

import pytest

from tests.support.licences import revoke_session
from tests.support.live import open_tab
from tests.support.tab_client import TabClient
from tests.support.telephone import OUTSIDE, call_from_outside, list_pbx_calls, wait_for_line
from tests.support.world import ANNA, BEN, CLARA, World, eventually


@pytest.fixture
async def anna(world: World) -> TabClient:
    """Signed in, her telephone off. The connector is logged in by UCI, also where an earlier test had switched that off."""
    client = world.client(ANNA)
    assert (await client.sign_in(world.pbx_name, world.key)).status == 200
    await world.uci_is_on()
    return client


@pytest.fixture
async def phone(world: World, anna: TabClient) -> TabClient:
    """Anna, whose telephone is on and whose line is up."""
    answer = await anna.switch_phone_on(world.pbx_name, world.key)
    assert answer.status == 200, answer.body
    await wait_for_line(anna, lambda line: line["state"] == "up")
    return anna


def has_call(state: str) -> Any:
    return lambda line: any(call["state"] == state for call in line["calls"])


async def dial(client: TabClient, number: str = "0721 151042", **more: Any) -> Any:
    return await client.call("POST", "phone/calls", {"number": number, "callId": str(uuid.uuid4()), **more})


async def test_a_telephone_is_switched_on_shows_what_the_pbx_offers_and_goes_off_again(
    world: World, anna: TabClient
) -> None:
    assert (await anna.state())["connection"]["hasTelephone"] is True
    assert (await anna.call("GET", "phone")).body == {"isOn": False, "line": None}
    assert (await dial(anna)).code == "phone-off"
    wrong = await anna.switch_phone_on(world.pbx_name, world.key, password="wrong")
    assert wrong.code == "login-rejected"
    assert (await anna.call("GET", "phone")).body["isOn"] is False
    answer = await anna.switch_phone_on(world.pbx_name, world.key)
    assert answer.status == 200 and answer.body["isOn"] is True
    shown = await wait_for_line(anna, lambda line: line["state"] == "up")
    assert {"dial", "hang-up"} <= set(shown["features"]) and shown["phones"]
    assert (shown["capabilities"]["dial"], shown["capabilities"]["calls"]) == ("change", "read-only")
    assert (await anna.call("DELETE", "phone")).body == {"isOn": False, "line": None}
    assert (await anna.call("GET", "phone")).body["isOn"] is False


async def test_dialling_rings_the_own_phone_and_hanging_up_ends_it(world: World, phone: TabClient) -> None:
    call_id = str(uuid.uuid4())
    dialled = await phone.call("POST", "phone/calls", {"number": "0721 151042", "callId": call_id})
    assert dialled.status == 200, dialled.body
    assert dialled.body["callId"] == call_id and dialled.body["number"].endswith("721151042")
    shown = await wait_for_line(phone, lambda line: any(call["callId"] == call_id for call in line["calls"]))
    (call,) = (call for call in shown["calls"] if call["callId"] == call_id)
    assert call["isOurs"] is True and call["direction"] == "out"
    assert (await phone.call("DELETE", f"phone/calls/{call_id}")).status == 200

    async def is_over() -> bool:
        return not await list_pbx_calls(world)

    await eventually(is_over, "the PBX has ended it")
    gone = await phone.call("DELETE", f"phone/calls/{uuid.uuid4()}")
    assert (gone.status, gone.code) == (410, "call-gone")


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [("112", 409, "number-needs-confirmation"), ("nobody", 422, "number-unusable")],
)
async def test_a_number_that_is_not_simply_dialled(
    world: World, phone: TabClient, number: str, status: int, code: str
) -> None:
    answer = await dial(phone, number)
    assert (answer.status, answer.code) == (status, code)
    assert await list_pbx_calls(world) == []


async def test_open_pages_are_informed_of_a_call_as_it_happens(world: World, phone: TabClient) -> None:
    async with (
        open_tab(phone, takes_phone=True) as one,
        open_tab(phone, takes_phone=True) as other,
        open_tab(phone) as of_the_version_before,
    ):
        call = await call_from_outside(world, name="Erika Beispiel")

        async def until(tab: Any, state: str | None) -> Any:
            while True:
                shown = (await tab.next("phone", isOn=True))["line"]["calls"]
                if [call["state"] for call in shown] == [state]:
                    return shown[0]

        for tab in (one, other):
            ringing = await until(tab, "ringing")
            assert (ringing["number"], ringing["name"]) == (OUTSIDE, "Erika Beispiel")
        await world.pbx("POST", f"calls/{call}/connect", {"later": 5})
        assert (await until(one, "connected"))["connectedAt"]
        await world.pbx("POST", f"calls/{call}/hangup", {"later": 65})
        assert (await until(one, "ended"))["end"] == "done"
        await phone.call("DELETE", "phone")
        await one.next("phone", isOn=False, line=None)
        assert "phone" not in of_the_version_before.names


async def test_losing_the_licence_ends_what_is_shown_and_hangs_nothing_up(
    world: World, phone: TabClient
) -> None:
    call = await call_from_outside(world)
    await world.pbx("POST", f"calls/{call}/connect")
    await wait_for_line(phone, has_call("connected"))
    assert (await world.client(CLARA).sign_in(world.pbx_name, world.key)).status == 200
    async with open_tab(phone, takes_phone=True) as tab:
        await revoke_session(world, ANNA)
        await tab.next("state", signedIn=False)
        seen = len(tab.seen)
        assert (await phone.call("GET", "phone")).code == "not-signed-in"
        await world.pbx("POST", f"calls/{call}/park")
        assert (await phone.sign_in(world.pbx_name, world.key)).status == 200
        await tab.next("state", signedIn=True)
        assert "phone" not in [name for name, _ in tab.seen[seen:]]
    assert [one["id"] for one in await list_pbx_calls(world)] == [call], "the call goes on"
    assert (await phone.call("GET", "phone")).body["isOn"] is False, "another session, another consent"
    await world.pbx("POST", f"calls/{call}/hangup")


async def test_nobody_reaches_the_call_of_another(world: World, phone: TabClient) -> None:
    ben = world.client(BEN)
    assert (await ben.sign_in(world.pbx_name, world.key)).status == 200
    assert (await ben.switch_phone_on(world.pbx_name, world.key)).status == 200
    call = await call_from_outside(world)
    shown = await wait_for_line(phone, has_call("ringing"))
    # An earlier call may still be shown as ended.
    (ringing,) = [one for one in shown["calls"] if one["state"] == "ringing"]
    assert (await ben.call("DELETE", f"phone/calls/{ringing['callId']}")).code == "call-gone"
    assert (await ben.call("GET", "phone")).body["line"]["calls"] == []
    assert (await phone.call("DELETE", f"phone/calls/{ringing['callId']}")).status == 200

    async def is_over() -> bool:
        return call not in [one["id"] for one in await list_pbx_calls(world)]

    await eventually(is_over, "Anna's own rejection counts")


async def test_answers_about_a_telephone_are_kept_by_nobody(phone: TabClient) -> None:
    async with phone.get("phone") as answer:
        assert answer.headers["Cache-Control"] == "no-store"


async def test_a_telephone_comes_back_after_a_restart_of_service_and_connector(
    world: World, phone: TabClient
) -> None:
    call = await call_from_outside(world)
    await world.pbx("POST", f"calls/{call}/connect")
    for part, start in (
        ("service", world.demo.start_service),
        ("connector", world.demo.start_connector),
    ):
        await world.demo.stop_part(part)
        await start()
        await world.connected()
        await wait_for_line(
            phone, has_call("connected"), f"the call is shown again after a restart of the {part}"
        )
    await world.pbx("POST", f"calls/{call}/hangup")
    await wait_for_line(phone, lambda line: not any(call["state"] != "ended" for call in line["calls"]))


async def test_nothing_of_a_call_is_in_database_log_or_metrics(world: World, phone: TabClient) -> None:
    """Searches the output of service and connector, and the database, for every number and name used in the run."""
    marks = {"caller": "0307654321", "name": "Zacharias Zimtstern", "dialled": "07211234567"}
    async with open_tab(phone, takes_phone=True) as tab:
        body = {"called": ANNA.login, "callerNumber": marks["caller"], "callerName": marks["name"]}
        call = (await world.pbx("POST", "incoming", body))["calls"][0]["id"]
        while (shown := (await tab.next("phone", isOn=True))["line"]["calls"]) == [] or not shown[0]["name"]:
            pass
        await world.pbx("POST", f"calls/{call}/connect")
        await wait_for_line(phone, has_call("connected"))
        await world.pbx("POST", f"calls/{call}/hangup")
        assert (await dial(phone, marks["dialled"])).status == 200
        await phone.call("GET", f"phone/search?q={marks['name'].split()[1]}")
        await phone.call("GET", "phone/history")
        shown = (await wait_for_line(phone, lambda line: any(one["isOurs"] for one in line["calls"])))[
            "calls"
        ]
        (mine,) = [one["callId"] for one in shown if one["isOurs"]]
        await phone.call("DELETE", f"phone/calls/{mine}")
    names = [*marks.values(), "Zimtstern", "7654321", "1234567", call, mine]
    with closing(world.database()) as database:
        written = "\n".join(database.iterdump())
    files = [world.demo.state / "connector", *world.demo.state.glob("**/*.jsonl")]
    for part in ("service", "connector"):
        written += world.log(part)
    headers = {"Authorization": f"Bearer {world.demo.metrics_token()}"}
    async with world.http.get(f"{world.demo.service_url}/metrics", headers=headers) as answer:
        assert answer.status == 200
        written += await answer.text()
    for path in (one for root in files for one in ([root] if root.is_file() else root.rglob("*"))):
        if path.is_file():
            written += path.read_text(errors="replace")
    assert [name for name in names if name in written] == []
    assert "phone-on" in written, "that the telephone was switched on is written down"


async def test_switches_are_what_the_pbx_says_after_the_change(world: World, phone: TabClient) -> None:
    async def switched(path: str, body: Any) -> Any:
        answer = await phone.call("PUT", f"phone/{path}", body)
        assert answer.status == 200, answer.body
        return answer.body["line"]

    assert (await switched("do-not-disturb", {"isOn": True}))["doNotDisturb"] is True
    assert (await switched("do-not-disturb", {"isOn": False}))["doNotDisturb"] is False
    shown = (await phone.call("GET", "phone/redirects")).body
    assert shown["access"] == "change"
    redirect = next(one for one in shown["redirects"] if one["group"] == "" and one["trigger"] == "no-answer")
    wish = {
        "redirectId": redirect["redirectId"],
        "isOn": True,
        "target": "number",
        "number": "0721 151042",
        "seconds": 30,
    }
    changed = await switched("redirects", wish)
    (now,) = [one for one in changed["redirects"] if one["redirectId"] == redirect["redirectId"]]
    assert (now["isOn"], now["target"], now["seconds"]) == (True, "number", 30)
    assert now["number"].endswith("721151042")
    back = await switched(
        "redirects",
        {
            "redirectId": redirect["redirectId"],
            "isOn": False,
            "target": "mailbox",
            "mailboxId": redirect["mailboxId"],
        },
    )
    (now,) = [one for one in back["redirects"] if one["redirectId"] == redirect["redirectId"]]
    assert (now["isOn"], now["target"]) == (False, "mailbox")
    other = next(one for one in back["phones"] if not one["isPrimary"])
    mine = next(one for one in back["phones"] if one["isPrimary"])
    primary = await switched("primary", {"phoneId": other["phoneId"]})
    assert [one["phoneId"] for one in primary["phones"] if one["isPrimary"]] == [other["phoneId"]]
    await switched("primary", {"phoneId": mine["phoneId"]})
    (mobile,) = back["mobiles"]
    for is_on in (True, False):
        shown = await switched("mobiles", {"mobileId": mobile["mobileId"], "isOn": is_on})
        assert shown["mobiles"][0]["isOn"] is is_on


async def test_the_page_and_the_bot_share_the_choice_of_messages_about_calls(
    world: World, phone: TabClient
) -> None:
    nothing = {"callsInChat": False, "missedCalls": False, "numbersInChat": False}
    chosen = {"callsInChat": False, "missedCalls": True, "numbersInChat": True}
    assert (await phone.call("PUT", "phone/notices", nothing)).status == 200
    try:
        answer = await phone.call("PUT", "phone/notices", chosen)
        assert answer.status == 200, answer.body
        assert {name: answer.body[name] for name in chosen} == chosen
        shown = await world.say(ANNA, type="message", text="messages")
        card = (await world.chat(ANNA))[-1]["attachments"][0]["content"]
        toggles = {part["id"]: part["value"] for part in card["body"] if part["type"] == "Input.Toggle"}
        assert (toggles["calls-in-chat"], toggles["missed-calls"]) == ("false", "true"), shown
        assert toggles["numbers-in-chat"] == "true"
        assert (await phone.call("PUT", "phone/notices", {"callsInChat": True})).status == 400
    finally:
        await phone.call("PUT", "phone/notices", nothing)


async def test_the_call_list_comes_in_pages_and_by_kind(phone: TabClient) -> None:
    async def page(query: str) -> Any:
        answer = await phone.call("GET", f"phone/history?{query}")
        assert answer.status == 200, answer.body
        return answer.body

    whole = await page("limit=100")
    assert len(whole["entries"]) == whole["total"] >= 4
    first = await page("limit=2")
    assert first["entries"] == whole["entries"][:2] and first["hasMore"] is True
    before = whole["entries"][2]["beganAt"]
    rest = await page(f"limit=100&before={before}")
    assert rest["entries"] == [one for one in whole["entries"] if one["beganAt"] < before]
    missed = (await page("filter=missed"))["entries"]
    assert missed and all(not one["isAnswered"] and one["direction"] == "in" for one in missed)
    assert all(one["direction"] == "out" for one in (await page("filter=out"))["entries"])


async def test_people_are_found_by_a_part_of_their_name(phone: TabClient) -> None:
    found = (await phone.call("GET", "phone/search?q=lind")).body["found"]
    assert any(one["name"] == "Jürgen Lindner" and one["number"] for one in found)
    assert (await phone.call("GET", "phone/search?q=zzzzzz")).body == {"found": []}


async def test_a_voicemail_is_played_on_the_own_phone(world: World, phone: TabClient) -> None:
    messages = (await phone.call("GET", "phone/voicemails")).body["messages"]
    assert messages
    answer = await phone.call("POST", "phone/voicemails/play", {"messageId": messages[0]["messageId"]})
    assert answer.status == 200, answer.body

    async def rings() -> Any:
        return await list_pbx_calls(world)

    await eventually(rings, "the own phone rings")
    assert (await phone.call("POST", "phone/voicemails/play", {"messageId": "no-such"})).status >= 400
