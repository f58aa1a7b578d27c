"""Tokens whose signature was found good: a second request with the same token costs no second check of it.

A token is known by its SHA-256, so none lies here that somebody could use. It is known as long as it is good and the key
that signed it is the one that its issuer publishes; only tokens that passed every check are known.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from core.identity.signing_keys import SigningKey, SigningKeys

LEEWAY_SECONDS: Final = 60
"""How far our clock and the issuer's may be apart."""
MAX_TOKENS: Final = 20_000
"""About one kilobyte each. The one that was used longest ago goes first."""
MAX_OF_ONE: Final = 8
"""Of one person: Teams on several devices has a token each, and a new one about every hour."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    owner: Hashable
    key: SigningKey
    key_id: str
    good_from: int
    good_until: int
    """Seconds since the epoch, with the leeway."""
    result: T


class KnownTokens(Generic[T]):
    """`T`: what the checks made of a token."""

    def __init__(self, max_tokens: int = MAX_TOKENS, max_of_one: int = MAX_OF_ONE) -> None:
        self._max_tokens = max_tokens
        self._max_of_one = max_of_one
        self._known: OrderedDict[bytes, _Known[T]] = OrderedDict()
        self._of_owner: dict[Hashable, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._known)

    async def find(self, token: str, keys: SigningKeys) -> T | None:
        """None: to be checked. Raises `KeysUnavailableError` as a check does."""
        digest = _digest(token)
        known = self._known.get(digest)
        if known is None:
            return None
        # Keys that were fetched again are other objects, also where they say the same: then it is checked again.
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
        """A token that has passed every check. `owner`: whose tokens push out only each other."""
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
        if len(of_owner) > self._max_of_one:
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
