"""Throttling failed sign-ins, per Teams identity, per PBX name and per address (design, section 4.2).

Only failures count, so a company behind one address that signs in correctly never meets it.
"""

from typing import Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from core.identity.teams_user import TeamsUser

PER_IDENTITY: Final = parse("10/minute")
PER_PBX_NAME: Final = parse("100/minute")
PER_ADDRESS: Final = parse("60/minute")


class Throttle:
    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def allows(self, user: TeamsUser, pbx_name: str, address: str) -> bool:
        return all(self._limiter.test(item, *key) for item, key in _items(user, pbx_name, address))

    def failed(self, user: TeamsUser, pbx_name: str, address: str) -> None:
        for item, key in _items(user, pbx_name, address):
            self._limiter.hit(item, *key)


def _items(user: TeamsUser, pbx_name: str, address: str) -> tuple[tuple[RateLimitItem, tuple[str, ...]], ...]:
    return (
        (PER_IDENTITY, ("identity", *user.key)),
        (PER_PBX_NAME, ("pbx", pbx_name)),
        (PER_ADDRESS, ("address", address)),
    )
