"""The link, REST, UCI and the doctor go one way: whatever lies on it, all of them say the same of it."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from connector.calls import Calls
from connector.config import Config, PbxSection, ServiceSection, UciSection
from connector.directory import Directory
from connector.doctor.doctor import examine_ways
from connector.errors import ConnectorError, PbxUnreachableError
from connector.line.lines import Lines
from connector.link import LinkClient, LinkParts
from connector.logins import Logins
from connector.monitor import Monitor
from connector.network.client import HttpClient
from connector.network.faults import UnreachedError, words_of
from connector.network.limits import Limits
from connector.network.target import Target
from connector.readings import Readings
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from connector.uci import Callbacks, UciClient, UciSession
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, explain
from core.language import Language
from simulator import tls
from tests.support.proxy import Proxy
from tests.support.relay import Fault, Relay
from tests.support.world import free_ports
from wire.doctor import DoctorStep, StepOutcome

PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
SECRETS = ("geheim", "p@ss", "foobar", "secret-token")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXY_VARIABLES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


class Site:
    """What stands on the way in one case, and what the configuration says."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, stack: AsyncExitStack) -> None:
        self.directory = directory
        self.patch = monkeypatch
        self._stack = stack
        self.url = ""
        self.settings: dict[str, Any] = {}

    async def serves(
        self,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        context: ssl.SSLContext | None = None,
    ) -> int:
        """A web server; gives its port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        return int(runner.addresses[0][1])

    async def answers(
        self, status: int = 200, headers: dict[str, str] | None = None, **tls_options: Any
    ) -> int:
        """A web server with one answer for everything; `tls_options`: with this certificate."""

        async def answer(_request: web.Request) -> web.Response:
            return web.Response(
                status=status, headers=headers, text="<html>hello</html>", content_type="text/html"
            )

        return await self.serves(answer, self.certificate(**tls_options) if tls_options else None)

    def defer(self, stop: Callable[[], Awaitable[None]]) -> None:
        self._stack.push_async_callback(stop)

    def certificate(self, *, trusted: bool = True, **options: Any) -> ssl.SSLContext:
        tls.make_certificates(self.directory / "tls", **options)
        if trusted:
            self.settings["ca_file"] = self.directory / "tls" / "ca.pem"
        return tls.server_context(self.directory / "tls")

    async def cuts(self) -> int:
        """Takes every connection and ends it at the first byte."""

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                await reader.read(1)
            writer.transport.abort()

        server = await asyncio.start_server(take, "127.0.0.1", 0)
        self._stack.callback(server.close)
        return int(server.sockets[0].getsockname()[1])

    async def proxy(self, backend: int = 0, **options: Any) -> Proxy:
        return await self._stack.enter_async_context(Proxy(backend, **options))

    def environment(self, **variables: str) -> None:
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def config(self, where: str) -> Config:
        """`where`: which of the two ways goes to `url`; the other one ends at once."""
        ours, nowhere = {"url": self.url, **self.settings}, f"http://127.0.0.1:{free_ports(1)}"
        service, pbx = (ours, {"url": nowhere}) if where == "service" else ({"url": nowhere}, ours)
        return Config(
            state_directory=self.directory / "state",
            service=ServiceSection(**{"allow_http": True, **service}),
            pbx=PbxSection(
                **{"name": "pbx.example.com", "login": "0001", "password": SecretStr("foobar"), **pbx}
            ),
            uci=UciSection(enabled=where == "pbx"),
        )


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(tmp_path, monkeypatch, stack)


async def link_says(config: Config) -> Finding:
    """What the running connector's link puts into its log and on its page."""
    rest = StarfaceRest(config.pbx)
    look = asyncio.Event()
    readings, state, callbacks = (
        Readings(look.set),
        ConnectorState(config.state_directory),
        Callbacks(config.uci),
    )
    uci = UciClient(config.uci, rest, look, readings, callbacks)
    directory = Directory(rest, readings, active=True)
    monitor = Monitor(rest, uci, directory, readings, look, active=True)
    logins = Logins(rest, callbacks, state)
    lines = Lines(rest, logins, config.telephone, directory.group_name)
    link = LinkClient(LinkParts(config, state, monitor, directory, Calls(logins), lines, {}))
    running = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(60):
            while link.last_finding is None and link.last_fault is None:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await rest.close()
    assert link.last_finding is not None, link.last_fault
    assert link.last_fault == words_of(link.last_finding, with_cure=True)
    return link.last_finding


