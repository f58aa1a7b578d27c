"""Reads text files that people wrote with any editor: configuration, passwords, keys, certificates, environment.

Editors of Windows put a byte order mark before UTF-8, save "Unicode" as UTF-16 and end lines with CR LF. All of these
are read correctly. What they call "ANSI" depends on the machine. It is refused with advice, not guessed, because a
wrongly guessed password locks an account.
"""

import codecs
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 1024 * 1024
"""Longest file that is read. Files that people write for us are shorter."""

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class UnreadableTextError(ValueError):
    """The file is not text. The message names the file and says what to do."""


def read_text(path: Path) -> str:
    """Return the text of a file with Unix line ends. Raises `OSError` or `UnreadableTextError`."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UnreadableTextError(f"{path} is longer than {MAX_BYTES // 1024} KiB: this is another file")
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError as fault:
        raise UnreadableTextError(
            f"{path} is not UTF-8 text (an editor may have saved it as ANSI): open it in the editor and save it as UTF-8"
        ) from fault
    if "\0" in text:
        raise UnreadableTextError(f"{path} is no text file: it holds zero bytes")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def encoding_of(path: Path) -> str:
    """Return the name of the file's encoding, for code that opens the file itself. Raises as `read_text` does."""
    read_text(path)
    with path.open("rb") as file:
        return _encoding(file.read(MAX_BYTES))


def _encoding(content: bytes) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding
    # UTF-16 without a byte order mark: each Latin letter has a zero byte next to it.
    if b"\0" in content[1::2] and b"\0" not in content[::2]:
        return "utf-16-le"
    if b"\0" in content[::2] and b"\0" not in content[1::2]:
        return "utf-16-be"
    return "utf-8"
