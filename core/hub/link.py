"""One live link: something that sends and receives text, opened by a signed challenge."""

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
MAX_BAD_FRAMES: Final = 20
"""A peer that sends so many frames that are no calls is cut: it speaks something else."""
FRAMES: Final = (100.0, 300)
"""Frames that the service has not asked for, a second and at once. A connector says fifty times a second at most whose lines
have changed, and all else in some seconds. Those past it get `pbx-busy`."""
MAX_REFUSED_FRAMES: Final = 100
"""So far over its budget a peer is cut."""


class CloseCode(IntEnum):
    """WebSocket close codes (RFC 6455, section 7.4; 4000 and up are ours)."""

    DONE = 1000
    GOING_AWAY = 1001
    POLICY = 1008
    TRY_LATER = 1013
    REFUSED = 4403
    HELLO_TIMEOUT = 4408
    REPLACED = 4409
    SILENT = 4410
    FLOODED = 4429
    """The peer sent far more than it may."""


class Transport(Protocol):
    """What carries frames of text. `send` waits while the peer reads slowly and raises when it is gone."""

    async def send(self, text: str) -> None: ...

    async def close(self, code: CloseCode, reason: str) -> None: ...

    async def turn_away(self, code: CloseCode, reason: str) -> None:
        """As `close`, for a peer that goes on sending: it is not waited for."""
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
    """A link after its welcome."""

    def __init__(self, transport: Transport, pbx_id: str, epoch: int, pbx_name: str) -> None:
        self.pbx_id = pbx_id
        self.epoch = epoch
        self.pbx_name = pbx_name
        self.is_retired = False
        """Answers what it was asked, and is asked nothing more."""
        self.end = "connection-lost"
        """Why it ended, once it has."""
        self.pinged_at = 0.0
        self._transport = transport
        self._last_heard = asyncio.get_running_loop().time()
        self._methods: dict[str, Handler] = {Method.PING: _pong}
        self.endpoint = Endpoint(transport.send, self._methods, admits=Budget(*FRAMES).take)

    @property
    def was_abused(self) -> bool:
        """Whether it ended because the peer broke the protocol or flooded it."""
        return self.end in (_END_OF[CloseCode.POLICY], _END_OF[CloseCode.FLOODED])

    def is_good(self, epoch: int) -> bool:
        """May be asked by anyone who has read this epoch in the table: it is no older link, and still in use."""
        return self.epoch >= epoch and not self.is_retired

    def on(self, methods: Mapping[str, Handler]) -> None:
        self._methods.update(methods)

    async def welcome(self, hello_id: int | str | None, welcome: Welcome) -> None:
        await self._transport.send(dump(id=hello_id, result=welcome))

    async def serve(self) -> None:
        """Runs until the peer goes, falls silent or is replaced."""
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
        """Closes the link as soon as nothing is in flight, at the latest after `grace` seconds: an answer that is on
        its way is not lost.
        """
        self.is_retired = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self.endpoint.answered()
        self.endpoint.close()
        await self._close(code, reason)

    async def _close(self, code: CloseCode, reason: str) -> None:
        if self.end == "connection-lost":
            self.end = _END_OF[code]
        await self._transport.close(code, reason)

    def silent_for(self, clock: float) -> float:
        """Seconds since the last frame; `clock` is the loop's."""
        return clock - self._last_heard

    async def ping(self) -> None:
        """Whether it is answered shows in the silence that ends or goes on."""
        with contextlib.suppress(
            ConnectionError, LinkClosedError, LinkBusyError, TimeoutError, RpcRefusalError
        ):
            await self.endpoint.call(Method.PING, Empty(), deadline=PING_SECONDS)

    async def cut(self) -> None:
        """Silent for too long: its socket may be half-open, so nobody waits for a farewell."""
        self.endpoint.close()
        await self._close(CloseCode.SILENT, "no heartbeat")


async def _pong(_params: dict[str, Any]) -> Empty:
    return Empty()
