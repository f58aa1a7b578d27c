"""Types for text and numbers from outside, shared by all interfaces; each type states its bounds and the reason for them.

Text that is only *shown* (names, descriptions, error texts) is cleaned, so that half an emoji in a name does not lock a
person out. A value that *decides* something (an id, key, token or number) is refused if it does not fit, because a
changed id could belong to somebody else.

Every accepted value can be stored in both databases and sent as JSON: no NUL (PostgreSQL), no lone surrogates (UTF-8),
no integer beyond 64 bits (SQLite) or beyond 2^53 - 1 (JavaScript).
"""

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    StringConstraints,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

# Numbers

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that JavaScript reads exactly; fits BIGINT with room for sums."""

Count = Annotated[int, Strict(), Field(ge=0, le=MAX_INTEGER)]
PbxUserId = Count
"""STARFACE's own id of a user."""
PbxGroupId = Count

Flag = Annotated[bool, Strict()]
"""`true` or `false`: neither 1 nor "yes"."""


def _flag_of_query(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


QueryFlag = Annotated[Flag, BeforeValidator(_flag_of_query)]
"""A `Flag` in a query string, where every value is text."""

# Text that is shown: cleaned

_CUT_BEFORE_CLEANING: Final = 4
"""Cleaning costs time for each character, so a text is first cut to this multiple of its limit."""
_MAX_MARKS: Final = 8
"""Combining marks kept on one character; no script uses more than five. Normalising a run of marks takes quadratic time,
and a stack of marks covers the neighbouring lines on the screen."""
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that are removed: control, format (bidirectional overrides, zero width, tags), surrogate, private
use, separators."""
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that are drawn as nothing although Unicode counts them as letters, marks or symbols."""


def clean_line(text: str, limit: int) -> str:
    """Return the text as one readable line of at most `limit` characters.

    The result is in NFC, without invisible characters, and each run of white space is one space.
    """
    text = text[: limit * _CUT_BEFORE_CLEANING]
    if not (text.isascii() and text.isprintable()):
        text = _composed(text, newlines=False)
    return _cut(" ".join(text.split()), limit).rstrip()


def clean_lines(text: str, limit: int) -> str:
    """Return the text cleaned as by `clean_line`, but keep line breaks and runs of spaces."""
    text = text[: limit * _CUT_BEFORE_CLEANING]
    if not (text.isascii() and text.isprintable()):
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        text = _composed(text, newlines=True)
    return _cut(text.strip(), limit).rstrip()


def _composed(text: str, *, newlines: bool) -> str:
    """Clean the text before normalising it, to save time, and again afterwards, because one mark can become two."""
    normalised = unicodedata.normalize("NFC", _visible(text, newlines=newlines))
    return _visible(normalised, newlines=newlines)


def _visible(text: str, *, newlines: bool) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        if character.isspace():
            kept.append("\n" if newlines and character == "\n" else " ")
            continue
        category = unicodedata.category(character)
        if category in _INVISIBLE or character in _BLANK:
            continue
        marks = marks + 1 if category[0] == "M" else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def _cut(text: str, limit: int) -> str:
    """Cut the text between two characters as people see them, so that no accent or half of a flag is lost."""
    if len(text) <= limit:
        return text
    at = limit
    while at and _belongs_to_previous(text[at]):
        at -= 1
    flags = 0
    while flags < at and _is_half_a_flag(text[at - 1 - flags]):
        flags += 1
    if flags % 2 and _is_half_a_flag(text[at]):
        at -= 1
    return text[: at or limit]


def _belongs_to_previous(character: str) -> bool:
    return (
        unicodedata.category(character)[0] == "M" or "\U0001f3fb" <= character <= "\U0001f3ff"
    )  # skin tones


def _is_half_a_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


class OfAnyLength:
    """Omits `maxLength` from the JSON schema of text that is cut or ignored, not refused, when it is too long."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        described.pop("maxLength", None)
        return described


@dataclass(frozen=True)
class Line(OfAnyLength):
    """`Annotated[str, Line(200)]`: one line for people to read. It is cleaned and cut, never refused for its length."""

    limit: int
    least: int = 0
    """The fewest characters that must remain after cleaning."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _cleaned(lambda text: clean_line(text, self.limit), self.limit, self.least)


@dataclass(frozen=True)
class Lines:
    """`Annotated[str, Lines(500)]`: several lines that a person typed. Longer text is refused, so that nobody's words are
    cut without their knowledge.
    """

    limit: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def clean(text: str) -> str:
            return text if len(text) > self.limit else clean_lines(text, self.limit)

        return _cleaned(clean, self.limit, 0)


@dataclass(frozen=True)
class Exact:
    """`Annotated[str, Exact(400)]`: text that must not be changed, for instance a secret. It is refused if it is longer
    or contains control characters.
    """

    limit: int
    least: int = 0

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            self._check, core_schema.str_schema(strict=True, min_length=self.least, max_length=self.limit)
        )

    @staticmethod
    def _check(text: str) -> str:
        if text.isascii() and text.isprintable():  # true of most texts, and thirty times as fast
            return text
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
            raise PydanticCustomError("control_character", "text without control characters is expected")
        return text


