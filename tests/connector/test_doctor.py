"""The doctor, run as its command against real faults: each names the step that fails, its code and its cure."""

import asyncio
import datetime as dt
import json
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from connector.state import ConnectorState
from simulator import tls
from tests.support.relay import Fault, Relay
from tests.support.world import World, free_ports
from wire.doctor import STEPS


class Clinic:
    """The demonstration's connector and its configuration, which a test may spoil."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self.file = directory / "connector.toml"
        self.text = world.demo.connector_configuration.read_text()
        self.environment: dict[str, str] = {"NO_PROXY": "127.0.0.1,localhost"}

    def change(self, before: str, after: str) -> None:
        assert before in self.text, before
        self.text = self.text.replace(before, after)

    async def run(self, *options: str, code: int | None = None) -> str:
        self.file.touch(mode=0o600)
        self.file.write_text(self.text)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "connector.cli", "--config", str(self.file), "doctor", *options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", **self.environment},
        )
        out, err = await process.communicate()
        assert not err, err.decode()
        assert code is None or process.returncode == code, out.decode()
        return out.decode()

    async def examine(self) -> dict[str, dict[str, Any]]:
        report = json.loads(await self.run("--json"))
        steps = {step["step"]: step for step in report["steps"]}
        assert list(steps) == list(STEPS)
        return steps

    async def finds(self, step: str, code: str, variant: str | None = None) -> dict[str, Any]:
        """The one step that fails, with everything of its chain behind it skipped."""
        steps = await self.examine()
        failed = [name for name, found in steps.items() if found["outcome"] == "failed"]
        assert failed == [step], steps
        assert (steps[step]["code"], steps[step]["variant"]) == (code, variant)
        chain = "service" if STEPS.index(step) <= STEPS.index("key") else "pbx"
        behind = [
            name
            for name in STEPS[STEPS.index(step) + 1 :]
            if (STEPS.index(name) <= STEPS.index("key")) == (chain == "service")
        ]
        assert {steps[name]["outcome"] for name in behind} <= {"skipped"}
        return steps[step]["evidence"]


@pytest.fixture
def clinic(world: World, tmp_path: Path) -> Clinic:
    return Clinic(world, tmp_path)


@pytest.fixture
def free_port() -> int:
    return free_ports(1)


async def test_everything_is_in_order_while_the_connector_runs(clinic: Clinic) -> None:
    links = clinic.world.log("connector").count("link open")
    report = json.loads(await clinic.run("--json", code=0))
    assert {step["outcome"] for step in report["steps"]} <= {"ok", "skipped"}
    assert report["pbxName"] == clinic.world.pbx_name and report["identity"]
    (uci,) = [step for step in report["steps"] if step["step"] == "uci-login"]
    assert "callList" in uci["evidence"]["requests"], "what the PBX offers is named"
    # The doctor looks, and does not take the running connector's place.
    assert clinic.world.log("connector").count("link open") == links
    assert (await clinic.world.client().prepare(clinic.world.pbx_name, clinic.world.key)).status == 200


@pytest.mark.parametrize(
    ("language", "words"), [("de", "Alles ist in Ordnung."), ("en", "Everything is in order.")]
)
async def test_it_speaks_both_languages(clinic: Clinic, language: str, words: str) -> None:
    out = await clinic.run("--language", language, code=0)
    assert words in out and "\x1b[" not in out  # no colours where nobody sees them


async def test_no_secret_is_printed(clinic: Clinic) -> None:
    for out in (await clinic.run(), await clinic.run("--json")):
        assert "foobar" not in out and clinic.world.key not in out


async def test_a_configuration_that_cannot_be_read(clinic: Clinic) -> None:
    clinic.change("[pbx]", "[pbx]\nnonsense = 1")
    evidence = await clinic.finds("configuration", "configuration-invalid")
    assert "line" in evidence["error"] and "nonsense" in evidence["error"]
    assert "nonsense" in await clinic.run(code=1)


async def test_secrets_that_others_can_read(clinic: Clinic) -> None:
    state = clinic.world.demo.state / "connector" / "pbx-key"
    state.chmod(0o644)
    try:
        steps = await clinic.examine()
    finally:
        state.chmod(0o600)
    assert (steps["state"]["outcome"], steps["state"]["code"]) == ("warning", "secrets-exposed")
    assert steps["key"]["outcome"] == "ok"  # a warning stops nothing


async def test_a_name_without_an_address(clinic: Clinic) -> None:
    clinic.change(clinic.world.demo.service_url, "https://service.invalid")
    evidence = await clinic.finds("service-dns", "service-unreachable", "dns")
    assert evidence["host"] == "service.invalid"


async def test_a_port_where_nobody_listens(clinic: Clinic, free_port: int) -> None:
    clinic.change(clinic.world.demo.service_url, f"http://127.0.0.1:{free_port}")
    await clinic.finds("service-tcp", "service-unreachable", "tcp")


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.SWALLOW, Fault.TRUNCATE])
async def test_a_line_that_is_cut_swallowed_or_ends_in_the_middle(clinic: Clinic, fault: Fault) -> None:
    relay = await Relay(clinic.world.demo.service_port).start()
    relay.fault = fault
    clinic.change(clinic.world.demo.service_url, relay.url)
    try:
        await clinic.finds("service-websocket", "service-unreachable", "websocket")
    finally:
        await relay.stop()


async def test_another_web_server_at_the_address(clinic: Clinic) -> None:
    async with serving(lambda _request: web.Response(text="hello")) as url:
        clinic.change(clinic.world.demo.service_url, url)
        await clinic.finds("service-websocket", "service-unreachable", "not-the-service")


async def test_a_proxy_that_strips_the_upgrade(clinic: Clinic) -> None:
    async def strip(request: web.Request) -> web.Response:
        url = f"{clinic.world.demo.service_url}{request.path}"
        async with clinic.world.http.get(url) as answer:  # without Upgrade, as an old proxy passes it on
            return web.Response(status=answer.status, body=await answer.read())

    async with serving(strip) as url:
        clinic.change(clinic.world.demo.service_url, url)
        evidence = await clinic.finds("service-websocket", "service-unreachable", "websocket")
        assert evidence["status"] == "426"


@pytest.mark.parametrize(
    ("status", "step", "variant"),
    [("407 Login", "service-proxy", "proxy-password"), ("403 No", "service-proxy", "proxy-refuses")],
)
async def test_a_proxy_that_refuses(clinic: Clinic, status: str, step: str, variant: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clinic.change(clinic.world.demo.service_url, "https://service.example")
    clinic.environment["HTTPS_PROXY"] = f"http://user:hidden@127.0.0.1:{port}"
    evidence = await clinic.finds(step, "service-unreachable", variant)
    assert evidence["proxy"] == f"127.0.0.1:{port}"
    assert "hidden" not in await clinic.run()
    server.close()


async def test_a_proxy_that_is_not_there(clinic: Clinic, free_port: int) -> None:
    clinic.change(clinic.world.demo.service_url, "https://service.example")
    clinic.environment["HTTPS_PROXY"] = f"http://127.0.0.1:{free_port}"
    await clinic.finds("service-proxy", "service-unreachable", "proxy-unreachable")


@pytest.mark.parametrize(
    ("trusted", "expired", "variant"), [(False, False, "tls-foreign-ca"), (True, True, "tls-expired")]
)
async def test_a_foreign_authority_is_distinguished_from_an_expired_certificate(
    clinic: Clinic, tmp_path: Path, trusted: bool, expired: bool, variant: str
) -> None:
    tls.make_certificates(
        tmp_path / "tls", until=dt.datetime.now(dt.UTC) - dt.timedelta(days=1) if expired else None
    )
    if trusted:
        clinic.environment["SSL_CERT_FILE"] = str(tmp_path / "tls" / "ca.pem")
    context = tls.server_context(tmp_path / "tls")
    async with serving(lambda _request: web.Response(), context) as url:
        clinic.change(clinic.world.demo.service_url, url)
        evidence = await clinic.finds("service-tls", "service-unreachable", variant)
        assert evidence["issuer"] == "PBX for Teams simulator"


async def test_a_clock_that_is_wrong(clinic: Clinic) -> None:
    async def other_time(_request: web.Request) -> web.Response:
        return web.Response(headers={"Date": "Thu, 01 Jan 2032 00:00:00 GMT"})

    async with serving(other_time) as url:
        clinic.change(clinic.world.demo.service_url, url)
        evidence = await clinic.finds("clock", "service-unreachable", "clock")
        assert evidence["there"].startswith("2032")


async def test_a_name_of_another_installation(clinic: Clinic, tmp_path: Path) -> None:
    clinic.change(json.dumps(str(clinic.world.demo.state / "connector")), json.dumps(str(tmp_path / "other")))
    evidence = await clinic.finds("name", "enrolment-needed", "code")
    assert evidence["identity"] == ConnectorState(tmp_path / "other").fingerprint


async def test_a_name_without_a_code(clinic: Clinic, tmp_path: Path) -> None:
    """New, or another installation's: the doctor names both, and what to ask for."""
    clinic.change(json.dumps(str(clinic.world.demo.state / "connector")), json.dumps(str(tmp_path / "other")))
    clinic.text = "\n".join(line for line in clinic.text.splitlines() if "enrolment_code" not in line)
    for name in (clinic.world.pbx_name, "free.example.com"):
        clinic.text = clinic.text.replace(clinic.world.pbx_name, name)
        evidence = await clinic.finds("name", "enrolment-needed")
        assert evidence == {"pbx_name": name, "identity": ConnectorState(tmp_path / "other").fingerprint}
    said = " ".join((await clinic.run("--language", "de")).split())  # lines are folded
    assert "pbx-teams pbx enrol free.example.com" in said
    assert f"pbx-teams pbx hand-over free.example.com {evidence['identity']}" in said


