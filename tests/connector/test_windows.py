"""The connector for Windows, as sites get it: built, unpacked, and started under Wine against service and PBX.

Wine does not enforce the rights of files, and has no Task Scheduler that starts programs with Windows.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.artefacts import windows as windows_packages
from infra.artefacts.folder import plan_build
from tests.support.wine import Wine
from tests.support.world import World, eventually, free_ports

NAME = "windows.example.com"
LINK_SECONDS = 90


@dataclass(frozen=True)
class Site:
    """A Windows machine with the unpacked connector and its configuration."""

    wine: Wine
    folder: Path
    world: World
    port: int

    @property
    def data(self) -> Path:
        return self.wine.drive / "ProgramData/pbx-connector"

    async def run(self, *words: str) -> tuple[int, str]:
        """Run a command as an administrator types it in the folder of the program."""
        return await self.wine.run("cmd", "/c", self.folder / "pbx-connector.cmd", *words)

    async def status(self) -> dict[str, Any]:
        """Return the state that the running connector shows on loopback; empty if none runs."""
        try:
            async with self.world.http.get(f"http://127.0.0.1:{self.port}/status") as answer:
                return await answer.json()
        except OSError:
            return {}

    async def is_linked(self) -> bool:
        return bool((await self.status()).get("linked"))


@pytest.fixture(scope="module")
def folder(wine: Wine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = plan_build(tmp_path_factory.mktemp("packages"))
    return wine.unpack(plan.out / windows_packages.build_connector(plan).file, "Program Files")


@pytest.fixture
async def site(wine: Wine, folder: Path, world: World) -> AsyncIterator[Site]:
    site = Site(wine, folder, world, free_ports(1))
    text = world.demo.connector_configuration.read_text()
    state = json.dumps(str(world.demo.state / "connector"))
    for before, after in (
        (world.pbx_name, NAME),
        (f"state_directory = {state}\n", ""),
        ("port = 0", f"port = {site.port}"),
        ("[service]\n", f'[service]\nenrolment_code = "{await world.enrolment_code(NAME)}"\n'),
    ):
        assert before in text, before
        text = text.replace(before, after, 1)
    site.data.mkdir(parents=True, exist_ok=True)
    (site.data / "connector.toml").write_text(without_second_code(text))
    yield site


def without_second_code(text: str) -> str:
    """Keep the first enrolment code; the configuration of the demonstration may have one of its own name."""
    lines = text.splitlines(keepends=True)
    codes = [line for line in lines if line.startswith("enrolment_code")]
    return "".join(line for line in lines if line not in codes[1:])


async def test_the_doctor_reaches_pbx_and_service(site: Site) -> None:
    _code, printed = await site.run("doctor", "--json")
    steps = {step["step"]: step["outcome"] for step in json.loads(printed)["steps"]}
    assert "failed" not in {outcome for step, outcome in steps.items() if step.startswith("pbx")}, printed
    assert list(steps.values()).count("ok") >= 8, printed


async def test_it_opens_a_link_and_keeps_its_identity(site: Site) -> None:
    identities = []
    for _ in range(2):
        async with site.wine.start(site.folder / "program/python.exe", "-m", "connector.cli", "run"):
            await eventually(site.is_linked, "the link is open", LINK_SECONDS)
            identities.append((await site.status())["identity"])
            code, printed = await site.run("status")
            assert code == 0, printed
            assert NAME in printed
    assert identities[0] == identities[1]
    assert (site.data / "state/identity.pem").exists()
