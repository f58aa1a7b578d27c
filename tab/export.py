"""Writes tables to files: CSV that cannot contain a formula, and Excel's own format, which leaves nothing to
interpret.

Rows arrive page by page and are written to a temporary file, off the event loop, so a long table is never
completely in memory.
"""

import asyncio
import csv
import io
import re
import tempfile
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import IO, Any, BinaryIO, Final, cast
from zoneinfo import ZoneInfo

import xlsxwriter

from core.language import Language
from wire.bounds import clean_line

MAX_CELL: Final = 8000
"""In characters. Excel allows 32,767; none of our cells comes close."""
BYTE_ORDER_MARK: Final = "\ufeff"
"""Without it Excel reads UTF-8 as the system's legacy code page."""
_DELIMITER: Final = {Language.DE: ";", Language.EN: ","}
"""Excel splits at the list separator of its own language."""
_MOMENT: Final = {Language.DE: "%d.%m.%Y %H:%M", Language.EN: "%Y-%m-%d %H:%M"}

_FORMULA: Final = frozenset("=+-@\u2212")
"""OWASP, "CSV Injection", and the real minus sign; full-width and small forms are folded into these."""
_SEPARATOR: Final = re.compile("[;,\t]")

# Text that a spreadsheet interprets as a number, a date, a time or a truth value, and rewrites in its own format.
_NUMBER: Final = re.compile(r"[0-9., $€£¥'’()%]*(e[-+]?[0-9., $€£¥'’()%]*)?-?", re.IGNORECASE)
_DATE: Final = re.compile(r"[0-9]{1,4}([-/.: ]{1,2}[0-9]{1,4}){1,6}")
_TIME: Final = re.compile(r"[0-9]{1,2}(:[0-9]{1,2}){0,2}( [ap]m?|[ap]m)", re.IGNORECASE)
_MONTH: Final = re.compile(
    r"([0-9]{1,4}[-/. ]{0,2})?(jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-zä]{0,7}"
    r"[-/., ]{0,2}([0-9]{1,4}([-/., ]{1,2}[0-9]{1,4})?)?",
    re.IGNORECASE,
)
_TRUTH: Final = re.compile("true|false|wahr|falsch", re.IGNORECASE)
_PLAIN_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,14}")
"""Needs no apostrophe: a spreadsheet keeps 15 digits."""
_LONGEST_DATE: Final = 40


class Format(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self]


MEDIA_TYPES: Final = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

