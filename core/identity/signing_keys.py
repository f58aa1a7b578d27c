"""Signing keys of an issuer (JWKS, RFC 7517), fetched off the event loop's way and kept warm."""

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
"""Entra and the Bot Framework publish new keys about a day before they sign with them."""
UNKNOWN_KID_SECONDS: Final = 30.0
"""An unknown key id makes us look again, but a flood of invented ones does not make us a flood of our own."""
FETCH_SECONDS: Final = 10.0
MIN_RSA_BITS: Final = 2048
"""Microsoft's own keys have so many (112 bits of security); a weaker one signs nothing (NIST SP 800-131A)."""
FAILURE_SECONDS: Final = 3.0
"""After a failed fetch nobody else waits for another one so soon."""


class KeysUnavailableError(Exception):
    """The issuer's keys cannot be fetched at this moment: nobody's token can be judged."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    key: Any
    endorsements: tuple[str, ...] = ()
    """Channels that this key may sign for (Bot Framework), empty elsewhere."""
    issuer: str = ""
    """Who may sign with it (Entra), `{tenantid}` in it for any tenant; empty: not said."""

    def is_for(self, tenant_id: str) -> bool:
        """Keys at /common are those of all tenants together; some belong to one alone. Source: Microsoft, "Access
        tokens in the Microsoft identity platform", validating the signing key's issuer.
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
        """The key with this id, or None when the issuer has no such key. Raises `KeysUnavailableError`."""
        age = time.monotonic() - self._fetched_at
        if age > REFRESH_SECONDS or (kid not in self._keys and age > UNKNOWN_KID_SECONDS):
            await self.refresh(asked_at=time.monotonic())
        return self._keys.get(kid)

    async def refresh(self, asked_at: float | None = None) -> None:
        async with self._lock:
            if asked_at is not None and self._fetched_at > asked_at:
                return  # somebody else has just done it
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
        """Whether keys may come from there: by TLS, or as the metadata itself comes from this machine."""
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
    """The keys that can be used; one that cannot costs only itself. Raises `ValueError` when there is none."""
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
