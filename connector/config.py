"""The connector's configuration: one TOML file that is checked at start. Errors name the line."""

import ipaddress
import re
import ssl
import tempfile
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, Literal

from phonenumbers import SUPPORTED_REGIONS
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from connector.errors import ConnectorError
from connector.files import write_private
from connector.network.proxy import ENVIRONMENT, NONE, ProxySettingError, parse_proxy
from connector.places import STATE_DIRECTORY
from wire.hosts import checked_url, crosses_in_clear, is_loopback
from wire.pasted import token
from wire.pbx_name import KnownPbxName
from wire.textfile import UnreadableTextError, read_text

LICENCE_PERMISSION: Final = "Integration mit Microsoft Teams"


Url = Annotated[str, AfterValidator(checked_url)]
Token = Annotated[str, BeforeValidator(lambda value: token(value) if isinstance(value, str) else value)]
Port = Annotated[int, Field(ge=0, le=65535, strict=True)]
"""Strict, because pydantic would otherwise read `true` as a port."""


def _one_line(value: str) -> str:
    value = value.strip()
    if not value:
        raise ValueError("is empty")
    if not value.isprintable():
        raise ValueError("contains invisible characters: write it again, on one line")
    return value


def _host(value: str) -> str:
    value = value.strip()
    if not _HOST_NAME.fullmatch(value):
        try:
            ipaddress.ip_address(value)
        except ValueError as fault:
            raise ValueError("write a host name or an IP address alone, without http:// and port") from fault
    return value


_HOST_NAME: Final = re.compile(r"[0-9A-Za-z._-]{1,253}")
OneLine = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]
Host = Annotated[str, AfterValidator(_host)]


def _proxy(value: SecretStr) -> SecretStr:
    """Check a proxy setting. An error never shows it, because it may contain a password."""
    text = value.get_secret_value().strip()
    if text.lower() not in (NONE, ENVIRONMENT):
        try:
            parse_proxy(text, "proxy")
        except ProxySettingError as fault:
            raise ValueError(f"{fault.reason}: write http://host:port, or none, or environment") from None
    return value


ProxySetting = Annotated[SecretStr, AfterValidator(_proxy)]
"""`http://user:password@host:port`; "none" for a direct connection; or "environment" to obey HTTPS_PROXY, HTTP_PROXY and
NO_PROXY also for hosts that are otherwise reached directly.
"""


def _fingerprint(value: str) -> str:
    digits = value.replace(":", "").replace(" ", "").lower()
    if not _SHA256.fullmatch(digits):
        raise ValueError("write the 64 hexadecimal digits of the certificate's SHA-256 fingerprint")
    return digits


_SHA256: Final = re.compile(r"[0-9a-f]{64}")
Fingerprint = Annotated[str, Field(max_length=200), AfterValidator(_fingerprint)]
"""A SHA-256 fingerprint, with or without colons; kept as 64 digits in lower case."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceSection(_Section):
    url: Url
    """The service, for instance https://pbx-teams.example.com."""
    enrolment_code: Token | None = Field(default=None, max_length=100)
    """A code from the operator of the service, if a new name needs one. It is used only until the first link."""
    allow_http: bool = False
    """Permits http:// to another machine, although everything on the link can then be read and changed on its way."""
    proxy: ProxySetting | None = None
    """Replaces the proxy of the environment."""
    ca_file: Path | None = None
    """Certificates to trust in addition to the system's, for instance that of a proxy that intercepts TLS."""

    @model_validator(mode="after")
    def _is_private(self) -> "ServiceSection":
        if crosses_in_clear(self.url) and not self.allow_http:
            raise ValueError(
                "http:// would send logins and keys unencrypted through the network: use https://, or set"
                " allow_http = true in [service] if the line is private"
            )
        return self

    def certificates(self) -> str | None:
        """What `ca_file` holds, as PEM. Raises `ConnectorError`."""
        return _text("ca_file", self.ca_file) if self.ca_file is not None else None


