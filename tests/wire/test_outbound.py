"""No program follows a redirect: what it carries stays where it was meant to go. Over servers that redirect for real."""

import ast
import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError
from botbuilder.schema import Activity

from app import key_vault
from app.graph import GraphCallRecords
from app.signing_key import NoSigningKeyError
from bot.channel import Channel, ChannelHosts, DeliveryError, DeliveryOutcome
from bot.credentials import ChannelToken, token_source
from bot.settings import BotAppType, BotSettings
from core.advisor.records import RecordsUnavailableError
from core.identity.signing_keys import KeysUnavailableError, SigningKeys
from probe.errors import ProbeError
from probe.link import pair
from simulator import tls
from simulator.entra import SigningKey
from tests.support.world import free_ports
from wire import outbound
from wire.probe import PairParams

ROOT = Path(__file__).parents[2]
STATUSES = sorted(outbound.REDIRECTS)
PERSON = "11111111-1111-4111-8111-111111111111"


class Redirector:
    """Two servers: the first redirects every request to the second, which records it."""

    def __init__(self) -> None:
        self.status = 302
        self.led: list[str] = []
        self.caught: list[str] = []
        self.answer: Any = {}
        self.here: dict[str, Any] = {}
        """Paths that are answered and not redirected."""
        self._runners: list[web.AppRunner] = []

    async def start(self, context: ssl.SSLContext | None = None) -> "Redirector":
        self.url = await self._serve(self._redirect, context)
        self.elsewhere = await self._serve(self._catch, context)
        return self

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def _serve(self, handler: Any, context: ssl.SSLContext | None) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        port = free_ports(1)
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        self._runners.append(runner)
        return f"{'https' if context else 'http'}://127.0.0.1:{port}"

    async def _redirect(self, request: web.Request) -> web.Response:
        if request.path in self.here:
            return web.json_response(self.here[request.path])
        self.led.append(request.path)
        return web.Response(status=self.status, headers={"Location": f"{self.elsewhere}{request.path_qs}"})

    async def _catch(self, request: web.Request) -> web.Response:
        self.caught.append(f"{request.method} {request.path_qs} {dict(request.headers)}")
        return web.json_response(self.answer)


@pytest.fixture
async def redirector() -> AsyncIterator[Redirector]:
    redirector = await Redirector().start()
    yield redirector
    await redirector.stop()


class _Source:
    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("the-token", 4_000_000_000)

    def close(self) -> None:
        pass


def keys() -> dict[str, Any]:
    return {"keys": [SigningKey().jwk()]}


async def keys_at_an_address(redirector: Redirector) -> None:
    redirector.answer = keys()
    with pytest.raises(KeysUnavailableError):
        await SigningKeys(jwks_url=f"{redirector.url}/keys").get("any")


async def keys_by_metadata(redirector: Redirector) -> None:
    redirector.answer = {"jwks_uri": f"{redirector.elsewhere}/keys", **keys()}
    with pytest.raises(KeysUnavailableError):
        await SigningKeys(metadata_url=f"{redirector.url}/metadata").get("any")


async def keys_that_metadata_names(redirector: Redirector) -> None:
    redirector.here = {"/metadata": {"jwks_uri": f"{redirector.url}/keys"}}
    redirector.answer = keys()
    with pytest.raises(KeysUnavailableError):
        await SigningKeys(metadata_url=f"{redirector.url}/metadata").get("any")


async def call_records(redirector: Redirector) -> None:
    records = GraphCallRecords(redirector.url, lambda _tenant: _Source())
    with pytest.raises(RecordsUnavailableError):
        await records.recent("tenant", PERSON, datetime(2026, 1, 1, tzinfo=UTC))


async def a_message_of_the_bot(redirector: Redirector) -> None:
    channel = Channel(ChannelHosts(frozenset({"127.0.0.1"})), ChannelToken(_Source(), "scope"))
    reference = {"serviceUrl": redirector.url, "conversation": {"id": "a"}}
    try:
        with pytest.raises(DeliveryError) as refused:
            await channel.send(reference, Activity(type="message", text="hello"))
    finally:
        await channel.close()
    assert refused.value.outcome is DeliveryOutcome.REFUSED


async def a_probe_that_pairs(redirector: Redirector) -> None:
    with pytest.raises(ProbeError, match="redirected"):
        await pair(redirector.url, PairParams(code="ABCD-EFGH", machine="m", platform="linux", version="1"))


async def a_websocket(redirector: Redirector) -> None:
    async with outbound.client() as http:
        with pytest.raises(outbound.RedirectedError, match="redirected to http://127"):
            await http.ws_connect(f"{redirector.url}/connector/link?token=secret")


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    "ask",
    [
        *(keys_at_an_address, keys_by_metadata, keys_that_metadata_names),
        *(call_records, a_message_of_the_bot, a_probe_that_pairs, a_websocket),
    ],
)
async def test_nobody_is_led_elsewhere(
    redirector: Redirector, ask: Callable[[Redirector], Awaitable[None]], status: int
) -> None:
    redirector.status = status
    await ask(redirector)
    assert redirector.led, "it asked"
    assert redirector.caught == []


