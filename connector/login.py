"""Logging in to a STARFACE: with login and password, or with OAuth 2 (docs/facts/starface.md, "REST")."""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from connector.answers import OAuthToken, auth_token, login_template, oauth_token
from connector.errors import (
    LoginRejectedError,
    PbxAnswerError,
    PbxCloudError,
    PbxError,
    PbxLoginFailedError,
    PbxRestartingError,
    PbxUnreachableError,
)
from connector.exchange import (
    EndpointElsewhereError,
    PbxRedirectedError,
    content_of,
    exchange,
    is_of_the_pbx,
)
from connector.network.client import HttpClient
from connector.network.faults import NETWORK_FAULTS, UnreachedError
from wire import outbound

HEADERS: Final = {"X-Version": "2", "Content-Type": "application/json"}
INTERNAL: Final = "Internal"
MAX_HOPS: Final = 5
EDGE_NODE: Final = "edgeNodeId"
"""A member that the discovery document of a cloud-connected PBX has (StarCLX, sf-auth)."""
DISCOVERY: Final = "/.well-known/openid-configuration"
RESTARTING: Final = frozenset({429, 502, 503, 504})
"""Statuses of a PBX that is starting, or whose web server waits for it."""
RENEW_BEFORE_SECONDS: Final = 30.0
"""How long before its expiry an access token is renewed (it is valid for 300 s)."""


