"""Prints the doctor's steps at a terminal, with the cause and cure below each step that fails."""

import sys
import textwrap
from typing import Final

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, Role, explain
from core.diagnosis.steps import step_title
from core.language import Language
from wire.doctor import DoctorReport, DoctorStep, StepOutcome
from wire.lines import one_line

_MARKS: Final = {
    StepOutcome.OK: ("✓", "32"),
    StepOutcome.WARNING: ("!", "33"),
    StepOutcome.FAILED: ("✗", "31"),
    StepOutcome.SKIPPED: ("–", "90"),
}
_WIDTH: Final = 100
_INDENT: Final = " " * 4


class Printer:
    def __init__(self, language: Language, *, colours: bool) -> None:
        self._language = language
        self._colours = colours

    def step(self, step: DoctorStep) -> None:
        mark, colour = _MARKS[step.outcome]
        # Escapes control characters in texts from servers.
        step = step.model_copy(update={"evidence": {k: one_line(v) for k, v in step.evidence.items()}})
        evidence = ", ".join(step.evidence.values()) if step.outcome is StepOutcome.OK else ""
        line = f"{self._coloured(mark, colour)} {step_title(step.step, self._language)}"
        print(f"{line}  {self._coloured(evidence, '90')}" if evidence else line)
        code = Code.named(step.code or "")
        if code is not None:
            finding = Finding(code, dict(step.evidence), step.variant)
            explanation = explain(finding, self._language, Role.ADMINISTRATOR)
            for text in (f"{explanation.title} ({code})", explanation.detail, f"→ {explanation.cure}"):
                print(_folded(text))
            error = step.evidence.get("error")
            if error and error not in explanation.detail:
                print(_folded(error))
        sys.stdout.flush()

    def end(self, report: DoctorReport) -> None:
        key = "failed" if report.has_failed else "healthy" if report.is_healthy else "warned"
        print()
        print(self._coloured(step_title(f"end-{key}", self._language), "1"))

    def _coloured(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and text else text


def _folded(text: str) -> str:
    """Wrap the text without breaking names, fingerprints and commands, so that they can be copied."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_on_hyphens=False,
        break_long_words=False,
    )
