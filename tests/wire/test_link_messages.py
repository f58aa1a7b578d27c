"""The opening of a link across versions, and what a hello cannot be made to say."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from wire.jsonrpc import Frame
from wire.link import Hello

RECORDED = Path(__file__).parent / "hellos_of_0_1_0.jsonl"
"""Frames of a connector before wire.bounds; one with everything said, in odd words, and one with nothing optional."""
FULL, BARE = RECORDED.read_text(encoding="ascii").splitlines()


def params_of(line: str) -> dict[str, Any]:
    params = Frame.model_validate_json(line).params
    assert params is not None
    return params


@pytest.mark.parametrize("line", [FULL, BARE])
def test_an_older_connector_can_still_open_a_link(line: str) -> None:
    params = params_of(line)
    assert Hello.model_validate(params).is_genuine(params)


def test_what_is_shown_is_cleaned_and_the_signature_still_verifies() -> None:
    params = params_of(FULL)
    hello = Hello.model_validate(params)
    assert hello.status.detail == 'GET /users answers 500: "R\u0308uckruf" \U0001f600'
    assert hello.status.permission_name == "Integration mit Microsoft Teams"
    assert hello.status.pbx_version == "6.7.3.20 (beta)"
    assert hello.is_genuine(params)


@pytest.mark.parametrize("member", sorted(params_of(FULL)))
def test_no_member_can_be_exchanged(member: str) -> None:
    params, other = params_of(FULL), params_of(FULL)
    changed = {
        "licenceKeys": [],
        "status": {**other["status"], "detail": other["status"]["detail"] + " "},
        "previousKeyUntil": "2026-11-01T12:00:00.001Z",
    }
    value = other[member]
    other[member] = changed[member] if member in changed else ("B" if value[0] == "A" else "A") + value[1:]
    assert other[member] != params[member]
    try:
        assert not Hello.model_validate(other).is_genuine(other)
    except ValidationError:
        return  # no key, no digest


@pytest.mark.parametrize(
    "until",
    [
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z"),
        *("1969-12-31T23:59:59Z", "2026-11-01T12:00:00", 1e300, "NaN"),
    ],
)
def test_a_time_outside_the_range_of_computation_is_refused(until: Any) -> None:
    with pytest.raises(ValidationError):
        Hello.model_validate({**params_of(FULL), "previousKeyUntil": until})


@pytest.mark.parametrize(
    "change",
    [
        {"identity": "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbh"},  # other trailing bits, the same bytes
        {"identity": "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="},
        {"identity": "A6EH!v_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"},
        {"sealingKey": "BI5T"},
        {"signature": "x" * 200},
        {"licenceKeys": [1]},
        {"licenceKeys": ["x"] * 51},
    ],
)
def test_a_key_has_one_text(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Hello.model_validate(params_of(FULL) | change)


def test_the_recorded_frames_are_what_was_sent() -> None:
    assert [json.loads(line)["method"] for line in (FULL, BARE)] == ["link.hello", "link.hello"]
