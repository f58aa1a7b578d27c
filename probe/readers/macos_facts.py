"""Interprets the data of macOS' CoreAudio. This module makes no system calls.

Source: AudioHardware.h of the macOS 14.2 SDK (process objects); UIDs of USB devices as `AppleUSBAudioEngine` builds
them: "AppleUSBAudioEngine:MAKER:PRODUCT:SERIAL:INTERFACES", model UIDs "PRODUCT:VVVV:PPPP".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from probe.snapshot import AudioStream, Kind, Snapshot
from wire.probe import ProbeDevice

_MODEL: Final = re.compile(r":([0-9A-F]{4}):([0-9A-F]{4})$", re.IGNORECASE)
OLD_SYSTEM: Final = (
    "This macOS is older than 14.2 and does not tell which program uses which device: only the default devices are"
    " known."
)


@dataclass(frozen=True, slots=True)
class Device:
    object_id: int
    name: str
    uid: str
    model_uid: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """One audio process object."""

    pid: int
    bundle_id: str
    devices: Mapping[Kind, Sequence[int]] = field(default_factory=dict)
    running: frozenset[Kind] = frozenset()
    """The directions in which it plays or records at this moment."""


def running_kinds(devices: Mapping[Kind, Sequence[int]], *, plays: bool) -> frozenset[Kind]:
    """Return the directions in which a process plays or records. `plays`: the property 'piro'.

    Its counterpart 'piri' covers only a process's first input stream. So a process counts as recording if the list of its
    input devices ('pdv#') is not empty.
    """
    used: dict[Kind, bool] = {"input": bool(devices.get("input")), "output": plays}
    return frozenset(kind for kind, is_used in used.items() if is_used)


def to_snapshot(
    devices: Sequence[Device],
    processes: Sequence[Process] | None,
    defaults: Mapping[Kind, int],
    names_of: Callable[[int], tuple[str, ...]],
    running: tuple[tuple[str, ...], ...] = (),
    unreadable: int = 0,
) -> Snapshot:
    """Make a snapshot. `processes` is None on a system without process objects."""
    known = {device.object_id: to_device(device) for device in devices}
    streams = [
        AudioStream(names=names, kind=kind, device=known[object_id], active=kind in process.running)
        for process in processes or ()
        if (names := tuple(name for name in (process.bundle_id, *names_of(process.pid)) if name))
        for kind, object_ids in process.devices.items()
        for object_id in object_ids
        if object_id in known
    ]
    return Snapshot(
        streams=tuple(streams),
        defaults={kind: known[object_id] for kind, object_id in defaults.items() if object_id in known},
        running=running,
        note=OLD_SYSTEM if processes is None else "",
        unreadable=unreadable,
    )


def to_device(device: Device) -> ProbeDevice:
    """Convert a device; its USB ids and serial number come from its UIDs."""
    model = _MODEL.search(device.model_uid)
    parts = device.uid.split(":")
    is_usb = parts[0] == "AppleUSBAudioEngine" and len(parts) >= 5
    return ProbeDevice(
        label=(device.name or device.uid)[:256],
        endpoint_id=device.uid[:256],
        usb_id=f"{model[1]}:{model[2]}".lower() if model else "",
        serial=parts[3][:128] if is_usb else "",
    )
