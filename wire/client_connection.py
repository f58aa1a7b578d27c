"""The client's end of a connection that speaks JSON-RPC: it reads frames and sends heartbeats until it is closed."""

import asyncio
from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import Final, Self

import aiohttp

from wire.connection import ping
from wire.jsonrpc import Endpoint, Handler, LinkClosedError

TICKS: Final = 5
"""How often within a heartbeat interval the connection is checked for silence."""


class ClientConnection:
    """An open WebSocket. Frames are read while the context lasts; at its end the calls in flight fail."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, handlers: Mapping[str, Handler]) -> None:
        self.endpoint = Endpoint(socket.send_str, handlers)
        self._socket = socket
        self._clock = asyncio.get_running_loop().time
        self._last_heard = self._clock()

    async def __aenter__(self) -> Self:
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _cancel(self._reading)
        self.endpoint.close()

    async def until_closed(self, *work: Awaitable[None]) -> None:
        """Run `work` until the connection closes or one part of the work ends. Raises what that part raised."""
        parts = [asyncio.ensure_future(one) for one in work]
        try:
            done, _ = await asyncio.wait([self._reading, *parts], return_when=asyncio.FIRST_COMPLETED)
            for task in [self._reading] if self._reading in done else done:
                task.result()
        finally:
            await _cancel(*parts)

    async def beat(self, method: str, every: float, silence: float) -> None:
        """Ping every `every` seconds. Raises `LinkClosedError` when nothing was received for `silence` seconds."""
        pinged = self._clock()
        pings: set[asyncio.Task[None]] = set()
        try:
            while self._clock() - self._last_heard < silence:
                await asyncio.sleep(every / TICKS)
                if self._clock() - pinged >= every:
                    pinged = self._clock()
                    task = asyncio.create_task(ping(self.endpoint, method, every))
                    pings.add(task)
                    task.add_done_callback(pings.discard)
        finally:
            await _cancel(*pings)
        raise LinkClosedError("the service is silent")

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                self._last_heard = self._clock()
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self.endpoint.feed(message.data)
        finally:
            self.endpoint.close()


async def _cancel(*tasks: asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
