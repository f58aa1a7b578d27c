"""WebSockets of connectors and probes, adapted to `core.hub.connection.Transport` (sending and receiving text)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from core.budget import Budget
from core.hub.connection import Transport
from wire.connection import CloseCode

logger = logging.getLogger(__name__)

SEND_SECONDS: Final = 10.0
"""Time-out for sending a frame. A peer that reads more slowly is cut, and nothing is buffered for it."""
CLOSE_SECONDS: Final = 2.0
_ENDS: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
PINGS: Final = (5.0, 50)
"""Rate limit of WebSocket pings from a peer (per second, burst). Connectors and probes send none; proxies send a few."""
TURNED_AWAY_SECONDS: Final = 0.2
"""How long a rejected peer may answer the close frame."""
QUICK_CHARACTERS: Final = 8 * 1024
"""Frames shorter than this are sent without a time-out. With at most four bytes for a character they are half of what a
transport buffers before it makes the sender wait.
"""


class WebSocketTransport:
    """Implements `core.hub.connection.Transport` on an aiohttp WebSocket."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self._socket = socket
        self._transport = transport
        self._pings: Budget | None = None

    async def send(self, text: str) -> None:
        """Send a text frame. Raises `ConnectionResetError` if the link has ended or the peer reads too slowly."""
        if self._socket.closed:
            raise ConnectionResetError("the link is closed")
        if len(text) < QUICK_CHARACTERS and self._is_idle():
            # The transport buffers such a frame without waiting, so no time-out is needed.
            await self._socket.send_str(text)
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_str(text)
        except TimeoutError as slow:
            self._abort()  # a close frame would be queued behind the unread data
            raise ConnectionResetError("the peer reads too slowly") from slow
        except asyncio.CancelledError as ended:
            # aiohttp raises this if the connection ends while several tasks wait to write; this task is not cancelled.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise ConnectionResetError("the link has ended") from ended

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _is_idle(self) -> bool:
        """Return whether the write buffer is empty."""
        return self._transport is not None and not self._transport.get_write_buffer_size()

    async def close(self, code: CloseCode, reason: str) -> None:
        """Send a close frame and wait for the answer; cut a peer that does not answer within `CLOSE_SECONDS`."""
        try:
            async with asyncio.timeout(2 * CLOSE_SECONDS):
                await self._socket.close(code=code, message=reason.encode())
        except TimeoutError:
            self._abort()

    async def turn_away(self, code: CloseCode, reason: str) -> None:
        """Send a close frame and cut the connection, without reading any further frame."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(TURNED_AWAY_SECONDS):
                await self._socket.close(code=code, message=reason.encode())
        self._abort()

    async def __aiter__(self) -> AsyncIterator[str]:
        while not self._socket.closed:
            message = await self._socket.receive()
            if message.type is WSMsgType.TEXT:
                yield message.data
            elif message.type in (WSMsgType.PING, WSMsgType.PONG):
                self._pings = self._pings or Budget(*PINGS)
                if not self._pings.take():
                    await self.turn_away(CloseCode.FLOODED, "too many pings")
                    return
                if message.type is WSMsgType.PING:
                    await self._socket.pong(message.data)
            elif message.type in _ENDS:
                return
            elif message.type is WSMsgType.BINARY:
                await self._socket.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"text frames only")


async def serve(
    request: web.Request,
    subprotocols: Sequence[str],
    max_frame_bytes: int,
    serve_transport: Callable[[Transport, str], Awaitable[None]],
) -> web.StreamResponse:
    """Serve one WebSocket until it ends. `serve_transport` gets the transport and the peer's address.

    A request without a known subprotocol is refused. If the peer offers several, the first of them is chosen.
    """
    if "Origin" in request.headers:  # only pages in a browser send it; connectors and probes do not
        return web.json_response({"error": "not for browsers"}, status=403)
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return web.json_response(
            {"error": "connect by WebSocket"}, status=426, headers={"Upgrade": "websocket"}
        )
    if not set(subprotocols).intersection(name.strip() for name in offered.split(",")):
        return web.json_response({"error": f"the subprotocol is {subprotocols[-1]}"}, status=400)
    # Without permessage-deflate, which takes seven times the memory of an idle link.
    socket = web.WebSocketResponse(
        protocols=subprotocols,
        max_msg_size=max_frame_bytes,
        compress=False,
        timeout=CLOSE_SECONDS,
        autoping=False,
    )
    try:
        await socket.prepare(request)
    except ValueError:  # aiohttp answers 400 itself, but fails on bytes that are not text
        return web.json_response({"error": "no WebSocket handshake"}, status=400)
    try:
        await serve_transport(WebSocketTransport(socket, request.transport), request.remote or "")
    except Exception:  # an unexpected error ends this connection only
        logger.exception("a connection failed", extra={"path": request.path})
        with suppress(Exception):
            await socket.close(code=WSCloseCode.INTERNAL_ERROR, message=b"internal error")
    if not socket.closed:
        await socket.close()
    return socket
