"""Keeps refused logins so few that the PBX does not block the connector's address.

A STARFACE puts an address on its blacklist after too many wrong logins and then ignores its packets, REST and UCI each,
for ten minutes or longer; a good login keeps the address off the list for a day (knowledge.starface.de, "Black- und
Whitelist konfigurieren"). How many are too many is a setting of the PBX. So all parts of the connector ask here first.
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
"""Between two tries of the connector's own login, once it was refused."""
OWN_TRIES: Final = 3
"""So many refusals in a row are enough: from then on only a changed password or somebody's question brings a try."""
WINDOW_SECONDS: Final = 600.0
PER_PERSON: Final = 5
"""Refused logins in the window: of one PBX login, and of one Teams identity whatever logins it tries."""
BLOCKED_WITHIN_SECONDS: Final = 900.0
"""Silence so soon after a refusal may be the blacklist: an address stays on it for ten minutes by default."""
PROTECTED_SECONDS: Final = 20 * 3600.0
"""After a good login of the connector itself the address is not blocked; less than the PBX's 24 hours."""
FROM_PROTECTED_ADDRESS: Final = 30
FROM_OPEN_ADDRESS: Final = 3
"""Refused logins of all people in the window, while the address is protected and while it is not."""
MAX_PEOPLE: Final = 1000


class LoginGuard:
    def __init__(
        self, clock: Callable[[], float] = time.monotonic, memory: LoginMemory | None = None
    ) -> None:
        """`clock`: seconds that never jump. `memory`: what other processes of this connector have tried."""
        self._clock = clock
        self._memory = memory
        self._own_refusals = 0
        self._own_refused_at = 0.0
        self._own_accepted_at: float | None = None
        self._of: OrderedDict[str, deque[float]] = OrderedDict()
        """Refused logins, by login and by who asked."""
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Who has logged in with which login since this connector began."""
        self._under_way = 0
        self._one_ended = asyncio.Event()
        self._everybody: deque[float] = deque()
        self._refused_at: float | None = None

    @property
    def refused_recently(self) -> bool:
        """The PBX has refused a login from here (anyone's), and has accepted none since."""
        return self._refused_at is not None and self._clock() - self._refused_at < BLOCKED_WITHIN_SECONDS

    @property
    def own_login_paused(self) -> bool:
        """No try is made by itself any more."""
        return self._own_refusals >= OWN_TRIES

    def check_own(self) -> None:
        """Before the connector's own login is tried. Raises `LoginPausedError`."""
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
        """Around a try of the connector's own login. Raises `LoginPausedError`."""
        self.check_own()
        begun = self._memory.begin() if self._memory is not None else None
        try:
            yield
        except PbxLoginFailedError:
            self.own_refused()
            raise
        except Exception:
            if self._memory is not None and begun is not None:
                self._memory.take_back(begun)
            raise
        if self._memory is not None:
            self._memory.accepted()
        self.own_accepted()

    def own_refused(self) -> None:
        self._own_refusals += 1
        self._own_refused_at = self._refused_at = self._clock()

    def own_accepted(self) -> None:
        self._own_refusals = 0
        self._own_accepted_at = self._clock()
        self._refused_at = None

    def allow_one(self) -> None:
        """Somebody asks, or the password has changed: the next try is made at once."""
        if self._own_refusals:
            self._own_refusals = min(self._own_refusals, OWN_TRIES - 1)
            self._own_refused_at = self._clock() - OWN_RETRY_SECONDS

    @asynccontextmanager
    async def person(self, login: str, who: str) -> AsyncIterator[None]:
        """Around a login with somebody's password; `who` is the Teams identity that asks. Raises `LoginPausedError`.

        Counted before the PBX is asked and taken back unless it refuses, so that many at once are no more than many one
        after the other. Anyone who has logged in with this login before is held by their own mistakes alone: strangers who
        guess must not keep them out.
        """
        while (wait := self._wait(login, who)) and self._under_way:
            await self._one_ended.wait()  # it may be accepted, and then it counts no more
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
        """Seconds until this login may be tried; 0: now."""
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
