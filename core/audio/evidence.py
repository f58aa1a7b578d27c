"""Observations: who said when which program uses which device, and how much that is worth.

Best first (docs/audio.md): what the probe sees, what Teams' call records name, what the user declares, and the
symptom itself, a call that ends at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from core.audio.device import AudioDevice, Kind


class Program(StrEnum):
    TEAMS = "teams"
    SOFTPHONE = "softphone"


class Source(StrEnum):
    PROBE = "probe"
    CALL_RECORDS = "call-records"
    DECLARED = "declared"
    SYMPTOM = "symptom"


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """One program uses one device in one direction."""

    source: Source
    program: Program
    kind: Kind
    device: AudioDevice
    at: datetime
    active: bool = False
    """The probe sees it at this moment; then `at` is this moment."""
    assumed: bool = False
    """Not seen: the program is there and may follow the system's default, which is this device."""
    exclusive: bool = False
    """Windows' exclusive mode: nobody else gets a sound out of the device meanwhile, and who shares it fails."""


@dataclass(frozen=True, slots=True)
class SuspiciousCall:
    """Answered on the softphone and ended by our side at once, as when Teams declines it."""

    at: datetime


Observation = DeviceUse | SuspiciousCall

RELIABILITY: Final = {Source.PROBE: 3, Source.CALL_RECORDS: 2, Source.DECLARED: 1, Source.SYMPTOM: 0}
GOOD_FOR: Final = {
    Source.PROBE: timedelta(days=1),
    Source.CALL_RECORDS: timedelta(days=14),
    Source.DECLARED: timedelta(days=90),
    Source.SYMPTOM: timedelta(days=7),
}
"""So long an observation stands for the present; people rarely change what they declared, a probe is there daily."""
KEPT_FOR: Final = {
    Source.PROBE: timedelta(days=30),
    Source.CALL_RECORDS: timedelta(days=30),
    Source.DECLARED: timedelta(days=180),
    Source.SYMPTOM: timedelta(days=14),
}
"""Then it is deleted. Until then it still counts, as something that was."""


def source_of(observation: Observation) -> Source:
    return observation.source if isinstance(observation, DeviceUse) else Source.SYMPTOM


def is_kept(observation: Observation, now: datetime) -> bool:
    return now - observation.at < KEPT_FOR[source_of(observation)]


def is_good(observation: Observation, now: datetime) -> bool:
    """Whether it stands for the present."""
    return now - observation.at < GOOD_FOR[source_of(observation)]
