"""The connector's stored state: its identity, its sealing key and the PBX key. Only the connector's user can read it.

The identity is created once and no update replaces it, because the service binds the PBX name to it.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from connector.errors import ConnectorError
from connector.files import write_private
from wire.bounds import b64url
from wire.link import capabilities_bytes, fingerprint, sealing_key_bytes
from wire.model import Moment, WireModel
from wire.pbxkey import KeyFile, MalformedKeyError, PbxKey, digest, grouped, new_key, parse_key
from wire.sealing import public_bytes
from wire.textfile import UnreadableTextError, read_text

logger = logging.getLogger(__name__)

_IDENTITY: Final = "identity.pem"
_SEALING: Final = "sealing.pem"
_KEY: Final = "pbx-key"
_PREVIOUS: Final = "pbx-key.previous"
_RENEWAL: Final = "pbx-key.renewal"


class PreviousKey(WireModel):
    """The PBX key from before the last rotation, valid until `until`."""

    pbx_key: str
    until: Moment


class Renewal(WireModel):
    """The last request for a new key from Teams, so that repeating it makes no further key."""

    request: str
    key_digest: str
    """Of the key that was made for it. If it is not the present key's, the program ended before that key was in force."""


class ConnectorState:
    """The state directory. Its methods raise `ConnectorError` if a file cannot be read or written."""

    def __init__(self, directory: Path) -> None:
        """Create the directory, the identity and the sealing key if they do not exist."""
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as fault:
            raise ConnectorError(f"cannot make the state directory {directory}: {fault.strerror}") from fault
        self.identity = self._identity()
        self.sealing = self._sealing()

    @property
    def identity_public(self) -> str:
        return b64url(self.identity.public_key().public_bytes_raw())

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the identity, which people compare."""
        return fingerprint(self.identity_public)

    @property
    def sealing_public(self) -> str:
        return b64url(public_bytes(self.sealing.public_key()))

    @property
    def sealing_signature(self) -> str:
        """The identity's signature over the sealing key (base64url)."""
        return b64url(self.identity.sign(sealing_key_bytes(self.sealing_public)))

    def sign_capabilities(self, capabilities: Sequence[str]) -> str:
        """Sign the capabilities for the browser, which does not trust the service about them."""
        return b64url(self.identity.sign(capabilities_bytes(self.sealing_public, capabilities)))

    def pbx_key(self) -> PbxKey:
        """Return the PBX key; create the first one if there is none."""
        path = self.directory / _KEY
        if not path.exists():
            return self.renew_pbx_key()
        try:
            return parse_key(self._read_text(path))
        except MalformedKeyError as fault:
            raise ConnectorError(f"{path} holds no PBX key; 'pbx-connector key new' makes another") from fault

    def renew_pbx_key(self, keep_old: timedelta = timedelta(0), request: str | None = None) -> PbxKey:
        """Make and return a new key. The old one remains valid for `keep_old`.

        The old key is saved first, so that after a crash between the writes it is still the current key. `request`
        identifies a request that may be repeated: if it was the last one and has made the present key, that is returned.
        """
        if request is not None and self._was_made_for(request):
            return self.pbx_key()
        key = new_key()
        if keep_old and (self.directory / _KEY).exists():
            previous = PreviousKey(pbx_key=grouped(self.pbx_key()), until=datetime.now(UTC) + keep_old)
            self.write(_PREVIOUS, previous.model_dump_json(by_alias=True).encode() + b"\n")
        else:
            (self.directory / _PREVIOUS).unlink(missing_ok=True)
        if request is not None:
            renewal = Renewal(request=request, key_digest=digest(key))
            self.write(_RENEWAL, renewal.model_dump_json(by_alias=True).encode() + b"\n")
        self._write(self.directory / _KEY, grouped(key).encode() + b"\n")
        return key

    def _was_made_for(self, request: str) -> bool:
        try:
            last = Renewal.model_validate_json(self.read(_RENEWAL) or b"{}")
        except ValidationError:
            return False
        return last.request == request and last.key_digest == digest(self.pbx_key())

    def secrets(self) -> list[str]:
        """Return the PBX keys in the forms in which they may appear in a text."""
        previous = self.previous_pbx_key()
        keys = (self.pbx_key(), *(previous[:1] if previous is not None else ()))
        return [form for key in keys for form in (key, grouped(key), key.lower(), grouped(key).lower())]

    def previous_pbx_key(self) -> tuple[PbxKey, datetime] | None:
        """Return the key from before the last rotation and its expiry, or None if it is no longer valid."""
        content = self.read(_PREVIOUS)
        if not content:
            return None
        try:
            previous = PreviousKey.model_validate_json(content)
            key = parse_key(previous.pbx_key)
        except (ValidationError, MalformedKeyError):
            logger.warning("the previous PBX key cannot be read and is no longer valid")
            return None
        return (key, previous.until) if datetime.now(UTC) < previous.until else None

    def pbx_key_stamp(self) -> int:
        """Return a number that changes whenever the key file changes; 0 if there is no key."""
        try:
            return (self.directory / _KEY).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def key_file(self, pbx_name: str) -> KeyFile:
        """Return the content of the key file that people drop on the sign-in page."""
        return KeyFile(
            pbx_name=pbx_name,
            pbx_key=grouped(self.pbx_key()),
            connector_identity=self.identity_public,
            sealed_only=True,
        )

    def key_at_rest(self, purpose: bytes) -> bytes:
        """Derive a key of 32 bytes from the sealing key, to encrypt stored data. The derived key is never stored."""
        secret = self.sealing.private_numbers().private_value.to_bytes(32, "big")
        return HKDF(hashes.SHA256(), 32, None, purpose).derive(secret)

    def read(self, name: str) -> bytes:
        """Return the content of a file in the directory; empty if there is none."""
        path = self.directory / name
        return self._read(path) if path.exists() else b""

    def write(self, name: str, content: bytes) -> None:
        """Write a file in the directory atomically."""
        self._write(self.directory / name, content)

    def _identity(self) -> Ed25519PrivateKey:
        path = self.directory / _IDENTITY
        if not path.exists():
            made = Ed25519PrivateKey.generate()
            self._write(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key = self._load(path)
        if not isinstance(key, Ed25519PrivateKey):
            raise ConnectorError(f"{path} is not an Ed25519 key: restore it from the backup")
        return key

    def _sealing(self) -> ec.EllipticCurvePrivateKey:
        path = self.directory / _SEALING
        if not path.exists():
            made = ec.generate_private_key(ec.SECP256R1())
            self._write(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key = self._load(path)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConnectorError(f"{path} is not a P-256 key: remove it, and a new one is made")
        return key

    def _load(self, path: Path) -> object:
        try:
            return load_pem_private_key(self._read_text(path).encode(), password=None)
        except ValueError as fault:
            raise ConnectorError(f"{path} is damaged: restore it from the backup") from fault

    @staticmethod
    def _read_text(path: Path) -> str:
        """Read a text file in any encoding of an editor, because somebody may have restored and edited it."""
        try:
            return read_text(path)
        except OSError as fault:
            raise ConnectorError(f"cannot read {path}: {fault.strerror}") from fault
        except UnreadableTextError as fault:
            raise ConnectorError(f"{fault}; or restore it from the backup") from fault

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as fault:
            raise ConnectorError(f"cannot read {path}: {fault.strerror}") from fault

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        try:
            write_private(path, content)
        except OSError as fault:
            raise ConnectorError(f"cannot write {path}: {fault.strerror}") from fault
