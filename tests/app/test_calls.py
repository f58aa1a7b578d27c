"""Help with calls that end at once, from the consent to the bot's message, with the whole service."""

import json
from typing import Any

import pytest

from connector.login import uci_token
from tests.support.world import ANNA, BEN, CLARA, World, eventually

HEADSET = {"kind": "output", "label": "Headset (Jabra Evolve2 65)", "deviceId": "", "groupId": ""}


@pytest.fixture
async def anna(world: World):
    client = world.client(ANNA)
    await client.sign_in(world.pbx_name, world.key)
    await client.call("DELETE", "audio")
    await forgotten(world, ANNA)
    # Anyone who never wrote to the bot has no chat to be written to.
    await world.say(ANNA, type="message", text="status")
    return client


async def followed(world: World) -> dict[str, Any]:
    return (await world.pbx("GET", "state"))["uciLogins"]


async def follow(world: World, client: Any) -> None:
    answer = await client.follow_calls(world.pbx_name, world.key)
    assert answer.status == 200, answer.body
    assert answer.body["callsSince"]

    async def is_followed() -> bool:
        # Logged in is not enough: events come from when they are subscribed to.
        return bool((await followed(world)).get(client.person.login))

    await eventually(is_followed, "the connector hears of the user's calls")


async def forgotten(world: World, person: Any) -> None:
    async def is_forgotten() -> bool:
        return person.login not in await followed(world)

    await eventually(is_forgotten, "the connector has logged out")


async def bad_call(world: World, login: str, *, seconds: float = 0) -> None:
    call = (await world.pbx("POST", "calls", {"login": login, "callerNumber": "+49721"}))["id"]
    await world.pbx("POST", f"calls/{call}/connect", {"later": 3})
    await world.pbx("POST", f"calls/{call}/hangup", {"later": 3 + seconds})


async def calls_stored(client: Any) -> int:
    return len((await client.call("GET", "audio")).body["stored"]["calls"])


async def stored(client: Any, count: int) -> None:
    async def are_stored() -> bool:
        return await calls_stored(client) == count

    await eventually(are_stored, f"{count} calls are noted")


async def cards_since(world: World, person: Any, before: int) -> list[dict[str, Any]]:
    return [
        activity["attachments"][0]["content"]
        for activity in (await world.chat(person))[before:]
        if activity.get("attachments")
    ]


async def test_two_calls_that_end_at_once_make_the_bot_write_first(world: World, anna) -> None:
    await follow(world, anna)
    before = len(await world.chat(ANNA))
    await bad_call(world, ANNA.login)
    await stored(anna, 1)
    assert await cards_since(world, ANNA, before) == [], "one call may be a slip of the finger"
    await bad_call(world, ANNA.login)

    async def written() -> list[dict[str, Any]]:
        return await cards_since(world, ANNA, before)

    (card,) = await eventually(written, "the bot writes")
    assert "Your calls end at once" in json.dumps(card)
    assert [action["title"] for action in card["actions"]] == ["Open the audio page", "Not now"]
    await bad_call(world, ANNA.login)
    await stored(anna, 3)
    assert len(await cards_since(world, ANNA, before)) == 1, "once a day is enough"


async def test_one_call_is_enough_beside_other_evidence_and_the_buttons_hold(world: World, anna) -> None:
    await follow(world, anna)
    await anna.call(
        "PUT", "audio/devices", {"devices": [HEADSET, {**HEADSET, "label": "Speakers (Realtek(R) Audio)"}]}
    )
    uses = [{"program": program, "device": HEADSET} for program in ("teams", "softphone")]
    await anna.call("PUT", "audio/declared", {"uses": uses})
    before = len(await world.chat(ANNA))
    await bad_call(world, ANNA.login, seconds=1)

    async def written() -> list[dict[str, Any]]:
        return await cards_since(world, ANNA, before)

    (card,) = await eventually(written, "the bot writes")
    words = json.dumps(card, ensure_ascii=False)
    assert "Both use Jabra Evolve2 65" in words
    assert "Speaker: choose “Speakers (Realtek Audio)”" in words
    never = next(action for action in card["actions"] if action.get("verb") == "audio-never")
    answer = await world.say(
        ANNA, type="invoke", name="adaptiveCard/action", value={"action": never, "trigger": "manual"}
    )
    assert "no more messages about Jabra Evolve2 65" in json.dumps(answer["body"])
    assert (await anna.call("GET", "audio")).body["stored"]["never"] == ["Jabra Evolve2 65"]


async def test_a_talk_and_a_call_that_nobody_took_are_not_noted(world: World, anna) -> None:
    await follow(world, anna)
    await bad_call(world, ANNA.login, seconds=30)
    missed = (await world.pbx("POST", "calls", {"login": ANNA.login}))["id"]
    await world.pbx("POST", f"calls/{missed}/hangup")
    await bad_call(world, ANNA.login)
    await stored(anna, 1)


async def test_without_consent_nothing_is_followed_or_stored(world: World, anna) -> None:
    assert ANNA.login not in await followed(world)
    await bad_call(world, ANNA.login)
    ben = world.client(BEN)
    await ben.sign_in(world.pbx_name, world.key)
    await ben.call("DELETE", "audio")
    await follow(world, ben)
    await bad_call(world, BEN.login)
    await stored(ben, 1)
    assert await calls_stored(anna) == 0


