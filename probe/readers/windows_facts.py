"""Interprets the data of Windows' Core Audio. This module makes no system calls.

Sources: learn.microsoft.com, "MMDevice API", "Device Properties" and "IAudioSessionControl2".
"""

import ctypes
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from probe.snapshot import AudioStream, Kind, Snapshot
from wire.probe import ProbeDevice

FRIENDLY_NAME: Final = "{A45C254E-DF1C-4EFD-8020-67D146A850E0} 14"
DESCRIPTION: Final = "{A45C254E-DF1C-4EFD-8020-67D146A850E0} 2"
"""PKEY_Device_FriendlyName and PKEY_Device_DeviceDesc, as pycaw names them."""
CONTAINER_ID: Final = ("{8C7ED206-3F8A-4827-B3AB-AE9E1FAEFC6C}", 2)
"""PKEY_Device_ContainerId."""
_USB: Final = re.compile(r"USB\\VID_([0-9A-F]{4})&PID_([0-9A-F]{4})", re.IGNORECASE)
"""The USB ids in the path of the endpoint's driver, which is one of its properties; which one depends on the version."""
_GUID: Final = re.compile(r"\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}", re.IGNORECASE)


class SessionState(IntEnum):
    INACTIVE = 0
    ACTIVE = 1
    EXPIRED = 2


@dataclass(frozen=True, slots=True)
class WindowsSession:
    """One program's audio session on one endpoint."""

    pid: int
    state: SessionState
    is_system_sounds: bool = False


@dataclass(frozen=True, slots=True)
class WindowsEndpoint:
    id: str
    kind: Kind
    properties: Mapping[str, Any]
    sessions: Sequence[WindowsSession] = ()
    is_default_for_calls: bool = False
    """It has the role `eCommunications`, which programs for calls use."""
    container_id: str = ""
    """The value of `PKEY_Device_ContainerId`; pycaw returns no value for a property of that type (VT_CLSID)."""
    is_exclusive: bool = False
    """A program has exclusive use of it: shared streams are refused with AUDCLNT_E_DEVICE_IN_USE."""


def to_snapshot(
    endpoints: Sequence[WindowsEndpoint],
    names_of: Callable[[int], tuple[str, ...]],
    running: tuple[tuple[str, ...], ...] = (),
    unreadable: int = 0,
) -> Snapshot:
    streams: list[AudioStream] = []
    defaults: dict[Kind, ProbeDevice] = {}
    for endpoint in endpoints:
        device = to_device(endpoint)
        if endpoint.is_default_for_calls:
            defaults[endpoint.kind] = device
        for session in endpoint.sessions:
            if session.is_system_sounds or session.pid == 0 or session.state is SessionState.EXPIRED:
                continue
            names = names_of(session.pid)
            if names:
                active = session.state is SessionState.ACTIVE
                streams.append(
                    AudioStream(
                        names=names,
                        kind=endpoint.kind,
                        device=device,
                        active=active,
                        exclusive=active and endpoint.is_exclusive,
                    )
                )
    return Snapshot(tuple(streams), defaults, running, unreadable=unreadable)


def guid_at(address: int) -> str:
    """Return the text of the GUID at a memory address, to which a VT_CLSID points; empty for address 0."""
    if not address:
        return ""
    return f"{{{uuid.UUID(bytes_le=ctypes.string_at(address, 16))}}}"


def to_device(endpoint: WindowsEndpoint) -> ProbeDevice:
    """Convert an endpoint; its USB ids come from its properties."""
    texts = [str(value) for value in endpoint.properties.values()]
    usb = next((found for text in texts if (found := _USB.search(text))), None)
    container = _GUID.search(endpoint.container_id)
    name = endpoint.properties.get(FRIENDLY_NAME) or endpoint.properties.get(DESCRIPTION) or endpoint.id
    return ProbeDevice(
        label=str(name)[:256],
        endpoint_id=endpoint.id[:256],
        container_id=container[0].lower() if container else "",
        usb_id=f"{usb[1]}:{usb[2]}".lower() if usb else "",
    )
