"""Refused logins of the connector itself, kept across processes.

A STARFACE blocks an address after too many wrong logins, and does not care that each came from another process: the
doctor run again and again, or a service that restarts in a loop. So the last refusals stand in the state directory. They
hold no password: times, and two bytes that tell one configuration from another.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from typing import Final

from pydantic import Field, ValidationError

from connector.config import Pbx
from connector.errors import ConnectorError
from connector.state import State
from wire.model import WireModel

logger = logging.getLogger(__name__)

FILE: Final = "refused-logins"
WINDOW_SECONDS: Final = 600.0
"""How long the PBX counts, and blocks, by default (knowledge.starface.de, 33786529)."""
WITH_ONE_CONFIGURATION: Final = 3
WITH_ANY: Final = 4
"""Anyone who has corrected the password gets one try more, and waits if that is wrong, too."""
MAX_KEPT: Final = 10
MAX_BYTES: Final = 4096
_CONTEXT: Final = b"pbx-connector refused logins v1"
_FINGERPRINT_BYTES: Final = 2
"""Enough to see that something was changed, too few to find a password by."""


class Try(WireModel):
    """A login that was refused, or whose end nobody has written down."""

    at: float = Field(allow_inf_nan=False)
    """Seconds since the epoch."""
    configuration: str = Field(max_length=8)


class _Tries(WireModel):
    tries: list[Try] = Field(default_factory=list, max_length=MAX_KEPT)


class LoginMemory:
    def __init__(self, state: State, pbx: Pbx, clock: Callable[[], float] = time.time) -> None:
        """`clock`: seconds since the epoch. Raises `ConnectorError` when the password cannot be read."""
        self._state = state
        self._clock = clock
        key = state.key_at_rest(_CONTEXT)
        about = f"{pbx.url}\0{pbx.login}\0{pbx.auth}\0{pbx.read_password()}"
        digest = hmac.new(key, about.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        self._configuration = digest[:_FINGERPRINT_BYTES].hex()

    def wait(self) -> float:
        """Seconds until the login may be tried; 0: now."""
        tries = self._read()
        own = [one for one in tries if one.configuration == self._configuration]
        now, waits = self._clock(), [0.0]
        for found, limit in ((own, WITH_ONE_CONFIGURATION), (tries, WITH_ANY)):
            if len(found) >= limit:
                waits.append(found[-limit].at + WINDOW_SECONDS - now)
        return max(waits)

    def begin(self) -> Try:
        """Before the PBX is asked: a process that ends before the answer must not forget that it has asked."""
        begun = Try(at=self._clock(), configuration=self._configuration)
        self._write([*self._read(), begun])
        return begun

    def take_back(self, begun: Try) -> None:
        """The PBX has refused nothing."""
        tries = self._read()
        if begun in tries:
            tries.remove(begun)
            self._write(tries)

    def accepted(self) -> None:
        """A good login ends what the PBX has counted."""
        if self._read():
            self._write([])

    def _read(self) -> list[Try]:
        """Of the window. A time of the future is of a clock that was wrong, and counts no longer than the window either."""
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
            logger.warning("the last refused logins cannot be kept", extra={"reason": str(fault)})
