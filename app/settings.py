"""The service's settings, from the environment or the file that `PBX_TEAMS_ENV_FILE` names.

An unusable setting stops the service at the start, with the setting's name and what to do.
"""

import ipaddress
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

import pydantic_settings
from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import SettingsError
from bot.settings import BotAppType
from core.licensing.licence_key import vendor_keys
from wire.hosts import as_browsers_write, crosses_in_clear
from wire.textfile import UnreadableTextError, encoding_of

PREFIX = "PBX_TEAMS_"
HSTS_SECONDS: Final = 31_536_000
"""`max-age` of `Strict-Transport-Security`: one year."""


def _safe_address(url: str) -> str:
    """Validate the URL of a server that gets tokens or keys: https, or http on this machine. Remove a trailing slash."""
    url = _address(url)
    if crosses_in_clear(url):
        raise ValueError("http:// is allowed for this machine alone (localhost, 127.0.0.1); use https://")
    return url


def _address(url: str) -> str:
    """Validate the URL of a page for people, and remove a trailing slash."""
    if not url.startswith(("https://", "http://")):
        raise ValueError("an address starts with https:// or http://")
    return url.rstrip("/")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


S = TypeVar("S", bound=BaseSettings)
Url = Annotated[str, AfterValidator(_safe_address)]
PublicUrl = Annotated[str, AfterValidator(as_browsers_write), AfterValidator(_safe_address)]
PageUrl = Annotated[str, AfterValidator(_address)]
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")
Guid = Annotated[str, Field(pattern=f"^{_GUID.pattern}$")]

TEAMS_CLIENTS = (
    "1fec8e78-bce4-4aaf-ab1b-5451cc387264",  # Teams on desktop and mobile
    "5e3ce6c0-2b1f-4285-8d4b-75ee78787346",  # Teams on the web
    "4765445b-32c6-49b0-83e6-1d93765276ca",  # Microsoft 365 on the web
    "0ec893e0-5785-4de6-99da-4ed124e5296c",  # Microsoft 365 on the desktop
    "d3590ed6-52b3-4102-aeff-aad2292ab01c",  # Microsoft 365 on mobile, Outlook on the desktop
    "bc59ab01-8403-45c6-8796-ac3ef710b3e3",  # Outlook on the web
    "27922004-5251-4030-b22d-91ecd9a37ea4",  # Outlook on mobile
)
"""Application ids of the programs that show the tab. Source: Microsoft, "Configure your tab app in Microsoft Entra ID".
`infra/azure/register-app.sh` has the same list.
"""


class AppSettings(BaseSettings):
    """Settings of the Teams app, sufficient to build its package. They contain no secret."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    public_url: PublicUrl
    """URL under which browsers and Teams reach the service, for instance https://pbx-teams.example.com."""
    app_id: Guid
    """The application (client) id of the Entra app registration."""
    bot_id: Guid | None = None
    """The bot's id if it is not the app id: the client id of a managed identity."""
    application_id_uris: Annotated[tuple[str, ...], NoDecode] = ()
    """Audiences of the tab's tokens in addition to the app id; api://HOST/APP_ID if not given."""
    teams_app_id: Guid
    """The id in the Teams app package."""
    developer_name: str = "PBX for Teams"
    """The app's publisher, as shown in Teams."""
    developer_url: PageUrl | None = None
    """The publisher's website; the tab's own URL if not given."""
    privacy_url: PageUrl | None = None
    terms_url: PageUrl | None = None
    """The publisher's own pages for privacy and terms of use; those of the service if not given."""

    @property
    def bot_app_id(self) -> str:
        return self.bot_id or self.app_id

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: dict[str, object]) -> dict[str, object]:
        for name in ("application_id_uris", "allowed_tenants", "allowed_clients", "channel_hosts"):
            if isinstance(text := values.get(name), str):
                values[name] = tuple(part.strip() for part in text.split(",") if part.strip())
        if not values.get("application_id_uris"):
            with suppress(ValueError):  # the validation of `public_url` reports it
                host = urlsplit(as_browsers_write(str(values.get("public_url", "")))).netloc
                values["application_id_uris"] = (f"api://{host}/{values.get('app_id')}",)
        return values