@pytest.fixture
async def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redirector]:
    """One behind TLS that Microsoft's libraries trust."""
    tls.make_certificates(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    redirector = await Redirector().start(tls.server_context(tmp_path))
    yield redirector
    await redirector.stop()


@pytest.mark.parametrize("status", STATUSES)
async def test_the_bots_secret_is_not_led_elsewhere(status: int, azure: Redirector) -> None:
    """azure-identity sends it by a client of its own."""
    azure.status = status
    tenant = "22222222-2222-4222-8222-222222222222"
    azure.here = {
        f"/{tenant}/v2.0/.well-known/openid-configuration": {
            "token_endpoint": f"{azure.url}/token",
            "authorization_endpoint": f"{azure.url}/authorize",
            "issuer": f"{azure.url}/{tenant}/v2.0",
        }
    }
    settings = BotSettings(
        app_id=PERSON,
        app_type=BotAppType.SINGLE_TENANT,
        tenant_id=tenant,
        app_password="the-secret",
        authority=azure.url,
        oauth_scope="scope",
        tab_url="",
        teams_app_id=PERSON,
    )
    with pytest.raises(AzureError):
        await asyncio.to_thread(token_source(settings).get_token, "scope/.default")
    assert azure.led == ["/token"]
    assert azure.caught == []


@pytest.mark.parametrize("status", STATUSES)
async def test_a_vault_leads_nobody_elsewhere(status: int, azure: Redirector) -> None:
    azure.status = status
    options = {"credential": _Source(), "verify_challenge_resource": False, "retry_total": 0}
    with pytest.raises(NoSigningKeyError):
        await asyncio.to_thread(key_vault.read, azure.url, "vendor", **options)
    assert azure.led
    assert azure.caught == []


async def test_what_is_shown_of_a_redirect_holds_no_secret(redirector: Redirector) -> None:
    async with outbound.client() as http:
        with pytest.raises(outbound.RedirectedError) as redirected:
            await http.get(f"{redirector.url}/path?token=secret")
    assert redirected.value.location == f"{redirector.elsewhere}/path"
    assert "secret" not in str(redirected.value)


async def test_what_is_no_redirect_comes_as_it_is(redirector: Redirector) -> None:
    redirector.here = {"/here": {"a": 1}}
    async with outbound.client() as http, http.get(f"{redirector.url}/here") as answer:
        assert await answer.json() == {"a": 1}


def makes_a_client(node: ast.AST) -> bool:
    """A client of aiohttp, requests, urllib3, http.client or urllib."""
    if isinstance(node, ast.Import):
        return any(name.name in ("requests", "httpx", "urllib3", "http.client") for name in node.names)
    if isinstance(node, ast.ImportFrom):
        named = {name.name for name in node.names}
        return node.module in ("requests", "httpx", "urllib3") or bool(
            named & {"ClientSession", "request", "urlopen", "HTTPConnection", "HTTPSConnection"}
        )
    if isinstance(node, ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        return (owner, node.attr) == ("aiohttp", "request") or node.attr == "urlopen"
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "ClientSession"
    )


@pytest.mark.parametrize("package", ["app", "bot", "core", "connector", "probe", "tab", "manifest", "wire"])
def test_no_file_makes_a_client_of_its_own(package: str) -> None:
    own = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in sorted((ROOT / package).rglob("*.py"))
        if file != ROOT / "wire" / "outbound.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if makes_a_client(node)
    ]
    assert own == []


def test_the_rule_finds_a_client() -> None:
    for text in (
        "import aiohttp\naiohttp.ClientSession()",
        "from aiohttp import ClientSession",
        "import requests",
        "import urllib.request\nurllib.request.urlopen('')",
    ):
        assert any(makes_a_client(node) for node in ast.walk(ast.parse(text))), text
    assert aiohttp.ClientSession is not None


@pytest.mark.parametrize(("exempt", "seen"), [("", 1), ("127.0.0.1", 0)])
async def test_the_bot_goes_through_the_proxy_of_the_environment(
    redirector: Redirector, monkeypatch: pytest.MonkeyPatch, exempt: str, seen: int
) -> None:
    monkeypatch.setenv("http_proxy", redirector.elsewhere)
    monkeypatch.setenv("no_proxy", exempt)
    redirector.here = {"/v3/conversations/a/activities": {"id": "1"}}
    channel = Channel(ChannelHosts(frozenset({"127.0.0.1"})), ChannelToken(_Source(), "scope"))
    reference = {"serviceUrl": redirector.url, "conversation": {"id": "a"}}
    try:
        for _ in range(2):
            await channel.send(reference, Activity(type="message", text="hello"))
    finally:
        await channel.close()
    assert len(redirector.caught) == 2 * seen
