"""Measures the cost of a request, a sign-in and an open stream of the tab relative to the most minimal program that
does the same.

    state_sqlite      GET /api/v1/state of signed-in people, requests a second of the real service process, over a bare aiohttp
                      handler that validates the same token with the same library, at every request, and reads one row with
                      the bare driver
    state_postgresql  the same on PostgreSQL
    licences_growth   the administrator's first page of holders at a PBX with 10,000 of them, over one with ten, on SQLite; also
                      while ten transactions a second change sessions of that PBX (`licences_growth_busy`), so that it is
                      counted again each time, and both on PostgreSQL (`licences_growth_postgresql`, …)
    sign_in           challenge and sign-in through hub and a connector that answers at once, with seat, session and audit row
                      committed, over a bare program with the same hops, token checks and one commit
    stream_memory     memory of the service with 5,000 open streams, for each, over a bare server-sent stream

Service, bare program, connectors and callers are separate processes. Rounds of baseline and measurement alternate,
so that slow moments of the machine affect both.
"""

import asyncio
import contextlib
import itertools
import json
import resource
import statistics
import tempfile
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import psutil
from sqlalchemy import insert, select, update

from bench.process import started
from bench.report import Bar, Report
from bench.strangers import token_claims
from bench.tab_client import ADMINISTRATOR, key_digest
from core.background import cancel_and_wait
from core.store import tables
from core.store.database import Database, upgrade_async
from core.store.timestamps import new_id, now, to_ms
from simulator.people import APP_ID, TENANT_ID, Person
from tests.support.postgres import Postgres
from tests.support.world import World, free_ports

SMALL, LARGE, RUSH = 0, 1, 2
NAMES: Final = ("small.bench.example.com", "large.bench.example.com", "rush.bench.example.com")
SEATS: Final = (50, 10_100, 200)
HOLDERS: Final = (10, 10_000, 0)
CLIENTS: Final = 32
ROUNDS: Final = 3
ROUND_SECONDS: Final = 1.5
SIGN_INS: Final = 120
"""Sign-ins in one round."""
AT_ONCE: Final = 8
CHANGES_A_SECOND: Final = 10
"""Changes while the licence page is read: twice as many as in a rush (`bench.rush`)."""
STREAMS: Final = 5_000
STREAMS_EACH: Final = 5
BARS: Final = {
    "state_sqlite": Bar(0.4),
    "state_postgresql": Bar(0.4),
    "licences_growth": Bar(0.5),
    "licences_growth_busy": Bar(0.5),
    "licences_growth_postgresql": Bar(0.5),
    "licences_growth_busy_postgresql": Bar(0.5),
    "sign_in": Bar(0.35),
    "stream_memory": Bar(1.5, at_most=True),
}


async def run() -> Report:
    report = Report("tab", BARS)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))  # the service inherits it
    with tempfile.TemporaryDirectory() as directory:
        async with _scene(Path(directory) / "streams") as scene:
            await _streams(report, scene)
        async with _scene(Path(directory) / "sqlite") as scene:
            await _state(report, scene, "sqlite")
            await _licences(report, scene, "")
            await _sign_ins(report, scene)
        postgres = Postgres()
        postgres.start()
        try:
            async with _scene(Path(directory) / "postgresql", postgres.new_database("tab")) as scene:
                await _state(report, scene, "postgresql")
                await _licences(report, scene, "_postgresql")
        finally:
            postgres.stop()
    return report


class Scene:
    """A service with three PBXs and their holders, and the bare program with a database of the same schema."""

    def __init__(self, world: World, port: int, pids: dict[int, int]) -> None:
        self.world = world
        self.service = world.demo.service_port
        self.bare = port
        self._pids = pids

    async def tokens(self, pbx: int, numbers: Sequence[int]) -> list[str]:
        return [
            await self.world.sign(
                token_claims(self.world.demo.entra_port, TENANT_ID, _person(pbx, number)) | {"wids": []}
            )
            for number in numbers
        ]

    def resident(self, port: int) -> int:
        return psutil.Process(self._pids[port]).memory_info().rss

    def cpu(self, port: int) -> float:
        times = psutil.Process(self._pids[port]).cpu_times()
        return times.user + times.system


