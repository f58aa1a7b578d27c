"""An audio device as somebody names it: a label, and whatever else its source knows."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    INPUT = "input"
    OUTPUT = "output"


class Platform(StrEnum):
    WINDOWS = "windows"
    MACOS = "macos"
    LINUX = "linux"
    BROWSER = "browser"
    """A web page's list: labels with USB ids, ids that mean something to this page alone."""


@dataclass(frozen=True, slots=True)
class AudioDevice:
    """One endpoint. Everything but the label may be empty: not every source knows it."""

    label: str
    kind: Kind | None = None
    platform: Platform | None = None
    endpoint_id: str = ""
    """Windows: the MMDevice id; macOS: the device UID; Linux: the PulseAudio name; browser: the deviceId."""
    group_id: str = ""
    """Browser: equal for endpoints of one physical device, within one page (W3C mediacapture-main, groupId)."""
    container_id: str = ""
    """Windows: one GUID for everything of one physical device (learn.microsoft.com, "Container IDs")."""
    usb_id: str = ""
    """"vvvv:pppp" in hexadecimal: the model, not the piece."""
    serial: str = ""
    """As the USB device states it; many state none."""
