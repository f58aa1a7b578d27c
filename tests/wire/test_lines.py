"""One event is one line of the log, and nothing in it moves the reader's terminal."""

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.lines import LineFormatter, one_line

FORGED = "x\n2026-01-01 00:00:00 INFO connector: link open"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("as it is: ü, 名, 🙂", "as it is: ü, 名, 🙂"),
        (FORGED, "x\\n2026-01-01 00:00:00 INFO connector: link open"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\x85b\u2028c\u2029d", "a\\x85b\\u2028c\\u2029d"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_breaks_a_line_is_written_out(text: str, line: str) -> None:
    assert one_line(text) == line


@given(st.text())
def test_any_text_is_one_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1 and "\x1b" not in line
    line.encode()


def logged(**how: object) -> list[str]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter("%(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("connector.test")
    logger.propagate = False
    logger.handlers = [handler]
    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.error("the PBX says %s", FORGED, extra={"reason": FORGED, "none": None}, **how)  # type: ignore[arg-type]
    return stream.getvalue().split("\n")[:-1]


def test_message_and_what_was_logged_with_it_are_one_line() -> None:
    (line,) = logged()
    assert line.startswith("ERROR connector.test: the PBX says x\\n2026") and " reason=x\\n2026" in line
    assert "none=" not in line


def test_a_traceback_belongs_to_the_line_above_it() -> None:
    first, *others = logged(exc_info=True)
    assert first.startswith("ERROR connector")
    assert others and all(line.startswith("    ") for line in others)