def _cleaned(clean: Any, limit: int, least: int) -> CoreSchema:
    return core_schema.no_info_before_validator_function(
        lambda value: clean(value) if isinstance(value, str) else value,
        core_schema.str_schema(strict=True, min_length=least, max_length=limit),
    )


def email_or_nothing(text: str) -> str:
    """Return the e-mail address unchanged, or an empty string if it does not fit: a changed address could be somebody
    else's. Surrounding blanks are trimmed, as in the comparison of addresses (`wire.email`).
    """
    text = text.strip(" \t\r\n")
    odd = len(text) > MAX_EMAIL or not text.isprintable() or " " in text
    return "" if odd else text


MAX_NAME: Final = 200
MAX_LOGIN: Final = 100
MAX_EMAIL: Final = 320
"""64 for the local part, 1 for the @, 255 for the domain (RFC 5321)."""

Name = Annotated[str, Line(MAX_NAME)]
"""The display name of a person, a group or a device."""
Login = Annotated[str, Line(MAX_LOGIN)]
"""A PBX login for display; `PbxUserId` identifies the user."""
Email = Annotated[
    str,
    BeforeValidator(lambda value: email_or_nothing(value) if isinstance(value, str) else value),
    Field(max_length=MAX_EMAIL),
    OfAnyLength(),
]
Version = Annotated[str, Line(50)]
Detail = Annotated[str, Line(500)]
"""Technical text from another program: an error, a reason."""
Reason = Annotated[str, Lines(500)]
"""A reason that an administrator writes for somebody."""
Search = Annotated[str, Line(100)]

# Text that decides: refused

Guid = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]
"""Microsoft's ids (tenant, object) and our own (UUIDv7), in lower case, as both are written."""


def token(limit: int, least: int = 0) -> StringConstraints:
    """Return a constraint for `Annotated`: printable ASCII without blanks, `least` to `limit` characters."""
    return StringConstraints(strict=True, min_length=least, max_length=limit, pattern=r"^[!-~]*$")


Nonce = Annotated[str, Exact(200)]
"""A nonce from a PBX or from our side; it is sent back unchanged."""

_ZONE: Final = re.compile(r"[A-Za-z0-9_+\-/]{0,64}", re.ASCII)

ZoneName = Annotated[
    str,
    BeforeValidator(
        lambda value: "" if isinstance(value, str) and not _ZONE.fullmatch(value) else value,
    ),
    Field(max_length=64),
    OfAnyLength(),
]
"""An IANA time zone, for instance `Europe/Berlin`; empty if unknown. A malformed name counts as unknown, so that a clock
setting does not lock anybody out."""
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


def b64url(data: bytes) -> str:
    """Encode bytes as base64url without padding (RFC 7515, appendix C)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_b64url(text: str) -> bytes:
    """Decode strict base64url: each value has exactly one spelling, so that one key cannot be written in several ways.

    Raises `ValueError` for any other text.
    """
    if not _BASE64URL.fullmatch(text):
        raise ValueError("a character that is not of base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as fault:
        raise ValueError("not base64url") from fault
    if b64url(data) != text:
        raise ValueError("not the canonical base64url of its bytes")
    return data


@dataclass(frozen=True)
class Base64Url:
    """`Annotated[str, Base64Url(32)]`: strict base64url of exactly `size` bytes; the value remains text."""

    size: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        characters = (self.size * 8 + 5) // 6
        return core_schema.no_info_after_validator_function(
            self._check, core_schema.str_schema(strict=True, min_length=characters, max_length=characters)
        )

    def _check(self, text: str) -> str:
        try:
            from_b64url(text)
        except ValueError as fault:
            raise PydanticCustomError("base64url", "strict base64url is expected") from fault
        return text


Ed25519Key = Annotated[str, Base64Url(32)]
Ed25519Signature = Annotated[str, Base64Url(64)]
P256Point = Annotated[str, Base64Url(65)]
"""An uncompressed point (X9.62) of P-256, 65 bytes."""
