"""Messages to the bot as Teams sends them, and the cards that come back."""

import json
import time
from typing import Any

from simulator.people import APP_ID, TENANT_ID
from tests.support.world import ANNA, World


async def ask(world: World, person: Any, text: str, locale: str = "en-US") -> dict[str, Any]:
    """Send a message; return the card of the answer."""
    before = len(await world.chat(person))
    answer = await world.say(person, locale, type="message", text=text)
    assert answer["status"] in (200, 201), answer
    added = (await world.chat(person))[before + 1 :]
    return next(activity for activity in added if activity.get("attachments"))["attachments"][0]["content"]


def words(card: dict[str, Any]) -> str:
    return json.dumps(card, ensure_ascii=False)


def facts(card: dict[str, Any]) -> dict[str, str]:
    rows = [
        [column["items"][0]["inlines"][0]["text"] for column in element["columns"]]
        for element in card["body"]
        if element["type"] == "ColumnSet"
    ]
    return dict(rows)


def activity(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "id": "1",
        "text": "status",
        "channelId": "msteams",
        "serviceUrl": f"http://127.0.0.1:{world.demo.teams_port}",
        "from": {"id": "29:x", "aadObjectId": ANNA.object_id},
        "recipient": {"id": f"28:{APP_ID}"},
        "conversation": {"id": ANNA.object_id, "conversationType": "personal", "tenantId": TENANT_ID},
        "channelData": {"tenant": {"id": TENANT_ID}},
    } | changes


def claims(world: World, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {
        "iss": "https://api.botframework.com",
        "aud": APP_ID,
        "serviceurl": f"http://127.0.0.1:{world.demo.teams_port}",
        "nbf": now,
        "exp": now + 600,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


async def post(world: World, body: Any, token: str | None) -> int:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = body if isinstance(body, str) else json.dumps(body)
    url = f"{world.demo.service_url}/api/messages"
    async with world.http.post(url, data=data, headers=headers) as response:
        return response.status


async def press_button(
    world: World, person: Any, verb: str, locale: str = "en-US", **data: Any
) -> dict[str, Any]:
    """Press a button of a card; return the card that replaces it."""
    action = {"type": "Action.Execute", "verb": verb, "data": data}
    answer = await world.say(
        person,
        locale,
        type="invoke",
        name="adaptiveCard/action",
        value={"action": action, "trigger": "manual"},
    )
    assert answer["status"] == 200, answer
    return answer["body"]["value"]


def list_choices(card: dict[str, Any]) -> dict[str, str]:
    """Return the choices of a card: their titles without the parenthesis, and their values."""
    chosen = next(element for element in card["body"] if element["type"] == "Input.ChoiceSet")
    return {choice["title"].split(" (")[0]: choice["value"] for choice in chosen["choices"]}


BUTTON_FIELDS = (
    "session",
    "reason",
    "search",
    "kind",
    "detail",
    "device",
    "topics",
    "quiet",
    "quiet-from",
    "language",
)
"""The members of the data that a card's buttons send."""


async def set_channel_faults(world: World, *kinds: Any) -> None:
    """Let the simulated channel fail at its next requests; without arguments, at none."""
    async with world.http.put(f"{world.demo.teams_url}/control/faults", json=list(kinds)) as answer:
        assert answer.status == 200


def card_title(card: dict[str, Any]) -> str:
    return card["body"][0]["text"]
