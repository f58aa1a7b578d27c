"""Cleans pasted values: keys from mails, names from address bars, codes from chats.

Mail programs and word processors turn hyphens into dashes, put quotes and invisible characters around a value and wrap
its line. None of these characters can be part of a key, code or token, so they are removed before the value is checked.
"""

import re
import unicodedata
from typing import Final

_QUOTES: Final = frozenset("\"'`´‘’‚‛“”„‟«»‹›′″")
_PORT: Final = re.compile(r":[0-9]{1,5}$")
_SCHEME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]{0,20}://")


def letters_and_digits(text: str) -> str:
    """Return only the letters and digits of the text: a key or a code has no other characters."""
    return "".join(char for char in text if unicodedata.category(char)[0] in "LN")


def token(text: str) -> str:
    """Return the text without white space, quotes and invisible characters, which are never part of a token."""
    return "".join(char for char in text if char not in _QUOTES and unicodedata.category(char)[0] not in "ZC")


def host_of(text: str) -> str:
    """Return the host of a pasted address (`https://pbx.example.com/login`, `pbx.example.com:443`), or the plain name.

    The caller checks whether the result is a host name.
    """
    ends = [
        at
        for at, char in enumerate(text)
        if unicodedata.category(char)[0] not in "ZC" and char not in _QUOTES
    ]
    text = text[ends[0] : ends[-1] + 1] if ends else ""
    text = re.split(r"[/?#]", _SCHEME.sub("", text, count=1), maxsplit=1)[0]
    return _PORT.sub("", text) if text.count(":") == 1 else text
