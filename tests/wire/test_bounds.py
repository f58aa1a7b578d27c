"""What the types of wire.bounds take, clean and refuse."""

import json
import time
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import TypeAdapter, ValidationError

from wire import bounds
from wire.bounds import b64url, clean_line, clean_lines, from_b64url
from wire.model import Moment

ANYTHING = some.text(some.characters(exclude_categories=()))
"""Also control characters and lone surrogates."""


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("Anna  Vogt ", "Anna Vogt"),
        ("Anna\nVogt\x00", "Anna Vogt"),
        ("Jose\u0301", "Jos\u00e9"),
        ("half \ud83d an emoji", "half an emoji"),
        ("\u202egnp.exe", "gnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("tag\U000e0041\U000e007f", "tag"),
        ("\u3164\u2800", ""),
        ("a" + "\u0301" * 5000, unicodedata.normalize("NFC", "a" + "\u0301" * 8)),
        ("x" * 300, "x" * 200),
        ("x" * 199 + "\U0001f1e9\U0001f1ea", "x" * 199),
        ("x" * 199 + "q\u0323\u0307", "x" * 199),
        ("x" * 199 + "\U0001f44d\U0001f3fd", "x" * 199),
        ("\u4e2d\u6587 \U0001f600", "\u4e2d\u6587 \U0001f600"),
    ],
)
def test_names_are_cleaned_not_refused(given_name: str, shown: str) -> None:
    assert TypeAdapter(bounds.Name).validate_python(given_name) == shown


@given(ANYTHING)
def test_a_cleaned_line_can_be_stored_sent_and_cleaned_again(text: str) -> None:
    for limit in (1, 5, 200):
        line = clean_line(text, limit)
        assert len(line) <= limit
        assert not any(
            unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in line
        )
        line.encode()
        assert clean_line(line, limit) == line
        lines = clean_lines(text, limit)
        assert "\x00" not in lines
        lines.encode()
        assert clean_lines(lines, limit) == lines


def test_a_reason_keeps_its_lines_and_is_not_cut() -> None:
    reason = TypeAdapter(bounds.Reason)
    assert reason.validate_python("Dear Anna,\r\n\tyour seat\u202e is needed.\x00\n") == (
        "Dear Anna,\n your seat is needed."
    )
    with pytest.raises(ValidationError):
        reason.validate_python("x" * 501)


def test_cleaning_takes_linear_time() -> None:
    """Normalising a run of marks takes quadratic time: 256 KiB of them would take about a minute."""
    hostile = "a" + "\u0301\u0323" * 120_000
    began = time.process_time()
    clean_line(hostile, 100_000)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("value", [-1, 2**53, 2**70, True, "1", 1.0, None, [], "9" * 5000])
def test_a_count_is_an_integer_that_everybody_can_hold(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(bounds.Count).validate_python(value)


@pytest.mark.parametrize("value", [1, 0, "yes", "true", None, 1.0])
def test_a_flag_is_true_or_false(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(bounds.Flag).validate_python(value)
    with pytest.raises(ValidationError):
        TypeAdapter(bounds.Flag).validate_json(json.dumps(value))


def test_a_flag_in_a_query_is_a_word() -> None:
    flag = TypeAdapter(bounds.QueryFlag)
    assert flag.validate_python("true") is True
    assert flag.validate_python("false") is False
    for other in ("1", "yes", "", "True", ["true"]):
        with pytest.raises(ValidationError):
            flag.validate_python(other)


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("anna@example.com", "anna@example.com"),
        ("an na@example.com", ""),
        ("anna\u200b@example.com", ""),
        ("anna\x00@example.com", ""),
        ("\ud800@example.com", ""),
        ("a" * 321, ""),
    ],
)
def test_an_odd_address_is_no_address(address: str, taken: str) -> None:
    assert TypeAdapter(bounds.Email).validate_python(address) == taken


@pytest.mark.parametrize("text", ["a b", "a\n", "\u00e4", "\x00", "\ud800", "x" * 201])
def test_a_token_is_printable_ascii(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Annotated[str, bounds.token(200)]).validate_python(text)


@given(some.binary(max_size=70))
def test_base64url_there_and_back(data: bytes) -> None:
    assert from_b64url(b64url(data)) == data


def test_one_value_has_one_text() -> None:
    key = TypeAdapter(Annotated[str, bounds.Base64Url(32)])
    text = b64url(bytes(range(32)))
    assert key.validate_python(text) == text
    odd = [
        *(text + "=", text[:-1] + chr(ord(text[-1]) + 1), text[:20] + "!" + text[20:], text + "\n"),
        *(text[:-1], text + "A", text.replace("_", "/"), "\u0661" * 43, "", text[:-1] + "\ud800"),
    ]
    for other in odd:
        if other != text:
            with pytest.raises(ValidationError):
                key.validate_python(other)


@pytest.mark.parametrize("text", ["a\nb", "\x00", "\x9b", "\ud800", "x" * 201])
def test_what_must_stay_as_it_is_is_refused_when_it_is_odd(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(bounds.Nonce).validate_python(text)
    assert TypeAdapter(bounds.Nonce).validate_python(" ä\u202e ") == " ä\u202e "


@pytest.mark.parametrize(
    "value", [0, 0.5, 1e12, True, "0", "0.5", "1764230400", "1e3", "2026-11-27", "", None]
)
def test_a_point_in_time_is_no_number_of_seconds(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(value)
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_json(json.dumps(value))


@pytest.mark.parametrize(
    "text", ["2026-11-27T08:00:00Z", "2026-11-27T09:00:00.000+01:00", "2026-11-27 08:00:00Z"]
)
def test_a_point_in_time_has_its_offset(text: str) -> None:
    assert TypeAdapter(Moment).validate_python(text) == datetime(2026, 11, 27, 8, tzinfo=UTC)
