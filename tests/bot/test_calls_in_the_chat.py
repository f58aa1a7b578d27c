"""Calls in the chat: for people who switched that on, one card for a call, kept up to date, and quiet about who it is unless
they chose otherwise.
"""

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.chat import card_title
from tests.support.telephone import OUTSIDE, OUTSIDE_NAME, DeskPhone, words
from tests.support.world import ANNA, BEN, World, eventually

SECONDS = 25.0
PUT_BACK = {"calls-in-chat": "false", "missed-calls": "false", "numbers-in-chat": "false"}


class Chat:
    """What the bot has written first since the test began."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.before: set[str] = set()

    async def begin(self) -> "Chat":
        await self.world.say(ANNA, type="message", text="status")
        self.before = {activity["id"] for activity in await self.world.chat(ANNA)}
        return self

    async def wants(self, *toggles: str) -> None:
        data = PUT_BACK | dict.fromkeys(toggles, "true") | {"quiet": "false"}
        action = {"type": "Action.Execute", "verb": "notices-save", "data": data}
        answer = await self.world.say(
            ANNA,
            type="invoke",
            name="adaptiveCard/action",
            value={"action": action, "trigger": "manual"},
        )
        assert answer["status"] == 200

    async def cards(self) -> list[dict[str, Any]]:
        return [
            activity["attachments"][0]["content"]
            for activity in await self.world.chat(ANNA)
            if activity["id"] not in self.before and activity.get("attachments")
        ]

    async def tells(self, *titles: str) -> list[dict[str, Any]]:
        """Wait until the cards have exactly these titles."""

        async def do() -> Any:
            return [card_title(card) for card in await self.cards()] == list(titles)

        try:
            await eventually(do, f"{titles}", seconds=SECONDS)
        except AssertionError:
            raise AssertionError([card_title(card) for card in await self.cards()]) from None
        return await self.cards()

    async def writes(self) -> int:
        """New cards and updates, by the channel."""
        async with self.world.http.get(f"{self.world.demo.teams_url}/control/posts") as answer:
            return len(await answer.json())


@pytest.fixture
async def phone(world: World) -> AsyncIterator[DeskPhone]:
    phone = await DeskPhone(world, ANNA).begin()
    yield phone
    await phone.end_calls()


@pytest.fixture
async def chat(world: World, phone: DeskPhone) -> AsyncIterator[Chat]:
    chat = await Chat(world).begin()
    yield chat
    await chat.wants()


async def test_one_card_follows_a_call_from_ringing_to_the_end(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants("calls-in-chat", "numbers-in-chat")
    call = await phone.ring()
    (card,) = await chat.tells("Incoming call")
    assert (await chat.world.chat(ANNA))[-1]["summary"] == f"Incoming call: {OUTSIDE_NAME}"
    assert OUTSIDE_NAME in words(card) and OUTSIDE in words(card)
    assert [action["title"] for action in card["actions"]] == ["Reject", "Open the Phone page"]
    await phone.act(call, "connect")
    await chat.tells("On the phone")
    await phone.act(call, "hangup", later=90)
    (card,) = await chat.tells("Call ended")
    assert "Call back" in [action["title"] for action in card["actions"]]


async def test_without_the_choice_a_card_and_its_buttons_do_not_name_the_caller(
    chat: Chat, phone: DeskPhone
) -> None:
    await chat.wants("calls-in-chat", "missed-calls")
    call = await phone.ring()
    (card,) = await chat.tells("Incoming call")
    assert (await chat.world.chat(ANNA))[-1]["summary"] == "Incoming call"
    await phone.act(call, "hangup")
    (missed,) = await chat.tells("Missed call")
    for told in (words(card), words(missed)):
        assert "Lindner" not in told and "23125901" not in told
    assert "Somebody called" in words(missed)


async def test_reject_ends_the_call_here(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants("calls-in-chat")
    await phone.ring()
    (card,) = await chat.tells("Incoming call")
    action = next(one for one in card["actions"] if one["title"] == "Reject")
    value = {"action": {"type": "Action.Execute", "verb": action["verb"], "data": action["data"]}}
    answer = await chat.world.say(ANNA, type="invoke", name="adaptiveCard/action", value=value)
    assert answer["status"] == 200
    assert await phone.calls() == []


async def test_a_missed_call_is_reported_once_and_rewritten_when_it_is_called_back(
    chat: Chat, phone: DeskPhone
) -> None:
    await chat.wants("missed-calls", "numbers-in-chat")
    call = await phone.ring()
    await phone.act(call, "hangup")
    (card,) = await chat.tells("Missed call")
    assert "Call back" in [action["title"] for action in card["actions"]]
    call_back = {"number": OUTSIDE, "callId": "0b6f4f0e-3a0c-4b55-9f6f-4b1f2f5f0a01"}
    assert (await phone.client.call("POST", "phone/calls", call_back)).status == 200
    (call,) = await phone.calls()
    await phone.act(call, "lift")
    await phone.act(call, "connect")
    await chat.tells("Missed call, settled")


async def test_a_talk_before_a_missed_call_does_not_settle_it(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants("missed-calls", "numbers-in-chat")
    dialled = {"number": OUTSIDE, "callId": str(uuid.uuid4())}
    assert (await phone.client.call("POST", "phone/calls", dialled)).status == 200
    (talk,) = await phone.calls()
    for act in ("lift", "connect", "hangup"):
        await phone.act(talk, act)
    call = await phone.ring()
    await phone.act(call, "hangup")
    await chat.tells("Missed call")
    # Another call lets the bot read the line again, on which the talk is still shown.
    call = await phone.ring("00494066969210", "Sabine Weiß")
    await phone.act(call, "hangup")
    await chat.tells("Missed call", "Missed call")


async def test_a_groups_call_that_a_colleague_took_is_no_missed_call(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants("calls-in-chat", "missed-calls")
    await chat.world.pbx("PATCH", "groups/1", {"logins": [ANNA.login, BEN.login]})
    try:
        await phone.ring(called="801")
        await chat.tells("Incoming call")
        (bens,) = [call for call in await phone.calls(everybody=True) if call["login"] == BEN.login]
        await phone.act(bens, "connect")
        await chat.tells("Answered elsewhere")
        # A message after it shows that nothing came between.
        await phone.end_calls()
        call = await phone.ring()
        await phone.act(call, "hangup")
        await chat.tells("Answered elsewhere", "Missed call")
    finally:
        await chat.world.pbx("PATCH", "groups/1", {"logins": [ANNA.login]})


async def test_a_call_that_ended_at_once_offers_another_phone(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants("missed-calls", "numbers-in-chat")
    call = await phone.ring()
    await phone.act(call, "connect", later=3)
    await phone.act(call, "hangup", later=3)
    (card,) = await chat.tells("The call ended at once")
    assert {"Call back", "Use another phone"} <= {action["title"] for action in card["actions"]}


async def test_a_colleague_can_be_written_to_instead(chat: Chat, phone: DeskPhone) -> None:
    world = chat.world
    await world.client(BEN).sign_in(world.pbx_name, world.key)
    await chat.wants("calls-in-chat", "numbers-in-chat")
    await phone.ring("1002", "Ben Krüger")
    (card,) = await chat.tells("Incoming call")
    write = next(action for action in card["actions"] if action["title"] == "Write instead")
    assert write["url"].endswith("users=ben.krueger%40example.com")


async def test_a_card_is_written_four_times_at_most(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants("calls-in-chat", "numbers-in-chat")
    before = await chat.writes()
    call = await phone.ring()
    await chat.tells("Incoming call")
    await phone.act(call, "connect")
    await chat.tells("On the phone")
    for act in ("park", "connect") * 4:
        await phone.act(call, act)
    await phone.act(call, "hangup", later=60)
    await chat.tells("Call ended")
    assert await chat.writes() - before <= 4


async def test_who_wants_no_messages_gets_none(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants()
    call = await phone.ring()
    await phone.act(call, "hangup")
    await phone.forgets_calls()
    await chat.wants("missed-calls")
    call = await phone.ring("00494066969210", "Sabine Weiß")
    await phone.act(call, "hangup")
    await chat.tells("Missed call")


async def test_signing_out_ends_the_live_card_and_not_the_call(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants("calls-in-chat", "numbers-in-chat")
    call = await phone.ring()
    await chat.tells("Incoming call")
    await phone.client.sign_out()
    (card,) = await chat.tells("No longer shown")
    assert "Lindner" not in words(card)
    assert call["id"] in [one["id"] for one in await phone.calls()]


async def test_a_service_that_dies_while_it_rings_writes_no_second_card(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants("calls-in-chat", "missed-calls")
    call = await phone.ring()
    (card,) = await chat.tells("Incoming call")
    await chat.world.demo.stop_part("service", signal.SIGKILL)
    await chat.world.demo.start_service()
    await chat.world.connected()
    await phone.begin(ends_calls=False)
    await phone.act(call, "hangup")
    # Another call shows that the line is followed again.
    await phone.ring("00494066969210", "Sabine Weiß")
    await eventually_incoming(chat)
    titles = [card_title(one) for one in await chat.cards()]
    assert titles.count("Incoming call") == 2, titles
    # The first one is as it was, until somebody looks at it.
    value = {"action": card["refresh"]["action"], "trigger": "automatic"}
    answer = await chat.world.say(ANNA, type="invoke", name="adaptiveCard/action", value=value)
    assert card_title(answer["body"]["value"]) in ("Missed call", "No longer shown")


async def eventually_incoming(chat: Chat) -> None:
    async def there() -> bool:
        return [card_title(card) for card in await chat.cards()].count("Incoming call") >= 2

    await eventually(there, "the next call is shown", seconds=60)


async def restart(chat: Chat, phone: DeskPhone, part: str) -> None:
    """Start a part that was stopped, and wait until the line is up."""
    demo = chat.world.demo
    await (demo.start_connector() if part == "connector" else demo.start_service())
    await chat.world.connected()
    await phone.begin(ends_calls=False)


@pytest.mark.parametrize("part", ["connector", "service"])
async def test_a_call_missed_while_a_part_was_dead_is_announced_once(
    chat: Chat, phone: DeskPhone, part: str
) -> None:
    await chat.wants("missed-calls", "numbers-in-chat")
    before = await phone.ring("00498999998311", "Told Before")
    await phone.act(before, "hangup")
    await chat.tells("Missed call")
    await chat.world.demo.stop_part(part, signal.SIGKILL)
    await asyncio.sleep(1)  # the call list has whole seconds
    call = await phone.ring()
    await phone.act(call, "hangup")
    await chat.world.pbx("PATCH", "groups/1", {"logins": [ANNA.login, BEN.login]})
    try:
        await phone.ring("00498999998313", "Group Caller", called="801")
        (bens,) = [one for one in await phone.calls(everybody=True) if one["login"] == BEN.login]
        await phone.act(bens, "connect")
        await phone.end_calls()
    finally:
        await chat.world.pbx("PATCH", "groups/1", {"logins": [ANNA.login]})
    await restart(chat, phone, part)
    _, card = await chat.tells("Missed call", "Missed call")
    assert OUTSIDE_NAME in words(card) and OUTSIDE in words(card)
    # Neither another restart nor a later call brings it again.
    for again in ("connector", "service"):
        await chat.world.demo.stop_part(again, signal.SIGKILL)
        await restart(chat, phone, again)
    last = await phone.ring("00498999998314", "Told After")
    await phone.act(last, "hangup")
    cards = await chat.tells("Missed call", "Missed call", "Missed call")
    assert "Told After" in words(cards[-1])


@pytest.mark.parametrize("part", ["connector", "service"])
async def test_a_call_that_rings_while_a_part_dies_and_is_missed_after_it_is_announced_once(
    chat: Chat, phone: DeskPhone, part: str
) -> None:
    await chat.wants("missed-calls")
    await asyncio.sleep(1)  # the call list has whole seconds, and the test before ends with a missed call
    call = await phone.ring()
    await chat.world.demo.stop_part(part, signal.SIGKILL)
    await restart(chat, phone, part)
    assert await chat.cards() == []
    await phone.act(call, "hangup")
    await chat.tells("Missed call")


async def test_many_missed_calls_after_an_interruption_are_one_message_without_names(
    chat: Chat, phone: DeskPhone
) -> None:
    await chat.wants("missed-calls")
    await chat.world.demo.stop_part("connector", signal.SIGKILL)
    await asyncio.sleep(1)  # the call list has whole seconds
    for last in range(5):
        call = await phone.ring(f"0049899999830{last}", f"Caller {last}")
        await phone.act(call, "hangup")
    await restart(chat, phone, "connector")
    (card,) = await chat.tells("Missed calls")
    assert "5 calls" in words(card)
    assert "Caller" not in words(card) and "refresh" not in card


async def test_nothing_of_a_call_is_stored_or_logged(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants("calls-in-chat", "missed-calls", "numbers-in-chat")
    call = await phone.ring("00498999998312", "Franziska Hölzl")
    await chat.tells("Incoming call")
    await phone.act(call, "hangup")
    await chat.tells("Missed call")
    stored = b"".join(
        path.read_bytes() for path in chat.world.demo.state.glob("pbx-teams.db*") if path.is_file()
    )
    logged = chat.world.log().encode() + chat.world.log("connector").encode()
    for secret in (b"99998312", "Hölzl".encode()):
        assert secret not in stored and secret not in logged


async def test_a_chat_that_is_closed_stops_nothing(chat: Chat, phone: DeskPhone) -> None:
    await chat.wants("calls-in-chat")
    url = f"{chat.world.demo.teams_url}/control/faults"
    await chat.world.http.put(url, json=["500", "403"])
    call = await phone.ring()
    await phone.act(call, "hangup")
    await asyncio.sleep(0)
    await chat.world.http.put(url, json=[])
    call = await phone.ring("00494066969210", "Sabine Weiß")
    cards = await chat.tells("Incoming call")
    assert len(cards) == 1