async def test_a_name_with_a_good_code(clinic: Clinic, tmp_path: Path) -> None:
    clinic.change(json.dumps(str(clinic.world.demo.state / "connector")), json.dumps(str(tmp_path / "other")))
    code = await clinic.world.enrolment_code("new.example.com")
    lines = [line for line in clinic.text.splitlines() if "enrolment_code" not in line]
    lines.insert(lines.index("[service]") + 1, f'enrolment_code = "{code}"')
    clinic.text = "\n".join(lines)
    clinic.change(clinic.world.pbx_name, "new.example.com")
    steps = await clinic.examine()
    assert steps["name"]["outcome"] == "ok"
    assert (steps["key"]["outcome"], steps["key"]["variant"]) == ("warning", "new")


async def test_a_name_that_is_no_host_name(clinic: Clinic) -> None:
    clinic.change(f'name = "{clinic.world.pbx_name}"', 'name = "my_pbx"')
    await clinic.finds("name", "pbx-name-invalid", "connector")


async def test_a_connector_that_does_not_run(clinic: Clinic) -> None:
    await clinic.world.demo.stop_part("connector")
    try:
        steps = await clinic.examine()
        assert (steps["key"]["outcome"], steps["key"]["code"]) == ("warning", "not-linked")
    finally:
        await clinic.world.demo.start_connector()
        await clinic.world.connected()


