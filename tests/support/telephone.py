"""A user who has switched their telephone on, with a chat, and the phone on their desk at the simulated PBX."""

import json
from typing import Any

from tests.support.tab_client import TabClient
from tests.support.world import ANNA, World, eventually

OUTSIDE, OUTSIDE_NAME = "00493023125901", "Jürgen Lindner"
SECONDS = 25.0


class DeskPhone:
    def __init__(self, world: World, person: Any) -> None:
        self.world, self.person = world, person
        self.client = world.client(person)

    async def begin(self, *, ends_calls: bool = True) -> "DeskPhone":
        """Sign in, switch the telephone on, and wait until its line is up."""
        if ends_calls:
            await self.end_calls()
        await self.client.sign_in(self.world.pbx_name, self.world.key)
        await self.world.uci_is_on()
        answer = await self.client.switch_phone_on(self.world.pbx_name, self.world.key)
        assert answer.status == 200, answer.body

        async def is_up() -> bool:
            line = (await self.client.call("GET", "phone")).body.get("line")
            return line is not None and line["state"] == "up"

        await eventually(is_up, "the line is up", seconds=SECONDS)
        return self

    async def forgets_calls(self) -> None:
        """Wait until ended calls, which are shown for some seconds, have disappeared."""

        async def none() -> bool:
            return (await self.client.call("GET", "phone")).body["line"]["calls"] == []

        await eventually(none, "no call is shown", seconds=60)

    async def end_calls(self) -> None:
        for call in await self.calls(everybody=True):
            await self.world.http.post(f"{self.world.starface_url}/control/calls/{call['id']}/hangup")

    async def calls(self, *, everybody: bool = False) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = (await self.world.pbx("GET", "state"))["calls"]
        return [call for call in calls if everybody or call["login"] == self.person.login]

    async def ring(self, number: str = OUTSIDE, name: str = OUTSIDE_NAME, called: str = "") -> dict[str, Any]:
        """Call the user from outside; return the user's own leg."""
        body = {
            "called": called or self.person.login,
            "callerNumber": number,
            "callerName": name,
        }
        calls = (await self.world.pbx("POST", "incoming", body))["calls"]
        return next(call for call in calls if call["login"] == self.person.login)

    async def act(self, call: Any, act: str, **body: Any) -> None:
        await self.world.pbx("POST", f"calls/{call['id']}/{act}", body or None)


async def cards(world: World, person: Any) -> list[dict[str, Any]]:
    """Return the bot's activities in the chat, newest last."""
    return [
        activity["attachments"][0]["content"]
        for activity in await world.chat(person)
        if activity.get("attachments")
    ]


def words(card: Any) -> str:
    return json.dumps(card, ensure_ascii=False)


async def wait_for_line(client: TabClient, fits: Any, what: str = "the line is as expected") -> Any:
    """Wait until the user's line satisfies `fits`, and return it."""

    async def found() -> Any:
        answer = await client.call("GET", "phone")
        assert answer.status == 200, answer.body
        shown = answer.body["line"]
        return shown if shown is not None and fits(shown) else None

    return await eventually(found, what, seconds=20)


async def list_pbx_calls(world: World) -> list[dict[str, str]]:
    """Return all legs of all calls at the PBX."""
    return (await world.pbx("GET", "state"))["calls"]


async def call_from_outside(world: World, called: str = ANNA.login, name: str = "") -> str:
    """Call a user from outside; return the id of the call."""
    body = {"called": called, "callerNumber": OUTSIDE, "callerName": name}
    return (await world.pbx("POST", "incoming", body))["calls"][0]["id"]


async def ask(world: World, text: str, locale: str = "en-US", person: Any = ANNA) -> dict[str, Any]:
    """Says something; gives the card that answers."""
    before = len(await world.chat(person))
    answer = await world.say(person, locale, type="message", text=text)
    assert answer["status"] in (200, 201), answer
    added = (await world.chat(person))[before + 1 :]
    return next(one for one in added if one.get("attachments"))["attachments"][0]["content"]


async def press(world: World, card: dict[str, Any], title: str, **typed: Any) -> dict[str, Any]:
    """A button of a card; gives the card in its place."""
    action = next(one for one in card["actions"] if one.get("title") == title)
    value = {
        "action": {
            "type": "Action.Execute",
            "verb": action["verb"],
            "data": {**action["data"], **typed},
        },
        "trigger": "manual",
    }
    answer = await world.say(ANNA, type="invoke", name="adaptiveCard/action", value=value)
    assert answer["status"] == 200, answer
    return answer["body"]["value"]