def sha512_hex(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()


def internal_secret(login: str, nonce: str, password: str) -> str:
    """Return the answer to the PBX's challenge for loginType Internal."""
    return f"{login}:{sha512_hex(login + nonce + sha512_hex(password))}"


def active_directory_secret(login: str, nonce: str, password: str) -> str:
    """Return the answer to the PBX's challenge for loginType ActiveDirectory, which contains the password."""
    return base64.b64encode(f"{login}{nonce}{password}".encode()).decode("ascii")


def uci_token(login: str, password: str) -> str:
    """Return the UCI token as it is since STARFACE 6.4.2."""
    return f"{login}:{sha512_hex(login + '*' + sha512_hex(password))}"


def active_directory_uci_token(login: str, password: str) -> str:
    """Return the UCI token for ActiveDirectory. Source: visual4/iahcti, UcpServerProxyV30.php."""
    return base64.b64encode(f"{login}*{password}".encode()).decode("ascii")


def sees_password(login_type: str) -> bool:
    """Return whether the PBX must see the password (loginType ActiveDirectory).

    Every other value ("Internal", "INTERNAL", an empty or unknown one) gets the hash. The vendor's own client decides in
    the same way, and an unknown value must never reveal the password.
    """
    return login_type.strip().casefold() == "activedirectory"


class Login(Protocol):
    """The login of one user: makes the headers of requests and renews its token."""

    @property
    def is_current(self) -> bool:
        """Whether `headers` needs no request to the PBX."""

    async def headers(self, http: HttpClient) -> dict[str, str]: ...

    def forget(self) -> None:
        """Discard a token that the PBX no longer accepts, so that the next call logs in again."""

    async def end(self, http: HttpClient) -> None: ...

    async def uci_query(self, http: HttpClient) -> dict[str, str]:
        """Return the query parameters that identify the user in a UCI address."""

    def uci_refused(self) -> bool:
        """UCI does not take the token. True: there is another form of it, which the next query carries."""

    @property
    def has_hashed_uci_token(self) -> bool:
        """The UCI token of the next query holds a hash, not the password. While UCI is connected, it is the accepted one."""


class ClassicLogin:
    """A login with `authToken`, which is valid for four hours."""

    def __init__(self, rest_url: str, login: str, password: str) -> None:
        self._rest_url = rest_url
        self._login = login
        self._password = password
        self._token: str | None = None
        self._uci_tokens = [uci_token(login, password)]
        """The forms of the token; the first one was accepted last or is tried next."""

    @property
    def is_current(self) -> bool:
        return self._token is not None

    async def headers(self, http: HttpClient) -> dict[str, str]:
        if self._token is None:
            template = await challenge(http, self._rest_url)
            if sees_password(template["loginType"]) and len(self._uci_tokens) == 1:
                # Two sources state this form for ActiveDirectory (visual4/iahcti, SFWiki); some systems accept the other.
                self._uci_tokens.insert(0, active_directory_uci_token(self._login, self._password))
            make = active_directory_secret if sees_password(template["loginType"]) else internal_secret
            template["secret"] = make(self._login, template["nonce"], self._password)
            self._token = await answer(http, self._rest_url, template)
        return {"authToken": self._token}

    def forget(self) -> None:
        self._token = None

    async def end(self, http: HttpClient) -> None:
        if self._token is not None:
            await log_out(http, self._rest_url, self._token)
            self._token = None

    async def uci_query(self, http: HttpClient) -> dict[str, str]:
        del http
        return {
            "de.vertico.starface.user": self._login,
            "de.vertico.starface.auth": self._uci_tokens[0],
        }

    def uci_refused(self) -> bool:
        self._uci_tokens.append(self._uci_tokens.pop(0))
        return len(self._uci_tokens) > 1

    @property
    def has_hashed_uci_token(self) -> bool:
        return self._uci_tokens[0] == uci_token(self._login, self._password)


class OAuthLogin:
    """A login to STARFACE 10 or later: the headless OAuth client with the password grant."""

    def __init__(
        self,
        base_url: str,
        login: str,
        password: str | None,
        client_secret: str,
        scope: str,
        refresh_token: str | None = None,
        on_refresh_token: Callable[[str], None] = lambda _token: None,
    ) -> None:
        """`password` None: the login lives as long as the PBX renews `refresh_token`. `on_refresh_token` is called with
        each new refresh token; where the PBX rotates them, the earlier one is no longer valid.
        """
        self._base_url = base_url
        self._login = login
        self._password = password
        self._client_secret = client_secret
        self._scope = scope
        self._token_endpoint: str | None = None
        self._access: str | None = None
        self._refresh = refresh_token
        self._on_refresh_token = on_refresh_token
        self._renewing = asyncio.Lock()
        self._good_until = 0.0

    @property
    def is_current(self) -> bool:
        return self._access is not None and time.monotonic() <= self._good_until - RENEW_BEFORE_SECONDS

    async def headers(self, http: HttpClient) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self._token(http)}"}

    def forget(self) -> None:
        self._access = None

    async def end(self, http: HttpClient) -> None:
        del http
        self._access = self._refresh = None

    async def uci_query(self, http: HttpClient) -> dict[str, str]:
        return {"de.vertico.starface.jwt": await self._token(http)}

    def uci_refused(self) -> bool:
        self._access = None
        return False

    @property
    def has_hashed_uci_token(self) -> bool:
        return False

    async def refresh_token(self, http: HttpClient) -> str | None:
        """Log in and return the refresh token; None if the PBX gives none. Raises `PbxError`."""
        await self._token(http)
        return self._refresh

    async def _token(self, http: HttpClient) -> str:
        # One at a time, because a rotated refresh token can be used only once.
        async with self._renewing:
            if not self.is_current:
                await self._renew(http)
            if self._access is None:
                raise LoginRejectedError("no access token")
            return self._access

    async def _renew(self, http: HttpClient) -> None:
        token = await self._refreshed(http)
        if token is None and self._password is not None:
            token = await self._ask(http, self._password_grant(self._password))
        if token is None:
            raise LoginRejectedError("the token endpoint refuses the login")
        self._access = token.access_token
        self._good_until = time.monotonic() + token.expires_seconds
        # A refresh token that is not replaced remains valid (RFC 6749, section 6).
        if token.refresh_token is not None and token.refresh_token != self._refresh:
            self._refresh = token.refresh_token
            self._on_refresh_token(token.refresh_token)

    def _password_grant(self, password: str) -> dict[str, str]:
        self._refresh = None
        return {
            "grant_type": "password",
            "username": self._login,
            "password": password,
            "scope": self._scope,
        }

    async def _refreshed(self, http: HttpClient) -> OAuthToken | None:
        """Refresh the token, first without a scope as in RFC 6749, then with it, which some systems require. Returns None if
        the PBX refuses both.
        """
        if self._refresh is None:
            return None
        grant = {"grant_type": "refresh_token", "refresh_token": self._refresh}
        for more in ({}, {"scope": self._scope}):
            try:
                token = await self._ask(http, {**grant, **more})
            except PbxLoginFailedError:
                continue
            if token is not None:
                return token
        return None

    async def _ask(self, http: HttpClient, grant: dict[str, str]) -> OAuthToken | None:
        """Request a token; returns None if the PBX refuses this grant."""
        form = {"client_id": "rest-client-headless", "client_secret": self._client_secret, **grant}
        path = "OAuth token endpoint"
        async with exchange(http, "POST", await self._endpoint(http), data=form) as response:
            if response.status in (400, 401, 403):
                try:
                    content = await content_of(response, path, is_secret=True)
                except PbxAnswerError:
                    return None
                error = content.get("error") if isinstance(content, dict) else None
                if error in ("invalid_client", "unauthorized_client", "invalid_scope"):
                    raise PbxLoginFailedError(f"the PBX refuses the OAuth client: {error}")
                return None
            refuse_if_not_ready(path, response.status)
            return oauth_token(path, await content_of(response, path, is_secret=True))

    async def _endpoint(self, http: HttpClient) -> str:
        if self._token_endpoint is None:
            self._token_endpoint = await discover(http, self._base_url)
        return self._token_endpoint


