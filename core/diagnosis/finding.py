"""A finding: a code with its evidence, and the explanation of it for people."""

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any

from core.diagnosis.codes import Code
from core.language import Language, Words, format_time

_WORDS = Words("core.diagnosis")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong. The evidence fills the placeholders of the code's texts."""

    code: Code
    evidence: dict[str, Any] = field(default_factory=dict)
    variant: str | None = None
    """Selects a more specific text of the code if there is one, for instance the reason of `no-licence`."""


class RefusedError(Exception):
    """A request is refused; the finding says why. The tab's API turns it into a problem response, the bot into a card."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


def create_throttled_finding(seconds: float, variant: str | None = None) -> Finding:
    """Return the refusal of a request that exceeds a rate limit.

    `seconds` is how long to wait; it is rounded up, to at least 2. People read it, and HTTP sends it as Retry-After.
    """
    return Finding(Code.THROTTLED, {"seconds": max(2, ceil(seconds))}, variant)


@dataclass(frozen=True, slots=True)
class Explanation:
    title: str
    detail: str
    cure: str


def explain(finding: Finding, language: Language) -> Explanation:
    """Return the texts for a finding. A variant without a text of its own gets the code's general text."""
    values = {
        name: format_time(language, value) if isinstance(value, datetime) else value
        for name, value in finding.evidence.items()
    }

    def words(part: str) -> str:
        if finding.variant is not None:
            special = f"{finding.code}.{finding.variant}.{part}"
            if _WORDS.has(language, special):
                return _WORDS.text(language, special, **values)
        return _WORDS.text(language, f"{finding.code}.{part}", **values)

    return Explanation(words("title"), words("detail"), words("cure"))