async def pbx_says(config: Config) -> list[Finding]:
    """What REST and UCI raise."""
    rest = StarfaceRest(config.pbx)
    said = []
    try:
        for work in (rest.check, lambda: uci_call(rest)):
            with pytest.raises(PbxUnreachableError) as raised:
                await work()
            assert raised.value.finding is not None, raised.value
            assert str(raised.value) == words_of(raised.value.finding)
            said.append(raised.value.finding)
    finally:
        await rest.close()
    return said


async def uci_call(rest: StarfaceRest) -> None:
    async def query(_http: Any) -> dict[str, str]:
        return {"de.vertico.starface.auth": "0001:secret-token"}

    session = UciSession(rest, Callbacks(UciSection()), query, lambda *_: None, lambda _: None)
    await session.call("ucp.v22.requests.connection.login")


async def doctor_says(config: Config, way: str) -> tuple[str, Finding]:
    """Return the first step that fails, with its explanation."""
    report = await examine_ways(config, ConnectorState(config.state_directory), [])
    names = ("pbx-", "uci-") if way == "pbx" else ("clock", "service-", "name", "key")
    steps = [step for step in report.steps if step.step.startswith(names)]
    failed = next(step for step in steps if step.outcome is StepOutcome.FAILED)
    return failed.step, finding_in(failed)


def finding_in(step: DoctorStep) -> Finding:
    code = Code.named(step.code or "")
    assert code is not None
    return Finding(code, dict(step.evidence), step.variant)


@dataclass(frozen=True)
class Case:
    name: str
    prepare: Callable[[Site], Awaitable[None]]
    step: str
    variant: str
    says: tuple[str, ...] = ()
    """Stands in the words."""


SECURE = "https://service.example"
PLAIN = "http://service.example"


def through(url: str, variable: str | None = None, given: str = "", **options: Any) -> Any:
    """By a proxy: named by a variable of the environment, or in the configuration."""

    async def prepare(site: Site) -> None:
        proxy = await site.proxy(options.pop("backend", 0), **options)
        site.url = url
        address = f"{given}@{proxy.address}" if given else proxy.address
        if variable is None:
            site.settings["proxy"] = SecretStr(address)
        else:
            site.environment(**{variable: address})

    return prepare


def env(url: str, **variables: str) -> Any:
    async def prepare(site: Site) -> None:
        site.url = url
        site.environment(**variables)

    return prepare


def answered(status: int, headers: dict[str, str] | None = None, **tls_options: Any) -> Any:
    async def prepare(site: Site) -> None:
        port = await site.answers(status, headers, **tls_options)
        site.url = f"https://localhost:{port}" if tls_options else f"http://127.0.0.1:{port}"

    return prepare


def tunnelled(status: int, strips: bool = False) -> Any:
    """Through a proxy that asks nothing, to a web server."""

    async def prepare(site: Site) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Upgrade") is None and strips:
                return web.Response(status=426, headers={"Upgrade": "websocket"})
            return web.Response(status=status)

        proxy = await site.proxy(await site.serves(answer), strips_upgrade=strips)
        site.url = PLAIN
        site.environment(HTTP_PROXY=f"http://{proxy.address}")

    return prepare


async def dead_proxy(site: Site) -> None:
    site.url = SECURE
    site.environment(HTTPS_PROXY=f"http://user:geheim@127.0.0.1:{free_ports(1)}")


async def nobody_listens(site: Site) -> None:
    site.url = f"http://127.0.0.1:{free_ports(1)}"


async def plain_on_a_tls_port(site: Site) -> None:
    site.url = f"https://localhost:{await site.answers()}"


async def cut_in_the_handshake(site: Site) -> None:
    site.url = f"https://localhost:{await site.cuts()}"


async def cut_before_an_answer(site: Site) -> None:
    site.url = f"http://127.0.0.1:{await site.cuts()}"


async def reset_at_once(site: Site) -> None:
    relay = Relay()
    relay.fault = Fault.RESET
    await relay.start()
    site.defer(relay.stop)
    site.url = relay.url


