"""The bare programs of `bench.tab`: `python -m bench.tab_server PORT CONFIGURATION`, with CONFIGURATION as JSON.

    key          the issuer's one signing key (JWK)
    audience     whom tokens must be for
    sqlite       the path of an SQLite database with the service's schema, or
    postgresql   the address of one (asyncpg)

GET /state validates the request's token with PyJWT and reads one row with the bare driver. POST /sign-in/challenge validates
it and asks the one connector over its WebSocket; POST /sign-in does both and commits seat, session and audit row. GET /events
validates it and holds a server-sent stream. Nothing else is done: no bounds, budgets, problems or rules.
"""

import asyncio
import itertools
import json
import resource
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import jwt
import uvloop
from aiohttp import WSMsgType, web

from core.licensing.session import SESSION_COLUMNS
from core.store.audit import INSERT_AUDIT_SQLITE, Actor, AuditKind, audit_values
from core.store.limits import SQLITE_PRAGMAS

ONE_ROW = "SELECT id, pbx_login, display_name, licence_kind, licence_since FROM session WHERE tenant_id = {} AND object_id = {}"
TAKE_SEAT = """UPDATE seat SET holder = ? WHERE (pool_id, number) = (SELECT pool_id, number FROM seat
    WHERE pool_id = ? AND holder IS NULL AND NOT retired AND reserved_for IS NULL AND kept_for IS NULL LIMIT 1) RETURNING number"""
OPEN_SESSION = f"INSERT INTO session ({SESSION_COLUMNS}) VALUES ({', '.join('?' * 18)})"
POOL_SIZE = 10
RUSH_PBX, RUSH_POOL = "pbx-2", "pool-2"
"""The PBX and pool for sign-ins (`bench.tab`)."""

Row = Callable[[str, str], Awaitable[Any]]


class Bare:
    def __init__(self, key: dict[str, Any], audience: str) -> None:
        self._key = jwt.PyJWK(key, algorithm="RS256").key
        self._audience = audience
        self._socket: web.WebSocketResponse | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count()
        self._sqlite: sqlite3.Connection | None = None
        self.row: Row | None = None

    def read_sqlite(self, path: str) -> None:
        connection = self._sqlite = sqlite3.connect(path, isolation_level=None, cached_statements=512)
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)
        query = ONE_ROW.format("?", "?")

        async def row(tenant_id: str, object_id: str) -> Any:
            return connection.execute(query, (tenant_id, object_id)).fetchone()

        self.row = row

    async def read_postgresql(self, dsn: str) -> None:
        pool = await asyncpg.create_pool(dsn, min_size=POOL_SIZE, max_size=POOL_SIZE)
        query = ONE_ROW.format("$1", "$2")

        async def row(tenant_id: str, object_id: str) -> Any:
            return tuple(await pool.fetchrow(query, tenant_id, object_id))

        self.row = row

    def claims(self, request: web.Request) -> dict[str, Any]:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        return dict(jwt.decode(token, self._key, algorithms=["RS256"], audience=self._audience))

    async def state(self, request: web.Request) -> web.Response:
        claims = self.claims(request)
        assert self.row is not None
        session = await self.row(claims["tid"], claims["oid"])
        return _json({"signedIn": session is not None, "session": session})

    async def link(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._socket = socket
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                frame = json.loads(message.data)
                self._waiting.pop(frame["id"]).set_result(frame["result"])
        return socket

    async def challenge(self, request: web.Request) -> web.Response:
        self.claims(request)
        json.loads(await request.read())
        return _json(await self._ask("pbx.loginChallenge", {}))

    async def sign_in(self, request: web.Request) -> web.Response:
        claims = self.claims(request)
        body = json.loads(await request.read())
        user = await self._ask("pbx.login", {"proof": body["proof"]})
        user_id, now = user["userId"], round(time.time() * 1000)
        connection = self._sqlite
        assert connection is not None
        connection.execute("BEGIN IMMEDIATE")
        (number,) = connection.execute(TAKE_SEAT, (user_id, RUSH_POOL)).fetchone()
        who = (claims["tid"], claims["oid"], claims["name"])
        login = (user["login"], user["displayName"], user["email"], False)
        seat = ("FL", RUSH_POOL, number, "password", now, now, now, 1)
        connection.execute(OPEN_SESSION, (f"{user_id:036}", *who, RUSH_PBX, user_id, *login, *seat))
        actor = Actor.person(tenant_id=who[0], object_id=who[1], pbx_user_id=user_id, name=who[2])
        granted = audit_values(
            at=now,
            pbx_id=RUSH_PBX,
            kind=AuditKind.GRANTED,
            actor=actor,
            subject=user["displayName"],
            detail="{}",
            pbx_user_id=user_id,
            pool_id=RUSH_POOL,
            held_from=None,
        )
        connection.execute(INSERT_AUDIT_SQLITE, granted)
        connection.execute("COMMIT")
        return _json({"signedIn": True, "person": user, "since": now})

    async def clear(self, _request: web.Request) -> web.Response:
        """Sign everybody out again; not measured."""
        assert self._sqlite is not None
        self._sqlite.execute("DELETE FROM session WHERE pool_id = ?", (RUSH_POOL,))
        self._sqlite.execute("UPDATE seat SET holder = NULL WHERE pool_id = ?", (RUSH_POOL,))
        return _json({})

    async def events(self, request: web.Request) -> web.StreamResponse:
        claims = self.claims(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"event: state\ndata: {json.dumps({'name': claims['name']})}\n\n".encode())
        await asyncio.Event().wait()
        return response

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        call_id = next(self._ids)
        answered = self._waiting[call_id] = asyncio.get_running_loop().create_future()
        assert self._socket is not None
        frame = {"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}
        await self._socket.send_str(json.dumps(frame))
        return await answered


def _json(content: Any) -> web.Response:
    return web.Response(text=json.dumps(content), content_type="application/json")


async def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    port, configuration = int(sys.argv[1]), json.loads(sys.argv[2])
    bare = Bare(configuration["key"], configuration["audience"])
    if "sqlite" in configuration:
        bare.read_sqlite(configuration["sqlite"])
    else:
        await bare.read_postgresql(configuration["postgresql"])
    app = web.Application()
    app.router.add_get("/api/v1/state", bare.state)
    app.router.add_get("/api/v1/events", bare.events)
    app.router.add_post("/api/v1/sign-in/challenge", bare.challenge)
    app.router.add_post("/api/v1/sign-in", bare.sign_in)
    app.router.add_post("/clear", bare.clear)
    app.router.add_get("/connector/link", bare.link)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=16_384).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main())
