"""Installs the packages of a lock into a folder, for other Pythons and machines than this one."""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from infra.artefacts.folder import PackagingError, run

ARCHITECTURES: Final = {
    "amd64": ("x86_64", "x86_64-linux-gnu"),
    "arm64": ("aarch64", "aarch64-linux-gnu"),
}
"""Debian's names, with the machine in the names of wheels and the GNU triplet."""
GLIBC: Final = (2, 36)
"""Of the oldest system that is supported, Debian 12. Wheels for a newer one are not used."""
UNUSED: Final = frozenset({"WHEEL", "RECORD", "INSTALLER", "REQUESTED", ".lock"})
"""Files for installers, which differ between wheels and are not needed to run."""


def install_wheels(lock: Path, folder: Path, architecture: str, pythons: Sequence[str]) -> tuple[int, int]:
    """Install the wheels of a lock for several versions of Python into one folder.

    The compiled modules of each Python have a name of their own (`….cpython-311-x86_64-linux-gnu.so`); everything else
    but their lists of contents has to be the same in all of them. Scripts are left out. Returns the oldest glibc that all wheels run with. Raises
    `PackagingError`.
    """
    machine, _ = ARCHITECTURES[architecture]
    folder.mkdir(parents=True)
    glibc = (2, 17)
    with tempfile.TemporaryDirectory() as directory:
        for python in pythons:
            target = Path(directory) / python
            run(
                *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(target)),
                *("--python-version", python),
                *("--python-platform", f"{machine}-manylinux_{GLIBC[0]}_{GLIBC[1]}"),
                *("--only-binary", ":all:", "--no-deps", "--require-hashes"),
                *("--requirements", str(lock)),
            )
            glibc = max(glibc, _least_glibc(target))
            merge(target, folder)
    return glibc


def _least_glibc(folder: Path) -> tuple[int, int]:
    """Return the oldest glibc that all wheels in a folder run with, by their tags (PEP 600)."""
    needed = (2, 17)
    for file in folder.glob("*.dist-info/WHEEL"):
        found = re.findall(r"manylinux_(\d+)_(\d+)_", file.read_text(encoding="utf-8"))
        if found:
            # A wheel with several tags runs wherever one of them does.
            needed = max(needed, min((int(major), int(minor)) for major, minor in found))
    return needed


def merge(source: Path, folder: Path) -> None:
    """Add the installed wheels of one Python to those of others. Raises `PackagingError` if a file differs."""
    for file in _files(source):
        path = file.relative_to(source)
        if path.parts[0] == "bin" or path.name in UNUSED:
            continue
        into = folder / path
        into.parent.mkdir(parents=True, exist_ok=True)
        if not into.exists():
            shutil.copyfile(file, into)
        elif "sboms" not in path.parts and into.read_bytes() != file.read_bytes():
            raise PackagingError(f"{path} differs between versions of Python")


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
