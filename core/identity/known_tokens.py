"""A cache of validated tokens, so that a second request with the same token does not verify its signature again.

A token is identified by its SHA-256, so the cache holds no usable token. Only tokens that passed every check are cached.
An entry is valid until the token expires, or until the issuer no longer publishes the key that signed it.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from core.identity.signing_keys import SigningKey, SigningKeys

LEEWAY_SECONDS: Final = 60
"""Permitted difference between our clock and the issuer's."""
MAX_TOKENS: Final = 20_000
"""Number of cached tokens, of about one kilobyte each. The least recently used one is dropped first."""
MAX_TOKENS_PER_OWNER: Final = 8
"""Number of cached tokens of one person. Teams has one token on each device, and renews it about every hour."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    owner: Hashable
    key: SigningKey
    key_id: str
    good_from: int
    good_until: int
    """`good_from` and `good_until` are seconds since the epoch and include the leeway."""
    result: T


class KnownTokens(Generic[T]):
    """The cache; `T` is the result of the checks of one token."""

    def __init__(self, max_tokens: int = MAX_TOKENS, max_per_owner: int = MAX_TOKENS_PER_OWNER) -> None:
        self._max_tokens = max_tokens
        self._max_per_owner = max_per_owner
        self._known: OrderedDict[bytes, _Known[T]] = OrderedDict()
        self._of_owner: dict[Hashable, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._known)

    async def find(self, token: str, keys: SigningKeys) -> T | None:
        """Return the cached result, or None if the token has to be checked. Raises `KeysUnavailableError`."""
        digest = _digest(token)
        known = self._known.get(digest)
        if known is None:
            return None
        # A new fetch of the keys makes new objects even if their content is the same. The token is then checked again.
        is_published = await keys.get(known.key_id) is known.key
        if not is_published or not known.good_from <= time.time() < known.good_until:
            self._forget(digest)
            return None
        if digest in self._known:
            self._known.move_to_end(digest)
        return known.result

    def keep(
        self, token: str, key_id: str, key: SigningKey, claims: Mapping[str, Any], owner: Hashable, result: T
    ) -> None:
        """Cache a token that passed every check. Tokens beyond `max_per_owner` displace only those of the same `owner`."""
        digest = _digest(token)
        self._forget(digest)
        begins = max((int(claims[name]) for name in ("nbf", "iat") if name in claims), default=0)
        ends = int(claims["exp"])
        self._known[digest] = _Known(
            owner=owner,
            key=key,
            key_id=key_id,
            good_from=begins - LEEWAY_SECONDS,
            good_until=ends + LEEWAY_SECONDS,
            result=result,
        )
        of_owner = self._of_owner.setdefault(owner, [])
        of_owner.append(digest)
        if len(of_owner) > self._max_per_owner:
            self._forget(of_owner[0])
        if len(self._known) > self._max_tokens:
            self._forget(next(iter(self._known)))

    def _forget(self, digest: bytes) -> None:
        known = self._known.pop(digest, None)
        if known is None:
            return
        of_owner = self._of_owner[known.owner]
        of_owner.remove(digest)
        if not of_owner:
            del self._of_owner[known.owner]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
