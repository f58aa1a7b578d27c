"""The telephone in the chat: commands are executed at the PBX, and the card shows the PBX's answer."""

from typing import Any

import pytest

from tests.support.chat import card_title
from tests.support.telephone import DeskPhone, ask, cards, press, words
from tests.support.world import ANNA, BEN, World, eventually

SECONDS = 25.0


@pytest.fixture
async def phone(world: World) -> Any:
    phone = await DeskPhone(world, ANNA).begin()
    yield phone
    await phone.end_calls()


async def test_a_number_is_dialled_and_the_card_follows_the_call(world: World, phone: DeskPhone) -> None:
    card = await ask(world, "call 030 23125 901")
    assert card_title(card) == "Your phone rings"
    assert "00493023125901" in words(card) and "snom-1001" in words(card)
    (call,) = await phone.calls()
    await phone.act(call, "lift")
    await phone.act(call, "connect")

    async def talks() -> Any:
        return card_title((await cards(world, ANNA))[-1]) == "On the phone"

    await eventually(talks, "the card tells that they talk", seconds=SECONDS)
    assert "Jürgen Lindner" in words((await cards(world, ANNA))[-1])
    await ask(world, "hang up")
    assert await phone.calls() == []

    async def is_over() -> Any:
        return any(card_title(one) == "Call ended" for one in await cards(world, ANNA))

    await eventually(is_over, "the card tells that it is over", seconds=SECONDS)


async def test_a_name_is_searched_and_several_are_asked(world: World, phone: DeskPhone) -> None:
    card = await ask(world, "Lindner anrufen")
    assert card_title(card) == "Wen möchten Sie anrufen?"
    (choose,) = (element for element in card["body"] if element["type"] == "Input.ChoiceSet")
    assert len(choose["choices"]) >= 2 and "Jürgen Lindner" in choose["choices"][0]["title"]
    assert await phone.calls() == []
    dialling = await press(world, card, "Anrufen", number="004915228817386")
    assert card_title(dialling) == "Ihr Telefon klingelt"
    (call,) = await phone.calls()
    assert call["calledNumber"].endswith("15228817386")
    await press(world, dialling, "Auflegen")
    assert await phone.calls() == []


async def test_nobody_found_is_said(world: World, phone: DeskPhone) -> None:
    card = await ask(world, "call Nobody Atall")
    assert "Nobody was found for “Nobody Atall”" in words(card)


async def test_a_message_that_is_delivered_twice_is_one_call(world: World, phone: DeskPhone) -> None:
    for _ in range(2):
        await world.say(ANNA, type="message", text="call 1002", id="twice-1")
    assert len(await phone.calls()) == 1


async def test_a_second_click_is_no_second_call(world: World, phone: DeskPhone) -> None:
    card = await ask(world, "call")
    assert card_title(card) == "Whom do you want to call?"
    for _ in range(2):
        await press(world, card, "Call", number="1002")
    assert len(await phone.calls()) == 1


async def test_an_emergency_number_asks_first(world: World, phone: DeskPhone) -> None:
    card = await ask(world, "anrufen 110")
    assert card_title(card) == "Möchten Sie wirklich anrufen?" and "Notruf" in words(card)
    assert await phone.calls() == []
    done = await press(world, card, "Anrufen")
    assert card_title(done) == "Ihr Telefon klingelt"
    (call,) = await phone.calls()
    assert call["calledNumber"] == "110"


async def test_do_not_disturb_is_switched_and_shown_as_the_pbx_reports_it(
    world: World, phone: DeskPhone
) -> None:
    card = await ask(world, "dnd on")
    assert (await phone.client.call("GET", "phone")).body["line"]["doNotDisturb"] is True
    assert "Do not disturb: off" in [action.get("title") for action in card["actions"]]
    card = await ask(world, "nicht stören aus")
    assert (await phone.client.call("GET", "phone")).body["line"]["doNotDisturb"] is False
    assert "Nicht stören: an" in [action.get("title") for action in card["actions"]]


async def test_all_calls_are_redirected_to_the_mobile_and_back(world: World, phone: DeskPhone) -> None:
    async def redirects() -> list[dict[str, Any]]:
        line = (await phone.client.call("GET", "phone")).body["line"]
        return [one for one in line["redirects"] if one["trigger"] == "always" and not one["group"]]

    card = await ask(world, "forward to mobile")
    assert all(one["isOn"] and one["number"].startswith("004917139200") for one in await redirects())
    assert "to 004917139200" in words(card)
    card = await ask(world, "umleiten aus")
    assert not any(one["isOn"] for one in await redirects())
    await ask(world, "umleiten auf 0171 392 00 01")
    assert all(one["isOn"] and one["number"] == "00491713920001" for one in await redirects())
    card = await ask(world, "forward to 1002")
    assert all(one["isOn"] and one["number"] == "1002" for one in await redirects())
    await press(world, card, "Redirects off")
    assert not any(one["isOn"] for one in await redirects())


async def test_missed_calls_are_listed_and_called_back(world: World, phone: DeskPhone) -> None:
    card = await ask(world, "calls")
    assert card_title(card) == "Missed calls"
    (choose,) = (element for element in card["body"] if element["type"] == "Input.ChoiceSet")
    assert choose["choices"]
    dialling = await press(world, card, "Call back", number="00493023125913")
    assert card_title(dialling) == "Your phone rings"
    assert len(await phone.calls()) == 1


async def test_hang_up_without_a_call(world: World, phone: DeskPhone) -> None:
    assert "You have no call" in words(await ask(world, "hang up"))


async def test_help_lists_the_telephone(world: World) -> None:
    card = words(await ask(world, "Hilfe"))
    assert "anrufen …" in card and "umleiten auf …" in card


async def test_a_person_whose_telephone_is_off_is_informed_what_to_do(world: World) -> None:
    assert "You are not signed in" in words(await ask(world, "call 1002", person=BEN))
    await world.client(BEN).sign_in(world.pbx_name, world.key)
    card = await ask(world, "call 1002", person=BEN)
    assert "Your telephone is not switched on here" in words(card)
    assert any("phone" in action.get("url", "") for action in card["actions"])


@pytest.mark.parametrize(
    "data",
    [
        {"number": "1002\u202e", "id": "x"},
        {"number": ["1"], "id": {}},
        {"number": "9" * 5000},
        {"call": "../../x", "shown": {"told": "nonsense"}},
        {"call": 7, "shown": 7},
        {"argument": "on\nforward"},
        {"shown": {"call": "x" * 500, "at": -1, "told": "ringing"}},
    ],
)
@pytest.mark.parametrize("verb", ["call", "call-confirmed", "call-state", "hang-up", "redirect"])
async def test_what_a_button_never_sends_harms_nobody(world: World, verb: str, data: Any) -> None:
    action = {"type": "Action.Execute", "verb": verb, "data": data}
    answer = await world.say(
        BEN, type="invoke", name="adaptiveCard/action", value={"action": action, "trigger": "manual"}
    )
    assert answer["status"] == 200
    assert answer["body"]["type"] == "application/vnd.microsoft.card.adaptive", answer["body"]
