"""The part of `bench.phone` that goes the whole way: HTTP, the service, the hub, the connector and the simulated PBX.

Everybody has a telephone that is switched on; the PBX, the connector and the service are processes of their own.
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
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import aiohttp.web

from bench.report import Report
from bench.strangers import token_claims
from connector.login import uci_token
from simulator.people import TENANT_ID, Person
from tests.support.tab_client import TabClient
from tests.support.world import World, eventually

LINES: Final = 500
EVENTS_A_SECOND: Final = 50
EVENT_SECONDS: Final = 10
SWITCHED_ON_AT_ONCE: Final = 8
DIALS: Final = 100
PAGES: Final = 100
LONG, SHORT = 50_000, 50
"""Calls in a call list."""
LEAST_WAIT_SECONDS: Final = 5.0


class Caller(TabClient):
    """A person with a telephone, whose token was signed once."""

    def __init__(self, world: World, http: aiohttp.ClientSession, number: int) -> None:
        login = str(5000 + number)
        object_id = str(uuid.uuid5(uuid.NAMESPACE_URL, login))
        person = Person(f"User {login}", object_id, f"{login}@example.com", login, f"word-{login}", "user")
        super().__init__(http, world.demo.service_url, world.entra_url, person)
        self._world = world
        self._token = ""

    async def token(self, seconds: int = 3600) -> str:  # noqa: ARG002 - signed once
        if not self._token:
            claims = token_claims(self._world.demo.entra_port, TENANT_ID, self.person)
            self._token = await self._world.sign(claims | {"wids": []})
        return self._token

    async def switch_on(self) -> None:
        person = self.person
        await self._world.pbx("POST", "users", {"login": person.login, "password": person.password})
        answer = await self.sign_in(self._world.pbx_name, self._world.key)
        assert answer.status == 200, answer.body
        answer = await self.switch_phone_on(self._world.pbx_name, self._world.key)
        assert answer.status == 200, answer.body

        async def is_up() -> bool:
            line = (await self.call("GET", "phone")).body["line"]
            return line is not None and bool(line["phones"])

        await eventually(is_up, f"the line of {person.login} is up", 60)


async def measure(report: Report) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory), seats=LINES + 2)
        await world.start()
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
                await world.connected()
                people = [Caller(world, http, number) for number in range(LINES)]
                slots = asyncio.Semaphore(SWITCHED_ON_AT_ONCE)

                async def switch_on(one: Caller) -> None:
                    async with slots:
                        await one.switch_on()

                begun = time.monotonic()
                await asyncio.gather(*(switch_on(one) for one in people))
                report.figures[f"service: seconds until {LINES} people are signed in with a telephone"] = (
                    round(time.monotonic() - begun, 1)
                )
                await _dials(report, world, http, people[0])
                await _lists(report, world, people[1], people[2])
                await _events(report, world, people)
        finally:
            await world.stop()


async def _dials(report: Report, world: World, http: aiohttp.ClientSession, person: Caller) -> None:
    """Both ways until the PBX has answered, so that the way back is in it as well."""

    async def by_the_service() -> Callable[[], Awaitable[object]]:
        call_id = str(uuid.uuid4())
        body = {"number": "0721 151042", "callId": call_id}
        answer = await person.call("POST", "phone/calls", body)
        assert answer.status == 200, answer.body
        return lambda: person.call("DELETE", f"phone/calls/{call_id}")

    # Somebody else, because a second login would end the one that the connector has.
    direct = "5999"
    await world.pbx("POST", "users", {"login": direct, "password": "word"})
    query = {"de.vertico.starface.user": direct, "de.vertico.starface.auth": uci_token(direct, "word")}

    async def ask(method: str, *params: Any) -> Any:
        text = xmlrpc.client.dumps(params, methodname=method)
        async with http.post(f"{world.starface_url}/xml-rpc", params=query, data=text) as answer:
            (value,), _ = xmlrpc.client.loads((await answer.read()).decode())
            return value

    async def directly() -> Callable[[], Awaitable[object]]:
        call_id = str(uuid.uuid4())
        await ask("ucp.v30.requests.call.placeCallWithPhone", "00497211510420", "", call_id)
        return lambda: ask("ucp.v30.requests.call.hangupCall", call_id)

    async with _callbacks() as port:
        where = {"host": "127.0.0.1", "port": str(port), "path": "/"}
        query |= {f"de.vertico.starface.callback.{name}": value for name, value in where.items()}
        assert await ask("ucp.v22.requests.connection.login") is True
        took: dict[str, list[float]] = {"service": [], "directly": []}
        for number in range(DIALS + 5):
            for way, dial in (("directly", directly), ("service", by_the_service)):
                begun = time.perf_counter()
                hang_up = await dial()
                if number >= 5:  # the first warm up
                    took[way].append((time.perf_counter() - begun) * 1000)
                await hang_up()
    p50 = {way: statistics.median(found) for way, found in took.items()}
    report.ratios["dial_added_p50_ms"] = p50["service"] - p50["directly"]
    for way, found in took.items():
        report.figures[f"dial by HTTP, {way}: p50, ms"] = round(p50[way], 2)
        report.figures[f"dial by HTTP, {way}: p99, ms"] = round(_p99(found), 2)


async def _lists(report: Report, world: World, short: Caller, long: Caller) -> None:
    for person, count in ((short, SHORT), (long, LONG)):
        body = {"login": person.person.login, "count": count}
        await world.pbx("POST", "call-lists", body)
    took: dict[int, list[float]] = {SHORT: [], LONG: []}
    for number in range(PAGES + 5):
        for person, count in ((short, SHORT), (long, LONG)):
            begun = time.perf_counter()
            answer = await person.call("GET", "phone/history")
            if number >= 5:
                took[count].append((time.perf_counter() - begun) * 1000)
            assert answer.status == 200, answer.body
            assert len(answer.body["entries"]) == min(count, 50), len(answer.body["entries"])
    p50 = {count: statistics.median(found) for count, found in took.items()}
    report.ratios["list_growth"] = p50[LONG] / p50[SHORT]
    for count in took:
        report.figures[f"first page of a call list of {count}: p50, ms"] = round(p50[count], 2)


async def _events(report: Report, world: World, people: list[Caller]) -> None:
    """From the request by which somebody outside calls until that person's open page is told of a ringing call."""
    rung: dict[int, float] = {}
    took: list[float] = []
    opened = asyncio.Semaphore(0)

    async def watch(number: int) -> None:
        async with people[number].get("events?changes=true&phone=true") as response:
            is_open = False
            async for name, content in _events_of(response.content):
                if not is_open:
                    is_open = True
                    opened.release()
                calls = (content.get("line") or {}).get("calls", ()) if name == "phone" else ()
                if calls and number in rung:
                    took.append((time.monotonic() - rung.pop(number)) * 1000)

    watching = [asyncio.create_task(watch(number)) for number in range(LINES)]
    try:
        for _ in watching:
            await opened.acquire()

        async def ring(number: int) -> None:
            rung[number] = time.monotonic()
            body = {"called": people[number].person.login, "callerNumber": "00493023125901", "callerName": ""}
            await world.pbx("POST", "incoming", body)

        begun, ringing = time.monotonic(), []
        for count, number in zip(
            range(EVENTS_A_SECOND * EVENT_SECONDS), itertools.cycle(range(LINES)), strict=False
        ):
            await asyncio.sleep(max(0.0, begun + count / EVENTS_A_SECOND - time.monotonic()))
            ringing.append(asyncio.create_task(ring(number)))
        await asyncio.gather(*ringing)
        until = time.monotonic() + LEAST_WAIT_SECONDS
        while rung and time.monotonic() < until:  # noqa: ASYNC110 - a benchmark's own clock
            await asyncio.sleep(0.05)
        assert not rung, f"{len(rung)} pages were not told"
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    report.ratios["event_p99_ms"] = _p99(took)
    report.figures |= {
        "events that pages were told": len(took),
        "event to page: p50, ms": round(statistics.median(took), 1),
        "event to page: longest, ms": round(max(took), 1),
    }


async def _events_of(stream: aiohttp.StreamReader) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    with contextlib.suppress(asyncio.IncompleteReadError):
        while block := await stream.readuntil(b"\n\n"):
            lines = block.decode().strip().splitlines()
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if fields:
                yield fields["event"], json.loads(fields["data"])


@contextlib.asynccontextmanager
async def _callbacks() -> AsyncIterator[int]:
    """Takes the PBX's events of the direct login, and forgets them."""

    async def forget(_request: aiohttp.web.BaseRequest) -> aiohttp.web.Response:
        text = xmlrpc.client.dumps((True,), methodresponse=True)
        return aiohttp.web.Response(text=text, content_type="text/xml")

    runner = aiohttp.web.ServerRunner(aiohttp.web.Server(forget))
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _p99(found: list[float]) -> float:
    return sorted(found)[int(len(found) * 0.99)]
