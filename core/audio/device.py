"""An audio device: a label, and the ids that its source knows."""

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
    """The list of a web page: labels with USB ids, and ids that are only valid within this page."""


@dataclass(frozen=True, slots=True)
class AudioDevice:
    """One endpoint. Every field except the label may be empty, because not every source knows it."""

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
    """"vvvv:pppp" in hexadecimal. It identifies the model, not the individual device."""
    serial: str = ""
    """Serial number that the USB device reports; many report none."""
