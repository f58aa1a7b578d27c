"""Measures the cost of a call to a PBX relative to the most minimal program with the same hop, and the memory of
ten thousand links.

    one_replica   requests a second from HTTP through hub and connector and back, over a bare aiohttp program with
                  WebSockets that does the same hop
    two_replicas  the same, where the request arrives at one replica and the link sits on another (through NATS), over
                  the same bare program
    added_p50_ms  what the second replica adds to the median, for one client alone (the whole of it, not the share)
    idle_memory   memory of a server with 10,000 idle links, for each link, over bare aiohttp WebSockets
    reconnect     time until 10,000 connectors are back after a restart, over 10,000 bare handshakes: the same messages and
                  the same signature, and nothing that is kept

Servers, connectors and callers are separate processes. Rounds of baseline and measurement alternate, so that slow
moments of the machine affect both.
"""

import contextlib
import json
import statistics
import tempfile
from collections.abc import AsyncIterator
from typing import Any, Final

import psutil

from bench.process import started
from bench.report import Bar, Report
from core.store.database import upgrade_async
from tests.support.nats import Nats
from tests.support.postgres import Postgres
from tests.support.world import free_ports

CLIENTS: Final = 128
"""Spread over four PBXs, because a link carries 64 calls at a time."""
ROUNDS: Final = 5
ROUND_SECONDS: Final = 2
LINKS: Final = 10_000
RECONNECTS: Final = 3
BARS: Final = {
    "one_replica": Bar(0.8),
    "two_replicas": Bar(0.6),
    "added_p50_ms": Bar(1.0, at_most=True),
    "idle_memory": Bar(1.5, at_most=True),
    "reconnect": Bar(2.0, at_most=True),
}


async def run() -> Report:
    report = Report("links", BARS)
    with tempfile.TemporaryDirectory() as directory:
        await _hops(report)
        await _many(report, directory)
    return report


async def _hops(report: Report) -> None:
    postgres, nats = Postgres(), Nats()
    postgres.start()
    nats.start()
    try:
        url = postgres.new_database("links")
        await upgrade_async(url)
        async with (
            _server("bare") as bare,
            _server("hub", url, nats.url) as here,
            _server("hub", url, nats.url) as there,
            _client("answer", "bare", bare),
            _client("answer", "hub", there),
        ):
            ports = {"bare": bare, "one": there, "two": here}
            rates: dict[str, list[dict[str, float]]] = {name: [] for name in ports}
            alone: dict[str, list[float]] = {name: [] for name in ports}
            for _round in range(ROUNDS):
                for name, port in ports.items():
                    before = _cpu_seconds(here, there, bare)
                    rates[name].append(await _calls(port, CLIENTS, ROUND_SECONDS))
                    spent = _cpu_seconds(here, there, bare) - before
                    rates[name][-1]["cpu"] = spent / ROUND_SECONDS / rates[name][-1]["rate"] * 1e6
                    alone[name].append((await _calls(port, 1, ROUND_SECONDS / 2))["p50"])
    finally:
        nats.kill()
        postgres.stop()
    rate = {name: statistics.median(one["rate"] for one in found) for name, found in rates.items()}
    report.ratios["one_replica"] = rate["one"] / rate["bare"]
    report.ratios["two_replicas"] = rate["two"] / rate["bare"]
    p50 = {name: statistics.median(found) for name, found in alone.items()}
    report.ratios["added_p50_ms"] = p50["two"] - p50["one"]
    words = {"bare": "bare", "one": "one replica", "two": "two replicas"}
    for name, found in rates.items():
        p99 = statistics.median(one["p99"] for one in found)
        report.figures |= {
            f"{words[name]}: requests per second, {CLIENTS} clients": round(rate[name]),
            f"{words[name]}: p99 of {CLIENTS} clients, ms": round(p99, 1),
            f"{words[name]}: p50 of one client, ms": round(p50[name], 2),
            f"{words[name]}: CPU of the serving processes, microseconds a request": round(
                statistics.median(one["cpu"] for one in found)
            ),
        }


async def _many(report: Report, directory: str) -> None:
    memory: dict[str, float] = {}
    url = f"sqlite:///{directory}/links.db"
    await upgrade_async(url)
    ways = {
        "bare WebSocket": (("bare",), "socket"),
        "bare handshake": (("bare",), "link"),
        "link": (("hub", url), "link"),
    }
    took: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(RECONNECTS):
        for way, (server, kind) in ways.items():
            async with _server(*server) as port:
                before = _resident(port)
                async with _client("hold", kind, port, LINKS) as held:
                    assert held["open"] == LINKS
                    # The first round creates the names; only the later rounds correspond to a restart.
                    if turn:
                        took[way].append(held["seconds"])
                    memory[way] = (_resident(port) - before) / LINKS
    seconds = {way: statistics.median(found) for way, found in took.items()}
    report.ratios["idle_memory"] = memory["link"] / memory["bare WebSocket"]
    report.ratios["reconnect"] = seconds["link"] / seconds["bare handshake"]
    for way in ways:
        report.figures |= {
            f"{way}: KiB each": round(memory[way] / 1024, 1),
            f"{way}: seconds until {LINKS} are back": round(seconds[way], 2),
        }


_PIDS: Final[dict[int, int]] = {}


@contextlib.asynccontextmanager
async def _server(kind: str, *arguments: str) -> AsyncIterator[int]:
    port = free_ports(1)
    async with started("bench.links_server", kind, str(port), *arguments) as (process, ready):
        assert ready.strip() == b"ready"
        _PIDS[port] = process.pid
        yield port


@contextlib.asynccontextmanager
async def _client(command: str, *arguments: object) -> AsyncIterator[Any]:
    async with started("bench.links_client", command, *map(str, arguments)) as (_, line):
        yield json.loads(line)


async def _calls(port: int, clients: int, seconds: float) -> dict[str, float]:
    async with _client("call", port, clients, seconds) as found:
        called: dict[str, float] = found
        return called


def _resident(port: int) -> int:
    """Return the resident memory in bytes of the server on that port."""
    return psutil.Process(_PIDS[port]).memory_info().rss


def _cpu_seconds(*ports: int) -> float:
    times = [psutil.Process(_PIDS[port]).cpu_times() for port in ports]
    return sum(one.user + one.system for one in times)
