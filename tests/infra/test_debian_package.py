"""The connector's Debian package in a fresh Debian with a running systemd: installed, linked, upgraded, removed, purged.

The service and the simulated PBX run outside, on the same loopback. lintian is Debian's own.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.artefacts import debian
from infra.artefacts.folder import plan_build
from infra.release import parts_of
from tests.support.debian import Debian, base
from tests.support.world import BEN, World, eventually, free_ports

ROOT = Path(__file__).parents[2]
NAME = "debian.example.com"
CONFIGURATION = "/etc/pbx-connector/connector.toml"
KEY_FILE = "/root/users.pbxkey"

pytestmark = pytest.mark.skipif(
    not base().is_dir(), reason="infra/debian.sh makes the tree, on Debian or Ubuntu, as root"
)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The package, and one of a later version, in a folder; their names."""
    out = tmp_path_factory.mktemp("packages")
    plan = plan_build(out, compression=0)
    major, minor, patch = parts_of(plan.version)
    later = plan_build(out, f"{major}.{minor}.{patch + 1}", compression=0)
    return [str(out / debian.build(one).file) for one in (plan, later)]


@pytest.fixture
def machine(packages: list[str], tmp_path: Path) -> Iterator[Debian]:
    machine = Debian(tmp_path / "console", Path(packages[0]).parent)
    try:
        machine.boot()
        yield machine
    finally:
        machine.halt()


def install(machine: Debian, package: str) -> str:
    """Install a package as its documentation says, with nothing but what a fresh Debian has."""
    name = Path(package).name
    return machine.run("apt-get", "install", "--yes", "--no-install-recommends", f"/packages/{name}")


async def test_the_package_lives_as_debian_policy_wants(
    world: World, machine: Debian, packages: list[str]
) -> None:
    before = machine.files()
    said = install(machine, packages[0])
    assert "not set up yet" in said and "pbx-connector setup" in said
    assert machine.run("systemctl", "is-enabled", "pbx-connector").strip() == "enabled"
    # Without a configuration nothing has failed.
    assert machine.run("systemctl", "is-active", "pbx-connector", check=False).strip() == "inactive"
    assert machine.run("systemctl", "--failed", "--quiet").strip() == ""
    # No manual pages on so small a system.
    machine.run("systemd-analyze", "verify", "--man=no", "pbx-connector.service")
    exposure = machine.run("systemd-analyze", "security", "--no-pager", "pbx-connector.service")
    assert "OK" in exposure.splitlines()[-1], exposure

    port = free_ports(1)
    await configure(machine, world, port)
    # An administrator looks before the service has ever run. What this writes, the service reads.
    machine.run("pbx-connector", "doctor")
    machine.run("systemctl", "start", "pbx-connector")
    first = await linked(machine)
    assert first["pbxName"] == NAME and first["connectorVersion"] == version(packages[0])
    process = machine.run("systemctl", "show", "--property=MainPID", "--value", "pbx-connector").strip()
    assert machine.run("stat", "--format=%U", f"/proc/{process}").strip() == "pbx-connector"

    async def is_in_the_journal() -> bool:
        return "connector.link: link open" in machine.run("journalctl", "--unit=pbx-connector", "--no-pager")

    await eventually(is_in_the_journal, "the log is in the journal", seconds=20)
    machine.run("pbx-connector", "key", "file", "--out", KEY_FILE)
    key = json.loads(machine.run("cat", KEY_FILE))["pbxKey"]
    signed_in = await world.client(BEN).sign_in(NAME, key)
    assert signed_in.status == 200, signed_in.body
    for directory in ("/etc/pbx-connector", "/var/lib/pbx-connector"):
        owners = machine.run("find", directory, "-printf", "%u %m %y\\n").splitlines()
        assert set(owners) <= {"pbx-connector 750 d", "pbx-connector 700 d", "pbx-connector 600 f"}

    kept = contents(machine)
    install(machine, packages[1])
    again = await linked(machine)
    assert again["connectorVersion"] == version(packages[1]) and again["startedAt"] > first["startedAt"]
    assert again["identity"] == first["identity"]
    assert contents(machine) == kept

    machine.run("apt-get", "remove", "--yes", "pbx-connector")
    assert machine.run("systemctl", "is-active", "pbx-connector", check=False).strip() == "inactive"
    assert not machine.succeeds("test", "-e", "/usr/lib/pbx-connector")
    assert contents(machine) == kept

    machine.run("apt-get", "purge", "--yes", "pbx-connector")
    machine.run("rm", KEY_FILE)
    left = {path for path in machine.files() - before if not path.startswith("/var/lib/dpkg/")}
    assert left - {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"} == set()
    assert not machine.succeeds("getent", "passwd", "pbx-connector")
    assert not machine.succeeds("getent", "group", "pbx-connector")


async def test_an_administrators_decisions_survive_an_upgrade(
    world: World, machine: Debian, packages: list[str]
) -> None:
    """A disabled service stays off, and owners that were set by dpkg-statoverride are kept."""
    install(machine, packages[0])
    machine.run("systemctl", "disable", "pbx-connector")
    machine.run(
        *["dpkg-statoverride", "--update", "--add", "root", "pbx-connector", "0770", "/etc/pbx-connector"]
    )
    install(machine, packages[1])
    assert machine.run("systemctl", "is-enabled", "pbx-connector", check=False).strip() == "disabled"
    assert machine.run("stat", "--format=%U %a", "/etc/pbx-connector").strip() == "root 770"


def test_lintian_finds_no_fault(packages: list[str]) -> None:
    found = subprocess.run(
        ("lintian", "--allow-root", "--fail-on=error,warning", "--display-info", packages[0]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    # An override that matches nothing any more is shown as well.
    assert "unused-override" not in found.stdout and "mismatched-override" not in found.stdout


async def configure(machine: Debian, world: World, port: int) -> None:
    """Set the connector up by the steps that the package has told."""
    example = f"{debian.DOCUMENTS}/examples/connector.toml"
    machine.run("install", "-o", "pbx-connector", "-m", "0600", f"/{example}", CONFIGURATION)
    code = await world.enrolment_code(NAME)
    changes = {
        "https://pbx-teams.example.com": world.demo.service_url,
        "ABCD-EFGH": code,
        "pbx.example.com": NAME,
        "https://192.0.2.10": world.starface_url,
        'password = "…"': 'password = "foobar"',
        "192.0.2.20": "127.0.0.1",
        "3990": str(port),
    }
    for before, after in changes.items():
        machine.run("sed", "--in-place", f"s|{before}|{after}|", CONFIGURATION)
    machine.run("chown", "pbx-connector:", CONFIGURATION)


async def linked(machine: Debian) -> dict[str, Any]:
    """Wait for a link, and return the status."""

    async def look() -> dict[str, Any] | None:
        said = machine.run("pbx-connector", "status", "--json", check=False)
        status = json.loads(said) if said.startswith("{") else {}
        return status if status.get("linked") else None

    try:
        return await eventually(look, "the connector in the package has a link", seconds=60)
    except AssertionError as late:
        log = machine.run("journalctl", "--unit=pbx-connector", "--no-pager", check=False)
        raise AssertionError(f"{late}\n{log}") from late


def contents(machine: Debian) -> str:
    """The checksums of configuration, identity and PBX key."""
    files = (
        CONFIGURATION,
        *(f"/var/lib/pbx-connector/{name}" for name in ("identity.pem", "sealing.pem", "pbx-key")),
    )
    return machine.run("sha256sum", *files)


def version(package: str) -> str:
    return debian.run("dpkg-deb", "--field", package, "Version").strip()
