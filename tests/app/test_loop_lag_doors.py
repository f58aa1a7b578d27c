"""No request keeps the service from its other work, at any door that there is: the doors come from the code (the API's table,
the routes, the invokes and buttons of the bot), so that one which comes later is asked without anybody thinking of it.

How it is measured: `test_loop_lag`.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from pydantic import BaseModel

from app.composition import create
from bot.activity import _INVOKES
from bot.adapter import MAX_ACTIVITY_BYTES
from bot.commands import Command
from tab.operation import MAX_BODY_BYTES, Operation
from tab.operations import OPERATIONS
from tests.support.chat import BUTTON_FIELDS, activity, claims
from tests.support.loop_lag import (
    MAX_HEADER,
    PIECES,
    Neighbour,
    Send,
    assert_never_held,
    make_text,
    post_request,
)
from tests.support.service_settings import make_settings
from tests.support.world import CLARA, World

LONG: Final = 1_500
"""Bytes of a text whose length its type does not bound."""
LONGER: Final = 20_000
"""Of a text that is refused or cut for its length."""
MOST_ELEMENTS: Final = 8
TELEPHONE: Final = ("number", "name", "argument", "id", "call", "shown", "phone", "said")
PIECES_AT_ONCE: Final = 18
"""One for each name of what a button carries."""

OTHER_DOORS: Final = {
    "/api/messages": "below",
    "/connector/link": "test_loop_lag.test_frames_of_connectors",
    "/probe/link": "test_loop_lag.test_frames_of_probes",
    "/healthz": "it is what is asked all the time",
    "/readyz": "takes nothing",
    "/metrics": "test_loop_lag.test_heads_tokens_and_files",
    "/api/v1/events": "takes a token, a language and two switches: test_loop_lag.test_heads_tokens_and_files",
    "/api/v1/openapi.json": "takes a token",
    "/downloads/": "takes nothing",
    "/downloads/{ticket}/{file}": "test_downloads",
    "/tab": "takes nothing",
    "/tab/": "takes nothing",
    "/tab/dial": "the page reads the number, not the service",
    "/tab/{file}": "test_loop_lag.test_heads_tokens_and_files",
}


async def test_every_door_is_known_here() -> None:
    app = create(make_settings("https://teams.example.com"))
    routes = {route.resource.canonical for route in app.router.routes() if route.resource is not None}
    assert routes == OTHER_DOORS.keys() | {operation.path for operation in OPERATIONS}


def filled(schema: Any, root: Any, make: Callable[[int | None], str], choice: int) -> Any:
    """A value of this JSON schema whose texts `make` makes; of alternatives the one of this number."""
    if "$ref" in schema:
        return filled(root["$defs"][schema["$ref"].rpartition("/")[2]], root, make, choice)
    for one in ("anyOf", "oneOf"):
        if one in schema:
            options = [option for option in schema[one] if option.get("type") != "null"]
            return filled(options[choice % len(options)], root, make, choice)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][choice % len(schema["enum"])]
    match schema.get("type"):
        case "object":
            members = schema.get("properties", {})
            return {name: filled(member, root, make, choice) for name, member in members.items()}
        case "array":
            count = min(schema.get("maxItems", MOST_ELEMENTS), MOST_ELEMENTS)
            return [filled(schema["items"], root, make, choice) for _ in range(count)]
        case "string":
            return "2026-11-27" if schema.get("format") == "date" else make(schema.get("maxLength"))
        case "boolean":
            return True
        case _:
            return schema.get("minimum", 1)


def values(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """With each worst text in all places at once: as long as each place takes it, and longer. The alternatives of a type
    take turns.
    """
    schema = model.model_json_schema(by_alias=True)
    choices = 4 if "oneOf" in json.dumps(schema) or "anyOf" in json.dumps(schema) else 1
    for number, piece in enumerate(PIECES):
        short = partial(_of_length, piece, LONG)
        yield repr(piece), filled(schema, schema, short, number % choices)
    for piece in PIECES:
        longer = partial(_of_length, piece, LONGER)
        yield f"{piece!r}, longer", filled(schema, schema, lambda _most, longer=longer: longer(None), 0)


def _of_length(piece: str, size: int, most: int | None) -> str:
    return make_text(piece, min(most or size, size))[:most]


def holds_text(model: type[BaseModel] | None) -> bool:
    return model is not None and '"string"' in json.dumps(model.model_json_schema())


BODIES: Final = [operation for operation in OPERATIONS if holds_text(operation.body)]
QUERIES: Final = [operation for operation in OPERATIONS if holds_text(operation.query)]
PATHS: Final = [operation for operation in OPERATIONS if "{" in operation.path]


@pytest.fixture
async def token(world: World) -> str:
    """Of Clara, whom no operation refuses before it has looked at what it was given."""
    clara = world.client(CLARA)
    assert (await clara.sign_in(world.pbx_name, world.key)).status == 200
    return await clara.token()


@pytest.mark.parametrize("operation", BODIES, ids=lambda operation: operation.id)
async def test_bodies(world: World, neighbour: Neighbour, token: str, operation: Operation) -> None:
    def requests() -> Iterator[tuple[str, Send]]:
        assert operation.body is not None
        for what, body in values(operation.body):
            data = json.dumps(body).encode()
            if len(data) <= MAX_BODY_BYTES:
                arguments = world, operation.method, operation.path, token, data, MAX_BODY_BYTES
                yield what, post_request(*arguments)

    await assert_never_held(neighbour, requests())


@pytest.mark.parametrize("operation", [*QUERIES, *PATHS], ids=lambda operation: operation.id)
async def test_queries_and_paths(
    world: World, neighbour: Neighbour, token: str, operation: Operation
) -> None:
    def targets() -> Iterator[tuple[str, str]]:
        for piece in PIECES:
            part = quote(make_text(piece, MAX_HEADER // 8).encode()[: MAX_HEADER // 4], safe="")[
                : MAX_HEADER // 2
            ]
            yield piece, operation.path.replace("{callId}", part)
        if operation.query is not None:
            for what, query in values(operation.query):
                given = {name: value for name, value in query.items() if not isinstance(value, list | dict)}
                target = f"{operation.path}?{urlencode(given)}"
                if len(target) <= MAX_HEADER:
                    yield what, target

    def requests() -> Iterator[tuple[str, Send]]:
        for what, target in targets():
            yield repr(what), post_request(world, operation.method, target, token, b"", MAX_BODY_BYTES)

    await assert_never_held(neighbour, requests())


@pytest.mark.parametrize("name", _INVOKES)
async def test_invokes(world: World, neighbour: Neighbour, name: str) -> None:
    token = await world.sign(claims(world), "channel")

    def requests() -> Iterator[tuple[str, Send]]:
        for what, value in values(_INVOKES[name]):
            yield what, saying(world, token, name, value)

    await assert_never_held(neighbour, requests())


@pytest.mark.parametrize("verb", list(Command))
async def test_buttons(world: World, neighbour: Neighbour, verb: Command) -> None:
    token = await world.sign(claims(world), "channel")
    names = (*BUTTON_FIELDS, *TELEPHONE)

    def requests() -> Iterator[tuple[str, Send]]:
        for begin in range(0, len(PIECES), PIECES_AT_ONCE):
            pieces = PIECES[begin : begin + PIECES_AT_ONCE]
            data = dict(zip(names, (make_text(piece, 10_000) for piece in pieces), strict=False))
            value = {"action": {"type": "Action.Execute", "verb": verb, "data": data}}
            yield str(begin), saying(world, token, "adaptiveCard/action", value)

    await assert_never_held(neighbour, requests())


def saying(world: World, token: str, name: str, value: Any) -> Send:
    def made() -> Any:
        # One that came before is not looked at again.
        return activity(world, id=str(uuid.uuid4()), type="invoke", name=name, value=value)

    return post_request(world, "POST", "/api/messages", token, made, MAX_ACTIVITY_BYTES)
