"""Keeps the log of the last day in the state directory, so that it can be shown and given to support.

It is bounded, readable by the connector's user alone, and contains no secret: whatever looks like one, and every secret
that this connector knows, is removed before it is written, and once more when it is read.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from connector.secrets_removed import SecretRemover
from wire.lines import LineFormatter

FILE: Final = "log"
OLDER: Final = "log.1"
MAX_BYTES: Final = 1024 * 1024
"""Largest size of each of the two files. A connector writes a few hundred bytes an hour."""
SHOWN: Final = timedelta(days=1)
MAX_LINE: Final = 4000
_BEGINS: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")


class _Formatter(LineFormatter):
    def formatTime(self, record: logging.LogRecord, _datefmt: str | None = None) -> str:  # noqa: N802 - of the base
        return (
            datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )


class LogFile(logging.Handler):
    """Writes the log of this process into the state directory."""

    def __init__(self, directory: Path, remover: Callable[[], SecretRemover]) -> None:
        """`remover` returns what removes the present secrets."""
        super().__init__(logging.INFO)
        self.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._directory = directory
        self._remover = remover

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._remover().remove(self.format(record))[:MAX_LINE] + "\n"
            self._write(line.encode("utf-8", "backslashreplace"))
        except Exception:  # noqa: BLE001, S110 - a full disk must not stop the connector, and cannot be logged here
            pass

    def _write(self, line: bytes) -> None:
        path = self._directory / FILE
        with suppress(FileNotFoundError):
            if path.stat().st_size + len(line) > MAX_BYTES:
                path.replace(self._directory / OLDER)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def last_day(directory: Path, remover: SecretRemover, now: datetime | None = None) -> str:
    """Return the log of the last day, oldest line first; empty if there is none."""
    since = ((now or datetime.now(UTC)) - SHOWN).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return remover.remove("".join(_since(_lines(directory), since)))


def _since(lines: Iterator[str], since: str) -> Iterator[str]:
    is_shown = False
    for line in lines:
        if _BEGINS.match(line):  # an indented line belongs to the one above it
            is_shown = line[: len(since)] >= since
        if is_shown:
            yield line


def _lines(directory: Path) -> Iterator[str]:
    for name in (OLDER, FILE):
        try:
            content = (directory / name).read_bytes()[-MAX_BYTES:]
        except OSError:
            continue
        yield from content.decode(errors="replace").splitlines(keepends=True)
