"""The Windows and macOS readers against recorded structures; the thin calls below them were not tried here."""

import ast
import ctypes
import threading
import uuid
from pathlib import Path

import pytest

from probe.errors import NoSoundSystemError
from probe.programs import Recogniser
from probe.readers import macos_facts as mac
from probe.readers import windows_facts as win
from probe.readers.careful import keep_following, read_each
from probe.snapshot import Snapshot, report

READERS = Path(win.__file__).parent
JABRA_CONTAINER = "{7B0E5B3C-8D0C-5C1E-9E3A-1E2D3C4B5A69}"
# Properties as pycaw gives them; the path of the driver has another key in each version of Windows.
JABRA = {
    win.FRIENDLY_NAME: "Headset Earphone (Jabra Evolve2 65)",
    win.DESCRIPTION: "Headset Earphone",
    "{8C7ED206-3F8A-4827-B3AB-AE9E1FAEFC6C} 2": None,  # pycaw's answer for VT_CLSID
    "{B3F8FA53-0004-438E-9003-51A46E139BFC} 2": r"{1}.USB\VID_0B0E&PID_24C8&MI_00\6&318d810e&1&0000",
    "{9C119480-DDC2-4954-A150-5BD240D454AD} 10": 7,
}
JABRA_MICROPHONE = {**JABRA, win.FRIENDLY_NAME: "Headset Microphone (Jabra Evolve2 65)"}
REALTEK = {
    win.FRIENDLY_NAME: "Speakers (Realtek(R) Audio)",
    "{B3F8FA53-0004-438E-9003-51A46E139BFC} 2": r"{1}.HDAUDIO\FUNC_01&VEN_10EC&DEV_0257\4&2a",
}
PROCESSES = {
    4120: ("msedgewebview2.exe", "ms-teams.exe", "explorer.exe"),
    5512: ("STARFACE.exe", "explorer.exe"),
    900: ("spotify.exe", "explorer.exe"),
}
ACTIVE, INACTIVE, EXPIRED = win.SessionState.ACTIVE, win.SessionState.INACTIVE, win.SessionState.EXPIRED


def uses(snapshot: Snapshot) -> list[tuple[str, str, str, bool, bool, bool]]:
    return [
        (use.program, use.kind, use.device.label, use.active, use.assumed, use.exclusive)
        for use in report(snapshot, Recogniser()).uses
    ]


def windows(*endpoints: win.WindowsEndpoint, running: tuple[tuple[str, ...], ...] = ()) -> Snapshot:
    return win.to_snapshot(endpoints, lambda pid: PROCESSES.get(pid, ()), running)


def test_windows_sessions_become_uses_of_the_two_programs() -> None:
    snapshot = windows(
        win.WindowsEndpoint(
            "{0.0.0.00000000}.{a}",
            "output",
            JABRA,
            (win.WindowsSession(4120, ACTIVE), win.WindowsSession(900, ACTIVE)),
        ),
        win.WindowsEndpoint(
            "{0.0.1.00000000}.{b}", "input", JABRA_MICROPHONE, (win.WindowsSession(4120, ACTIVE),)
        ),
        win.WindowsEndpoint(
            "{0.0.0.00000000}.{c}",
            "output",
            REALTEK,
            (
                win.WindowsSession(5512, INACTIVE),
                win.WindowsSession(0, ACTIVE, is_system_sounds=True),
                win.WindowsSession(5512, EXPIRED),
            ),
        ),
    )
    assert uses(snapshot) == [
        ("teams", "input", "Headset Microphone (Jabra Evolve2 65)", True, False, False),
        ("teams", "output", "Headset Earphone (Jabra Evolve2 65)", True, False, False),
        ("softphone", "output", "Speakers (Realtek(R) Audio)", False, False, False),
    ]


def test_windows_names_ids_container_and_usb_model() -> None:
    device = win.to_device(
        win.WindowsEndpoint("{0.0.0.00000000}.{a}", "output", JABRA, container_id=JABRA_CONTAINER)
    )
    assert device.endpoint_id == "{0.0.0.00000000}.{a}"
    assert (device.container_id, device.usb_id) == (JABRA_CONTAINER.lower(), "0b0e:24c8")
    assert win.to_device(win.WindowsEndpoint("x", "output", REALTEK)).usb_id == ""
    assert win.to_device(win.WindowsEndpoint("x", "output", {})).label == "x"
    assert win.to_device(win.WindowsEndpoint("x", "output", {win.DESCRIPTION: "Line"})).label == "Line"
    assert win.to_device(win.WindowsEndpoint("x", "output", JABRA, container_id="none")).container_id == ""
    in_memory = ctypes.create_string_buffer(uuid.UUID(JABRA_CONTAINER).bytes_le)
    assert win.guid_at(ctypes.addressof(in_memory)) == JABRA_CONTAINER.lower()
    assert win.guid_at(0) == ""


def test_windows_exclusive_use_is_that_of_the_active_session() -> None:
    sessions = (win.WindowsSession(5512, ACTIVE), win.WindowsSession(4120, INACTIVE))
    snapshot = windows(win.WindowsEndpoint("e", "output", JABRA, sessions, is_exclusive=True))
    assert {(use[0], use[5]) for use in uses(snapshot)} == {("softphone", True), ("teams", False)}


