"""The CSV opens correctly in a spreadsheet of either language and carries no formula."""

import csv
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from core.language import Language
from tab.export import to_csv

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("language", "delimiter", "moment"),
    [(Language.DE, ";", "24.11.2026 13:00"), (Language.EN, ",", "2026-11-24 13:00")],
)
def test_it_is_split_and_dated_as_the_language_wants(language, delimiter, moment) -> None:
    text = to_csv(["Name", "Seit"], [['Müller, Jörg; "Joe"', NOON]], language, BERLIN)
    assert text.startswith("\ufeff")
    rows = list(csv.reader(text.removeprefix("\ufeff").splitlines(), delimiter=delimiter))
    assert rows == [["Name", "Seit"], ['Müller, Jörg; "Joe"', moment]]


@pytest.mark.parametrize(
    "hostile",
    [
        "=1+1",
        "+49 221",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "＝1+1",
        '=HYPERLINK("http://x")',
        "=cmd|' /C calc'!A0",
    ],
)
def test_no_cell_is_a_formula(hostile: str) -> None:
    text = to_csv(["Name"], [[hostile]], Language.DE, BERLIN)
    (_, (cell,)) = list(csv.reader(text.removeprefix("\ufeff").splitlines(keepends=True), delimiter=";"))
    assert cell.startswith("'") and cell[1:].strip() == hostile.strip().replace("\r", "\r")


def test_ordinary_text_stays_as_it_is() -> None:
    text = to_csv(["Name"], [["Anna Berger"], [None], [7]], Language.EN, BERLIN)
    assert text == "\ufeffName\r\nAnna Berger\r\n\r\n7\r\n".replace("\r\n\r\n", '\r\n""\r\n')
