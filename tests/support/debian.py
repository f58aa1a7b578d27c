"""A fresh Debian that systemd has booted, for packages: systemd-nspawn over the tree that infra/debian.sh made.

The tree stays as it is: the machine writes into memory. It shares the network with the tests, so that a connector in it
reaches the service and the simulated PBX on loopback.
"""

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
"""Version 2, and the two hierarchies of systemd where version 1 is mounted."""
SECONDS = 60.0


def release() -> str:
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def base() -> Path:
    """The tree that infra/debian.sh made."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "pbx-teams" / f"{release()}-2"


class Debian:
    def __init__(self, log: Path, shared: Path) -> None:
        """`shared` is the folder that the machine sees as /packages."""
        self._name = f"pbx-{os.getpid()}"
        self._log = log
        self._shared = shared

    def boot(self) -> None:
        groups = self._make_groups()
        enter = " && ".join([f"echo $$ >{group}/cgroup.procs" for group in groups])
        machine = (
            *("systemd-nspawn", "--quiet", f"--directory={base()}", "--volatile=overlay", "--boot"),
            *("--register=no", "--keep-unit", f"--machine={self._name}", "--console=pipe"),
            f"--bind-ro={self._shared}:/packages",
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ("sh", "-c", f'{enter} && exec "$@"', "sh", *machine),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "SYSTEMD_NSPAWN_LOCK": "0"},
            )
        ends = time.monotonic() + SECONDS
        while self.run("systemctl", "is-system-running", check=False).strip() not in ("running", "degraded"):
            assert self._process.poll() is None and time.monotonic() < ends, self._log.read_text()
            time.sleep(0.1)

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command as root and return what it prints, on both outputs."""
        leader = self._leader()
        if leader is None:
            return ""
        done = subprocess.run(
            (
                "nsenter",
                f"--target={leader}",
                *["--mount", "--uts", "--ipc", "--pid", "--root", "--wd"],
                "--",
                *command,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND": "noninteractive",
                "LC_ALL": "C.UTF-8",
            },
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def succeeds(self, *command: str) -> bool:
        return "succeeded" in self.run(
            "sh", "-c", '"$@" >/dev/null 2>&1 && echo succeeded', "sh", *command, check=False
        )

    def files(self) -> set[str]:
        """The paths of the machine, without those that every program of the system writes."""
        skipped = (
            "/proc",
            "/sys",
            "/dev",
            "/run",
            "/tmp",
            "/packages",
            "/var/cache",
            "/var/log",
            "/var/lib/apt",
        )
        prune = " -o ".join(f"-path {path}" for path in skipped)
        return set(self.run("sh", "-c", f"find / '(' {prune} ')' -prune -o -print").splitlines())

    def halt(self) -> None:
        self.run("systemctl", "halt", "--force", "--force", check=False)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()
        for hierarchy in CGROUPS:
            group = Path(hierarchy) / self._name
            for path in [*sorted(group.rglob("*"), reverse=True), group]:
                if path.is_dir():
                    with suppress(OSError):
                        path.rmdir()

    def _leader(self) -> int | None:
        process = self._process.pid
        with suppress(OSError):
            for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return int(child)
        return None

    def _make_groups(self) -> list[Path]:
        """A control group of its own, so that its systemd manages nothing of this machine."""
        return list(self._groups())

    def _groups(self) -> Iterator[Path]:
        for hierarchy in CGROUPS:
            if (Path(hierarchy) / "cgroup.procs").exists():
                group = Path(hierarchy) / self._name
                group.mkdir(exist_ok=True)
                yield group
