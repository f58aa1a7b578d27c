"""The PBX key and the key file: made by the connector, typed or dropped by people, checked by the browser.

A key is 160 random bits in base32 (RFC 4648), followed by four characters of checksum, in groups of four:
`ABCD-EFGH-…`. The checksum tells a typo from a wrong key before anything is sent. The browser's twin of this
module is `tab/web/src/pbxkey.ts`; `tests/wire/test_twins.py` holds both to the same vectors.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final, Literal, NewType

from wire.bounds import Ed25519Key, Line, token
from wire.model import WireModel
from wire.pasted import letters_and_digits

PbxKey = NewType("PbxKey", str)
"""The canonical form: 36 characters of base32 without hyphens."""

KeyDigest = NewType("KeyDigest", str)
"""SHA-256 of the canonical key as lower-case hex: all that the service ever sees of a key."""

RANDOM_CHARS: Final = 32
CHECKSUM_CHARS: Final = 4
GROUP: Final = 4
KEY_FILE_FORMAT: Final = "pbx-key-file.v1"
MAX_KEY_FILE_BYTES: Final = 64 * 1024

MAX_TYPED_CHARS: Final = 1000
"""What is longer was never a key, with whatever was copied around it."""
MAX_LABELS: Final = 5

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# Base32 has no 0, 1 and 8: who types them has misread a letter. Only ASCII letters lose their case: by `str.upper` a
# dotless i would become another letter.
_READ_AS: Final = str.maketrans(_ALPHABET[:26].lower() + "018", _ALPHABET[:26] + "OIB")
_LABEL: Final = re.compile(
    r"(?:key|schl(?:[üÜ]|[uU]\u0308|ue)ssel(?: zur anlage)?)[ \t\u00a0]*[:= \t\r\n\u00a0]",
    re.IGNORECASE | re.ASCII,
)
"""What stands before a key where people copy it: "PBX key: …", "Schlüssel zur Anlage: …"."""


class KeyFault(StrEnum):
    """What is wrong with a key that was typed."""

    TOO_SHORT = "key-too-short"
    TOO_LONG = "key-too-long"
    TYPO = "malformed-key"
    """A foreign character, or the checksum fails."""


class MalformedKeyError(ValueError):
    """Not a key (`malformed-key`)."""

    def __init__(self, fault: KeyFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class KeyFile(WireModel):
    """What a key file holds."""

    format: Literal["pbx-key-file.v1"] = KEY_FILE_FORMAT
    pbx_name: Annotated[str, Line(253, least=1)]
    pbx_key: Annotated[str, token(100)]
    connector_identity: Ed25519Key | None = None
    """The connector's Ed25519 public key (base64url), with which the browser checks the sealing key."""
    sealed_only: bool = False
    """The connector takes nothing unsealed: a browser that has this file refuses to send it."""


def new_key() -> PbxKey:
    body = base64.b32encode(secrets.token_bytes(20)).decode("ascii")
    return PbxKey(body + _checksum(body))


def parse_key(typed: str) -> PbxKey:
    """Reads a key as a person types or pastes it: any case, 0/1/8 for O/I/B, and between the letters and before the key
    whatever a mail or a word processor has added.
    """
    fault: MalformedKeyError | None = None
    for candidate in _candidates(typed):
        try:
            return _parse(candidate)
        except MalformedKeyError as misfit:
            fault = misfit
    raise fault or MalformedKeyError(KeyFault.TOO_SHORT, "there is no key")


def _candidates(typed: str) -> Iterator[str]:
    """The whole text; then, should that be no key, what comes after a label."""
    typed = typed[:MAX_TYPED_CHARS]
    yield typed
    for number, label in enumerate(_LABEL.finditer(typed)):
        if number < MAX_LABELS:
            yield typed[label.end() :]


def _parse(text: str) -> PbxKey:
    key = letters_and_digits(text).translate(_READ_AS)
    length, body = RANDOM_CHARS + CHECKSUM_CHARS, key[:RANDOM_CHARS]
    if len(key) < length:
        raise MalformedKeyError(
            KeyFault.TOO_SHORT, f"a PBX key has {length} letters and digits, here are {len(key)}"
        )
    if len(key) > length:
        raise MalformedKeyError(
            KeyFault.TOO_LONG, f"a PBX key has {length} letters and digits, here are {len(key)}"
        )
    if not set(_ALPHABET).issuperset(key) or key[RANDOM_CHARS:] != _checksum(body):
        raise MalformedKeyError(KeyFault.TYPO, "the checksum of the PBX key fails")
    return PbxKey(key)


def grouped(key: PbxKey) -> str:
    return "-".join(key[i : i + GROUP] for i in range(0, len(key), GROUP))


def digest(key: PbxKey) -> KeyDigest:
    return KeyDigest(hashlib.sha256(key.encode("ascii")).hexdigest())


def _checksum(body: str) -> str:
    return base64.b32encode(hashlib.sha256(b"pbx-key.v1:" + body.encode("ascii")).digest())[
        :CHECKSUM_CHARS
    ].decode("ascii")
