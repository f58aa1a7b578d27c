"""`pbx-teams licence`: issues and inspects licence keys."""

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from app import settings, signing_key
from app.errors import CannotDoError
from core.licensing import licence_key
from wire.bounds import b64url
from wire.pasted import token


def vendor_key(options: argparse.Namespace) -> int:
    print(b64url(_signing_key(options).public_key().public_bytes_raw()))
    return 0


def issue(options: argparse.Namespace) -> int:
    until = options.until or options.valid_from + timedelta(days=365)
    try:
        key = licence_key.LicenceKey(
            serial=options.serial,
            licensee=options.licensee,
            seats=options.seats,
            valid_from=options.valid_from,
            valid_until=until,
        )
    except ValidationError as invalid:
        faults = "; ".join(
            f"{'.'.join(map(str, f['loc']))}: {f['msg']}".removeprefix(": ") for f in invalid.errors()
        )
        raise CannotDoError(f"no licence key was made: {faults}") from invalid
    print(licence_key.issue(key, _signing_key(options), options.kid))
    return 0


def inspect(options: argparse.Namespace) -> int:
    text = sys.stdin.read() if options.key == "-" else options.key
    encoded = options.vendor_keys if options.vendor_keys is not None else settings.load().vendor_keys
    try:
        vendors = licence_key.vendor_keys(encoded)
    except ValueError as fault:
        raise CannotDoError(f"the vendor keys cannot be read: {fault}") from fault
    inspected = licence_key.inspect(token(text), vendors, datetime.now(UTC))
    if inspected.content is not None:
        print(json.dumps(inspected.content, indent=2))
    for reason in inspected.faults:
        print(f"would be refused: {reason.code}: {reason.words}")
    if not inspected.faults:
        print("would be accepted, unless it is bound to another PBX already")
    return 1 if inspected.faults else 0


def _signing_key(options: argparse.Namespace) -> Ed25519PrivateKey:
    if options.signing_key is not None:
        return signing_key.from_file(options.signing_key)
    from app import key_vault  # noqa: PLC0415 - Azure's client costs half a second, and a file needs none of it

    return key_vault.read(*options.signing_key_vault)
