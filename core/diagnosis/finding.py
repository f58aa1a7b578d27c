"""A finding: one code with its evidence, and the words for it."""

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any

from core.diagnosis.codes import Code
from core.language import Language, Words, format_time

_WORDS = Words("core.diagnosis")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong: a code, and evidence whose names are the placeholders of its words."""

    code: Code
    evidence: dict[str, Any] = field(default_factory=dict)
    variant: str | None = None
    """Chooses among the words of one code, for instance the reason of `no-licence`."""


def throttled(seconds: float, variant: str | None = None) -> Finding:
    """The refusal of what comes too often; `seconds` are told in words, and as Retry-After over HTTP."""
    return Finding(Code.THROTTLED, {"seconds": max(2, ceil(seconds))}, variant)


@dataclass(frozen=True, slots=True)
class Explanation:
    title: str
    detail: str
    cure: str


def explain(finding: Finding, language: Language) -> Explanation:
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
