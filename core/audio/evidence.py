"""Observations: which source reported, at what time, that a program uses a device; and how reliable that is.

From most to least reliable (docs/audio.md): the probe, Teams' call records, the user's declaration, and the symptom itself
(a call that ends as soon as it is answered).
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
    """The probe sees the use now; `at` is then the time of its report."""
    assumed: bool = False
    """Not observed: the program runs and may follow the system's default, which is this device."""
    exclusive: bool = False
    """Windows' exclusive mode: other programs cannot use the device meanwhile."""


@dataclass(frozen=True, slots=True)
class SuspiciousCall:
    """A call that was answered on the softphone and then ended at once by our side, as happens when Teams declines it."""

    at: datetime


Observation = DeviceUse | SuspiciousCall

RELIABILITY: Final = {Source.PROBE: 3, Source.CALL_RECORDS: 2, Source.DECLARED: 1, Source.SYMPTOM: 0}
GOOD_FOR: Final = {
    Source.PROBE: timedelta(days=1),
    Source.CALL_RECORDS: timedelta(days=14),
    Source.DECLARED: timedelta(days=90),
    Source.SYMPTOM: timedelta(days=7),
}
"""How long an observation counts as current. Declarations rarely change; a probe reports daily."""
KEPT_FOR: Final = {
    Source.PROBE: timedelta(days=30),
    Source.CALL_RECORDS: timedelta(days=30),
    Source.DECLARED: timedelta(days=180),
    Source.SYMPTOM: timedelta(days=14),
}
"""How long an observation is kept. After `GOOD_FOR` it counts as past, and after this time it is deleted."""


def source_of(observation: Observation) -> Source:
    return observation.source if isinstance(observation, DeviceUse) else Source.SYMPTOM


def is_kept(observation: Observation, now: datetime) -> bool:
    return now - observation.at < KEPT_FOR[source_of(observation)]


def is_good(observation: Observation, now: datetime) -> bool:
    """Return whether the observation counts as current."""
    return now - observation.at < GOOD_FOR[source_of(observation)]