@pytest.mark.parametrize(
    ("before", "after", "step", "code", "variant"),
    [
        ('password = "foobar"', 'password = "wrong"', "pbx-login", "pbx-login-failed", "password"),
        ('login = "0001"', 'login = "1001"', "pbx-login", "pbx-login-failed", "password"),
        (
            'auth = "classic"',
            'auth = "oauth"\noauth_client_secret = "x"',
            "pbx-rest",
            "pbx-unreachable",
            "http",
        ),
    ],
)
async def test_what_the_pbx_refuses(
    clinic: Clinic, before: str, after: str, step: str, code: str, variant: str
) -> None:
    clinic.change(before, after)
    await clinic.finds(step, code, variant)


async def test_a_pbx_that_is_not_there(clinic: Clinic, free_port: int) -> None:
    clinic.change(clinic.world.starface_url, f"http://127.0.0.1:{free_port}")
    await clinic.finds("pbx-tcp", "pbx-unreachable", "tcp")


async def test_a_pbx_that_is_too_old(clinic: Clinic) -> None:
    await clinic.world.pbx("PATCH", "settings", {"version": "6.6.9"})
    evidence = await clinic.finds("pbx-version", "pbx-too-old")
    assert evidence["version"] == "6.6.9"


async def test_a_pbx_without_user_assigned_licences(clinic: Clinic) -> None:
    await clinic.world.pbx("PATCH", "settings", {"version": "6.7.1"})
    steps = await clinic.examine()
    assert (steps["pbx-version"]["outcome"], steps["pbx-version"]["variant"]) == ("warning", "no-ual")


async def test_a_permission_of_another_name(clinic: Clinic) -> None:
    clinic.change("licence_permission = ", "licence_permission = 'No such' #")
    steps = await clinic.examine()
    assert (steps["pbx-permission"]["outcome"], steps["pbx-permission"]["code"]) == (
        "warning",
        "permission-missing",
    )


async def test_uci_that_is_off(clinic: Clinic) -> None:
    await clinic.world.pbx("PATCH", "settings", {"uci": False})
    await clinic.finds("uci-login", "uci-connector-off", "doctor")


@asynccontextmanager
async def serving(
    handler: Callable[[web.Request], Any], context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Another web server on loopback; its certificate, if it has one, is for localhost."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = handler(request)
        return await answer if asyncio.iscoroutine(answer) else answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    try:
        yield f"https://localhost:{port}" if context else f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
