"""JSON from outside: nesting, numbers, evidence."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from wire import safejson
from wire.jsonrpc import Frame


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 5000 + "]" * 5000, "[" * 100_000, '{"a":' * 100 + "1" + "}" * 100, '"\\ud800"', "NaN"),
        *("[" * 22 + "]" * 22, "[1e999]", "[" + "9" * 5000 + "]", "", "\x00", b"\xff"),
    ],
)
def test_what_is_no_json_for_us_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        safejson.parse(text)


def test_what_is_json_is_read() -> None:
    value = {"a": [1, -2.5, None, True, "\u00e4"], "b": {"c": []}, "d": -(2**64)}
    assert safejson.parse(json.dumps(value)) == value


@pytest.mark.parametrize(
    "result", ["[" * 20 + "]" * 20, "9" * 17, "-" + "9" * 4000, "NaN", "Infinity", '{"x":1e999}']
)
def test_a_frame_with_odd_values_is_no_frame(result: str) -> None:
    with pytest.raises(ValidationError):
        Frame.model_validate_json(f'{{"jsonrpc":"2.0","id":1,"result":{{"x":{result}}}}}')


@pytest.mark.parametrize("call_id", ["true", "1.5", "9" * 20, "[]", '"' + "x" * 101 + '"'])
def test_a_frame_has_a_plain_id(call_id: str) -> None:
    with pytest.raises(ValidationError):
        Frame.model_validate_json(f'{{"jsonrpc":"2.0","id":{call_id},"method":"link.ping"}}')


def test_evidence_is_scalars_only() -> None:
    given: dict[str, Any] = {
        "error": "it\x00 broke\n" + "x" * 1000,
        "list": [1],
        "object": {},
        "big": 2**70,
        "nan": float("nan"),
        "count": 3,
        "none": None,
        "n\x00ame": True,
        **{f"more{number}": number for number in range(1000)},
    }
    taken = TypeAdapter(safejson.Evidence).validate_python(given)
    assert taken["error"].startswith("it broke x") and len(taken["error"]) == 500
    assert (taken["count"], taken["none"], taken["name"]) == (3, None, True)
    assert not {"list", "object", "big", "nan"} & set(taken)
    assert len(taken) <= safejson.MAX_EVIDENCE
