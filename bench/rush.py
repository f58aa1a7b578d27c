"""Simulates a Monday morning at one PBX: users sign in and are signed out while two thousand tabs are open.

    cpu             CPU of the service for a sign-in while 2,000 tabs of that PBX are open, over the same with no tab open
    latency         median time of a sign-in (challenge and sign-in), over the same with no tab open
    affected_p99_s  seconds from an administrator's request to revoke until that user's open tab is updated
    two_…           the same with two replicas on PostgreSQL and NATS, half of the tabs and of the sign-ins at each

Five users sign in each second and one session is revoked. Every sign-in takes a seat, so that what every tab shows
changes. No request may fail (`failed`), and afterwards every tab must show the right number of seats (`wrong_tabs`).
A round without tabs goes before those with them, and one follows. The service's processes, a connector that answers
immediately, and the tabs are separate processes. The CPU of a sign-in is the total CPU of the service's processes
in a round, divided by the number of sign-ins: it includes revokes, keep-alives and background work, on both sides.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil
from sqlalchemy import select

from bench.process import started
from bench.report import Bar, Report
from bench.rush_client import pbx_user
from bench.strangers import token_claims
from core.identity.teams_user import TeamsUser
from core.licensing.ledger import open_ledger
from core.licensing.overview import Overview
from core.licensing.rules import TakeSeat, seat_choices
from core.licensing.session import Opened, Proof, SessionRequest
from core.signin.verdicts import to_session_person
from core.store import tables
from core.store.database import Database
from core.store.timestamps import now
from simulator.demo import Demo
from simulator.people import TENANT_ID, Person
from tests.support.nats import Nats
from tests.support.postgres import Postgres
from tests.support.world import free_ports

TABS: Final = 2_000
SIGN_INS_PER_SECOND: Final = 5
ROUNDS: Final = 4
"""Without tabs, twice with them, and without."""
ROUND_SECONDS: Final = 8
IDLE_SECONDS: Final = 3
SETTLE_SECONDS: Final = 3.0
"""How long after a round every tab must show the true state."""
NEWCOMERS: Final = ROUNDS * ROUND_SECONDS * SIGN_INS_PER_SECOND + 40
PBX: Final = "pbx-0.example.com"
KEY_DIGEST: Final = f"{0:064x}"
BARS: Final = {
    "cpu": Bar(2.0, at_most=True),
    "latency": Bar(2.0, at_most=True),
    "affected_p99_s": Bar(1.0, at_most=True),
    "two_cpu": Bar(2.0, at_most=True),
    "two_latency": Bar(2.0, at_most=True),
    "two_affected_p99_s": Bar(1.0, at_most=True),
    "wrong_tabs": Bar(0.0, at_most=True),
    "failed": Bar(0.0, at_most=True),
}


async def run() -> Report:
    report = Report("rush", BARS)
    report.ratios |= {"wrong_tabs": 0.0, "failed": 0.0}
    with tempfile.TemporaryDirectory() as directory:
        async with _service(Path(directory)) as service:
            await _measure(service, report, "")
    postgres, nats = Postgres(), Nats()
    postgres.start()
    nats.start()
    try:
        with tempfile.TemporaryDirectory() as directory:
            url = postgres.new_database("rush")
            async with _service(Path(directory), url, nats.url) as service:
                await _measure(service, report, "two_")
    finally:
        nats.kill()
        postgres.stop()
    return report


class Service:
    """One or two replicas, with a PBX whose connector answers immediately, and two thousand signed-in users."""

    def __init__(self, demo: Demo, http: aiohttp.ClientSession) -> None:
        self.demo = demo
        self.http = http
        self.ports: list[int] = []
        self.tokens: list[str] = []
        """Tokens of the signed-in users, the administrator first; then those of the newcomers."""
        self.sessions: list[str] = []
        self.newcomers: Iterator[int] = iter(())
        self.leavers: Iterator[int] = iter(())

    @property
    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(process.pid) for name, process in self.demo.processes if "service" in name]

    def cpu_seconds(self) -> float:
        times = [process.cpu_times() for process in self.processes]
        return sum(one.user + one.system for one in times)

    def resident(self) -> int:
        return sum(process.memory_info().rss for process in self.processes)

    def port_of(self, number: int) -> int:
        return self.ports[number % len(self.ports)]

    async def call(self, number: int, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[number]}"}
        url = f"http://127.0.0.1:{self.port_of(number)}/api/v1/{path}"
        async with self.http.post(url, json=body, headers=headers, raise_for_status=True) as answer:
            return await answer.json()

    async def sign_in(self, number: int) -> float | None:
        """Return the seconds until the user is signed in; None if refused."""
        begun = time.monotonic()
        access = {"pbxName": PBX, "keyDigest": KEY_DIGEST}
        try:
            challenge = await self.call(number, "sign-in/challenge", access)
            secret = f"{number + 1}:{'0' * 128}"
            proof = {"method": "challenge", "nonce": challenge["nonce"], "secret": secret}
            await self.call(number, "sign-in", access | {"proof": proof, "takeOver": False})
        except aiohttp.ClientResponseError:
            return None
        return time.monotonic() - begun

    async def revoke(self, number: int) -> tuple[int, float] | None:
        """Return whose session was revoked, and when it was requested; None if refused."""
        begun = time.monotonic()
        try:
            await self.call(0, "licences/revoke", {"sessionIds": [self.sessions[number]], "reason": ""})
        except aiohttp.ClientResponseError:
            return None
        return number, begun


@contextlib.asynccontextmanager
async def _service(
    directory: Path, database_url: str | None = None, nats_url: str | None = None
) -> AsyncIterator[Service]:
    demo = Demo(
        argparse.Namespace(
            state=directory / "state",
            first_port=free_ports(5),
            pbx_version="6.7.3.20",
            login_type="Internal",
            seats=0,
            database_url=database_url,
            nats_url=nats_url,
            two_pbxs=False,
        )
    )
    demo.state.mkdir(parents=True)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        try:
            await demo.start_entra()
            demo.write_settings()
            await demo.start_service()
            service = Service(demo, http)
            service.ports = [demo.service_port]
            if nats_url is not None:
                service.ports.append(free_ports(1))
                await demo.start_replica("service-2", service.ports[1])
            code = await demo.enrolment_code(PBX)
            key = await demo.licence_key(TABS + NEWCOMERS)
            async with started("bench.rush_client", "connector", str(service.ports[0]), code, key):
                await _people(service)
                yield service
        finally:
            await demo.stop()


async def _people(service: Service) -> None:
    numbers = range(TABS + NEWCOMERS)
    users = [TeamsUser(TENANT_ID, str(uuid.UUID(int=number + 1)), f"Person {number}") for number in numbers]
    for batch in _batches(users, 100):
        service.tokens += await asyncio.gather(*(_token(service, user) for user in batch))
    database = Database(service.demo.database_address)
    ledger = open_ledger(database.address)
    try:
        async with database.reading() as connection:
            pbx_id = (await connection.execute(select(tables.pbx.c.id))).scalar_one()
        pools = await Overview(database).pools(pbx_id)
        requests = [
            SessionRequest(
                teams_user=users[number],
                pbx_id=pbx_id,
                pbx_name=PBX,
                person=to_session_person(pbx_user(number + 1)),
                licence=TakeSeat(seat_choices(pools=pools, user_id=number + 1, group_ids=(), now=now())),
                proof=Proof.PASSWORD,
                take_over=False,
                now=now(),
            )
            for number in range(TABS)
        ]
        for request_batch in _batches(requests, 200):
            opened = await asyncio.gather(*(ledger.open_session(request) for request in request_batch))
            for one in opened:
                assert isinstance(one, Opened), one
                service.sessions.append(one.session.id)
    finally:
        await ledger.close()
        await database.close()
    service.newcomers = iter(numbers[TABS:])
    service.leavers = iter(range(1, TABS))
    for _ in range(10):  # warms up caches and connections
        await service.sign_in(next(service.newcomers))


async def _token(service: Service, user: TeamsUser) -> str:
    person = Person(
        name=user.name,
        object_id=user.object_id,
        email=f"{user.object_id}@example.com",
        login="",
        password="",
        role="user",
    )
    claims = token_claims(service.demo.entra_port, TENANT_ID, person)
    url = f"http://127.0.0.1:{service.demo.entra_port}/control/sign"
    async with service.http.post(url, json={"claims": claims}) as answer:
        return str((await answer.json())["token"])


async def _measure(service: Service, report: Report, prefix: str) -> None:
    rounds: dict[str, list[dict[str, Any]]] = {"no tab": [await _round(service)], "tabs": []}
    before = service.resident()
    async with _tabs(service) as (tabs, line):
        opened = line["seconds"]
        memory = (service.resident() - before) / TABS / 1024
        idle = service.cpu_seconds()
        await asyncio.sleep(IDLE_SECONDS)
        idle = (service.cpu_seconds() - idle) / IDLE_SECONDS * 1000
        rounds["tabs"] = [await _round(service), await _round(service)]
        await asyncio.sleep(SETTLE_SECONDS)
        shown = await _ask(tabs)
        true = str(await _seats_used(service))
    rounds["no tab"].append(await _round(service))
    asked = {str(number): at for one in rounds["tabs"] for number, at in one["revoked"].items()}
    noticed = shown["signedOut"]
    wrong = sum(count for seats, count in shown["seats"].items() if seats != true)
    report.ratios["wrong_tabs"] += wrong + len(asked.keys() ^ noticed.keys())
    affected = sorted(noticed[number] - asked[number] for number in asked.keys() & noticed.keys())
    cpu = {kind: statistics.median(one["cpu"] for one in found) for kind, found in rounds.items()}
    took = {kind: [took for one in found for took in one["took"]] for kind, found in rounds.items()}
    p50 = {kind: statistics.median(found) for kind, found in took.items()}
    report.ratios[f"{prefix}cpu"] = cpu["tabs"] / cpu["no tab"]
    report.ratios[f"{prefix}latency"] = p50["tabs"] / p50["no tab"]
    report.ratios["failed"] += sum(one["failed"] for found in rounds.values() for one in found)
    report.ratios[f"{prefix}affected_p99_s"] = affected[-1]  # the longest of a few dozen
    where = "two replicas" if prefix else "one replica"
    for kind, found in took.items():
        name = f"{where}, {TABS} tabs" if kind == "tabs" else f"{where}, no tab"
        report.figures |= {
            f"{name}: CPU of a sign-in, ms": round(cpu[kind] * 1000, 1),
            f"{name}: p50 of a sign-in, ms": round(p50[kind] * 1000, 1),
            f"{name}: longest sign-in, ms": round(max(found) * 1000, 1),
        }
    report.figures |= {
        f"{where}: p50 until a revoked tab is updated, ms": round(statistics.median(affected) * 1000, 1),
        f"{where}: seconds until {TABS} tabs are open": round(opened, 1),
        f"{where}: memory of an open tab, KiB": round(memory, 1),
        f"{where}: CPU while {TABS} tabs are open and nothing happens, ms a second": round(idle, 1),
        f"{where}: events to a tab in all": round(shown["events"] / TABS, 1),
    }


async def _round(service: Service) -> dict[str, Any]:
    """Sign some users in and a few out. Return when each was signed in, when each revoke was requested, and the CPU
    time.
    """
    before = service.cpu_seconds()

    async def come(after: float) -> float | None:
        await asyncio.sleep(after)
        return await service.sign_in(next(service.newcomers))

    async def go(after: float) -> tuple[int, float] | None:
        await asyncio.sleep(after)
        return await service.revoke(next(service.leavers))

    arrivals = ROUND_SECONDS * SIGN_INS_PER_SECOND
    took, revoked = await asyncio.gather(
        asyncio.gather(*(come(number / SIGN_INS_PER_SECOND) for number in range(arrivals))),
        asyncio.gather(*(go(second + 0.5) for second in range(ROUND_SECONDS))),
    )
    return {
        "cpu": (service.cpu_seconds() - before) / arrivals,
        "took": [seconds for seconds in took if seconds is not None],
        "revoked": dict(asked for asked in revoked if asked is not None),
        "failed": took.count(None) + revoked.count(None),
    }


@contextlib.asynccontextmanager
async def _tabs(service: Service) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """Open one tab for every user who is signed in and has not been signed out."""
    gone = next(service.leavers)
    service.leavers = iter(range(gone, TABS))
    # The administrator's tab and the usual number of others: users who were signed out before have none.
    others = (0, *range(TABS, TABS + gone - 1))
    people = (*range(gone, TABS), *others)
    wanted = [[number, service.port_of(number), service.tokens[number]] for number in people]
    file = service.demo.state / "tabs.json"
    await asyncio.to_thread(file.write_text, json.dumps(wanted))
    async with started("bench.rush_client", "watch", str(file)) as (process, line):
        opened: dict[str, Any] = json.loads(line)
        assert opened["open"] == TABS, opened
        yield process, opened


async def _ask(tabs: asyncio.subprocess.Process) -> dict[str, Any]:
    assert tabs.stdin is not None
    assert tabs.stdout is not None
    tabs.stdin.write(b"\n")
    await tabs.stdin.drain()
    found: dict[str, Any] = json.loads(await tabs.stdout.readline())
    return found


async def _seats_used(service: Service) -> int:
    headers = {"Authorization": f"Bearer {service.tokens[0]}"}
    url = f"http://127.0.0.1:{service.ports[0]}/api/v1/state"
    async with service.http.get(url, headers=headers) as answer:
        return int((await answer.json())["licence"]["seatsUsed"])


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
