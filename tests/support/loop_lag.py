"""Measures how long requests keep the service's event loop from its other work."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from tests.support.hostile import HOSTILE_PIECES
from tests.support.regular_expressions import EXPRESSIONS, list_pumps
from tests.support.world import World

MAX_DELAY_SECONDS: Final = 0.1
REPETITIONS: Final = 8
"""A delay that is absent in one of these repetitions was caused by the machine."""
PAUSE_SECONDS: Final = 0.002
MAX_HEADER: Final = 7_900
"""Characters of a header that the service accepts."""
Send = Callable[[], Awaitable[Any]]


def list_pieces() -> list[str]:
    """Return texts whose repetition is slow for some regular expression, or for normalising, cutting and comparing."""
    found = dict.fromkeys(HOSTILE_PIECES.values())
    for pattern, _ in EXPRESSIONS.values():
        found |= dict.fromkeys(pump for _, pump in list_pumps(pattern))
    return list(found)


PIECES: Final = list_pieces()


def make_text(piece: str, size: int) -> str:
    """Repeat the piece up to `size` bytes of JSON; the last character matches no expression."""
    return piece * max(1, size // (len(json.dumps(piece)) - 2)) + "\x01"


def spread(size: int, count: int) -> list[str]:
    """Return `count` texts of different pieces that have `size` bytes together as JSON."""
    return ["a" + make_text(PIECES[number % len(PIECES)], size // count - 9) for number in range(count)]


def seconds_queued(*tasks: str) -> float:
    """Return how many seconds these threads have waited for a processor; 0 if the system does not report it."""
    waited = 0
    for task in tasks:
        for file in Path("/proc").glob(f"{task}/schedstat"):
            with suppress(OSError):  # a thread that has ended meanwhile
                waited += int(file.read_text().split()[1])
    return waited / 1e9


class Neighbour:
    """Requests /healthz again and again, on one connection."""

    def __init__(self, port: int, tasks: str) -> None:
        self._tasks = tasks
        """The threads of the service, below /proc."""
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.settimeout(60)
        self._seen: list[tuple[float, float, float]] = []
        """For each request: its start, its end, and its duration without the time that the machine was busy."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(60)
        self._socket.close()

    def _ask(self) -> None:
        tasks = self._tasks, f"self/task/{threading.get_native_id()}"
        while not self._stopped.wait(PAUSE_SECONDS):
            before, begun = seconds_queued(*tasks), time.perf_counter()
            self._socket.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert self._socket.recv(4096).startswith(b"HTTP/1.1 200")
            ended = time.perf_counter()
            took = ended - begun
            self._seen.append(
                (begun, ended, took - seconds_queued(*tasks) + before if took > MAX_DELAY_SECONDS else took)
            )

    async def delay(self, send: Send) -> float:
        """Send a request, and return the longest time (seconds) that /healthz took meanwhile."""
        begun = time.perf_counter()
        await send()
        ended = time.perf_counter()
        while not self._seen or self._seen[-1][0] < ended:
            assert self._thread.is_alive()
            await asyncio.sleep(PAUSE_SECONDS)
        waits = [waited for _, last, waited in self._seen if last >= begun]
        del self._seen[:-1]
        return max(waits)

    async def delays(self, send: Send) -> float:
        """Repeat a request, and return the shortest of its delays: it delays others by this much every time."""
        best = float("inf")
        for _ in range(REPETITIONS):
            best = min(best, await self.delay(send))
            if best <= MAX_DELAY_SECONDS:
                break
        return best


async def assert_never_held(neighbour: Neighbour, requests: Iterator[tuple[str, Send]]) -> None:
    slow = {what: took async for what, took in _measured(neighbour, requests) if took > MAX_DELAY_SECONDS}
    assert not slow


async def _measured(
    neighbour: Neighbour, requests: Iterator[tuple[str, Send]]
) -> AsyncIterator[tuple[str, float]]:
    for what, send in requests:
        yield what, await neighbour.delays(send)


def post_request(
    world: World, method: str, path: str, token: str, body: Any, limit: int, status: int | None = None
) -> Send:
    """Return a function that sends this request. `body` is JSON, a function that returns it, or bytes."""

    async def send() -> None:
        made = body() if callable(body) else body
        data = made if isinstance(made, bytes) else json.dumps(made).encode()
        assert len(data) <= limit, len(data)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = f"{world.demo.service_url}{path}"
        async with world.http.request(method, url, data=data, headers=headers) as answer:
            await answer.read()
            assert answer.status < 500 and status in (None, answer.status), (path, await answer.text())

    return send