class PbxSection(_Section):
    name: KnownPbxName
    """The name that users enter to sign in; normally the PBX's FQDN."""
    url: Url
    login: OneLine
    password: SecretStr | None = None
    password_file: Path | None = None
    auth: Literal["classic", "oauth"] = "classic"
    """`classic` up to STARFACE 10, `oauth` from version 10 on."""
    oauth_client_secret: SecretStr | None = None
    oauth_scope: OneLine = "login"
    """Some systems require `pbx-login`."""
    licence_permission: str = LICENCE_PERMISSION
    administrator_permission: str = "Administrator"
    ca_file: Path | None = None
    """Certificates to trust in addition to the system's, for a PBX with a certificate of its own."""
    certificate_fingerprint: Fingerprint | None = None
    """The SHA-256 fingerprint of the only certificate that the PBX may show. Its names, dates and authority are then not
    checked, because a person has compared it."""
    proxy: ProxySetting | None = None
    """Replaces the proxy of the environment. If not set, a PBX on a private address is reached directly."""

    @model_validator(mode="after")
    def _complete(self) -> "PbxSection":
        if (self.password is None) == (self.password_file is None):
            raise ValueError("give either password or password_file")
        if self.password is not None and not self.password.get_secret_value():
            raise ValueError("the password is empty")
        if self.auth == "oauth" and self.oauth_client_secret is None:
            raise ValueError('auth = "oauth" needs oauth_client_secret (shown to the PBX\'s administrator)')
        return self

    def read_password(self) -> str:
        """Return the password from the configuration or from `password_file`. Raises `ConnectorError`."""
        if self.password is not None:
            return self.password.get_secret_value()
        assert self.password_file is not None  # noqa: S101 - held by _complete
        password = _text("password_file", self.password_file).strip()
        if not password:
            raise ConnectorError(f"password_file {self.password_file} is empty: write the password into it")
        if "\n" in password:
            raise ConnectorError(
                f"password_file {self.password_file} has several lines: keep only the password in it"
            )
        return password

    def certificates(self) -> str | None:
        """What `ca_file` holds, as PEM. Raises `ConnectorError`."""
        return _text("ca_file", self.ca_file) if self.ca_file is not None else None


class UciSection(_Section):
    enabled: bool = True
    callback_host: Host = "127.0.0.1"
    """The address of this machine as the PBX sees it. The connector listens only on this address."""
    callback_listen: Host | None = None
    """The address to listen on if `callback_host` is not one of this machine: in a container, behind NAT."""
    callback_port: Port = 0
    """0: any free port."""
    callback_certificate: Path | None = None
    """Together with `callback_key`: the PBX sends call events by https."""
    callback_key: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> "UciSection":
        if (self.callback_certificate is None) != (self.callback_key is None):
            raise ValueError("callback_certificate and callback_key belong together")
        return self

    @property
    def listens_on(self) -> str:
        return self.callback_listen or self.callback_host

    @property
    def is_in_clear(self) -> bool:
        """Whether call events cross the network unencrypted, so that callers can be read on the way."""
        return self.callback_certificate is None and not is_loopback(self.callback_host)

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context of the callbacks, or None without a certificate. Raises `ConnectorError`."""
        if self.callback_certificate is None or self.callback_key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory(prefix="pbx-connector-") as directory:
            # OpenSSL reads files only and does not accept an editor's byte order mark.
            chain, key = Path(directory) / "chain.pem", Path(directory) / "key.pem"
            write_private(chain, _text("callback_certificate", self.callback_certificate).encode())
            write_private(key, _text("callback_key", self.callback_key).encode())
            try:
                context.load_cert_chain(chain, key, password="")
            except (ssl.SSLError, ValueError) as fault:
                raise ConnectorError(
                    f"callback_certificate {self.callback_certificate} and callback_key {self.callback_key}"
                    f" do not make a certificate (PEM, without a password): {fault}"
                ) from fault
        return context


class TelephoneSection(_Section):
    """How numbers are dialled at this PBX."""

    region: str = Field(default="DE", pattern=r"^[A-Z]{2}$")
    """The PBX's country (ISO 3166), to which national numbers belong."""
    exit_prefix: str = Field(default="", pattern=r"^[0-9]{0,4}$")
    """The prefix that the PBX needs for external numbers. STARFACE needs none unless it is configured."""
    internal_digits: int = Field(default=5, ge=1, le=8, strict=True)
    """Numbers of at most this many digits are internal and are dialled as typed."""

    @field_validator("region")
    @classmethod
    def _is_known(cls, region: str) -> str:
        if region not in SUPPORTED_REGIONS:
            raise ValueError(
                "no region with a numbering plan: write two capital letters, for instance DE, AT, CH"
            )
        return region


