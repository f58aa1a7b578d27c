"""The PBX key and the key file. The connector makes them, people type the key or drop the file, the browser checks them.

A key is 160 random bits in base32 (RFC 4648), followed by a checksum of four characters, in groups of four:
`ABCD-EFGH-…`. With the checksum a typo can be distinguished from a wrong key before anything is sent. The same code for the
browser is in `tab/web/src/pbxkey.ts`; `tests/wire/test_twins.py` checks both against the same vectors.
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
"""SHA-256 of the canonical key as lower-case hex. The service sees only this digest, never the key."""

RANDOM_CHARS: Final = 32
CHECKSUM_CHARS: Final = 4
GROUP: Final = 4
KEY_FILE_FORMAT: Final = "pbx-key-file.v1"
MAX_KEY_FILE_BYTES: Final = 64 * 1024

MAX_TYPED_CHARS: Final = 1000
"""Characters of the input that are examined. Longer text is not a key, even with what was copied around it."""
MAX_LABELS: Final = 5
"""Labels such as "PBX key:" after which a key is looked for."""

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# Base32 has no 0, 1 and 8: a person who types one has misread a letter. Only ASCII letters are converted to upper case:
# `str.upper` would turn a dotless i into another letter.
_READ_AS: Final = str.maketrans(_ALPHABET[:26].lower() + "018", _ALPHABET[:26] + "OIB")
_LABEL: Final = re.compile(
    r"(?:key|schl(?:[üÜ]|[uU]\u0308|ue)ssel(?: zur anlage)?)[ \t\u00a0]*[:= \t\r\n\u00a0]",
    re.IGNORECASE | re.ASCII,
)
"""The label before a key in the places from which people copy it: "PBX key: …", "Schlüssel zur Anlage: …"."""


class KeyFault(StrEnum):
    """What is wrong with a typed key."""

    TOO_SHORT = "key-too-short"
    TOO_LONG = "key-too-long"
    TYPO = "malformed-key"
    """It contains a character that no key has, or its checksum does not match."""


class MalformedKeyError(ValueError):
    """The text is not a PBX key; `fault` says why."""

    def __init__(self, fault: KeyFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class KeyFile(WireModel):
    """The content of a key file (JSON)."""

    format: Literal["pbx-key-file.v1"] = KEY_FILE_FORMAT
    pbx_name: Annotated[str, Line(253, least=1)]
    pbx_key: Annotated[str, token(100)]
    connector_identity: Ed25519Key | None = None
    """The connector's Ed25519 public key (base64url); the browser verifies the sealing key with it."""
    sealed_only: bool = False
    """The connector accepts only sealed answers. A browser with this file refuses to send an unsealed one."""


def new_key() -> PbxKey:
    """Return a new random PBX key in its canonical form."""
    body = base64.b32encode(secrets.token_bytes(20)).decode("ascii")
    return PbxKey(body + _checksum(body))


def parse_key(typed: str) -> PbxKey:
    """Read a key that a person typed or pasted. Raises `MalformedKeyError`.

    Any case is accepted, and 0, 1 and 8 in place of O, I and B. Characters that a mail program or word processor has
    added between the letters or before the key are ignored.
    """
    fault: MalformedKeyError | None = None
    for candidate in _candidates(typed):
        try:
            return _parse(candidate)
        except MalformedKeyError as misfit:
            fault = misfit
    raise fault or MalformedKeyError(KeyFault.TOO_SHORT, "there is no key")


def _candidates(typed: str) -> Iterator[str]:
    """Yield the texts to try: the whole input, then the part after each label."""
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
    """Return the key in groups of four characters joined by hyphens, as people see it."""
    return "-".join(key[i : i + GROUP] for i in range(0, len(key), GROUP))


def digest(key: PbxKey) -> KeyDigest:
    """Return the SHA-256 of a canonical key as lower-case hex."""
    return KeyDigest(hashlib.sha256(key.encode("ascii")).hexdigest())


def _checksum(body: str) -> str:
    return base64.b32encode(hashlib.sha256(b"pbx-key.v1:" + body.encode("ascii")).digest())[
        :CHECKSUM_CHARS
    ].decode("ascii")
