"""The bot, through signed posts of a channel: the same state as the tab, in both languages."""

import signal
import time
from contextlib import closing
from typing import Any

import pytest

from simulator.people import TENANT_ID
from tests.support.chat import activity, ask, claims, facts, post, words
from tests.support.world import ANNA, BEN, CLARA, World, eventually


async def test_status_and_licence_are_those_of_the_tab(world: World) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    assert facts(await ask(world, ANNA, "status")) == {
        "PBX user": "Anna Berger (1001)",
        "PBX": world.pbx_name,
        "Connection": "connected",
        "Licence": "floating licence (FL)",
    }
    assert facts(await ask(world, ANNA, "Lizenz"))["Lizenzen"] == "1 von 2 belegt"
    assert facts(await ask(world, ANNA, "license"))["Licences"] == "1 of 2 in use"


async def test_german_by_locale_and_by_the_word_itself(world: World) -> None:
    assert "Sie sind nicht angemeldet" in words(await ask(world, ANNA, "status", "de-DE"))
    assert "Das verstehe ich" in words(await ask(world, ANNA, "Hilfe", "en-US"))
    assert "What I understand" in words(await ask(world, ANNA, "help", "de-DE"))


@pytest.mark.parametrize(
    "text", ["sign out", "SIGN-OUT!", "abmelden", "<at>PBX for Teams</at> sign out", "logout"]
)
async def test_sign_out_frees_the_seat(world: World, text: str) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    await ask(world, ANNA, text)
    assert not (await world.client(ANNA).state())["signedIn"]


async def test_what_is_not_understood_is_said_and_helped(world: World) -> None:
    before = len(await world.chat(ANNA))
    await world.say(ANNA, type="message", text="make me a sandwich")
    (answer,) = (await world.chat(ANNA))[before + 1 :]
    assert answer["text"] == "I did not understand that."
    assert "What I understand" in words(answer["attachments"][0]["content"])


async def test_a_button_answers_with_the_present_card(world: World) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    action = {"type": "Action.Execute", "verb": "sign-out", "data": {"language": "de"}}
    answer = await world.say(
        ANNA, type="invoke", name="adaptiveCard/action", value={"action": action, "trigger": "manual"}
    )
    assert answer["status"] == 200
    assert answer["body"]["type"] == "application/vnd.microsoft.card.adaptive"
    assert "Sie sind nicht angemeldet" in words(answer["body"]["value"])
    assert not (await world.client(ANNA).state())["signedIn"]


async def test_signing_in_opens_the_tabs_page_and_never_asks_for_the_key(world: World) -> None:
    card = await ask(world, ANNA, "sign in")
    action = next(action for action in card["actions"] if action["type"] == "Action.Submit")
    assert action["data"]["msteams"] == {"type": "task/fetch"}
    answer = await world.say(ANNA, type="invoke", name="task/fetch", value={"data": action["data"]})
    task = answer["body"]["task"]
    assert task["type"] == "continue"
    assert task["value"]["url"] == f"{world.demo.teams_url}/tab/?view=sign-in&dialog=1"
    done = await world.say(ANNA, type="invoke", name="task/submit", value={"data": {"signedIn": True}})
    assert done["status"] == 200
    assert "You are not signed in" in words((await world.chat(ANNA))[-1]["attachments"][0]["content"])


async def test_a_revoked_user_is_informed_by_the_bot_in_their_language(world: World) -> None:
    await ask(world, ANNA, "status", "de-DE")
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    holders = (await clara.call("GET", "licences")).body["holders"]
    session_id = next(holder["sessionId"] for holder in holders if holder["displayName"] == "Anna Berger")
    before = len(await world.chat(ANNA))
    await clara.call("POST", "licences/revoke", {"sessionIds": [session_id], "reason": "Urlaub"})

    async def told() -> Any:
        return (await world.chat(ANNA))[before:]

    notice = words((await eventually(told, "the bot writes first"))[0]["attachments"][0]["content"])
    assert "Sie wurden abgemeldet" in notice and "Clara Vogt" in notice and "Grund: Urlaub" in notice


async def test_a_notice_waits_for_a_service_that_restarts(world: World) -> None:
    await ask(world, BEN, "status")
    await world.client(BEN).sign_in(world.pbx_name, world.key)
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    holders = (await clara.call("GET", "licences")).body["holders"]
    session_id = next(holder["sessionId"] for holder in holders if holder["displayName"] == "Ben Krüger")
    before = len(await world.chat(BEN))
    # The channel is gone while the seat is revoked; the service is killed before it can try again.
    await world.demo.stop_part("teams")
    async with world.http.post(
        f"{world.demo.service_url}/api/v1/licences/revoke",
        json={"sessionIds": [session_id]},
        headers={"Authorization": f"Bearer {await clara.token()}"},
    ) as response:
        assert response.status == 200

    async def tried() -> bool:
        with closing(world.database()) as database:
            query = "SELECT attempts, sending FROM notice ORDER BY created_at DESC, id DESC LIMIT 1"
            return database.execute(query).fetchone() == (1, 0)

    await eventually(tried, "the notice is tried once")
    await world.demo.stop_part("service", signal.SIGKILL)
    await world.demo.start_teams()
    await world.demo.start_service()

    async def told() -> Any:
        return await world.chat(BEN)

    assert before >= 2
    activities = await eventually(told, "the notice is delivered after the restart", seconds=25)
    assert "You have been signed out" in words(activities[0]["attachments"][0]["content"])


