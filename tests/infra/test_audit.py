"""What `make check` holds of the packages: exact, hashed, from no named place, without scripts, of known licences."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra import audit

ROOT = Path(__file__).parents[2]
HASH = "--hash=sha256:" + "a" * 64
GOOD = f"aiohttp==3.14.5 \\\n    {HASH} \\\n    {HASH}\nuuid_utils==1.2 ; sys_platform == 'win32' \\\n    {HASH}\n"
NPM: dict[str, Any] = {
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "ours"},
        "node_modules/a/node_modules/@scope/b": {
            "version": "1.0.0", "integrity": f"sha512-{'A' * 86}==", "license": "(MIT OR GPL-3.0)",
        },
    },
}  # fmt: skip


def test_what_is_locked_is_in_order() -> None:
    assert list(audit.python_faults()) == []
    assert list(audit.npm_faults()) == []


def test_every_lock_is_looked_at() -> None:
    locks = {path.relative_to(ROOT).as_posix() for path in audit.npm_locks()}
    assert locks == {
        f"{where}/package-lock.json" for where in ("tab/web", "simulator/teams/page", "tests/e2e")
    }
    assert {path.stem for path in audit.LOCKS.glob("*.txt")} >= {
        "build",
        "connector",
        "dev",
        "probe",
        "runtime",
    }


def test_a_lock_of_pip_is_read() -> None:
    packages, faults = audit.read_lock(GOOD)
    assert [(one.name, one.version) for one in packages] == [("aiohttp", "3.14.5"), ("uuid-utils", "1.2")]
    assert faults == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://pypi.example.com/simple",
        "--extra-index-url https://pypi.example.com/simple",
        "aiohttp>=3.14",
        "aiohttp @ https://example.com/aiohttp.whl",
        "-e .",
        "    --hash=md5:abc",
    ],
)
def test_what_a_lock_of_pip_must_not_hold(line: str) -> None:
    assert audit.read_lock(f"{GOOD}{line}\n")[1] != []


def test_a_package_without_a_hash_is_found() -> None:
    assert audit.read_lock(f"{GOOD}x==1\n")[1] == ["x has no hash"]
    assert audit.read_lock(f"x==1\n{GOOD}")[1] == ["x has no hash"]


def test_a_lock_of_npm_is_read() -> None:
    assert list(audit.read_npm_lock(NPM, is_shipped=True)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"resolved": "https://registry.example.com/b.tgz"}, "names where it comes from"),
        ({"integrity": None}, "has no hash"),
        ({"integrity": "sha1-abc="}, "has no hash"),
        ({"hasInstallScript": True}, "runs a script"),
        ({"license": "GPL-3.0"}, "licence not on the list"),
        ({"license": "MIT AND GPL-3.0"}, "licence not on the list"),
        ({"license": None}, "licence not on the list"),
        ({"link": True}, "is a link"),
    ],
)
def test_what_a_lock_of_npm_must_not_hold(change: dict[str, Any], fault: str) -> None:
    document = copy.deepcopy(NPM)
    package = document["packages"]["node_modules/a/node_modules/@scope/b"]
    for name, value in change.items():
        package.pop(name, None)
        if value is not None:
            package[name] = value
    (found,) = audit.read_npm_lock(document, is_shipped=True)
    assert fault in found and found.startswith(("@scope/b", "licence"))


@pytest.mark.parametrize("name", sorted(audit.NEVER_SHIPPED))
def test_what_only_tests_use_is_not_shipped(name: str) -> None:
    document = {
        "lockfileVersion": 3,
        "packages": {f"node_modules/{name}": {"license": "SEE LICENSE IN LICENSE"}},
    }
    assert any("licence" in fault for fault in audit.read_npm_lock(document, is_shipped=True))
    assert not any("licence" in fault for fault in audit.read_npm_lock(document, is_shipped=False))
    for shipped in ("tab/web", "simulator/teams/page"):
        lock = json.loads((ROOT / shipped / "package-lock.json").read_text(encoding="utf-8"))
        assert f"node_modules/{name}" not in lock["packages"]


@pytest.mark.parametrize("name", sorted(audit.CHECKS_ALONE))
def test_what_only_checks_use_is_in_no_lock_that_is_shipped(name: str) -> None:
    locks = {
        path.stem: {one.name for one in audit.read_lock(path.read_text(encoding="utf-8"))[0]}
        for path in audit.LOCKS.glob("*.txt")
    }
    assert [lock for lock, names in locks.items() if name in names] == [audit.WHOLE]


@pytest.mark.parametrize(
    ("licence", "is_permissive"),
    [
        ("DFSG approved; MIT License", True),
        ("DFSG approved", False),
        ("MIT", True),
        ("MIT License", True),
        ("MIT-CMU", True),
        ("Apache-2.0 AND MIT", True),
        ("Apache Software License; MIT License", True),
        ("(MIT OR CC0-1.0)", True),
        ("GPL-3.0 OR BSD-3-Clause", True),
        ("GNU Lesser General Public License; LGPL-3.0", False),
        ("LGPL-2.1-or-later", True),
        ("GPL-3.0", False),
        ("AGPL-3.0", False),
        ("MIT AND GPL-3.0", False),
        ("PROPRIETARY, LIMITED", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_which_licences_are_taken(licence: str, is_permissive: bool) -> None:
    assert audit.is_permissive(licence) is is_permissive


@pytest.mark.parametrize("file", ["Makefile", "infra/Containerfile", "infra/connector/Containerfile"])
def test_no_installation_runs_scripts_or_takes_what_has_no_hash(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ")
    installs = [
        line
        for line in text.splitlines()
        if re.search(r"(\bpip|PIP_INSTALL\)|npm|NPM\)).* ?(install|ci|-r|--no-deps)", line)
    ]
    assert installs
    for line in installs:
        if re.search(r"(npm|NPM\)) ", line):
            assert " ci " in line and "--ignore-scripts" in line, line
        elif "=" not in line.split()[0] and not line.startswith("PIP_INSTALL"):
            assert "--require-hashes -r" in line or "--no-deps" in line, line
