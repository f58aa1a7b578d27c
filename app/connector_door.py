"""The door for connectors: a WebSocket in, the hub out."""

from aiohttp import web

from app.websocket import WebSocketTransport, accept
from core.hub.hub import Hub
from wire.jsonrpc import MAX_FRAME_BYTES
from wire.link import SUBPROTOCOL


async def serve_connector(request: web.Request, hub: Hub) -> web.StreamResponse:
    socket = await accept(request, SUBPROTOCOL, MAX_FRAME_BYTES)
    if isinstance(socket, web.WebSocketResponse):
        await hub.serve(WebSocketTransport(socket), request.remote or "")
        if not socket.closed:
            await socket.close()
    return socket