async def wrong_clock(site: Site) -> None:
    """The certificate has expired by our clock, and the service's clock says that it has not."""
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=400)

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(headers={"Date": f"{past - dt.timedelta(days=2):%a, %d %b %Y %H:%M:%S GMT}"})

    site.url = f"https://localhost:{await site.serves(answer, site.certificate(until=past))}"


NTLM = {"schemes": ("Negotiate", "NTLM")}
BASIC = {"schemes": ("NTLM", 'Basic realm="corp, internal"'), "login": "user:right"}
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)

SERVICE_CASES = [
    Case(
        "T18: the proxy wants NTLM or Kerberos, a login is given",
        through(SECURE, "HTTPS_PROXY", "user:geheim", **NTLM),
        "service-proxy",
        "proxy-scheme",
        ("Negotiate, NTLM", "only do Basic"),
    ),
    Case(
        "T18: the same without a login",
        through(SECURE, "HTTPS_PROXY", **NTLM),
        "service-proxy",
        "proxy-scheme",
        ("Negotiate, NTLM",),
    ),
    Case(
        "T18: the proxy wants Digest only",
        through(SECURE, "HTTPS_PROXY", "user:geheim", schemes=('Digest realm="a", nonce="b"',)),
        "service-proxy",
        "proxy-scheme",
        ("Digest",),
    ),
    Case(
        "T18: Basic is offered, and no login given",
        through(SECURE, "HTTPS_PROXY", **BASIC),
        "service-proxy",
        "proxy-auth",
        ("HTTPS_PROXY", "NTLM, Basic"),
    ),
    Case(
        "T18: Basic is offered, and the password wrong",
        through(SECURE, "HTTPS_PROXY", "user:geheim", **BASIC),
        "service-proxy",
        "proxy-password",
        ("HTTPS_PROXY", "%40"),
    ),
    Case(
        "T18: over http",
        through(PLAIN, "HTTP_PROXY", "user:geheim", **NTLM),
        "service-websocket",
        "proxy-scheme",
        ("Negotiate, NTLM",),
    ),
    Case(
        "T18: over http, wrong password",
        through(PLAIN, "http_proxy", "user:geheim", **BASIC),
        "service-websocket",
        "proxy-password",
        ("http_proxy",),
    ),
    Case(
        "T19: host:port without http://",
        through(SECURE, "HTTPS_PROXY", **BASIC),
        "service-proxy",
        "proxy-auth",
    ),
    Case(
        "T19: a password with @ and #",
        through(SECURE, "https_proxy", "user:p@ss#1", **BASIC),
        "service-proxy",
        "proxy-password",
        ("https_proxy",),
    ),
    Case(
        "the configuration's proxy",
        through(SECURE, None, "user:geheim", **BASIC),
        "service-proxy",
        "proxy-password",
        ("proxy in [service]",),
    ),
    Case(
        "SOCKS",
        env(SECURE, HTTPS_PROXY="socks5://user:geheim@127.0.0.1:1080"),
        "service-proxy",
        "proxy-setting",
        ("HTTPS_PROXY", "socks5://"),
    ),
    Case(
        "a proxy over TLS",
        env(SECURE, HTTPS_PROXY="https://user:geheim@127.0.0.1:3128"),
        "service-proxy",
        "proxy-setting",
        ("https://",),
    ),
    Case(
        "no port",
        env(SECURE, HTTPS_PROXY="http://user:geheim@127.0.0.1:port"),
        "service-proxy",
        "proxy-setting",
        ("host and port",),
    ),
    Case(
        "the proxy is not there",
        dead_proxy,
        "service-proxy",
        "proxy-unreachable",
        ("HTTPS_PROXY", "Connection refused"),
    ),
    Case(
        "the proxy has no address",
        env(SECURE, HTTPS_PROXY="http://proxy.invalid:3128"),
        "service-proxy",
        "proxy-unreachable",
        ("proxy.invalid:3128",),
    ),
    Case(
        "the proxy forbids it",
        through(SECURE, "HTTPS_PROXY", refuses="403 Forbidden by policy"),
        "service-proxy",
        "proxy-refuses",
        ("403 Forbidden by policy",),
    ),
    Case(
        "the proxy does not find it",
        through(SECURE, "HTTPS_PROXY", refuses="502 Bad Gateway"),
        "service-proxy",
        "proxy-refuses",
        ("502",),
    ),
    Case(
        "the proxy cuts the line",
        through(SECURE, "HTTPS_PROXY", cuts=True),
        "service-proxy",
        "proxy-refuses",
        ("the connection is cut",),
    ),
    Case("a name without an address", env("https://service.invalid"), "service-dns", "dns"),
    Case("nobody listens", nobody_listens, "service-tcp", "tcp", ("Connection refused",)),
    Case("http on the port", plain_on_a_tls_port, "service-tls", "tls"),
    Case("TLS is cut", cut_in_the_handshake, "service-tls", "tls", ("the connection is cut",)),
    Case(
        "an unknown authority",
        answered(200, trusted=False),
        "service-tls",
        "tls-foreign-ca",
        ("PBX for Teams simulator", "opens TLS"),
    ),
    Case(
        "expired",
        answered(200, until=NOW - DAY),
        "service-tls",
        "tls-expired",
        (f"{NOW - DAY:%Y-%m-%d}", "clock"),
    ),
    Case(
        "not yet valid",
        answered(200, since=NOW + 2 * DAY),
        "service-tls",
        "tls-not-yet",
        (f"{NOW + 2 * DAY:%Y-%m-%d}", "clock"),
    ),
    Case("another name", answered(200, name="other.example"), "service-tls", "tls-name", ("other.example",)),
    Case("a wrong clock here", wrong_clock, "clock", "clock", ("clock is wrong",)),
    Case("the upgrade is removed", answered(426), "service-websocket", "websocket", ("426",)),
    Case(
        "a proxy that knows no WebSocket",
        tunnelled(200, strips=True),
        "service-websocket",
        "websocket",
        ("426",),
    ),
    Case(
        "another web server, or a page of the network",
        answered(200),
        "service-websocket",
        "not-the-service",
        ("sign-in",),
    ),
    Case("the same by TLS", answered(200, trusted=True), "service-websocket", "not-the-service"),
    Case(
        "a captive portal",
        answered(302, {"Location": "http://login.hotel.example/page?token=secret-token"}),
        "service-websocket",
        "redirect",
        ("http://login.hotel.example/page",),
    ),
    Case("a network that wants a sign-in (RFC 6585)", answered(511), "service-websocket", "sign-in-page"),
    Case("the service is behind a balancer without replicas", answered(503), "service-websocket", "stopping"),
    Case("cut before the answer", cut_before_an_answer, "service-websocket", "websocket"),
    Case("reset at once", reset_at_once, "service-websocket", "websocket", ("the connection is cut",)),
]


