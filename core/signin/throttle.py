"""The throttle of sign-ins (docs/trust.md).

An attempt is counted before the work and given back if nothing was wrong with it. So a hundred concurrent attempts are
limited in the same way as attempts one after the other. The `RefusedError` that ends an attempt decides whether it
remains counted.

Attempts are counted by identity, tenant, client address, and the PBX login whose password is tried. People who have the
right key, or have signed in at the PBX before, are not locked out by the attempts of others. Each replica counts the
attempts of all replicas, from its start on.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from typing import Final

from core.budget import address_group
from core.diagnosis.codes import PBX_FAULTS, Code
from core.diagnosis.finding import RefusedError, create_throttled_finding
from core.hub.bus import Bus
from core.identity.teams_user import TeamsUser
from core.moving_window import MovingWindow


class Count(StrEnum):
    """What is counted. The values are part of messages on the bus."""

    GUESSES = "guesses"
    """Wrong names, keys and passwords of one identity."""
    REFUSALS = "refusals"
    """Sign-ins of one identity that are refused for other reasons: no licence, no PBX user with that e-mail address."""
    TENANT_KEYS = "tenant-keys"
    """Wrong names and keys of one tenant."""
    ADDRESS_KEYS = "address-keys"
    """Wrong names and keys from one address."""
    LOGIN = "login"
    """Wrong passwords for one login of one PBX, if the login is visible to the service."""
    TENANT_PASSWORDS = "tenant-passwords"
    """Wrong passwords of one tenant at one PBX."""
    LOOKUPS = "lookups"
    """Look-ups of an e-mail address that no user of the PBX has. For each, the PBX reads all its users."""


LIMITS: Final = {
    Count.GUESSES: (10, 60.0),
    Count.REFUSALS: (20, 60.0),
    Count.TENANT_KEYS: (100, 60.0),
    Count.ADDRESS_KEYS: (60, 60.0),
    Count.LOGIN: (10, 60.0),
    Count.TENANT_PASSWORDS: (60, 60.0),
    Count.LOOKUPS: (3, 30.0),
}
"""Maximum number of events, and the period in seconds."""

_GUESSES: Final = (Code.WRONG_KEY, Code.LOGIN_REJECTED, Code.OUTCOME_UNKNOWN)
"""Outcomes that count as guesses. If the answer was lost, the PBX may have checked the password."""
_COSTS_NOTHING: Final = (
    *(Code.NEVER_CONNECTED, Code.LINK_DOWN, Code.MODULE_INACTIVE, Code.NAME_BOUND_ELSEWHERE, Code.PLANE_DOWN),
    *(*PBX_FAULTS, Code.PBX_BUSY, Code.PROTOCOL_ERROR, Code.THROTTLED),
    Code.PBX_TOO_OLD,
    *(Code.TENANT_NOT_TRUSTED, Code.NOT_AUTOMATIC, Code.GUEST, Code.EMAIL_NOT_VERIFIED),
)
"""Refusals that are not the person's doing, or that did not need a request to the PBX."""


class _UnderWay:
    """The running attempts of one identity at this replica."""

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
    async def attempt(self, user: TeamsUser) -> AsyncIterator[None]:
        """Count an attempt of this identity. Raises `RefusedError` (throttled) if it is not allowed now.

        If running attempts have used up the limit, this waits for one of them to end, because it may be given back.
        """
        key = _key(*user.key)
        counts = (Count.GUESSES, key), (Count.REFUSALS, key)
        while (seconds := max(self.wait(*count) for count in counts)) and key in self._under_way:
            await self._under_way[key].one_ended.wait()
        if seconds:
            raise RefusedError(create_throttled_finding(seconds))
        under_way = self._under_way.setdefault(key, _UnderWay())
        under_way.number += 1
        self._publish("+", counts)
        code: Code | None = None
        try:
            yield
        except RefusedError as refused:
            code = refused.finding.code
            raise
        finally:
            guess, refusal = counts
            back = [] if code in _GUESSES else [guess]
            back += [] if _is_other_refusal(code) else [refusal]
            self._publish("-", back)
            under_way.end_one()
            if not under_way.number:
                del self._under_way[key]

    def count_wrong_key(self, user: TeamsUser, address: str) -> float:
        """Count a wrong name or key for tenant and address. Return the seconds to wait if the limit is reached, else 0."""
        counts = (Count.TENANT_KEYS, _key(user.tenant_id)), (Count.ADDRESS_KEYS, _key(address_group(address)))
        seconds = max(self.wait(*count) for count in counts)
        if not seconds:
            self._publish("+", counts)
        return seconds

    def password_wait(self, user: TeamsUser, pbx_id: str, login: str | None) -> float:
        """Return the seconds until a password may be tried. `login` is None if the service cannot see it."""
        return max(self.wait(*count) for count in _password_counts(user, pbx_id, login))

    @contextmanager
    def password(self, user: TeamsUser, pbx_id: str, login: str | None, *, is_exempt: bool) -> Iterator[None]:
        """Count the try of a password. Raises `RefusedError` (throttled) if it is not allowed now.

        `is_exempt` is for people who have signed in at this PBX before, so that the guesses of strangers do not lock them
        out. Their own guesses are counted by `attempt`.
        """
        if is_exempt:
            yield
            return
        seconds = self.password_wait(user, pbx_id, login)
        if seconds:
            raise RefusedError(create_throttled_finding(seconds))
        # The tenant is counted only after a wrong password, because a whole company may sign in at the same moment.
        tenant, *of_login = _password_counts(user, pbx_id, login)
        self._publish("+", of_login)
        is_guess = False
        try:
            yield
        except RefusedError as refused:
            is_guess = refused.finding.code in _GUESSES
            raise
        finally:
            if is_guess:
                self._publish("+", [tenant])
            else:
                self._publish("-", of_login)

    def is_known_unmatched(self, pbx_id: str, email: str) -> bool:
        """Return whether the PBX said repeatedly, within seconds, that it has no user with this e-mail address."""
        return self.wait(Count.LOOKUPS, _key(pbx_id, email)) > 0

    def record_unmatched(self, pbx_id: str, email: str) -> None:
        self._publish("+", [(Count.LOOKUPS, _key(pbx_id, email))])

    def wait(self, count: Count, key: str) -> float:
        return self._windows[count].wait(key)

    def _publish(self, sign: str, counts: Sequence[tuple[Count, str]]) -> None:
        # The bus calls this replica's own `_hear` synchronously.
        if counts:
            self._bus.publish(*(f"throttle:{sign}:{count}:{key}" for count, key in counts))

    def _hear(self, rest: str) -> None:
        sign, _, rest = rest.partition(":")
        count, _, key = rest.partition(":")
        if count not in LIMITS:
            return  # sent by a newer replica
        window = self._windows[Count(count)]
        if sign == "+":
            window.count(key)
        elif sign == "-":
            window.give_back(key)


def _is_other_refusal(code: Code | None) -> bool:
    """Return whether this outcome of an attempt counts as a refusal that was no guess."""
    return code is not None and code not in (*_GUESSES, *_COSTS_NOTHING)


def _password_counts(user: TeamsUser, pbx_id: str, login: str | None) -> list[tuple[Count, str]]:
    counts = [(Count.TENANT_PASSWORDS, _key(pbx_id, user.tenant_id))]
    if login is not None:
        counts.append((Count.LOGIN, _key(pbx_id, login.lower())))
    return counts


def _key(*parts: str) -> str:
    """Return a hash of fixed length, so that no login and no address is sent over the bus."""
    return hashlib.blake2b("\0".join(parts).encode(errors="replace"), digest_size=12).hexdigest()
