"""What both ends of a WebSocket connection share: close codes, heartbeats and the back-off between attempts."""

import random
from contextlib import suppress
from enum import IntEnum
from typing import Final

from wire.jsonrpc import Endpoint, LinkBusyError, LinkClosedError, RpcRefusalError
from wire.model import Empty

HEARTBEATS_MISSED: Final = 3
"""A connection on which nothing was received for this many heartbeat intervals counts as dead."""
MAX_DOUBLINGS: Final = 10


class CloseCode(IntEnum):
    """WebSocket close codes (RFC 6455, section 7.4; those from 4000 on are our own)."""

    DONE = 1000
    GOING_AWAY = 1001
    POLICY = 1008
    TRY_LATER = 1013
    REFUSED = 4403
    HELLO_TIMEOUT = 4408
    REPLACED = 4409
    SILENT = 4410
    FLOODED = 4429
    """The peer far exceeded its budget of frames."""


def choose_delay(failures: int, cap: float) -> float:
    """Return the seconds to wait after this many failed attempts: a random time of at most `cap` and 2 ** `failures`.

    This is back-off with full jitter: a hundred thousand peers do not reconnect in the same second after an outage.
    """
    return random.uniform(0, min(cap, 2.0 ** min(failures, MAX_DOUBLINGS)))  # noqa: S311 - spreads load


async def ping(endpoint: Endpoint, method: str, deadline: float) -> None:
    """Send a heartbeat. Its outcome does not matter: an answer ends the silence, and no answer prolongs it."""
    with suppress(ConnectionError, LinkClosedError, LinkBusyError, TimeoutError, RpcRefusalError):
        await endpoint.call(method, Empty(), deadline=deadline)