@pytest.mark.parametrize("case", SERVICE_CASES, ids=lambda case: case.name)
async def test_link_and_doctor_say_the_same(case: Case, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await case.prepare(site)
    config = site.config("service")
    step, found = await doctor_says(config, "service")
    assert (step, found.code, found.variant) == (case.step, Code.SERVICE_UNREACHABLE, case.variant), found
    said = await link_says(config)
    if case.variant != "clock":  # its two times differ from look to look
        assert said == found
    assert (said.code, said.variant) == (found.code, found.variant)
    assert_readable(found, case.says)
    assert_readable(said, case.says)
    for secret in SECRETS:
        assert secret not in caplog.text


def assert_readable(finding: Finding, says: tuple[str, ...]) -> None:
    """In both languages, with all evidence in its place and without a secret."""
    for language in Language:
        told = explain(finding, language)
        words = f"{told.title} {told.detail} {told.cure}"
        assert "…" not in words, words
        assert not any(secret in words for secret in SECRETS), words
    english = words_of(finding, with_cure=True)
    for text in says:
        assert text in english


PBX_CASES = [
    Case(
        "T21: through a proxy that wants NTLM",
        through("https://pbx.example", None, "user:geheim", **NTLM),
        "pbx-proxy",
        "proxy-scheme",
        ("proxy in [pbx]", 'proxy = "none"'),
    ),
    Case("T21: Basic, no login", through("https://pbx.example", None, **BASIC), "pbx-proxy", "proxy-auth"),
    Case(
        "T21: Basic, wrong password",
        through("https://pbx.example", None, "user:geheim", **BASIC),
        "pbx-proxy",
        "proxy-password",
    ),
    Case(
        "T21: over http",
        through("http://pbx.example", None, "user:geheim", **BASIC),
        "pbx-rest",
        "proxy-password",
    ),
    Case(
        "T21: the proxy forbids it",
        through("https://pbx.example", None, refuses="403 No"),
        "pbx-proxy",
        "proxy-refuses",
        ("403 No",),
    ),
    Case("a name without an address", env("https://pbx.invalid"), "pbx-dns", "dns"),
    Case("nobody listens", nobody_listens, "pbx-tcp", "tcp", ("Connection refused",)),
    Case("http on the port", plain_on_a_tls_port, "pbx-tls", "tls"),
    Case("TLS is cut", cut_in_the_handshake, "pbx-tls", "tls"),
    Case(
        "a certificate of its own",
        answered(200, trusted=False),
        "pbx-tls",
        "tls-foreign-ca",
        ("PBX for Teams simulator", "ca_file"),
    ),
    Case("expired", answered(200, until=NOW - DAY), "pbx-tls", "tls-expired"),
    Case("not yet valid", answered(200, since=NOW + 2 * DAY), "pbx-tls", "tls-not-yet"),
    Case("another name", answered(200, name="other.example"), "pbx-tls", "tls-name", ("other.example",)),
]


@pytest.mark.parametrize("case", PBX_CASES, ids=lambda case: case.name)
async def test_rest_uci_and_doctor_say_the_same(case: Case, site: Site) -> None:
    await case.prepare(site)
    config = site.config("pbx")
    step, found = await doctor_says(config, "pbx")
    assert (step, found.code, found.variant) == (case.step, Code.PBX_UNREACHABLE, case.variant), found
    assert_readable(found, case.says)
    for said in await pbx_says(config):
        assert said == found


async def test_a_pbx_on_the_site_is_reached_past_the_proxy_and_its_log(site: Site) -> None:
    """T21: with NO_PROXY in a form that Python does not know, REST and UCI went to the company's proxy, the UCI token in
    the address with them.
    """
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"loginType": "Internal", "nonce": "n"})

    port = await site.serves(answer)
    proxy = await site.proxy(port)
    site.url = f"http://127.0.0.1:{port}"
    for exceptions in ("", "localhost,127.0.0.0/8", "127.*"):
        site.environment(HTTP_PROXY=f"http://{proxy.address}", NO_PROXY=exceptions)
        rest = StarfaceRest(site.config("pbx").pbx)
        await rest.login_challenge()
        with contextlib.suppress(Exception):
            await uci_call(rest)
        await rest.close()
    assert asked == 3 * ["/rest/login", "/xml-rpc"]
    assert proxy.seen == []


