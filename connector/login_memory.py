"""Remembers refused logins of the connector itself across processes.

A STARFACE blocks an address after too many wrong logins, even if each came from another process, for instance from a
doctor that is run repeatedly or a service that restarts in a loop. So the last refusals are stored in the state
directory. They contain no password, only times and two bytes that distinguish one configuration from another.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from typing import Final

from pydantic import Field, ValidationError

from connector.config import PbxSection
from connector.errors import ConnectorError
from connector.state import ConnectorState
from wire.model import WireModel

logger = logging.getLogger(__name__)

FILE: Final = "refused-logins"
WINDOW_SECONDS: Final = 600.0
"""How long the PBX counts refusals, and how long it blocks, by default (knowledge.starface.de, 33786529)."""
WITH_ONE_CONFIGURATION: Final = 3
"""Most refusals of one configuration in the window."""
WITH_ANY: Final = 4
"""Most refusals of all configurations in the window: a corrected password gets one more try."""
MAX_KEPT: Final = 10
MAX_BYTES: Final = 4096
_CONTEXT: Final = b"pbx-connector refused logins v1"
_FINGERPRINT_BYTES: Final = 2
"""Enough to detect a change, too few to find the password from them."""


class Try(WireModel):
    """A login that was refused, or whose result was never stored because the process ended first."""

    at: float = Field(allow_inf_nan=False)
    """Seconds since the epoch."""
    configuration: str = Field(max_length=8)


class _Tries(WireModel):
    tries: list[Try] = Field(default_factory=list, max_length=MAX_KEPT)


class LoginMemory:
    """The stored refusals of the connector's own login."""

    def __init__(
        self, state: ConnectorState, pbx: PbxSection, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` returns seconds since the epoch. Raises `ConnectorError` if the password cannot be read."""
        self._state = state
        self._clock = clock
        key = state.key_at_rest(_CONTEXT)
        about = f"{pbx.url}\0{pbx.login}\0{pbx.auth}\0{pbx.read_password()}"
        digest = hmac.new(key, about.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        self._configuration = digest[:_FINGERPRINT_BYTES].hex()

    def wait(self) -> float:
        """Return the seconds until the login may be tried; 0 means now."""
        tries = self._read()
        own = [one for one in tries if one.configuration == self._configuration]
        now, waits = self._clock(), [0.0]
        for found, limit in ((own, WITH_ONE_CONFIGURATION), (tries, WITH_ANY)):
            if len(found) >= limit:
                waits.append(found[-limit].at + WINDOW_SECONDS - now)
        return max(waits)

    def begin(self) -> Try:
        """Store a try before the PBX is asked, so that it is remembered even if the process ends before the answer."""
        begun = Try(at=self._clock(), configuration=self._configuration)
        self._write([*self._read(), begun])
        return begun

    def take_back(self, begun: Try) -> None:
        """Remove a try that the PBX has not refused."""
        tries = self._read()
        if begun in tries:
            tries.remove(begun)
            self._write(tries)

    def forget_all(self) -> None:
        """Forget all tries: a successful login resets the PBX's count."""
        if self._read():
            self._write([])

    def _read(self) -> list[Try]:
        """Return the tries within the window. A time in the future comes from a wrong clock; it also counts only within the
        window.
        """
        try:
            content = self._state.read(FILE)
            tries = _Tries.model_validate_json(content).tries if 0 < len(content) <= MAX_BYTES else []
        except (ConnectorError, ValidationError) as fault:
            logger.warning("the last refused logins cannot be read", extra={"reason": type(fault).__name__})
            return []
        now = self._clock()
        return [one for one in tries if abs(now - one.at) < WINDOW_SECONDS]

    def _write(self, tries: list[Try]) -> None:
        content = _Tries(tries=tries[-MAX_KEPT:]).model_dump_json(by_alias=True)
        try:
            self._state.write(FILE, content.encode() + b"\n")
        except ConnectorError as fault:
            logger.warning("the last refused logins cannot be stored", extra={"reason": str(fault)})
