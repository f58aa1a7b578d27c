"""CSV that a spreadsheet opens by a double click, in the reader's language, and that cannot carry a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from core.language import Language

BYTE_ORDER_MARK: Final = "\ufeff"
"""Without it Excel takes UTF-8 for the system's old code page."""
_DELIMITER: Final = {Language.DE: ";", Language.EN: ","}
"""Excel splits at the list separator of its own language."""
_MOMENT: Final = {Language.DE: "%d.%m.%Y %H:%M", Language.EN: "%Y-%m-%d %H:%M"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""OWASP, "CSV Injection"; the last four are the full-width forms."""


def to_csv(
    headings: Sequence[str], rows: Iterable[Sequence[object]], language: Language, zone: ZoneInfo
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=_DELIMITER[language], lineterminator="\r\n")
    writer.writerow(headings)
    for row in rows:
        writer.writerow([_cell(value, language, zone) for value in row])
    return BYTE_ORDER_MARK + text.getvalue()


def _cell(value: object, language: Language, zone: ZoneInfo) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime(_MOMENT[language])
    text = str(value)
    # An apostrophe at the front makes it text; leading blanks do not keep a spreadsheet from reckoning.
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
