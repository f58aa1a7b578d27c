"""The folder of the built packages: each package with its SBOM, SHA256SUMS over all of them, and the index.

A package is built beside the folder and moved into it when it is complete; the index and the checksums are written
last. So a build that is interrupted leaves the earlier packages as they were.
"""

import hashlib
import os
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from infra.artefacts.sbom import Component, bill_of_materials
from wire.packages import INDEX, BuiltPackage, PackageIndex, PackageKind

ROOT: Final = Path(__file__).parents[2]
LOCKS: Final = ROOT / "infra" / "locks"
CHECKSUMS: Final = "SHA256SUMS"


class PackagingError(Exception):
    """Why a package cannot be built, and what to do, for the user of the command."""


@dataclass(frozen=True, slots=True)
class Build:
    """What is the same for all packages of one run."""

    version: str
    """Of `pyproject.toml`."""
    epoch: int
    """The time of all files in a package, in seconds since 1970, so that the same source makes the same package."""
    out: Path
    """The folder of the packages."""
    compression: int = 6
    """From 0 (fast) to 9 (small)."""


def plan_build(out: Path, version: str | None = None, compression: int = 6) -> Build:
    """Return the plan of a build into `out`. `SOURCE_DATE_EPOCH` sets the time (reproducible-builds.org), else the
    last commit does. Raises `PackagingError`.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    out.mkdir(parents=True, exist_ok=True)
    return Build(version or project["version"], _epoch(), out, compression)


def add_package(
    build: Build, kind: PackageKind, built: Path, architecture: str, components: list[Component]
) -> BuiltPackage:
    """Move a complete package into the folder, and write its SBOM, the index and the checksums."""
    name = built.name
    sbom = f"{name}.cdx.json"
    size, sha256 = built.stat().st_size, digest(built)
    bill = bill_of_materials(name, build.version, sha256, build.epoch, components)
    (build.out / sbom).write_text(bill, encoding="utf-8")
    built.replace(build.out / name)
    package = BuiltPackage(
        kind=kind,
        file=name,
        version=build.version,
        architecture=architecture,
        size=size,
        sha256=sha256,
        sbom=sbom,
    )
    kept = [
        one
        for one in read_index(build.out).packages
        if (one.kind, one.architecture) != (kind, architecture) and (build.out / one.file).is_file()
    ]
    packages = sorted([*kept, package], key=lambda one: one.file)
    index = PackageIndex(packages=tuple(packages)).model_dump_json(by_alias=True, indent=2)
    _replace(build.out / INDEX, f"{index}\n")
    files = sorted(name for one in packages for name in (one.file, one.sbom))
    lines = [f"{digest(build.out / file)}  {file}\n" for file in files]
    _replace(build.out / CHECKSUMS, "".join(lines))
    return package


def read_index(folder: Path) -> PackageIndex:
    """Return the index of a folder; an empty one if there is none or it cannot be read."""
    try:
        return PackageIndex.model_validate_json((folder / INDEX).read_bytes())
    except (FileNotFoundError, ValidationError):
        return PackageIndex(packages=())


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def run(*command: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run a program and return what it prints. Raises `PackagingError` with its words if it fails or is missing."""
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, cwd=cwd, env=env, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as fault:
        raise PackagingError(f"{command[0]} is not installed") from fault
    if done.returncode:
        words = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise PackagingError(f"{' '.join(command[:3])} failed with {done.returncode}: {words}")
    return done.stdout


def _epoch() -> int:
    stated = os.environ.get("SOURCE_DATE_EPOCH", "")
    if stated.isdecimal():
        return int(stated)
    try:
        return int(run("git", "log", "-1", "--format=%ct"))
    except (PackagingError, ValueError):  # a source archive without Git
        return int((ROOT / "pyproject.toml").stat().st_mtime)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
