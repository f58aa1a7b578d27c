"""What the connector's doctor found: printed at the customer's site, and sent to an administrator who asks from the tab."""

from enum import StrEnum
from typing import Final

from pydantic import Field

from wire.model import Moment, WireModel


class Outcome(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Works, and costs something."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """A step before it failed, or it does not apply here."""


STEPS: Final = (
    *("configuration", "state", "clock", "service-dns", "service-proxy", "service-tcp", "service-tls"),
    *("service-websocket", "service-challenge", "name", "key"),
    *("pbx-dns", "pbx-tcp", "pbx-tls", "pbx-rest", "pbx-login", "pbx-permission", "pbx-version"),
    *("uci-login", "uci-events"),
)
"""In the order in which a technician would look."""


class DoctorStep(WireModel):
    step: str = Field(max_length=40)
    outcome: Outcome
    code: str | None = Field(default=None, max_length=40)
    """Of the service's table (`core.diagnosis.codes`), when the step failed or warns."""
    variant: str | None = Field(default=None, max_length=40)
    """Which words of the code."""
    evidence: dict[str, str] = Field(default_factory=dict)
    milliseconds: int = Field(default=0, ge=0)


class DoctorReport(WireModel):
    pbx_name: str = Field(max_length=300)
    connector_version: str = Field(max_length=50)
    identity: str = Field(max_length=50)
    """The fingerprint of the connector's identity."""
    at: Moment
    steps: list[DoctorStep] = Field(max_length=50)

    @property
    def is_healthy(self) -> bool:
        return all(step.outcome in (Outcome.OK, Outcome.SKIPPED) for step in self.steps)

    @property
    def has_failed(self) -> bool:
        return any(step.outcome is Outcome.FAILED for step in self.steps)