async def discover(http: HttpClient, base_url: str) -> str:
    """Return the PBX's token endpoint.

    Raises `EndpointElsewhereError` if it is on another host, because login, password and client secret would go there, and
    `PbxCloudError` if the PBX says that it is connected to the cloud.
    """
    try:
        content = await _discovery(http, base_url)
    except PbxRedirectedError:
        if await _answers_logins(http, base_url):
            raise PbxCloudError from None
        raise
    if content.get(EDGE_NODE):
        raise PbxCloudError
    endpoint = content.get("token_endpoint")
    if not isinstance(endpoint, str) or not is_of_the_pbx(endpoint, base_url):
        shown = (
            endpoint[: outbound.MAX_SHOWN] if isinstance(endpoint, str) and endpoint else "no token endpoint"
        )
        raise EndpointElsewhereError(shown)
    return endpoint


async def is_cloud_connected(http: HttpClient, base_url: str) -> bool:
    """Return whether the PBX says that people log in elsewhere. Called after a refusal; False if unknown."""
    try:
        return bool((await _discovery(http, base_url)).get(EDGE_NODE))
    except PbxRedirectedError:
        return await _answers_logins(http, base_url)
    except (PbxError, UnreachedError, *NETWORK_FAULTS):
        return False


async def _discovery(http: HttpClient, base_url: str) -> dict[str, Any]:
    """Return the PBX's OAuth discovery document.

    A STARFACE redirects this request to the document of its realm. The request has nothing secret, so the redirect is
    followed while its target is the PBX. Raises `PbxRedirectedError` if it is not.
    """
    url, path = base_url + DISCOVERY, "OAuth discovery"
    for _ in range(MAX_HOPS):
        try:
            async with exchange(http, "GET", url) as response:
                if response.status == 404:
                    raise PbxUnreachableError("OAuth discovery answers 404: older than version 10?")
                refuse_if_not_ready(path, response.status)
                content = await content_of(response, path)
                return content if isinstance(content, dict) else {}
        except PbxRedirectedError as redirected:
            url = redirected.target
            if not is_of_the_pbx(url, base_url):
                raise
    raise PbxUnreachableError("OAuth discovery redirects in a circle")


async def _answers_logins(http: HttpClient, base_url: str) -> bool:
    """Return whether `GET /login` is answered at this address although discovery leads elsewhere.

    If so, the configured address is right and people log in at another place (StarCLX, sf-auth).
    """
    try:
        await challenge(http, f"{base_url}/rest")
    except (PbxError, UnreachedError, *NETWORK_FAULTS):
        return False
    return True


async def challenge(http: HttpClient, rest_url: str) -> dict[str, Any]:
    """Send `GET /login` and return its template with loginType and nonce. Raises `PbxError`."""
    async with exchange(http, "GET", f"{rest_url}/login", headers=HEADERS) as response:
        refuse_if_not_ready("GET /login", response.status)
        return login_template("GET /login", await content_of(response, "GET /login"))


async def answer(http: HttpClient, rest_url: str, template: dict[str, Any]) -> str:
    """Send `POST /login` and return the auth token. Raises `LoginRejectedError` or another `PbxError`."""
    async with exchange(http, "POST", f"{rest_url}/login", json=template, headers=HEADERS) as response:
        if response.status in (400, 401, 403):
            raise LoginRejectedError(f"POST /login answers {response.status}")
        refuse_if_not_ready("POST /login", response.status)
        return auth_token("POST /login", await content_of(response, "POST /login", is_secret=True))


async def log_out(http: HttpClient, rest_url: str, token: str) -> None:
    """Log out. Errors are ignored, because the token expires after four hours anyway."""
    with suppress(PbxError, UnreachedError, *NETWORK_FAULTS):
        async with exchange(http, "DELETE", f"{rest_url}/login", headers={**HEADERS, "authToken": token}):
            return


def refuse_if_not_ready(path: str, status: int) -> None:
    """Raise `PbxRestartingError` or `PbxAnswerError` unless the status is 200."""
    if status in RESTARTING:
        raise PbxRestartingError(f"{path} answers {status}")
    if status != 200:
        raise PbxAnswerError(path, status, "no result")
