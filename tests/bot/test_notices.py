"""Messages that the bot sends unasked: once, only to users who want them, outside quiet hours; each card then shows
the current state.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.chat import activity, ask, claims, post, press_button, set_channel_faults, words
from tests.support.notices import get_last_notice, revoke_anna, wait_until_settled
from tests.support.world import ANNA, BEN, BY_DAY, CLARA, World, eventually


@pytest.fixture(autouse=True)
async def chat(world: World) -> AsyncIterator[None]:
    """Anna has a chat, and the channel has no faults afterwards."""
    await ask(world, ANNA, "status")
    yield
    await set_channel_faults(world)


async def test_a_message_whose_answer_was_lost_is_not_sent_again(world: World) -> None:
    await set_channel_faults(world, "lost-answer")
    before = await revoke_anna(world)
    notice = await wait_until_settled(world)
    assert notice["delivered_at"] is None and notice["sending"], "nobody knows whether it arrived"
    await asyncio.sleep(1)  # time in which the transport would have repeated it
    assert len(await world.chat(ANNA)) == before + 1


async def test_a_message_that_the_channel_did_not_take_is_sent_again_and_arrives_once(world: World) -> None:
    await set_channel_faults(world, "503", "429")
    before = await revoke_anna(world)
    assert (await wait_until_settled(world))["attempts"] == 2
    assert len(await world.chat(ANNA)) == before + 1


async def test_a_person_who_has_removed_the_bot_is_not_written_to_again(world: World) -> None:
    await set_channel_faults(world, "403")
    before = await revoke_anna(world)
    notice = await wait_until_settled(world)
    assert notice["given_up"] and notice["attempts"] == 0
    assert len(await world.chat(ANNA)) == before


async def test_a_message_that_the_channel_delivers_again_is_answered_once(world: World) -> None:
    token = await world.sign(claims(world), "channel")
    before = len(await world.chat(ANNA))
    body = activity(world, id="delivered-twice")
    assert await post(world, body, token) == 201
    assert await post(world, body, token) in (200, 201)
    assert len(await world.chat(ANNA)) == before + 1
    assert await post(world, activity(world, id="another"), token) == 201
    assert len(await world.chat(ANNA)) == before + 2


async def test_the_welcome_comes_once_however_often_it_is_delivered(world: World) -> None:
    before = len(await world.chat(BEN))
    for _ in range(2):
        await world.say(BEN, type="installationUpdate", action="add", id="installed-once")
    assert len(await world.chat(BEN)) == before + 1


async def test_muted_messages_are_not_written(world: World) -> None:
    await world.client(ANNA).call("PUT", "notices", {**BY_DAY, "muted": ["session"]})
    before = await revoke_anna(world)
    assert (await wait_until_settled(world))["given_up"]
    assert len(await world.chat(ANNA)) == before


def night_now() -> dict[str, int]:
    """Quiet hours around this moment in Berlin, where the channel says that people are."""
    here = datetime.now(ZoneInfo("Europe/Berlin"))
    minute = here.hour * 60 + here.minute
    return {"quietFrom": (minute - 60) % 1440, "quietUntil": (minute + 60) % 1440}


async def test_at_night_messages_wait_until_the_morning(world: World) -> None:
    await world.client(ANNA).call("PUT", "notices", {**BY_DAY, "quiet": True, **night_now()})
    before = await revoke_anna(world)

    async def postponed() -> bool:
        notice = get_last_notice(world)
        due = datetime.fromtimestamp(notice["next_attempt_at"] / 1000, UTC)
        minutes = (due - datetime.now(UTC)).total_seconds() / 60
        return notice["object_id"] == ANNA.object_id and 58 < minutes < 61

    await eventually(postponed, "the message waits for the end of the night")
    assert len(await world.chat(ANNA)) == before
    # In the morning it is no longer true for anyone who has signed in again.
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    with closing(sqlite3.connect(world.demo.state / "pbx-teams.db")) as connection, connection:
        connection.execute(
            "UPDATE notice SET next_attempt_at = 0 WHERE id = ?", (get_last_notice(world)["id"],)
        )
    await world.client(ANNA).call("PUT", "notices", BY_DAY)
    assert (await wait_until_settled(world))["given_up"]
    assert len(await world.chat(ANNA)) == before


async def test_a_seat_that_somebody_waits_for_is_reported_in_the_middle_of_the_night(world: World) -> None:
    for person in (CLARA, BEN):
        await world.pbx("PATCH", f"users/{person.login}", {"permissions": ["Administrator"]})

    async def full() -> bool:
        answers = [await world.client(person).sign_in(world.pbx_name, world.key) for person in (CLARA, BEN)]
        kinds = [answer.body.get("licence", {}).get("kind") for answer in answers]
        return kinds == ["FL", "FL"]

    await eventually(full, "both seats are held")
    anna = world.client(ANNA)
    assert (await anna.sign_in(world.pbx_name, world.key)).code == "no-licence"
    await anna.call("POST", "waiting")
    await anna.call("PUT", "notices", {**BY_DAY, "quiet": True, "muted": ["session"], **night_now()})
    before = len(await world.chat(ANNA))
    await world.client(BEN).sign_out()

    async def told() -> Any:
        return (await world.chat(ANNA))[before:]

    card = (await eventually(told, "she is told at once"))[0]["attachments"][0]["content"]
    assert "A licence is free for you" in words(card)
    refresh = card["refresh"]["action"]
    assert "no longer" not in words(await press_button(world, ANNA, refresh["verb"], **refresh["data"]))
    await anna.call("DELETE", "waiting")
    over = await press_button(world, ANNA, refresh["verb"], **refresh["data"])
    assert "The licence is no longer kept for you." in words(over)
    await anna.sign_in(world.pbx_name, world.key)
    now = await press_button(world, ANNA, refresh["verb"], **refresh["data"])
    assert "You are signed in now." in words(now) and "task/fetch" not in words(now)


async def test_every_card_tells_the_present_state_when_it_is_refreshed(world: World) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    cards = {
        text: await ask(world, ANNA, text) for text in ("status", "licence", "audio", "help", "messages")
    }
    await world.client(ANNA).sign_out()
    for text in ("status", "licence", "audio"):
        refresh = cards[text]["refresh"]
        assert refresh["userIds"] == [f"29:{ANNA.object_id}"]
        again = await press_button(world, ANNA, refresh["action"]["verb"], **refresh["action"]["data"])
        assert "You are not signed in" in words(again), text
    for text in ("help", "messages"):
        action = cards[text]["refresh"]["action"]
        again = await press_button(world, ANNA, action["verb"], **action["data"])
        assert again["body"][0] == cards[text]["body"][0]


async def test_the_bot_shows_and_keeps_which_messages_somebody_wants(world: World) -> None:
    card = await ask(world, ANNA, "Nachrichten", "de-DE")
    assert "Nachts ruhig" in words(card) and "Europe/Berlin" in words(card)
    assert "administration" not in [element.get("id") for element in card["body"]]
    saved = await press_button(
        world,
        ANNA,
        "notices-save",
        **card["actions"][0]["data"],
        **{
            "session": "true",
            "audio": "false",
            "quiet": "true",
            "quiet-from": "21:30",
            "quiet-until": "06:15",
        },
    )
    assert "Gespeichert." in words(saved)
    settings = (await world.client(ANNA).call("GET", "notices")).body
    assert settings["muted"] == ["audio"] and settings["quiet"]
    assert (settings["quietFrom"], settings["quietUntil"]) == (21 * 60 + 30, 6 * 60 + 15)
    await press_button(world, ANNA, "notices-save", **{"quiet-from": "25:00", "quiet-until": "nonsense"})
    assert (await world.client(ANNA).call("GET", "notices")).body["quietFrom"] == 21 * 60 + 30


async def test_a_mistyped_sign_out_is_asked_first(world: World) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    question = await ask(world, ANNA, "sing out")
    assert "Do you want to sign out?" in words(question)
    assert (await world.client(ANNA).state())["signedIn"]
    yes = question["actions"][0]
    assert "You are not signed in" in words(await press_button(world, ANNA, yes["verb"], **yes["data"]))
    assert "You are not signed in" in words(await ask(world, ANNA, "sing out"))


async def test_a_group_chat_gets_the_way_to_the_personal_one(world: World) -> None:
    before = len(await world.chat(ANNA))
    for kind in ("groupChat", "channel"):
        conversation = {"id": ANNA.object_id, "conversationType": kind, "isGroup": True}
        await world.say(ANNA, type="message", text="status", conversation=conversation)
    said = [entry.get("text", "") for entry in (await world.chat(ANNA))[before:]]
    polite = [text for text in said if "I only work in a personal chat" in text]
    assert len(polite) == 2 and all(
        "https://teams.microsoft.com/l/chat/0/0?users=28%3A" in text for text in polite
    )
