"""The door for audio probes: a WebSocket in, the advisor out."""

from aiohttp import web

from app.websocket import WebSocketTransport, accept
from core.advisor.probes import Probes
from wire.probe import MAX_FRAME_BYTES, SUBPROTOCOL


async def serve_probe(request: web.Request, probes: Probes) -> web.StreamResponse:
    socket = await accept(request, SUBPROTOCOL, MAX_FRAME_BYTES)
    if isinstance(socket, web.WebSocketResponse):
        await probes.serve(WebSocketTransport(socket), request.remote or "")
        if not socket.closed:
            await socket.close()
    return socket
