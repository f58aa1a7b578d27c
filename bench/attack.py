"""Measures how much honest users notice of an attack by outsiders while they sign in.

    honest_p99     the time within which 99 of 100 honest people are in while strangers attack, over the same time
                   without an attack
    honest_failed  honest requests that failed, in both kinds of rounds
    faults         answers of 5xx to strangers, but for those that tell of their own PBX

A hostile connector, a hostile guest, a hostile administrator of another tenant, and a hostile chat attack at once
(`bench.strangers`), in a process of their own. Quiet and attacked rounds alternate, so that slow moments of the
machine affect both. A user is signed in when the answer to their sign-in has arrived: challenge, proof at the PBX,
licence.
"""

import asyncio
import contextlib
import json
import math
import os
import re
import secrets
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from bench.process import started
from bench.report import Bar, Report
from bench.strangers import FAULTS, FLOODING_PBX, OWN_PBX, token_claims
from simulator.people import LICENCE_PERMISSION, TENANT_ID, Person
from tests.support.tab_client import TabClient
from tests.support.world import World

STRANGERS_PBXS: Final = (OWN_PBX, FLOODING_PBX)
PEOPLE: Final = 50
PEOPLE_PER_SECOND: Final = 5
ROUNDS: Final = 3
WARM_UP_SECONDS: Final = 2.0
"""How long the attack runs before the first honest user signs in."""
BARS: Final = {
    "honest_p99": Bar(2.0, at_most=True),
    "honest_failed": Bar(0.0, at_most=True),
    "faults": Bar(0.0, at_most=True),
}


class HonestClient(TabClient):
    """One of fifty colleagues of the demo people; the token is created once, like in Teams."""

    def __init__(self, world: World, person: Person) -> None:
        super().__init__(
            http=world.http, service_url=world.demo.service_url, entra_url=world.entra_url, person=person
        )
        self._world = world
        self._token: str | None = None

    async def token(self, seconds: int = 3600) -> str:
        del seconds
        if self._token is None:
            self._token = await self._world.sign(
                token_claims(self._world.demo.entra_port, TENANT_ID, self.person)
            )
        return self._token


async def run() -> Report:
    report = Report("attack", BARS)
    # The attackers' tenants are admitted, as at an operator who serves unrelated companies.
    os.environ["PBX_TEAMS_ALLOWED_TENANTS"] = ""
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory), seats=PEOPLE)
        await world.start()
        try:
            await _measure(world, report)
        finally:
            await world.stop()
    return report


async def _measure(world: World, report: Report) -> None:
    people = [await _hire(world, number) for number in range(PEOPLE)]
    took: dict[str, list[float]] = {"quiet": [], "attacked": []}
    failed: dict[str, int] = {"quiet": 0, "attacked": 0}
    sent: dict[str, int] = {}
    identities = {name: secrets.token_hex(32) for name in STRANGERS_PBXS}
    await _round(world, people)  # warms up caches and connections
    for _round_number in range(ROUNDS):
        for kind in took:
            attack = _strangers(world, identities) if kind == "attacked" else contextlib.nullcontext({})
            async with attack as counts:
                seconds, failures = await _round(world, people)
            took[kind] += seconds
            failed[kind] += failures
            for name, count in counts.items():
                sent[name] = sent.get(name, 0) + count
    p99 = {kind: _percentile(seconds, 0.99) for kind, seconds in took.items()}
    report.ratios["honest_p99"] = p99["attacked"] / p99["quiet"]
    report.ratios["honest_failed"] = float(sum(failed.values()))
    faults = sum(count for name, count in sent.items() if name.startswith(FAULTS))
    report.ratios["faults"] = float(faults)
    for kind, seconds in took.items():
        report.figures |= {
            f"{kind}: p50 until a person is in, ms": round(_percentile(seconds, 0.5) * 1000, 1),
            f"{kind}: p99 until a person is in, ms": round(p99[kind] * 1000, 1),
            f"{kind}: sign-ins": len(seconds),
            f"{kind}: failed requests": failed[kind],
        }
    report.figures |= {f"strangers: {name}": count for name, count in sorted(sent.items())}


async def _hire(world: World, number: int) -> HonestClient:
    login = str(4000 + number)
    person = Person(
        name=f"Person {number}",
        object_id=str(uuid.uuid4()),
        email=f"person{number}@example.com",
        login=login,
        password=f"pw-{login}",
        role="user",
    )
    permissions = [LICENCE_PERMISSION] if number % 2 else []
    user = {"login": login, "password": person.password, "firstName": "Person", "familyName": str(number)}
    await world.pbx("POST", "users", user | {"email": person.email, "permissions": permissions})
    return HonestClient(world, person)


async def _round(world: World, people: list[HonestClient]) -> tuple[list[float], int]:
    """Everybody signs in, reads their state and signs out. Returns the seconds until each was signed in, and the
    failures.
    """
    clock = asyncio.get_running_loop().time

    async def come(number: int, client: HonestClient) -> tuple[float, int]:
        await asyncio.sleep(number / PEOPLE_PER_SECOND)
        begun = clock()
        signed_in = await client.sign_in(world.pbx_name, world.key)
        seconds = clock() - begun
        state = await client.call("GET", "state")
        signed_out = await client.sign_out()
        return seconds, sum(answer.status != 200 for answer in (signed_in, state, signed_out))

    found = await asyncio.gather(*(come(number, client) for number, client in enumerate(people)))
    return [seconds for seconds, _failures in found], sum(failures for _seconds, failures in found)


@contextlib.asynccontextmanager
async def _strangers(world: World, identities: dict[str, str]) -> AsyncIterator[dict[str, int]]:
    """Attack while the context lasts; afterwards the counts say what the attackers sent."""
    counts: dict[str, int] = {}
    target = {
        "service": world.demo.service_url,
        "entra": world.entra_url,
        "channel": f"http://127.0.0.1:{world.demo.teams_port}",
        "enrolmentCodes": {name: await _enrolment_code(world, name) for name in STRANGERS_PBXS},
        "identities": identities,
    }
    async with started("bench.strangers", json.dumps(target)) as (process, _ready):
        assert process.stdin is not None
        assert process.stdout is not None
        await asyncio.sleep(WARM_UP_SECONDS)
        yield counts
        process.stdin.close()
        counts |= json.loads(await process.stdout.readline())


async def _enrolment_code(world: World, name: str) -> str:
    """Create the enrolment code that the operator gives to the attackers' company, like to any other."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "pbx", "enrol", name),
        env=world.demo.service_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    code = re.search(r'enrolment_code = "([^"]+)"', out.decode())
    return code.group(1) if code is not None else ""  # they own the name since an earlier round


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
