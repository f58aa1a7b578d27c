"""The message extension by signed invokes: search, and "Call the number in this message", in whichever chat."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.numbers_in_text import find_numbers
from tests.support.telephone import DeskPhone, words
from tests.support.world import ANNA, BEN, World

GROUP = {"id": "19:meeting@thread.v2", "conversationType": "groupChat", "isGroup": True}


@pytest.fixture
async def phone(world: World) -> AsyncIterator[DeskPhone]:
    phone = await DeskPhone(world, ANNA).begin()
    yield phone
    await phone.end_calls()


async def invoke(
    world: World, name: str, value: dict[str, Any], person: Any = ANNA, locale: str = "en-US"
) -> Any:
    """In a group chat, where the bot itself does not answer."""
    tenant = (await world.http.get(f"{world.demo.teams_url}/host/people")).json
    tenant_id = (await tenant())["tenantId"]
    answer = await world.say(
        person,
        locale,
        type="invoke",
        name=f"composeExtension/{name}",
        value=value,
        conversation={**GROUP, "tenantId": tenant_id},
    )
    assert answer["status"] == 200, answer
    return answer["body"]


async def search(world: World, text: str, person: Any = ANNA) -> dict[str, Any]:
    value = {
        "commandId": "find-number",
        "parameters": [{"name": "search", "value": text}],
        "queryOptions": {"skip": 0, "count": 25},
    }
    return (await invoke(world, "query", value, person))["composeExtension"]


async def open_on(world: World, content: str, locale: str = "en-US") -> dict[str, Any]:
    """The card of the dialog that the command opens on a message."""
    value = {
        "commandId": "call-number",
        "commandContext": "message",
        "messagePayload": {"id": "1", "body": {"contentType": "html", "content": content}},
    }
    task = (await invoke(world, "fetchTask", value, locale=locale))["task"]
    assert task["type"] == "continue"
    return task["value"]["card"]["content"]


async def submit(world: World, card: dict[str, Any], **typed: Any) -> dict[str, Any]:
    (action,) = card["actions"]
    value = {"commandId": "call-number", "data": {**action["data"], **typed}}
    return (await invoke(world, "submitAction", value))["task"]


async def test_a_search_gives_cards_that_ask_before_they_dial(world: World, phone: DeskPhone) -> None:
    found = await search(world, "Lindner")
    assert found["type"] == "result" and found["attachmentLayout"] == "list"
    one = found["attachments"][0]
    assert one["preview"]["content"]["title"] == "Jürgen Lindner"
    (action,) = one["content"]["actions"]
    assert action["type"] == "Action.OpenUrl" and "dial%3A0049" in action["url"]
    assert "refresh" not in one["content"]  # it goes to other people
    assert await phone.calls() == []


async def test_the_number_in_a_message_is_asked_and_then_dialled(world: World, phone: DeskPhone) -> None:
    card = await open_on(world, "<p>Bitte <b>030 / 23 12 59-01</b> zurückrufen, bis 05.12.2026</p>")
    assert "030 / 23 12 59-01" in words(card)
    assert await phone.calls() == []
    done = await submit(world, card)
    assert done["type"] == "message" and "pick it up" in done["value"]
    (call,) = await phone.calls()
    assert call["calledNumber"] == "00493023125901"
    await submit(world, card)
    assert len(await phone.calls()) == 1


async def test_of_several_numbers_one_is_chosen(world: World, phone: DeskPhone) -> None:
    card = await open_on(world, "0721 123456, +49 171 3920040<br>0721 123456", "de-DE")
    (choose,) = (element for element in card["body"] if element["type"] == "Input.ChoiceSet")
    assert [choice["value"] for choice in choose["choices"]] == ["0721 123456", "+49 171 3920040"]
    await submit(world, card, number="+49 171 3920040")
    (call,) = await phone.calls()
    assert call["calledNumber"] == "00491713920040"


async def test_without_a_number_one_can_be_typed_and_an_emergency_asks(
    world: World, phone: DeskPhone
) -> None:
    card = await open_on(world, "see you at 10:30")
    assert "No telephone number was found" in words(card)
    again = await submit(world, card, number="not a number")
    assert "This is no telephone number" in words(again)
    asked = await submit(world, card, number="112")
    assert asked["type"] == "continue" and "emergency" in words(asked)
    assert await phone.calls() == []
    done = await submit(world, asked["value"]["card"]["content"])
    assert done["type"] == "message"
    assert [call["calledNumber"] for call in await phone.calls()] == ["112"]


async def test_who_is_not_signed_in_is_informed(world: World) -> None:
    found = await search(world, "Lindner", BEN)
    assert found["type"] == "message" and "not signed in" in found["text"]


async def test_the_chat_in_which_it_is_used_is_not_written_to(world: World, phone: DeskPhone) -> None:
    await world.say(ANNA, type="message", text="status")
    await search(world, "Lindner")
    with world.database() as database:
        references = [row[0] for row in database.execute("SELECT reference FROM conversation")]
    assert references and not any("19:meeting" in reference for reference in references)


async def test_a_person_with_two_organisations_in_an_activity_gets_no_data(
    world: World, phone: DeskPhone
) -> None:
    other = "aaaaaaaa-3c1b-4d6e-9a51-2f7f0f6c1a01"
    for name, value in (
        ("query", {"parameters": [{"name": "search", "value": "Lindner"}]}),
        ("submitAction", {"data": {"number": "1002"}}),
    ):
        answer = await world.say(
            ANNA,
            type="invoke",
            name=f"composeExtension/{name}",
            value=value,
            conversation={**GROUP, "tenantId": other},
        )
        assert answer["status"] == 200 and "cannot tell who you are" in words(answer["body"])
    assert await phone.calls() == []


@pytest.mark.parametrize("name", ["query", "fetchTask", "submitAction"])
@pytest.mark.parametrize(
    "value",
    [
        {},
        {"commandId": {}, "parameters": "x", "messagePayload": [], "data": 7},
        {"parameters": [1, {"value": ["x"]}, {}], "messagePayload": {"body": {"content": 9}}, "data": []},
        {"parameters": [{"name": "search", "value": "x" * 50_000}]},
        {"messagePayload": {"body": {"content": "<" * 60_000}}, "data": {"number": "0" * 60_000}},
        {
            "messagePayload": {"body": {"content": "0 " * 30_000}},
            "data": {"number": "110", "confirmed": "yes"},
        },
    ],
)
async def test_odd_invokes_are_answered_in_words(world: World, name: str, value: Any) -> None:
    body = await invoke(world, name, value, BEN)
    assert body.keys() & {"composeExtension", "task"}


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        ('<a href="tel:+4972112345">anrufen</a>', ["+4972112345"]),
        ("Tel.: (0721) 123-45, Fax 0721/123-46", ["(0721) 123-45", "0721/123-46"]),
        ("+49&nbsp;30&nbsp;23125901", ["+49 30 23125901"]),
        ("<td>0721 12345</td><td>0171 3920001</td>", ["0721 12345", "0171 3920001"]),
        ("01.02.2026, 09:30, 0815, 1.000.000, 2026-05-01, 10/12/2026", []),
        ("https://example.com/0721123456", []),
        ("<" * 20_000 + "0721 12345", []),
    ],
)
def test_numbers_are_found_as_people_write_them(content: str, numbers: list[str]) -> None:
    assert find_numbers(content) == numbers
