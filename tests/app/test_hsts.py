"""`Strict-Transport-Security`: as wide as the host is the service's own, on every answer."""

import aiohttp
import pytest
from aiohttp import web

from app.entrance import headers_adder
from app.server import SOCKETS, Sockets
from tests.support.service_settings import make_settings
from tests.support.world import free_ports

YEAR = "max-age=31536000"
WIDE = f"{YEAR}; includeSubDomains"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://pbx-teams.example.com", WIDE),
        ("https://pbx-teams.example.com:8443", WIDE),
        ("https://pbx-teams.kindsky-1a2b.westeurope.azurecontainerapps.io", WIDE),
        ("https://example.com", YEAR),
        ("https://192.0.2.10", YEAR),
        ("https://[2001:db8::1]", YEAR),
        ("http://localhost:3978", YEAR),
    ],
)
def test_hosts_below_are_included_where_they_can_be_nobody_elses(url: str, expected: str) -> None:
    assert make_settings(url).hsts == expected


def test_the_operator_knows_better() -> None:
    assert make_settings("https://example.co.uk", hsts_subdomains=False).hsts == YEAR
    assert make_settings("https://example.com", hsts_subdomains=True).hsts == WIDE


async def test_nothing_that_a_handler_sets_narrows_it() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(headers={"Strict-Transport-Security": "max-age=0"})

    app = web.Application()
    app[SOCKETS] = Sockets(behind_proxy=True)
    app.router.add_get("/", handler)
    app.on_response_prepare.append(headers_adder(make_settings("https://pbx-teams.example.com").hsts))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with aiohttp.ClientSession() as http:
            for path, status in (("/", 200), ("/nowhere", 404)):
                async with http.get(f"http://127.0.0.1:{port}{path}") as answer:
                    assert answer.status == status
                    assert answer.headers["Strict-Transport-Security"] == WIDE
    finally:
        await runner.cleanup()
