"""A simulated STARFACE in the test's own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from simulator.starface.model import Settings
from simulator.starface.server import create
from tests.support.world import free_ports


@asynccontextmanager
async def running_starface(settings: Settings | None = None) -> AsyncIterator[int]:
    """Run it, and yield its port on 127.0.0.1."""
    async with serving(create(settings or Settings())) as port:
        yield port


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[int]:
    """Serve an application, and yield its port on 127.0.0.1. At the end, pending requests are cut off."""
    port = free_ports(1)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()
