"""The tool for people with a real STARFACE, against the simulated one: it sees what happens and prints nobody's number."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from simulator.starface import rest, uci
from simulator.starface.awkward import ASSUMED, Awkward
from simulator.starface.model import Settings
from simulator.starface.server import create

ROOT = Path(__file__).parents[2]
CALLER, CALLER_NAME = "00493023125901", "Jürgen Lindner"


@pytest.fixture
async def pbx() -> AsyncIterator[str]:
    async with TestServer(create(Settings())) as server:
        yield str(server.make_url("/")).rstrip("/")


async def start(pbx: str, *arguments: str, login: str = "1001") -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "infra/look_at_starface.py", pbx, login, *arguments),
        cwd=ROOT,
        env=os.environ | {"STARFACE_PASSWORD": "anna-1001"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def look(pbx: str, *arguments: str, login: str = "1001") -> tuple[Any, str]:
    process = await start(pbx, *arguments, login=login)
    out, err = await process.communicate()
    return (json.loads(out) if out else None), err.decode()


async def test_it_tells_what_the_pbx_offers(pbx: str) -> None:
    offered, _ = await look(pbx, "ask", "service.getProvidedRequests")
    assert any("call" in name for name in offered)


async def test_a_call_list_without_names_and_numbers(pbx: str) -> None:
    params = [{"time": "20301231T00:00:00"}, {"time": "20200101T00:00:00"}, "", "", "NON_GROUP"]
    sent = json.dumps([*params, "startTime", "DESCENDING", 0, 100])
    found, _ = await look(pbx, "ask", "callList.getCallList", sent)
    assert found["totalCount"] == 8 and len(found["entries"]) == 8
    assert not re.search(r"\d{6}nnn.*Lindner|0049302312|Lindner", json.dumps(found, ensure_ascii=False))
    assert any(entry["callerNumber"].startswith("0049nn") for entry in found["entries"])


async def test_redirects_by_rest(pbx: str) -> None:
    redirects, _ = await look(pbx, "rest", "GET", "/redirects")
    assert redirects and {"id", "enabled"} <= redirects[0].keys()


async def test_a_wrong_password_is_said_and_shows_no_token(pbx: str) -> None:
    found, err = await look(pbx, "ask", "phone.getPhoneIds", login="1002")
    assert "fault" in found or "40" in err
    assert "auth" not in err


async def test_it_watches_a_call_and_masks_who_calls(pbx: str) -> None:
    process = await start(pbx, "watch", "--host", "127.0.0.1", "--seconds", "120", "ucp.v22.events.call")
    assert process.stdout is not None and process.stderr is not None
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as http:
            while b"ucp.v22.events.call: True" not in await process.stderr.readline():
                pass
            body = {"called": "1001", "callerNumber": CALLER, "callerName": CALLER_NAME}
            async with http.post(f"{pbx}/control/incoming", json=body) as answer:
                (call,) = (await answer.json())["calls"]
            async with http.post(f"{pbx}/control/calls/{call['id']}/hangup") as answer:
                assert answer.status < 300
            lines: list[str] = []
            while not lines or '"HANGUP"' not in lines[-1]:
                lines.append((await process.stdout.readline()).decode())
    finally:
        process.kill()
        await process.communicate()
    heard = "".join(lines)
    assert '"RINGING"' in heard and "0049nnnnnnnnnn" in heard
    assert CALLER not in heard and "Lindner" not in heard


def test_the_list_names_everything_that_the_simulator_assumes() -> None:
    """An assumption that is added gets a row in docs/facts/to-verify.md."""
    document = (ROOT / "docs/facts/to-verify.md").read_text()
    marked = [*rest.behaviours(), *uci.behaviours()]
    assumed = {one["name"] for one in marked if one["source"] == ASSUMED}
    awkward = {one["name"] for one in Awkward().listed() if one["source"] == ASSUMED}
    awkward = {name for name in awkward if name.startswith("uci-")}
    assert not {name for name in assumed | awkward if f"`{name}`" not in document}
