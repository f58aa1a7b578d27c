"""The route for audio probes: hands their WebSockets to the advisor."""

from aiohttp import web

from app import websocket
from core.advisor.probes import Probes
from wire.probe import MAX_FRAME_BYTES, SUBPROTOCOL


async def serve_probe(request: web.Request, probes: Probes) -> web.StreamResponse:
    return await websocket.serve(
        request=request,
        subprotocols=(SUBPROTOCOL,),
        max_frame_bytes=MAX_FRAME_BYTES,
        serve_transport=probes.serve,
    )
