"""One live link: something that sends and receives text, opened by a signed challenge."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from enum import IntEnum
from typing import Any, Final, Protocol

from wire.jsonrpc import Endpoint, Handler, dump
from wire.link import HEARTBEATS_MISSED, Method
from wire.model import Empty

MAX_BAD_FRAMES: Final = 20
"""A peer that sends so many frames that are no calls is cut: it speaks something else."""


class CloseCode(IntEnum):
    """WebSocket close codes (RFC 6455, section 7.4; 4000 and up are ours)."""

    GOING_AWAY = 1001
    POLICY = 1008
    TRY_LATER = 1013
    REFUSED = 4403
    HELLO_TIMEOUT = 4408
    REPLACED = 4409
    SILENT = 4410


class Transport(Protocol):
    """What carries frames of text. `send` waits while the peer reads slowly and raises when it is gone."""

    async def send(self, text: str) -> None: ...

    async def close(self, code: CloseCode, reason: str) -> None: ...

    def __aiter__(self) -> AsyncIterator[str]: ...


_END_OF: Final = {
    CloseCode.GOING_AWAY: "service-stopped",
    CloseCode.REPLACED: "replaced",
    CloseCode.SILENT: "silent",
    CloseCode.POLICY: "protocol-broken",
}


class Link:
    """A link after its welcome."""

    def __init__(
        self, transport: Transport, pbx_id: str, epoch: int, pbx_name: str, heartbeat: float
    ) -> None:
        self.pbx_id = pbx_id
        self.epoch = epoch
        self.pbx_name = pbx_name
        self.is_retired = False
        """Answers what it was asked, and is asked nothing more."""
        self.end = "connection-lost"
        """Why it ended, once it has."""
        self._transport = transport
        self._heartbeat = heartbeat
        self._last_heard = asyncio.get_running_loop().time()
        self._methods: dict[str, Handler] = {Method.PING: _pong}
        self.endpoint = Endpoint(transport.send, self._methods)

    def on(self, methods: Mapping[str, Handler]) -> None:
        self._methods.update(methods)

    async def welcome(self, hello_id: int | str | None, result: dict[str, Any]) -> None:
        await self._transport.send(dump(id=hello_id, result=result))

    async def serve(self) -> None:
        """Runs until the peer goes, falls silent or is replaced."""
        beat = asyncio.create_task(self._beat())
        try:
            async for text in self._transport:
                self._last_heard = asyncio.get_running_loop().time()
                await self.endpoint.feed(text)
                if self.endpoint.bad_frames >= MAX_BAD_FRAMES:
                    await self._close(CloseCode.POLICY, "too many bad frames")
                    break
        finally:
            beat.cancel()
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

    async def _beat(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._heartbeat)
            if clock() - self._last_heard >= self._heartbeat * HEARTBEATS_MISSED:
                await self._close(CloseCode.SILENT, "no heartbeat")
                return
            with contextlib.suppress(Exception):  # a lost or refused ping shows in the silence that follows
                await self.endpoint.call(Method.PING, Empty(), deadline=self._heartbeat)


async def _pong(_params: dict[str, Any]) -> Empty:
    return Empty()