async def test_a_proxy_that_lets_through_is_used_by_all(site: Site) -> None:
    """With a password that nobody has encoded, sent as UTF-8 by link and doctor."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"loginType": "Internal", "nonce": "n"})

    login = "üser:p@ss#1/%"
    proxy = await site.proxy(await site.serves(answer), schemes=("Basic",), login=login)
    site.settings["proxy"] = SecretStr(f"http://{login}@{proxy.address}")
    for url, where in (("http://pbx.example", "pbx"), ("http://service.example", "service")):
        site.url = url
        config = site.config(where)
        _, found = await doctor_says(config, where)
        assert not (found.variant or "").startswith("proxy"), found
        proxy.seen.clear()
        if where == "pbx":
            rest = StarfaceRest(config.pbx)
            assert await rest.login_challenge() == ("Internal", "n")
            await rest.close()
        else:
            assert (await link_says(config)).variant == "not-the-service"
        assert proxy.seen and all(head.split(" ")[1].startswith(url) for head in proxy.seen)


async def test_a_companys_own_authority_counts_and_is_shown(site: Site) -> None:
    """A proxy that opens TLS, whose authority is installed: `SSL_CERT_FILE` stands for the machine's store."""
    port = await site.answers(200, trusted=False)
    site.url = f"https://localhost:{port}"
    site.environment(SSL_CERT_FILE=str(site.directory / "tls" / "ca.pem"))
    config = site.config("service")
    report = await examine_ways(config, ConnectorState(config.state_directory), [])
    certificate = next(step for step in report.steps if step.step == "service-tls")
    assert certificate.outcome is StepOutcome.OK
    assert certificate.evidence["issuer"] == "PBX for Teams simulator"
    assert (await link_says(config)).variant == "not-the-service"


