"""The route for connectors: hands their WebSockets to the hub."""

from aiohttp import web

from app import websocket
from core.hub.hub import Hub
from wire.jsonrpc import MAX_FRAME_BYTES
from wire.link import SUBPROTOCOLS


async def serve_connector(request: web.Request, hub: Hub) -> web.StreamResponse:
    return await websocket.serve(
        request=request, subprotocols=SUBPROTOCOLS, max_frame_bytes=MAX_FRAME_BYTES, serve_transport=hub.serve
    )
