"""The module page of a running connector under attack, with two people at once, and on a full disk."""

import asyncio
import base64
import json
import re
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.config import load
from tests.support.module_page import Place, Visitor, module_page
from tests.support.world import eventually

FULL = 200
"""A limit in bytes below which nothing fits that the connector writes."""


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with module_page(tmp_path) as place:
        yield place


def licence(serial: str) -> str:
    """Return what has the form of a licence key; only the service verifies it."""
    content = json.dumps({"serial": serial, "seats": 5, "until": "2099-01-01"}).encode()
    return f"eyJhIjoxfQ.{base64.urlsafe_b64encode(content).rstrip(b'=').decode()}.c2ln"


async def change_as_stranger(visitor: Visitor, **headers: str) -> int:
    status, _ = await visitor.post("act", {"action": "inactive"}, **headers)
    return status


async def test_no_stranger_changes_anything(place: Place) -> None:
    before = place.connector.configuration.read_text()
    async with place.visitor() as visitor, place.visitor() as other:
        port = visitor.base.rpartition(":")[2]
        assert await change_as_stranger(visitor, Host=f"evil.example:{port}") == 421
        for origin in ("http://evil.example", "null", f"http://evil.example:{port}", "http://127.0.0.1:1"):
            assert await change_as_stranger(visitor, Origin=origin) == 403
        own, visitor.csrf = visitor.csrf, other.csrf
        assert await change_as_stranger(visitor) == 403
        visitor.csrf = ""
        assert await change_as_stranger(visitor) == 403
        visitor.csrf = own
        for path in ("support-file", "key-file"):
            async with visitor.http.get(f"{visitor.base}{visitor.root}{path}") as answer:
                assert answer.status == 405, "no link on another page starts it"
        root, visitor.root = visitor.root, other.root  # the path alone opens nothing
        assert await change_as_stranger(visitor) == 401
        visitor.root = root
        assert place.connector.configuration.read_text() == before
        assert len(place.hub.hellos) == 1
        status, page = await visitor.act("inactive")
        assert (
            status == 200
            and "Done." in page
            and "active = false" in place.connector.configuration.read_text()
        )


@pytest.mark.parametrize(
    "form",
    [
        {"action": "new-key", "hours": "9" * 500_000},
        {"action": "new-key", "hours": "\u0661"},
        {"action": "new-key", "hours": "-1"},
        {"action": "add-licence", "licence": "a." * 250_000},
        {"action": "add-licence", "licence": "\x00\ud7ff.\x1b[2J.x"},
        {"action": "remove-licence", "key": "nonsense"},
        {"action": "no-such-act"},
        {"action": "x" * 500_000},
        {},
    ],
)
async def test_nonsense_changes_nothing(place: Place, form: dict[str, str]) -> None:
    before = place.connector.configuration.read_text(), place.connector.state.pbx_key()
    async with place.visitor() as visitor:
        status, page = await visitor.post("act", form)
        assert status == 200 and "Module configuration" in page
        assert (place.connector.configuration.read_text(), place.connector.state.pbx_key()) == before
        assert "Traceback" not in place.connector.log.read_text()


async def test_two_people_who_act_at_once_lose_nothing(place: Place) -> None:
    serials = [f"TWO-{number}" for number in range(8)]
    async with place.visitor() as one, place.visitor() as two:
        await asyncio.gather(
            *(
                (one, two)[number % 2].act("add-licence", licence=licence(serial))
                for number, serial in enumerate(serials)
            ),
            two.act("uci-off"),
            one.act("key"),
        )
        page = await one.read()
        assert [serial for serial in serials if f"{serial}: 5 seats" not in page] == []
        assert not load(place.connector.configuration).uci.enabled
        ids = re.findall(r'name="key" value="([0-9a-f]+)"', page)
        assert len(ids) == len(serials)
        await asyncio.gather(
            *((one, two)[number % 2].act("remove-licence", key=key) for number, key in enumerate(ids))
        )
        assert load(place.connector.configuration).licences.keys == ()


async def test_on_a_full_disk_the_page_reports_it_and_nothing_is_lost(place: Place) -> None:
    connector = place.connector
    before = connector.configuration.read_text(), connector.state.pbx_key()
    async with place.visitor() as visitor:
        unlimited = resource.prlimit(connector.pid, resource.RLIMIT_FSIZE, (FULL, resource.RLIM_INFINITY))
        for action, form in (
            ("inactive", {}),
            ("uci-off", {}),
            ("add-licence", {"licence": licence("FULL-1")}),
        ):
            status, page = await visitor.act(action, **form)
            assert status == 200 and "This was not possible" in page and "cannot write" in page, action
            assert "FULL-1: 5 seats" not in page
        _, page = await visitor.act("key")
        assert 'id="pbx-key"' in page, "what needs no disk works on"
        assert (connector.configuration.read_text(), connector.state.pbx_key()) == before
        assert sorted(one.name for one in connector.directory.glob("connector.toml*")) == ["connector.toml"]
        assert len(place.hub.hellos) == 1, "the link has stayed"
        resource.prlimit(connector.pid, resource.RLIMIT_FSIZE, unlimited)
        _, page = await visitor.act("inactive")
        assert "Done." in page
        config = load(connector.configuration)
        assert not config.active and config.uci.enabled and config.licences.keys == ()


async def test_a_body_that_never_ends_keeps_nobody_else_waiting(place: Place) -> None:
    async with place.visitor() as visitor:
        port = int(visitor.base.rpartition(":")[2])
        cookies = "; ".join(f"{one.key}={one.value}" for one in visitor.http.cookie_jar)
        hanging = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        for _, writer in hanging:
            writer.write(
                f"POST {visitor.root}act HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {visitor.base}\r\n"
                f"Cookie: {cookies}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                "Content-Length: 500000\r\n\r\naction=inac".encode()
            )
            await writer.drain()

        async def is_served() -> bool:
            return "Done." in (await visitor.act("uci-off"))[1]

        await eventually(is_served, "the page works on", 20)
        for _, writer in hanging:
            writer.close()
        assert load(place.connector.configuration).active
