"""The simulated Teams host: shows the tab in an iframe under its own origin, and the chat with the bot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

from simulator.people import PEOPLE, TEAMS_APP_ID, TENANT_ID
from simulator.teams.channel import Channel
from simulator.teams.telephone import Telephone

PAGE: Final = Path(__file__).parent / "page"
_ADAPTIVE_CARDS: Final = PAGE / "node_modules" / "adaptivecards" / "dist" / "adaptivecards.min.js"
_HOP_BY_HOP: Final = frozenset(
    (
        "connection",
        "keep-alive",
        "transfer-encoding",
        "te",
        "upgrade",
        "host",
        "content-length",
    )
)


def create(service_url: str, entra_url: str, own_url: str, starface_url: str = "") -> web.Application:
    """Create the application. `starface_url` is the simulated PBX whose telephones the page controls; empty if
    there is none.
    """
    app = web.Application(client_max_size=1024 * 1024)

    async def life(app: web.Application) -> AsyncIterator[None]:
        # The service and Entra are on this machine, without a proxy in between.
        async with aiohttp.ClientSession(auto_decompress=False) as http:
            app[_HTTP] = http
            channel.http = telephone.http = http
            yield

    channel = Channel(service_url, entra_url, own_url)
    channel.add_routes(app)
    telephone = Telephone(starface_url)
    telephone.add_routes(app)
    app.cleanup_ctx.append(life)

    async def token(request: web.Request) -> web.Response:
        body = {"objectId": request.query["person"], "seconds": int(request.query.get("seconds", "3600"))}
        async with app[_HTTP].post(f"{entra_url}/control/sso", json=body) as answer:
            return web.json_response(await answer.json())

    async def people(_request: web.Request) -> web.Response:
        shown = [{"name": p.name, "objectId": p.object_id, "role": p.role, "login": p.login} for p in PEOPLE]
        return web.json_response({"tenantId": TENANT_ID, "teamsAppId": TEAMS_APP_ID, "people": shown})

    async def page(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    async def page_file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / request.match_info["file"])

    async def adaptive_cards(_request: web.Request) -> web.StreamResponse:
        if not _ADAPTIVE_CARDS.is_file():
            raise web.HTTPNotFound(text="run 'make install'")
        return web.FileResponse(_ADAPTIVE_CARDS)

    async def through(request: web.Request) -> web.StreamResponse:
        return await _pass_through(request, app[_HTTP], service_url)

    app.router.add_get("/", page)
    app.router.add_get("/host/people", people)
    app.router.add_get("/host/token", token)
    app.router.add_get("/host/adaptivecards.js", adaptive_cards)
    app.router.add_get(r"/host/{file:(?:host\.(?:js|css)|telephone\.js)}", page_file)
    app.router.add_route("*", "/tab{rest:.*}", through)
    app.router.add_route("*", "/api/v1/{rest:.*}", through)
    app.router.add_get("/downloads/{rest:.*}", through)

    async def probe(request: web.Request) -> web.StreamResponse:
        return await _probe_through(request, app[_HTTP], service_url)

    # The tab shows this address for the audio probe.
    app.router.add_get("/probe/link", probe)
    return app


_HTTP: Final = web.AppKey("http", aiohttp.ClientSession)


async def _pass_through(
    request: web.Request, http: aiohttp.ClientSession, service_url: str
) -> web.StreamResponse:
    """Proxy the tab and its API, including streams."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
    try:
        async with http.request(
            request.method,
            service_url + request.path_qs,
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        ) as answer:
            response = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    response.headers.add(name, _framed(name, value))
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response
    except aiohttp.ClientError as fault:
        return _no_answer(fault)


def _framed(name: str, value: str) -> str:
    """Add this host to the hosts that may frame the tab, because it is not one of Teams' own."""
    if name.lower() != "content-security-policy":
        return value
    return value.replace("frame-ancestors ", "frame-ancestors 'self' ")


async def _probe_through(
    request: web.Request, http: aiohttp.ClientSession, service_url: str
) -> web.StreamResponse:
    """Proxy an audio probe's WebSocket like an ingress, including the status of a refused handshake."""
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    protocols = [name for name in map(str.strip, offered) if name]
    try:
        service = await http.ws_connect(f"{service_url}{request.path}", protocols=protocols, compress=0)
    except aiohttp.WSServerHandshakeError as refused:
        return web.Response(status=refused.status, text=refused.message)
    except aiohttp.ClientError as fault:
        return _no_answer(fault)
    probe = web.WebSocketResponse(protocols=protocols, compress=False)
    try:
        await probe.prepare(request)
        answering = asyncio.create_task(_copy(service, probe))
        try:
            await _copy(probe, service)
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
    finally:
        await service.close()
    return probe


_WebSocket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _copy(source: _WebSocket, target: _WebSocket) -> None:
    """Copy every frame, and finally the close code."""
    with suppress(ConnectionError):
        async for message in source:
            if message.type is aiohttp.WSMsgType.BINARY:
                await target.send_bytes(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                await target.send_str(message.data)
    await target.close(code=source.close_code or aiohttp.WSCloseCode.GOING_AWAY)


def _no_answer(fault: aiohttp.ClientError) -> web.Response:
    return web.json_response({"error": f"the service does not answer: {fault}"}, status=502)