async def test_a_certificate_that_is_exchanged_is_trusted_when_its_authority_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a restart: the PBX has a new certificate of its own, and a technician copies it into `ca_file`."""
    monkeypatch.setattr("connector.network.client.TRUST_SECONDS", 0.0)

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"loginType": "Internal", "nonce": "n"})

    old = site.directory / "old"
    tls.make_certificates(old)
    authorities = site.directory / "authorities.pem"
    authorities.write_text((old / "ca.pem").read_text())
    port = await site.serves(answer, site.certificate(trusted=False))
    site.url, site.settings = f"https://localhost:{port}", {"ca_file": authorities}
    rest = StarfaceRest(site.config("pbx").pbx)
    for _time in range(2):
        with pytest.raises(PbxUnreachableError) as refused:
            await rest.login_challenge()
        assert refused.value.finding is not None and refused.value.finding.variant == "tls-foreign-ca"
    authorities.write_text("no certificate")  # in the middle of being copied
    with pytest.raises(PbxUnreachableError):
        await rest.login_challenge()
    authorities.write_text((site.directory / "tls" / "ca.pem").read_text())
    with pytest.raises(PbxUnreachableError):
        await rest.login_challenge()
    assert (await rest.login_challenge())[1] == "n"
    await rest.close()


@pytest.mark.parametrize("where", ["service", "pbx"])
async def test_a_ca_file_without_a_certificate_is_named(site: Site, where: str) -> None:
    (site.directory / "ca.pem").write_text("no certificate")
    site.url, site.settings = "https://localhost", {"ca_file": site.directory / "ca.pem"}
    config = site.config(where)
    target = Target.service(config.service) if where == "service" else Target.pbx(config.pbx)
    with pytest.raises(ConnectorError, match="ca_file"):
        HttpClient(target)
    report = await examine_ways(config, ConnectorState(config.state_directory), [])
    assert any(step.code == "configuration-invalid" for step in report.steps)


class SilentPort:
    """An address that takes no connection and refuses none: its queue is full, and the system drops what comes."""

    def __init__(self, address: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._server = socket.socket(family, socket.SOCK_STREAM)
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.bind((address, port))
        self._server.listen(0)
        self.port = self._server.getsockname()[1]
        self._waiting: list[socket.socket] = []
        for _ in range(8):
            one = socket.socket(family, socket.SOCK_STREAM)
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect((address, self.port))
            self._waiting.append(one)

    def close(self) -> None:
        for one in (*self._waiting, self._server):
            one.close()


@pytest.fixture
def both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    """`both.example` has an address of each family, IPv6 first, as a system prefers it."""
    known = socket.getaddrinfo

    def resolve(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host not in ("both.example", b"both.example"):
            return known(host, port, *arguments, **options)
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize("silent", [True, False], ids=["packets are dropped", "nobody listens"])
@pytest.mark.parametrize("where", ["service", "pbx"])
async def test_one_dead_family_keeps_nobody_out_and_is_named(
    site: Site, both_families: None, where: str, silent: bool
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"loginType": "Internal", "nonce": "n"})

    port = await site.serves(answer)
    dead = SilentPort("::1", port) if silent else None
    try:
        site.url = f"http://both.example:{port}"
        config = site.config(where)
        begun = time.monotonic()
        if where == "pbx":
            rest = StarfaceRest(config.pbx)
            assert await rest.login_challenge() == ("Internal", "n")
            await rest.close()
        else:
            assert (await link_says(config)).variant == "not-the-service"  # it got there
        assert time.monotonic() - begun < 20  # and not by waiting for the dead one's end
        report = await examine_ways(config, ConnectorState(config.state_directory), [])
        tcp = next(step for step in report.steps if step.step == f"{where}-tcp")
        assert (tcp.outcome, tcp.variant) == (StepOutcome.WARNING, "family")
        assert (tcp.evidence["family"], tcp.evidence["addresses"]) == ("IPv6", "::1")
        assert_readable(finding_in(tcp), ("no answer in time" if silent else "Connection refused",))
        after = "service-websocket" if where == "service" else "pbx-rest"
        gone_on = next(step for step in report.steps if step.step == after)
        assert gone_on.outcome is not StepOutcome.SKIPPED
    finally:
        if dead is not None:
            dead.close()


async def test_the_address_that_shows_a_wrong_certificate_is_named(site: Site, both_families: None) -> None:
    """IPv6 leads to another machine: the link goes where the first answer comes from, and so does the doctor."""

    async def hello(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    tls.make_certificates(site.directory / "wrong", name="other.example")
    wrong = tls.server_context(site.directory / "wrong")
    port = await site.answers(200, name="both.example")
    server = await asyncio.start_server(hello, "::1", port, ssl=wrong)
    try:
        site.url = f"https://both.example:{port}"
        config = site.config("service")
        step, found = await doctor_says(config, "service")
        assert (step, found.variant) == ("service-tls", "tls-foreign-ca")
        assert found.evidence["error"].endswith("at ::1") and found.evidence["subject"] == "other.example"
        assert await link_says(config) == found
    finally:
        server.close()


@pytest.mark.parametrize("layer", ["tcp", "tls", "proxy", "tunnel"])
async def test_silence_is_reported_by_its_layer(site: Site, layer: str) -> None:
    """aiohttp's fault of a silence does not say where it was met."""
    held: list[asyncio.StreamWriter] = []

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    silent = SilentPort("127.0.0.1")
    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    taken = server.sockets[0].getsockname()[1]
    try:
        port = silent.port if layer in ("tcp", "proxy") else taken
        proxy = SecretStr(f"127.0.0.1:{port}") if layer in ("proxy", "tunnel") else None
        url = SECURE if proxy is not None else f"https://127.0.0.1:{port}"
        target = Target(url, Code.SERVICE_UNREACHABLE, Limits(0.5, 1.0, None), proxy)
        async with HttpClient(target) as http:
            with pytest.raises(UnreachedError) as raised:
                await http.websocket(f"{url}/connector/link")
        expected = {"proxy": "proxy-unreachable", "tunnel": "proxy-refuses"}.get(layer, layer)
        assert raised.value.finding.variant == expected
        assert raised.value.finding.evidence["error"] == "no answer in time"
    finally:
        silent.close()
        for writer in held:
            writer.close()
        server.close()


