"""Steps in chains: when one fails, those after it in its chain have nothing to stand on and are skipped."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from core.diagnosis.codes import Code
from wire.doctor import DoctorStep, Outcome

T = TypeVar("T")


class FoundError(Exception):
    """What is the matter, with its evidence."""

    def __init__(self, code: Code, variant: str | None = None, **evidence: object) -> None:
        super().__init__(code)
        self.code = code
        self.variant = variant
        self.evidence = {name: str(value)[:300] for name, value in evidence.items()}


class WarningFoundError(FoundError):
    """Works, and costs something: the chain goes on."""


class Chain:
    """The steps of one chain, each added to the common list."""

    def __init__(self, steps: list[DoctorStep], told: Callable[[DoctorStep], None]) -> None:
        self._steps = steps
        self._told = told
        self.is_broken = False

    async def step(self, name: str, work: Callable[[], Awaitable[tuple[T, dict[str, Any]]]]) -> T | None:
        """Runs one step; gives what it found, None when it was not run or failed."""
        if self.is_broken:
            self._add(DoctorStep(step=name, outcome=Outcome.SKIPPED))
            return None
        begun = time.monotonic()
        try:
            found, evidence = await work()
        except FoundError as fault:
            is_warning = isinstance(fault, WarningFoundError)
            self.is_broken = not is_warning
            self._add(
                DoctorStep(
                    step=name,
                    outcome=Outcome.WARNING if is_warning else Outcome.FAILED,
                    code=fault.code,
                    variant=fault.variant,
                    evidence=fault.evidence,
                    milliseconds=_since(begun),
                )
            )
            return None
        shown = {key: str(value)[:300] for key, value in evidence.items()}
        self._add(DoctorStep(step=name, outcome=Outcome.OK, evidence=shown, milliseconds=_since(begun)))
        return found

    def skip(self, name: str) -> None:
        """A step that does not apply here."""
        self._add(DoctorStep(step=name, outcome=Outcome.SKIPPED))

    def _add(self, step: DoctorStep) -> None:
        self._steps.append(step)
        self._told(step)


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
