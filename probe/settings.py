"""The probe's stored pairing: the service's address in a file, the token in the system's keyring."""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import keyring
import platformdirs
from keyring.errors import KeyringError

from probe.errors import ProbeError
from wire.textfile import read_text

NAME: Final = "pbx-audio-probe"


@dataclass(frozen=True, slots=True)
class Pairing:
    service: str
    token: str
    allow_http: bool = False
    """The person has confirmed that the network is private, so that the connection may be unencrypted."""


class PairingStore:
    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or platformdirs.user_config_path(NAME, appauthor=False)

    @property
    def rules_file(self) -> Path:
        return self.directory / "programs.toml"

    @property
    def _file(self) -> Path:
        return self.directory / "pairing.json"

    def pairing(self) -> Pairing:
        """Return the stored pairing. Raises `ProbeError` if there is none or it cannot be read."""
        try:
            stored = json.loads(read_text(self._file))
            service, token = stored["service"], stored.get("token") or self._from_keyring(stored["service"])
        except FileNotFoundError:
            token = None
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise ProbeError(f"{self._file} cannot be read: pair the probe again ({fault})") from fault
        if not token:
            raise ProbeError(
                "not paired yet: ask for a code on the tab's audio page, then run 'pbx-audio-probe pair'"
            )
        return Pairing(service, token, stored.get("allowHttp") is True)

    def keep(self, pairing: Pairing) -> bool:
        """Store the pairing. Return False if there is no keyring; the token is then in a file that only this user can read."""
        try:
            keyring.set_password(NAME, pairing.service, pairing.token)
            in_keyring = keyring.get_password(NAME, pairing.service) == pairing.token
        except KeyringError:
            in_keyring = False
        content: dict[str, str | bool] = {"service": pairing.service}
        if not in_keyring:
            content["token"] = pairing.token
        if pairing.allow_http:
            content["allowHttp"] = True
        self._write(json.dumps(content))
        return in_keyring

    @property
    def is_paired(self) -> bool:
        return self._file.exists()

    def delete(self) -> None:
        """Delete the pairing, its token, and all other settings."""
        self.forget()
        self.rules_file.unlink(missing_ok=True)
        with suppress(OSError):  # somebody put other files there
            self.directory.rmdir()

    def forget(self) -> None:
        """Delete the pairing and its token."""
        try:
            service = json.loads(self._file.read_text(encoding="utf-8")).get("service", "")
            keyring.delete_password(NAME, service)
        except (OSError, ValueError, AttributeError, KeyringError):
            pass  # nothing there, or nothing to delete it from
        self._file.unlink(missing_ok=True)

    @staticmethod
    def _from_keyring(service: str) -> str | None:
        try:
            return keyring.get_password(NAME, service)
        except KeyringError as fault:
            raise ProbeError(
                f"the keyring cannot be read: unlock it, or pair the probe again ({fault})"
            ) from fault

    def _write(self, content: str) -> None:
        """Write the file atomically. Raises `ProbeError`."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._file.with_name(f"{self._file.name}.{secrets.token_hex(4)}")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(content)
            temporary.replace(self._file)
        except OSError as fault:
            raise ProbeError(f"cannot write {self._file}: {fault.strerror}") from fault
