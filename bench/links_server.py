"""The servers of `bench.links`, each in a separate process: the hub with its endpoint, and the most minimal program
for comparison.

python -m bench.links_server hub PORT DATABASE_URL [NATS_URL]
python -m bench.links_server bare PORT
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import resource
import secrets
import sys
from datetime import timedelta
from typing import Any

import uvloop
from aiohttp import WSMsgType, web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import delete, insert

from app import collector
from app.connector_door import serve_connector
from bench.links_client import CODE, NAME
from core.administration.trust_report import TrustReport
from core.hub.bus import Bus
from core.hub.hub import Hub
from core.hub.plane import open_plane
from core.hub.registry import Pbx, Registry
from core.hub.replicas import Replicas
from core.identity.tenant_trust import TenantTrust
from core.licensing.key_register import KeyRegister
from core.licensing.ledger import open_ledger
from core.licensing.overview import Overview
from core.signin.verdicts import Verdicts
from core.store import tables
from core.store.database import Database
from core.store.timestamps import now, to_ms
from core.upkeep.following import Following
from wire.bounds import from_b64url
from wire.link import SUBPROTOCOL, LoginChallenge, LoginChallengeParams, Method

PEPPER = b"pepper"
MAX_NAMES = 10_000
UNSIGNED = ("signature", "previousKeyDigest", "previousKeyUntil")


async def hub(port: int, database_url: str, nats_url: str | None = None) -> None:
    """Serve the part of the composition with hub, licence keys and users, without the rest of the service."""
    database = Database(database_url)
    ledger = open_ledger(database.address)
    registry = Registry(database, ledger.writer, PEPPER)
    await enrol(database)
    plane = open_plane(nats_url)
    bus = Bus(plane)
    following = Following(registry, ledger, Verdicts(Overview(database)))

    async def unheard(_pbx_id: str, _epoch: int, _call: object) -> None:
        return None

    register = KeyRegister(ledger, {}).register
    the_hub = Hub(
        registry=registry,
        plane=plane,
        bus=bus,
        register_licence_keys=register,
        on_users=following.users_changed,
        on_call=unheard,
        on_lines=unheard,
        read_trust=TrustReport(TenantTrust(database), "00000000-0000-4000-8000-000000000000").read,
    )
    replicas = Replicas(ledger.writer, plane.replica_id, is_alone=plane.is_alone)
    plane.start(the_hub.answer, bus.deliver, bus.notify_missed)
    await replicas.enter()
    background = [
        asyncio.create_task(replicas.run(the_hub.close_all, lambda _closed: None)),
        asyncio.create_task(the_hub.run()),
    ]
    rows: dict[str, Pbx] = {}

    async def link(request: web.Request) -> web.StreamResponse:
        return await serve_connector(request, the_hub)

    async def call(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        # Real callers have already read the PBX's row (to check its key), so only the hop is measured.
        if name not in rows:
            row = await registry.by_name(name)
            assert row is not None
            rows[name] = row
        LoginChallengeParams.model_validate_json(await request.read())
        answer = await the_hub.call(
            pbx=rows[name],
            method=Method.LOGIN_CHALLENGE,
            params=LoginChallengeParams(),
            answer=LoginChallenge,
        )
        return web.Response(text=answer.model_dump_json(by_alias=True), content_type="application/json")

    # As minimal as the other program, because only the hop is measured.
    app = web.Application()
    app.router.add_get("/connector/link", link)
    app.router.add_post("/call/{name}", call)
    collector.settle()
    await serve(app, port, lambda: the_hub.links_open)
    for task in background:
        task.cancel()


async def enrol(database: Database) -> None:
    """Create a code for every name, as an operator would one by one."""
    code_hash = hmac.new(PEPPER, CODE.encode(), hashlib.sha256).hexdigest()
    row = {"code_hash": code_hash, "expires_at": to_ms(now() + timedelta(days=1))}
    async with database.writing() as connection:
        await connection.execute(delete(tables.enrolment))
        await connection.execute(
            insert(tables.enrolment),
            [{"pbx_name": NAME.format(number), **row} for number in range(MAX_NAMES)],
        )


async def bare(port: int) -> None:
    """Serve the same hop with nothing else: no validation, signature, table, bounds or deadline."""
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
                waiting.pop(frame["id"]).set_result(frame["result"])
        return socket

    async def call(request: web.Request) -> web.Response:
        json.loads(await request.read())
        call_id = next(ids)
        answered = waiting[call_id] = asyncio.get_running_loop().create_future()
        frame = {"jsonrpc": "2.0", "id": call_id, "method": "pbx.loginChallenge", "params": {}}
        await sockets[request.match_info["name"]].send_str(json.dumps(frame))
        return web.Response(text=json.dumps(await answered), content_type="application/json")

    async def handshake(request: web.Request) -> web.StreamResponse:
        """Exchange the messages of a handshake with its signature; then only hold the link."""
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,), compress=False)
        await socket.prepare(request)
        nonce = secrets.token_urlsafe(32)
        params = {"nonce": nonce, "serverTime": "2026-01-01T00:00:00.000Z"}
        await socket.send_str(json.dumps({"jsonrpc": "2.0", "method": "link.challenge", "params": params}))
        frame = json.loads((await socket.receive()).data)
        hello = {name: value for name, value in frame["params"].items() if name not in UNSIGNED}
        unsaid = ("permissionFound", "permissionName")
        hello["status"] = {name: value for name, value in hello["status"].items() if name not in unsaid}
        signed = b"pbx-link.v1 hello\n" + json.dumps(hello, separators=(",", ":")).encode()
        identity = Ed25519PublicKey.from_public_bytes(from_b64url(hello["identity"]))
        identity.verify(from_b64url(frame["params"]["signature"]), signed)
        assert hello["nonce"] == nonce
        sockets[hello["pbxName"]] = socket
        await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": {}}))
        async for _message in socket:
            pass
        return socket

    app = web.Application()
    app.router.add_get("/connector/link", handshake)
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
