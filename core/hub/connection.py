"""The service's end of a connection: a transport of text frames, with limits for a peer that breaks the protocol."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar, Protocol

from core.budget import Budget
from wire.connection import CloseCode
from wire.jsonrpc import Endpoint, Handler
from wire.model import Empty


class Transport(Protocol):
    """Carries text frames. `send` waits while the peer reads slowly, and raises ConnectionError when it is gone."""

    async def send(self, text: str) -> None: ...

    async def close(self, code: CloseCode, reason: str) -> None: ...

    async def turn_away(self, code: CloseCode, reason: str) -> None:
        """Like `close`, but without waiting for the peer, which may go on sending."""
        ...

    def __aiter__(self) -> AsyncIterator[str]: ...


class Connection:
    """One connection of a connector or an audio probe. The subclasses choose the limits."""

    FRAMES: ClassVar[tuple[float, int]]
    """Unsolicited frames that the peer may send, per second and as a burst. More are answered with `pbx-busy`."""
    MAX_BAD_FRAMES: ClassVar[int]
    """How many frames may be malformed before the peer is cut: it does not speak the protocol."""
    MAX_REFUSED_FRAMES: ClassVar[int]
    """How many frames may exceed the budget before the peer is cut."""

    def __init__(self, transport: Transport, handlers: Mapping[str, Handler], **limits: Any) -> None:
        """`limits` go to the `Endpoint`."""
        self._transport = transport
        self._last_heard = asyncio.get_running_loop().time()
        self.closed_with: CloseCode | None = None
        """The first code with which this end closed the connection; None if the peer or the network did."""
        self.endpoint = Endpoint(transport.send, handlers, admits=Budget(*self.FRAMES).take, **limits)

    async def serve(self) -> None:
        """Serve the connection until the peer disconnects or the connection is closed."""
        try:
            async for text in self._transport:
                self._last_heard = asyncio.get_running_loop().time()
                await self.endpoint.feed(text)
                if self.endpoint.bad_frames >= self.MAX_BAD_FRAMES:
                    await self.close(CloseCode.POLICY, "too many bad frames")
                    break
                if self.endpoint.refused_frames >= self.MAX_REFUSED_FRAMES:
                    self.closed_with = CloseCode.FLOODED
                    self.endpoint.close()
                    await self._transport.turn_away(CloseCode.FLOODED, "too many frames")
                    break
        finally:
            self.endpoint.close()

    async def close(self, code: CloseCode, reason: str) -> None:
        """Let the calls in flight fail, and close the connection."""
        self.closed_with = self.closed_with or code
        self.endpoint.close()
        await self._transport.close(code, reason)

    def silent_for(self, clock: float) -> float:
        """Return the seconds since the last frame. `clock` is the time of the event loop."""
        return clock - self._last_heard


async def pong(_params: dict[str, Any]) -> Empty:
    """Answer a heartbeat of the peer."""
    return Empty()
