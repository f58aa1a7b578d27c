"""The doctor's steps in words; what a step found has those of its code."""

from typing import Final

from core.language import Language, Words

_WORDS: Final = Words("core.diagnosis")


def step_title(step: str, language: Language) -> str:
    """A step that a newer connector knows and this service does not is shown by its name."""
    key = f"doctor.{step}"
    return _WORDS.text(language, key) if _WORDS.has(language, key) else step
