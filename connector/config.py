"""The connector's configuration: one TOML file, checked at start, with errors that name the line."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from connector.errors import ConnectorError
from wire.link import PbxName

LICENCE_PERMISSION: Final = "Integration mit Microsoft Teams"


def _url(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError("an address starts with https:// or http://")
    return value.rstrip("/")


Url = Annotated[str, AfterValidator(_url)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Service(_Section):
    url: Url
    """The service, for instance https://pbx-teams.example.com."""
    enrolment_code: str | None = Field(default=None, max_length=100)
    """From the operator of the service, where a new name needs one; it counts only until the first link."""


class Pbx(_Section):
    name: PbxName
    """Under which users sign in; normally the PBX's FQDN."""
    url: Url
    login: str = Field(min_length=1)
    password: SecretStr | None = None
    password_file: Path | None = None
    auth: Literal["classic", "oauth"] = "classic"
    """`classic` up to STARFACE 10, `oauth` from 10 on."""
    oauth_client_secret: SecretStr | None = None
    oauth_scope: str = "login"
    """Some systems want `pbx-login`."""
    licence_permission: str = LICENCE_PERMISSION
    administrator_permission: str = "Administrator"
    ca_file: Path | None = None
    """Certificates to trust beside the system's, for a PBX with a certificate of its own."""

    @model_validator(mode="after")
    def _complete(self) -> "Pbx":
        if (self.password is None) == (self.password_file is None):
            raise ValueError("give either password or password_file")
        if self.auth == "oauth" and self.oauth_client_secret is None:
            raise ValueError('auth = "oauth" needs oauth_client_secret (shown to the PBX\'s administrator)')
        return self

    def read_password(self) -> str:
        if self.password is not None:
            return self.password.get_secret_value()
        assert self.password_file is not None  # noqa: S101 - held by _complete
        try:
            return self.password_file.read_text(encoding="utf-8").strip()
        except OSError as fault:
            raise ConnectorError(
                f"cannot read password_file {self.password_file}: {fault.strerror}"
            ) from fault


class Uci(_Section):
    enabled: bool = True
    callback_host: str = "127.0.0.1"
    """The address of this machine as the PBX sees it."""
    callback_port: int = Field(default=0, ge=0, le=65535)
    """0: any free port."""


class Licences(_Section):
    keys: tuple[str, ...] = Field(default=(), max_length=50)


class StatusPage(_Section):
    port: int = Field(default=3990, ge=0, le=65535)
    """On 127.0.0.1: /, /status, /healthz and /metrics; 0: off."""


class Config(_Section):
    active: bool = True
    state_directory: Path = Path("/var/lib/pbx-connector")
    """Holds identity and PBX key; keep it over updates and in the backup."""
    service: Service
    pbx: Pbx
    uci: Uci = Uci()
    licences: Licences = Licences()
    status: StatusPage = StatusPage()


def load(path: Path) -> Config:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise ConnectorError(f"cannot read the configuration {path}: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise ConnectorError(f"the configuration {path} is not UTF-8 text") from fault
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConnectorError(f"the configuration {path} is not TOML: {fault}") from fault
    try:
        return Config.model_validate(content)
    except ValidationError as invalid:
        lines = [
            f"  line {line_of(text, error['loc'])}: {'.'.join(map(str, error['loc']))}: {error['msg']}"
            for error in invalid.errors(include_url=False, include_input=False)
        ]
        raise ConnectorError("\n".join([f"the configuration {path} cannot be used:", *lines])) from invalid


def line_of(text: str, where: tuple[int | str, ...]) -> int:
    """The line on which a member stands, or that of its section when the member is missing."""
    sections = [str(part) for part in where if isinstance(part, str)]
    section, member = (
        (sections[0], sections[1]) if len(sections) > 1 else ("", sections[0] if sections else "")
    )
    current, found = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := re.match(r"\s*\[([\w.-]+)\]", line):
            current = heading.group(1)
            if current in (section, member):
                found = number
        elif current == section and re.match(rf"\s*{re.escape(member)}\s*=", line):
            return number
    return found
