"""PBX versions ("6.7.3.20", "STARFACE 6 Comfort 10.0.1.6"): compared number by number."""

import re
from typing import Final

MAX_VERSION_TEXT: Final = 500
_DOTTED: Final = re.compile(r"(?<![\d.])\d{1,6}(?:\.\d{1,6}){1,7}")
_ALONE: Final = re.compile(r"(?<![\d.])\d{1,6}(?![\d.])")


def number_in(text: str) -> str | None:
    """The version number in a text; None where there is none. Numbers with a dot come before those without one."""
    text = text[:MAX_VERSION_TEXT]
    found = _DOTTED.search(text) or _ALONE.search(text)
    return found.group() if found else None


def parts(version: str) -> tuple[int, ...]:
    """Empty for a text without a version number."""
    number = number_in(version)
    return tuple(int(part) for part in number.split(".")) if number is not None else ()


def is_older(version: str, than: str) -> bool:
    """Whether `version` comes before `than`; missing numbers count as 0. A text without a number is not known to be old."""
    wanted, have = parts(than), parts(version)
    if not have:
        return False
    length = max(len(wanted), len(have))
    return have + (0,) * (length - len(have)) < wanted + (0,) * (length - len(wanted))
