"""The simulated STARFACE against the vendor's own description of REST 6.7, where that file is at hand."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
import yaml
from aiohttp import web

from connector.login import internal_secret
from simulator.starface.model import Settings
from simulator.starface.server import create
from tests.support.world import free_ports

DESCRIPTION = Path(__file__).parents[3] / "shared" / "starface" / "starface-rest-6.7.yaml"

GETS = (
    "/login",
    "/users",
    "/users?searchTerm=anna",
    "/users?",
    "/users/me",
    "/users/2",
    "/users/999",
    "/permissions",
    "/permissions/users/2",
    "/permissions/users/999",
    "/permissions/2/users",
    "/permissions/999/users",
)


@pytest.fixture
async def rest_url() -> AsyncIterator[str]:
    port = free_ports(1)
    runner = web.AppRunner(create(Settings(version="6.7.0.22")), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/rest"
    await runner.cleanup()


async def log_in(http: aiohttp.ClientSession, rest_url: str, password: str = "foobar") -> tuple[int, Any]:
    async with http.get(f"{rest_url}/login") as response:
        template = await response.json()
    assert template["nonce"]
    template["secret"] = internal_secret("0001", template["nonce"], password)
    async with http.post(f"{rest_url}/login", json=template) as response:
        return response.status, await response.json()


async def test_what_vendor_clients_insist_on(rest_url: str) -> None:
    async with aiohttp.ClientSession() as http:
        status, body = await log_in(http, rest_url)
        assert status == 200 and body["token"]
        headers = {"authToken": body["token"], "X-Version": "2"}
        async with http.get(f"{rest_url}/users?", headers=headers) as response:
            assert response.status == 200 and isinstance(await response.json(), list)
        async with http.get(f"{rest_url}/users") as response:
            assert response.status == 401 and set(await response.json()) == {"code", "message"}
        async with http.delete(f"{rest_url}/login", headers=headers) as response:
            assert response.status == 204
        async with http.get(f"{rest_url}/users", headers=headers) as response:
            assert response.status == 401
        assert (await log_in(http, rest_url, "wrong"))[0] == 400


if DESCRIPTION.is_file():  # the vendor's licence keeps it out of the project

    def schema_of(path: str, method: str, status: int) -> dict[str, Any] | None:
        document = yaml.safe_load(DESCRIPTION.read_text())
        wanted = path.split("?")[0].split("/")[1:]
        for template, operations in document["paths"].items():
            parts = template.strip("/").split("/")
            fits = len(parts) == len(wanted) and all(
                part == have or (part.startswith("{") and have.isdigit())
                for part, have in zip(parts, wanted, strict=True)
            )
            if fits:
                response = operations[method]["responses"][status]
                schema = response.get("schema")
                return schema | {"definitions": document["definitions"]} if schema else {}
        return None

    @pytest.mark.parametrize("path", GETS)
    async def test_answers_are_as_the_vendor_describes(rest_url: str, path: str) -> None:
        async with aiohttp.ClientSession() as http:
            _, body = await log_in(http, rest_url)
            async with http.get(rest_url + path, headers={"authToken": body["token"]}) as response:
                schema = schema_of(path, "get", response.status)
                assert schema is not None
                if response.status == 200:
                    answer = await response.json()
                    if path == "/login":
                        answer = {name: value for name, value in answer.items() if value is not None}
                    jsonschema.validate(answer, schema)

    async def test_the_login_is_as_the_vendor_describes(rest_url: str) -> None:
        async with aiohttp.ClientSession() as http:
            for password, status in (("foobar", 200), ("wrong", 400)):
                answered, body = await log_in(http, rest_url, password)
                assert answered == status
                jsonschema.validate(body, schema_of("/login", "post", status))