def test_windows_a_running_program_may_follow_the_default_for_calls() -> None:
    snapshot = windows(
        win.WindowsEndpoint("e", "output", JABRA, is_default_for_calls=True),
        win.WindowsEndpoint("f", "output", REALTEK),
        running=(("ms-teams.exe",), ("svchost.exe",)),
    )
    assert uses(snapshot) == [("teams", "output", "Headset Earphone (Jabra Evolve2 65)", False, True, False)]


def test_windows_a_process_that_has_ended_meanwhile_is_ignored() -> None:
    assert uses(windows(win.WindowsEndpoint("e", "output", JABRA, (win.WindowsSession(77, ACTIVE),)))) == []


def test_one_device_that_cannot_be_read_leaves_the_others() -> None:
    def read(number: int) -> int:
        if number == 1:
            raise OSError("the device has gone")
        return number

    assert read_each(range(3), read, (OSError,)) == ([0, 2], 1)
    assert windows().unreadable == 0
    assert win.to_snapshot([], lambda _pid: (), unreadable=1).unreadable == 1


@pytest.mark.parametrize("fault", [OSError("0x88890010"), NoSoundSystemError("the service does not answer")])
def test_a_sound_system_that_goes_away_is_followed_again(fault: Exception) -> None:
    stopped = threading.Event()
    seen: list[Snapshot] = []
    looks = iter([fault, fault, None])

    def follow() -> None:
        if (gone := next(looks)) is not None:
            raise gone
        stopped.set()

    keep_following(follow, seen.append, stopped, (OSError,), retry_seconds=0)
    assert seen == [Snapshot(), Snapshot()]


HEADSET = mac.Device(
    61,
    "Jabra Evolve2 65",
    "AppleUSBAudioEngine:GN Audio A/S:Jabra Evolve2 65:A0B1C2D3E4F5:2,1",
    "Jabra Evolve2 65:0B0E:24C8",
)
BUILT_IN = mac.Device(52, "MacBook Pro Speakers", "BuiltInSpeakerDevice", "Speaker")
MAC_PROCESSES = {81: ("MSTeams",), 82: ("STARFACE",)}


def test_macos_process_objects_become_uses() -> None:
    processes = [
        mac.Process(
            81, "com.microsoft.teams2.modulehost", {"output": (61,), "input": (61,)}, frozenset({"output"})
        ),
        mac.Process(82, "de.starface.ucc", {"output": (52, 999)}, frozenset()),
        mac.Process(83, "com.apple.Music", {"output": (52,)}, frozenset({"output"})),
    ]
    snapshot = mac.to_snapshot(
        [HEADSET, BUILT_IN], processes, {"output": 52}, lambda pid: MAC_PROCESSES.get(pid, ())
    )
    assert uses(snapshot) == [
        ("teams", "output", "Jabra Evolve2 65", True, False, False),
        ("softphone", "output", "MacBook Pro Speakers", False, False, False),
        ("teams", "input", "Jabra Evolve2 65", False, False, False),
    ]
    assert snapshot.note == ""


def test_macos_a_process_records_when_it_uses_a_device_for_input() -> None:
    """Not when 'piri' says so, which is of the first stream only."""
    assert mac.running_kinds({"input": (61,), "output": (61,)}, plays=False) == {"input"}
    assert mac.running_kinds({"input": (), "output": (61,)}, plays=True) == {"output"}
    assert mac.running_kinds({}, plays=False) == set()


def test_macos_before_14_2_knows_the_defaults_only_and_reports_it() -> None:
    snapshot = mac.to_snapshot(
        [HEADSET, BUILT_IN], None, {"output": 61, "input": 7}, lambda _pid: (), (("Microsoft Teams",),)
    )
    assert uses(snapshot) == [("teams", "output", "Jabra Evolve2 65", False, True, False)]
    assert "older than 14.2" in snapshot.note


@pytest.mark.parametrize(
    ("device", "usb_id", "serial"),
    [
        (HEADSET, "0b0e:24c8", "A0B1C2D3E4F5"),
        (BUILT_IN, "", ""),
        (mac.Device(1, "AirPods Pro", "AC-12-2F-11-22-33:output", "2014 4c"), "", ""),
        (mac.Device(1, "", "uid", ""), "", ""),
    ],
)
def test_macos_ids_of_a_device(device: mac.Device, usb_id: str, serial: str) -> None:
    found = mac.to_device(device)
    assert (found.usb_id, found.serial) == (usb_id, serial)
    assert found.label


@pytest.mark.parametrize("name", ["windows", "macos"])
def test_the_thin_parts_are_at_least_python_and_use_what_the_facts_offer(name: str) -> None:
    tree = ast.parse((READERS / f"{name}.py").read_text())
    facts = win if name == "windows" else mac
    imported = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == f"probe.readers.{name}_facts"
        for alias in node.names
    ]
    assert imported and all(hasattr(facts, one) for one in imported)
