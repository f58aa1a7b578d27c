"""Whatever a peer writes into any member of any message: it is refused, or it can be stored and sent on."""

import inspect
import json
import math
from contextlib import suppress
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, insert, select

import wire.doctor
import wire.jsonrpc
import wire.link
import wire.pbxkey
import wire.plane
import wire.probe
import wire.sealing
from core.audio.call_records import CallRecord, CallRecordList
from core.identity.token_user import parse_user
from core.licensing.licence_key import LicenceKey
from core.store.database import Database
from tab.operations import OPERATIONS
from tests.support.hostile import ODD, hostile, leaves, one_odd_each
from wire.bounds import MAX_INTEGER

MODULES: Final = (wire.link, wire.probe, wire.plane, wire.doctor, wire.jsonrpc, wire.sealing, wire.pbxkey)
"""Both ends of a border import these; every model in them comes from outside at one of the two."""
NOT_STORED: Final = {"licence_keys", "password", "uci_token", "params", "result", "id"}
"""Members that are looked into and never stored as they came: their text may hold anything but half a character."""
READ_AS_JSON: Final = {
    wire.jsonrpc.Frame,
    wire.plane.PlaneCall,
    wire.plane.PlaneAnswer,
    wire.plane.TopicsChanged,
}
EXAMPLES: Final = 25


def models_of(module: ModuleType) -> list[type[BaseModel]]:
    return [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, BaseModel) and one.__module__ == module.__name__
    ]


MODELS: Final = sorted(
    {model for module in MODULES for model in models_of(module)}
    | {one for operation in OPERATIONS for one in (operation.body, operation.query) if one is not None}
    | {LicenceKey, CallRecord, CallRecordList},
    key=lambda model: (model.__module__, model.__name__),
)
quick = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def parsed(model: type[BaseModel], members: dict[str, Any]) -> BaseModel | None:
    try:
        return model.model_validate(members)
    except ValidationError:
        return None


def check(value: BaseModel) -> None:
    for name, leaf in leaves(value):
        if isinstance(leaf, str):
            leaf.encode()
            assert name in NOT_STORED or "\x00" not in leaf, name
        elif isinstance(leaf, int):
            assert -MAX_INTEGER <= leaf <= MAX_INTEGER, name
        elif isinstance(leaf, float):
            assert math.isfinite(leaf), name
    text = to_json(value, by_alias=True, inf_nan_mode="strings")
    json.loads(text)
    again = type(value).model_validate_json(text)
    assert to_json(again, by_alias=True) == to_json(value, by_alias=True)


def take(model: type[BaseModel], members: dict[str, Any]) -> bool:
    """As the doors do: frames are read as JSON, and what is in them as Python objects. Whether it was within bounds."""
    value = None
    if model not in READ_AS_JSON:
        value = parsed(model, members)
    else:
        with suppress(ValueError):  # also what is no JSON at all
            value = model.model_validate_json(json.dumps(members))
    if value is not None:
        check(value)
    return value is not None


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_message_is_refused_or_within_bounds(model: type[BaseModel]) -> None:
    right: list[dict[str, Any]] = []

    @quick
    @given(hostile(model))
    def parse(members: dict[str, Any]) -> None:
        if take(model, members):
            right.append(members)

    parse()
    assert right, "no example was right: the strategy says nothing"
    for members in one_odd_each(model, right[0]):
        take(model, members)


def test_the_border_has_models() -> None:
    assert len(MODELS) > 60


@quick
@given(ODD, ODD, ODD, ODD)
def test_a_token_can_name_a_person_in_any_way(name: Any, email: Any, upn: Any, wids: Any) -> None:
    claims = {"name": name, "email": email, "preferred_username": upn, "upn": upn, "wids": wids, "acct": 0}
    user = parse_user(claims, "t", "o", ("issuer",))
    for text in (user.name, user.email, user.verified_email):
        text.encode()
        assert "\x00" not in text and len(text) <= 320


async def test_what_is_taken_can_be_stored(database_url: str) -> None:
    """On both databases, in columns of the kinds that the schema has."""
    texts: set[str] = set()
    numbers: set[int] = set()

    def collect(model: type[BaseModel]) -> None:
        @settings(quick, max_examples=15)
        @given(hostile(model))
        def parse(members: dict[str, Any]) -> None:
            value = parsed(model, members)
            for name, leaf in leaves(value) if value is not None else ():
                if name not in NOT_STORED and isinstance(leaf, str):
                    texts.add(str(leaf))
                elif isinstance(leaf, int) and not isinstance(leaf, bool):
                    numbers.add(leaf)

        parse()

    for model in MODELS:
        collect(model)
    assert len(texts) > 50 and len(numbers) > 5
    metadata = MetaData()
    table = Table(
        "odd",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("text", Text),
        Column("number", BigInteger),
    )
    database = Database(database_url)
    try:
        async with database.writing() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.execute(
                insert(table), [{"text": text, "number": None} for text in sorted(texts)]
            )
            await connection.execute(
                insert(table), [{"text": None, "number": one} for one in sorted(numbers)]
            )
        async with database.reading() as connection:
            rows = (await connection.execute(select(table.c.text, table.c.number))).all()
        assert {row.text for row in rows} - {None} == texts
        assert {row.number for row in rows} - {None} == numbers
    finally:
        await database.close()
