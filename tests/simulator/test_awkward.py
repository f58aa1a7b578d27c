"""The awkward side of the simulated STARFACE: each behaviour can be switched, says its source, and shows on the wire."""

import asyncio
import xmlrpc.client
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from connector.login import internal_secret, uci_token
from simulator.starface.awkward import ASSUMED, CATALOGUE
from simulator.starface.model import Settings
from tests.support.starface import running_starface
from tests.support.world import eventually, free_ports


class Pbx:
    def __init__(self, http: aiohttp.ClientSession, port: int) -> None:
        self.http = http
        self.url = f"http://127.0.0.1:{port}"

    async def put(self, name: str, on: Any = True) -> int:
        body = {"name": name, "on": on}
        async with self.http.put(f"{self.url}/control/awkward", json=body) as answer:
            return answer.status

    async def log_in(self, password: str = "foobar") -> tuple[int, Any]:
        async with self.http.get(f"{self.url}/rest/login") as response:
            template = await response.json()
        template["secret"] = internal_secret("0001", template["nonce"], password)
        async with self.http.post(f"{self.url}/rest/login", json=template) as response:
            return response.status, await response.json()

    async def get(self, path: str) -> Any:
        headers = {"authToken": (await self.log_in())[1]["token"]}
        async with self.http.get(f"{self.url}/rest{path}", headers=headers) as response:
            return await response.json()

    async def uci(self, method: str, *params: Any, **query: str) -> Any:
        address = {f"de.vertico.starface.{name}": value for name, value in query.items()}
        body = xmlrpc.client.dumps(params, methodname=method)
        url = f"{self.url}/xml-rpc?{urlencode(address)}"
        async with self.http.post(url, data=body) as response:
            return xmlrpc.client.loads(await response.text())[0][0]


@pytest.fixture
async def pbx() -> AsyncIterator[Pbx]:
    cookies = aiohttp.DummyCookieJar()
    async with running_starface() as port, aiohttp.ClientSession(cookie_jar=cookies) as http:
        yield Pbx(http, port)


async def test_every_behaviour_is_listed_with_its_source(pbx: Pbx) -> None:
    async with pbx.http.get(f"{pbx.url}/control/awkward") as answer:
        listed = await answer.json()
    assert {one["name"] for one in listed} == set(CATALOGUE)
    assert all(one["source"] and one["what"] for one in listed)
    assert any(one["source"] == ASSUMED for one in listed)


async def test_an_unknown_behaviour_is_refused(pbx: Pbx) -> None:
    assert await pbx.put("no-such-thing") == 404


async def test_a_reset_ends_every_behaviour(pbx: Pbx) -> None:
    await pbx.put("html", {"status": 503})
    async with pbx.http.get(f"{pbx.url}/rest/login") as answer:
        assert answer.status == 503
    async with pbx.http.delete(f"{pbx.url}/control/awkward"):
        assert (await pbx.log_in())[0] == 200


async def test_the_blacklist_ignores_an_address_after_refused_logins(pbx: Pbx) -> None:
    await pbx.put("blacklist", {"failures": 2, "seconds": 600})
    for _attempt in range(2):
        assert (await pbx.log_in("wrong"))[0] == 400
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await pbx.log_in()


async def test_a_good_login_keeps_an_address_off_the_blacklist(pbx: Pbx) -> None:
    await pbx.put("blacklist", {"failures": 2})
    assert (await pbx.log_in())[0] == 200
    for _attempt in range(5):
        assert (await pbx.log_in("wrong"))[0] == 400


async def test_permissions_have_english_names_on_an_english_system(pbx: Pbx) -> None:
    await pbx.put("permission-names", {"language": "en"})
    names = {one["permission"] for one in await pbx.get("/permissions")}
    assert "API access with Password Grant" in names


async def test_a_single_answer_can_be_replaced_for_a_number_of_times(pbx: Pbx) -> None:
    rule = {"path": "/rest/users/me$", "status": 200, "body": None, "times": 1}
    async with pbx.http.put(f"{pbx.url}/control/answers", json=[rule]):
        assert await pbx.get("/users/me") is None
        assert (await pbx.get("/users/me"))["login"] == "0001"


async def test_a_token_alone_is_enough_for_uci(pbx: Pbx) -> None:
    """As six independent clients send it, the vendor's own SugarCRM connector among them."""
    token = uci_token("1001", "anna-1001")
    assert await pbx.uci("ucp.v30.requests.connection.login", auth=token) is True
    assert await pbx.uci("ucp.v30.requests.connection.keepAlive", auth=token) is True


async def test_logging_out_is_always_true_and_an_unknown_call_is_empty(pbx: Pbx) -> None:
    token = uci_token("1001", "anna-1001")
    assert await pbx.uci("ucp.v30.requests.connection.logout", auth=token) is True
    await pbx.uci("ucp.v30.requests.connection.login", auth=token)
    assert await pbx.uci("ucp.v30.requests.call.getCallState", "unknown", auth=token) == {}
    assert await pbx.uci("ucp.v30.requests.call.hangupCall", "unknown", auth=token) is False


async def test_events_come_with_the_query_that_the_pbx_appends(pbx: Pbx) -> None:
    """And the first event of a call has no state yet (IAH, ESPO, SPICE)."""
    received: list[tuple[dict[str, str], dict[str, Any]]] = []

    async def take(request: web.Request) -> web.Response:
        ((call,), _method) = xmlrpc.client.loads(await request.text())
        received.append((dict(request.query), call))
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/events", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    callback = {"callback.host": "127.0.0.1", "callback.port": str(port), "callback.path": "/events"}
    token = uci_token("1001", "anna-1001")
    await pbx.uci("ucp.v22.requests.connection.login", auth=token, **callback)
    await pbx.uci("ucp.v22.requests.service.subscribeEvents", "ucp.v22.events.call", auth=token, **callback)
    body = {"login": "1001", "callerNumber": "0123", "direction": "out", "group": "7"}
    async with pbx.http.post(f"{pbx.url}/control/calls", json=body) as answer:
        call_id = (await answer.json())["id"]
    for act in ("alert", "connect", "hangup"):
        async with pbx.http.post(f"{pbx.url}/control/calls/{call_id}/{act}") as answer:
            assert answer.status == 200

    async def all_there() -> bool:
        return len(received) == 5

    await eventually(all_there, "five events")
    states = [call["state"] for _query, call in received]
    assert states == ["", "PROCEEDING", "RINGBACK", "CONNECTED", "HANGUP"]
    assert {query["de.vertico.starface.auth"] for query, _call in received} == {token}
    assert received[1][1]["groupID"] == "7"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("grant", "status"),
    [({"scope": "login"}, 200), ({}, 200), ({"scope": "other"}, 400)],
)
async def test_a_refresh_needs_no_scope(grant: dict[str, str], status: int) -> None:
    basic = {"Authorization": aiohttp.encode_basic_auth("rest-client-headless", "headless-secret")}
    form = {"grant_type": "password", "username": "0001", "password": "foobar", "scope": "login"}
    settings = Settings(version="10.0.1.6", oauth=True)
    async with running_starface(settings) as port, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{port}/auth/realms/pbx/oauth2/token"
        async with http.post(url, data=form, headers=basic) as answer:
            refresh = (await answer.json())["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": refresh} | grant
        async with http.post(url, data=form, headers=basic) as answer:
            assert answer.status == status
