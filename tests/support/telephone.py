"""A user who has switched their telephone on, with a chat, and the phone on their desk at the simulated PBX."""

import json
from typing import Any

from connector.login import uci_token
from simulator.people import TENANT_ID
from tests.support.tab_client import Answer, TabClient
from tests.support.world import World, eventually
from wire.bounds import from_b64url
from wire.link import seal_context
from wire.pbxkey import parse_key
from wire.phone import PHONE
from wire.sealing import seal

OUTSIDE, OUTSIDE_NAME = "00493023125901", "Jürgen Lindner"
SECONDS = 25.0


async def switch_on(client: TabClient, pbx_name: str, key: str) -> Answer:
    """Give the consent: seal the UCI login to the connector."""
    prepared = await client.call("POST", "phone/challenge")
    if prepared.status != 200:
        return prepared
    challenge = prepared.body
    nonce, login = challenge["nonce"], challenge["login"]
    context = seal_context(pbx_name, TENANT_ID, client.person.object_id, nonce, PHONE)
    secret = json.dumps({"login": login, "uciToken": uci_token(login, client.person.password)}).encode()
    box = seal(from_b64url(challenge["sealingKey"]), parse_key(key), secret, context)
    return await client.call("PUT", "phone", {"nonce": nonce, "box": box.model_dump(by_alias=True)})


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
        answer = await switch_on(self.client, self.world.pbx_name, self.world.key)
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
