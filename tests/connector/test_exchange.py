"""A PBX, or somebody in its place, that leads the connector's login elsewhere: it does not go there."""

import asyncio
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any

import pytest
from aiohttp import web

from connector.config import PbxSection, UciSection
from connector.doctor.pbx import PbxCheck
from connector.doctor.steps import Chain
from connector.errors import PbxError, PbxUnreachableError
from connector.exchange import EndpointElsewhereError, PbxRedirectedError, is_of_the_pbx
from connector.login import sees_password
from connector.rest import StarfaceRest
from connector.uci import MAX_COOKIES, Callbacks, UciSession
from wire.doctor import DoctorStep

SECRETS = ("foobar", "the-client-secret", "anna-1001")


class Trap:
    """Two servers on two ports: the configured PBX, and where it leads. Both keep what they were sent."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.caught: list[str] = []
        self.redirects: dict[str, int] = {}
        """Method and path that are answered with a redirect, and its status."""
        self.targets: dict[str, str] = {}
        """Where to, when not to the other server."""
        self.answers: dict[str, Any] = {}
        self.status = 200
        self._runners: list[web.AppRunner] = []

    async def start(self) -> "Trap":
        self.pbx = await self._serve(self._pbx)
        self.elsewhere = await self._serve(self._catch)
        return self

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    def rest(self, **changes: Any) -> StarfaceRest:
        return StarfaceRest(self.config(**changes))

    def config(self, **changes: Any) -> PbxSection:
        values: dict[str, Any] = {"name": "p", "url": self.pbx, "login": "0001", "password": "foobar"}
        return PbxSection(**(values | changes))

    async def _serve(self, handler: Any) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _pbx(self, request: web.Request) -> web.Response:
        key = f"{request.method} {request.path}"
        self.asked.append(key)
        if key in self.redirects:
            headers = {"Location": self.targets.get(key, f"{self.elsewhere}{request.path_qs}")}
            return web.Response(status=self.redirects[key], headers=headers)
        if key not in self.answers:
            return web.Response(status=404)
        return web.json_response(self.answers[key], status=self.status)

    async def _catch(self, request: web.Request) -> web.Response:
        text = await request.text()
        self.caught.append(f"{request.method} {request.path_qs} {dict(request.headers)} {text}")
        return web.json_response({"token": "t", "access_token": "t", "id": 1, "login": "0001"})


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    trap = await Trap().start()
    yield trap
    await trap.stop()


CHALLENGE = {"loginType": "Internal", "nonce": "n", "secret": None}
OAUTH = {"auth": "oauth", "oauth_client_secret": "the-client-secret"}
DISCOVERY = "GET /.well-known/openid-configuration"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "where", ["GET /rest/login", "POST /rest/login", "GET /rest/users/me", "POST /xml-rpc"]
)
async def test_no_redirect_is_followed(trap: Trap, where: str, status: int) -> None:
    trap.answers = {"GET /rest/login": CHALLENGE, "POST /rest/login": {"token": "t"}}
    trap.redirects = {where: status}
    rest = trap.rest()
    with pytest.raises(PbxRedirectedError, match="is redirected to http://127") as raised:
        if where == "POST /xml-rpc":
            session = UciSession(rest, Callbacks(UciSection()), query, lambda *_: None, lambda _: None)
            await session.call("ucp.v22.requests.connection.login")
        else:
            await rest.check()
    await rest.close()
    assert trap.caught == []
    assert "secret-token" not in str(raised.value)


async def query(_http: Any) -> dict[str, str]:
    return {"de.vertico.starface.auth": "0001:secret-token"}


@pytest.mark.parametrize("where", ["POST /rest/login", "GET /rest/users/me", "DELETE /rest/login"])
async def test_a_persons_login_is_not_led_away_either(trap: Trap, where: str) -> None:
    trap.answers = {
        "GET /rest/login": CHALLENGE,
        "POST /rest/login": {"token": "t"},
        "GET /rest/users/me": {"id": 1, "login": "1001"},
        "DELETE /rest/login": {},
    }
    trap.redirects = {where: 307}
    rest = trap.rest()
    for proving in (rest.prove_challenge("n", "1001:secret"), rest.prove_password("1001", "anna-1001")):
        with pytest.raises(PbxError):
            await proving
    await rest.close()
    assert trap.caught == []


async def test_the_oauth_login_goes_to_the_pbx_alone(trap: Trap) -> None:
    for endpoint in (
        f"{trap.elsewhere}/token",
        "https://evil.example/token",
        "",
        "//evil.example/token",
        f"{trap.pbx}@evil.example/token",
        trap.pbx.replace("127.0.0.1", "127.0.0.1.evil.example"),
        "http://[::1",
        {"not": "text"},
    ):
        trap.answers = {DISCOVERY: {"token_endpoint": endpoint}}
        rest = trap.rest(**OAUTH)
        with pytest.raises(EndpointElsewhereError):
            await rest.check()
        with pytest.raises(EndpointElsewhereError):
            await rest.prove_password("1001", "anna-1001")
        await rest.close()
    assert trap.caught == []
    assert set(trap.asked) == {DISCOVERY}


async def test_discovery_may_lead_to_the_pbxs_own_realm_and_not_in_a_circle(trap: Trap) -> None:
    """As a STARFACE 10 answers: `/.well-known/…` is redirected to the document of its realm."""
    realm = "/auth/realms/pbx/.well-known/openid-configuration"
    trap.answers = {
        f"GET {realm}": {"token_endpoint": f"{trap.pbx}/token"},
        "POST /token": {"access_token": "t"},
        "GET /rest/users/me": {"id": 1},
    }
    trap.redirects = {DISCOVERY: 302}
    trap.targets = {DISCOVERY: realm}
    rest = trap.rest(**OAUTH)
    await rest.check()
    await rest.close()
    trap.redirects[f"GET {realm}"] = 302
    trap.targets[f"GET {realm}"] = realm
    rest = trap.rest(**OAUTH)
    with pytest.raises(PbxUnreachableError, match="circle"):
        await rest.check()
    await rest.close()


@pytest.mark.parametrize("where", [DISCOVERY, "POST /token"])
async def test_the_oauth_login_follows_no_redirect(trap: Trap, where: str) -> None:
    trap.answers = {DISCOVERY: {"token_endpoint": f"{trap.pbx}/token"}, "POST /token": {"access_token": "t"}}
    trap.redirects = {where: 307}
    rest = trap.rest(**OAUTH)
    with pytest.raises(PbxRedirectedError):
        await rest.check()
    await rest.close()
    assert trap.caught == []


@pytest.mark.parametrize(
    ("endpoint", "base", "is_pbx"),
    [
        ("https://pbx.example.com/auth/token", "https://pbx.example.com", True),
        ("https://PBX.example.com:443/auth/token", "https://pbx.example.com", True),
        ("https://pbx.example.com:8443/token", "https://pbx.example.com", True),
        ("https://pbx.example.com/token", "http://pbx.example.com", True),
        ("http://pbx.example.com/token", "http://pbx.example.com", True),
        ("http://pbx.example.com:8080/token", "http://pbx.example.com", False),
        ("http://pbx.example.com/token", "https://pbx.example.com", False),
        ("https://pbx.example.com.evil.example/token", "https://pbx.example.com", False),
        ("https://pbx.example.com@evil.example/token", "https://pbx.example.com", False),
        ("https://evil@pbx.example.com/token", "https://pbx.example.com", False),
        ("ftp://pbx.example.com/token", "https://pbx.example.com", False),
        ("https://pbx.example.com:x/token", "https://pbx.example.com", False),
        ("/token", "https://pbx.example.com", False),
        ("", "https://pbx.example.com", False),
    ],
)
def test_where_login_and_client_secret_may_go(endpoint: str, base: str, is_pbx: bool) -> None:
    assert is_of_the_pbx(endpoint, base) is is_pbx


@pytest.mark.parametrize("language", ["redirect", "oauth-elsewhere"])
async def test_the_doctor_names_it(trap: Trap, language: str) -> None:
    from connector.config import Config, ServiceSection

    more: dict[str, Any] = {}
    if language == "redirect":
        trap.redirects = {"GET /rest/login": 301}
    else:
        trap.answers = {DISCOVERY: {"token_endpoint": "https://login.example/token"}}
        more = OAUTH
    config = Config(
        service=ServiceSection(url="https://service.example"),
        pbx=trap.config(**more),
        uci=UciSection(enabled=False),
    )
    steps: list[DoctorStep] = []
    await PbxCheck(config).run(Chain(steps, lambda _: None))
    found = {step.step: step for step in steps}["pbx-rest"]
    assert (found.outcome, found.code, found.variant) == ("failed", "pbx-unreachable", language)
    assert ("login.example" if more else trap.elsewhere) in " ".join(found.evidence.values())


@pytest.mark.parametrize("login_type", ["INTERNAL", "internal", "LDAP", "", None, "AD"])
async def test_only_a_pbx_with_active_directory_sees_a_password(trap: Trap, login_type: str | None) -> None:
    """A word that nobody knows, or none, gets the hash."""
    trap.answers = {"GET /rest/login": {"loginType": login_type, "nonce": "n"}, "POST /rest/login": {}}
    trap.status = 200
    sent: list[Any] = []

    rest = trap.rest()
    original = rest.http.request

    def note(method: str, url: str, **options: Any) -> Any:
        sent.append(options.get("json"))
        return original(method, url, **options)

    rest.http.request = note  # type: ignore[method-assign]
    with pytest.raises(PbxError):
        await rest.own_login.headers(rest.http)
    await rest.close()
    (template,) = [body for body in sent if body]
    assert template["secret"].startswith("0001:") and len(template["secret"]) == len("0001:") + 128
    assert not sees_password(str(login_type or ""))


def test_active_directory_is_recognised_in_any_case() -> None:
    for name in ("ActiveDirectory", "activedirectory", "ACTIVEDIRECTORY", " ActiveDirectory "):
        assert sees_password(name)


async def test_each_uci_login_keeps_its_own_cookies(trap: Trap) -> None:
    """UCI binds a login to its cookie: by one jar, a question about Anna would go out with Ben's session."""
    seen: list[tuple[str, str]] = []

    async def uci(request: web.Request) -> web.Response:
        user = request.query["de.vertico.starface.user"]
        seen.append((user, request.headers.get("Cookie", "")))
        body = "<methodResponse><params><param><value><boolean>1</boolean></value></param></params></methodResponse>"
        response = web.Response(text=body, content_type="text/xml")
        if not request.headers.get("Cookie"):
            response.set_cookie("JSESSIONID", f"of-{user}")
        return response

    app = web.Application()
    app.router.add_post("/xml-rpc", uci)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rest = trap.rest(
        url=f"http://127.0.0.1:{runner.addresses[0][1]}"
    )  # by IP address, as most people write it

    def session(user: str) -> UciSession:
        async def query(_http: Any) -> dict[str, str]:
            return {"de.vertico.starface.user": user}

        return UciSession(rest, Callbacks(UciSection()), query, lambda *_: None, lambda _: None)

    anna, ben = session("anna"), session("ben")
    for _ in range(2):
        await asyncio.gather(*(one.call("ucp.v22.requests.connection.keepAlive") for one in (anna, ben)))
    assert sorted(seen) == [
        ("anna", ""),
        ("anna", "JSESSIONID=of-anna"),
        ("ben", ""),
        ("ben", "JSESSIONID=of-ben"),
    ]
    await rest.close()
    await runner.cleanup()


