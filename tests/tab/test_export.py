"""A table opens as it is in a spreadsheet of either language, and carries no formula wherever it is split."""

import asyncio
import csv
import io
import re
import unicodedata
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.language import Language
from tab.export import BYTE_ORDER_MARK, Format, Rows, guarded, write_table
from wire.bounds import clean_line

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
OWN = {Language.DE: ";", Language.EN: ","}

FORMULAS = "=+-@\t\r\uff1d\uff0b\uff0d\uff20\ufe62\ufe66\ufe63\ufe6b\u2212"
BLANKS = (
    " \u00a0\u2003\u3000\u200b\u200d\u2060\ufeff\u00ad\u202e\x0b\x0c\x00\x1f\x85\u2028\u180e\ufe0f\u3164\"';,"
)
NASTY = st.lists(
    st.one_of(st.sampled_from(list(FORMULAS + BLANKS + "a1;,\t\r\n\"'")), st.characters()), max_size=25
).map("".join)
CELLS = st.lists(st.lists(NASTY, min_size=3, max_size=3), min_size=1, max_size=4)


async def written(rows: Sequence[Sequence[object]], format_: Format, language: Language) -> bytes:
    async def pages() -> AsyncIterator[Rows]:
        for row in rows:
            yield [row]

    headings = [f"Column {number}" for number in range(len(rows[0]) if rows else 1)]
    file = await write_table(headings, pages(), format_, language, BERLIN)
    with file:
        return file.read()


def table(rows: Sequence[Sequence[object]], language: Language = Language.EN) -> str:
    """The file as text, without its first line."""
    text = asyncio.run(written(rows, Format.CSV, language)).decode()
    assert text.startswith(BYTE_ORDER_MARK)
    return text.partition("\r\n")[2]


def own_cells(rows: Sequence[Sequence[object]], language: Language = Language.EN) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table(rows, language), newline=""), delimiter=OWN[language]))


def cell(text: str) -> str:
    ((found,),) = own_cells([[text]])
    return found


def seen_first(text: str) -> str:
    """What a reader sees first, in its ordinary form; a quotation mark counts as nothing."""
    for character in text:
        if unicodedata.category(character)[0] not in "CMZ" and not character.isspace() and character != '"':
            return unicodedata.normalize("NFKC", character)[:1]
    return ""


@pytest.mark.parametrize(
    ("language", "delimiter", "moment"),
    [(Language.DE, ";", "24.11.2026 13:00"), (Language.EN, ",", "2026-11-24 13:00")],
)
async def test_it_is_split_and_dated_as_the_language_wants(
    language: Language, delimiter: str, moment: str
) -> None:
    rows = [['Müller, Jörg; "Joe"', NOON, None, 7]]
    text = (await written(rows, Format.CSV, language)).decode("utf-8-sig")
    _, row = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert row == ['Müller, Jörg;\' "Joe"', moment, "", "7"]


@settings(deadline=None)
@given(CELLS, st.sampled_from(Language))
@example([["Max X;=1+1", "Eva,=1+1 Y", "a\t=1"]], Language.EN)
@example([["Anna;=1+1;x", '";=1', 'x;""=1']], Language.DE)
@example([["x;", "=1", ";"]], Language.EN)
def test_no_cell_begins_with_a_formula_wherever_the_file_is_split(
    rows: list[list[str]], language: Language
) -> None:
    text = table(rows, language)
    for separator in ";,\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            for found in row:
                assert seen_first(found) not in set("=+-@\u2212"), (separator, found, text)
                assert not found.startswith(("\t", "\r", "\n")), (separator, found)
        # A program that knows nothing of quotation marks.
        for piece in re.split(f"[{separator}\r\n]", text):
            assert seen_first(piece) not in set("=+-@\u2212"), (separator, piece)


@settings(deadline=None)
@given(CELLS, st.sampled_from(Language))
def test_every_cell_is_quoted_and_keeps_its_text(rows: list[list[str]], language: Language) -> None:
    for line, row in zip(own_cells(rows, language), rows, strict=True):
        assert [one.replace("'", "") for one in line] == [
            clean_line(one, 100).replace("'", "") for one in row
        ]
    for line in table(rows, language).removesuffix("\r\n").split("\r\n"):
        quoted = re.escape(OWN[language]).join(['"(?:[^"]|"")*"'] * 3)
        assert re.fullmatch(quoted, line), line


