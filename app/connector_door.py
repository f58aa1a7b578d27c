"""The door for connectors: a WebSocket in, the hub out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from core.hub.hub import Hub
from core.hub.link import CloseCode
from wire.jsonrpc import MAX_FRAME_BYTES
from wire.link import SUBPROTOCOL

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


async def serve_connector(request: web.Request, hub: Hub) -> web.StreamResponse:
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return web.json_response(
            {"error": "connect by WebSocket"}, status=426, headers={"Upgrade": "websocket"}
        )
    if SUBPROTOCOL not in (name.strip() for name in offered.split(",")):
        return web.json_response({"error": f"the subprotocol is {SUBPROTOCOL}"}, status=400)
    # No permessage-deflate: it costs seven times the memory of an idle link.
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,), max_msg_size=MAX_FRAME_BYTES, compress=False, timeout=CLOSE_SECONDS
    )
    await socket.prepare(request)
    await hub.serve(WebSocketTransport(socket), request.remote or "")
    if not socket.closed:
        await socket.close()
    return socket
