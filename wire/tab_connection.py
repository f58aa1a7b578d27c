"""The tab API's messages about the connection, for administrators."""

from typing import Literal

from pydantic import Field

from wire.model import Moment, WireModel
from wire.tab import ProblemWords


class ConnectionPart(WireModel):
    part: Literal["link", "module", "rest", "uci", "permission", "licence-key"]
    light: Literal["green", "yellow", "red", "off"]
    """Off: unknown, because an earlier part fails, or there is no such part."""
    finding: ProblemWords | None


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


class DoctorFindings(WireModel):
    at: Moment
    steps: list[DoctorFinding]
