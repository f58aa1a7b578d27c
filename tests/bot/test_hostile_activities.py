"""Whatever a validly signed activity contains: it is answered or refused, and never a fault of the service."""

import http.client
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.activity import ActivityRejectedError, parse
from bot.adapter import MAX_ACTIVITY_BYTES
from bot.commands import Command
from tests.support.chat import BUTTON_FIELDS, activity, claims
from tests.support.world import World
from wire.safejson import MAX_FOREIGN_DEPTH

ALLOWED = {200, 201, 202, 400, 401, 403, 413}
REQUIRED = ("type", "channelId", "serviceUrl", "from", "recipient", "conversation")
OPTIONAL = (
    "id",
    "text",
    "locale",
    "localTimezone",
    "value",
    "name",
    "action",
    "channelData",
    "entities",
    "attachments",
)
TYPES = (
    "message",
    "invoke",
    "installationUpdate",
    "conversationUpdate",
    "typing",
    "event",
    "delay",
    "trace",
    "",
)
INVOKES = (
    "adaptiveCard/action",
    "task/fetch",
    "task/submit",
    "composeExtension/query",
    "signin/verifyState",
    "",
)

ODD_TEXTS = st.sampled_from(
    (
        *(
            "",
            ".",
            "..",
            "../..",
            "a/b?c#d",
            "\u0000",
            "\ufffe",
            "\u202egnp.exe",
            "😀" * 300,
            "{{DATE(x)}}",
            "%2e%2e",
        ),
        *(
            "{actor}",
            "{0.__class__}",
            "[x](https://evil.example.com)",
            "'; DROP TABLE notice; --",
            "x" * 5_000,
        ),
    )
)
ODD_NUMBERS = st.sampled_from((0, -1, 2**31, 2**53, 2**63, 2**64, 10**300, 1e308, -0.0, 0.1))
LEAVES = st.none() | st.booleans() | ODD_NUMBERS | ODD_TEXTS | st.text(max_size=20)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12) | ODD_TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)
DETAILS = st.dictionaries(
    st.sampled_from(
        ("pbx_name", "actor", "reason", "until", "seats", "serial", "why", "device", "changes", "other")
    ),
    VALUES,
)
DATA = st.dictionaries(st.sampled_from(BUTTON_FIELDS), VALUES | DETAILS, max_size=6)
KINDS = st.sampled_from(("revoked", "key-expires", "seat-offered", "audio-conflict", "x", "idle.title"))
ACTIONS = st.fixed_dictionaries(
    {
        "type": st.just("Action.Execute") | VALUES,
        "verb": st.sampled_from([command.value for command in Command]) | ODD_TEXTS | VALUES,
        "data": DATA | st.fixed_dictionaries({"kind": KINDS, "detail": DETAILS}) | VALUES,
    }
)


@st.composite
def hostile(draw: st.DrawFn) -> Any:
    """What to change in a good activity; None takes a member away."""
    changes: dict[str, Any] = {"type": draw(st.sampled_from(TYPES))}
    if changes["type"] == "invoke":
        changes["name"] = draw(st.sampled_from(INVOKES))
        good = {"adaptiveCard/action": st.fixed_dictionaries({"action": ACTIONS})}
        changes["value"] = draw(good.get(changes["name"], st.fixed_dictionaries({"data": DATA})) | VALUES)
    else:
        changes |= draw(st.dictionaries(st.sampled_from(OPTIONAL), VALUES, max_size=4))
    if draw(st.integers(0, 3)) == 0:
        member = draw(st.sampled_from(REQUIRED))
        inner = st.sampled_from(("id", "aadObjectId", "name", "tenantId", "conversationType", "isGroup"))
        changes[member] = draw(VALUES | st.dictionaries(inner, VALUES, min_size=1))
    return changes


