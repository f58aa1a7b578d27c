"""Throttling failed sign-ins, per Teams identity, per PBX name and per address (design, section 4.2).

Only failures count, so a company behind one address that signs in correctly never meets it. Every replica counts the
failures of all.
"""

from typing import Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from core.hub.bus import Bus
from core.identity.teams_user import TeamsUser

PER_IDENTITY: Final = parse("10/minute")
PER_PBX_NAME: Final = parse("100/minute")
PER_ADDRESS: Final = parse("60/minute")


_LIMITS: Final[dict[str, RateLimitItem]] = {
    "identity": PER_IDENTITY,
    "pbx": PER_PBX_NAME,
    "address": PER_ADDRESS,
}


class Throttle:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        bus.listen("throttle", self._hit)

    def allows(self, user: TeamsUser, pbx_name: str, address: str) -> bool:
        keys = _keys(user, pbx_name, address)
        return all(self._limiter.test(_LIMITS[kind], kind, key) for kind, key in keys)

    def failed(self, user: TeamsUser, pbx_name: str, address: str) -> None:
        self._bus.publish(*(f"throttle:{kind}:{key}" for kind, key in _keys(user, pbx_name, address)))

    def _hit(self, rest: str) -> None:
        kind, _, key = rest.partition(":")
        if kind in _LIMITS:
            self._limiter.hit(_LIMITS[kind], kind, key)


def _keys(user: TeamsUser, pbx_name: str, address: str) -> tuple[tuple[str, str], ...]:
    return ("identity", "/".join(user.key)), ("pbx", pbx_name), ("address", address)
