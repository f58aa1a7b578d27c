"""No request of at most the accepted size keeps the service from its other work for more than 100 ms, at any door.

All requests share one event loop, so a request for /healthz on another connection waits as long as
the hostile request holds it. A busy machine delays that as well. So the time that threads of the service waited for a
processor is taken off (Linux counts it: https://docs.kernel.org/scheduler/sched-stats.html), and what still delays is
asked again: only what delays every time is a fault. The texts are the worst ones for every regular expression.
"""

import asyncio
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from itertools import product
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiohttp import web

from bot.adapter import MAX_ACTIVITY_BYTES
from core.store.audit import INSERT_AUDIT_SQLITE, AuditKind, audit_values
from tab.operation import MAX_BODY_BYTES
from tests.support.chat import activity, claims
from tests.support.connector_peer import enrolled, other_address
from tests.support.history import ACTOR, forget
from tests.support.loop_lag import (
    MAX_DELAY_SECONDS,
    MAX_HEADER,
    PIECES,
    Neighbour,
    Send,
    assert_never_held,
    make_text,
    post_request,
    spread,
)
from tests.support.probe_peer import device_use, get_pairing_code, peer_at
from tests.support.world import ANNA, CLARA, World
from wire import jsonrpc, probe

EXPORTED: Final = 6_000


