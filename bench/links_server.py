"""The servers of `bench.links`, each a process of its own: the hub behind its door, and the barest program beside it.

    python -m bench.links_server hub PORT DATABASE_URL [NATS_URL]
    python -m bench.links_server bare PORT
"""

import asyncio
import itertools
import json
import resource
import sys
from typing import Any

import uvloop
from aiohttp import WSMsgType, web

from app.composition import request_ids
from app.connector_door import serve_connector
from core.hub.bus import Bus
from core.hub.hub import Hub
from core.hub.plane import open_plane
from core.hub.registry import Pbx, Registry
from core.hub.replicas import Replicas
from core.licensing.key_register import KeyRegister
from core.licensing.ledger import open_ledger
from core.licensing.overview import Overview
from core.signin.following import Following
from core.signin.verdicts import Verdicts
from core.store.database import Database
from wire.link import LoginChallenge, LoginChallengeParams, Method


async def hub(port: int, database_url: str, nats_url: str | None = None) -> None:
    """What composition makes of hub, licence keys and users, without the rest of the service."""
    database = Database(database_url)
    ledger = open_ledger(database.address)
    registry = Registry(database, ledger.writer, b"pepper")
    plane = open_plane(nats_url)
    bus = Bus(plane)
    overview = Overview(database)
    following = Following(registry, ledger, overview, Verdicts(overview))

    async def unheard(_pbx_id: str, _call: object) -> None:
        return None

    register = KeyRegister(ledger, {}).register
    the_hub = Hub(registry, plane, bus, register, following.users_changed, unheard)
    replicas = Replicas(ledger.writer, plane.replica_id, is_alone=plane.is_alone)
    plane.start(the_hub.answer, bus.hear, bus.missed)
    await replicas.enter()
    beats = asyncio.create_task(replicas.run(the_hub.fence, lambda _closed: None))
    rows: dict[str, Pbx] = {}

    async def link(request: web.Request) -> web.StreamResponse:
        return await serve_connector(request, the_hub)

    async def call(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        # A caller has read the PBX's row before it calls (to check its key); what is measured is the hop.
        if name not in rows:
            row = await registry.by_name(name)
            assert row is not None
            rows[name] = row
        LoginChallengeParams.model_validate_json(await request.read())
        answer = await the_hub.call(
            rows[name], Method.LOGIN_CHALLENGE, LoginChallengeParams(), LoginChallenge
        )
        return web.Response(text=answer.model_dump_json(by_alias=True), content_type="application/json")

    app = web.Application(middlewares=[request_ids(0)])
    app.router.add_get("/connector/link", link)
    app.router.add_post("/call/{name}", call)
    await serve(app, port, lambda: the_hub.links_open)
    beats.cancel()


async def bare(port: int) -> None:
    """The same hop with nothing around it: no validation, no signature, no table, no bound, no deadline."""
    sockets: dict[str, web.WebSocketResponse] = {}
    waiting: dict[int, asyncio.Future[Any]] = {}
    ids = itertools.count()

    async def link(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        sockets[request.match_info["name"]] = socket
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                frame = json.loads(message.data)
                waiting[frame["id"]].set_result(frame["result"])
        return socket

    async def call(request: web.Request) -> web.Response:
        json.loads(await request.read())
        call_id = next(ids)
        waiting[call_id] = asyncio.get_running_loop().create_future()
        frame = {"jsonrpc": "2.0", "id": call_id, "method": "pbx.loginChallenge", "params": {}}
        await sockets[request.match_info["name"]].send_str(json.dumps(frame))
        result = await waiting.pop(call_id)
        return web.Response(text=json.dumps(result), content_type="application/json")

    app = web.Application()
    app.router.add_get("/connector/link/{name}", link)
    app.router.add_post("/call/{name}", call)
    await serve(app, port, lambda: len(sockets))


async def serve(app: web.Application, port: int, links_open: Any) -> None:
    async def links(_request: web.Request) -> web.Response:
        return web.json_response({"open": links_open()})

    app.router.add_get("/links", links)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=16_384).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    kind, port, *rest = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run({"hub": hub, "bare": bare}[kind](int(port), *rest))


if __name__ == "__main__":
    main()