async def test_a_cookie_is_renewed_however_many_there_are(trap: Trap) -> None:
    """A PBX that renews its session id would otherwise get the old one for ever."""
    seen: list[SimpleCookie] = []

    async def uci(request: web.Request) -> web.Response:
        seen.append(SimpleCookie(request.headers.get("Cookie", "")))
        body = "<methodResponse><params><param><value><boolean>1</boolean></value></param></params></methodResponse>"
        response = web.Response(text=body, content_type="text/xml")
        response.set_cookie("JSESSIONID", f"number-{len(seen)}")
        for number in range(2 * MAX_COOKIES):
            response.set_cookie(f"other-{number}", "x")
        return response

    app = web.Application()
    app.router.add_post("/xml-rpc", uci)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rest = trap.rest(url=f"http://127.0.0.1:{runner.addresses[0][1]}")

    async def query(_http: Any) -> dict[str, str]:
        return {"de.vertico.starface.user": "anna"}

    session = UciSession(rest, Callbacks(UciSection()), query, lambda *_: None, lambda _: None)
    for _ in range(3):
        await session.call("ucp.v22.requests.connection.keepAlive")
    assert [sent["JSESSIONID"].value for sent in seen[1:]] == ["number-1", "number-2"]
    assert {len(sent) for sent in seen[1:]} == {MAX_COOKIES}
    await rest.close()
    await runner.cleanup()
