"""The PBX key and the key file: made by the connector, typed or dropped by people, checked by the browser.

A key is 160 random bits in base32 (RFC 4648), followed by four characters of checksum, in groups of four:
`ABCD-EFGH-…`. The checksum tells a typo from a wrong key before anything is sent. The browser's twin of this
module is `tab/web/src/pbxkey.ts`; `tests/wire/test_pbxkey.py` holds both to the same vectors.
"""

import base64
import hashlib
import secrets
from typing import Final, Literal, NewType

from pydantic import Field

from wire.model import WireModel

PbxKey = NewType("PbxKey", str)
"""The canonical form: 36 characters of base32 without hyphens."""

KeyDigest = NewType("KeyDigest", str)
"""SHA-256 of the canonical key as lower-case hex: all that the service ever sees of a key."""

RANDOM_CHARS: Final = 32
CHECKSUM_CHARS: Final = 4
GROUP: Final = 4
KEY_FILE_FORMAT: Final = "pbx-key-file.v1"
MAX_KEY_FILE_BYTES: Final = 64 * 1024

# Base32 has no 0, 1 and 8: who types them has misread a letter.
_MISREAD: Final = str.maketrans(
    {"0": "O", "1": "I", "8": "B", "-": None, " ": None, "\t": None, "\n": None, "\r": None}
)
_ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


class MalformedKeyError(ValueError):
    """Not a key: wrong length, a foreign character, or the checksum fails (`malformed-key`)."""


class KeyFile(WireModel):
    """What a key file holds."""

    format: Literal["pbx-key-file.v1"] = KEY_FILE_FORMAT
    pbx_name: str = Field(min_length=1, max_length=253)
    pbx_key: str
    connector_identity: str | None = None
    """The connector's Ed25519 public key (base64url), with which the browser checks the sealing key."""


def new_key() -> PbxKey:
    body = base64.b32encode(secrets.token_bytes(20)).decode("ascii")
    return PbxKey(body + _checksum(body))


def parse_key(typed: str) -> PbxKey:
    """Reads a key as a person types it: any case, any spacing, 0/1/8 for O/I/B."""
    key = typed.upper().translate(_MISREAD)
    body = key[:RANDOM_CHARS]
    if len(key) != RANDOM_CHARS + CHECKSUM_CHARS or not _ALPHABET.issuperset(key):
        raise MalformedKeyError("a PBX key has 36 letters and digits")
    if key[RANDOM_CHARS:] != _checksum(body):
        raise MalformedKeyError("the checksum of the PBX key fails")
    return PbxKey(key)


def grouped(key: PbxKey) -> str:
    return "-".join(key[i : i + GROUP] for i in range(0, len(key), GROUP))


def digest(key: PbxKey) -> KeyDigest:
    return KeyDigest(hashlib.sha256(key.encode("ascii")).hexdigest())


def _checksum(body: str) -> str:
    return base64.b32encode(hashlib.sha256(b"pbx-key.v1:" + body.encode("ascii")).digest())[
        :CHECKSUM_CHARS
    ].decode("ascii")