@pytest.mark.parametrize("way", ["stop", "sign out", "revoked"])
async def test_the_connector_forgets(world: World, anna, way: str) -> None:
    await follow(world, anna)
    if way == "stop":
        assert (await anna.call("DELETE", "audio/calls")).body["callsSince"] is None
    elif way == "sign out":
        await anna.sign_out()
    else:
        clara = world.client(CLARA)
        await clara.sign_in(world.pbx_name, world.key)
        holders = (await clara.call("GET", "licences")).body["holders"]
        session = next(holder for holder in holders if holder["login"] == ANNA.login)["sessionId"]
        await clara.call("POST", "licences/revoke", {"sessionIds": [session], "reason": ""})

    await forgotten(world, ANNA)
    if way != "stop":
        await anna.sign_in(world.pbx_name, world.key)
        assert (await anna.call("GET", "audio")).body["callsSince"] is None


async def test_a_restarted_connector_goes_on_and_keeps_nothing_readable(world: World, anna) -> None:
    await follow(world, anna)
    await world.demo.stop_part("connector")
    state = world.demo.state / "connector" / "followed"
    content = state.read_bytes()
    token = uci_token(ANNA.login, ANNA.password)
    assert content and token.encode() not in content and ANNA.login.encode() not in content
    assert state.stat().st_mode & 0o077 == 0
    await world.pbx("POST", "uci/drop")
    await world.demo.start_connector()
    await world.connected()

    async def is_followed() -> bool:
        return ANNA.login in await followed(world)

    await eventually(is_followed, "it is logged in again", seconds=20)
    assert (await anna.call("GET", "audio")).body["callsSince"]


async def test_a_connector_that_lost_its_state_is_noticed(world: World, anna) -> None:
    await follow(world, anna)
    await world.demo.stop_part("connector")
    (world.demo.state / "connector" / "followed").unlink()
    await world.demo.start_connector()
    await world.connected()

    async def is_off() -> bool:
        return (await anna.call("GET", "audio")).body["callsSince"] is None

    await eventually(is_off, "the tab says that it is off", seconds=20)


async def test_a_wrong_password_and_the_login_of_another_are_refused(world: World, anna) -> None:
    wrong = await anna.follow_calls(world.pbx_name, world.key, password="wrong")
    assert (wrong.status, wrong.code) == (403, "login-rejected")
    other = await anna.follow_calls(world.pbx_name, world.key, login=BEN.login, password=BEN.password)
    assert (other.status, other.code) == (403, "login-rejected")
    assert (await anna.call("GET", "audio")).body["callsSince"] is None
    assert not {ANNA.login, BEN.login} & set(await followed(world))


async def test_a_box_is_good_once_and_for_this_purpose_alone(world: World, anna) -> None:
    prepared = (await anna.call("POST", "audio/calls/challenge")).body
    box = {"ephemeralKey": "A" * 87, "nonce": "A" * 16, "ciphertext": "A" * 40}
    body = {"nonce": prepared["nonce"], "box": box}
    assert (await anna.call("PUT", "audio/calls", body)).code == "login-rejected"
    assert (await anna.call("PUT", "audio/calls", body)).code == "challenge-expired"


async def test_where_uci_is_off_the_reason_is_reported(world: World, anna) -> None:
    await world.pbx("PATCH", "settings", {"uci": False})

    async def refusal() -> Any:
        answer = await anna.call("POST", "audio/calls/challenge")
        return answer.code if answer.status == 409 else None

    async def is_offered() -> bool:
        return (await anna.call("POST", "audio/calls/challenge")).status == 200

    assert await eventually(refusal, "the connector has noticed", seconds=80) == "calls-not-followed"
    # Later tests need UCI, and a login that was refused is tried once a minute.
    await world.pbx("PATCH", "settings", {"uci": True})
    await eventually(is_offered, "UCI is on again", seconds=100)


# --- an expired licence key


@pytest.fixture
async def clara(world: World):
    client = world.client(CLARA)
    await client.sign_in(world.pbx_name, world.key)
    return client


async def asked_for_calls(world: World, login: str) -> int:
    return (await world.pbx("GET", "state"))["askedForCalls"].get(login, 0)


async def test_an_expired_key_ends_a_session_with_its_call(world: World, anna, clara) -> None:
    await follow(world, anna)
    with world.expired_key():
        await _ends_with_its_call(world, anna)
        state = await clara.state()
        assert state["signedIn"], "users whose call state is unknown keep the whole hour"
        assert state["licence"]["endsBy"]


async def _ends_with_its_call(world: World, anna: Any) -> None:
    call = (await world.pbx("POST", "calls", {"login": ANNA.login, "callerNumber": "+49721"}))["id"]
    await world.pbx("POST", f"calls/{call}/connect")

    async def is_told() -> bool:
        return bool((await anna.state())["licence"]["endsBy"])

    await eventually(is_told, "the tab says until when the session goes on")
    before = await asked_for_calls(world, ANNA.login)

    async def asked_twice() -> bool:
        return await asked_for_calls(world, ANNA.login) >= before + 2

    await eventually(asked_twice, "the PBX is asked for her calls", seconds=20)
    assert (await anna.state())["signedIn"], "nothing is cut in mid-call"
    await world.pbx("POST", f"calls/{call}/hangup")

    async def end() -> Any:
        return (await anna.state())["sessionEnd"]

    assert (await eventually(end, "the session ends with the call", seconds=20))["cause"] == "licence-expired"
