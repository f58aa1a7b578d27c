"""How long the connector waits on its ways. One table, so that the doctor waits as long as the part that it examines."""

from dataclasses import dataclass
from typing import Final

import aiohttp


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds."""

    connect: float
    """For the name, TCP, the proxy's tunnel and TLS, each."""
    whole: float
    """For a whole answer; of the link, for its opening."""
    between_bytes: float | None
    """None: something else watches the silence."""

    def timeout(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=self.whole, sock_connect=self.connect, sock_read=self.between_bytes
        )


SERVICE: Final = Limits(connect=10.0, whole=15.0, between_bytes=None)
"""connect: a first packet that is lost is sent again after 1, 3 and 7 seconds (RFC 6298). whole: longer than that, and
shorter than a person waits who watches the connector start. Once the link is open, its heartbeat watches it."""

PBX: Final = Limits(connect=5.0, whole=8.0, between_bytes=8.0)
"""connect: the PBX stands in the same house. whole: below the hub's own deadline, so that a person is told of the PBX and
not of the link. A PBX may think for as long as it may answer."""

CLOCK: Final = Limits(connect=5.0, whole=5.0, between_bytes=5.0)
"""For a look at somebody's `Date` and certificate: worth no more waiting."""

FAMILY_DELAY: Final = 0.25
"""After so long the next address is tried beside the first (RFC 8305, section 5; aiohttp's default)."""
