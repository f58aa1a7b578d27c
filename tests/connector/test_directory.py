"""The directory of users: few requests however many users, every change reported, nothing concluded from a fault."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from connector.config import Pbx
from connector.directory import Directory
from connector.errors import PbxError
from connector.rest import StarfaceRest
from simulator.people import ADMINISTRATOR_PERMISSION, LICENCE_PERMISSION
from simulator.starface.model import Settings, Starface
from simulator.starface.server import create
from tests.support.world import free_ports

USERS = 2000


class Place:
    def __init__(self, url: str, http: aiohttp.ClientSession, rest: StarfaceRest) -> None:
        self.url, self._http, self.rest = url, http, rest

    async def control(self, method: str, path: str, body=None):
        async with self._http.request(method, f"{self.url}/control/{path}", json=body) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    async def requests(self) -> int:
        return (await self.control("GET", "state"))["requests"]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    app = create(Settings())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    port = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    url = f"http://127.0.0.1:{port}"
    rest = StarfaceRest(Pbx(name="pbx.example.com", url=url, login="0001", password=SecretStr("foobar")))
    async with aiohttp.ClientSession() as http:
        yield Place(url, http, rest)
    await rest.close()
    await runner.cleanup()


async def test_a_change_is_reported_until_it_is_taken(place: Place) -> None:
    directory = Directory(place.rest, active=True, every=0.05)
    reading = asyncio.create_task(directory.run())
    try:
        (anna,) = (await directory.people("anna", [])).users
        assert anna.group_ids == (1,) and not anna.has_licence_permission
        permissions = {"permissions": [LICENCE_PERMISSION, ADMINISTRATOR_PERMISSION]}
        await place.control("PATCH", f"users/{anna.login}", permissions)
        await asyncio.wait_for(directory.changed.wait(), 5)
        (portion,) = directory.unreported()
        (changed,) = portion.users
        assert changed.user_id == anna.user_id
        assert changed.has_licence_permission and changed.is_administrator
        assert directory.unreported() == [portion]
        directory.reported(portion)
        assert directory.unreported() == []

        directory.changed.clear()
        await place.control("DELETE", f"users/{anna.login}")
        await asyncio.wait_for(directory.changed.wait(), 5)
        assert [portion.gone for portion in directory.unreported()] == [[anna.user_id]]
        assert await directory.by_ids([anna.user_id]) == []
    finally:
        reading.cancel()


async def test_two_thousand_users_cost_a_handful_of_requests(place: Place) -> None:
    for number in range(USERS):
        await place.control(
            "POST", "users", {"login": f"u{number}", "password": "x", "firstName": f"U {number}"}
        )
    directory = Directory(place.rest, active=True)
    await directory.people("", [])
    before = await place.requests()
    assert len(await directory._rest.all_users({})) > USERS
    for_one_reading = await place.requests() - before
    assert for_one_reading == 4  # users, permissions, and who holds each of the two


async def test_a_list_without_the_connector_itself_is_not_believed(place: Place) -> None:
    directory = Directory(place.rest, active=True)
    await directory.by_ids([1])
    await place.control("DELETE", "users/0001")
    with pytest.raises(PbxError):
        await place.rest.all_users({})
    assert directory.unreported() == []


def test_the_simulator_has_a_group_to_show() -> None:
    assert [group.name for group in Starface(Settings()).groups.values()] == ["Vertrieb"]
