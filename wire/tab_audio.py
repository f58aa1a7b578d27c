"""The tab API's messages about audio devices."""

from typing import Annotated, Literal

from pydantic import Field

from wire.bounds import Exact, Flag, Guid, Line, Nonce
from wire.model import Moment, WireModel
from wire.sealing import SealedBox

Program = Literal["teams", "softphone"]
Kind = Literal["input", "output"]
Label = Annotated[str, Line(256, least=1)]


class BrowserDevice(WireModel):
    """A device as `enumerateDevices` lists it. Browsers hash the ids per origin, so they are meaningless elsewhere."""

    kind: Kind
    label: Label
    device_id: Annotated[str, Exact(128)] = ""
    group_id: Annotated[str, Exact(128)] = ""


class DevicesRequest(WireModel):
    """The devices that the person's browser lists now."""

    devices: list[BrowserDevice] = Field(max_length=100)


class DeclaredUse(WireModel):
    program: Program
    device: BrowserDevice


class DeclaredRequest(WireModel):
    """Which device each program uses, according to the person. It replaces the earlier list; it may be empty."""

    uses: list[DeclaredUse] = Field(max_length=4)


class ProbeRequest(WireModel):
    probe_id: Guid


class RecordsRequest(WireModel):
    wanted: Flag


class NamedRequest(WireModel):
    named: Flag
    """Administrators may see my name in a conflict."""


class AudioUse(WireModel):
    program: Program
    kind: Kind
    name: str
    """The device's name as people know it."""
    label: str
    source: Literal["probe", "call-records", "declared"]
    at: Moment
    active: bool
    assumed: bool
    exclusive: bool
    """The program has exclusive use of the device at this moment."""
    shared: bool
    """This use is part of the conflict."""
    doubtful: bool
    """It may be a device that the other program uses too."""


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
    """The shorter solution; empty if there is nothing to change or no other device."""
    instead: list[AudioStep]
    """The alternative solution."""
    missing: list[str]
    """What is needed to be certain, as texts."""


class PairedProbe(WireModel):
    probe_id: str
    machine: str
    platform: str
    version: str
    paired_at: Moment
    last_seen: Moment
    connected: bool


class StoredAudio(WireModel):
    """What the service stores about me, for display."""

    uses: list[AudioUse]
    present: list[str]
    calls: list[Moment]
    never: list[str]


class AudioState(WireModel):
    finding: AudioFinding
    uses: list[AudioUse]
    """The current uses: at most one for each program and direction."""
    probes: list[PairedProbe]
    calls_since: Moment | None
    """Since when the connector follows my calls, with my consent."""
    records_offered: bool
    """The operator has set up the use of Microsoft's call records."""
    records: bool
    """The service may read the device names of my Teams calls."""
    named: bool
    stored: StoredAudio


class CallsPrepared(WireModel):
    """What the browser needs in order to seal my UCI login to the connector."""

    pbx_name: str
    login: str
    nonce: str
    sealing_key: str
    sealing_signature: str
    connector_identity: str
    needs_password: bool
    """My browser seals the password instead of its hash, because the PBX uses OAuth."""


class CallsRequest(WireModel):
    nonce: Nonce
    box: SealedBox
    """A sealed UCI login that only the connector can open."""


class PairingCode(WireModel):
    code: str
    expires: Moment
    service: str
    """The service's address, for `pbx-audio-probe pair`."""


class AudioConflict(WireModel):
    device: str
    people: int
    names: list[str]
    """The names of the people who let administrators see them."""


class AudioConflicts(WireModel):
    conflicts: list[AudioConflict]
    people: int
    """About how many people audio data is known."""
