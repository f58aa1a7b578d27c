"""The messages between the audio probe and the service: subprotocol `pbx-probe.v1`, JSON-RPC 2.0 over a WebSocket.

The probe opens with `probe.pair` (once, with the code that the tab shows; the answer carries its token) or
`probe.hello` (with that token), then reports whenever something changes. The service notifies `probe.unpaired` when
the person removes the probe. Nothing but this is ever sent: names and ids of devices, of Teams and the softphone.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from wire.model import WireModel

SUBPROTOCOL: Final = "pbx-probe.v1"
MAX_FRAME_BYTES: Final = 32 * 1024
OPEN_SECONDS: Final = 5.0
"""A peer that has not paired or said hello by then is cut."""
PING_SECONDS: Final = 30.0
MAX_USES: Final = 32

Text = Annotated[str, Field(max_length=256)]


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

    label: Text
    endpoint_id: Text = ""
    container_id: Annotated[str, Field(max_length=64)] = ""
    usb_id: Annotated[str, Field(pattern=r"^(?:[0-9a-f]{4}:[0-9a-f]{4})?$")] = ""
    serial: Annotated[str, Field(max_length=128)] = ""


class ProbeUse(WireModel):
    """A program and a device that it uses, or used when it last had sound."""

    program: Literal["teams", "softphone"]
    kind: Literal["input", "output"]
    device: ProbeDevice
    active: bool
    """It has a stream open on this device at this moment."""
    assumed: bool = False
    """The program runs and has no stream: this is the system's default device for calls, which it may follow."""
    exclusive: bool = False
    """The stream has the device to itself (Windows' exclusive mode)."""


class ProbeReport(WireModel):
    """All that the probe sees at this moment. The service remembers what was seen before."""

    uses: list[ProbeUse] = Field(max_length=MAX_USES)


class PairParams(WireModel):
    code: str = Field(min_length=8, max_length=20)
    machine: str = Field(min_length=1, max_length=100)
    """The computer's name, so that people recognise it in the tab."""
    platform: ProbePlatform
    version: str = Field(max_length=50)


class Paired(WireModel):
    token: str
    """Good until the person removes the probe; kept in the system's keyring."""
    person: str
    """Whose probe this is now."""


class HelloParams(WireModel):
    token: str = Field(max_length=100)
    version: str = Field(max_length=50)


class ProbeWelcome(WireModel):
    person: str
