"""Wine with a prefix of its own: runs the packages for Windows that the project builds."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.support.forwarding_dll import forwarding_dll

ROOT = Path(__file__).parents[2]
SECONDS = 120.0
"""How long a program may take. A Windows Python compiles its modules at its first start."""


@dataclass(frozen=True)
class Wine:
    prefix: Path
    environment: dict[str, str]

    @property
    def drive(self) -> Path:
        return self.prefix / "drive_c"

    def with_environment(self, **more: str) -> "Wine":
        return Wine(self.prefix, {**self.environment, **more})

    async def run(self, *command: str | Path, text: str = "") -> tuple[int, str]:
        """Run a Windows program; return its exit code and all its output, with the line ends of Unix."""
        async with self.start(*command, stdin=subprocess.PIPE) as process:
            async with asyncio.timeout(SECONDS):
                printed, _ = await process.communicate(text.encode())
        return process.returncode or 0, printed.decode("utf-8", "replace").replace("\r\n", "\n")

    @asynccontextmanager
    async def start(
        self, *command: str | Path, stdin: int = subprocess.DEVNULL
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start a Windows program, whose output is a pipe: Wine 8 does not let Python write to a file."""
        process = await asyncio.create_subprocess_exec(
            "wine",
            *(str(word) for word in command),
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def unpack(self, archive: Path, into: str) -> Path:
        """Unpack a package on drive C, and return the folder that is in it."""
        folder = self.drive / into
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
            return folder / PurePosixPath(packed.namelist()[0]).parts[0]


@contextmanager
def wine() -> Iterator[Wine]:
    """A copy of the prefix that `infra/wine.sh` made, and a program in it that keeps Wine's services running."""
    subprocess.run(["sh", str(ROOT / "infra/wine.sh")], check=True)
    version = subprocess.run(
        ["wine", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    with tempfile.TemporaryDirectory(prefix="wine-") as directory:
        prefix = Path(directory) / "prefix"
        _copy_prefix(cache / "pbx-teams" / version, prefix)
        library = forwarding_dll("bcryptprimitives.dll", "ProcessPrng", "advapi32.SystemFunction036")
        (prefix / "drive_c/windows/system32/bcryptprimitives.dll").write_bytes(library)
        environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        environment |= {
            "HOME": directory,
            "WINEPREFIX": str(prefix),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            # No browser and no .NET; and no WMI, which ends a Python that asks for the version of Windows.
            "WINEDLLOVERRIDES": "mscoree,mshtml,wbemprox=",
            "DISPLAY": "",
        }
        with subprocess.Popen(
            ["wine", "cmd", "/q", "/k", "echo ready"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as keeper:
            try:
                assert keeper.stdout is not None
                assert b"ready" in keeper.stdout.readline()
                yield Wine(prefix, environment)
            finally:
                subprocess.run(["wineserver", "-k"], env=environment, check=False)


def _copy_prefix(source: Path, prefix: Path) -> None:
    """Copy the registry, and link to Wine's own 700 MB of libraries, which no test changes."""
    prefix.mkdir()
    for file in source.glob("*.reg"):
        shutil.copyfile(file, prefix / file.name)
    shutil.copytree(source / "dosdevices", prefix / "dosdevices", symlinks=True)
    shutil.copytree(source / "drive_c", prefix / "drive_c", symlinks=True, copy_function=os.symlink)
