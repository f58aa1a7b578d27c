"""The report of the connector's doctor. It is printed at the customer's site, or sent to an administrator who requests it
in the tab.
"""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from wire.bounds import Count, Line, Version, clean_line, token
from wire.model import Moment, WireModel


class StepOutcome(StrEnum):
    """The outcome of one step."""

    OK = "ok"
    WARNING = "warning"
    """It works, but with a disadvantage."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """An earlier step failed, or the step does not apply here."""


STEPS: Final = (
    *("configuration", "state", "clock", "service-dns", "service-proxy", "service-tcp", "service-tls"),
    *("service-websocket", "service-challenge", "name", "key"),
    *(
        "pbx-dns",
        "pbx-proxy",
        "pbx-tcp",
        "pbx-tls",
        "pbx-rest",
        "pbx-login",
        "pbx-permission",
        "pbx-users",
        "pbx-version",
    ),
    *("uci-login", "uci-events", "telephone"),
)
"""The names of all steps, in the order in which a technician would check them."""


MAX_EVIDENCE: Final = 20
_Word = Annotated[str, token(40)]


def _evidence(value: Any) -> Any:
    """Clean technical texts from PBX, network and system, so that a single odd text does not spoil the whole report."""
    if not isinstance(value, dict):
        return value
    pairs = ((name, text) for name, text in value.items() if isinstance(name, str) and isinstance(text, str))
    return {clean_line(name, 40): clean_line(text, 500) for name, text in [*pairs][:MAX_EVIDENCE]}


class DoctorStep(WireModel):
    step: _Word
    outcome: StepOutcome
    code: _Word | None = None
    """A code of `core.diagnosis.codes`, if the step failed or warns."""
    variant: _Word | None = None
    """Selects one of the code's wordings."""
    evidence: Annotated[dict[str, str], BeforeValidator(_evidence)] = Field(default_factory=dict)
    milliseconds: Count = 0


class DoctorReport(WireModel):
    pbx_name: Annotated[str, Line(300)]
    connector_version: Version
    identity: Annotated[str, token(50)]
    """The fingerprint of the connector's identity."""
    at: Moment
    steps: list[DoctorStep] = Field(max_length=50)

    @property
    def is_healthy(self) -> bool:
        """Whether no step failed or warns."""
        return all(step.outcome in (StepOutcome.OK, StepOutcome.SKIPPED) for step in self.steps)

    @property
    def has_failed(self) -> bool:
        return any(step.outcome is StepOutcome.FAILED for step in self.steps)