async def test_no_redirect_of_a_websocket_is_followed(site: Site) -> None:
    """aiohttp would follow it, and the opening words, an enrolment code among them, would go along."""
    caught: list[str] = []

    async def catch(request: web.Request) -> web.Response:
        caught.append(request.path_qs)
        return web.Response()

    there = await site.serves(catch)
    for status in (301, 302, 303, 307, 308):
        here = await site.answers(status, {"Location": f"http://127.0.0.1:{there}/connector/link"})
        site.url = f"http://127.0.0.1:{here}"
        assert (await link_says(site.config("service"))).variant == "redirect"
    assert caught == []


async def test_no_netrc_is_read(site: Site) -> None:
    """aiohttp would add a login of ~/.netrc to the requests where it reads the environment."""
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({"loginType": "Internal", "nonce": "n"})

    netrc = site.directory / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    netrc.chmod(0o600)
    site.environment(NETRC=str(netrc))
    site.url = f"http://127.0.0.1:{await site.serves(answer)}"
    rest = StarfaceRest(site.config("pbx").pbx)
    await rest.login_challenge()
    await rest.close()
    assert seen == [None]


async def test_one_request_has_the_limits_of_its_target() -> None:
    service = Target.service(ServiceSection(url="https://s.example"))
    pbx = Target.pbx(PbxSection(name="p", url="https://p", login="l", password=SecretStr("x")))
    for target in (service, pbx):
        limits = target.limits
        assert limits.connect < limits.whole
        assert limits.timeout().total == limits.whole and limits.timeout().sock_connect == limits.connect
    assert pbx.limits.whole < 10  # the hub's own deadline for a question
    assert replace(pbx, url="https://q").limits is pbx.limits
