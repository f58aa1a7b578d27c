"""The messages between the audio probe and the service: subprotocol `pbx-probe.v1`, JSON-RPC 2.0 over a WebSocket.

The probe opens with `probe.pair` (once, with the code that the tab shows; the answer carries its token) or
`probe.hello` (with that token), then reports whenever something changes. The service notifies `probe.unpaired` when
the person removes the probe. Nothing but this is ever sent: names and ids of devices, of Teams and the softphone.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from wire.bounds import Flag, Line, Name, Version, token
from wire.model import WireModel

SUBPROTOCOL: Final = "pbx-probe.v1"
MAX_FRAME_BYTES: Final = 32 * 1024
OPEN_SECONDS: Final = 5.0
"""A peer that has not paired or said hello by then is cut."""
PING_SECONDS: Final = 30.0
MAX_USES: Final = 32

Label = Annotated[str, Line(256)]
"""The system's name of a device."""
DeviceId = Annotated[str, Line(256)]
"""The system's own id: compared with other ids of the same machine, never trusted."""


class ProbeMethod(StrEnum):
    PAIR = "probe.pair"
    HELLO = "probe.hello"
    REPORT = "probe.report"
    PING = "probe.ping"
    UNPAIRED = "probe.unpaired"


class ProbePlatform(StrEnum):
    WINDOWS = "windows"
    MACOS = "macos"
    LINUX = "linux"


class ProbeDevice(WireModel):
    """One endpoint, as the system names it; ids are empty where the system has none."""

    label: Label
    endpoint_id: DeviceId = ""
    container_id: Annotated[str, Line(64)] = ""
    usb_id: Annotated[str, Field(pattern=r"^(?:[0-9a-f]{4}:[0-9a-f]{4})?$")] = ""
    serial: Annotated[str, Line(128)] = ""


class ProbeUse(WireModel):
    """A program and a device that it uses, or used when it last had sound."""

    program: Literal["teams", "softphone"]
    kind: Literal["input", "output"]
    device: ProbeDevice
    active: Flag
    """It has a stream open on this device at this moment."""
    assumed: Flag = False
    """The program runs and has no stream: this is the system's default device for calls, which it may follow."""
    exclusive: Flag = False
    """The stream has the device to itself (Windows' exclusive mode)."""


class ProbeReport(WireModel):
    """All that the probe sees at this moment. The service remembers what was seen before."""

    uses: list[ProbeUse] = Field(max_length=MAX_USES)


class PairParams(WireModel):
    code: Annotated[str, token(20, least=8)]
    machine: Annotated[str, Line(100, least=1)]
    """The computer's name, so that people recognise it in the tab."""
    platform: ProbePlatform
    version: Version


class Paired(WireModel):
    token: Annotated[str, token(100)]
    """Good until the person removes the probe; kept in the system's keyring."""
    person: Name
    """Whose probe this is now."""


class HelloParams(WireModel):
    token: Annotated[str, token(100)]
    version: Version


class ProbeWelcome(WireModel):
    person: Name
