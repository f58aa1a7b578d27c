"""Log lines: one event is one line, whatever others have put into it.

Names, error texts and headers come from PBXs, services and proxies. A line break among them would begin an entry that
nobody wrote, and an escape sequence would change the reader's terminal.
"""

import logging
import unicodedata
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INDENT: Final = "    "


def one_line(text: str) -> str:
    """The text with everything that is not seen, or breaks a line, written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _HIDDEN else char for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    wide = f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return _SHORT.get(char) or (f"\\x{code:02x}" if code <= 0xFF else wide)


class LineFormatter(logging.Formatter):
    """For a person at a terminal or in the journal: the message, then what was logged with it as `name=value`."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name of the base class
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line = super().formatMessage(record)
        line += "".join(f" {name}={value}" for name, value in extra.items() if value is not None)
        return one_line(line)

    def formatException(self, ei: object) -> str:  # noqa: N802
        return _indented(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    """Lines that belong to the one above them, so that none looks like an entry of its own."""
    return "\n".join(_INDENT + one_line(line) for line in text.split("\n"))