@dataclass(frozen=True)
class Door:
    address: str
    token: str
    good: dict[str, Any]

    def post(self, body: bytes) -> int:
        """Without aiohttp's client, so that a test can be an ordinary function for hypothesis."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request("POST", "/api/messages", body, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def changed(self, changes: dict[str, Any]) -> bytes:
        merged = {
            name: {**self.good[name], **change}
            if isinstance(change, dict) and isinstance(self.good.get(name), dict)
            else change
            for name, change in changes.items()
        }
        return json.dumps(self.good | merged).encode("utf-8", "surrogatepass")


@pytest.fixture
async def door(the_world: World) -> AsyncIterator[Door]:
    token = await the_world.sign(claims(the_world), "channel")
    before = len(the_world.log_entries())
    yield Door(urlsplit(the_world.demo.service_url).netloc, token, activity(the_world))
    faults = [entry for entry in the_world.log_entries()[before:] if entry["message"] == "turn failed"]
    assert faults == [], "an odd activity is no fault"


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=hostile())
def test_no_activity_is_a_fault(door: Door, changes: dict[str, Any]) -> None:
    assert door.post(door.changed(changes)) in ALLOWED


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_no_body_is_a_fault(door: Door, body: bytes) -> None:
    assert door.post(body) in ALLOWED


@pytest.mark.parametrize("verb", list(Command))
def test_every_button_takes_every_odd_value(door: Door, verb: Command) -> None:
    values: list[Any] = [
        None,
        True,
        7,
        -1,
        2**70,
        1e308,
        "",
        "\u0000",
        "x" * 10_000,
        [],
        [[]],
        {},
        {"a": {"b": []}},
    ]
    for value in values:
        data = dict.fromkeys(BUTTON_FIELDS, value)
        changes = {"action": {"type": "Action.Execute", "verb": verb, "data": data}}
        status = door.post(door.changed({"type": "invoke", "name": "adaptiveCard/action", "value": changes}))
        assert status == 200, value


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 5_000 + b"]" * 5_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"type": 1e999}',
        b'{"type": NaN}',
        b"1" * 5_000,
        b'{"type": "\\ud800"}',
        b'{"type": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_usable_json_is_refused(door: Door, body: bytes) -> None:
    assert door.post(body) == 400


def test_what_is_too_large_or_too_deep_is_refused(door: Door) -> None:
    assert door.post(door.changed({"text": "x" * MAX_ACTIVITY_BYTES})) == 413
    deep: Any = 1
    for _ in range(MAX_FOREIGN_DEPTH):
        deep = [deep]
    assert door.post(door.changed({"entities": deep})) == 400


def test_what_teams_adds_beside_what_the_bot_reads_is_no_reason_to_refuse(door: Door) -> None:
    """A .NET channel sends 64-bit integers, and Teams adds more members over time."""
    more = {"source": {"ticks": 638_000_000_000_000_000}, "sequence": 2**63 - 1, "unsigned": 2**64 - 1}
    changes = {"channelData": {**door.good["channelData"], **more}, "entities": [more], "attachments": [more]}
    assert door.post(door.changed({"type": "message", "text": "help", **changes})) in (200, 201)


def test_what_is_left_of_an_activity_is_what_the_bot_reads() -> None:
    body = {
        "type": "message",
        "id": "1\n2",
        "channelId": "msteams",
        "serviceUrl": "https://smba.trafficmanager.net/de/",
        "from": {"id": "29:x", "name": "A\u202enna\nBerger", "aadObjectId": 7, "role": {"x": []}},
        "recipient": {"id": "28:y", "properties": {"x": 1}},
        "conversation": {"id": "c", "isGroup": "yes", "tenantId": []},
        "channelData": [1],
        "text": "\u0000status\u0007 ",
        "locale": "de-DE\r\nX: 1",
        "localTimezone": "../../etc/passwd",
        "attachments": [{"content": 1}],
        "callerId": "urn:botframework:azure",
        "deliveryMode": "expectReplies",
    }
    parsed = parse(json.dumps(body).encode())
    assert (parsed.id, parsed.text, parsed.locale, parsed.local_timezone) == (None, "status", "", "")
    assert parsed.from_property.name == "Anna Berger" and parsed.from_property.aad_object_id == ""
    assert parsed.channel_data == {"tenant": {"id": ""}} and parsed.conversation.is_group is False
    assert parsed.attachments is None and parsed.delivery_mode is None and parsed.caller_id is None


@pytest.mark.parametrize("conversation_id", [".", "..", "", "a\nb", 7, None, "x" * 501])
def test_an_id_that_could_change_an_address_is_refused(conversation_id: Any) -> None:
    account = {"id": "29:x"}
    body = {"type": "message", "channelId": "msteams", "serviceUrl": "https://smba.trafficmanager.net/de/"}
    body |= {"from": account, "recipient": account, "conversation": {"id": conversation_id}}
    with pytest.raises(ActivityRejectedError):
        parse(json.dumps(body).encode())
