"""Comparing PBX versions ("6.7.3.20", "STARFACE 6 Comfort 10.0.1.6") number by number."""

import re
from typing import Final

MAX_VERSION_TEXT: Final = 500
_DOTTED: Final = re.compile(r"(?<![\d.])\d{1,6}(?:\.\d{1,6}){1,7}")
_ALONE: Final = re.compile(r"(?<![\d.])\d{1,6}(?![\d.])")


def find_version_number(text: str) -> str | None:
    """Return the version number in a text, or None. A number with dots is preferred to one without."""
    text = text[:MAX_VERSION_TEXT]
    found = _DOTTED.search(text) or _ALONE.search(text)
    return found.group() if found else None


def parse_version(version: str) -> tuple[int, ...]:
    """Return the numbers of a version; an empty tuple if the text contains no version number."""
    number = find_version_number(version)
    return tuple(int(part) for part in number.split(".")) if number is not None else ()


def is_older(version: str, than: str) -> bool:
    """Return whether `version` is lower than `than`. Missing numbers count as 0; a text without a number is not older."""
    wanted, have = parse_version(than), parse_version(version)
    if not have:
        return False
    length = max(len(wanted), len(have))
    return have + (0,) * (length - len(have)) < wanted + (0,) * (length - len(wanted))
