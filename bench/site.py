"""Measures a large site: 5,000 users, 300 groups, and a PBX that takes 0.4 s for each answer.

The first read is compared with a bare client that fetches the same answers with the same concurrency. It also
measures the requests a minute that the reads need, and how soon the connector ends on SIGTERM while its PBX hangs.
"""

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from pydantic import SecretStr

from bench.report import Bar, Report
from connector.config import PbxSection
from connector.directory import READ_SECONDS, Directory
from connector.login import internal_secret
from connector.readings import Readings
from connector.rest import REQUESTS_AT_ONCE, StarfaceRest
from tests.support.world import eventually, free_ports

USERS: Final = 5000
GROUPS: Final = 300
ANSWER_SECONDS: Final = 0.4
LATER_READINGS: Final = 5
BARS: Final = {
    "first_reading": Bar(1.5, at_most=True),
    "requests_a_minute": Bar(6.0, at_most=True),
    "stop_s": Bar(3.0, at_most=True),
}


async def run() -> Report:
    report = Report("site", BARS)
    async with large_pbx() as pbx:
        bare = await fetch_bare(pbx)
        rest = StarfaceRest(
            PbxSection(name="pbx.example.com", url=pbx.url, login="0001", password=SecretStr("foobar"))
        )
        directory = Directory(rest, Readings(lambda: None), active=True)
        begun, before = time.perf_counter(), await pbx.requests()
        people = await directory.people("", [])
        first = time.perf_counter() - begun
        requests = await pbx.requests() - before
        assert len(people.groups) >= GROUPS
        before = await pbx.requests()
        for _ in range(LATER_READINGS):
            await directory._read()  # noqa: SLF001 - one turn of `run`
        later = (await pbx.requests() - before) / LATER_READINGS
        await rest.close()
        await pbx.control("PUT", "awkward", {"name": "hang", "on": True})
        stop = await time_to_stop(pbx.url)
    report.ratios["first_reading"] = first / bare
    report.ratios["requests_a_minute"] = later * 60 / READ_SECONDS
    report.ratios["stop_s"] = stop
    report.figures |= {
        "users": USERS,
        "groups": GROUPS,
        "answer_s": ANSWER_SECONDS,
        "first_reading_s": round(first, 2),
        "bare_s": round(bare, 2),
        "first_reading_requests": requests,
    }
    return report


class LargePbx:
    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url = http, url

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with self.http.request(method, f"{self.url}/control/{path}", json=body) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def requests(self) -> int:
        return int((await self.control("GET", "state"))["requests"])


@asynccontextmanager
async def large_pbx() -> AsyncIterator[LargePbx]:
    """Run a simulated STARFACE in a separate process."""
    port = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "starface", "--port", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as http:
            pbx = LargePbx(http, f"http://127.0.0.1:{port}")

            async def is_up() -> bool:
                try:
                    return await pbx.requests() >= 0
                except aiohttp.ClientError:
                    return False

            await eventually(is_up, "the PBX is up", seconds=60)
            for number in range(USERS):
                body = {"login": f"u{number}", "password": "x", "firstName": f"User {number}"}
                await pbx.control("POST", "users", body)
            for number in range(GROUPS):
                logins = [f"u{(number * 16 + member) % USERS}" for member in range(16)]
                await pbx.control("POST", "groups", {"name": f"Group {number}", "logins": logins})
            await pbx.control("PUT", "awkward", {"name": "slow", "on": {"seconds": ANSWER_SECONDS}})
            yield pbx
    finally:
        process.kill()
        await process.wait()


async def fetch_bare(pbx: LargePbx) -> float:
    """Return the seconds of a client that only fetches: log in, users, permissions with their holders, groups, each
    group.
    """
    begun = time.perf_counter()
    async with pbx.http.get(f"{pbx.url}/rest/login") as answer:
        template = await answer.json()
    template["secret"] = internal_secret("0001", template["nonce"], "foobar")
    async with pbx.http.post(f"{pbx.url}/rest/login", json=template) as answer:
        headers = {"authToken": (await answer.json())["token"]}
    slots = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def get(path: str) -> Any:
        async with slots, pbx.http.get(f"{pbx.url}/rest{path}", headers=headers) as answer:
            return json.loads(await answer.read())

    async def groups() -> None:
        listed = await get("/groups")
        await asyncio.gather(*(get(f"/groups/{one['id']}") for one in listed))

    async def users() -> None:
        await get("/users")
        permissions = await get("/permissions")
        for one in permissions[:2]:
            await get(f"/permissions/{one['id']}/users")

    await asyncio.gather(groups(), users())
    return time.perf_counter() - begun


async def time_to_stop(pbx_url: str) -> float:
    """Return the seconds from SIGTERM to the end of a connector whose PBX and service accept requests and never
    answer.
    """
    with tempfile.TemporaryDirectory() as directory:
        configuration = Path(directory) / "connector.toml"
        configuration.write_text(
            f'state_directory = "{directory}/state"\n[service]\nurl = "{pbx_url}"\n'
            f'[pbx]\nname = "pbx.example.com"\nurl = "{pbx_url}"\nlogin = "0001"\npassword = "foobar"\n'
            "[status]\nport = 0\n"
        )
        configuration.chmod(0o600)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "connector.cli", "--config", str(configuration), "run"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        async with asyncio.timeout(60):
            await process.stderr.readline()  # it runs
        await asyncio.sleep(5)  # every part has sent a request and waits
        if process.returncode is not None:
            raise RuntimeError((await process.stderr.read()).decode()[:2000])
        begun = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(60):
                await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return time.perf_counter() - begun