class LicencesSection(_Section):
    keys: tuple[Token, ...] = Field(default=(), max_length=50)


class StatusPageSection(_Section):
    port: Port = 3990
    """The port on 127.0.0.1 of /, /status, /healthz and /metrics; 0 switches the page off."""


class PageSection(_Section):
    port: Port = 3991
    """The port on 127.0.0.1 of the module page; 0 switches the page off."""


class TeamsSection(_Section):
    """What an administrator of the PBX may do to this connector from Teams."""

    repairs: bool = True
    """Permits administrators of the PBX to run diagnostics, to switch UCI off and on, and to make a new PBX key."""


class Config(_Section):
    active: bool = True
    """False: the connector informs the service, and then closes the link."""
    state_directory: Path = STATE_DIRECTORY
    """Contains the identity and the PBX key. Keep it during updates and include it in the backup."""
    service: ServiceSection
    pbx: PbxSection
    uci: UciSection = UciSection()
    telephone: TelephoneSection = TelephoneSection()
    licences: LicencesSection = LicencesSection()
    status: StatusPageSection = StatusPageSection()
    page: PageSection = PageSection()
    teams: TeamsSection = TeamsSection()

    @property
    def holds_secret(self) -> bool:
        """Whether the configuration contains a secret, so that other users must not read the file."""
        proxies = [one.get_secret_value() for one in (self.service.proxy, self.pbx.proxy) if one is not None]
        return (
            self.pbx.password is not None
            or self.pbx.oauth_client_secret is not None
            or any("@" in proxy for proxy in proxies)
        )

    def secrets(self) -> list[str]:
        """Return every secret in the configuration and in its password file, as far as it can be read."""
        found = [one.get_secret_value() for one in (self.pbx.password, self.pbx.oauth_client_secret) if one]
        for proxy in (self.service.proxy, self.pbx.proxy):
            if proxy is not None and "@" in proxy.get_secret_value():
                found.append(proxy.get_secret_value())
                credentials = proxy.get_secret_value().rpartition("@")[0].rpartition("//")[2]
                found += [credentials, credentials.partition(":")[2]]
        if self.service.enrolment_code:
            found.append(self.service.enrolment_code)
        with suppress(ConnectorError):
            found.append(self.pbx.read_password())
        return [one for one in dict.fromkeys([*found, *self.licences.keys]) if one]

    def check_files(self) -> None:
        """Read every file that the configuration names. Raises `ConnectorError` for the first that cannot be used."""
        self.pbx.read_password()
        self.pbx.certificates()
        self.service.certificates()
        self.uci.tls()

    def in_clear(self) -> list[str]:
        """Return a sentence for the log about each connection that crosses the network unencrypted."""
        found = []
        if crosses_in_clear(self.service.url):
            found.append(
                f"the link crosses the network in clear: the service's address is {self.service.url}"
            )
        if crosses_in_clear(self.pbx.url):
            found.append(f"the login crosses the network in clear: the PBX's address is {self.pbx.url}")
        if self.active and self.uci.enabled and self.uci.is_in_clear:
            found.append(f"call events cross the network in clear to {self.uci.callback_host}")
        return found


def _text(setting: str, path: Path) -> str:
    try:
        return read_text(path)
    except OSError as fault:
        raise ConnectorError(f"cannot read {setting} {path}: {fault.strerror}") from fault
    except UnreadableTextError as fault:
        raise ConnectorError(f"cannot read {setting}: {fault}") from fault
    except ValueError as fault:  # a path that no system accepts
        raise ConnectorError(f"cannot read {setting} {str(path)!r}: {fault}") from fault


def load(path: Path) -> Config:
    """Read and check the configuration. Raises `ConnectorError`, with a line for each error."""
    return parse(_text("the configuration", path), path)


def parse(text: str, path: Path) -> Config:
    """Check the text of a configuration; `path` is for the messages. Raises `ConnectorError`, with a line for each
    error.
    """
    try:
        content = tomllib.loads(text)
    except (
        ValueError,
        RecursionError,
    ) as fault:  # tomllib also raises Python's own errors for too long numbers and too deep nesting
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
    """Return the line number, from 1, of a member, or of its section if the member is missing."""
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
