"""Finds telephone numbers in a chat message.

Only numbers with an international prefix or a leading zero are found. Other digits in a message are usually dates, amounts
or ids, and a person can type a number.
"""

import html
import re
from typing import Final

MAX_TEXT: Final = 20_000
MAX_FOUND: Final = 5
LEAST_DIGITS, MOST_DIGITS = 6, 17
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")
_LINK: Final = re.compile(r"tel:([+0-9][0-9().-]{3,40})", re.IGNORECASE)
_CANDIDATE: Final = re.compile(r"(?<![\w+./:-])(?:\+|\(?0)[0-9()/. -]{4,40}")
_DATE: Final = re.compile(r"[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}\.?")
_NEXT: Final = re.compile(r" (?=[+0])")


def find_numbers(content: str) -> list[str]:
    """Return the numbers in a message body (HTML or text) as written there, without duplicates, at most `MAX_FOUND`."""
    content = content[:MAX_TEXT]
    linked = _LINK.findall(content)
    # A tag ends a number as well as a space does.
    words = html.unescape(_TAG.sub(" ; ", content)).replace("\u00a0", " ")
    found: dict[str, str] = {}
    for candidate in (*linked, *_CANDIDATE.findall(words)):
        for part in [candidate] if _digits(candidate) <= MOST_DIGITS else _NEXT.split(candidate):
            number = " ".join(part.strip().rstrip(" .-/(").split())
            if number.count("(") != number.count(")"):
                number = number.replace("(", "").replace(")", "")
            if LEAST_DIGITS <= _digits(number) <= MOST_DIGITS and not _DATE.fullmatch(number):
                key = "".join(sign for sign in number if sign.isdigit() or sign == "+")
                found.setdefault(key, number)
    return list(found.values())[:MAX_FOUND]


def _digits(text: str) -> int:
    return sum(sign.isdigit() for sign in text)
