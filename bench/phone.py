"""Measures the cost of a telephone line in the connector, and the delay that it adds to a call.

    line_memory          memory of the connector for each of 2,000 lines, over a bare program that keeps as many UCI logins
    idle_requests        requests a second that these lines send while nobody calls, over one in 40 seconds each
    dial_added_p50_ms    what everything between adds to the median of a call that is placed: from the HTTP request through the
                         service, the hub and the connector to the simulated PBX and back, over asking that PBX directly
    event_p99_ms         from a call that comes in at the simulated PBX until the open page of that person is told: 500 people
                         with a telephone and an open page, 50 calls a second
    list_growth          the first page of a call list of 50,000 over one of 50, by HTTP

The last three go the whole way (`bench.phone_service`). For the first two the connector is the real program, the PBX the most
minimal one that it accepts (`bench.phone_pbx`), and of the service only its end of the link runs. What the connector alone adds
to a call and to an event is among the figures.
"""

import asyncio
import contextlib
import itertools
import json
import statistics
import tempfile
import time
import uuid
import xmlrpc.client
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import psutil

from bench.phone_service import measure
from bench.process import started
from bench.report import Bar, Report
from connector.login import uci_token
from connector.logins import KEEP_ALIVE_SECONDS
from tests.support.tiny_hub import ConnectorProcess, TinyHub, tiny_hub
from tests.support.world import eventually, free_ports
from wire.phone import PhoneMethod

LINES: Final = 2000
OPENED_AT_ONCE: Final = 16
IDLE_SECONDS: Final = 40
"""One complete polling period of the lines."""
DIALS: Final = 300
EVENT_LINES: Final = 500
EVENTS_A_SECOND: Final = 50
EVENT_SECONDS: Final = 10
BARS: Final = {
    "line_memory": Bar(4.0, at_most=True),
    "idle_requests": Bar(1.2, at_most=True),
    "dial_added_p50_ms": Bar(10.0, at_most=True),
    "event_p99_ms": Bar(300.0, at_most=True),
    "list_growth": Bar(1.5, at_most=True),
}


async def run() -> Report:
    report = Report("phone", BARS)
    bare = await _bare_memory()
    with tempfile.TemporaryDirectory() as directory:
        async with _pbx() as port, tiny_hub() as hub, aiohttp.ClientSession() as http:
            connector = ConnectorProcess(Path(directory), hub, port)
            await connector.start()
            try:
                await hub.linked()
                pbx = f"http://127.0.0.1:{port}"
                before = connector.resident
                await _lines(report=report, hub=hub, connector=connector, pbx=pbx, http=http, bare=bare)
                await _dials(report=report, hub=hub, pbx=pbx, http=http)
                await _events(report=report, hub=hub, pbx=pbx, http=http)
                report.figures["line after calls and looks: KiB each"] = round(
                    (connector.resident - before) / LINES / 1024, 1
                )
                await _restart(report=report, connector=connector, pbx=pbx, http=http)
            finally:
                await connector.kill()
    await measure(report)
    return report


async def _lines(
    report: Report,
    hub: TinyHub,
    connector: ConnectorProcess,
    pbx: str,
    http: aiohttp.ClientSession,
    bare: float,
) -> None:
    async def is_possible() -> bool:
        return bool((await hub.call("calls.challenge"))["possible"])

    await eventually(is_possible, "the connector has logged in to UCI")
    slots = asyncio.Semaphore(OPENED_AT_ONCE)

    async def open_line(user_id: int) -> None:
        async with slots:
            await hub.open_phone(
                state=connector.state, user_id=user_id, login=str(1000 + user_id), password="password"
            )

    before, begun = connector.resident, time.monotonic()
    await asyncio.gather(*(open_line(2 + number) for number in range(LINES)))
    opened = time.monotonic() - begun
    first = await _count(http, pbx, "requests")
    await asyncio.sleep(IDLE_SECONDS)
    rate = (await _count(http, pbx, "requests") - first) / IDLE_SECONDS
    memory = (connector.resident - before) / LINES
    cpu = connector.cpu_seconds
    await asyncio.sleep(IDLE_SECONDS / 8)
    share = (connector.cpu_seconds - cpu) / (IDLE_SECONDS / 8)
    report.ratios |= {"line_memory": memory / bare, "idle_requests": rate / (LINES / KEEP_ALIVE_SECONDS)}
    report.figures |= {
        "line: KiB each": round(memory / 1024, 1),
        "bare login: KiB each": round(bare / 1024, 1),
        f"seconds until {LINES} telephones are switched on": round(opened, 1),
        f"{LINES} idle lines: requests a second to the PBX": round(rate, 1),
        f"{LINES} idle lines: share of one core": round(share, 3),
    }


