"""Serving: the sockets, the signals that end it, and a doorkeeper for connections on which nobody speaks."""

import asyncio
import signal
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

KEEP_ALIVE_SECONDS: Final = 75.0
"""Longer than the idle time of the usual ingress (60 s), so that it is the ingress that closes an idle connection."""
HEAD_SECONDS: Final = 6.0
"""A connection that has not brought one whole request head by then is cut."""
LOOK_SECONDS: Final = 1.0
BACKLOG: Final = 4096

SPOKEN: Final[web.AppKey[set[Any]]] = web.AppKey("spoken")
"""Connections that have brought a request: filled by the outermost middleware, emptied of those that are gone here."""


async def serve(app: web.Application, host: str, port: int, shutdown_seconds: float) -> None:
    """Until SIGINT or SIGTERM, then ends in order. Raises `OSError` when the port cannot be had."""
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=shutdown_seconds, keepalive_timeout=KEEP_ALIVE_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        doorkeeper = asyncio.create_task(_keep_door(runner, app[SPOKEN]))
        await stopped.wait()
        doorkeeper.cancel()
        with suppress(asyncio.CancelledError):
            await doorkeeper
    finally:
        await runner.cleanup()


async def _keep_door(runner: web.AppRunner, spoken: set[Any]) -> None:
    """Aiohttp knows no time for a request's head: thousands that dribble one in would hold their sockets for ever."""
    server = runner.server
    assert server is not None  # noqa: S101 - the runner is set up
    clock = asyncio.get_running_loop().time
    first_seen: dict[Any, float] = {}
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        spoken.intersection_update(server.connections)
        silent = [handler for handler in server.connections if handler not in spoken]
        now = clock()
        first_seen = {handler: first_seen.get(handler, now) for handler in silent}
        for handler, since in first_seen.items():
            if now - since >= HEAD_SECONDS:
                handler.force_close()
