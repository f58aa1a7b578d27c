"""A simulated STARFACE in the test's own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from simulator import tls
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


@asynccontextmanager
async def running_starface_with_tls(directory: Path) -> AsyncIterator[tuple[str, str]]:
    """Run a STARFACE with a certificate of its own for another name; yield its address and the fingerprint."""
    tls.make_certificates(directory, name="starface.local")
    port = free_ports(1)
    runner = web.AppRunner(create(Settings()), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls.server_context(directory)).start()
    certificate = x509.load_pem_x509_certificate((directory / "server.pem").read_bytes())
    try:
        yield f"https://127.0.0.1:{port}", certificate.fingerprint(SHA256()).hex(":").upper()
    finally:
        await runner.cleanup()
