"""The macOS reader against C functions with CoreAudio's signatures; no Mac was available."""

import ctypes
import ctypes.util
import os
import threading
from collections.abc import Iterator

import pytest

from probe.programs import Recogniser
from probe.readers import macos
from probe.snapshot import Snapshot, report
from tests.support.core_audio import INPUT, OUTPUT, CoreAudio

SPEAKERS, HEADSET, GONE = 52, 61, 70
TEAMS, OTHER = 300, 301
UID = "AppleUSBAudioEngine:GN Audio A/S:Jabra Evolve2 65:A0B1C2D3E4F5:2,1"


@pytest.fixture
def core_audio(monkeypatch: pytest.MonkeyPatch) -> Iterator[CoreAudio]:
    audio = CoreAudio()
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: name)
    monkeypatch.setattr(ctypes, "CDLL", audio.open)
    audio.set(1, "dev#", [SPEAKERS, HEADSET])
    audio.set(1, "prs#", [TEAMS, OTHER])
    audio.set(1, "dOut", SPEAKERS)
    audio.set(1, "dIn ", HEADSET)
    for device, name, uid, model in (
        (SPEAKERS, "MacBook Pro-Lautsprecher", "BuiltInSpeakerDevice", "Speaker"),
        (HEADSET, "Jabra Evolve2 65", UID, "Jabra Evolve2 65:0B0E:24C8"),
    ):
        audio.set(device, "lnam", name)
        audio.set(device, "uid ", uid)
        audio.set(device, "muid", model)
    for process, bundle in ((TEAMS, "com.microsoft.teams2.modulehost"), (OTHER, "com.apple.Music")):
        audio.set(process, "ppid", os.getpid())
        audio.set(process, "pbid", bundle)
        audio.set(process, "pdv#", [], INPUT)
        audio.set(process, "pdv#", [HEADSET], OUTPUT)
        audio.set(process, "piro", 1)
    yield audio
    audio.check_types()
    assert audio.misuse == []
    assert audio.held == {}, "every string is released"


def uses(snapshot: Snapshot) -> list[tuple[str, str, str, bool]]:
    return [
        (use.program, use.kind, use.device.label, use.active) for use in report(snapshot, Recogniser()).uses
    ]


def test_devices_processes_and_defaults_are_read_through_the_c_interface(core_audio: CoreAudio) -> None:
    snapshot = macos.MacReader().snapshot()
    assert uses(snapshot) == [("teams", "output", "Jabra Evolve2 65", True)]
    (device,) = {stream.device for stream in snapshot.streams if stream.names[0] != "com.apple.Music"}
    assert (device.endpoint_id, device.usb_id, device.serial) == (UID, "0b0e:24c8", "A0B1C2D3E4F5")
    assert snapshot.defaults["output"].label == "MacBook Pro-Lautsprecher"
    assert (snapshot.note, snapshot.unreadable) == ("", 0)


def test_a_process_that_records_is_seen_by_its_input_devices(core_audio: CoreAudio) -> None:
    core_audio.set(TEAMS, "pdv#", [HEADSET], INPUT)
    core_audio.set(TEAMS, "piro", 0)
    assert uses(macos.MacReader().snapshot()) == [
        ("teams", "input", "Jabra Evolve2 65", True),
        ("teams", "output", "Jabra Evolve2 65", False),
    ]


def test_devices_and_processes_that_went_away_are_counted(core_audio: CoreAudio) -> None:
    core_audio.set(1, "dev#", [SPEAKERS, GONE, HEADSET])
    core_audio.set(1, "prs#", [TEAMS, GONE + 1, OTHER])
    snapshot = macos.MacReader().snapshot()
    assert uses(snapshot) == [("teams", "output", "Jabra Evolve2 65", True)]
    assert snapshot.unreadable == 2


def test_an_older_macos_has_no_process_objects(core_audio: CoreAudio) -> None:
    del core_audio.properties[1, "prs#", "glob"]
    snapshot = macos.MacReader().snapshot()
    assert snapshot.streams == ()
    assert "older than 14.2" in snapshot.note


def test_a_restarted_coreaudiod_is_followed_again(
    core_audio: CoreAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(macos, "POLL_SECONDS", 0.01)
    reader = macos.MacReader()
    seen: list[list[tuple[str, str, str, bool]]] = []
    arrived = threading.Condition()

    def changed(snapshot: Snapshot) -> None:
        with arrived:
            seen.append(uses(snapshot))
            core_audio.is_down = len(seen) == 1
            arrived.notify_all()

    watching = threading.Thread(target=reader.watch, args=(changed,))
    watching.start()
    with arrived:
        assert arrived.wait_for(lambda: len(seen) >= 3, 20)
    reader.stop()
    watching.join(20)
    assert not watching.is_alive()
    assert seen[:3] == [seen[0], [], seen[0]]
    assert seen[0] != []
