"""Limits refused logins, so that the PBX does not block the connector's address.

A STARFACE puts an address on its blacklist after too many wrong logins. It then ignores the address's packets, for REST
and UCI separately, for ten minutes or longer. A successful login keeps the address off the list for a day
(knowledge.starface.de, "Black- und Whitelist konfigurieren"). The number of permitted wrong logins is a setting of the
PBX. So every part of the connector asks here before it logs in.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from connector.errors import LoginPausedError, LoginRejectedError, PbxLoginFailedError
from connector.login_memory import LoginMemory

OWN_RETRY_SECONDS: Final = 60.0
"""How long to wait between two tries of the connector's own login after a refusal."""
OWN_TRIES: Final = 3
"""After this many refusals in a row, only a changed password or a run of the diagnosis permits another try."""
WINDOW_SECONDS: Final = 600.0
"""How long refused logins of people are counted."""
PER_PERSON: Final = 5
"""Most refused logins in the window for one PBX login, and for one Teams identity regardless of the login."""
BLOCKED_WITHIN_SECONDS: Final = 900.0
"""A PBX that falls silent within this time after a refusal may have blacklisted the address (ten minutes by default)."""
PROTECTED_SECONDS: Final = 20 * 3600.0
"""How long the address counts as protected after a successful login of the connector; less than the PBX's 24 hours."""
FROM_PROTECTED_ADDRESS: Final = 30
FROM_OPEN_ADDRESS: Final = 3
"""Most refused logins of all people in the window, while the address is protected and while it is not."""
MAX_PEOPLE: Final = 1000


class LoginGuard:
    """Counts refused logins and decides whether another login may be tried."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, memory: LoginMemory | None = None
    ) -> None:
        """`clock`: monotonic seconds. `memory`: the refused logins of this connector's other processes."""
        self._clock = clock
        self._memory = memory
        self._own_refusals = 0
        self._own_refused_at = 0.0
        self._own_accepted_at: float | None = None
        self._of: OrderedDict[str, deque[float]] = OrderedDict()
        """Times of refused logins, by login and by Teams identity."""
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Pairs of Teams identity and login that have logged in since this connector started."""
        self._under_way = 0
        self._one_ended = asyncio.Event()
        self._everybody: deque[float] = deque()
        self._refused_at: float | None = None

    @property
    def refused_recently(self) -> bool:
        """Whether the PBX has recently refused anybody's login from here and has accepted none since."""
        return self._refused_at is not None and self._clock() - self._refused_at < BLOCKED_WITHIN_SECONDS

    @property
    def own_login_paused(self) -> bool:
        """Whether the own login is no longer tried automatically."""
        return self._own_refusals >= OWN_TRIES

    def check_own(self) -> None:
        """Raise `LoginPausedError` if the connector's own login may not be tried now."""
        if self.own_login_paused:
            raise LoginPausedError(
                f"the PBX has refused the connector's login {self._own_refusals} times; none is tried until the"
                " configuration changes or somebody runs the diagnosis",
                is_final=True,
            )
        wait = self._own_refused_at + OWN_RETRY_SECONDS - self._clock()
        if self._own_refusals and wait > 0:
            raise LoginPausedError(
                f"the PBX has refused the connector's login; tried again in {wait:.0f} seconds"
            )

        if self._memory is not None and (wait := self._memory.wait()) > 0:
            raise LoginPausedError(
                "the PBX has refused the connector's login several times within ten minutes; tried again in"
                f" {wait:.0f} seconds"
            )

    @asynccontextmanager
    async def own(self) -> AsyncIterator[None]:
        """Guard a try of the connector's own login. Raises `LoginPausedError`."""
        self.check_own()
        begun = self._memory.begin() if self._memory is not None else None
        try:
            yield
        except PbxLoginFailedError:
            self.mark_own_refused()
            raise
        except Exception:
            if self._memory is not None and begun is not None:
                self._memory.take_back(begun)
            raise
        if self._memory is not None:
            self._memory.forget_all()
        self.mark_own_accepted()

    def mark_own_refused(self) -> None:
        self._own_refusals += 1
        self._own_refused_at = self._refused_at = self._clock()

    def mark_own_accepted(self) -> None:
        self._own_refusals = 0
        self._own_accepted_at = self._clock()
        self._refused_at = None

    def allow_one(self) -> None:
        """Permit the next try immediately, because somebody runs the diagnosis or the password has changed."""
        if self._own_refusals:
            self._own_refusals = min(self._own_refusals, OWN_TRIES - 1)
            self._own_refused_at = self._clock() - OWN_RETRY_SECONDS

    @asynccontextmanager
    async def person(self, login: str, who: str) -> AsyncIterator[None]:
        """Guard a login with a person's password; `who` is their Teams identity. Raises `LoginPausedError`.

        The login is counted before the PBX is asked, and uncounted unless the PBX refuses it, so that concurrent logins
        are limited like successive ones. For a person who has used this login before only their own mistakes count, so
        that strangers who guess passwords cannot lock them out.
        """
        while (wait := self._wait(login, who)) and self._under_way:
            await self._one_ended.wait()  # a login in progress that is accepted no longer counts
        if wait:
            raise LoginPausedError(f"too many wrong passwords; tried again in {wait:.0f} seconds")
        now = self._clock()
        counts = [count for count, _ in self._counts(login, who)]
        for count in counts:
            count.append(now)
        self._under_way += 1
        is_refused = False
        try:
            yield
        except LoginRejectedError:
            is_refused = True
            self._refused_at = now
            raise
        finally:
            self._under_way -= 1
            if not is_refused:
                for count in counts:
                    if now in count:
                        count.remove(now)
            self._one_ended.set()
            self._one_ended = asyncio.Event()
        self._of.pop(f"own {who} {login}", None)
        self._known[who, login] = None
        self._known.move_to_end((who, login))
        while len(self._known) > MAX_PEOPLE:
            self._known.popitem(last=False)
        self._refused_at = None

    def _wait(self, login: str, who: str) -> float:
        """Return the seconds until this login may be tried; 0 means now."""
        now = self._clock()
        for count, limit in self._counts(login, who):
            _forget(count, now)
            if len(count) >= limit:
                return max(1.0, count[0] + WINDOW_SECONDS - now)
        return 0.0

    def _counts(self, login: str, who: str) -> list[tuple[deque[float], int]]:
        if (who, login) in self._known:
            return [(self._count(f"own {who} {login}"), PER_PERSON)]
        by_login, by_identity = self._count(f"login {login}"), self._count(f"who {who}")
        return [
            (by_login, PER_PERSON),
            (by_identity, PER_PERSON),
            (self._everybody, self._limit(self._clock())),
        ]

    def _count(self, key: str) -> deque[float]:
        count = self._of.setdefault(key, deque())
        self._of.move_to_end(key)
        while len(self._of) > 2 * MAX_PEOPLE:
            self._of.popitem(last=False)
        return count

    def _limit(self, now: float) -> int:
        accepted = self._own_accepted_at
        is_protected = accepted is not None and now - accepted < PROTECTED_SECONDS
        return FROM_PROTECTED_ADDRESS if is_protected else FROM_OPEN_ADDRESS


def _forget(refusals: deque[float], now: float) -> None:
    while refusals and now - refusals[0] >= WINDOW_SECONDS:
        refusals.popleft()
