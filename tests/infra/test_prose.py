"""The check of our English finds what it is for."""

import pytest

from infra.prose import faults_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Whoever comes alone sends by itself.", "Whoever"),
        ("# read anew", "anew"),
        ("refused for want of a licence", "for want of"),
        ("The old key is good no longer", "good no longer"),
        ("Reckoned from the audit", "Reckoned"),
        ("def test_whoever_asks_is_answered() -> None:", "whoever"),
        ("def test_two_people_are_told_apart() -> None:", "told apart"),
    ],
)
def test_a_phrase_of_the_old_dialect_is_found_with_its_line(text: str, found: str) -> None:
    faults = faults_of(f"A line that is fine.\n{text}\n")
    assert [(fault.line, fault.text) for fault in faults] == [(2, found)]
    assert faults[0].better


def test_plain_words_pass() -> None:
    assert faults_of("Read again. The person is told by mail; renewed, manewal, test_renewed().") == []
