"""How the bot proves itself to the channel: tokens by azure-identity, for a secret as for a managed identity."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.identity import AzureAuthorityHosts, ClientSecretCredential, ManagedIdentityCredential
from botframework.connector.auth import AppCredentials, ServiceClientCredentialsFactory

from bot.settings import BotAppType, BotSettings

_PUBLIC_HOSTS: Final = (
    AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
    AzureAuthorityHosts.AZURE_GOVERNMENT,
    AzureAuthorityHosts.AZURE_CHINA,
)


class TokenSource(Protocol):
    def get_token(self, *scopes: str) -> AccessToken: ...


def token_source(settings: BotSettings, tenant_id: str | None = None) -> TokenSource:
    """The credential for the settings' app type, in its own tenant or another that it was consented to; it caches its
    tokens and renews them before they expire. A managed identity has its own tenant only.
    """
    if settings.app_type is BotAppType.USER_ASSIGNED_MSI:
        return ManagedIdentityCredential(client_id=settings.app_id)
    host = urlsplit(settings.authority).netloc
    return ClientSecretCredential(
        tenant_id or settings.tenant_id,
        settings.app_id,
        settings.app_password,
        authority=settings.authority,
        # Microsoft's own hosts are looked up at Microsoft; an authority of somebody's own cannot be.
        disable_instance_discovery=host not in _PUBLIC_HOSTS,
    )


class BotCredentials(AppCredentials):
    """The SDK's credentials over a token source."""

    def __init__(self, app_id: str, scope: str, source: TokenSource) -> None:
        super().__init__(app_id=app_id, oauth_scope=scope)
        self._source = source

    def get_access_token(self, force_refresh: bool = False) -> str:  # noqa: ARG002 - the SDK's signature
        return self._source.get_token(_default_scope(self.oauth_scope)).token


class BotCredentialsFactory(ServiceClientCredentialsFactory):
    def __init__(self, settings: BotSettings) -> None:
        self._settings = settings
        self._source = token_source(settings)

    async def is_valid_app_id(self, app_id: str) -> bool:
        return app_id == self._settings.app_id

    async def is_authentication_disabled(self) -> bool:
        return False

    async def create_credentials(
        self, app_id: str, oauth_scope: str, login_endpoint: str, validate_authority: bool
    ) -> AppCredentials:
        del login_endpoint, validate_authority  # the token source knows its own
        scope = oauth_scope or self._settings.oauth_scope
        # Fetched in a thread, so that the SDK's blocking call finds it in the cache.
        fetch: Callable[..., Any] = self._source.get_token
        await asyncio.to_thread(fetch, _default_scope(scope))
        return BotCredentials(app_id, scope, self._source)


def _default_scope(scope: str) -> str:
    return scope if scope.endswith("/.default") else f"{scope}/.default"
