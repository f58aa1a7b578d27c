"""The REST and UCI clients against a simulated STARFACE, as an older system and as version 10."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connector.calls import Calls
from connector.config import PbxSection, UciSection
from connector.errors import LoginRejectedError, PbxLoginFailedError, PbxUnreachableError
from connector.login import internal_secret, uci_token
from connector.logins import Logins
from connector.readings import Readings
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from connector.uci import Callbacks, UciClient
from simulator.people import ADMINISTRATOR_PERMISSION, LICENCE_PERMISSION
from simulator.starface.model import CLIENT_SECRET, LoginType, Settings
from tests.support.starface import running_starface
from tests.support.world import eventually
from wire.link import CallsCredentials, UciState

SYSTEMS = {
    "6.7 Internal": Settings(version="6.7.3.20"),
    "6.7 ActiveDirectory": Settings(version="6.7.3.20", login_type=LoginType.ACTIVE_DIRECTORY),
    "8 Internal": Settings(version="8.1.0.5"),
    "10 OAuth": Settings(version="10.0.1.6", oauth=True),
}


class System:
    def __init__(self, settings: Settings, port: int) -> None:
        self.settings = settings
        self.url = f"http://127.0.0.1:{port}"
        self.http = aiohttp.ClientSession()

    def rest(self, password: str = "foobar", **changes: Any) -> StarfaceRest:
        values: dict[str, Any] = {"name": "p", "url": self.url, "login": "0001", "password": password}
        if self.settings.oauth:
            values |= {"auth": "oauth", "oauth_client_secret": CLIENT_SECRET}
        return StarfaceRest(PbxSection(**(values | changes)))

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with self.http.request(method, f"{self.url}/control/{path}", json=body) as answer:
            return await answer.json()


@pytest.fixture(params=SYSTEMS)
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    from dataclasses import replace

    settings = replace(SYSTEMS[request.param])
    async with running_starface(settings) as port:
        system = System(settings, port)
        yield system
        await system.http.close()


async def test_a_users_password_is_proven_with_rights_and_licence(system: System) -> None:
    rest = system.rest()
    clara = await rest.prove_password("1003", "clara-1003")
    assert (clara.display_name, clara.email) == ("Clara Vogt", "clara.vogt@example.com")
    assert (clara.is_administrator, clara.has_licence_permission) == (True, False)
    ben = await rest.prove_password("1002", "ben-1002")
    assert (ben.is_administrator, ben.has_licence_permission) == (False, True)
    with pytest.raises(LoginRejectedError):
        await rest.prove_password("1003", "wrong")
    await rest.close()


async def test_the_challenge_of_the_pbx_itself(system: System) -> None:
    rest = system.rest()
    login_type, nonce = await rest.login_challenge()
    assert login_type == system.settings.login_type
    if login_type == LoginType.INTERNAL:
        user = await rest.prove_challenge(nonce, internal_secret("1001", nonce, "anna-1001"))
        assert user.login == "1001"
        with pytest.raises(LoginRejectedError):
            await rest.prove_challenge(nonce, internal_secret("1001", nonce, "anna-1001"))
    await rest.close()


async def test_users_are_found_by_id_and_email(system: System) -> None:
    rest = system.rest()
    found = await rest.users_by_email("ANNA.berger@example.com")
    assert [user.login for user in found] == ["1001"]
    same = await rest.user(found[0].user_id)
    assert same == found[0]
    assert await rest.user(4711) is None
    assert await rest.users_by_email("nobody@example.com") == []
    await rest.close()


async def test_an_address_that_hundreds_share_costs_the_pbx_no_more_than_one_that_two_share(
    system: System,
) -> None:
    """F16: two are enough to know that nobody is signed in by it."""
    for number in range(300):
        body = {"login": f"5{number:03}", "email": "office@example.com", "password": "p"}
        await system.control("POST", "users", body)
    rest = system.rest()
    await rest.users_by_email("nobody@example.com")
    before = (await system.control("GET", "state"))["requests"]
    assert len(await rest.users_by_email("office@example.com")) == 2
    assert (await system.control("GET", "state"))["requests"] - before <= 5
    await rest.close()


async def test_an_expired_token_is_renewed_without_anyone_noticing(system: System) -> None:
    rest = system.rest()
    await rest.check()
    await system.control("POST", "tokens/expire")
    await rest.check()
    await rest.close()


async def test_a_wrong_login_of_the_connector_is_distinguished_from_an_absent_pbx(system: System) -> None:
    rest = system.rest(password="wrong")
    with pytest.raises(PbxLoginFailedError):
        await rest.check()
    await rest.close()
    rest = system.rest()
    await system.control("PATCH", "settings", {"reachable": False})
    with pytest.raises(PbxUnreachableError):
        await rest.check()
    await system.control("PATCH", "settings", {"reachable": True})
    await rest.check()
    await rest.close()


async def test_the_version_by_rest_or_by_uci(system: System) -> None:
    rest = system.rest()
    uci = UciClient(UciSection(), rest, asyncio.Event(), Readings(lambda: None))
    told = await rest.version()
    assert told == (None if system.settings.version.startswith("6") else system.settings.version)
    assert await uci.server_version() == system.settings.version
    await rest.close()


async def test_permissions_are_found_by_any_name(system: System) -> None:
    rest = system.rest(licence_permission="rufumleitungen", administrator_permission=LICENCE_PERMISSION)
    await system.control(
        "PATCH", "users/1001", {"permissions": ["Rufumleitungen", "API Zugriff mit OAuth Password Grant"]}
    )
    (anna,) = await rest.users_by_email("anna.berger@example.com")
    assert (anna.has_licence_permission, anna.is_administrator) == (True, False)
    assert ADMINISTRATOR_PERMISSION != "rufumleitungen"
    await rest.close()


async def test_call_events_arrive_and_come_back_after_a_loss(system: System) -> None:
    rest = system.rest()
    uci = UciClient(UciSection(), rest, asyncio.Event(), Readings(lambda: None), keep_alive=0.2)
    running = asyncio.create_task(uci.run())

    async def is_on() -> bool:
        return uci.state is UciState.ON

    await eventually(is_on, "UCI is connected")
    call = await system.control(
        "POST", "calls", {"login": "0001", "callerNumber": "+49123", "callerName": "Jürgen"}
    )

    async def rang() -> bool:
        return uci.last_event is not None and uci.last_event["state"] == "INCOMING"

    await eventually(rang, "the event arrives")
    assert uci.last_event is not None and uci.last_event["callerName"] == "Jürgen"
    await system.control("POST", f"calls/{call['id']}/connect")
    await system.control("POST", f"calls/{call['id']}/hangup")

    async def all_four() -> bool:
        return uci.events_received == 4

    await eventually(all_four, "without a state, ringing, connected, ended")
    await system.control("POST", "uci/drop")

    async def subscribed_again() -> bool:
        return bool((await system.control("GET", "state"))["uciLogins"].get("0001"))

    await eventually(subscribed_again, "it subscribes again", seconds=20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await system.control("GET", "state"))["uciLogins"] == {}
    await rest.close()


async def test_a_wrong_oauth_client_is_the_connectors_fault_not_the_users() -> None:
    async with running_starface(Settings(version="10.0.0.1", oauth=True)) as port:
        system = System(Settings(oauth=True), port)
        rest = system.rest(oauth_client_secret="wrong")
        with pytest.raises(PbxLoginFailedError, match="invalid_client"):
            await rest.check()
        await rest.close()
        await system.http.close()


@pytest.mark.parametrize("system", ["6.7 Internal"], indirect=True)
async def test_users_without_a_call_are_reported_among_those_followed(system: System, tmp_path: Path) -> None:
    rest, callbacks = system.rest(), Callbacks(UciSection())
    await callbacks.start()
    calls = Calls(Logins(rest, callbacks, ConnectorState(tmp_path)))
    for user_id, login, password in ((1, "1001", "anna-1001"), (2, "1002", "ben-1002")):
        await calls.follow(user_id, CallsCredentials(login=login, uci_token=uci_token(login, password)))

    async def over() -> list[int]:
        return await calls.over([1, 2, 3])

    await eventually(lambda: _is(over, [1, 2]), "both are logged in; nobody follows the third")
    call = (await system.control("POST", "calls", {"login": "1001"}))["id"]
    assert await over() == [2], "a call that rings is one"
    await system.control("POST", f"calls/{call}/connect")
    assert await over() == [2]
    await system.control("POST", f"calls/{call}/hangup")
    assert await over() == [1, 2]
    await system.control("PATCH", "settings", {"uci": False})
    assert await over() == [], "the PBX does not say"
    await calls.keep_only([])
    await callbacks.stop()
    await rest.close()


async def _is(found: Any, wanted: Any) -> bool:
    return bool(await found() == wanted)
