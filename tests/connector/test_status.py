"""How the running connector stands: page, JSON, health, metrics and command; and the unit that runs it as a service."""

import asyncio
import configparser
import sys
from pathlib import Path

import pytest

from connector.config import load
from tests.support.world import World, eventually, free_ports

UNIT = Path(__file__).parents[2] / "infra" / "connector" / "pbx-connector.service"


async def test_the_status_of_a_running_connector(world: World) -> None:
    port = free_ports(1)
    await world.demo.stop_part("connector")
    await world.demo.start_connector(status_port=str(port))
    try:
        await world.connected()
        url = f"http://127.0.0.1:{port}"
        async with world.http.get(f"{url}/status") as answer:
            status = await answer.json()
        assert status["linked"] and status["linksOpened"] == 1 and status["pbxName"] == world.pbx_name
        async with world.http.get(f"{url}/healthz") as answer:
            assert answer.status == 200
        async with world.http.get(f"{url}/metrics") as answer:
            metrics = await answer.text()
        assert "pbx_connector_link_up 1.0" in metrics and "pbx_connector_links_total 1.0" in metrics
        async with world.http.get(url) as answer:
            page = await answer.text()
        assert world.pbx_name in page
        for text in (page, metrics, str(status)):
            assert world.key not in text and "foobar" not in text
        code, out = await command(world)
        assert code == 0 and "open since" in out
        await world.demo.stop_part("service")

        async def is_down() -> bool:
            return (await command(world))[0] == 1

        await eventually(is_down, "the command says that there is no link")
        async with world.http.get(f"{url}/healthz") as answer:
            assert answer.status == 503
        await world.demo.start_service()
    finally:
        await world.demo.stop_part("connector")
        await world.demo.start_connector()
        await world.connected()


async def test_without_a_running_connector_the_command_reports_it(world: World, tmp_path: Path) -> None:
    file = tmp_path / "connector.toml"
    text = world.demo.connector_configuration.read_text()
    file.write_text(text.replace("port = 0", f"port = {free_ports(1)}"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector.cli", "--config", str(file), "status"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode == 1 and b"no connector answers" in err and b"Traceback" not in err


async def test_the_service_has_metrics(world: World) -> None:
    await world.client().prepare(world.pbx_name, world.key)
    headers = {"Authorization": f"Bearer {world.demo.metrics_token()}"}
    async with world.http.get(f"{world.demo.service_url}/metrics", headers=headers) as answer:
        text = await answer.text()
    assert "pbx_teams_links 1.0" in text and "pbx_teams_plane_up 1.0" in text
    assert 'pbx_teams_pbx_calls_total{outcome="answered"}' in text


def test_the_unit_names_what_the_documentation_says() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert service["ExecStart"].endswith("/etc/pbx-connector/connector.toml run")
    assert service["StateDirectoryMode"] == "0700" and service["UMask"] == "0077"
    assert service["User"] == "pbx-connector"


@pytest.mark.parametrize("port", ["-1", "70000", '"x"'])
def test_a_port_that_is_none_is_reported_with_its_line(tmp_path: Path, port: str) -> None:
    file = tmp_path / "connector.toml"
    file.write_text(
        '[service]\nurl = "https://x"\n[pbx]\nname = "x"\nurl = "https://y"\nlogin = "1"\npassword = "p"\n'
        f"[status]\nport = {port}\n"
    )
    with pytest.raises(Exception, match=r"line 9: status\.port"):
        load(file)


async def command(world: World) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "connector.cli",
            "--config",
            str(world.demo.connector_configuration),
            "status",
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()
