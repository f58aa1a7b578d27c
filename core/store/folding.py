"""Compare names without case and diacritics: "Krüger" sorts next to "Kruger", and both spellings find it.

This works the same on both databases. Their own `lower` and collations differ, and SQLite's handle only ASCII.
"""

import unicodedata
from typing import Final

_MARKS: Final = "".join(map(chr, range(0x300, 0x370)))
"""Combining marks, which are dropped."""
_STROKED: Final = {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i"}
"""Letters without a Unicode decomposition."""
_PAIRS: Final = (("ß", "ss"), ("ẞ", "ss"), ("æ", "ae"), ("Æ", "ae"), ("œ", "oe"), ("Œ", "oe"))
_UMLAUTS: Final = (("ae", "a"), ("oe", "o"), ("ue", "u"))
"""How people write umlauts without umlauts; only for searching."""


def _letters() -> dict[str, str]:
    letters = dict(_STROKED)
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        base = unicodedata.normalize("NFD", chr(code))[0]
        if base.isascii() and base.isalpha():
            letters[chr(code)] = base.lower()
    return letters | {letter.upper(): base for letter, base in _STROKED.items() if len(letter.upper()) == 1}


_LETTERS: Final = {letter: base for letter, base in _letters().items() if not letter.isascii()}
_COMMON: Final = "enirstahulcgdbomkwfvzpjyxq -.0123456789"
_OTHER_SCRIPTS: Final = "".join(
    chr(code)
    for first, last in ((0x430, 0x45F), (0x3B1, 0x3C9), (0x5D0, 0x5EA), (0x621, 0x64A))
    for code in range(first, last + 1)
)
"""The letters of Cyrillic, Greek, Hebrew and Arabic."""
_KEPT: Final = _COMMON + _OTHER_SCRIPTS
"""Characters that stay as they are. They come first because PostgreSQL searches the list from its beginning."""
_FROM: Final = _KEPT + "".join(_LETTERS)
_TO: Final = _KEPT + "".join(_LETTERS.values())


def translate(text: str | None, given: str, wanted: str) -> str | None:
    """PostgreSQL's function `translate`, for SQLite.

    Each letter of `given` becomes the letter at the same position in `wanted`, or is dropped when there is none.
    """
    if text is None or text.isascii():
        return text
    return text.translate(_table(given, wanted))


_tables: Final[dict[tuple[str, str], dict[int, str | None]]] = {}


def _table(given: str, wanted: str) -> dict[int, str | None]:
    known = _tables.get((given, wanted))
    if known is None:
        letters: dict[int, str | None] = dict.fromkeys(map(ord, given))
        letters.update(zip(map(ord, given), wanted, strict=False))
        known = _tables[given, wanted] = letters
    return known


def _replaced(expression: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for letters, base in pairs:
        expression = f"replace({expression}, '{letters}', '{base}')"
    return expression


def octet_length(text: str | None) -> int | None:
    """SQL's function `octet_length`, for versions of SQLite without it."""
    return None if text is None else len(text.encode())


def sql_folded(expression: str) -> str:
    """Return an SQL expression for sorting as in a German dictionary (DIN 5007-1): ä as a, ß as ss.

    Most names are ASCII and need no translation, which takes PostgreSQL 30 to 100 microseconds for each name. `lower`
    may make a dotless i of an ASCII letter there, if the locale of the database is Turkish.
    """
    lower = f"lower({expression})"
    translated = _replaced(f"translate({lower}, '{_FROM}{_MARKS}', '{_TO}')", _PAIRS)
    is_ascii = f"octet_length({expression}) = length({expression})"
    return f"CASE WHEN {is_ascii} THEN replace({lower}, 'ı', 'i') ELSE {translated} END"


def sql_searched(expression: str) -> str:
    """Return an SQL expression for searching; compare it with `searched`."""
    return _replaced(f"({sql_folded(expression)})", _UMLAUTS)


def folded(text: str) -> str:
    """Return the text as `sql_folded` does in SQL."""
    table = _table(_FROM + _MARKS, _TO)
    result = text.lower().translate(table)
    for letters, base in _PAIRS:
        result = result.replace(letters, base)
    return result


def searched(text: str) -> str:
    """Return the text as `sql_searched` does in SQL: folded, and "mueller" as "muller"."""
    result = folded(text)
    for letters, base in _UMLAUTS:
        result = result.replace(letters, base)
    return result