async def test_what_blocks_is_found() -> None:
    """The measure itself, at an application that does what ours must not do."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response()

    async def blocks(request: web.Request) -> web.Response:
        time.sleep(float(request.query["seconds"]))
        return web.Response()

    def serve() -> None:
        asyncio.run(run())

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/healthz", healthz)
        app.router.add_get("/blocks", blocks)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.append(runner.addresses[0][1])
        started.set()
        await asyncio.to_thread(stop.wait)
        await runner.cleanup()

    port: list[int] = []
    started, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        async with aiohttp.ClientSession() as http:

            def asking(path: str) -> Send:
                return lambda: http.get(f"http://127.0.0.1:{port[0]}/{path}")

            with Neighbour(port[0], f"self/task/{thread.native_id}") as neighbour:
                assert await neighbour.delays(asking("blocks?seconds=0.15")) > MAX_DELAY_SECONDS
                assert await neighbour.delays(asking("blocks?seconds=0")) <= MAX_DELAY_SECONDS
    finally:
        stop.set()
        thread.join(20)


NESTED: Final = (
    *(b"[" * (MAX_BODY_BYTES - 1), b"[" * 199 + b"]" * 199),
    b'{"a":[' + b"1," * 120_000 + b"1]}",
    b"{" + b",".join(b'"%d":0' % number for number in range(20_000)) + b"}",
    b'{"pbxName":' + b"9" * 4000 + b"}",
    b'"' + b"\\u0130" * 40_000 + b'"',
)


def bodies(world: World, token: str) -> Iterator[tuple[str, Send]]:
    def at(what: str, method: str, path: str, body: Any, status: int | None = None) -> tuple[str, Send]:
        send = post_request(world, method, f"/api/v1/{path}", token, body, MAX_BODY_BYTES, status)
        return f"{path}: {what}", send

    for number, body in enumerate(NESTED):
        yield at(f"odd body {number}", "POST", "sign-in", body)
    for piece in PIECES:
        for size in (250, 40_000):
            long = make_text(piece, size)
            yield at(
                f"{piece!r} x {size}",
                "POST",
                "sign-in",
                {"pbxName": long, "keyDigest": long, "proof": {"method": "challenge", "secret": long}},
            )
        yield at(
            repr(piece),
            "POST",
            "licences/revoke",
            {"sessionIds": [ANNA.object_id], "reason": make_text(piece, 480)},
        )
    labels = spread(MAX_BODY_BYTES - 20_000, 100)
    devices = [{"kind": "output", "label": label} for label in labels]
    yield at("labels", "PUT", "audio/devices", {"devices": devices}, 200)
    uses = [
        {"program": program, "device": {"kind": kind, "label": labels[number]}}
        for number, (program, kind) in enumerate(product(("teams", "softphone"), ("input", "output")))
    ]
    yield at("labels", "PUT", "audio/declared", {"uses": uses}, 200)
    everybody = {"userIds": list(range(1000)), "groupIds": list(range(1000))}
    reservations = [
        {
            "id": f"r{number}",
            "name": name,
            "seats": 1,
            "people": {"userIds": list(range(600)), "groupIds": []},
        }
        for number, name in enumerate(spread(60_000, 50))
    ]
    policy = {"idleHours": None, "reservations": reservations, "admitted": everybody}
    yield at("reservations", "PUT", "licences/policy", {"poolId": ANNA.object_id, "policy": policy}, 410)


async def test_bodies_of_the_tab(world: World, neighbour: Neighbour) -> None:
    clara = world.client(CLARA)  # whom no operation refuses
    assert (await clara.sign_in(world.pbx_name, world.key)).status == 200
    await assert_never_held(neighbour, bodies(world, await clara.token()))
    await clara.call("DELETE", "audio")


async def test_activities_of_the_channel(world: World, neighbour: Neighbour) -> None:
    token = await world.sign(claims(world), "channel")

    def activities() -> Iterator[tuple[str, Send]]:
        def at(what: str, body: Any) -> tuple[str, Send]:
            return what, post_request(world, "POST", "/api/messages", token, body, MAX_ACTIVITY_BYTES)

        for number, body in enumerate(NESTED):
            yield at(f"odd body {number}", body)

        def saying(**said: Any) -> Callable[[], Any]:
            # One that came before is not looked at again.
            return lambda: activity(world, id=str(uuid.uuid4()), **said)

        for piece in PIECES:
            long = make_text(piece, 30_000)
            yield at(f"text {piece!r}", saying(text=long, locale=long))
            yield at(f"command {piece!r}", saying(value={"command": long}))
            data = {"language": "en", "search": long, "reason": long, "session": long}
            action = {"action": {"type": "Action.Execute", "verb": "licences", "data": data}}
            yield at(
                f"button {piece!r}",
                saying(type="invoke", name="adaptiveCard/action", value=action),
            )

    await assert_never_held(neighbour, activities())


async def test_heads_tokens_and_files(world: World, neighbour: Neighbour) -> None:
    port = world.demo.service_port
    clara = world.client(CLARA)
    assert (await clara.sign_in(world.pbx_name, world.key)).status == 200
    token = await clara.token()
    names = (
        "X-Forwarded-For",
        "Accept-Language",
        "Accept-Encoding",
        "If-None-Match",
        "Range",
        "Content-Type",
    )

    def asking(target: str, *headers: str) -> Send:
        head = "\r\n".join([f"GET {target} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""])

        async def send() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode())
            answer = await reader.read(-1)
            assert not answer.startswith(b"HTTP/1.1 5"), answer[:200]
            writer.close()

        return send

    def requests() -> Iterator[tuple[str, Send]]:
        for piece in PIECES:
            long = "".join(c if c.isprintable() else " " for c in make_text(piece, MAX_HEADER))
            while len(long.encode()) > MAX_HEADER:
                long = long[: len(long) * 3 // 4]
            yield f"token {piece!r}", asking("/api/v1/state", f"Authorization: Bearer a.{long[:-4]}.a")
            yield f"token {piece!r}", asking("/metrics", f"Authorization: Bearer {long}")
            yield f"heads {piece!r}", asking("/tab/", *(f"{name}: {long}" for name in names))
            yield f"path {piece!r}", asking("/tab/" + quote(long.encode()[:2600]))
            search = "/api/v1/licences?search=" + quote(long.encode()[:1300])
            yield f"query {piece!r}", asking(search, f"Authorization: Bearer {token}")
        yield (
            "many heads",
            asking("/tab/", *(f"X-Forwarded-For: 1.2.3.{number % 256}" for number in range(1500))),
        )

    await assert_never_held(neighbour, requests())


async def test_frames_of_connectors(world: World, neighbour: Neighbour) -> None:
    connector = await enrolled(world, "worst-frames.example.com")
    async with other_address(world, "127.0.0.71") as knock:

        def hellos() -> Iterator[tuple[str, Send]]:
            # As many as one address may open and fail within a minute.
            for number, long in enumerate(spread(jsonrpc.MAX_FRAME_BYTES - 20_000, 12)):
                params = connector.hello("n" * 43).model_dump(mode="json", by_alias=True)
                odd = params | {"pbxName": long, "connectorVersion": long, "licenceKeys": [long[:8000]] * 4}
                yield f"hello {number}", lambda odd=odd: knock(odd)
            for number, body in enumerate(NESTED):
                yield f"odd hello {number}", lambda body=body: knock(body.decode()[: jsonrpc.MAX_FRAME_BYTES])

        await assert_never_held(neighbour, hellos())
        link = await knock.open(connector)
        names = spread(jsonrpc.MAX_FRAME_BYTES - 50_000, 400)
        users = [
            {**USER, "userId": number, "displayName": name, "email": name, "login": f"{number}"}
            for number, name in enumerate(names[:200])
        ]
        status = connector.hello("n" * 43).status.model_dump(mode="json", by_alias=True)
        frames = {
            "link.usersChanged": {"users": users, "gone": list(range(1000, 1200))},
            "link.status": status | {"pbxVersion": make_text("0.", 200_000)},
            "link.ping": {"odd": names},
        }

        def calls() -> Iterator[tuple[str, Send]]:
            for method, params in frames.items():
                frame = json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
                assert len(frame) <= jsonrpc.MAX_FRAME_BYTES

                async def send(frame: str = frame) -> None:
                    await link.send_str(frame)
                    assert (await link.receive(timeout=20)).type is aiohttp.WSMsgType.TEXT

                yield method, send

        await assert_never_held(neighbour, calls())


USER: Final = {"isAdministrator": False, "hasLicencePermission": True, "groupIds": list(range(20))}


async def test_frames_of_probes(world: World, neighbour: Neighbour) -> None:
    anna = world.client(ANNA)
    assert (await anna.sign_in(world.pbx_name, world.key)).status == 200
    labels = spread(probe.MAX_FRAME_BYTES - 6_000, 96)
    devices = [{"kind": "output", "label": label[:250]} for label in labels]
    answer = await anna.call("PUT", "audio/devices", {"devices": devices})
    assert answer.status == 200, answer.body
    async with peer_at(world, "127.0.0.72") as one:
        assert "result" in await one.pair(await get_pairing_code(anna))

        def reports() -> Iterator[tuple[str, Send]]:
            for begin in range(0, 96, 32):
                uses = [
                    device_use(
                        ("teams", "softphone")[number % 2], label, ("input", "output")[number // 2 % 2]
                    )
                    for number, label in enumerate(labels[begin : begin + 32])
                ]
                yield f"report {begin}", lambda uses=uses: one.call("probe.report", uses=uses)
            for number, long in enumerate(spread(probe.MAX_FRAME_BYTES, 3)):
                yield f"hello {number}", lambda long=long: one.call("probe.hello", token=long, version=long)

        await assert_never_held(neighbour, reports())
    await anna.call("DELETE", "audio")


@asynccontextmanager
async def long_audit(world: World) -> AsyncIterator[None]:
    names = [make_text(piece, 190) for piece in PIECES]
    with closing(world.database()) as database, database:
        (pbx_id,) = database.execute("SELECT id FROM pbx WHERE name = ?", (world.pbx_name,)).fetchone()
        begins = round(time.time() * 1000) - EXPORTED
        rows = (
            audit_values(
                at=begins + number,
                pbx_id=pbx_id,
                kind=AuditKind.GRANTED,
                actor=ACTOR,
                subject=names[number % len(names)],
                detail=json.dumps({"reason": names[number % len(names)]}),
            )
            for number in range(EXPORTED)
        )
        database.executemany(INSERT_AUDIT_SQLITE, rows)
    try:
        yield
    finally:
        forget(world)


async def test_exports(world: World, neighbour: Neighbour) -> None:
    clara = world.client(CLARA)
    assert (await clara.sign_in(world.pbx_name, world.key)).status == 200

    def exports() -> Iterator[tuple[str, Send]]:
        for kind in ("csv", "xlsx"):
            path = f"audit/export?timeZone=Europe/Berlin&format={kind}"
            yield kind, lambda path=path: clara.call("GET", path)

    async with long_audit(world):
        answer = await clara.call("GET", "audit/export?timeZone=UTC")
        assert answer.status == 200 and len(answer.body["content"]) > EXPORTED * 100
        await assert_never_held(neighbour, exports())
