"""One live link to a connector: a connection after a signed handshake."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from core.hub.connection import Connection, Transport, pong
from wire.connection import CloseCode, ping
from wire.jsonrpc import Handler, dump
from wire.link import Method, Welcome

PING_SECONDS: Final = 10.0
"""Time-out of a heartbeat."""

_END_OF: Final = {
    CloseCode.GOING_AWAY: "service-stopped",
    CloseCode.REPLACED: "replaced",
    CloseCode.SILENT: "silent",
    CloseCode.POLICY: "protocol-broken",
    CloseCode.FLOODED: "flooded",
}


class Link(Connection):
    """A link whose handshake has succeeded."""

    FRAMES = (100.0, 300)
    """A connector reports changed lines at most fifty times a second, and everything else far less often."""
    MAX_BAD_FRAMES = 20
    MAX_REFUSED_FRAMES = 100

    def __init__(self, transport: Transport, pbx_id: str, epoch: int, pbx_name: str) -> None:
        self.pbx_id = pbx_id
        self.epoch = epoch
        self.pbx_name = pbx_name
        self.is_retired = False
        """Whether the link only finishes calls in flight and gets no new ones."""
        self.pinged_at = 0.0
        self._methods: dict[str, Handler] = {Method.PING: pong}
        super().__init__(transport, self._methods)

    @property
    def end(self) -> str:
        """Why the link ended; meaningful once it has."""
        return "connection-lost" if self.closed_with is None else _END_OF[self.closed_with]

    @property
    def was_abused(self) -> bool:
        """Whether the link ended because the peer violated the protocol or sent too much."""
        return self.closed_with in (CloseCode.POLICY, CloseCode.FLOODED)

    def is_usable(self, epoch: int) -> bool:
        """Return whether a caller that read this epoch in the table may use the link: not older, and not retired."""
        return self.epoch >= epoch and not self.is_retired

    def add_handlers(self, methods: Mapping[str, Handler]) -> None:
        """Add handlers for methods that the connector calls."""
        self._methods.update(methods)

    async def welcome(self, hello_id: int | str | None, welcome: Welcome) -> None:
        await self._transport.send(dump(id=hello_id, result=welcome))

    async def retire(self, code: CloseCode, reason: str, grace: float) -> None:
        """Close the link as soon as no call is in flight, at the latest after `grace` seconds.

        So answers that are on their way are not lost.
        """
        self.is_retired = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self.endpoint.wait_until_idle()
        await self.close(code, reason)

    async def ping(self) -> None:
        """Send a heartbeat."""
        await ping(self.endpoint, Method.PING, PING_SECONDS)

    async def cut(self) -> None:
        """Close a link that was silent for too long. Its socket may be half-open, so there is no grace period."""
        await self.close(CloseCode.SILENT, "no heartbeat")
