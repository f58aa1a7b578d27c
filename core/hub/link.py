"""One live link to a connector: a transport of text frames, after a signed handshake."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from enum import IntEnum
from typing import Any, Final, Protocol

from core.budget import Budget
from wire.jsonrpc import Endpoint, Handler, LinkBusyError, LinkClosedError, RpcRefusalError, dump
from wire.link import Method, Welcome
from wire.model import Empty

PING_SECONDS: Final = 10.0
"""Time-out of a heartbeat."""
MAX_BAD_FRAMES: Final = 20
"""How many frames may be malformed before the peer is cut: it does not speak the protocol."""
FRAMES: Final = (100.0, 300)
"""Unsolicited frames that a connector may send, per second and as a burst. It reports changed lines at most fifty
times a second, and everything else far less often. Further frames are answered with `pbx-busy`."""
MAX_REFUSED_FRAMES: Final = 100
"""How many frames may exceed the budget before the peer is cut."""


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


class Transport(Protocol):
    """Carries text frames. `send` waits while the peer reads slowly, and raises ConnectionError when it is gone."""

    async def send(self, text: str) -> None: ...

    async def close(self, code: CloseCode, reason: str) -> None: ...

    async def turn_away(self, code: CloseCode, reason: str) -> None:
        """Like `close`, but without waiting for the peer, which may go on sending."""
        ...

    def __aiter__(self) -> AsyncIterator[str]: ...


_END_OF: Final = {
    CloseCode.GOING_AWAY: "service-stopped",
    CloseCode.REPLACED: "replaced",
    CloseCode.SILENT: "silent",
    CloseCode.POLICY: "protocol-broken",
    CloseCode.FLOODED: "flooded",
}


class Link:
    """A link whose handshake has succeeded."""

    def __init__(self, transport: Transport, pbx_id: str, epoch: int, pbx_name: str) -> None:
        self.pbx_id = pbx_id
        self.epoch = epoch
        self.pbx_name = pbx_name
        self.is_retired = False
        """Whether the link only finishes calls in flight and gets no new ones."""
        self.end = "connection-lost"
        """Why the link ended; meaningful once it has."""
        self.pinged_at = 0.0
        self._transport = transport
        self._last_heard = asyncio.get_running_loop().time()
        self._methods: dict[str, Handler] = {Method.PING: _pong}
        self.endpoint = Endpoint(transport.send, self._methods, admits=Budget(*FRAMES).take)

    @property
    def was_abused(self) -> bool:
        """Whether the link ended because the peer violated the protocol or sent too much."""
        return self.end in (_END_OF[CloseCode.POLICY], _END_OF[CloseCode.FLOODED])

    def is_usable(self, epoch: int) -> bool:
        """Return whether a caller that read this epoch in the table may use the link: not older, and not retired."""
        return self.epoch >= epoch and not self.is_retired

    def add_handlers(self, methods: Mapping[str, Handler]) -> None:
        """Add handlers for methods that the connector calls."""
        self._methods.update(methods)

    async def welcome(self, hello_id: int | str | None, welcome: Welcome) -> None:
        await self._transport.send(dump(id=hello_id, result=welcome))

    async def serve(self) -> None:
        """Serve the link until the peer disconnects or the link is closed."""
        try:
            async for text in self._transport:
                self._last_heard = asyncio.get_running_loop().time()
                await self.endpoint.feed(text)
                if self.endpoint.bad_frames >= MAX_BAD_FRAMES:
                    await self._close(CloseCode.POLICY, "too many bad frames")
                    break
                if self.endpoint.refused_frames >= MAX_REFUSED_FRAMES:
                    self.end = _END_OF[CloseCode.FLOODED]
                    self.endpoint.close()
                    await self._transport.turn_away(CloseCode.FLOODED, "too many frames")
                    break
        finally:
            self.endpoint.close()

    async def retire(self, code: CloseCode, reason: str, grace: float) -> None:
        """Close the link as soon as no call is in flight, at the latest after `grace` seconds.

        So answers that are on their way are not lost.
        """
        self.is_retired = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self.endpoint.wait_until_idle()
        self.endpoint.close()
        await self._close(code, reason)

    async def _close(self, code: CloseCode, reason: str) -> None:
        if self.end == "connection-lost":
            self.end = _END_OF[code]
        await self._transport.close(code, reason)

    def silent_for(self, clock: float) -> float:
        """Return the seconds since the last frame. `clock` is the time of the event loop."""
        return clock - self._last_heard

    async def ping(self) -> None:
        """Send a heartbeat. Its outcome does not matter: an answer ends the silence, and no answer prolongs it."""
        with contextlib.suppress(
            ConnectionError, LinkClosedError, LinkBusyError, TimeoutError, RpcRefusalError
        ):
            await self.endpoint.call(Method.PING, Empty(), deadline=PING_SECONDS)

    async def cut(self) -> None:
        """Close a link that was silent for too long. Its socket may be half-open, so there is no grace period."""
        self.endpoint.close()
        await self._close(CloseCode.SILENT, "no heartbeat")


async def _pong(_params: dict[str, Any]) -> Empty:
    return Empty()