async def _state(report: Report, scene: Scene, database: str) -> None:
    tokens = await scene.tokens(SMALL, range(1, HOLDERS[SMALL] + 1))
    ports = {"bare": scene.bare, "service": scene.service}
    many: dict[str, list[dict[str, float]]] = {name: [] for name in ports}
    alone: dict[str, list[float]] = {name: [] for name in ports}
    for port in ports.values():
        await _get(
            port=port, path="/api/v1/state", tokens=tokens, clients=CLIENTS, seconds=ROUND_SECONDS / 2
        )  # warms up
    for _round in range(ROUNDS):
        for name, port in ports.items():
            before = scene.cpu(port)
            found = await _get(
                port=port, path="/api/v1/state", tokens=tokens, clients=CLIENTS, seconds=ROUND_SECONDS
            )
            found["cpu"] = (scene.cpu(port) - before) / (found["rate"] * ROUND_SECONDS) * 1e6
            many[name].append(found)
            alone[name].append(
                (
                    await _get(
                        port=port, path="/api/v1/state", tokens=tokens, clients=1, seconds=ROUND_SECONDS / 3
                    )
                )["rate"]
            )
    rate = {name: _median(found, "rate") for name, found in many.items()}
    report.ratios[f"state_{database}"] = rate["service"] / rate["bare"]
    for name in ports:
        report.figures |= {
            f"{database}, {name}: states a second, {CLIENTS} clients": round(rate[name]),
            f"{database}, {name}: p99 of {CLIENTS} clients, ms": round(_median(many[name], "p99"), 1),
            f"{database}, {name}: states a second, one client": round(statistics.median(alone[name])),
            f"{database}, {name}: CPU of a state, microseconds": round(_median(many[name], "cpu")),
        }


async def _licences(report: Report, scene: Scene, database: str) -> None:
    tokens = {pbx: await scene.tokens(pbx, [ADMINISTRATOR]) for pbx in (SMALL, LARGE)}
    rounds: dict[tuple[bool, int], list[dict[str, float]]] = defaultdict(list)
    for _round in range(ROUNDS):
        for is_busy in (False, True):
            for pbx, token in tokens.items():
                async with _changes(scene.world.demo.database_address, pbx) if is_busy else nullcontext():
                    before = scene.cpu(scene.service)
                    found = await _get(scene.service, "/api/v1/licences", token, AT_ONCE, ROUND_SECONDS)
                    found["cpu"] = (scene.cpu(scene.service) - before) / (found["rate"] * ROUND_SECONDS) * 1e6
                rounds[is_busy, pbx].append(found)
    for is_busy in (False, True):
        rate = {pbx: _median(rounds[is_busy, pbx], "rate") for pbx in tokens}
        busy = "_busy" if is_busy else ""
        report.ratios[f"licences_growth{busy}{database}"] = rate[LARGE] / rate[SMALL]
        for pbx in tokens:
            which = f"licences{busy}{database}: {HOLDERS[pbx]} holders"
            report.figures |= {
                f"{which}: first pages a second": round(rate[pbx]),
                f"{which}: p99, ms": round(_median(rounds[is_busy, pbx], "p99"), 1),
                f"{which}: CPU of one, microseconds": round(_median(rounds[is_busy, pbx], "cpu")),
            }


