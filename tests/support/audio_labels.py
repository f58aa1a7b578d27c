"""The labelled device names: one list for each machine, from public reports, and pairs with their expected results.

The true answer for two names of one machine follows from what they are; this module defines which other answers are
acceptable.
"""

import hashlib
import itertools
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.audio.comparison import Sameness
from core.audio.label import WAVE_NAME_LENGTH

_PIECE = re.compile(r"(?:^|\()(\d{1,2})\s?[-–—]\s")
_HERE = Path(__file__).parents[1] / "core" / "audio"
_LABELS: dict[str, Any] = json.loads((_HERE / "labels.json").read_text(encoding="utf-8"))
_MACHINES: dict[str, Any] = tomllib.loads((_HERE / "machines.toml").read_text(encoding="utf-8"))
_LATER: dict[str, Any] = tomllib.loads((_HERE / "later_machines.toml").read_text(encoding="utf-8"))
_TUNED_LATER = frozenset(machine["source"] for machine in _LATER["machine"])
PAIRS: list[tuple[str, str, list[str]]] = [
    (pair["one"], pair["other"], pair["expected"]) for pair in _LABELS["pairs"]
]


@dataclass(frozen=True, slots=True)
class LabelledPair:
    source: str
    one: str
    other: str
    truth: Sameness
    right: frozenset[Sameness]
    """The true answer, and acceptable answers if the two names alone do not reveal it."""
    held_out: bool
    """Whether it belongs to the half that was not used to develop the rules."""


def machines() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Return for each machine its source, and for each device what it is and its label."""
    for machine in _LABELS["machines"]:
        yield machine["source"], [(device["device"], device["label"]) for device in machine["devices"]]
    for machine in (*_MACHINES["machine"], *_LATER["machine"]):
        yield machine["source"], [(what, label) for what, label in machine["devices"]]


def is_held_out(source: str) -> bool:
    """Decide by the source, so that all lists of one report are in the same half. What was gathered later is tuned on."""
    if source in _TUNED_LATER:
        return False
    return hashlib.sha256(source.split(",")[0].encode()).digest()[0] % 2 == 1


def labelled_pairs() -> list[LabelledPair]:
    found = []
    for source, devices in machines():
        for (one, label), (other, second) in itertools.combinations(devices, 2):
            truth, beside = _truth(one, other, label, second)
            found.append(
                LabelledPair(source, label, second, truth, frozenset({truth, *beside}), is_held_out(source))
            )
    return found


def _truth(one: str, other: str, label: str, second: str) -> tuple[Sameness, tuple[Sameness, ...]]:
    if "-" in (one, other):
        return Sameness.UNSURE, ()  # the default may be that device
    (device, _, socket), (its_device, _, its_socket) = one.partition("#"), other.partition("#")
    if device != its_device:
        if "~" in (one[0], other[0]):
            # Sound passes through it to a device that its name does not reveal.
            return Sameness.UNSURE, (Sameness.DIFFERENT,) if one[0] == other[0] else ()
        return Sameness.DIFFERENT, ()
    if socket != its_socket or one.startswith("~"):
        return (
            (Sameness.UNSURE, (Sameness.DIFFERENT,))
            if socket != its_socket
            else (
                Sameness.SAME,
                (Sameness.UNSURE,),
            )
        )
    if _PIECE.findall(label) != _PIECE.findall(second):
        return Sameness.SAME, (Sameness.UNSURE,)  # a second unit, or one that was plugged in elsewhere
    short, long = sorted((label, second), key=len)
    if len(short) == WAVE_NAME_LENGTH and not short.endswith(")"):
        # The truncated part may have named the model.
        return Sameness.SAME, (Sameness.UNSURE,) if _tells_more(short, long) else ()
    return Sameness.SAME, ()


_DRIVERS_WORDS = frozenset(
    (
        *(
            "audio",
            "device",
            "hands",
            "free",
            "ag",
            "hf",
            "stereo",
            "series",
            "headset",
            "gaming",
            "microphone",
        ),
        *("high", "definition", "virtual", "cable", "usb", "sound", "card", "driver", "for", "display"),
        *("smartaudio", "hd", "realtek", "r", "camera", "webcam"),
    )
)
"""Words in names of drivers, which do not identify a model."""


def _tells_more(short: str, long: str) -> bool:
    """Return whether the truncated part may have named the model: it has a digit, or a word that is not a driver's."""
    begun, inner = (label.partition("(")[2].strip().lower() for label in (short, long))
    if len(long) <= WAVE_NAME_LENGTH and not long.endswith(")"):
        return True  # the longer one is truncated too
    if not inner.startswith(begun):
        return False
    start = max(inner.rfind(" ", 0, len(begun) + 1), 0)
    missing = re.findall(r"[^\W_]+", inner[start:])
    return any(word not in _DRIVERS_WORDS for word in missing)