Rows = Sequence[Sequence[object]]
"""Each cell is text, a number, a datetime or None."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    file: BinaryIO
    """Positioned at its beginning; the file is deleted when it is closed."""
    name: str
    media_type: str
    complete: bool
    """False if there are older rows that did not fit into the file."""


async def write_table(
    headings: Sequence[str],
    pages: AsyncIterator[Rows],
    format_: Format,
    language: Language,
    zone: ZoneInfo,
) -> BinaryIO:
    """Write a table to a temporary file and return it, positioned at its beginning. Times are shown in `zone`."""
    table: _Table = (_Csv if format_ is Format.CSV else _Xlsx)(headings, language, zone)
    try:
        async for page in pages:
            await asyncio.to_thread(table.add, page)
        return await asyncio.to_thread(table.finish)
    except BaseException:
        table.discard()
        raise


class _Table(ABC):
    def __init__(self, language: Language, zone: ZoneInfo) -> None:
        self._language = language
        self._zone = zone
        self._file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - closed by the sender

    @abstractmethod
    def add(self, rows: Rows) -> None: ...

    @abstractmethod
    def finish(self) -> BinaryIO: ...

    @abstractmethod
    def discard(self) -> None: ...

    def _text(self, value: object) -> str:
        if value is None:
            return ""
        if isinstance(value, datetime):
            return value.astimezone(self._zone).strftime(_MOMENT[self._language])
        return clean_line(str(value), MAX_CELL)


class _Csv(_Table):
    """Every cell is quoted. Cells stay harmless even if a program splits the file at a different list separator."""

    def __init__(self, headings: Sequence[str], language: Language, zone: ZoneInfo) -> None:
        super().__init__(language, zone)
        self._stream = io.TextIOWrapper(cast("IO[bytes]", self._file), encoding="utf-8", newline="")
        self._stream.write(BYTE_ORDER_MARK)
        self._csv = csv.writer(
            self._stream, delimiter=_DELIMITER[language], lineterminator="\r\n", quoting=csv.QUOTE_ALL
        )
        self._csv.writerow(headings)

    def add(self, rows: Rows) -> None:
        self._csv.writerows([self._cell(value) for value in row] for row in rows)

    def finish(self) -> BinaryIO:
        self._stream.flush()
        self._stream.detach()
        self._file.seek(0)
        return self._file

    def discard(self) -> None:
        self._stream.close()

    def _cell(self, value: object) -> str:
        text = self._text(value)
        return guarded(text) if isinstance(value, str) else text


class _Xlsx(_Table):
    """Every cell is text, so Excel neither computes nor reinterprets it."""

    def __init__(self, headings: Sequence[str], language: Language, zone: ZoneInfo) -> None:
        super().__init__(language, zone)
        # Each row is written to a file when the next one begins. No text becomes a formula, a link or a number.
        self._directory = tempfile.TemporaryDirectory(prefix="pbx-teams-export-")
        self._book: Any = xlsxwriter.Workbook(
            self._file,
            {
                "constant_memory": True,
                "tmpdir": self._directory.name,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        self._sheet = self._book.add_worksheet()
        as_text = self._book.add_format({"num_format": "@"})
        self._sheet.set_column(0, len(headings) - 1, 24, as_text)
        self._sheet.freeze_panes(1, 0)
        self._as_text = as_text
        self._row = 0
        heading = self._book.add_format({"bold": True, "num_format": "@"})
        for column, text in enumerate(headings):
            self._sheet.write_string(0, column, text, heading)

    def add(self, rows: Rows) -> None:
        for row in rows:
            self._row += 1
            for column, value in enumerate(row):
                if text := self._text(value):
                    self._sheet.write_string(self._row, column, text, self._as_text)

    def finish(self) -> BinaryIO:
        self._book.close()
        self._directory.cleanup()
        self._file.seek(0)
        return self._file

    def discard(self) -> None:
        self._book.close()  # the only way to close the files that it has opened
        self._file.close()
        self._directory.cleanup()


def guarded(text: str) -> str:
    """Return the text of one cell, with an apostrophe before anything that a spreadsheet would compute or rewrite.

    An apostrophe is also added after a list separator within the text, because the reader's program may split
    there.
    """
    parts: list[str] = []
    begin = 0
    for separator in _SEPARATOR.finditer(text):
        parts.append(text[begin : separator.end()])
        begin = separator.end()
        if _begins_badly(text, begin, behind_separator=True):
            parts.append("'")
    parts.append(text[begin:])
    if _begins_badly(text, 0, behind_separator=False) or _looks_numeric(text):
        parts.insert(0, "'")
    return "".join(parts)


def _begins_badly(text: str, start: int, *, behind_separator: bool) -> bool:
    """Return whether the first visible character from `start` on begins a formula. After a separator, a quotation
    mark and the end of the text count too: a program that splits there could join the next cell.
    """
    for position in range(start, len(text)):
        character = text[position]
        if character == '"':
            if behind_separator:
                return True
            continue
        if character.isspace() or unicodedata.category(character)[0] in "CMZ":
            continue
        return unicodedata.normalize("NFKC", character)[:1] in _FORMULA
    return behind_separator


def _looks_numeric(text: str) -> bool:
    folded = unicodedata.normalize("NFKC", text).strip()
    if not any(character.isdecimal() for character in folded):
        return _TRUTH.fullmatch(folded) is not None
    if _PLAIN_NUMBER.fullmatch(folded):
        return False
    if _NUMBER.fullmatch(folded):
        return True
    is_short = len(folded) <= _LONGEST_DATE
    return is_short and any(pattern.fullmatch(folded) for pattern in (_DATE, _TIME, _MONTH))
