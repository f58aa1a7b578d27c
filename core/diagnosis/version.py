"""PBX versions ("6.7.3.20", "10.0.1.6"): compared number by number."""

import re

_LEADING_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


def parts(version: str) -> tuple[int, ...]:
    found = _LEADING_NUMBERS.search(version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def is_older(version: str, than: str) -> bool:
    """Whether `version` comes before `than`; missing numbers count as 0, an unreadable version as old."""
    wanted = parts(than)
    have = parts(version)
    length = max(len(wanted), len(have))
    return have + (0,) * (length - len(have)) < wanted + (0,) * (length - len(wanted))
