"""Whether two names are one device: by labels from public reports, by pairs, by ids, and for any text at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audio.comparison import Reason, Sameness, compare
from core.audio.device import AudioDevice, Kind, Platform
from core.language import Language
from tests.support.audio_labels import PAIRS, labelled_pairs, machines

HEADSET = "Headset (Jabra Evolve2 65)"


@pytest.mark.parametrize(("one", "other", "expected"), PAIRS)
def test_a_pair_of_names(one: str, other: str, expected: list[str]) -> None:
    found = compare(AudioDevice(one), AudioDevice(other))
    assert found.verdict in expected, found
    assert compare(AudioDevice(other), AudioDevice(one)) == found


def test_names_on_one_machine_are_never_taken_for_each_other() -> None:
    for pair in labelled_pairs():
        verdict = compare(AudioDevice(pair.one), AudioDevice(pair.other)).verdict
        assert verdict in pair.right or verdict is Sameness.UNSURE, pair


CONTAINER, OTHER_CONTAINER = (
    "{7b0e5b3c-0000-4000-8000-000000000001}",
    "{7b0e5b3c-0000-4000-8000-000000000002}",
)
COMPUTER = "{00000000-0000-0000-FFFF-FFFFFFFFFFFF}"


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (
            AudioDevice("Telefon", container_id=CONTAINER),
            AudioDevice("Lautsprecher (Ganz was anderes)", container_id=CONTAINER.upper()),
            Reason.SAME_CONTAINER,
        ),
        (
            AudioDevice(HEADSET, container_id=CONTAINER),
            AudioDevice(HEADSET, container_id=OTHER_CONTAINER),
            Reason.OTHER_CONTAINER,
        ),
        (
            AudioDevice("Speakers (Realtek(R) Audio)", container_id=COMPUTER),
            AudioDevice("Microphone Array (Realtek(R) Audio)", container_id=COMPUTER),
            Reason.SEVERAL_SOCKETS,
        ),
        (
            AudioDevice("A", platform=Platform.LINUX, endpoint_id="alsa_input.usb-X-00"),
            AudioDevice("B", platform=Platform.LINUX, endpoint_id="alsa_input.usb-X-00"),
            Reason.SAME_ENDPOINT,
        ),
        (
            AudioDevice("Some A", platform=Platform.LINUX, endpoint_id="7"),
            AudioDevice("Other B", platform=Platform.WINDOWS, endpoint_id="7"),
            Reason.OTHER_NAME,
        ),
        (
            AudioDevice(HEADSET, usb_id="0B0E:0a44", serial="1"),
            AudioDevice(HEADSET, usb_id="0b0e:0A44", serial="2"),
            Reason.OTHER_SERIAL,
        ),
        (
            AudioDevice("Left", usb_id="0b0e:0a44", serial="1"),
            AudioDevice("Right", usb_id="0b0e:0a44", serial="1"),
            Reason.SAME_SERIAL,
        ),
        (
            AudioDevice("Headset (X Y)", platform=Platform.BROWSER, group_id="g"),
            AudioDevice("Mikrofon (Y Z)", platform=Platform.BROWSER, group_id="g"),
            Reason.SAME_GROUP,
        ),
        (
            AudioDevice("Speakers (Realtek(R) Audio)", platform=Platform.BROWSER, group_id="g"),
            AudioDevice("Microphone (Realtek(R) Audio)", platform=Platform.BROWSER, group_id="g"),
            Reason.SEVERAL_SOCKETS,
        ),
        (
            AudioDevice("Headset (Jabra)", Kind.INPUT, Platform.WINDOWS, "{0.0.1.00000000}.{a}"),
            AudioDevice("Headset (2- Jabra)", Kind.INPUT, Platform.WINDOWS, "{0.0.1.00000000}.{b}"),
            Reason.OTHER_PIECE,
        ),
        (
            AudioDevice("Headset (Jabra)", usb_id="0b0e:0a44"),
            AudioDevice("Speakers (Other)", usb_id="0b0e:0a45"),
            Reason.OTHER_MODEL,
        ),
    ],
)
def test_ids_come_before_labels(one: AudioDevice, other: AudioDevice, reason: Reason) -> None:
    assert compare(one, other).reason is reason
    assert compare(other, one).reason is reason


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_gets_an_answer_and_the_same_one_from_both_sides(one: str, other: str) -> None:
    found = compare(AudioDevice(one), AudioDevice(other))
    assert found == compare(AudioDevice(other), AudioDevice(one))
    assert found.words(Language.DE) and found.words(Language.EN)


ROLES = ["Default - ", "Communications - ", "Standard - ", "Kommunikation - ", "Par défaut - ", "既定 - "]


TECHNICAL = ("alsa_", "bluez_", "hw:", "plughw:", "sysdefault:")
"""Browsers put a role before names of devices, never before these."""


@pytest.mark.parametrize("role", ROLES)
def test_a_role_before_the_name_changes_nothing(role: str) -> None:
    for one, other, _expected in PAIRS:
        has_role = " - " in one[:20] or one.startswith(("Default", "Same as System"))
        if one.startswith(TECHNICAL) or has_role or len(one) == 31 or not one.strip():
            continue  # a cut name is cut with its role
        with_role = compare(AudioDevice(role + one), AudioDevice(other))
        assert with_role == compare(AudioDevice(one), AudioDevice(other)), (one, other)


@pytest.mark.parametrize(
    "text",
    ["(" * 20_000, "a " * 20_000, " - " * 20_000, "stereo mono " * 5_000, "alsa_output.usb-" + "a." * 9_000],
)
def test_a_monstrous_label_is_read_in_no_time(text: str) -> None:
    assert compare(AudioDevice(text), AudioDevice(HEADSET)).verdict is not Sameness.SAME


def test_the_labelled_set_is_large_enough_and_every_machine_names_its_source() -> None:
    listed = list(machines())
    assert all(source.startswith(("https://", "code ", "Azure-Samples", "tests of")) for source, _ in listed)
    assert len(listed) >= 100
    pairs = labelled_pairs()
    assert len(pairs) >= 600
    assert all(sum(pair.held_out is half for pair in pairs) >= 300 for half in (True, False))
