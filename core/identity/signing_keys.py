"""Signing keys of an issuer (JWKS, RFC 7517), fetched asynchronously and cached."""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import jwt

from wire import outbound

logger = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 3600.0
"""Maximum age of the keys. Entra and the Bot Framework publish new keys about a day before they sign with them."""
UNKNOWN_KID_SECONDS: Final = 30.0
"""Shortest interval between fetches caused by unknown key ids, so that invented ids do not flood the issuer."""
FETCH_SECONDS: Final = 10.0
MIN_RSA_BITS: Final = 2048
"""Shortest key that is accepted. Microsoft's keys have this length; weaker ones are disallowed (NIST SP 800-131A)."""
FAILURE_SECONDS: Final = 3.0
"""While there are no keys: how long after a failed fetch requests are refused without another try."""


class KeysUnavailableError(Exception):
    """The issuer's keys cannot be fetched now, so no token can be validated."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    key: Any
    endorsements: tuple[str, ...] = ()
    """Channels that this key may sign for (Bot Framework only)."""
    issuer: str = ""
    """Issuer that may sign with this key (Entra); `{tenantid}` in it stands for any tenant. Empty if not stated."""

    def is_for(self, tenant_id: str) -> bool:
        """Return whether this key may sign tokens of this tenant.

        The document at /common lists the keys of all tenants, and some keys belong to one tenant alone. Source: Microsoft,
        "Access tokens in the Microsoft identity platform", validating the signing key's issuer.
        """
        if not self.issuer:
            return True
        return tenant_id in urlsplit(self.issuer.replace("{tenantid}", tenant_id)).path.split("/")


@dataclass
class SigningKeys:
    """The keys at `jwks_url`, or at the `jwks_uri` of the OpenID metadata at `metadata_url`."""

    jwks_url: str | None = None
    metadata_url: str | None = None
    _keys: dict[str, SigningKey] = field(default_factory=dict)
    _fetched_at: float = float("-inf")
    _failed_at: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self, kid: str) -> SigningKey | None:
        """Return the key with this id, or None if the issuer has no such key. Raises `KeysUnavailableError`."""
        age = time.monotonic() - self._fetched_at
        if age > REFRESH_SECONDS or (kid not in self._keys and age > UNKNOWN_KID_SECONDS):
            await self.refresh(asked_at=time.monotonic())
        return self._keys.get(kid)

    async def refresh(self, asked_at: float | None = None) -> None:
        """Fetch the keys. With `asked_at` (monotonic), skip the fetch if there was one since then.

        A failed fetch leaves the present keys in use; without any, `KeysUnavailableError` is raised.
        """
        async with self._lock:
            if asked_at is not None and self._fetched_at > asked_at:
                return  # another request has just fetched them
            if not self._keys and time.monotonic() - self._failed_at < FAILURE_SECONDS:
                raise KeysUnavailableError
            try:
                self._keys = await self._fetch()
            except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as fault:
                logger.warning("signing keys not fetched", extra={"url": self.jwks_url or self.metadata_url})
                self._failed_at = time.monotonic()
                if not self._keys:
                    raise KeysUnavailableError from fault
            self._fetched_at = time.monotonic()

    def may_lead_to(self, url: str) -> bool:
        """Return whether keys may be fetched from `url`: over https, or with the scheme of the metadata's own URL."""
        return url.startswith(("https://", f"{urlsplit(str(self.metadata_url)).scheme}://"))

    async def _fetch(self) -> dict[str, SigningKey]:
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with outbound.client(timeout=timeout, raise_for_status=True) as http:
            url = self.jwks_url
            if url is None:
                async with http.get(str(self.metadata_url)) as answer:
                    url = str((await answer.json())["jwks_uri"])
                if not self.may_lead_to(url):
                    raise ValueError("the metadata names keys without TLS")
            async with http.get(url) as answer:
                return _parse(await answer.json())


def _parse(document: Any) -> dict[str, SigningKey]:
    """Return the usable keys by id; unusable ones are skipped. Raises `ValueError` if there is no usable key."""
    keys = {}
    for entry in document["keys"]:
        try:
            if entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig":
                continue
            key = jwt.PyJWK(entry, algorithm="RS256").key
            if key.key_size < MIN_RSA_BITS:
                logger.warning("a signing key cannot be used", extra={"reason": "too short"})
                continue
            endorsements = tuple(str(channel) for channel in entry.get("endorsements") or ())
            keys[str(entry["kid"])] = SigningKey(key, endorsements, str(entry.get("issuer") or ""))
        except (jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError) as odd:
            logger.warning("a signing key cannot be used", extra={"reason": type(odd).__name__})
    if not keys:
        raise ValueError("no signing key that can be used")
    return keys
