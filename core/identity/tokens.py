"""Validating tokens: Teams SSO tokens of the tab, channel tokens of the bot. No switch turns any of it off.

Rules: https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-tokens and
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication.
The SDK's own check answers many bad tokens with 500, takes one without expiry and fetches keys on the event
loop, so both kinds of token are validated here.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import jwt

from core.identity.signing_keys import SigningKeys
from core.identity.teams_user import TeamsUser

LEEWAY_SECONDS: Final = 60
"""How far our clock and the issuer's may be apart."""
MAX_TOKEN_CHARS: Final = 16_384
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class TokenFault(StrEnum):
    """Why a token was refused: for the log, never for whoever sent it."""

    MISSING = "missing"
    NOT_BEARER = "not-bearer"
    MALFORMED = "malformed"
    WRONG_ALGORITHM = "wrong-algorithm"
    NO_KEY_ID = "no-key-id"
    UNKNOWN_KEY_ID = "unknown-key-id"
    BAD_SIGNATURE = "bad-signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    MISSING_CLAIM = "missing-claim"
    WRONG_AUDIENCE = "wrong-audience"
    WRONG_ISSUER = "wrong-issuer"
    FOREIGN_TENANT = "foreign-tenant"
    MISSING_SCOPE = "missing-scope"
    NOT_A_USER = "not-a-user"
    WRONG_SERVICE_URL = "wrong-service-url"
    NOT_ENDORSED = "not-endorsed"


class TokenRejectedError(Exception):
    def __init__(self, fault: TokenFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class TabToken:
    user: TeamsUser
    expires_at: int
    """Seconds since the epoch."""
    raw: str


@dataclass(frozen=True)
class TabTokenValidator:
    """Teams SSO tokens (on behalf of a user, scope `access_as_user`)."""

    keys: SigningKeys
    audiences: Collection[str]
    """The app id and its application ID URIs."""
    authority: str
    """`https://login.microsoftonline.com`, without a final slash."""
    allowed_tenants: Collection[str] = ()
    """Empty: any tenant may ask; what it may do is decided by PBX key and login."""

    async def validate(self, authorization: str | None) -> TabToken:
        token = bearer(authorization)
        claims = await _verified_claims(token, self.keys, ("exp", "nbf", "iat", "iss", "aud", "tid", "oid"))
        tenant, user = _guid(claims, "tid"), _guid(claims, "oid")
        if not self._audience_fits(claims["aud"]):
            raise TokenRejectedError(TokenFault.WRONG_AUDIENCE)
        if claims["iss"] not in (f"{self.authority}/{tenant}/v2.0", f"https://sts.windows.net/{tenant}/"):
            raise TokenRejectedError(TokenFault.WRONG_ISSUER)
        if self.allowed_tenants and tenant not in self.allowed_tenants:
            raise TokenRejectedError(TokenFault.FOREIGN_TENANT)
        scopes = claims.get("scp")
        if not isinstance(scopes, str) or "access_as_user" not in scopes.split():
            raise TokenRejectedError(TokenFault.MISSING_SCOPE)
        if claims.get("idtyp") == "app":
            raise TokenRejectedError(TokenFault.NOT_A_USER)
        shown = TeamsUser(
            tenant, user, _text(claims, "name"), _text(claims, "email", "preferred_username", "upn")
        )
        return TabToken(shown, int(claims["exp"]), token)

    def _audience_fits(self, audience: object) -> bool:
        return isinstance(audience, str) and audience in self.audiences


@dataclass(frozen=True)
class ChannelTokenValidator:
    """Tokens with which the Bot Framework channel service signs what it sends to the bot."""

    keys: SigningKeys
    app_id: str
    issuer: str

    async def validate(
        self, authorization: str | None, *, channel_id: str, service_url: str
    ) -> dict[str, Any]:
        """The claims; the activity's channel and service URL must be those the token was made for."""
        token = bearer(authorization)
        claims = await _verified_claims(token, self.keys, ("exp", "iss", "aud"), endorsed_for=channel_id)
        if claims["iss"] != self.issuer:
            raise TokenRejectedError(TokenFault.WRONG_ISSUER)
        if claims["aud"] != self.app_id:
            raise TokenRejectedError(TokenFault.WRONG_AUDIENCE)
        if not service_url or claims.get("serviceurl") != service_url:
            raise TokenRejectedError(TokenFault.WRONG_SERVICE_URL)
        return claims


def bearer(authorization: str | None) -> str:
    if not authorization:
        raise TokenRejectedError(TokenFault.MISSING)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenRejectedError(TokenFault.NOT_BEARER)
    if len(token) > MAX_TOKEN_CHARS:
        raise TokenRejectedError(TokenFault.MALFORMED)
    return token.strip()


async def _verified_claims(
    token: str, keys: SigningKeys, required: Collection[str], endorsed_for: str | None = None
) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as fault:
        raise TokenRejectedError(TokenFault.MALFORMED) from fault
    if header.get("alg") != "RS256":
        raise TokenRejectedError(TokenFault.WRONG_ALGORITHM)
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise TokenRejectedError(TokenFault.NO_KEY_ID)
    key = await keys.get(kid)
    if key is None:
        raise TokenRejectedError(TokenFault.UNKNOWN_KEY_ID)
    if endorsed_for is not None and endorsed_for not in key.endorsements:
        raise TokenRejectedError(TokenFault.NOT_ENDORSED)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],
            leeway=LEEWAY_SECONDS,
            # Audience and issuer depend on other claims; they are held against them by the caller.
            options={"require": list(required), "verify_aud": False, "verify_iss": False},
        )
    except jwt.PyJWTError as fault:
        raise TokenRejectedError(_fault_of(fault)) from fault
    return claims


def _fault_of(fault: jwt.PyJWTError) -> TokenFault:
    kinds: Mapping[type[jwt.PyJWTError], TokenFault] = {
        jwt.ExpiredSignatureError: TokenFault.EXPIRED,
        jwt.ImmatureSignatureError: TokenFault.NOT_YET_VALID,
        jwt.MissingRequiredClaimError: TokenFault.MISSING_CLAIM,
        jwt.InvalidSignatureError: TokenFault.BAD_SIGNATURE,
    }
    return next((kind for error, kind in kinds.items() if isinstance(fault, error)), TokenFault.MALFORMED)


def _guid(claims: Mapping[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not _GUID.fullmatch(value):
        raise TokenRejectedError(TokenFault.MALFORMED)
    return value


def _text(claims: Mapping[str, Any], *names: str) -> str:
    return next((claims[name][:200] for name in names if isinstance(claims.get(name), str)), "")
