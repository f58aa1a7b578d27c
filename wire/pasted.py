"""What people paste: keys from mails, names from address bars, codes from chats, with everything that came along.

Mail programs and word processors turn hyphens into dashes, put quotes and invisible characters around a value and break
its line. None of that can be part of a key, a code or a token, so it is dropped before anything is judged.
"""

import re
import unicodedata
from typing import Final

_QUOTES: Final = frozenset("\"'`´‘’‚‛“”„‟«»‹›′″")
_PORT: Final = re.compile(r":[0-9]{1,5}$")
_SCHEME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]{0,20}://")


def letters_and_digits(text: str) -> str:
    """All that a key or a code is made of."""
    return "".join(char for char in text if unicodedata.category(char)[0] in "LN")


def token(text: str) -> str:
    """A token without white space, quotes and invisible characters: none of them is ever part of one."""
    return "".join(char for char in text if char not in _QUOTES and unicodedata.category(char)[0] not in "ZC")


def host_of(text: str) -> str:
    """The host of a pasted address (`https://pbx.example.com/login`, `pbx.example.com:443`); a plain name stays itself.

    Nothing is decided here: whether it is a host name is for the caller to check.
    """
    ends = [
        at
        for at, char in enumerate(text)
        if unicodedata.category(char)[0] not in "ZC" and char not in _QUOTES
    ]
    text = text[ends[0] : ends[-1] + 1] if ends else ""
    text = re.split(r"[/?#]", _SCHEME.sub("", text, count=1), maxsplit=1)[0]
    return _PORT.sub("", text) if text.count(":") == 1 else text
