"""Titles of the doctor's steps. The finding of a step is explained by its code."""

from typing import Final

from core.language import Language, Words

_WORDS: Final = Words("core.diagnosis")


def step_title(step: str, language: Language) -> str:
    """Return the step's title, or its raw name if a newer connector has a step that this service does not know."""
    key = f"doctor.{step}"
    return _WORDS.text(language, key) if _WORDS.has(language, key) else step
