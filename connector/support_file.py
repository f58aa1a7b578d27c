"""Makes the file that people give to support: what the doctor finds, versions, configuration and log, without secrets."""

import io
import json
import platform
import sys
import zipfile
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

import tomlkit
from pydantic import BaseModel, SecretStr

from connector import __version__
from connector.config import Config
from connector.secrets_removed import REMOVED, SecretRemover
from wire.doctor import DoctorReport

PACKAGES: Final = ("aiohttp", "cryptography", "pydantic", "phonenumbers", "tomlkit")
README: Final = """\
This file helps to find out why a STARFACE and Microsoft Teams are not connected.

doctor.json         what pbx-connector doctor found just now
status.json         the state of every part of the running connector
versions.json       versions of the connector, of Python and of the system
configuration.toml  the configuration in use, without passwords, keys and codes
log.txt             the log of the last day

It contains names and addresses of the PBX, of the service and of this machine, and the login of the connector's PBX
user. It contains no password, no PBX key and no licence key.
"""


def make_support_file(
    config: Config | None,
    report: DoctorReport,
    status: BaseModel | None,
    log: str,
    remover: SecretRemover,
) -> bytes:
    """Return the file, a ZIP archive. `config` is None if it cannot be used; `status` is None if no connector runs here."""
    texts = {
        "README.txt": README,
        "doctor.json": report.model_dump_json(by_alias=True, indent=2),
        "status.json": status.model_dump_json(by_alias=True, indent=2) if status is not None else "null",
        "versions.json": json.dumps(versions(), indent=2),
        "configuration.toml": without_secrets(config) if config is not None else "",
        "log.txt": log,
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in texts.items():
            file.writestr(name, remover.remove(text))
    return archive.getvalue()


def versions() -> dict[str, str]:
    found = {
        "pbx-connector": __version__,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "machine": platform.machine(),
    }
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def without_secrets(config: Config) -> str:
    """Return the configuration as TOML: what was set, without comments, with `[removed]` for each secret."""
    return tomlkit.dumps(_plain(config))


_SECRET: Final = frozenset({"enrolment_code", "keys"})


def _plain(section: BaseModel) -> Mapping[str, Any]:
    content: dict[str, Any] = {}
    for name in sorted(section.model_fields_set, key=list(type(section).model_fields).index):
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            content[name] = _plain(value)
        elif isinstance(value, SecretStr) or (name in _SECRET and value):
            content[name] = REMOVED if isinstance(value, (str, SecretStr)) else [REMOVED] * len(value)
        elif value is not None:
            content[name] = value if isinstance(value, (bool, int, str)) else _other(value)
    return content


def _other(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value)
