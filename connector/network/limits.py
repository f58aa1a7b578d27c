"""The connector's time-outs. They are in one place, so that the doctor waits as long as the part that it examines."""

from dataclasses import dataclass
from typing import Final

import aiohttp


@dataclass(frozen=True, slots=True)
class Limits:
    """Time-outs of one target, in seconds."""

    connect: float
    """For each of name resolution, TCP, the proxy's tunnel and TLS."""
    whole: float
    """For a whole answer; for the link, the time until it is open."""
    between_bytes: float | None
    """None: something else detects silence."""

    def timeout(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=self.whole, sock_connect=self.connect, sock_read=self.between_bytes
        )


SERVICE: Final = Limits(connect=10.0, whole=15.0, between_bytes=None)
"""connect: a lost first packet is sent again after 1, 3 and 7 seconds (RFC 6298). whole: longer than that, but shorter than
a person waits who watches the connector start. Once the link is open, the heartbeat detects silence."""

PBX: Final = Limits(connect=5.0, whole=8.0, between_bytes=8.0)
"""connect: the PBX is at the same site. whole: less than the hub's deadline, so that a person sees an error about the PBX
and not about the link. between_bytes: the PBX may use the whole time before its first byte."""

CLOCK: Final = Limits(connect=5.0, whole=5.0, between_bytes=5.0)
"""For reading a host's `Date` and certificate, which is not worth a longer wait."""

FAMILY_DELAY: Final = 0.25
"""How long after the first address the next one is tried in parallel (RFC 8305, section 5; aiohttp's default)."""
