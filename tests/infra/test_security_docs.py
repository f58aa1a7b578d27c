"""docs/security.md: every requirement of OWASP ASVS 5.0 at levels 1 and 2 stands there once, with what holds it, and the
tests that it names exist.
"""

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
ROOT: Final = TESTS.parent
DOCUMENT: Final = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")

SECTIONS: Final = (
    *("1.1:2", "1.2:9", "1.3:11", "1.4:3", "1.5:2"),
    *("2.1:3", "2.2:3", "2.3:4", "2.4:1"),
    *("3.2:2", "3.3:4", "3.4:6", "3.5:5", "3.7:2"),
    *("4.1:3", "4.2:1", "4.3:2", "4.4:4"),
    *("5.1:1", "5.2:3", "5.3:2", "5.4:3"),
    *("6.1:3", "6.2:12", "6.3:4", "6.4:4", "6.5:5", "6.6:3", "6.8:4"),
    *("7.1:3", "7.2:4", "7.3:2", "7.4:5", "7.5:2", "7.6:2"),
    *("8.1:2", "8.2:3", "8.3:1", "8.4:1"),
    *("9.1:3", "9.2:4"),
    *("10.1:2", "10.2:2", "10.3:4", "10.4:11", "10.5:5", "10.6:2", "10.7:3"),
    *("11.1:2", "11.2:3", "11.3:3", "11.4:4", "11.5:1", "11.6:1"),
    *("12.1:3", "12.2:2", "12.3:4"),
    *("13.1:1", "13.2:5", "13.3:2", "13.4:5"),
    *("14.1:2", "14.2:4", "14.3:3"),
    *("15.1:3", "15.2:3", "15.3:7"),
    *("16.1:1", "16.2:5", "16.3:4", "16.4:3", "16.5:3"),
    *("17.1:1", "17.2:4", "17.3:2"),
)
"""Each section with the number of its requirements at levels 1 and 2, which are always its first ones."""

_ROW: Final = re.compile(r"^\| (\d+\.\d+\.\d+) \|.*\| ([^|]+) \|$", re.MULTILINE)
_DOES_NOT_APPLY: Final = re.compile(r"^Does not apply: (.+?)(?=\n\n|\n?\Z)", re.MULTILINE | re.DOTALL)
_TEST: Final = re.compile(r"`((?:\w+/)*test_\w+\.py)(?:::(\w+))?`")


def test_every_requirement_stands_there_once() -> None:
    counts = (section.split(":") for section in SECTIONS)
    expected = {f"{section}.{n}" for section, count in counts for n in range(1, int(count) + 1)}
    assert len(expected) == 253
    rows = [requirement for requirement, _ in _ROW.findall(DOCUMENT)]
    others = [
        requirement
        for passage in _DOES_NOT_APPLY.findall(DOCUMENT)
        for requirement in re.findall(r"\b\d+\.\d+\.\d+\b", passage)
    ]
    assert Counter(rows + others) == Counter(expected)


def test_every_row_names_a_test_or_says_that_there_is_none() -> None:
    vague = [
        requirement
        for requirement, held_by in _ROW.findall(DOCUMENT)
        if not _TEST.search(held_by) and not re.search(r"\b[Nn]o test\b|^gap: ", held_by)
    ]
    assert vague == []


@pytest.mark.parametrize(("file", "name"), sorted(set(_TEST.findall(DOCUMENT))))
def test_the_test_is_there(file: str, name: str) -> None:
    path = TESTS / file
    assert path.is_file()
    functions = {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not name or name in functions