class Settings(AppSettings):
    host: str = "0.0.0.0"
    port: int = Field(default=3978, ge=1, le=65535)
    database_url: str = Field(
        default="sqlite:///pbx-teams.db", validation_alias=AliasChoices("DATABASE_URL", "database_url")
    )
    nats_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("NATS_URL", "nats_url"),
        pattern=r"^(nats|tls|ws|wss)://",
    )
    """The servers of one NATS, separated by commas. If given, this process is one of several equal replicas."""
    key_pepper: SecretStr = Field(min_length=32)
    """Key of the HMAC with which PBX keys are stored. After a change, a PBX key is unknown until its connector reconnects.
    """

    app_tenant_id: Guid
    """The tenant of the app registration."""
    app_type: BotAppType = BotAppType.SINGLE_TENANT
    app_password: SecretStr = SecretStr("")
    """The client secret of a SingleTenant app; a managed identity has none."""
    allowed_tenants: Annotated[tuple[str, ...], NoDecode] = ()
    """Microsoft tenants whose users may use the service; empty for any."""
    allowed_clients: Annotated[tuple[Guid, ...], NoDecode] = TEAMS_CLIENTS
    """Application ids of the programs whose tokens the tab's API accepts; by default Teams, Outlook and Microsoft 365."""
    vendor_keys: dict[str, str] = Field(default_factory=dict)
    """Public keys for the signatures of licence keys, as JSON: key id to base64url."""

    audit_days: int = Field(default=400, ge=1, le=3650)
    """Retention of the audit, and of the usage history."""

    session_days: int | None = Field(default=None, ge=1, le=3650)
    """Maximum age of a session; then the person must sign in again. None for no limit."""

    downloads: Path | None = None
    """The folder of the packages that people download, as `make packages` fills it. None: none are offered."""

    call_records: bool = False
    """Whether people may use their Teams call records as evidence. Needs CallRecords.Read.All (application)."""
    graph_url: Url = "https://graph.microsoft.com"

    entra_authority: Url = "https://login.microsoftonline.com"
    channel_issuer: str = "https://api.botframework.com"
    channel_metadata_url: Url = "https://login.botframework.com/v1/.well-known/openidconfiguration"
    channel_scope: str = "https://api.botframework.com"
    channel_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts that the bot may send its token to, in addition to Microsoft's known ones: for sovereign clouds and tests."""

    metrics_token: Annotated[SecretStr, Field(min_length=20, max_length=200)] | None = None
    """Bearer token for `/metrics`; without one, metrics are not served."""
    changes_per_minute: int = Field(default=120, ge=20, le=100_000)
    """Rate limit of changes for one person. Half as many expensive views and a twentieth as many exports are allowed."""
    hsts_subdomains: bool | None = None
    """Whether browsers must use TLS for subdomains of the service's host too. If not given, `hsts` decides by the host."""
    trusted_proxies: int = Field(default=0, ge=0, le=5)
    """Number of reverse proxies in front of the service that append to X-Forwarded-For."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    shutdown_seconds: float = Field(default=10.0, gt=0, le=120)
    drain_seconds: float = Field(default=5.0, ge=0, le=100)
    """Time over which a replica that stops hands its links over to the others."""
    enrolment_required: bool = True
    """Whether a new PBX name can be claimed only with a code of `pbx-teams pbx enrol`. If off, anybody who reaches the
    service may claim names, limited only by the budgets of `core.hub.admission`."""

    @property
    def hsts(self) -> str:
        """Value of `Strict-Transport-Security` (RFC 6797), for one year.

        Subdomains are included by default if the host has three labels or more: `pbx-teams.example.com` belongs to the
        service alone, but subdomains of `example.com` may be hosts of a whole company. `preload` is never set: browsers
        list registrable domains, only their owner may request it, and removal takes months.
        """
        with_subdomains = self.hsts_subdomains
        if with_subdomains is None:
            host = urlsplit(self.public_url).hostname or ""
            with_subdomains = host.count(".") >= 2 and not _is_address(host)
        return f"max-age={HSTS_SECONDS}" + ("; includeSubDomains" if with_subdomains else "")

    @field_validator("allowed_tenants")
    @classmethod
    def _are_tenants(cls, tenants: tuple[str, ...]) -> tuple[str, ...]:
        tenants = tuple(tenant.lower() for tenant in tenants)
        if not all(_GUID.fullmatch(tenant) for tenant in tenants):
            raise ValueError("a tenant is named by its id, for instance 11111111-2222-4333-8444-555555555555")
        return tenants

    @field_validator("channel_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HOST.fullmatch(host) for host in hosts):
            raise ValueError("a host is named without https:// and path, with its port where it is not 443")
        return tuple(host.lower() for host in hosts)

    @field_validator("vendor_keys")
    @classmethod
    def _are_keys(cls, encoded: dict[str, str]) -> dict[str, str]:
        try:
            vendor_keys(encoded)
        except ValueError as fault:
            raise ValueError("a key is what 'pbx-teams licence vendor-key' prints") from fault
        return encoded

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        has_password = bool(self.app_password.get_secret_value())
        if self.app_type is BotAppType.SINGLE_TENANT and not has_password:
            raise ValueError(f"{PREFIX}APP_PASSWORD is missing: a SingleTenant bot needs its client secret")
        if self.app_type is BotAppType.USER_ASSIGNED_MSI and has_password:
            raise ValueError(
                f"{PREFIX}APP_PASSWORD is set, but a managed identity has no password: remove one"
            )
        if self.nats_url is not None and not self.database_url.startswith("postgresql"):
            raise ValueError(
                "NATS_URL is set, but DATABASE_URL is no PostgreSQL: an SQLite file belongs to one process"
            )
        return self


def load() -> Settings:
    """Load the service's settings from the environment or the file that it names. Raises `SettingsError`."""
    env_file = os.environ.get(f"{PREFIX}ENV_FILE")
    return _load(Settings, Path(env_file) if env_file is not None else None, f"{PREFIX}ENV_FILE")


