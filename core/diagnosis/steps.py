"""The doctor's steps in words; what a step found has those of its code."""

from typing import Final

from core.language import Language, Words

_WORDS: Final = Words("core.diagnosis")


def step_title(step: str, language: Language) -> str:
    return _WORDS.text(language, f"doctor.{step}")
