"""What both doors share: a WebSocket as something that sends and receives text."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from core.hub.link import CloseCode, Transport

SEND_SECONDS: Final = 10.0
"""A peer that does not take a frame in this time reads too slowly and is cut: nothing is buffered for it."""
CLOSE_SECONDS: Final = 2.0


class WebSocketTransport:
    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        if self._socket.closed:
            raise ConnectionResetError("the link is closed")
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_str(text)
        except TimeoutError as slow:
            await self.close(CloseCode.POLICY, "reads too slowly")
            raise ConnectionResetError("the peer reads too slowly") from slow

    async def close(self, code: CloseCode, reason: str) -> None:
        await self._socket.close(code=code, message=reason.encode())

    async def __aiter__(self) -> AsyncIterator[str]:
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                yield message.data
            elif message.type is WSMsgType.BINARY:
                await self._socket.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"text frames only")


async def serve(
    request: web.Request,
    subprotocol: str,
    max_frame_bytes: int,
    serve_transport: Callable[[Transport, str], Awaitable[None]],
) -> web.StreamResponse:
    """The whole life of one connection; `serve_transport` gets it and the peer's address. Whoever does not speak the
    subprotocol gets an answer.
    """
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return web.json_response(
            {"error": "connect by WebSocket"}, status=426, headers={"Upgrade": "websocket"}
        )
    if subprotocol not in (name.strip() for name in offered.split(",")):
        return web.json_response({"error": f"the subprotocol is {subprotocol}"}, status=400)
    # No permessage-deflate: it costs seven times the memory of an idle link.
    socket = web.WebSocketResponse(
        protocols=(subprotocol,), max_msg_size=max_frame_bytes, compress=False, timeout=CLOSE_SECONDS
    )
    await socket.prepare(request)
    await serve_transport(WebSocketTransport(socket), request.remote or "")
    if not socket.closed:
        await socket.close()
    return socket
