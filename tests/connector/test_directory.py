"""The directory of users: few requests however many users, every change reported, nothing concluded from a fault."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from connector.config import PbxSection
from connector.directory import READ_SECONDS, Directory
from connector.errors import PbxError
from connector.readings import Readings
from connector.rest import StarfaceRest
from simulator.people import ADMINISTRATOR_PERMISSION, LICENCE_PERMISSION
from simulator.starface.model import Settings, Starface
from tests.support.starface import running_starface

USERS, GROUPS = 1000, 30


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
    async with running_starface() as port, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{port}"
        rest = StarfaceRest(
            PbxSection(name="pbx.example.com", url=url, login="0001", password=SecretStr("foobar"))
        )
        yield Place(url, http, rest)
        await rest.close()


async def test_a_change_is_reported_until_it_is_taken(place: Place) -> None:
    directory = Directory(place.rest, Readings(lambda: None), active=True, every=0.05)
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


async def test_a_large_site_costs_six_requests_a_minute(place: Place) -> None:
    for number in range(USERS):
        await place.control(
            "POST", "users", {"login": f"u{number}", "password": "x", "firstName": f"U {number}"}
        )
    for number in range(GROUPS):
        await place.control("POST", "groups", {"name": f"Group {number}", "logins": [f"u{number}"]})
    directory = Directory(place.rest, Readings(lambda: None), active=True)
    await directory.people("", [])
    assert len(directory._users or {}) > USERS and len(directory._groups) == GROUPS + 1
    # Users, who holds each of the two permissions, and two for groups.
    for _turn in range(4):
        before = await place.requests()
        await directory._read()
        assert await place.requests() - before == 5
    assert 5 * 60 / READ_SECONDS <= 6


async def test_a_new_group_is_found_and_a_changed_one_in_turn(place: Place) -> None:
    await place.control("POST", "users", {"login": "u1", "password": "x"})
    for number in range(4):
        await place.control("POST", "groups", {"name": f"Group {number}", "logins": []})
    directory = Directory(place.rest, Readings(lambda: None), active=True)
    await directory.people("", [])
    (user_id,) = [user.user_id for user in (directory._users or {}).values() if user.login == "u1"]
    await place.control("POST", "groups", {"name": "New", "logins": ["u1"]})
    await place.control("PATCH", "groups/2", {"logins": ["u1"]})
    for _turn in range(4):
        await directory._read()
    assert set(directory.groups_of(user_id)) == {2, 6}


async def test_a_list_without_the_connector_itself_is_not_believed(place: Place) -> None:
    directory = Directory(place.rest, Readings(lambda: None), active=True)
    await directory.by_ids([1])
    await place.control("DELETE", "users/0001")
    with pytest.raises(PbxError):
        await directory._read()
    assert directory.unreported() == []


def test_the_simulator_has_a_group_to_show() -> None:
    assert [group.name for group in Starface(Settings()).groups.values()] == ["Vertrieb"]
