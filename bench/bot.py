"""Measures the cost of a turn of the bot relative to the SDK's own echo bot, and how quickly a thousand users are
notified.

    bot_turn       turns a second of the service over those of the stock SDK's echo bot. A turn is a message of a
                   signed-in user, with the channel's token, answered by one card with their state; a simulated channel
                   accepts every answer. The echo bot answers with one sentence
                   They have been seen a moment ago; what a turn costs the service when they were not is a figure
    bot_turn_bare  the same over a bare aiohttp handler that checks the token and posts a card
    proactive      notices a second to 1,000 people, over a bare program that posts as many cards

Service, echo bot, bare program, channel and clients are separate processes that share the machine. Rounds
alternate. The service runs as `pbx-teams serve`, on SQLite.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil
from sqlalchemy import insert

from bench.bot_client import activity, object_id
from bench.process import started
from bench.report import Bar, Report
from bot.activity import parse
from bot.conversation import reference_of
from core.identity.teams_user import TeamsUser
from core.store import tables
from core.store.database import Database
from core.store.timestamps import new_id, now, to_ms
from simulator.demo import Demo
from simulator.people import TENANT_ID
from tests.support.book import Book, person
from tests.support.world import free_ports

BARS: Final = {"bot_turn": Bar(6.0), "proactive": Bar(0.5)}
PEOPLE: Final = 200
"""Signed-in users who write to the bot repeatedly."""
RETURNING: Final = 1000
"""Signed-in users who write one message after a night."""
CLIENTS: Final = 16
ROUNDS: Final = 5
ROUND_SECONDS: Final = 2.0
NOTIFIED: Final = 1000
NOTICE_ROUNDS: Final = 3
AT_ONCE: Final = 64
"""Messages that the bare program sends at the same time."""


async def run() -> Report:
    report = Report("bot", BARS)
    with tempfile.TemporaryDirectory() as directory:
        first_port = free_ports(8)
        demo = Demo(argparse.Namespace(**_options(Path(directory), first_port)))
        demo.state.mkdir(parents=True, exist_ok=True)
        await _sign_in(demo.database_address)
        try:
            await demo.start_entra()
            demo.write_settings()
            await demo.start_service()
            await _measure(report, demo, first_port + 5)
        finally:
            await demo.stop()
    return report


def _options(state: Path, first_port: int) -> dict[str, Any]:
    options = {"pbx_version": "6.7.3.20", "login_type": "Internal", "seats": 2, "two_pbxs": False}
    return {"state": state, "first_port": first_port, "database_url": None, "nats_url": None, **options}


async def _sign_in(database_url: str) -> None:
    book = await Book(database_url).open()
    await book.put(PEOPLE + RETURNING)
    template = await book.request(1)
    yesterday = now() - timedelta(hours=12)
    await asyncio.gather(
        *(
            book.ledger.open_session(
                replace(
                    template,
                    teams_user=TeamsUser(TENANT_ID, object_id(number), f"Person {number}"),
                    person=person(number + 1),
                    now=yesterday,
                )
            )
            for number in range(PEOPLE + RETURNING)
        )
    )
    assert (await book.used())[0] == PEOPLE + RETURNING
    zone = {"time_zone": "Europe/Berlin"}
    rows = [{"tenant_id": TENANT_ID, "object_id": object_id(n), **zone} for n in range(PEOPLE + RETURNING)]
    async with book.database.writing() as connection:
        await connection.execute(insert(tables.preference), rows)
    await book.close()


async def _measure(report: Report, demo: Demo, first_port: int) -> None:
    metadata = f"https://127.0.0.1:{demo.entra_port}/botframework/.well-known/openidconfiguration"
    environment = demo.service_environment()
    async with (
        _server("channel", first_port, environment=environment),
        _server("echo", first_port + 1, metadata, environment=environment) as echo,
        _server("bare", first_port + 2, metadata, environment=environment) as bare,
        aiohttp.ClientSession() as http,
    ):
        service_url = f"http://127.0.0.1:{first_port}"
        async with http.post(
            f"http://127.0.0.1:{demo.entra_port}/control/channel-token", json={"serviceUrl": service_url}
        ) as answer:
            token = (await answer.json())["token"]
        service = next(process for name, process in demo.processes if name == "service")
        bots = {
            "service": (demo.service_url, service.pid),
            "stock echo": (f"http://127.0.0.1:{first_port + 1}", echo),
            "bare": (f"http://127.0.0.1:{first_port + 2}", bare),
        }
        await _know_people(demo.database_address, service_url, range(PEOPLE + RETURNING + NOTIFIED))

        async def talk(name: str, **options: Any) -> dict[str, float]:
            url, pid = bots[name]
            spent = _cpu_seconds(pid)
            options = {"clients": CLIENTS, "people": PEOPLE, "first": 0, **options}
            said = await _talk(
                {"url": f"{url}/api/messages", "serviceUrl": service_url, "token": token, **options}
            )
            said["cpu"] = (_cpu_seconds(pid) - spent) / said["turns"] * 1e6
            counted = await _count(http, service_url, forget=True)
            assert counted["count"] == said["turns"], "one answer to each turn"
            return said

        for name in bots:  # warms everything up
            await talk(name, turns=PEOPLE)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in bots}
        for _ in range(ROUNDS):
            for name in bots:
                found[name].append(await talk(name, seconds=ROUND_SECONDS))
        returning = await talk("service", first=PEOPLE, people=RETURNING, turns=RETURNING)
        report.figures |= {
            "service: turns a second of people who return after a night": round(returning["rate"]),
            "service: CPU of their turn, microseconds": round(returning["cpu"]),
        }
        rate = {name: statistics.median(one["rate"] for one in rounds) for name, rounds in found.items()}
        report.ratios["bot_turn"] = rate["service"] / rate["stock echo"]
        report.ratios["bot_turn_bare"] = rate["service"] / rate["bare"]
        for name, rounds in found.items():
            report.figures |= {
                f"{name}: turns a second, {CLIENTS} at once": round(rate[name]),
                f"{name}: p50, milliseconds": round(statistics.median(one["p50"] for one in rounds), 1),
                f"{name}: p99, milliseconds": round(statistics.median(one["p99"] for one in rounds), 1),
                f"{name}: CPU of a turn, microseconds": round(
                    statistics.median(one["cpu"] for one in rounds)
                ),
            }
        await _proactive(
            report=report, demo=demo, http=http, service_url=service_url, bare_url=bots["bare"][0]
        )


async def _proactive(
    report: Report, demo: Demo, http: aiohttp.ClientSession, service_url: str, bare_url: str
) -> None:
    """Measure from the first message to the last, by the channel's clock."""
    rates: dict[str, list[float]] = {"service": [], "bare": []}
    database = Database(demo.database_address)
    for _ in range(NOTICE_ROUNDS):
        await _count(http, service_url, forget=True)
        async with http.get(f"{bare_url}/send?to={service_url}&count={NOTIFIED}&at_once={AT_ONCE}") as answer:
            assert answer.status == 200
        rates["bare"].append(NOTIFIED / (await _count(http, service_url, forget=True))["seconds"])
        await _write_notices(database)
        async with asyncio.timeout(120):
            while (seen := await _count(http, service_url))["count"] < NOTIFIED:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        assert seen["count"] == NOTIFIED
        rates["service"].append(NOTIFIED / seen["seconds"])
    await database.close()
    rate = {name: statistics.median(found) for name, found in rates.items()}
    report.ratios["proactive"] = rate["service"] / rate["bare"]
    report.figures |= {f"{name}: messages a second to {NOTIFIED} people": round(rate[name]) for name in rates}


