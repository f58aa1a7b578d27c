"""Token validation: Teams SSO tokens of the tab, and channel tokens of the bot. It cannot be switched off.

Rules: https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-tokens and
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication.
Both kinds of token are validated here, because the SDK's own check answers many bad tokens with 500, accepts tokens
without an expiry and blocks the event loop while it fetches keys.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import jwt

from core.identity.known_tokens import LEEWAY_SECONDS, KnownTokens
from core.identity.signing_keys import SigningKey, SigningKeys
from core.identity.teams_user import TeamsUser
from core.identity.token_user import parse_user

MAX_TOKEN_CHARS: Final = 16_384
MAX_CHANNEL_TOKENS: Final = 1000
"""Number of cached channel tokens. The channel uses the same few tokens for about an hour."""
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class TokenFault(StrEnum):
    """Why a token was refused. It is written to the log and never sent to the caller."""

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
    WRONG_KEY_ISSUER = "wrong-key-issuer"
    """Signed with a key that belongs to another tenant."""
    WRONG_CLIENT = "wrong-client"
    """Issued to a program that is not in `allowed_clients` (by default Teams, Outlook and Microsoft 365)."""
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
    """A valid Teams SSO token."""

    user: TeamsUser
    expires_at: int
    """Seconds since the epoch."""
    raw: str


@dataclass(frozen=True)
class TabTokenValidator:
    """Validates Teams SSO tokens (delegated, scope `access_as_user`)."""

    keys: SigningKeys
    audiences: Collection[str]
    """The app id and its application ID URIs."""
    authority: str
    """For instance `https://login.microsoftonline.com`, without a trailing slash."""
    allowed_tenants: Collection[str] = ()
    """Empty for any tenant; PBX key and login then decide what its members may do."""
    allowed_clients: Collection[str] = ()
    """Application ids of the programs whose tokens are accepted (`azp`; `appid` in version 1 tokens). Empty for any."""
    known: KnownTokens[tuple[TeamsUser, int]] = field(
        default_factory=KnownTokens, init=False, repr=False, compare=False
    )
    """User and expiry of validated tokens. They depend on the token and these rules alone, so they can be cached."""

    async def validate(self, authorization: str | None) -> TabToken:
        """Validate an Authorization header. Raises `TokenRejectedError` and `KeysUnavailableError`."""
        token = bearer(authorization)
        found = await self.known.find(token, self.keys)
        if found is not None:
            return TabToken(*found, token)
        claims, key_id, key = await _verified_claims(
            token, self.keys, ("exp", "nbf", "iat", "iss", "aud", "tid", "oid")
        )
        tenant, user = _guid(claims, "tid"), _guid(claims, "oid")
        if not self._audience_fits(claims["aud"]):
            raise TokenRejectedError(TokenFault.WRONG_AUDIENCE)
        issuers = (f"{self.authority}/{tenant}/v2.0", f"https://sts.windows.net/{tenant}/")
        if claims["iss"] not in issuers:
            raise TokenRejectedError(TokenFault.WRONG_ISSUER)
        if not key.is_for(tenant):
            raise TokenRejectedError(TokenFault.WRONG_KEY_ISSUER)
        if not self._client_fits(claims):
            raise TokenRejectedError(TokenFault.WRONG_CLIENT)
        if self.allowed_tenants and tenant not in self.allowed_tenants:
            raise TokenRejectedError(TokenFault.FOREIGN_TENANT)
        scopes = claims.get("scp")
        if not isinstance(scopes, str) or "access_as_user" not in scopes.split():
            raise TokenRejectedError(TokenFault.MISSING_SCOPE)
        if claims.get("idtyp") == "app":
            raise TokenRejectedError(TokenFault.NOT_A_USER)
        found = (
            parse_user(claims=claims, tenant_id=tenant, object_id=user, issuers=issuers),
            int(claims["exp"]),
        )
        self.known.keep(
            token=token, key_id=key_id, key=key, claims=claims, owner=(tenant, user), result=found
        )
        return TabToken(*found, token)

    def _audience_fits(self, audience: object) -> bool:
        return isinstance(audience, str) and audience in self.audiences

    def _client_fits(self, claims: Mapping[str, Any]) -> bool:
        """Return whether every client id in the token is allowed. Entra puts one into every user's token."""
        named = [claims[name] for name in ("azp", "appid") if name in claims]
        return not self.allowed_clients or all(
            isinstance(client, str) and client.lower() in self.allowed_clients for client in named
        )


@dataclass(frozen=True)
class ChannelTokenValidator:
    """Validates the tokens with which the Bot Framework channel service authenticates its requests to the bot."""

    keys: SigningKeys
    app_id: str
    issuer: str
    known: KnownTokens[tuple[dict[str, Any], SigningKey]] = field(
        default_factory=lambda: KnownTokens(MAX_CHANNEL_TOKENS, MAX_CHANNEL_TOKENS),
        init=False,
        repr=False,
        compare=False,
    )

    async def validate(
        self, authorization: str | None, *, channel_id: str, service_url: str
    ) -> dict[str, Any]:
        """Return the token's claims. Channel and service URL of the activity must be those that the token is for.

        Raises `TokenRejectedError` and `KeysUnavailableError`.
        """
        token = bearer(authorization)
        claims, key = await self.known.find(token, self.keys) or await self._checked(token)
        if channel_id not in key.endorsements:
            raise TokenRejectedError(TokenFault.NOT_ENDORSED)
        made_for = claims.get("serviceurl")
        if not isinstance(made_for, str) or not service_url or _address(made_for) != _address(service_url):
            raise TokenRejectedError(TokenFault.WRONG_SERVICE_URL)
        return dict(claims)

    async def _checked(self, token: str) -> tuple[dict[str, Any], SigningKey]:
        """Run the checks that do not depend on the activity; return the claims and the signing key."""
        claims, key_id, key = await _verified_claims(token, self.keys, ("exp", "iss", "aud"))
        if claims["iss"] != self.issuer:
            raise TokenRejectedError(TokenFault.WRONG_ISSUER)
        if claims["aud"] != self.app_id:
            raise TokenRejectedError(TokenFault.WRONG_AUDIENCE)
        self.known.keep(token=token, key_id=key_id, key=key, claims=claims, owner=None, result=(claims, key))
        return claims, key


def _address(url: str) -> str:
    """Normalise a service URL for comparison.

    The channel writes the same URL with and without a trailing slash, and in different cases
    (https://github.com/microsoft/teams.net/issues/549). Only scheme and host are case-insensitive.
    """
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}".removesuffix("/")


def bearer(authorization: str | None) -> str:
    """Return the token of a Bearer Authorization header. Raises `TokenRejectedError`."""
    if not authorization:
        raise TokenRejectedError(TokenFault.MISSING)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenRejectedError(TokenFault.NOT_BEARER)
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise TokenRejectedError(TokenFault.MALFORMED)
    return token.strip()


async def _verified_claims(
    token: str, keys: SigningKeys, required: Collection[str]
) -> tuple[dict[str, Any], str, SigningKey]:
    """Verify signature and times; return the claims, the key's id and the key. Raises `TokenRejectedError`."""
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
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],
            leeway=LEEWAY_SECONDS,
            # Which audience and issuer are right depends on other claims; the caller checks both.
            options={"require": list(required), "verify_aud": False, "verify_iss": False},
        )
    except jwt.PyJWTError as fault:
        raise TokenRejectedError(_fault_of(fault)) from fault
    return claims, kid, key


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
