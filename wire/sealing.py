"""Sealing to the connector: the service carries a sealed box but cannot read it.

The scheme is ECDH on P-256 with an ephemeral key, HKDF-SHA256 and AES-256-GCM. The PBX key goes into the key derivation.
The service knows only the digest of that key, so even a service that hands out a sealing key of its own learns nothing.
The browser seals (`tab/web/src/sealing.ts`) and the connector opens; tests check both against one vector.

    ikm  = ECDH(ephemeral, recipient) || canonical PBX key
    salt = SHA-256(recipient public || ephemeral public)         (uncompressed points, 65 bytes each)
    key  = HKDF-SHA256(ikm, salt, info="pbx-seal.v1", 32 bytes)
    box  = AES-256-GCM(key, 12 random bytes, plaintext, aad=context)
"""

import hashlib
import secrets
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wire.bounds import Base64Url, P256Point, b64url, from_b64url, token
from wire.model import WireModel
from wire.pbxkey import PbxKey

_INFO: Final = b"pbx-seal.v1"
_NONCE_BYTES: Final = 12


class CannotOpenError(ValueError):
    """The box was not sealed to this key, with this PBX key and for this context."""


class SealedBox(WireModel):
    """A message that only the connector can open."""

    ephemeral_key: P256Point
    nonce: Annotated[str, Base64Url(_NONCE_BYTES)]
    ciphertext: Annotated[str, token(8192)]


def public_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the public key as an uncompressed point (65 bytes)."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def seal(recipient: bytes, pbx_key: PbxKey, plaintext: bytes, context: bytes) -> SealedBox:
    """Seal `plaintext` to `recipient`, an uncompressed P-256 point. `context` must be the same when the box is opened."""
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    own = public_bytes(ephemeral.public_key())
    shared = ephemeral.exchange(
        ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), recipient)
    )
    nonce = secrets.token_bytes(_NONCE_BYTES)
    ciphertext = AESGCM(_derive(shared=shared, pbx_key=pbx_key, recipient=recipient, ephemeral=own)).encrypt(
        nonce, plaintext, context
    )
    return SealedBox(ephemeral_key=b64url(own), nonce=b64url(nonce), ciphertext=b64url(ciphertext))


def open_box(private: ec.EllipticCurvePrivateKey, pbx_key: PbxKey, box: SealedBox, context: bytes) -> bytes:
    """Open a box and return its plaintext. Raises `CannotOpenError` for every fault, without saying which."""
    try:
        ephemeral = from_b64url(box.ephemeral_key)
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), ephemeral)
        shared = private.exchange(ec.ECDH(), sender)
        key = _derive(
            shared=shared, pbx_key=pbx_key, recipient=public_bytes(private.public_key()), ephemeral=ephemeral
        )
        return AESGCM(key).decrypt(from_b64url(box.nonce), from_b64url(box.ciphertext), context)
    except (InvalidTag, ValueError) as fault:
        raise CannotOpenError("the sealed box cannot be opened") from fault


def _derive(shared: bytes, pbx_key: PbxKey, recipient: bytes, ephemeral: bytes) -> bytes:
    salt = hashlib.sha256(recipient + ephemeral).digest()
    return HKDF(hashes.SHA256(), 32, salt, _INFO).derive(shared + pbx_key.encode("ascii"))