async def _know_people(database_url: str, service_url: str, numbers: range) -> None:
    """Prepare the database as if each user had written to the bot before."""
    database = Database(database_url)
    rows = [
        {
            "tenant_id": TENANT_ID,
            "object_id": object_id(number),
            "reference": reference_of(parse(json.dumps(activity(service_url, number, "1")).encode())),
            "locale": "de-DE",
            "updated_at": to_ms(now()),
        }
        for number in numbers
    ]
    async with database.writing() as connection:
        await connection.execute(insert(tables.conversation), rows)
    await database.close()


async def _write_notices(database: Database) -> None:
    at = to_ms(now())
    detail = {"pbx_name": "pbx.example.com", "pbx_user": "User", "actor": "Clara Vogt", "reason": "Umzug"}
    rows = [
        {
            "id": new_id(),
            "tenant_id": TENANT_ID,
            "object_id": object_id(number),
            "kind": "revoked",
            "detail": json.dumps(detail),
            "created_at": at,
            "attempts": 0,
            "next_attempt_at": at,
            "given_up": False,
        }
        for number in range(PEOPLE + RETURNING, PEOPLE + RETURNING + NOTIFIED)
    ]
    async with database.writing() as connection:
        await connection.execute(insert(tables.notice), rows)


async def _count(http: aiohttp.ClientSession, channel: str, *, forget: bool = False) -> dict[str, float]:
    async with http.get(f"{channel}/count{'?forget' if forget else ''}") as answer:
        counted: dict[str, float] = await answer.json()
        return counted


async def _talk(options: dict[str, Any]) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.bot_client", json.dumps(options)), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    said: dict[str, float] = json.loads(out)
    return said


@contextlib.asynccontextmanager
async def _server(kind: str, port: int, *arguments: str, environment: dict[str, str]) -> AsyncIterator[int]:
    """Run a server and yield its process id."""
    server = started("bench.bot_servers", kind, str(port), *arguments, environment=environment)
    async with server as (process, line):
        assert line.strip() == b"ready", kind
        yield process.pid


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its children."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)
