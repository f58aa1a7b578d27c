"""Logging in to a STARFACE: the two ways (shared facts, "REST, classic login" and "Login of STARFACE 10")."""

import base64
import hashlib
import time
from typing import Any, Final, Protocol

import aiohttp

from connector.errors import LoginRejectedError, PbxLoginFailedError, PbxUnreachableError

HEADERS: Final = {"X-Version": "2", "Content-Type": "application/json"}
DISCOVERY: Final = "/.well-known/openid-configuration"
RENEW_BEFORE_SECONDS: Final = 30.0
"""An access token is renewed this long before it expires (it is good for 300 s)."""


def sha512_hex(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()


def internal_secret(login: str, nonce: str, password: str) -> str:
    return f"{login}:{sha512_hex(login + nonce + sha512_hex(password))}"


def active_directory_secret(login: str, nonce: str, password: str) -> str:
    return base64.b64encode(f"{login}{nonce}{password}".encode()).decode("ascii")


def uci_token(login: str, password: str) -> str:
    """The UCI token since 6.4.2."""
    return f"{login}:{sha512_hex(login + '*' + sha512_hex(password))}"


class Login(Protocol):
    """A login of one user: what goes into the headers, and how it is renewed."""

    async def headers(self, http: aiohttp.ClientSession) -> dict[str, str]: ...

    def forget(self) -> None:
        """The PBX no longer takes the token: the next call logs in anew."""

    async def end(self, http: aiohttp.ClientSession) -> None: ...

    async def uci_query(self, http: aiohttp.ClientSession) -> dict[str, str]:
        """What identifies the user in a UCI address."""


class ClassicLogin:
    """`authToken`, good for four hours."""

    def __init__(self, rest_url: str, login: str, password: str) -> None:
        self._rest_url = rest_url
        self._login = login
        self._password = password
        self._token: str | None = None

    async def headers(self, http: aiohttp.ClientSession) -> dict[str, str]:
        if self._token is None:
            template = await challenge(http, self._rest_url)
            make = internal_secret if template["loginType"] == "Internal" else active_directory_secret
            template["secret"] = make(self._login, template["nonce"], self._password)
            self._token = await answer(http, self._rest_url, template)
        return {"authToken": self._token}

    def forget(self) -> None:
        self._token = None

    async def end(self, http: aiohttp.ClientSession) -> None:
        if self._token is not None:
            await log_out(http, self._rest_url, self._token)
            self._token = None

    async def uci_query(self, http: aiohttp.ClientSession) -> dict[str, str]:
        del http
        return {
            "de.vertico.starface.user": self._login,
            "de.vertico.starface.auth": uci_token(self._login, self._password),
        }


class OAuthLogin:
    """STARFACE 10 and later: the headless client with the password grant."""

    def __init__(self, base_url: str, login: str, password: str, client_secret: str, scope: str) -> None:
        self._base_url = base_url
        self._login = login
        self._password = password
        self._client_secret = client_secret
        self._scope = scope
        self._token_endpoint: str | None = None
        self._access: str | None = None
        self._refresh: str | None = None
        self._good_until = 0.0

    async def headers(self, http: aiohttp.ClientSession) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self._token(http)}"}

    def forget(self) -> None:
        self._access = None

    async def end(self, http: aiohttp.ClientSession) -> None:
        del http
        self._access = self._refresh = None

    async def uci_query(self, http: aiohttp.ClientSession) -> dict[str, str]:
        return {"de.vertico.starface.jwt": await self._token(http)}

    async def _token(self, http: aiohttp.ClientSession) -> str:
        if self._access is None or time.monotonic() > self._good_until - RENEW_BEFORE_SECONDS:
            grants = [{"grant_type": "password", "username": self._login, "password": self._password}]
            if self._refresh is not None:
                grants.insert(0, {"grant_type": "refresh_token", "refresh_token": self._refresh})
            for grant in grants:
                token = await self._ask(http, grant)
                if token is not None:
                    break
            else:
                raise LoginRejectedError("the token endpoint refuses the password grant")
            self._access = str(token["access_token"])
            self._refresh = token.get("refresh_token")
            self._good_until = time.monotonic() + float(token.get("expires_in", 300))
        return self._access

    async def _ask(self, http: aiohttp.ClientSession, grant: dict[str, str]) -> dict[str, Any] | None:
        """The token answer, or None when the PBX refuses this grant."""
        form = {
            "client_id": "rest-client-headless",
            "client_secret": self._client_secret,
            "scope": self._scope,
            **grant,
        }
        async with http.post(await self._endpoint(http), data=form) as response:
            if response.status in (400, 401, 403):
                error = (await _json(response)).get("error")
                if error in ("invalid_client", "unauthorized_client", "invalid_scope"):
                    raise PbxLoginFailedError(f"the PBX refuses the OAuth client: {error}")
                return None
            if response.status != 200:
                raise PbxUnreachableError(f"the token endpoint answers {response.status}")
            return await _json(response)

    async def _endpoint(self, http: aiohttp.ClientSession) -> str:
        if self._token_endpoint is None:
            async with http.get(self._base_url + DISCOVERY) as response:
                if response.status != 200:
                    raise PbxUnreachableError(
                        f"OAuth discovery answers {response.status}: older than version 10?"
                    )
                self._token_endpoint = str((await _json(response)).get("token_endpoint", ""))
        return self._token_endpoint


async def challenge(http: aiohttp.ClientSession, rest_url: str) -> dict[str, Any]:
    """`GET /login`: loginType and nonce."""
    async with http.get(f"{rest_url}/login", headers=HEADERS) as response:
        if response.status != 200:
            raise PbxUnreachableError(f"GET /login answers {response.status}")
        template = await _json(response)
        if not template.get("nonce") or "loginType" not in template:
            raise PbxUnreachableError("GET /login gives no nonce")
        return template


async def answer(http: aiohttp.ClientSession, rest_url: str, template: dict[str, Any]) -> str:
    """`POST /login`: the auth token, or `LoginRejectedError`."""
    async with http.post(f"{rest_url}/login", json=template, headers=HEADERS) as response:
        if response.status in (400, 401, 403):
            raise LoginRejectedError(f"POST /login answers {response.status}")
        if response.status != 200:
            raise PbxUnreachableError(f"POST /login answers {response.status}")
        return str((await _json(response))["token"])


async def log_out(http: aiohttp.ClientSession, rest_url: str, token: str) -> None:
    async with http.delete(f"{rest_url}/login", headers={**HEADERS, "authToken": token}):
        return


async def _json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        content = await response.json(content_type=None)
    except ValueError as fault:
        raise PbxUnreachableError(f"{response.url.path} answers no JSON") from fault
    return content if isinstance(content, dict) else {}