async def test_a_welcome_that_does_not_shout(world: World) -> None:
    before = len(await world.chat(CLARA))
    await world.say(CLARA, "de-DE", type="installationUpdate", action="add")
    added = (await world.chat(CLARA))[before:]
    assert len(added) == 1 and "Ihre Telefonanlage in Teams" in words(added[0])


async def test_group_chats_are_answered_politely(world: World) -> None:
    before = len(await world.chat(ANNA))
    conversation = {
        "id": ANNA.object_id,
        "conversationType": "groupChat",
        "isGroup": True,
        "tenantId": TENANT_ID,
    }
    await world.say(ANNA, "de-DE", type="message", text="status", conversation=conversation)
    assert (await world.chat(ANNA))[before + 1]["text"].startswith("Ich arbeite nur im persönlichen Chat")


@pytest.mark.parametrize(
    ("changes", "key", "reason"),
    [
        ({"aud": "11111111-2222-4333-8444-555555555555"}, "channel", "wrong-audience"),
        ({"iss": "https://login.example.com"}, "channel", "wrong-issuer"),
        ({"exp": int(time.time()) - 600}, "channel", "expired"),
        ({"exp": None}, "channel", "missing-claim"),
        ({"nbf": int(time.time()) + 3600}, "channel", "not-yet-valid"),
        ({"serviceurl": "https://attacker.example.com"}, "channel", "wrong-service-url"),
        ({"serviceurl": None}, "channel", "wrong-service-url"),
        ({}, "users", "unknown-key-id"),
    ],
)
async def test_bad_channel_tokens(the_world: World, changes: dict[str, Any], key: str, reason: str) -> None:
    token = await the_world.sign(claims(the_world, **changes), key)
    before = len(the_world.log_entries())
    assert await post(the_world, activity(the_world), token) == 401
    assert reason in {entry.get("reason") for entry in the_world.log_entries()[before:]}


async def test_a_good_channel_token_is_taken_and_none_is_not(world: World) -> None:
    assert await post(world, activity(world), await world.sign(claims(world), "channel")) == 201
    assert await post(world, activity(world), None) == 401
    assert await post(world, activity(world), "nonsense") == 401


async def test_an_activity_of_a_channel_that_the_key_does_not_speak_for(world: World) -> None:
    token = await world.sign(claims(world), "channel")
    assert await post(world, activity(world, channelId="slack"), token) == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"type": None},
        {"serviceUrl": 7},
        {"from": None},
        {"conversation": "x"},
        {"type": "invoke", "name": "adaptiveCard/action", "value": {}},
        {"type": "invoke", "name": "adaptiveCard/action", "value": {"action": "x"}},
        {"type": "invoke", "name": "adaptiveCard/action", "value": {"action": {"verb": "x", "data": 5}}},
        {"type": "invoke", "name": "adaptiveCard/action", "value": [1]},
        {"type": "invoke", "name": "task/fetch", "value": "x"},
    ],
)
async def test_malformed_activities_are_answered_400(world: World, changes: dict[str, Any]) -> None:
    token = await world.sign(claims(world), "channel")
    assert await post(world, activity(world, **changes), token) == 400


async def test_what_is_no_json_is_answered_400(world: World) -> None:
    token = await world.sign(claims(world), "channel")
    assert await post(world, "{", token) == 400
    assert await post(world, "[]", token) == 400


async def test_an_unknown_invoke_is_refused(world: World) -> None:
    token = await world.sign(claims(world), "channel")
    assert await post(world, activity(world, type="invoke", name="unknown/thing", value={}), token) == 400


async def test_audio_tells_the_finding_and_the_cure_in_both_languages(world: World) -> None:
    anna = world.client(ANNA)
    assert "You are not signed in" in words(await ask(world, ANNA, "audio"))
    await anna.sign_in(world.pbx_name, world.key)
    await anna.call("DELETE", "audio")
    assert "Not enough is known yet" in words(await ask(world, ANNA, "audio"))
    device = {"kind": "output", "label": "Headset (Jabra Evolve2 65)", "deviceId": "", "groupId": ""}
    other = {**device, "label": "Speakers (Realtek(R) Audio)"}
    await anna.call("PUT", "audio/devices", {"devices": [device, other]})
    uses = [{"program": program, "device": device} for program in ("teams", "softphone")]
    await anna.call("PUT", "audio/declared", {"uses": uses})
    english, german = words(await ask(world, ANNA, "headset")), words(await ask(world, ANNA, "Audiogeräte"))
    assert "Teams and the softphone share an audio device" in english
    assert "choose “Speakers (Realtek Audio)”" in english
    assert "Teams und das Softphone teilen sich ein Audiogerät" in german
    assert "„Speakers (Realtek Audio)“ wählen" in german


async def test_not_now_is_answered_in_place_of_the_message(world: World) -> None:
    action = {"type": "Action.Execute", "verb": "audio-not-now", "data": {"language": "de"}}
    answer = await world.say(
        ANNA, type="invoke", name="adaptiveCard/action", value={"action": action, "trigger": "manual"}
    )
    assert "sieben Tage lang" in words(answer["body"]["value"])
    for data in ({}, {"device": 7}, {"device": ""}):
        action = {"type": "Action.Execute", "verb": "audio-never", "data": data}
        answer = await world.say(
            ANNA, type="invoke", name="adaptiveCard/action", value={"action": action, "trigger": "manual"}
        )
        assert answer["status"] == 200
    await world.client(ANNA).call("DELETE", "audio")