def load_app(file: Path | None) -> AppSettings:
    """Load the settings of the Teams app alone, from `file` or as `load` does. Raises `SettingsError`."""
    env_file = file or os.environ.get(f"{PREFIX}ENV_FILE")
    named_by = "--settings" if file is not None else f"{PREFIX}ENV_FILE"
    return _load(AppSettings, Path(env_file) if env_file is not None else None, named_by)


def _load(kind: type[S], env_file: Path | None, named_by: str) -> S:
    if env_file is not None and not env_file.is_file():
        raise SettingsError(f"  {named_by} names {env_file}, which is no file")
    try:
        encoding = encoding_of(env_file) if env_file is not None else None
        return kind(_env_file=env_file, _env_file_encoding=encoding)
    except pydantic_settings.SettingsError as unreadable:
        raise SettingsError(f'  {PREFIX}VENDOR_KEYS: not JSON of the form {{"KID": "KEY"}}') from unreadable
    except ValidationError as invalid:
        raise SettingsError(
            "\n".join(_line(error["loc"], error["msg"]) for error in invalid.errors())
        ) from invalid
    except UnreadableTextError as fault:
        raise SettingsError(f"  {named_by}: {fault}") from fault
    except OSError as fault:
        raise SettingsError(f"  {named_by} names {env_file}: {fault.strerror}") from fault


def _line(where: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in where)
    shown = name if name in ("DATABASE_URL", "NATS_URL") else f"{PREFIX}{name.upper()}"
    return f"  {shown}: {message}" if name else f"  {message.removeprefix('Value error, ')}"