async def _restart(
    report: Report, connector: ConnectorProcess, pbx: str, http: aiohttp.ClientSession
) -> None:
    """Log in all lines again, for instance after an update of the connector."""
    before, begun = await _count(http, pbx, "logins"), time.monotonic()
    await connector.kill()
    await connector.start()
    while await _count(http, pbx, "logins") < before + LINES:  # noqa: ASYNC110 - another process counts
        await asyncio.sleep(0.1)
    report.figures[f"seconds until {LINES} lines are back after a restart"] = round(
        time.monotonic() - begun, 1
    )


async def _dials(report: Report, hub: TinyHub, pbx: str, http: aiohttp.ClientSession) -> None:
    async def by_the_connector(user_id: int) -> None:
        await hub.call(PhoneMethod.DIAL, userId=user_id, callId=str(uuid.uuid4()), number="030 23125901")

    async def directly(user_id: int) -> None:
        login = str(1000 + user_id)
        query = {
            "de.vertico.starface.user": login,
            "de.vertico.starface.auth": uci_token(login, "password"),
        }
        params = ("00493023125901", "", str(uuid.uuid4()))
        body = xmlrpc.client.dumps(params, methodname="ucp.v30.requests.call.placeCallWithPhone")
        async with http.post(f"{pbx}/xml-rpc", params=query, data=body) as answer:
            xmlrpc.client.loads((await answer.read()).decode())

    took: dict[str, list[float]] = {"connector": [], "directly": []}
    for number in range(DIALS):
        user_id = 2 + EVENT_LINES + number
        await hub.line(user_id)  # as a page that is open
        for way, dial in (("directly", directly), ("connector", by_the_connector)):
            begun = time.perf_counter()
            await dial(user_id)
            took[way].append((time.perf_counter() - begun) * 1000)
    p50 = {way: statistics.median(found) for way, found in took.items()}
    report.figures["dial: p50 that the connector adds, ms"] = round(p50["connector"] - p50["directly"], 2)
    for way, found in took.items():
        report.figures[f"dial, {way}: p50, ms"] = round(p50[way], 2)
        report.figures[f"dial, {way}: p99, ms"] = round(_p99(found), 2)


async def _events(report: Report, hub: TinyHub, pbx: str, http: aiohttp.ClientSession) -> None:
    rung: dict[int, float] = {}
    """The time at which the PBX sent the event about a call of that user."""
    took: list[float] = []
    reading: set[asyncio.Task[None]] = set()

    async def read(user_id: int) -> None:
        at = rung.pop(user_id, None)
        await hub.line(user_id)
        if at is not None:
            took.append((time.monotonic() - at) * 1000)

    def record_change(user_ids: list[int]) -> None:
        for user_id in user_ids:
            task = asyncio.create_task(read(user_id))
            reading.add(task)
            task.add_done_callback(reading.discard)

    async def ring(user_id: int) -> None:
        rung[user_id] = time.monotonic()
        async with http.post(f"{pbx}/ring/{1000 + user_id}"):
            pass

    for user_id in range(2, 2 + EVENT_LINES):
        await hub.line(user_id)  # as a page that is open
    hub.when_changed = record_change
    users = itertools.cycle(range(2, 2 + EVENT_LINES))
    begun = time.monotonic()
    ringing = []
    for number in range(EVENTS_A_SECOND * EVENT_SECONDS):
        await asyncio.sleep(max(0.0, begun + number / EVENTS_A_SECOND - time.monotonic()))
        ringing.append(asyncio.create_task(ring(next(users))))
    await asyncio.gather(*ringing)
    await asyncio.sleep(1)
    hub.when_changed = lambda _user_ids: None
    await asyncio.gather(*reading)
    report.figures |= {
        "events that were read": len(took),
        "event to line: p50, ms": round(statistics.median(took), 1),
        "event to line: p99, ms": round(_p99(took), 1),
    }


async def _bare_memory() -> float:
    """Return the bytes per login of a program that only keeps them."""
    found = []
    async with _pbx() as port:
        for count in (1, LINES):
            async with started("bench.phone_bare", str(port), str(count)) as (process, line):
                assert json.loads(line)["open"] == count
                found.append(psutil.Process(process.pid).memory_info().rss)
    return (found[1] - found[0]) / LINES


@contextlib.asynccontextmanager
async def _pbx() -> AsyncIterator[int]:
    port = free_ports(1)
    async with started("bench.phone_pbx", str(port), str(LINES)) as (_, ready):
        assert ready.strip() == b"ready"
        yield port


async def _count(http: aiohttp.ClientSession, pbx: str, what: str) -> int:
    async with http.get(f"{pbx}/count") as answer:
        return int((await answer.json())[what])


def _p99(found: list[float]) -> float:
    return sorted(found)[int(len(found) * 0.99)]
