"""The bot's tokens for the channel, from azure-identity: by a client secret or a managed identity."""

import asyncio
import logging
import math
import re
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AzureAuthorityHosts, ClientSecretCredential, ManagedIdentityCredential

from bot.settings import BotAppType, BotSettings

logger = logging.getLogger(__name__)

RENEW_SECONDS: Final = 300
"""How long before its expiry a token is renewed."""
WARM_SECONDS: Final = 60.0
"""Interval at which the token is checked and renewed in the background."""
PAUSE_SECONDS: Final = 5.0
"""Pause after a failure before the next try."""
_AADSTS: Final = re.compile(r"AADSTS[0-9]{3,10}")

_PUBLIC_HOSTS: Final = (
    AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
    AzureAuthorityHosts.AZURE_GOVERNMENT,
    AzureAuthorityHosts.AZURE_CHINA,
)


class TokenSource(Protocol):
    def get_token(self, *scopes: str) -> AccessToken: ...


def token_source(settings: BotSettings, tenant_id: str | None = None) -> TokenSource:
    """Return the credential for the app type of the settings.

    It is for the app's own tenant, or for another one that has consented; a managed identity works in its own tenant only.
    The credential caches its tokens and renews them before they expire.
    """
    if settings.app_type is BotAppType.USER_ASSIGNED_MSI:
        return ManagedIdentityCredential(client_id=settings.app_id)
    host = urlsplit(settings.authority).netloc
    return ClientSecretCredential(
        tenant_id or settings.tenant_id,
        settings.app_id,
        settings.app_password,
        authority=settings.authority,
        # Discovery asks Microsoft about the authority, which knows only Microsoft's own hosts.
        disable_instance_discovery=host not in _PUBLIC_HOSTS,
    )


class BotTokenFault(StrEnum):
    """Why Microsoft issues no token to the bot."""

    SECRET_EXPIRED = "secret-expired"  # noqa: S105 - a reason, not a secret
    SECRET_WRONG = "secret-wrong"  # noqa: S105 - a reason, not a secret
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


_CURES: Final[Mapping[BotTokenFault, str]] = {
    BotTokenFault.SECRET_EXPIRED: "The client secret has expired. Make a new one (infra/azure/register-app.sh"
    " --new-secret, or Entra ID, App registrations, Certificates & secrets), set PBX_TEAMS_APP_PASSWORD, restart.",
    BotTokenFault.SECRET_WRONG: "The client secret is not this app's. Set PBX_TEAMS_APP_PASSWORD to the secret's value"
    " (not its id), and check PBX_TEAMS_APP_ID.",
    BotTokenFault.REFUSED: "Check PBX_TEAMS_APP_ID, PBX_TEAMS_APP_TENANT_ID and PBX_TEAMS_APP_TYPE.",
    BotTokenFault.UNREACHABLE: "Check that this machine reaches the identity provider (DNS, proxy, firewall).",
}


class TokenUnavailableError(Exception):
    """Microsoft issues no token to the bot, so it cannot send messages."""

    def __init__(self, fault: BotTokenFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class ChannelToken:
    """The bot's token for the channel, cached until shortly before it expires."""

    def __init__(self, source: TokenSource, scope: str) -> None:
        self._source = source
        self._scope = scope if scope.endswith("/.default") else f"{scope}/.default"
        self._token = AccessToken("", 0)
        self._fetching = asyncio.Lock()
        self._failed_at = -math.inf
        self.fault: BotTokenFault | None = None
        """Why the last fetch failed; None if it succeeded."""
        self.failures: Counter[BotTokenFault] = Counter()

    async def get(self) -> str:
        """Return a valid token. Raises `TokenUnavailableError`."""
        if self._is_good():
            return self._token.token
        async with self._fetching:
            if not self._is_good():
                try:
                    await self._fetch()
                except TokenUnavailableError:
                    if self._token.expires_on <= time.time():
                        raise
        return self._token.token

    def forget(self, token: str) -> None:
        """Drop a token that the channel rejected before its expiry."""
        if token == self._token.token:
            self._token = AccessToken("", 0)

    async def keep_warm(self) -> None:
        """Renew the token in the background, so that no message waits for it and an expired secret is noticed soon."""
        while True:
            with suppress(TokenUnavailableError):
                await self.get()
            await asyncio.sleep(WARM_SECONDS)

    def _is_good(self) -> bool:
        return self._token.expires_on - RENEW_SECONDS > time.time()

    async def _fetch(self) -> None:
        if self.fault is not None and time.monotonic() - self._failed_at < PAUSE_SECONDS:
            raise TokenUnavailableError(self.fault)
        try:
            # The library blocks, so it runs in a thread. It has its own cache of tokens.
            fetched = await asyncio.to_thread(self._source.get_token, self._scope)
        except Exception as refusal:
            fault = _fault_of(refusal)
            self.failures[fault] += 1
            if fault is not self.fault:
                logger.error(  # noqa: TRY400 - the message has the reason, and a traceback would add nothing
                    "Microsoft gives the bot no token, so it cannot write to anybody",
                    extra={"fault": fault, "cure": _CURES[fault], "answer": _code_of(refusal)},
                )
            self.fault, self._failed_at = fault, time.monotonic()
            raise TokenUnavailableError(fault) from refusal
        if self.fault is not None:
            logger.warning("Microsoft gives the bot a token again")
        self._token, self.fault = fetched, None


def _fault_of(refusal: Exception) -> BotTokenFault:
    """Classify a failure. AADSTS codes: https://learn.microsoft.com/entra/identity-platform/reference-error-codes"""
    if not isinstance(refusal, ClientAuthenticationError):
        return BotTokenFault.UNREACHABLE
    if "AADSTS7000222" in str(refusal):
        return BotTokenFault.SECRET_EXPIRED
    if "invalid_client" in str(refusal) or "AADSTS7000215" in str(refusal):
        return BotTokenFault.SECRET_WRONG
    return BotTokenFault.REFUSED


def _code_of(refusal: Exception) -> str:
    """Return the AADSTS code of the answer, which is all that may be logged."""
    found = _AADSTS.search(str(refusal))
    return found[0] if found is not None else type(refusal).__name__
