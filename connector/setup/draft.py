"""What has been entered so far. It survives a failure and a crash, except for secrets, which are kept in memory only.

Nothing of it reaches the configuration before the last step.
"""

import logging
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from connector.config import Config
from connector.config_file import Changes, ConfigFile, Value
from connector.errors import ConnectorError
from connector.state import ConnectorState
from wire.model import WireModel
from wire.pbx_name import PbxNameError, pbx_name
from wire.textfile import UnreadableTextError, read_text

logger = logging.getLogger(__name__)

FILE: Final = "setup.json"
MAX_BYTES: Final = 100_000
SECRETS: Final = frozenset(
    {"service.enrolment_code", "pbx.password", "pbx.oauth_client_secret", "licences.keys"}
)
"""Settings that are never shown again after they were entered, and never stored in the draft."""
_PASSWORD_FILE: Final = "pbx.password_file"  # noqa: S105 - the name of a setting


def is_secret(name: str, value: Value | None) -> bool:
    """Return whether the value of a setting must not be shown: a proxy's address may contain a password."""
    return name in SECRETS or (name.endswith(".proxy") and isinstance(value, str) and "@" in value)


class _Stored(WireModel):
    values: dict[str, bool | int | str] = Field(default_factory=dict, max_length=50)
    tried: list[str] = Field(default_factory=list, max_length=20)


class Draft:
    """The entered values, by the name of their setting. A value of None removes the setting."""

    def __init__(self, path: Path, state_directory: Path | None = None) -> None:
        """`path` is the configuration, which need not exist. `state_directory` is for a new configuration.

        Raises `ConnectorError` if there is a configuration that cannot be used, or if the state cannot be stored.
        """
        self.file = ConfigFile(path)
        self._present = self.file.load() if path.exists() else None
        self._content = _content(path) if self._present is not None else {}
        default = Config.model_fields["state_directory"].default
        directory = self._present.state_directory if self._present else state_directory or default
        self.is_new = self._present is None
        self._values: dict[str, Value | None] = {}
        if self.is_new and directory != default:
            self._values["state_directory"] = str(directory)
        self.state = ConnectorState(directory)
        self.state.pbx_key()
        self.tried: set[str] = set()
        """The steps that were tried with these values, successfully or with "save anyway"."""
        self._restore()

    def value(self, name: str) -> Value | None:
        """Return the entered value of a setting, else the one of the configuration, else None."""
        if name in self._values:
            return self._values[name]
        node: Any = self._content
        for part in name.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        return node if isinstance(node, (str, bool, int, list)) else None

    def shown(self, name: str) -> Value | None:
        """Return the value of a setting for a person; None if it is secret."""
        value = self.value(name)
        return None if is_secret(name, value) else value

    def holds(self, name: str) -> bool:
        """Return whether the setting has a value."""
        if name == "pbx.password" and self._values.get(name) is None and self.value(_PASSWORD_FILE):
            return True
        return bool(self.value(name))

    def enter(self, values: Mapping[str, Value | None]) -> None:
        """Take the values of a step and store them. A secret that is empty remains what it was."""
        for name, value in values.items():
            if name in SECRETS and not value:
                continue
            if value != self.value(name):
                self._values[name] = value
        if values.get("pbx.password"):
            self._values[_PASSWORD_FILE] = None
        if self.holds("pbx.oauth_client_secret"):
            self._values["pbx.auth"] = "oauth"
        self.keep()

    def forget(self, name: str) -> None:
        """Remove a setting, also a secret one."""
        self._values[name] = None
        self.keep()

    def section(self, name: str) -> dict[str, Any]:
        """Return the values of one section of the configuration, unchecked."""
        content = dict(self._content.get(name, {}))
        for setting, value in self._values.items():
            section, _, member = setting.partition(".")
            if section == name:
                content[member] = value
        return {member: value for member, value in content.items() if value is not None}

    def config(self, **changes: Value) -> Config:
        """Return the configuration that would be saved. Raises `ConnectorError` if something is missing or wrong.

        `changes`: values of this call, with "__" for the dot: `uci__enabled=False`.
        """
        wanted: dict[str, Value | None] = dict(self._values)
        if self.value("pbx.name") is None:
            wanted["pbx.name"] = self.proposed_name() or "pbx"
        wanted |= {name.replace("__", "."): value for name, value in changes.items()}
        return self.file.preview(wanted)

    def proposed_name(self) -> str:
        """Return the host of the PBX's address if it can be a PBX name, else an empty text."""
        url = self.value("pbx.url")
        try:
            return pbx_name(urlsplit(str(url)).hostname or "") if url else ""
        except (PbxNameError, ValueError):
            return ""

    def save(self) -> Config:
        """Write the configuration and delete the draft. Raises `ConnectorError`; the draft is then kept."""
        changes: Changes = dict(self._values)
        config = self.file.change(changes)
        try:
            (self.state.directory / FILE).unlink(missing_ok=True)
        except OSError as fault:
            logger.warning("the draft cannot be deleted", extra={"reason": fault.strerror})
        return config

    def keep(self) -> None:
        """Store the draft without secrets. Raises `ConnectorError`."""
        values = {
            name: value
            for name, value in self._values.items()
            if isinstance(value, (bool, int, str))
            and not is_secret(name, value)
            and name != "state_directory"
        }
        stored = _Stored(values=values, tried=sorted(self.tried))
        self.state.write(FILE, stored.model_dump_json(by_alias=True).encode() + b"\n")

    def _restore(self) -> None:
        try:
            content = self.state.read(FILE)
            if not 0 < len(content) <= MAX_BYTES:
                return
            stored = _Stored.model_validate_json(content)
        except ValidationError:
            logger.warning("what was entered earlier cannot be read; please enter it again")
            return
        self._values |= stored.values
        self.tried = set(stored.tried)


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except (OSError, UnreadableTextError, ValueError) as fault:
        raise ConnectorError(f"cannot read {path}: {fault}") from fault
