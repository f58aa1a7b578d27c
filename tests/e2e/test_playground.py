"""The bot in Microsoft's own client, on the screen: message, card, button, proactive message."""

import pytest
from playwright.async_api import Browser

from tests.support.playground import playground
from tests.support.telephone import DeskPhone
from tests.support.world import ANNA, BY_DAY, CLARA, World

"""Tests run at night as well."""


async def revoke_anna(world: World, reason: str) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    holders = (await clara.call("GET", "licences")).body["holders"]
    session_id = next(holder["sessionId"] for holder in holders if holder["displayName"] == "Anna Berger")
    await clara.call("POST", "licences/revoke", {"sessionIds": [session_id], "reason": reason})


@pytest.mark.parametrize(
    ("locale", "licence", "texts"),
    [
        (
            "en-US",
            "licence",
            {
                "welcome": "Your telephone system in Teams",
                "status": "Your connection to the PBX",
                "seats": "1 of 2 in use",
                "revoked": "You have been signed out",
                "reason": "Reason: Lunch",
                "sign-out": "Sign out",
                "out": "You are not signed in",
                "help": "What I understand",
                "help-word": "help",
                "typo": "staus",
                "messages-word": "messages",
                "messages": "Quiet at night: messages wait until the morning",
                "save": "Save",
                "saved": "Saved.",
                "unknown-word": "sandwich",
                "unknown": "I did not understand that.",
                "sign-out-typo": "sing out",
                "really": "Do you want to sign out?",
            },
        ),
        (
            "de-DE",
            "Lizenz",
            {
                "welcome": "Ihre Telefonanlage in Teams",
                "status": "Ihre Verbindung zur Telefonanlage",
                "seats": "1 von 2 belegt",
                "revoked": "Sie wurden abgemeldet",
                "reason": "Grund: Lunch",
                "sign-out": "Abmelden",
                "out": "Sie sind nicht angemeldet",
                "help": "Das verstehe ich",
                "help-word": "Hilfe",
                "typo": "Staus",
                "messages-word": "Nachrichten",
                "messages": "Nachts ruhig: Nachrichten warten bis zum Morgen",
                "save": "Speichern",
                "saved": "Gespeichert.",
                "unknown-word": "Butterbrot",
                "unknown": "Das habe ich nicht verstanden.",
                "sign-out-typo": "abmleden",
                "really": "Möchten Sie sich abmelden?",
            },
        ),
    ],
)
async def test_the_whole_conversation(
    world: World, browser: Browser, locale: str, licence: str, texts: dict[str, str]
) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    async with playground(world, browser, ANNA.object_id, locale) as chat:
        await chat.shows(texts["welcome"])
        await chat.say(licence)
        await chat.shows(texts["seats"])
        await chat.say(texts["help-word"])
        await chat.shows(texts["help"])
        await chat.say(texts["unknown-word"])
        await chat.shows(texts["unknown"])
        await chat.say(texts["messages-word"])
        await chat.shows(texts["messages"])
        await chat.press(texts["save"])
        await chat.shows(texts["saved"])
        await chat.say(texts["sign-out-typo"])
        await chat.shows(texts["really"])
        await chat.say(texts["typo"])
        await chat.shows(texts["status"])
        await chat.shows("Anna Berger (1001)")
        await world.client(ANNA).call("PUT", "notices", BY_DAY)
        await revoke_anna(world, "Lunch")
        await chat.shows(texts["revoked"])
        await chat.shows(texts["reason"])
        await world.client(ANNA).sign_in(world.pbx_name, world.key)
        await chat.say("status")
        await chat.shows(texts["status"])
        await chat.press(texts["sign-out"])
        await chat.shows(texts["out"])
        assert not (await world.client(ANNA).state())["signedIn"]


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        (
            "en-US",
            {
                "word": "licences",
                "title": "Who holds a licence",
                "who": "Choose a person",
                "take": "Revoke …",
                "really": "Anna Berger (1001) is signed out at once and told by me.",
                "yes": "Revoke the licence",
                "done": "Anna Berger (1001) has been signed out; the licence is free.",
            },
        ),
        (
            "de-DE",
            {
                "word": "Lizenzen",
                "title": "Wer eine Lizenz hat",
                "who": "Person wählen",
                "take": "Entziehen …",
                "really": "Anna Berger (1001) wird sofort abgemeldet und von mir benachrichtigt.",
                "yes": "Lizenz entziehen",
                "done": "Anna Berger (1001) wurde abgemeldet; die Lizenz ist frei.",
            },
        ),
    ],
)
async def test_an_administrator_takes_a_licence_back(
    world: World, browser: Browser, locale: str, texts: dict[str, str]
) -> None:
    for person in (ANNA, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    async with playground(world, browser, CLARA.object_id, locale) as chat:
        await chat.say(texts["word"])
        await chat.shows(texts["title"])
        await chat.choose("Anna Berger")
        await chat.press(texts["take"])
        await chat.shows(texts["really"])
        await chat.press(texts["yes"])
        await chat.shows(texts["done"])
        assert not (await world.client(ANNA).state())["signedIn"]


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        (
            "en-US",
            {
                "say": "call 1002",
                "rings": "Your phone rings",
                "talks": "On the phone",
                "end": "Hang up",
                "over": "Call ended",
            },
        ),
        (
            "de-DE",
            {
                "say": "anrufen 1002",
                "rings": "Ihr Telefon klingelt",
                "talks": "Im Gespräch",
                "end": "Auflegen",
                "over": "Anruf beendet",
            },
        ),
    ],
)
async def test_a_call_from_the_chat(
    world: World, browser: Browser, locale: str, texts: dict[str, str]
) -> None:
    phone = await DeskPhone(world, ANNA).begin()
    async with playground(world, browser, ANNA.object_id, locale) as chat:
        await chat.say(texts["say"])
        await chat.shows(texts["rings"])
        (call,) = await phone.calls()
        await phone.act(call, "lift")
        (other,) = [one for one in await phone.calls(everybody=True) if one["id"] != call["id"]]
        await phone.act(other, "connect")
        await chat.shows(texts["talks"])
        await chat.press(texts["end"])
        await chat.shows(texts["over"])
        assert await phone.calls() == []
