"""A finding: a code with its evidence, and the explanation of it for people."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
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


class Role(StrEnum):
    """The role of the person who reads an explanation. The remedy depends on it."""

    USER = "user"
    ADMINISTRATOR = "administrator"
    """An administrator of the PBX, or the technician at the connector."""


@dataclass(frozen=True, slots=True)
class Explanation:
    title: str
    detail: str
    cure: str


def explain(finding: Finding, language: Language, role: Role = Role.USER) -> Explanation:
    """Return the texts for a finding. A variant without a text of its own gets the code's general text.

    An administrator gets the remedy for administrators if there is one, otherwise that for everybody.
    """
    values = {
        name: format_time(language, value) if isinstance(value, datetime) else value
        for name, value in finding.evidence.items()
    }

    topics = [str(finding.code)]
    if finding.variant is not None:
        topics.insert(0, f"{finding.code}.{finding.variant}")

    def words(*parts: str) -> str:
        keys = [f"{topic}.{part}" for topic in topics for part in parts]
        key = next((key for key in keys if _WORDS.has(language, key)), keys[-1])
        return _WORDS.text(language, key, **values)

    cures = ("cure-administrator", "cure") if role is Role.ADMINISTRATOR else ("cure",)
    return Explanation(words("title"), words("detail"), words(*cures))
