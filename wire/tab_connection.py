"""The tab API's messages about the connection, for administrators."""

from typing import Literal

from pydantic import Field

from wire.bounds import Nonce
from wire.link import UciState
from wire.model import Moment, WireModel
from wire.phone import Feature, Offer
from wire.sealing import SealedBox
from wire.tab import ProblemWords

RepairName = Literal["restart-uci", "new-key", "examine"]
"""What an administrator can have the connector do (`core.diagnosis.repairs.Repair`)."""


class ConnectionPart(WireModel):
    part: Literal["link", "module", "rest", "uci", "permission", "licence-key"]
    light: Literal["green", "yellow", "red", "off"]
    """Off: unknown, because an earlier part fails, or there is no such part."""
    finding: ProblemWords | None
    repair: RepairName | None
    """What may repair it from here; None if it cannot be repaired from here, or this connector takes no repairs."""


class OtherInstallation(WireModel):
    """An installation that tried to claim the PBX's name with another identity and was refused."""

    identity: str
    """Its fingerprint; `pbx-connector doctor` shows the connector's own."""
    address: str
    connector_version: str
    at: Moment


class LinkEventState(WireModel):
    at: Moment
    text: str
    detail: str
    """Technical details, if there are any."""


class LinkHour(WireModel):
    start: Moment
    links: int


class RepairsState(WireModel):
    """Whether the connector can be repaired from here."""

    offered: list[RepairName]
    """What this connector does; nothing while it has no link."""
    finding: ProblemWords | None
    """Why it does not do more: its owner does not permit it, or it is too old."""


class ConnectionReportState(WireModel):
    pbx_name: str
    connected: bool
    since: Moment | None
    pbx_version: str | None
    connector_version: str | None
    identity: str
    round_trip_ms: float | None
    old_key_until: Moment | None
    """If the PBX key was renewed: until when the old one is valid."""
    parts: list[ConnectionPart]
    repairs: RepairsState
    capabilities: dict[Feature, Offer] | None
    """What the PBX's telephone offers; null if the connector cannot be asked or is too old to know."""
    others: list[OtherInstallation]
    events: list[LinkEventState]
    """Newest first."""
    hours: list[LinkHour]
    """How often the link was opened, for each hour of the last seven days in which it was."""


class HandOverRequest(WireModel):
    identity: str = Field(pattern=r"^[0-9a-f]{4}(-[0-9a-f]{4}){7}$")
    """The fingerprint of one of `others`."""


class DoctorFinding(WireModel):
    step: str
    title: str
    outcome: Literal["ok", "warning", "failed", "skipped"]
    code: str | None
    words: ProblemWords | None
    evidence: str
    repair: RepairName | None


class DoctorFindings(WireModel):
    at: Moment
    steps: list[DoctorFinding]


class UciRestartedState(WireModel):
    """The UCI connector was switched off and on again."""

    uci: UciState
    words: ProblemWords | None
    """What is wrong if it is not on."""


class NewKeyPrepared(WireModel):
    """What the browser seals its wish for a new PBX key to. It checks the signature if it knows the identity."""

    pbx_name: str
    nonce: str
    sealing_key: str
    sealing_signature: str
    connector_identity: str


class NewKeyRequest(WireModel):
    nonce: Nonce
    box: SealedBox
    """Opens to a `wire.link.NewKeyWanted`, at the connector only."""


class NewKeySealed(WireModel):
    """The key file, sealed to the browser that asked for it."""

    box: SealedBox
    old_key_until: Moment
