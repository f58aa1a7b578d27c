"""Log formatting: one event is one line, also with text from outside in it.

Names, error texts and headers come from PBXs, services and proxies. A line break in one of them would forge a log entry,
and an escape sequence would change the reader's terminal.
"""

import logging
import unicodedata
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INDENT: Final = "    "


def one_line(text: str) -> str:
    """Return the text with invisible characters and line breaks escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _HIDDEN else char for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    wide = f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return _SHORT.get(char) or (f"\\x{code:02x}" if code <= 0xFF else wide)


class LineFormatter(logging.Formatter):
    """Formats for people at a terminal or in the journal: the message, then its extra fields as `name=value`."""

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
    """Indent the lines, so that each clearly belongs to the entry above it."""
    return "\n".join(_INDENT + one_line(line) for line in text.split("\n"))
