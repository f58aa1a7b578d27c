"""The bot in Microsoft's own client, on the screen: message, card, button, proactive message."""

import pytest
from playwright.async_api import Browser

from tests.support.playground import playground
from tests.support.world import ANNA, CLARA, World


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
        await chat.say("status")
        await chat.shows(texts["status"])
        await chat.shows("Anna Berger (1001)")
        await revoke_anna(world, "Lunch")
        await chat.shows(texts["revoked"])
        await chat.shows(texts["reason"])
        await world.client(ANNA).sign_in(world.pbx_name, world.key)
        await chat.say("status")
        await chat.shows(texts["status"])
        await chat.press(texts["sign-out"])
        await chat.shows(texts["out"])
        assert not (await world.client(ANNA).state())["signedIn"]
