"""Changes the connector's TOML file and keeps its comments, its order and its layout. The file remains the truth.

A change is checked before it is written, and written atomically: after a crash the file is the old one or the new one.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, Item

from connector.config import Config, load, parse
from connector.errors import ConnectorError
from connector.files import write_like
from wire.textfile import UnreadableTextError, read_text

Value = bool | int | str | Sequence[str]
Changes = Mapping[str, Value | None]
"""Maps the name of a setting ("active", "uci.enabled", "licences.keys") to its new value; None removes the setting."""


class ConfigFile:
    """The configuration on disk. A path that does not exist yet is an empty file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Config:
        """Read and check the file. Raises `ConnectorError`."""
        return load(self.path)

    def preview(self, changes: Changes) -> Config:
        """Return the configuration with these changes; nothing is written. Raises `ConnectorError`."""
        return self._changed(self._read(), changes)[1]

    def change(self, changes: Changes) -> Config:
        """Write the changes and return the new configuration.

        Raises `ConnectorError` if the result is not a configuration, if the file cannot be written, or if somebody else
        has changed it at the same time. The file is then as it was.
        """
        before = self._read()
        text, config = self._changed(before, changes)
        if text == before:
            return config
        content = text.replace("\n", "\r\n") if self._ends_lines_like_windows() else text
        if self._read() != before:
            raise ConnectorError(f"{self.path} was changed at the same time: look at it, and try again")
        try:
            write_like(self.path, content.encode(), private=config.holds_secret)
        except OSError as fault:
            raise ConnectorError(f"cannot write {self.path}: {fault.strerror}") from fault
        return config

    def _changed(self, text: str, changes: Changes) -> tuple[str, Config]:
        """Return the text with the changes, and its configuration."""
        try:
            document = tomlkit.parse(text)
            wanted = tomllib.loads(text)
        except (ValueError, RecursionError) as fault:
            raise ConnectorError(f"the configuration {self.path} is not TOML: {fault}") from fault
        try:
            for name, value in changes.items():
                _put(document, name, value)
                _put_plainly(wanted, name, value)
            changed = document.as_string()
        except (TOMLKitError, TypeError, KeyError, AttributeError) as fault:
            raise ConnectorError(f"the configuration {self.path} cannot be changed: {fault}") from fault
        config = parse(changed, self.path)
        if tomllib.loads(changed) != wanted:
            raise ConnectorError(
                f"the configuration {self.path} can only be changed by hand: {', '.join(changes)}"
            )
        return changed, config

    def _read(self) -> str:
        try:
            return read_text(self.path)
        except FileNotFoundError:
            return ""
        except OSError as fault:
            raise ConnectorError(f"cannot read {self.path}: {fault.strerror}") from fault
        except UnreadableTextError as fault:
            raise ConnectorError(str(fault)) from fault

    def _ends_lines_like_windows(self) -> bool:
        try:
            return b"\r\n" in self.path.read_bytes()
        except OSError:
            return False


def _put(document: Any, name: str, value: Value | None) -> None:
    section, _, member = name.rpartition(".")
    if section and section not in document:
        if value is None:
            return
        if document.as_string().strip():
            document.add(tomlkit.nl())
        document.add(section, tomlkit.table())
    table = document[section] if section else document
    if value is None:
        table.pop(member, None)
        return
    present = table.get(member)
    if isinstance(present, Array) and not isinstance(value, (str, bool, int)):
        _put_list(present, value)
    elif present != value or isinstance(present, bool) != isinstance(value, bool):
        table[member] = _item(value)


def _put_list(present: Array, value: Sequence[str]) -> None:
    """Change a list in place where its order stays, so that comments in it are kept."""
    for index in reversed(range(len(present))):
        if present[index] not in value:
            del present[index]
    kept = list(present)
    if kept != list(value[: len(kept)]):
        present.clear()
        kept = []
    for one in value[len(kept) :]:
        present.append(one)


def _item(value: Value) -> Item:
    if isinstance(value, (str, bool, int)):
        return tomlkit.item(value)
    array = tomlkit.array()
    array.extend(value)
    return array.multiline(len(value) > 1)


def _put_plainly(content: dict[str, Any], name: str, value: Value | None) -> None:
    section, _, member = name.rpartition(".")
    if section and section not in content:
        if value is None:
            return
        content[section] = {}
    table = content[section] if section else content
    if value is None:
        table.pop(member, None)
    else:
        table[member] = value if isinstance(value, (str, bool, int)) else list(value)
