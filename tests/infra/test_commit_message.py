"""The form of a commit's subject."""

from pathlib import Path

import pytest

from infra.commit_message import faults_of, main


@pytest.mark.parametrize(
    "message",
    [
        "Show who is calling\n",
        "Show who is calling\n\nNames come later than the ring.\n# Please enter the commit message\n",
        "# a comment of Git\nShow who is calling",
        f"{'A' * 72}\n",
        f"Merge branch '{'x' * 90}'\n",
    ],
)
def test_a_good_message_passes(message: str) -> None:
    assert faults_of(message) == []


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        (f"{'A' * 73}\n", "73 characters"),
        ("Show who is calling.\n", "full stop"),
        ("show who is calling\n", "small letter"),
        ("Show who is calling\nand since when\n", "empty line"),
    ],
)
def test_a_bad_message_is_refused_with_the_reason(message: str, fault: str, tmp_path: Path) -> None:
    assert any(fault in one for one in faults_of(message))
    file = tmp_path / "COMMIT_EDITMSG"
    file.write_text(message, encoding="utf-8")
    assert main(str(file)) == 1
