"""Refused logins are remembered across processes: anyone who asks again and again does not get the address blocked."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from connector.config import PbxSection
from connector.errors import LoginPausedError, PbxLoginFailedError
from connector.guard import LoginGuard
from connector.login_memory import (
    FILE,
    MAX_KEPT,
    WINDOW_SECONDS,
    WITH_ANY,
    WITH_ONE_CONFIGURATION,
    LoginMemory,
)
from connector.state import ConnectorState
from core.diagnosis.codes import Code
from tests.support.starface import running_starface
from wire.doctor import DoctorReport, DoctorStep

NOW = 1_900_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def pbx(password: str = "wrong", url: str = "https://pbx.example.com") -> PbxSection:
    return PbxSection(name="pbx.example.com", url=url, login="0001", password=SecretStr(password))


def memory(directory: Path, clock: Clock, password: str = "wrong") -> LoginMemory:
    """As another process opens it."""
    return LoginMemory(ConnectorState(directory), pbx(password), clock)


async def refused(directory: Path, clock: Clock, password: str = "wrong") -> None:
    guard = LoginGuard(memory=memory(directory, clock, password))
    with pytest.raises(PbxLoginFailedError):
        async with guard.own():
            raise PbxLoginFailedError


async def test_three_refusals_of_any_processes_are_enough(tmp_path: Path) -> None:
    clock = Clock()
    for _process in range(WITH_ONE_CONFIGURATION):
        assert memory(tmp_path, clock).wait() == 0
        await refused(tmp_path, clock)
        clock.now += 1
    assert memory(tmp_path, clock).wait() == WINDOW_SECONDS - WITH_ONE_CONFIGURATION
    with pytest.raises(LoginPausedError):
        await refused(tmp_path, clock)
    clock.now = NOW + WINDOW_SECONDS
    assert memory(tmp_path, clock).wait() == 0


async def test_who_corrects_the_password_may_try_once_more(tmp_path: Path) -> None:
    clock = Clock()
    for _process in range(WITH_ONE_CONFIGURATION):
        await refused(tmp_path, clock)
    assert memory(tmp_path, clock, "another").wait() == 0
    await refused(tmp_path, clock, "another")
    assert memory(tmp_path, clock, "a third").wait() > 0, f"{WITH_ANY} in all"


async def test_a_good_login_ends_it(tmp_path: Path) -> None:
    clock = Clock()
    for _process in range(WITH_ONE_CONFIGURATION):
        await refused(tmp_path, clock)
    async with LoginGuard(memory=memory(tmp_path, clock, "right")).own():
        pass
    assert memory(tmp_path, clock).wait() == 0


async def test_what_the_pbx_did_not_refuse_does_not_count(tmp_path: Path) -> None:
    clock = Clock()
    for _process in range(10):
        with pytest.raises(TimeoutError):
            async with LoginGuard(memory=memory(tmp_path, clock)).own():
                raise TimeoutError
    assert memory(tmp_path, clock).wait() == 0


async def test_the_file_is_small_private_and_holds_no_secret(tmp_path: Path) -> None:
    clock = Clock()
    for number in range(3 * MAX_KEPT):
        memory(tmp_path, clock, f"geheim-{number}").begin()
    content = (tmp_path / FILE).read_bytes()
    assert len(content) < 1000 and b"geheim" not in content and b"0001" not in content
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    # Two bytes of a keyed digest: many passwords have the same.
    seen = {
        LoginMemory(ConnectorState(tmp_path), pbx(f"p{number}"), clock)._configuration
        for number in range(300)
    }
    assert all(len(one) == 4 for one in seen)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 64,
        b"{",
        b"[]",
        b'{"tries": [{"at": "soon"}]}',
        b'{"tries": [{"at": NaN}]}',
        b"x" * 100_000,
    ],
)
async def test_a_file_that_cannot_be_read_is_no_hindrance(tmp_path: Path, content: bytes) -> None:
    clock = Clock()
    ConnectorState(tmp_path)
    (tmp_path / FILE).write_bytes(content)
    assert memory(tmp_path, clock).wait() == 0
    for _process in range(WITH_ONE_CONFIGURATION):
        await refused(tmp_path, clock)
    assert memory(tmp_path, clock).wait() > 0


async def test_a_clock_that_was_wrong_keeps_nobody_out(tmp_path: Path) -> None:
    clock = Clock()
    clock.now = NOW + 500 * 86_400
    for _process in range(WITH_ONE_CONFIGURATION):
        await refused(tmp_path, clock)
    clock.now = NOW
    assert memory(tmp_path, clock).wait() == 0


async def test_a_directory_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    one = memory(tmp_path, Clock())
    monkeypatch.setattr("connector.state.write_private", full)
    async with LoginGuard(memory=one).own():
        pass


def test_a_process_that_is_killed_between_question_and_answer_has_asked(tmp_path: Path) -> None:
    """Written before the PBX is asked: kill -9 forgets no try."""
    program = (
        "import os, signal, sys, pathlib, asyncio\n"
        "from tests.connector.test_login_memory import LoginGuard, LoginMemory, ConnectorState, pbx\n"
        "async def main():\n"
        "    async with LoginGuard(memory=LoginMemory(ConnectorState(pathlib.Path(sys.argv[1])), pbx())).own():\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    for _process in range(WITH_ONE_CONFIGURATION):
        ended = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], check=False, timeout=120, env=dict(os.environ)
        )
        assert ended.returncode == -signal.SIGKILL
    assert LoginMemory(ConnectorState(tmp_path), pbx()).wait() > 0


def test_a_reader_during_a_write_sees_the_old_or_the_new_content(tmp_path: Path) -> None:
    clock = Clock()
    one, stopped = memory(tmp_path, clock), threading.Event()
    one.begin()

    def write() -> None:
        while not stopped.is_set():
            one.begin()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for _time in range(50):
            assert memory(tmp_path, clock)._read()
    finally:
        stopped.set()
        writing.join()


@pytest.fixture
async def starface() -> AsyncIterator[str]:
    async with running_starface() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def configuration(tmp_path: Path, starface: str) -> Iterator[Path]:
    file = tmp_path / "connector.toml"
    file.write_text(
        f'state_directory = "{tmp_path / "state"}"\n[service]\nurl = "http://127.0.0.1:9"\n'
        f'[pbx]\nname = "pbx.example.com"\nurl = "{starface}"\nlogin = "0001"\npassword = "wrong"\n'
    )
    yield file


async def doctor(configuration: Path) -> DoctorStep:
    """In a process of its own, as at a terminal; its step of the login."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector.cli", "--config", str(configuration), "doctor", "--json"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    report = DoctorReport.model_validate_json(output)
    return next(step for step in report.steps if step.step == "pbx-login")


async def test_the_doctor_run_again_and_again_does_not_get_the_address_blocked(
    configuration: Path, starface: str
) -> None:
    async with aiohttp.ClientSession() as http:
        body = {"name": "blacklist", "on": {"failures": WITH_ANY + 1, "seconds": 600}}
        async with http.put(f"{starface}/control/awkward", json=body) as answer:
            assert answer.status == 200
        codes = [(await doctor(configuration)).code for _time in range(6)]
        assert codes == [Code.PBX_LOGIN_FAILED] * 3 + [Code.LOGIN_PAUSED] * 3
        configuration.write_text(configuration.read_text().replace('"wrong"', '"foobar"'))
        assert (await doctor(configuration)).code is None, "not blocked, and the right password is tried"
