"""Licence keys: a JWS (RFC 7515, EdDSA) that creates a pool of N seats and is verified offline.

The claims are `serial`, `licensee`, `seats`, `from` and `until` (dates; the key is valid until the end of the last day,
UTC). The header's `kid` names the vendor key, so that vendor keys can be rotated.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.diagnosis.codes import LicenceReason
from wire.bounds import Exact, Line, from_b64url

MAX_SEATS: Final = 1_000_000
_TYPE: Final = "pbx-licence"


class LicenceKeyFault(StrEnum):
    NOT_A_JWS = "not-a-jws"
    UNKNOWN_VENDOR_KEY = "unknown-vendor-key"
    BAD_SIGNATURE = "bad-signature"
    BAD_CONTENT = "bad-content"


class InvalidLicenceKeyError(Exception):
    def __init__(self, fault: LicenceKeyFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(9998, 12, 30))]
"""A date whose first and last moments are within the range of `wire.model.Moment`."""


class LicenceKey(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    serial: Annotated[str, Exact(100, least=1)]
    licensee: Annotated[str, Line(200, least=1)]
    seats: int = Field(strict=True, ge=1, le=MAX_SEATS)
    valid_from: Day = Field(alias="from")
    valid_until: Day = Field(alias="until")

    @model_validator(mode="after")
    def _in_order(self) -> "LicenceKey":
        if self.valid_until < self.valid_from:
            raise ValueError("until comes before from")
        return self

    @property
    def starts(self) -> datetime:
        return datetime.combine(self.valid_from, time.min, UTC)

    @property
    def ends(self) -> datetime:
        """The first moment at which the key is no longer valid."""
        return datetime.combine(self.valid_until + timedelta(days=1), time.min, UTC)


VendorKeys = Mapping[str, Ed25519PublicKey]
"""Vendor public keys by key id."""


def vendor_keys(encoded: Mapping[str, str]) -> VendorKeys:
    """Read the vendor keys from the settings: a map from key id to the base64url form of the 32 raw bytes."""
    return {kid: Ed25519PublicKey.from_public_bytes(from_b64url(raw)) for kid, raw in encoded.items()}


def issue(key: LicenceKey, signing_key: Ed25519PrivateKey, kid: str) -> str:
    """Sign a licence key; return it in JWS compact form."""
    return jwt.api_jws.encode(
        key.model_dump_json(by_alias=True).encode(),
        signing_key,
        algorithm="EdDSA",
        headers={"kid": kid, "typ": _TYPE},
    )


def read(text: str, vendors: VendorKeys) -> LicenceKey:
    """Verify signature and content. The dates are not checked here but when a seat is requested.

    Raises InvalidLicenceKeyError.
    """
    try:
        header: dict[str, Any] = jwt.get_unverified_header(text.strip())
    except (jwt.InvalidTokenError, UnicodeError) as fault:
        raise InvalidLicenceKeyError(LicenceKeyFault.NOT_A_JWS) from fault
    vendor = vendors.get(str(header.get("kid")))
    if vendor is None:
        raise InvalidLicenceKeyError(LicenceKeyFault.UNKNOWN_VENDOR_KEY)
    try:
        payload = jwt.api_jws.decode(text.strip(), vendor, algorithms=["EdDSA"])
    except jwt.InvalidTokenError as fault:
        raise InvalidLicenceKeyError(LicenceKeyFault.BAD_SIGNATURE) from fault
    if header.get("typ") != _TYPE:
        raise InvalidLicenceKeyError(LicenceKeyFault.BAD_CONTENT)
    try:
        return LicenceKey.model_validate_json(payload)
    except ValidationError as fault:
        raise InvalidLicenceKeyError(LicenceKeyFault.BAD_CONTENT) from fault


@dataclass(frozen=True, slots=True)
class InspectionFault:
    code: str
    words: str


@dataclass(frozen=True, slots=True)
class Inspected:
    content: dict[str, Any] | None
    """`header` and `content` of the JWS, verified or not; None when the text is not a JWS."""
    faults: tuple[InspectionFault, ...]
    """All reasons why the key would be refused now."""


def inspect(text: str, vendors: VendorKeys, now: datetime) -> Inspected:
    """Read a key for display, and find everything that is wrong with it, not only the first fault."""
    try:
        decoded = jwt.api_jws.decode_complete(text.strip(), options={"verify_signature": False})
        content: dict[str, Any] = {"header": decoded["header"], "content": json.loads(decoded["payload"])}
    except (jwt.InvalidTokenError, ValueError, RecursionError) as fault:
        return Inspected(None, (InspectionFault(LicenceKeyFault.NOT_A_JWS, f"not a licence key: {fault}"),))
    faults: list[InspectionFault] = []
    try:
        read(text, vendors)
    except InvalidLicenceKeyError as invalid:
        words = {
            LicenceKeyFault.UNKNOWN_VENDOR_KEY: (
                f"signed with the key {content['header'].get('kid')!r}, which is not among the vendor keys"
            ),
            LicenceKeyFault.BAD_SIGNATURE: "the signature does not match: the key was changed or truncated",
            LicenceKeyFault.NOT_A_JWS: "not a licence key",
        }
        if invalid.fault is not LicenceKeyFault.BAD_CONTENT:
            faults.append(InspectionFault(invalid.fault, words[invalid.fault]))
    if content["header"].get("typ") != _TYPE:
        faults.append(InspectionFault(LicenceKeyFault.BAD_CONTENT, f"its type is not {_TYPE!r}"))
    try:
        key = LicenceKey.model_validate_json(decoded["payload"])
    except ValidationError as invalid_content:
        faults += [
            InspectionFault(
                LicenceKeyFault.BAD_CONTENT,
                f"{'.'.join(str(part) for part in error['loc']) or 'content'}: {error['msg']}",
            )
            for error in invalid_content.errors()
        ]
        return Inspected(content, tuple(faults))
    if now < key.starts:
        faults.append(InspectionFault(LicenceReason.KEY_NOT_YET_VALID, f"valid from {key.valid_from}"))
    if now >= key.ends:
        faults.append(InspectionFault(LicenceReason.KEY_EXPIRED, f"was valid until {key.valid_until}"))
    return Inspected(content, tuple(faults))
