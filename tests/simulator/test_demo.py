"""What `make run` says when something is in its way."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from simulator.demo import PORT_STEP, PORTS, CannotRunError, find_free_ports
from simulator.demo import _lock as lock
from tests.support.world import free_ports


def test_the_next_free_ports_are_taken_when_one_is_in_use() -> None:
    first = free_ports(8)
    with socket.socket() as other:
        other.bind(("127.0.0.1", first + PORTS - 1))
        other.listen()
        found = find_free_ports(first)
    assert found > first
    assert (found - first) % PORT_STEP == 0


def test_free_ports_stay_as_asked() -> None:
    first = free_ports(8)
    assert find_free_ports(first) == first


def test_without_free_ports_it_says_which_option_helps() -> None:
    with pytest.raises(CannotRunError, match="--first-port"):
        find_free_ports(65_533)


def test_a_folder_in_use_is_refused_with_the_way_on(tmp_path: Path) -> None:
    with lock(tmp_path), pytest.raises(CannotRunError, match="--state"):
        lock(tmp_path)
    lock(tmp_path).close()


async def test_a_second_demonstration_in_the_same_folder_ends_with_one_line(tmp_path: Path) -> None:
    with lock(tmp_path):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulator", "demo", "--state", str(tmp_path), "--fresh"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 1
    assert out == b""
    assert err.decode().startswith("simulator: a demonstration is running with the folder")
    assert len(err.splitlines()) == 1
