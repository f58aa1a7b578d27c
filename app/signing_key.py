"""Reads the vendor's signing key for licence keys, in PEM, from a file. `app.key_vault` reads it from a vault."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.errors import CannotDoError


class NoSigningKeyError(CannotDoError):
    """The signing key cannot be read. The message says what is wrong and what to do."""


def from_file(path: Path) -> Ed25519PrivateKey:
    """Return the key in a PEM file. Raises `NoSigningKeyError`."""
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise NoSigningKeyError(f"cannot read {path}: {fault.strerror}") from fault
    return parse(content, str(path))


def parse(content: bytes, where: str) -> Ed25519PrivateKey:
    """Return the key in PEM text. `where` names its source in errors. Raises `NoSigningKeyError`."""
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise NoSigningKeyError(f"{where} is not a private key in PEM, or it has a password") from fault
    if not isinstance(key, Ed25519PrivateKey):
        raise NoSigningKeyError(
            f"{where} is not an Ed25519 key (make one: openssl genpkey -algorithm ed25519)"
        )
    return key
