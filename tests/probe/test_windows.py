"""The audio helper for Windows, as people get it: built, unpacked and started under Wine with a real sound server.

Wine 8 has no audio sessions, no container ids and no names of processes by psutil; `test_what_wine_cannot_do` lists that,
and fails when a later Wine can. The sessions are tested with COM objects of our own instead.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.sound import HEADSET, LAPTOP, SoundServer, sound_server
from tests.support.wine import Wine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
async def sound(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SoundServer]:
    with sound_server(tmp_path_factory.mktemp("sound")) as server:
        yield await server.ready()


@pytest.fixture(scope="module")
def windows(wine: Wine, sound: SoundServer) -> Wine:
    """Windows with the devices of the sound server."""
    return wine.with_environment(PULSE_SERVER=sound.environment["PULSE_SERVER"])


@pytest.fixture(scope="module")
def program(audio_helper: Path) -> Path:
    return audio_helper / "program"


async def reported(windows: Wine, python: Path) -> dict[str, Any]:
    code, printed = await windows.run(python, "-m", "probe.cli", "once", "--json")
    assert code == 0, printed
    return json.loads(printed)


def uses(report: dict[str, Any]) -> list[tuple[str, str, bool, bool]]:
    return [(use["program"], use["kind"], use["active"], use["assumed"]) for use in report["uses"]]


async def test_a_command_reads_windows_devices_and_ends_without_a_fault(windows: Wine, program: Path) -> None:
    code, printed = await windows.run(program / "python.exe", "-m", "probe.cli", "once")
    assert code == 0, printed
    assert "Neither Teams nor a softphone" in printed
    assert "Traceback" not in printed


async def test_a_running_teams_is_recognised_and_may_follow_the_default_for_calls(
    windows: Wine, program: Path
) -> None:
    teams = program / "ms-teams.exe"
    teams.write_bytes((program / "python.exe").read_bytes())
    report = await reported(windows, teams)
    assert uses(report) == [("teams", "input", False, True), ("teams", "output", False, True)]
    identifiers = [use["device"]["endpointId"] for use in report["uses"]]
    assert identifiers[0].startswith("{0.0.1.") and identifiers[1].startswith("{0.0.0.")


async def test_sessions_and_their_changes_arrive_through_com(windows: Wine, program: Path) -> None:
    """The process is Teams by its name; its session becomes silent, and another one begins on a microphone."""
    teams = program / "ms-teams.exe"
    teams.write_bytes((program / "python.exe").read_bytes())
    script = program / "sessions.py"
    script.write_bytes((ROOT / "tests/support/windows_sessions.py").read_bytes())
    code, printed = await windows.run(teams, script)
    assert code == 0, printed
    seen = json.loads(printed)
    (device,) = {use[2] for use in seen["once"]}
    assert seen["once"] == [["teams", "output", device, True, False]]
    assert seen["silent"] == [["teams", "output", device, False, False]]
    assert [use[1:2] + use[3:] for use in seen["began"]] == [["input", True, False], ["output", False, False]]
    assert seen["unreadable"] == 0
    assert seen["stopped"]


async def test_the_devices_of_the_sound_server_have_their_names(windows: Wine, program: Path) -> None:
    listed = await ask(windows, program, "[device.FriendlyName for device in devices()]")
    assert {HEADSET, LAPTOP} <= set(listed)


GAPS = {
    "audio sessions": "attempt(lambda: devices()[0].AudioSessionManager.GetSessionEnumerator())",
    "notifications of sessions": (
        "attempt(lambda: devices()[0].AudioSessionManager.RegisterSessionNotification(None))"
    ),
    "container ids": "[] != [one for one in devices() if windows._container_id(one)]",
    "names of processes by psutil": "attempt(psutil.Process().name)",
    "the drivers' USB ids": "'USB\\\\VID' in str([device.properties for device in devices()])",
}
"""What Wine 8 lacks, each with an expression that is true where it exists."""


async def test_what_wine_cannot_do(windows: Wine, program: Path) -> None:
    able = await ask(windows, program, f"{{ {', '.join(f'{name!r}: {GAPS[name]}' for name in GAPS)} }}")
    assert able == dict.fromkeys(GAPS, False), "test with Wine itself what it can do now"


async def ask(windows: Wine, program: Path, expression: str) -> Any:
    """Evaluate an expression in the program's Python; `devices()` lists all audio devices."""
    script = program / "ask.py"
    script.write_text(
        "import json, sys\n"
        "sys.coinit_flags = 0\n"
        "import psutil\n"
        "from probe.readers import windows\n"
        "from pycaw.utils import AudioUtilities\n"
        "def devices():\n"
        "    return [device for device in AudioUtilities.GetAllDevices() if device.state.name == 'Active']\n"
        "def attempt(call):\n"
        "    try:\n"
        "        return bool(call())\n"
        "    except (OSError, windows.comtypes.COMError):\n"
        "        return False\n"
        f"print(json.dumps({expression}))\n"
    )
    code, printed = await windows.run(program / "python.exe", script)
    assert code == 0, printed
    return json.loads(printed)
