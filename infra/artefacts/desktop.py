"""What the archives for desktops and for Windows have in common: locked wheels, our own packages, one ZIP archive."""

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from infra.artefacts.folder import LOCKS, ROOT, Build, PackagingError, run
from infra.artefacts.wheels import merge

AUDIO_HELPER: Final = ("probe", "wire")
CONNECTOR: Final = ("connector", "wire", "core/__init__.py", "core/language.py", "core/diagnosis")
"""Our own packages and modules in each program; import-linter keeps them apart from the others."""
_LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", "*.pyc")


def add_wheels(lock: Path, folder: Path, platform: str, pythons: Sequence[str]) -> None:
    """Install the wheels of a lock for another system (uv's name of it) and several versions of Python into a folder.

    Raises `PackagingError`, also if one of them has no wheel there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        for python in pythons:
            target = Path(directory) / python
            run(
                *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(target)),
                *("--python-version", python, "--python-platform", platform),
                *("--only-binary", ":all:", "--no-deps", "--require-hashes", "--link-mode", "copy"),
                *("--requirements", str(lock)),
            )
            merge(target, folder)


def add_own_packages(build: Build, names: Sequence[str], folder: Path) -> None:
    """Copy our own packages into a folder, with the metadata from which they read their version."""
    for name in names:
        source, into = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, into, ignore=_LEFT_OUT)
        else:
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, into)
    metadata = folder / f"pbx_teams-{build.version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(
        f"Metadata-Version: 2.1\nName: pbx-teams\nVersion: {build.version}\n", encoding="utf-8"
    )


def write_zip(build: Build, folder: Path, archive: Path, prefix: str = "", begin: bytes = b"") -> None:
    """Write the files of a folder as a ZIP archive, each below `prefix`, all with the time of the build; `begin` stands
    before the archive, as the line that names the interpreter does in a zipapp.
    """
    moment = datetime.fromtimestamp(max(build.epoch, 315_532_800), UTC).timetuple()[:6]  # ZIP begins in 1980
    with archive.open("wb") as file:
        file.write(begin)
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(one for one in folder.rglob("*") if one.is_file()):
                entry = zipfile.ZipInfo(prefix + path.relative_to(folder).as_posix(), moment)
                entry.external_attr = 0o100644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                packed.writestr(entry, path.read_bytes())


def download_locked(name: str, into: Path) -> Path:
    """Download the one source archive that a lock of infra/locks names. Raises `PackagingError`."""
    lock = LOCKS / f"{name}.txt"
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"),
        *("--require-hashes", "--requirement", str(lock), "--dest", str(into)),
    )
    found = sorted(into.iterdir())
    if len(found) != 1:
        raise PackagingError(f"{lock.name} should name one archive, but {len(found)} were downloaded")
    return found[0]
