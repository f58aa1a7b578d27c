"""The tab's messages about audio devices (tab API)."""

from typing import Annotated, Literal

from pydantic import Field

from wire.bounds import Exact, Flag, Guid, Line, Nonce
from wire.model import Moment, WireModel
from wire.sealing import SealedBox

Program = Literal["teams", "softphone"]
Kind = Literal["input", "output"]
Label = Annotated[str, Line(256, least=1)]


class BrowserDevice(WireModel):
    """A device as `enumerateDevices` lists it; ids are hashed per origin and mean something to this browser alone."""

    kind: Kind
    label: Label
    device_id: Annotated[str, Exact(128)] = ""
    group_id: Annotated[str, Exact(128)] = ""


class DevicesRequest(WireModel):
    """The devices that the person's browser lists at this moment."""

    devices: list[BrowserDevice] = Field(max_length=100)


class DeclaredUse(WireModel):
    program: Program
    device: BrowserDevice


class DeclaredRequest(WireModel):
    """What the person says each program uses; replaces what they said before, also by nothing."""

    uses: list[DeclaredUse] = Field(max_length=4)


class ProbeRequest(WireModel):
    probe_id: Guid


class RecordsRequest(WireModel):
    wanted: Flag


class NamedRequest(WireModel):
    named: Flag
    """Administrators may see my name beside a conflict."""


class AudioUse(WireModel):
    program: Program
    kind: Kind
    name: str
    """The device as people know it."""
    label: str
    source: Literal["probe", "call-records", "declared"]
    at: Moment
    active: bool
    assumed: bool
    exclusive: bool
    """The program has the device to itself at this moment."""
    shared: bool
    """This use is part of the collision."""
    doubtful: bool
    """It may be the same device as one of the other program."""


class AudioStep(WireModel):
    program: Program
    kind: Kind
    device: str
    text: str


class AudioFinding(WireModel):
    verdict: Literal["conflict", "likely", "clear", "unknown"]
    why: str
    title: str
    detail: str
    steps: list[AudioStep]
    """The shorter way out; empty when there is nothing to change, or no other device."""
    instead: list[AudioStep]
    """The other way out."""
    missing: list[str]
    """What would make it certain, in words."""


class PairedProbe(WireModel):
    probe_id: str
    machine: str
    platform: str
    version: str
    paired_at: Moment
    last_seen: Moment
    connected: bool


class StoredAudio(WireModel):
    """What is stored about me, for me to see."""

    uses: list[AudioUse]
    present: list[str]
    calls: list[Moment]
    never: list[str]


class AudioState(WireModel):
    finding: AudioFinding
    uses: list[AudioUse]
    """At most one of each program and direction: what stands for the present."""
    probes: list[PairedProbe]
    calls_since: Moment | None
    """Since when the connector follows my calls, with my consent."""
    records_offered: bool
    """The operator and Microsoft's call records stand behind it."""
    records: bool
    """Device names of my Teams calls may be read."""
    named: bool
    stored: StoredAudio


class CallsPrepared(WireModel):
    """What the browser needs to seal my UCI login to the connector."""

    pbx_name: str
    login: str
    nonce: str
    sealing_key: str
    sealing_signature: str
    connector_identity: str


class CallsRequest(WireModel):
    nonce: Nonce
    box: SealedBox
    """Opens to a UCI login, for the connector alone."""


class PairingCode(WireModel):
    code: str
    expires: Moment
    service: str
    """The service's address, for `pbx-audio-probe pair`."""


class AudioConflict(WireModel):
    device: str
    people: int
    names: list[str]
    """Of those who let administrators see it."""


class AudioConflicts(WireModel):
    conflicts: list[AudioConflict]
    people: int
    """About so many people something is known."""
