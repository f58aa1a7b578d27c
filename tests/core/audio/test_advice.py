"""The cure names a device that is there, for the program that is easier to change."""

from datetime import UTC, datetime

import pytest

from core.audio.advice import DeviceAdvice, advise
from core.audio.device import AudioDevice, Kind
from core.audio.evidence import DeviceUse, Program, Source
from core.audio.finding import conclude

NOW = datetime(2026, 11, 25, tzinfo=UTC)
IN, OUT = Kind.INPUT, Kind.OUTPUT
HEADSET = "Jabra Evolve2 65"
MACHINE = [
    (IN, f"Headset Microphone ({HEADSET}) (0b0e:24c8)"),
    (OUT, f"Headset Earphone ({HEADSET}) (0b0e:24c8)"),
    (IN, "Microphone Array (Realtek(R) Audio)"),
    (OUT, "Speakers (Realtek(R) Audio)"),
    (OUT, "DELL U2720Q (NVIDIA High Definition Audio)"),
    (IN, "Krisp Microphone (Krisp Audio)"),
    (IN, "Stereo Mix (Realtek(R) Audio)"),
]
SECOND = [
    (IN, "Headset Microphone (Poly BW 3220) (047f:c056)"),
    (OUT, "Headset Earphone (Poly BW 3220) (047f:c056)"),
]


def advice(
    uses: list[tuple[Program, Kind, str]], present: list[tuple[Kind, str]], assumed: Program | None = None
) -> DeviceAdvice:
    observations = [
        DeviceUse(Source.PROBE, program, kind, AudioDevice(label, kind), NOW, assumed=program is assumed)
        for program, kind, label in uses
    ]
    return advise(conclude(observations, NOW), [AudioDevice(label, kind) for kind, label in present])


def settings(changes: tuple) -> list[tuple[str, str, str]]:
    return [(change.program.value, change.kind.value, change.device) for change in changes]


ALL_ON_HEADSET = [(program, kind, HEADSET) for program in Program for kind in Kind]


def test_the_softphone_gets_the_laptops_own_devices() -> None:
    found = advice(ALL_ON_HEADSET, MACHINE)
    assert settings(found.changes) == [
        ("softphone", "input", "Microphone Array (Realtek Audio)"),
        ("softphone", "output", "Speakers (Realtek Audio)"),
    ]
    assert settings(found.instead) == [
        ("teams", "input", "Microphone Array (Realtek Audio)"),
        ("teams", "output", "Speakers (Realtek Audio)"),
    ]


def test_a_second_headset_is_better_and_is_taken_whole() -> None:
    found = advice(ALL_ON_HEADSET, [*MACHINE, *SECOND])
    assert [change.device for change in found.changes] == [
        "Headset Microphone (Poly BW 3220)",
        "Headset Earphone (Poly BW 3220)",
    ]


def test_only_what_is_shared_is_changed() -> None:
    uses = [
        (Program.TEAMS, IN, "Microphone Array (Realtek(R) Audio)"),
        (Program.TEAMS, OUT, HEADSET),
        (Program.SOFTPHONE, IN, HEADSET),
        (Program.SOFTPHONE, OUT, HEADSET),
    ]
    found = advice(uses, MACHINE)
    # One setting of Teams instead of two of the softphone.
    assert settings(found.changes) == [("teams", "output", "Speakers (Realtek Audio)")]


def test_the_program_that_only_follows_the_default_changes_first() -> None:
    found = advice(ALL_ON_HEADSET, MACHINE, assumed=Program.TEAMS)
    assert {change.program for change in found.changes} == {Program.TEAMS}


@pytest.mark.parametrize("present", [[], MACHINE[:2], [*MACHINE[:2], MACHINE[5], MACHINE[6]]])
def test_without_another_real_device_there_is_nothing_to_choose(present: list[tuple[Kind, str]]) -> None:
    found = advice(ALL_ON_HEADSET, present)
    assert found.changes == ()
    assert found.instead == ()


def test_a_device_that_may_be_the_same_is_not_advised() -> None:
    present = [(IN, "Jabra Link 380"), (OUT, "Jabra Link 380")]
    assert advice(ALL_ON_HEADSET, present).changes == ()


def test_a_name_is_reported_as_the_system_lists_it() -> None:
    found = advice(
        ALL_ON_HEADSET, [(IN, "Default - Mikrofon (2- Yeti Nano) (046d:0abc)"), (OUT, "Yeti Nano")]
    )
    assert [change.device for change in found.changes] == ["Mikrofon (2- Yeti Nano)", "Yeti Nano"]
