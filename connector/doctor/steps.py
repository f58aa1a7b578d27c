"""Chains of steps: if a step fails, the later steps of its chain are skipped."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar

from connector.errors import PbxError, PbxUnreachableError
from connector.network.faults import UnreachedError
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from wire.doctor import DoctorStep, StepOutcome

T = TypeVar("T")


class FoundError(Exception):
    """A step failed: the code of the fault, with its evidence."""

    def __init__(self, code: Code, variant: str | None = None, **evidence: object) -> None:
        super().__init__(code)
        self.code = code
        self.variant = variant
        self.evidence = {name: str(value)[:300] for name, value in evidence.items()}

    @classmethod
    def of(cls, finding: Finding) -> Self:
        return cls(finding.code, finding.variant, **finding.evidence)


class WarningFoundError(FoundError):
    """It works, but with a disadvantage: the chain continues."""


class Chain:
    """One chain of steps, which are added to a common list."""

    def __init__(self, steps: list[DoctorStep], on_step: Callable[[DoctorStep], None]) -> None:
        self._steps = steps
        self._on_step = on_step
        self.is_broken = False

    async def step(self, name: str, work: Callable[[], Awaitable[tuple[T, dict[str, Any]]]]) -> T | None:
        """Run one step; return its result, or None if it was skipped, failed or warns."""
        if self.is_broken:
            self._add(DoctorStep(step=name, outcome=StepOutcome.SKIPPED))
            return None
        begun = time.monotonic()
        try:
            found, evidence = await work()
        except Exception as fault:  # noqa: BLE001 - a failed step is a finding, never the end of the doctor
            fault = fault if isinstance(fault, FoundError) else _unforeseen(fault)
            is_warning = isinstance(fault, WarningFoundError)
            self.is_broken = not is_warning
            self._add(
                DoctorStep(
                    step=name,
                    outcome=StepOutcome.WARNING if is_warning else StepOutcome.FAILED,
                    code=fault.code,
                    variant=fault.variant,
                    evidence=fault.evidence,
                    milliseconds=_since(begun),
                )
            )
            return None
        shown = {key: str(value)[:300] for key, value in evidence.items()}
        self._add(DoctorStep(step=name, outcome=StepOutcome.OK, evidence=shown, milliseconds=_since(begun)))
        return found

    def skip(self, name: str) -> None:
        """Add a step that is not run, because it does not apply or an earlier one failed."""
        self._add(DoctorStep(step=name, outcome=StepOutcome.SKIPPED))

    def _add(self, step: DoctorStep) -> None:
        self._steps.append(step)
        self._on_step(step)


def _unforeseen(fault: Exception) -> FoundError:
    finding = fault.finding if isinstance(fault, UnreachedError | PbxUnreachableError) else None
    if finding is not None:
        return FoundError.of(finding)
    code = Code.named(fault.code) if isinstance(fault, PbxError) else None
    words = str(fault) if isinstance(fault, PbxError) else type(fault).__name__
    return FoundError(code or Code.PBX_ANSWER_UNCLEAR, "doctor", error=words)


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
