"""Which programs are recognised, and what of a snapshot is sent."""

from pathlib import Path

import pytest

from probe.errors import ProbeError
from probe.programs import Program, Recogniser, load_rules
from probe.readers.processes import BROWSER, Processes
from probe.snapshot import AudioStream, Snapshot, report
from wire.probe import ProbeDevice

TEAMS, SOFTPHONE = Program.TEAMS, Program.SOFTPHONE


@pytest.mark.parametrize(
    ("names", "program"),
    [
        (["ms-teams.exe"], TEAMS),
        (["msedgewebview2.exe", "ms-teams.exe", "explorer.exe"], TEAMS),
        (["ms-teams_modulehost.exe"], TEAMS),
        (["Teams.exe"], TEAMS),
        (["teams-for-linux"], TEAMS),
        (["com.microsoft.teams2"], TEAMS),
        (["com.microsoft.teams2.modulehost"], TEAMS),
        (["com.microsoft.teams"], TEAMS),
        (["Microsoft Teams"], TEAMS),
        (["Microsoft Teams (work or school)"], TEAMS),
        (["Microsoft Teams WebView Helper (Renderer)"], TEAMS),
        (["Chromium", "chrome", "--app=https://teams.microsoft.com/v2"], TEAMS),
        (["STARFACE.exe"], SOFTPHONE),
        (["STARFACE UCC Client"], SOFTPHONE),
        (["UccClient.exe"], SOFTPHONE),
        (["java", "starface-app"], SOFTPHONE),
        (["de.starface.app"], SOFTPHONE),
        (["chrome.exe"], None),
        (["Google Chrome", "--app=https://example.com/teams.microsoft.com"], None),
        (["Steams.exe"], None),
        (["teamspeak3"], None),
        (["TeamViewer.exe"], None),
        (["pulseaudio"], None),
        ([], None),
    ],
)
def test_a_program_is_recognised_by_its_names(names: list[str], program: Program | None) -> None:
    assert Recogniser()(names) is program


@pytest.mark.parametrize(
    ("name", "is_browser"),
    [
        ("chrome.exe", True),
        ("Google Chrome", True),
        ("msedge.exe", True),
        ("firefox-bin", True),
        ("Safari", True),
        ("msedgewebview2.exe", False),
        ("ms-teams.exe", False),
        ("teams-for-linux", False),
    ],
)
def test_the_walk_to_the_parents_stops_at_a_browser(name: str, is_browser: bool) -> None:
    """Teams may have started it, by a link that was clicked; what it plays is not Teams' sound."""
    assert (BROWSER.fullmatch(name) is not None) is is_browser


def test_a_number_that_is_no_process_has_no_names() -> None:
    for pid in (0, -1, 2**40, 10**30):
        assert Processes().names_of(pid) == () or pid == 0


def test_people_add_their_own_softphone(tmp_path: Path) -> None:
    path = tmp_path / "programs.toml"
    path.write_text('[[program]]\nkind = "softphone"\nname = "zoiper.*"\n')
    recognise = Recogniser(load_rules(path))
    assert recognise(["Zoiper5.exe"]) is SOFTPHONE
    assert recognise(["teams"]) is TEAMS
    assert load_rules(tmp_path / "none.toml") == ()


@pytest.mark.parametrize(
    "content",
    [
        "[[program",
        '[[program]]\nkind = "fax"\nname = "x"',
        '[[program]]\nkind = "teams"',
        "program = [1]",
        '[[program]]\nkind="teams"\nname="("',
    ],
)
def test_a_list_that_cannot_be_read_is_reported_with_its_place(tmp_path: Path, content: str) -> None:
    path = tmp_path / "programs.toml"
    path.write_text(content)
    with pytest.raises(ProbeError, match="programs.toml"):
        load_rules(path)


JABRA, REALTEK = ProbeDevice(label="Jabra", endpoint_id="j"), ProbeDevice(label="Realtek", endpoint_id="r")


def seen(snapshot: Snapshot) -> list[tuple[str, str, str, bool, bool]]:
    return [
        (use.program, use.kind, use.device.label, use.active, use.assumed)
        for use in report(snapshot, Recogniser()).uses
    ]


def test_only_teams_and_the_softphone_are_reported() -> None:
    streams = (
        AudioStream(("ms-teams.exe",), "output", JABRA),
        AudioStream(("spotify.exe",), "output", REALTEK),
        AudioStream(("starface.exe",), "input", REALTEK, active=False),
    )
    assert seen(Snapshot(streams, {"input": JABRA, "output": JABRA})) == [
        ("teams", "output", "Jabra", True, False),
        ("softphone", "input", "Realtek", False, False),
    ]


def test_several_streams_on_one_device_are_one_use() -> None:
    streams = tuple(
        AudioStream(("teams",), "output", JABRA, active=active) for active in (False, True, False)
    )
    assert seen(Snapshot(streams)) == [("teams", "output", "Jabra", True, False)]


def test_a_program_that_runs_without_sound_may_follow_the_default() -> None:
    snapshot = Snapshot((), {"input": JABRA, "output": REALTEK}, running=(("starface",), ("bash",)))
    assert seen(snapshot) == [
        ("softphone", "input", "Jabra", False, True),
        ("softphone", "output", "Realtek", False, True),
    ]
    with_stream = Snapshot(
        (AudioStream(("starface",), "output", JABRA),), snapshot.defaults, snapshot.running
    )
    assert seen(with_stream) == [("softphone", "output", "Jabra", True, False)]


def test_a_report_has_an_end() -> None:
    devices = [ProbeDevice(label=f"d{n}", endpoint_id=str(n)) for n in range(50)]
    streams = tuple(
        AudioStream(("teams",), "output", device, active=n == 49) for n, device in enumerate(devices)
    )
    assert len(report(Snapshot(streams), Recogniser()).uses) == 32
    assert seen(Snapshot(streams))[0][2] == "d49", "what is at work comes first"
