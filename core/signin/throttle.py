"""Throttling sign-ins: counted before the work and given back when nothing was wrong, so that a hundred attempts at once
are judged no more often than ten one after the other (docs/trust.md).

What is counted is what an attempt can be held against: the identity that asks, its tenant, its address, the PBX login
whose password is tried. Nobody who brings the right key, and nobody who has signed in at the PBX before, is kept out by
what others did. Every replica counts the attempts of all; a replica that starts has counted none.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.budget import address_group
from core.diagnosis.codes import PBX_FAULTS, Code
from core.diagnosis.finding import Finding
from core.hub.bus import Bus
from core.identity.teams_user import TeamsUser
from core.moving_window import MovingWindow


class Count(StrEnum):
    """What is counted. Values go over the bus."""

    GUESSES = "guesses"
    """Wrong names, keys and passwords of one identity."""
    REFUSALS = "refusals"
    """Sign-ins of one identity that are refused for another reason: no licence, no user with that address."""
    TENANT_KEYS = "tenant-keys"
    """Wrong names and keys of one tenant."""
    ADDRESS_KEYS = "address-keys"
    """Wrong names and keys from one address."""
    LOGIN = "login"
    """Wrong passwords for one login of one PBX, where the service sees the login."""
    TENANT_PASSWORDS = "tenant-passwords"
    """Wrong passwords of one tenant at one PBX."""
    LOOKUPS = "lookups"
    """Addresses that no user of one PBX has: each costs the PBX a reading of all its users."""


LIMITS: Final = {
    Count.GUESSES: (10, 60.0),
    Count.REFUSALS: (20, 60.0),
    Count.TENANT_KEYS: (100, 60.0),
    Count.ADDRESS_KEYS: (60, 60.0),
    Count.LOGIN: (10, 60.0),
    Count.TENANT_PASSWORDS: (60, 60.0),
    Count.LOOKUPS: (3, 30.0),
}
"""How many within how many seconds."""

_GUESSES: Final = (Code.WRONG_KEY, Code.LOGIN_REJECTED, Code.OUTCOME_UNKNOWN)
"""After a lost answer the PBX may have judged the password."""
_COSTS_NOTHING: Final = (
    *(Code.NEVER_CONNECTED, Code.LINK_DOWN, Code.MODULE_INACTIVE, Code.NAME_BOUND_ELSEWHERE, Code.PLANE_DOWN),
    *(*PBX_FAULTS, Code.PBX_BUSY, Code.PROTOCOL_ERROR, Code.THROTTLED),
    Code.PBX_TOO_OLD,
    *(Code.TENANT_NOT_TRUSTED, Code.NOT_AUTOMATIC, Code.GUEST, Code.EMAIL_NOT_VERIFIED),
)
"""Causes that do not lie with the person, or that were known before the PBX was asked."""


@dataclass(slots=True)
class Attempt:
    """One step of a sign-in, with what came of it."""

    wait: float
    """Seconds until it may be made; 0: now."""
    outcome: object = None

    @property
    def is_guess(self) -> bool:
        return isinstance(self.outcome, Finding) and self.outcome.code in _GUESSES

    @property
    def is_refusal(self) -> bool:
        code = self.outcome.code if isinstance(self.outcome, Finding) else None
        return code is not None and code not in (*_GUESSES, *_COSTS_NOTHING)


class _UnderWay:
    """The attempts of one identity that have not ended, here."""

    def __init__(self) -> None:
        self.number = 0
        self.one_ended = asyncio.Event()

    def end_one(self) -> None:
        self.number -= 1
        self.one_ended.set()
        self.one_ended = asyncio.Event()


class Throttle:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._windows = {count: MovingWindow(*limit) for count, limit in LIMITS.items()}
        self._under_way: dict[str, _UnderWay] = {}
        bus.listen("throttle", self._hear)

    @asynccontextmanager
    async def attempt(self, user: TeamsUser) -> AsyncIterator[Attempt]:
        """Counts an attempt of this identity; its `outcome`, set within, decides whether it stays counted. What comes
        while as many are under way as may fail waits for one of them to end: it may succeed.
        """
        key = _key(*user.key)
        counts = (Count.GUESSES, key), (Count.REFUSALS, key)
        while (seconds := max(self.wait(*count) for count in counts)) and key in self._under_way:
            await self._under_way[key].one_ended.wait()
        attempt = Attempt(seconds)
        if seconds:
            yield attempt
            return
        under_way = self._under_way.setdefault(key, _UnderWay())
        under_way.number += 1
        self._publish("+", counts)
        try:
            yield attempt
        finally:
            guess, refusal = counts
            back = [] if attempt.is_guess else [guess]
            back += [] if attempt.is_refusal else [refusal]
            self._publish("-", back)
            under_way.end_one()
            if not under_way.number:
                del self._under_way[key]

    def wrong_key(self, user: TeamsUser, address: str) -> float:
        """Counts a wrong name or key against tenant and address. More than 0: as many were wrong already, and the answer
        is to be that, so many seconds long.
        """
        counts = (Count.TENANT_KEYS, _key(user.tenant_id)), (Count.ADDRESS_KEYS, _key(address_group(address)))
        seconds = max(self.wait(*count) for count in counts)
        if not seconds:
            self._publish("+", counts)
        return seconds

    def password_wait(self, user: TeamsUser, pbx_id: str, login: str | None) -> float:
        """Seconds until a password may be tried; `login` as far as the service sees it."""
        return max(self.wait(*count) for count in _password_counts(user, pbx_id, login))

    @contextmanager
    def password(
        self, user: TeamsUser, pbx_id: str, login: str | None, *, is_exempt: bool
    ) -> Iterator[Attempt]:
        """Counts a password that is tried. `is_exempt`: by somebody who has signed in there before, whom strangers who
        guess must not keep out; their own guesses are counted by `attempt`.
        """
        attempt = Attempt(0.0 if is_exempt else self.password_wait(user, pbx_id, login))
        if attempt.wait or is_exempt:
            yield attempt
            return
        # The tenant's is counted when the password was wrong: a whole company may sign in at the same moment.
        tenant, *of_login = _password_counts(user, pbx_id, login)
        self._publish("+", of_login)
        try:
            yield attempt
        finally:
            if attempt.is_guess:
                self._publish("+", [tenant])
            else:
                self._publish("-", of_login)

    def is_searched_in_vain(self, pbx_id: str, email: str) -> bool:
        """The PBX has said several times within seconds that no user of its has this address."""
        return self.wait(Count.LOOKUPS, _key(pbx_id, email)) > 0

    def searched_in_vain(self, pbx_id: str, email: str) -> None:
        self._publish("+", [(Count.LOOKUPS, _key(pbx_id, email))])

    def wait(self, count: Count, key: str) -> float:
        return self._windows[count].wait(key)

    def _publish(self, sign: str, counts: Sequence[tuple[Count, str]]) -> None:
        # Heard here as well, at once.
        if counts:
            self._bus.publish(*(f"throttle:{sign}:{count}:{key}" for count, key in counts))

    def _hear(self, rest: str) -> None:
        sign, _, rest = rest.partition(":")
        count, _, key = rest.partition(":")
        if count not in LIMITS:
            return  # of a replica that is newer
        window = self._windows[Count(count)]
        if sign == "+":
            window.count(key)
        elif sign == "-":
            window.give_back(key)


def _password_counts(user: TeamsUser, pbx_id: str, login: str | None) -> list[tuple[Count, str]]:
    counts = [(Count.TENANT_PASSWORDS, _key(pbx_id, user.tenant_id))]
    if login is not None:
        counts.append((Count.LOGIN, _key(pbx_id, login.lower())))
    return counts


def _key(*parts: str) -> str:
    """Of one length whatever somebody has chosen, and without the login or address in what crosses the bus."""
    return hashlib.blake2b("\0".join(parts).encode(errors="replace"), digest_size=12).hexdigest()
