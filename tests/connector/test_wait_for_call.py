"""Waiting for a call: the doctor and the set-up see that call events of the simulated PBX arrive, or say that none did."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connector.config import load
from connector.doctor.pbx import PbxCheck
from connector.doctor.steps import Chain
from connector.setup.draft import Draft
from connector.setup.steps import CALL, Attempt, Step, attempt, step_named
from tests.support.starface import running_starface
from tests.support.world import eventually, free_ports
from wire.doctor import DoctorStep, StepOutcome

SECONDS = 20.0
OWN_LOGIN, OTHER_LOGIN = "0001", "1001"


class Place:
    """A simulated PBX and a configuration for it."""

    def __init__(self, directory: Path, port: int, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._url = f"http://127.0.0.1:{port}"
        self.state = directory / "state"
        self.callback_port = free_ports(1)
        self.file = directory / "connector.toml"
        self.file.write_text(
            f'state_directory = "{self.state}"\n[service]\nurl = "http://127.0.0.1:9"\n'
            f'[pbx]\nname = "pbx.example.com"\nurl = "{self._url}"\nlogin = "{OWN_LOGIN}"\npassword = "foobar"\n'
            f"[uci]\ncallback_port = {self.callback_port}\n"
        )
        self.file.chmod(0o600)

    async def is_listening_for_events(self) -> bool:
        async with self._http.get(f"{self._url}/control/state") as answer:
            return bool((await answer.json())["uciLogins"].get(OWN_LOGIN))

    async def ring(self, login: str) -> None:
        """Call a user as soon as the PBX sends events to the check."""
        await eventually(self.is_listening_for_events, "the check has subscribed to events", SECONDS)
        async with self._http.post(f"{self._url}/control/calls", json={"login": login}) as answer:
            assert answer.status == 201

    @asynccontextmanager
    async def doctor(self, seconds: float) -> AsyncIterator[Callable[[], Any]]:
        """Run the doctor; yields what returns its two steps of UCI once it has ended."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "connector.cli", "--config", str(self.file), "doctor"),
            *("--json", "--wait-for-call", f"{seconds:g}"),
            stdout=asyncio.subprocess.PIPE,
        )

        async def steps() -> dict[str, Any]:
            out, _ = await process.communicate()
            return {one["step"]: one for one in json.loads(out)["steps"]}

        try:
            yield steps
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with running_starface() as port, aiohttp.ClientSession() as http:
        yield Place(tmp_path, port, http)


async def test_the_doctor_sees_a_call_and_waits_no_longer(place: Place) -> None:
    async with place.doctor(600) as steps:
        await place.ring(OWN_LOGIN)
        found = await steps()
    assert found["uci-login"]["outcome"] == "ok"
    assert found["uci-events"]["outcome"] == "ok" and int(found["uci-events"]["evidence"]["received"]) >= 1


async def test_the_doctor_says_that_none_came(place: Place) -> None:
    """A call of somebody else is not taken for one."""
    async with place.doctor(2) as steps:
        await place.ring(OTHER_LOGIN)
        found = await steps()
    assert (found["uci-events"]["outcome"], found["uci-events"]["code"]) == ("warning", "uci-no-events")
    assert found["uci-events"]["evidence"]["seconds"] == "2"


@pytest.mark.parametrize("is_taken", [False, True])
async def test_events_come_to_the_port_that_the_firewall_lets_through(place: Place, is_taken: bool) -> None:
    """Unless it is taken, as by the running connector."""
    other = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    taken = other.sockets[0].getsockname()[1]
    text = place.file.read_text()
    if is_taken:
        place.file.write_text(text.replace(str(place.callback_port), str(taken)))
    asked: list[int] = []
    steps: list[DoctorStep] = []
    check = PbxCheck(load(place.file), SECONDS)

    async def look() -> None:
        await place.ring(OWN_LOGIN)
        asked.append(check.callback_port)

    async with asyncio.TaskGroup() as group:
        group.create_task(check.run(Chain(steps, lambda _step: None)))
        group.create_task(look())
    (events,) = (step for step in steps if step.step == "uci-events")
    assert events.evidence.get("received")
    assert (asked == [place.callback_port]) is not is_taken and asked != [0]
    other.close()


async def try_call(draft: Draft, **values: str) -> Attempt:
    step = step_named("uci")
    assert step is not None
    found = Attempt()
    form = {"uci.enabled": "on", "uci.callback_host": "127.0.0.1", **values}
    await attempt(Step(step.name, step.fields, CALL.check), draft, form, found)
    return found


async def test_the_set_up_waits_for_a_call(place: Place) -> None:
    draft = Draft(place.file)
    async with asyncio.TaskGroup() as group:
        trying = group.create_task(try_call(draft))
        group.create_task(place.ring(OWN_LOGIN))
    found = trying.result()
    assert [(one.step, one.outcome) for one in found.steps] == [
        ("uci-login", StepOutcome.OK),
        ("uci-events", StepOutcome.OK),
    ]
    assert found.call_arrived and "uci" in draft.tried


async def test_a_pbx_that_is_gone_is_no_call(place: Place) -> None:
    draft = Draft(place.file)
    draft.enter({"pbx.url": f"http://127.0.0.1:{free_ports(1)}"})
    found = await try_call(draft)
    assert found.has_failed and not found.call_arrived
    assert "uci" not in draft.tried
    assert "pbx-tcp" in [one.step for one in found.steps if one.outcome is StepOutcome.FAILED]


async def test_uci_that_is_switched_off_waits_for_nothing(place: Place) -> None:
    draft = Draft(place.file)
    found = await try_call(draft, **{"uci.enabled": ""})
    assert not found.has_failed and not found.call_arrived and found.steps == []
