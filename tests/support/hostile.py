"""Hostile values for every member of every message, derived from the models, so that new members are covered
automatically.
"""

import enum
import math
import types
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from hypothesis import strategies as some
from pydantic import BaseModel, TypeAdapter, ValidationError

GUID: Final = "6f0c7a53-0d3c-4c77-8a51-6a9d4f1f0a11"
PLAUSIBLE: Final = (
    *("A" * 43, "A" * 86, "A" * 87, "A" * 16, "ab" * 32, "n" * 43, GUID, "-".join(["0000"] * 8)),
    *("pbx.example.com", "anna@example.com", "Europe/Berlin", "6.7.3.20", "1001", "Anna Vogt", "0403:6001"),
    *("2026-11-27T08:00:00Z", "2026-11-27", "link.status", "ABCDEFGH", "2.0", ""),
    *(0, 1, 7, 200, 12.5, True, False, None),
)
SURROGATE: Final = "\ud800"
ODD_TEXTS: Final = (
    *(
        "\x00",
        "a\x00b",
        SURROGATE,
        "\U0001f600"[:1] + "\udc00",
        "\u202e\u2066",
        "\u200b" * 300,
        "\ufeff",
        "\x1b[31m",
    ),
    *(
        "x" * 257,
        "x" * 10_000,
        "a" + "\u0301" * 400,
        "\u3164",
        "'; DROP TABLE pbx; --",
        "{0.__class__}",
        "%s%n",
    ),
    *(
        "<at>" * 2000,
        "../../etc/passwd",
        "9" * 5000,
        "1e999",
        "-1",
        "true",
        "yes",
        "\u0661",
        "A" * 42 + "B",
        "A" * 43 + "=",
    ),
    *(
        "\n",
        "\r\n",
        "\u2028",
        "\ue000",
        "\U000e0041",
        "\uffff",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ),
)
ODD_NUMBERS: Final = (
    *(-1, 2**31, 2**53, 2**63, 2**64, 2**70, 10**300, -(2**70), 1.5, -0.0, 1e308),
    *(math.nan, math.inf, -math.inf),
)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


ODD_OTHERS: Final = (
    *(None, True, False, [], {}, nested(50), [None] * 5000, {"x": {"y": []}}, {"": ""}),
    {"a\x00b": SURROGATE, "n": 2**70},
)
ODD_VALUES: Final = (*ODD_TEXTS, *ODD_NUMBERS, *ODD_OTHERS)

ODD: Final = some.one_of(
    some.sampled_from(ODD_TEXTS),
    some.sampled_from(ODD_NUMBERS),
    some.sampled_from(ODD_OTHERS),
    some.text(some.characters(exclude_categories=()), max_size=50),
    some.integers(),
    some.floats(),
)
"""Values that are wrong for every member."""


def hostile(model: type[BaseModel]) -> some.SearchStrategy[dict[str, Any]]:
    """Generate the members of a message as received: most of them valid, a few odd, missing or unknown."""
    right = some.fixed_dictionaries(
        {alias_of(model, name): right_value(_annotation(model, name)) for name in model.model_fields}
    )
    odd = some.dictionaries(
        some.sampled_from(sorted(alias_of(model, name) for name in model.model_fields) or ["unknown"]),
        ODD,
        max_size=3,
    )
    missing = some.sets(some.sampled_from(sorted(model.model_fields) or ["unknown"]), max_size=1)
    unknown = some.one_of(some.just({}), some.just({}), some.just({"unknown": 1}))

    def put_together(parts: tuple[Any, ...]) -> dict[str, Any]:
        members, odd_ones, gone, more = parts
        members = {**members, **odd_ones, **more}
        return {name: value for name, value in members.items() if name not in gone}

    return some.tuples(right, odd, missing, unknown).map(put_together)


def one_odd_each(model: type[BaseModel], right: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield valid messages with one odd value: each value in each member, and in an element of each list."""
    for name in model.model_fields:
        alias = alias_of(model, name)
        for odd in ODD_VALUES:
            yield {**right, alias: odd}
            yield {**right, alias: [odd]}
            yield {**right, alias: {"error": odd}}


def alias_of(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name


def _annotation(model: type[BaseModel], name: str) -> Any:
    field = model.model_fields[name]
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def right_value(annotation: Any) -> some.SearchStrategy[Any]:
    """Generate values that the type accepts, with an occasional odd value as an element."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = arguments[0]
        fitting = _fitting(annotation)
        return some.sampled_from(fitting) if fitting and not _has_model(inner) else right_value(inner)
    if origin in (Union, types.UnionType):
        return some.one_of([right_value(one) for one in arguments])
    if origin in (list, tuple, set, frozenset, Mapping, dict):
        if origin is dict:
            return some.dictionaries(
                some.sampled_from(("error", "x")), ODD | some.sampled_from(PLAUSIBLE), max_size=3
            )
        element = right_value(arguments[0])
        return some.lists(some.one_of(element, element, element, ODD), max_size=3) | some.lists(
            element, max_size=3
        )
    if origin is Literal:
        return some.sampled_from(arguments)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return hostile(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return some.sampled_from([one.value for one in annotation])
    if annotation in (datetime, date):
        moment = datetime(2026, 11, 27, tzinfo=UTC)
        return some.sampled_from((moment.isoformat(), moment.date().isoformat()))
    return some.sampled_from(_fitting(annotation) or PLAUSIBLE)


def _has_model(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return get_origin(annotation) in (list, tuple, dict) or any(map(_has_model, get_args(annotation)))


@cache
def _fitting_of(adapter_key: str, annotation: Any) -> tuple[Any, ...]:
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    found = []
    for value in PLAUSIBLE:
        try:
            adapter.validate_python(value)
        except ValidationError:
            continue
        found.append(value)
    return tuple(found)


def _fitting(annotation: Any) -> tuple[Any, ...]:
    return _fitting_of(repr(annotation), annotation)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every scalar of a parsed value, with the name of its member."""
    if isinstance(value, BaseModel):
        for member in type(value).model_fields:
            yield from leaves(getattr(value, member), member)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield name, key
            yield from leaves(one, name)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from leaves(one, name)
    else:
        yield name, value


HOSTILE_PIECES: Final = {
    "mentions that never end": "<at>",
    "ends of mentions": "</at>",
    "whole mentions": "<at></at>",
    "opening brackets": "<",
    "letters": "a",
    "letters of commands": "abmelden",
    "a command and blanks": "status ",
    "what is no letter": "!",
    "blanks": " ",
    "umlauts": "ß",
    "capital letters that grow": "\u0130",
    "marks on marks": "e\u0301\u0301\u0301",
    "functions of cards": "{{DATE(",
    "braces": "{",
    "quotation marks": '"',
    "backslashes": "\\",
    "invisible": "\u200b",
    "colours of skin": "\U0001f3fb",
    "flags": "\U0001f1e6",
}
"""Texts that are slow to process when they are repeated often enough."""