@contextlib.asynccontextmanager
async def _changes(url: str, pbx: int) -> AsyncIterator[None]:
    """Change sessions of a PBX, one transaction each."""
    database = Database(url)
    session = tables.session.c
    of_pbx = select(tables.pbx.c.id).where(tables.pbx.c.name == NAMES[pbx]).scalar_subquery()

    async def change() -> None:
        for number in itertools.count():
            user_id = 1 + number % HOLDERS[pbx]
            async with database.writing() as connection:
                await connection.execute(
                    update(tables.session)
                    .where(session.pbx_id == of_pbx, session.pbx_user_id == user_id)
                    .values(last_seen_at=session.last_seen_at + 1)
                )
            await asyncio.sleep(1 / CHANGES_A_SECOND)

    changing = asyncio.create_task(change())
    try:
        yield
    finally:
        await cancel_and_wait(changing)
        await database.close()


async def _sign_ins(report: Report, scene: Scene) -> None:
    logins = list(range(1, SIGN_INS + 1))
    people = {"tokens": await scene.tokens(RUSH, logins), "logins": logins, "clients": AT_ONCE}
    access = {"pbxName": NAMES[RUSH], "keyDigest": key_digest(RUSH)}
    ways = {
        "bare": {"port": scene.bare, "clear": "/clear"},
        "service": {"port": scene.service, "clear": "/api/v1/sign-out"},
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    async with _client("connect", port=scene.bare, names=[], codes=[], keys=[]):
        for turn in range(ROUNDS + 1):
            for name, way in ways.items():
                before = scene.cpu(int(way["port"]))
                async with _client("sign_in", **people, **way, **access) as one:
                    one["cpu"] = (scene.cpu(int(way["port"])) - before) / SIGN_INS * 1000
                    if turn:  # the first warms up
                        found[name].append(one)
    rate = {name: _median(rounds, "rate") for name, rounds in found.items()}
    report.ratios["sign_in"] = rate["service"] / rate["bare"]
    for name in ways:
        report.figures |= {
            f"{name}: sign-ins a second, {AT_ONCE} at once": round(rate[name]),
            f"{name}: p50 of a sign-in, ms": round(_median(found[name], "p50"), 1),
        }
    report.figures["service: CPU of a sign-in and a sign-out, ms"] = round(
        _median(found["service"], "cpu"), 2
    )


async def _streams(report: Report, scene: Scene) -> None:
    tokens = await scene.tokens(LARGE, range(1, STREAMS // STREAMS_EACH + 1))
    each: dict[str, float] = {}
    for name, port in {"bare": scene.bare, "service": scene.service}.items():
        await _get(
            port=port, path="/api/v1/state", tokens=tokens[:10], clients=4, seconds=0.5
        )  # what is made once
        before = scene.resident(port)
        async with _client("hold", port=port, tokens=tokens, streams=STREAMS) as held:
            assert held["open"] == STREAMS
            each[name] = (scene.resident(port) - before) / STREAMS
        report.figures |= {
            f"{name}: KiB of an open stream": round(each[name] / 1024, 1),
            f"{name}: seconds until {STREAMS} streams are open": round(held["seconds"], 1),
        }
    report.ratios["stream_memory"] = each["service"] / each["bare"]


@contextlib.asynccontextmanager
async def _scene(state: Path, database_url: str | None = None) -> AsyncIterator[Scene]:
    world = World(state, database_url=database_url)
    await world.start()
    port = free_ports(1)
    try:
        configuration: dict[str, Any] = {"audience": APP_ID}
        async with world.http.get(f"{world.entra_url}/common/discovery/v2.0/keys") as answer:
            configuration["key"] = (await answer.json())["keys"][0]
        if database_url is None:
            path = state / f"bare-{port}.db"
            await upgrade_async(f"sqlite:///{path}")
            configuration["sqlite"] = str(path)
            await _make_pbxs(f"sqlite:///{path}")
            await _fill(f"sqlite:///{path}")
        else:
            configuration["postgresql"] = database_url.replace("+asyncpg", "")
        serials = [name.partition(".")[0].upper() for name in NAMES]
        connect = {
            "port": world.demo.service_port,
            "names": NAMES,
            "codes": [await world.enrolment_code(name) for name in NAMES],
            "keys": [await world.demo.licence_key(*one) for one in zip(SEATS, serials, strict=True)],
        }
        async with (
            started("bench.tab_server", str(port), json.dumps(configuration)) as (bare, _ready),
            _client("connect", **connect),
        ):
            await _fill(world.demo.database_address)
            (service,) = [process for name, process in world.demo.processes if name == "service"]
            yield Scene(world, port, {port: bare.pid, world.demo.service_port: service.pid})
    finally:
        await world.stop()


async def _make_pbxs(url: str) -> None:
    """Create the PBXs and pools for the bare program, which the service gets from its connectors."""
    database = Database(url)
    async with database.writing() as connection:
        for pbx, name in enumerate(NAMES):
            of_pbx, pool_id = f"pbx-{pbx}", f"pool-{pbx}"
            row = {"id": of_pbx, "name": name, "identity": "i", "key_hmac": "k", "claimed_at": 0}
            await connection.execute(insert(tables.pbx).values(**row))
            pool = {"id": pool_id, "serial": name, "pbx_id": of_pbx, "licensee": "L"}
            await connection.execute(insert(tables.pool).values(**pool, valid_from=0, valid_until=2**42))
            seats = [
                {"pool_id": pool_id, "number": number, "pbx_id": of_pbx}
                for number in range(1, SEATS[pbx] + 1)
            ]
            await connection.execute(insert(tables.seat), seats)
    await database.close()


async def _fill(url: str) -> None:
    """Insert the holders, who signed in a moment ago."""
    database = Database(url)
    at = to_ms(now())
    async with database.writing() as connection:
        for pbx, name in enumerate(NAMES):
            found = select(tables.pool.c.id, tables.pool.c.pbx_id).join(tables.pbx)
            row = (await connection.execute(found.where(tables.pbx.c.name == name))).one()
            numbers = range(1, HOLDERS[pbx] + 1)
            seat = tables.seat.c
            await connection.execute(
                update(tables.seat)
                .where(seat.pool_id == row.id, seat.number <= HOLDERS[pbx])
                .values(holder=seat.number)
            )
            if numbers:
                sessions = [
                    _session(pbx=pbx, number=number, pbx_id=row.pbx_id, pool_id=row.id, at=at)
                    for number in numbers
                ]
                await connection.execute(insert(tables.session), sessions)
    await database.close()


def _session(pbx: int, number: int, pbx_id: str, pool_id: str, at: int) -> dict[str, Any]:
    person = _person(pbx, number)
    return {
        "id": new_id(),
        "tenant_id": TENANT_ID,
        "object_id": person.object_id,
        "teams_name": person.name,
        "pbx_id": pbx_id,
        "pbx_user_id": number,
        "pbx_login": str(number),
        "display_name": person.name,
        "email": person.email,
        "is_administrator": number == ADMINISTRATOR,
        "licence_kind": "FL",
        "pool_id": pool_id,
        "seat_number": number,
        "proof": "password",
        "started_at": at,
        "licence_since": at,
        "last_seen_at": at,
    }


def _person(pbx: int, number: int) -> Person:
    object_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{pbx}/{number}"))
    return Person(
        name=f"User {number}",
        object_id=object_id,
        email=f"user{number}@example.com",
        login=str(number),
        password="",
        role="user",
    )


async def _get(port: int, path: str, tokens: Sequence[str], clients: int, seconds: float) -> dict[str, float]:
    arguments = {"port": port, "path": path, "tokens": tokens, "clients": clients, "seconds": seconds}
    async with _client("get", **arguments) as found:
        got: dict[str, float] = found
        return got


@contextlib.asynccontextmanager
async def _client(command: str, **arguments: object) -> AsyncIterator[Any]:
    line = f"{json.dumps(arguments)}\n".encode()
    async with started("bench.tab_client", command, said=line) as (_, answer):
        yield json.loads(answer)


def _median(found: Sequence[dict[str, float]], name: str) -> float:
    return statistics.median(one[name] for one in found)
