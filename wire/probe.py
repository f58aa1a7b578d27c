"""The messages between the audio probe and the service: subprotocol `pbx-probe.v1`, JSON-RPC 2.0 over a WebSocket.

The probe begins with `probe.pair` (once, with the code that the tab shows; the answer has the probe's token) or with
`probe.hello` (with that token). It then sends a report after each change. The service notifies `probe.unpaired` when the
person removes the probe. The probe sends only the names and ids of devices that Teams and the softphone use.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from wire.bounds import Flag, Line, Name, Version, token
from wire.model import WireModel

SUBPROTOCOL: Final = "pbx-probe.v1"
MAX_FRAME_BYTES: Final = 32 * 1024
OPEN_SECONDS: Final = 5.0
"""How long a peer may take to pair or to say hello before the connection is cut."""
PING_SECONDS: Final = 30.0
MAX_USES: Final = 32

Label = Annotated[str, Line(256)]
"""The system's name of a device."""
DeviceId = Annotated[str, Line(256)]
"""The system's own id of a device. It is compared with other ids of the same machine, but never trusted."""


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
    """One audio endpoint, as the system describes it; ids are empty if the system has none."""

    label: Label
    endpoint_id: DeviceId = ""
    container_id: Annotated[str, Line(64)] = ""
    usb_id: Annotated[str, Field(pattern=r"^(?:[0-9a-f]{4}:[0-9a-f]{4})?$")] = ""
    serial: Annotated[str, Line(128)] = ""


class ProbeUse(WireModel):
    """A program and a device that it uses, or that it used when it last had sound."""

    program: Literal["teams", "softphone"]
    kind: Literal["input", "output"]
    device: ProbeDevice
    active: Flag
    """The program has an open stream on this device at this moment."""
    assumed: Flag = False
    """The program runs without a stream. This is the system's default device for calls, which the program may use."""
    exclusive: Flag = False
    """The stream has exclusive use of the device (Windows' exclusive mode)."""


class ProbeReport(WireModel):
    """Everything that the probe sees at this moment. The service remembers earlier reports."""

    uses: list[ProbeUse] = Field(max_length=MAX_USES)


class PairParams(WireModel):
    code: Annotated[str, token(20, least=8)]
    machine: Annotated[str, Line(100, least=1)]
    """The computer's name, so that people recognise it in the tab."""
    platform: ProbePlatform
    version: Version


class Paired(WireModel):
    token: Annotated[str, token(100)]
    """Valid until the person removes the probe; stored in the system's keyring."""
    person: Name
    """The person to whom the probe now belongs."""


class HelloParams(WireModel):
    token: Annotated[str, token(100)]
    version: Version


class ProbeWelcome(WireModel):
    person: Name