@pytest.mark.parametrize(
    "text",
    [
        *("0042", "00", "4.9E5", "4,9e5", "1E3", "12-3", "3.4", "1/2", "49721151042000123", "1.000", "12:30"),
        *(
            "1 1/2",
            "5%",
            "(5)",
            "$5",
            "€ 5",
            "12.",
            ".5",
            "9 pm",
            "5 a",
            "１２-３",
            "5-",
            "1 2 3",
            "24.12.2026 12:00:30",
            "3.4.26",
            "\u00a00042",
            "1'000",
        ),
        *(
            "sept2",
            "MARCH1",
            "1-Jan",
            "3 Mär",
            "Dez 24, 2026",
            "24. Dezember 2026",
            "TRUE",
            "wahr",
            "0" * 300,
        ),
    ],
)
def test_values_that_a_spreadsheet_would_convert_stay_text(text: str) -> None:
    assert cell(text) == "'" + clean_line(text, 400)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Anna Berger",
            "1001",
            "0",
            "999999999999999",
            "anna-1001",
            "O'Brien",
            "Jan",
            "May Li",
            "Mai",
            "April",
        ),
        *(
            "A-1",
            "10a",
            "1001 Zentrale",
            "3com",
            "Rock 'n' Roll",
            "a=b",
            "x@example.com",
            "DEMO-1",
            "Müller, Jörg",
        ),
        *(
            "Dezernat 7 Süd",
            "Julia 5b",
            "Marketing",
            "Augsburg 12a",
            *("33333333-3333-4333-8333-333333333333", "0721/151042", "12345-6", "2026/1234567"),
        ),
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize("start", list(FORMULAS))
@pytest.mark.parametrize("before", ["", *BLANKS])
def test_nothing_before_a_formula_hides_it(before: str, start: str) -> None:
    found = cell(f"{before}{start}1+1")
    assert seen_first(found) not in set("=+-@\u2212")


@settings(deadline=None)
@given(CELLS, st.sampled_from(Language))
@example([["=1+1", "_x0041_", "0042"]], Language.DE)
@example([["http://example.com", "mailto:a@b", "{=1}"]], Language.DE)
def test_excels_own_format_keeps_every_text(rows: list[list[str]], language: Language) -> None:
    book = openpyxl.load_workbook(io.BytesIO(asyncio.run(written(rows, Format.XLSX, language))))
    sheet = book.active
    assert sheet.max_row <= 1 + len(rows)
    for number, row in enumerate(rows, 2):
        for column, text in enumerate(row, 1):
            found, expected = sheet.cell(number, column), clean_line(text, 100)
            assert _unescaped(found.value or "") == expected
            assert not expected or (found.data_type, found.number_format) == ("s", "@")
            assert found.hyperlink is None


def _unescaped(text: str) -> str:
    """OOXML writes a text that looks like an escape with one of its own (ECMA-376, 22.9.2.19)."""
    return re.sub(r"_x005F(?=_x[0-9A-Fa-f]{4}_)", "", text)


async def test_moments_and_numbers_are_text_in_excels_format_too() -> None:
    book = openpyxl.load_workbook(io.BytesIO(await written([[NOON, 7, None]], Format.XLSX, Language.DE)))
    (_, row) = book.active.iter_rows(values_only=True)
    assert row == ("24.11.2026 13:00", "7", None)


async def test_a_long_table_does_not_lie_in_memory_and_the_loop_goes_on(tmp_path: object) -> None:
    """Ten thousand rows in pages: between any two the loop had its turn."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    for format_ in Format:
        before = turns
        rows = [[f"Person {number}", "0042", NOON] for number in range(100)]

        async def pages(rows: Rows = rows) -> AsyncIterator[Rows]:
            for _ in range(100):
                yield rows

        with await write_table(["A", "B", "C"], pages(), format_, Language.EN, BERLIN) as file:
            assert len(file.read()) > 10_000
        assert turns - before > 100
    counting.cancel()


async def test_an_export_that_breaks_off_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def pages() -> AsyncIterator[Rows]:
        yield [["a"]]
        raise ConnectionError

    for format_ in Format:
        with pytest.raises(ConnectionError):
            await write_table(["A"], pages(), format_, Language.EN, BERLIN)
    assert list(tmp_path.iterdir()) == []  # type: ignore[attr-defined]


@settings(deadline=None)
@given(st.text(alphabet="0123456789.,e-;x", min_size=1000, max_size=4000))
def test_long_text_is_looked_at_once(text: str) -> None:
    guarded(text)


def test_hostile_text_takes_linear_time() -> None:
    """Repeated, each of these would show a pattern that tries again from every place."""
    for part in ("0", "9" * 3 + " ", ";", "; ", '"', "jan1", "'", "\u0301", ",\u200b"):
        text = part * (200_000 // len(part))
        guarded(text + "x")
