"""An administrator takes a licence back from the chat, after a question; nobody else can."""

from typing import Any

import pytest

from tests.support.chat import ask, facts, list_choices, press_button, words
from tests.support.world import ANNA, BEN, CLARA, World


def buttons(card: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {action["title"]: action for action in card["actions"]}


@pytest.fixture
async def everybody(world: World) -> World:
    for person in (ANNA, BEN, CLARA):
        assert (await world.client(person).sign_in(world.pbx_name, world.key)).status == 200
    return world


async def test_taking_a_licence_back_after_a_question(everybody: World) -> None:
    world = everybody
    card = await ask(world, CLARA, "licences")
    assert facts(card) == {
        "PBX": world.pbx_name,
        "Licences": "2 of 2 in use",
        "Free": "0",
        "Waiting": "0",
        "Signed in": "3",
    }
    anna = list_choices(card)["Anna Berger"]
    question = await press_button(world, CLARA, "revoke-ask", session=anna, reason=" Holiday ")
    assert "Anna Berger (1001) is signed out at once" in words(question)
    assert "Reason: Holiday" in words(question)
    assert (await world.client(ANNA).state())["signedIn"], "nothing is done before the answer"
    back = buttons(question)["Cancel"]
    assert back["verb"] == "licences"
    yes = buttons(question)["Revoke the licence"]
    done = await press_button(world, CLARA, yes["verb"], **yes["data"])
    assert "Anna Berger (1001) has been signed out" in words(done)
    assert "Anna Berger" not in list_choices(done) and facts(done)["Free"] == "1"
    end = (await world.client(ANNA).state())["sessionEnd"]
    assert end["reason"] == "Holiday" and end["endedBy"] == "Clara Vogt"


async def test_pressing_twice_and_an_old_card_do_no_harm(everybody: World) -> None:
    world = everybody
    anna = list_choices(await ask(world, CLARA, "Lizenzen"))["Anna Berger"]
    for _ in range(2):
        card = await press_button(world, CLARA, "revoke", session=anna)
    assert "has ended already" in words(card)
    assert "has ended already" in words(await press_button(world, CLARA, "revoke-ask", session=anna))
    assert "Choose a person first" in words(await press_button(world, CLARA, "revoke-ask"))


@pytest.mark.parametrize("verb", ["licences", "revoke-ask", "revoke"])
async def test_who_is_no_administrator_learns_and_does_nothing(everybody: World, verb: str) -> None:
    world = everybody
    clara = list_choices(await ask(world, CLARA, "licences"))["Clara Vogt"]
    refused = words(await press_button(world, ANNA, verb, session=clara, search="", reason="x"))
    assert "administrator" in refused and "Clara" not in refused
    assert (await world.client(CLARA).state())["signedIn"]
    assert "licences" not in {action.get("verb") for action in (await ask(world, ANNA, "status"))["actions"]}
    assert "licences" in {action.get("verb") for action in (await ask(world, CLARA, "status"))["actions"]}


async def test_an_administrator_who_is_one_no_longer_is_asked_of_the_pbx(everybody: World) -> None:
    world = everybody
    anna = list_choices(await ask(world, CLARA, "licences"))["Anna Berger"]
    await world.pbx("PATCH", "users/1003", {"permissions": []})
    assert "administrator" in words(await press_button(world, CLARA, "revoke", session=anna))
    assert (await world.client(ANNA).state())["signedIn"]


async def test_the_search_finds_and_tells_when_it_does_not(everybody: World) -> None:
    world = everybody
    found = await press_button(world, CLARA, "licences", search="krüger", language="de")
    assert list(list_choices(found)) == ["Ben Krüger"]
    none = words(await press_button(world, CLARA, "licences", search="nobody", language="de"))
    assert "Niemand gefunden für „nobody“" in none


@pytest.mark.parametrize(
    "data", [{"session": 7}, {"session": ["x"]}, {"session": "x" * 5000}, {"search": {}}]
)
async def test_nonsense_in_a_card_is_answered(everybody: World, data: dict[str, Any]) -> None:
    for verb in ("licences", "revoke-ask", "revoke", "notice", "notices-save", "audio-notice", "nothing"):
        assert (await press_button(everybody, CLARA, verb, **data))["type"] == "AdaptiveCard"


async def test_two_people_of_one_name_are_distinguished(everybody: World) -> None:
    world = everybody
    for person in (ANNA, BEN):
        await world.pbx("PATCH", f"users/{person.login}", {"firstName": "Peter", "familyName": "Müller"})
    try:
        for person in (ANNA, BEN):
            await world.client(person).sign_in(world.pbx_name, world.key)
        card = await ask(world, CLARA, "licences")
        shown = next(element for element in card["body"] if element["type"] == "Input.ChoiceSet")["choices"]
        titles = {choice["title"]: choice["value"] for choice in shown}
        assert {"Peter Müller (1001, floating licence)", "Peter Müller (1002, user licence)"} < set(titles)
        ben = titles["Peter Müller (1002, user licence)"]
        question = words(await press_button(world, CLARA, "revoke-ask", session=ben))
        assert "Peter Müller (1002) is signed out at once" in question
        done = words(await press_button(world, CLARA, "revoke", session=ben))
        assert "Peter Müller (1002) has been signed out" in done
        assert not (await world.client(BEN).state())["signedIn"]
        assert (await world.client(ANNA).state())["signedIn"]
    finally:
        for person in (ANNA, BEN):
            first, _, family = person.name.partition(" ")
            await world.pbx("PATCH", f"users/{person.login}", {"firstName": first, "familyName": family})
