"""The service's settings, from the environment (or a file named by `PBX_TEAMS_ENV_FILE`).

A setting that cannot work stops the service at once, with its name and what to do.
"""

import os
from pathlib import Path
from typing import Annotated, TypeVar
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

from bot.settings import BotAppType
from core.licensing.licence_key import vendor_keys

PREFIX = "PBX_TEAMS_"


class SettingsError(Exception):
    """Names every setting that is missing or wrong."""


def _no_final_slash(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError("an address starts with https:// or http://")
    return url.rstrip("/")


S = TypeVar("S", bound=BaseSettings)
Url = Annotated[str, AfterValidator(_no_final_slash)]
Guid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class AppSettings(BaseSettings):
    """What makes the Teams app, and all that its package needs: no secret is among it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    public_url: Url
    """Where browsers and Teams reach the service, for instance https://pbx-teams.example.com."""
    app_id: Guid
    """The application (client) id of the Entra app registration."""
    bot_id: Guid | None = None
    """The bot's own id where it differs: the client id of a managed identity."""
    application_id_uris: Annotated[tuple[str, ...], NoDecode] = ()
    """Audiences of the tab's tokens beside the app id; api://HOST/APP_ID if not given."""
    teams_app_id: Guid
    """The id in the Teams app package."""
    developer_name: str = "PBX for Teams"
    """Who Teams names as the app's publisher."""
    developer_url: Url | None = None
    """The publisher's website; the tab's own address if not given."""
    privacy_url: Url | None = None
    terms_url: Url | None = None
    """Pages of the publisher's own; those that the service brings if not given."""

    @property
    def bot_app_id(self) -> str:
        return self.bot_id or self.app_id

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: dict[str, object]) -> dict[str, object]:
        for name in ("application_id_uris", "allowed_tenants"):
            if isinstance(text := values.get(name), str):
                values[name] = tuple(part.strip() for part in text.split(",") if part.strip())
        if not values.get("application_id_uris"):
            host, app_id = urlsplit(str(values.get("public_url", ""))).netloc, values.get("app_id")
            values["application_id_uris"] = (f"api://{host}/{app_id}",)
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
    """Makes this process one of several equal replicas; the servers of one NATS, separated by commas."""
    key_pepper: SecretStr = Field(min_length=32)
    """Keys the HMAC under which PBX keys are stored. Changing it makes every PBX key unknown until reconnect."""

    app_tenant_id: Guid
    """The tenant that the app registration belongs to."""
    app_type: BotAppType = BotAppType.SINGLE_TENANT
    app_password: SecretStr = SecretStr("")
    """The client secret of a SingleTenant app; a managed identity has none."""
    allowed_tenants: Annotated[tuple[str, ...], NoDecode] = ()
    """Microsoft tenants whose users may use the service; empty: any."""
    vendor_keys: dict[str, str] = Field(default_factory=dict)
    """Public keys that licence keys are signed with: key id to base64url, as JSON."""

    audit_days: int = Field(default=400, ge=1, le=3650)
    """How long the audit is kept; the history of use reaches as far back."""

    call_records: bool = False
    """Offers people device names from their Teams calls as evidence; needs CallRecords.Read.All (application)."""
    graph_url: Url = "https://graph.microsoft.com"

    entra_authority: Url = "https://login.microsoftonline.com"
    channel_issuer: str = "https://api.botframework.com"
    channel_metadata_url: Url = "https://login.botframework.com/v1/.well-known/openidconfiguration"
    channel_scope: str = "https://api.botframework.com"

    trusted_proxies: int = Field(default=0, ge=0, le=5)
    """How many reverse proxies stand before the service and append to X-Forwarded-For."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    shutdown_seconds: float = Field(default=10.0, gt=0, le=120)
    drain_seconds: float = Field(default=5.0, ge=0, le=100)
    """Over how long a replica that stops hands its links to the others."""
    enrolment_required: bool = False
    """A name that nobody has yet can be claimed only with a code of `pbx-teams pbx enrol`."""

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
    """The service's settings, from the environment or the file that it names."""
    env_file = os.environ.get(f"{PREFIX}ENV_FILE")
    return _load(Settings, Path(env_file) if env_file is not None else None, f"{PREFIX}ENV_FILE")


def load_app(file: Path | None) -> AppSettings:
    """Those of the app alone; `file` in place of the one that the environment names."""
    env_file = file or os.environ.get(f"{PREFIX}ENV_FILE")
    named_by = "--settings" if file is not None else f"{PREFIX}ENV_FILE"
    return _load(AppSettings, Path(env_file) if env_file is not None else None, named_by)


def _load(kind: type[S], env_file: Path | None, named_by: str) -> S:
    if env_file is not None and not env_file.is_file():
        raise SettingsError(f"  {named_by} names {env_file}, which is no file")
    try:
        return kind(_env_file=env_file)
    except pydantic_settings.SettingsError as unreadable:
        raise SettingsError(f'  {PREFIX}VENDOR_KEYS: not JSON of the form {{"KID": "KEY"}}') from unreadable
    except ValidationError as invalid:
        raise SettingsError(
            "\n".join(_line(error["loc"], error["msg"]) for error in invalid.errors())
        ) from invalid
    except UnicodeDecodeError as fault:
        raise SettingsError(f"  {named_by} names {env_file}, which is no text") from fault


def _line(where: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in where)
    shown = name if name in ("DATABASE_URL", "NATS_URL") else f"{PREFIX}{name.upper()}"
    return f"  {shown}: {message}" if name else f"  {message.removeprefix('Value error, ')}"
