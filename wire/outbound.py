"""The HTTP client of all programs here. It follows no redirect.

A redirect would take a token, a login or a pairing code to its target, and signing keys from another place would decide
which tokens are valid. So the caller gets an error instead. `tests/wire/test_outbound.py` checks that no other file makes
a client.
"""

from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.helpers import get_env_proxy_for_url
from yarl import URL

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""The statuses that aiohttp follows by default."""
MAX_HOSTS: Final = 100
"""Hosts whose proxy is cached."""
MAX_SHOWN: Final = 200
"""Longest address in an error message, in characters."""


class RedirectedError(aiohttp.ClientError):
    """The answer is a redirect, which was not followed."""

    def __init__(self, url: str, status: int, location: str) -> None:
        self.status = status
        self.target = _absolute(url, location)
        """The address of the redirect; empty if it is not valid."""
        self.location = _shown(self.target)
        super().__init__(f"redirected to {self.location}, which is not followed")


def client(**options: Any) -> aiohttp.ClientSession:
    """Return a client whose requests and WebSockets raise `RedirectedError` instead of following a redirect.

    It uses the proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`). `options` are those of `aiohttp.ClientSession`.
    """
    return aiohttp.ClientSession(middlewares=(_refuse_redirects,), **({"trust_env": True} | options))


class EnvironmentProxies:
    """Looks up the proxies of the environment, for a client with `trust_env=False` and many requests to few hosts.

    aiohttp looks up the proxy and `.netrc` in a thread for each request, which costs as much as the request itself. This
    class does it once for each host, because the environment of a process does not change.
    """

    def __init__(self) -> None:
        self._options: dict[URL, dict[str, Any]] = {}

    def of(self, url: URL) -> dict[str, Any]:
        """Return the proxy options of a request to this address, empty without a proxy."""
        origin = url.origin()
        options = self._options.get(origin)
        if options is None:
            while len(self._options) >= MAX_HOSTS:
                del self._options[next(iter(self._options))]
            options = self._options[origin] = _proxy_options(origin)
        return options


def _proxy_options(url: URL) -> dict[str, Any]:
    try:
        proxy, credentials = get_env_proxy_for_url(url)
    except LookupError:
        return {}
    return {"proxy": proxy, "proxy_auth": credentials}


async def _refuse_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # A middleware gets every answer before aiohttp examines its status.
    answer = await handler(request)
    if answer.status in REDIRECTS:
        answer.close()
        raise RedirectedError(str(request.url), answer.status, answer.headers.get("Location", ""))
    return answer


def _absolute(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def _shown(target: str) -> str:
    """Return the address without parts that may be secret: STARFACE's UCI has its token in the query."""
    try:
        parts = urlsplit(target)
        host = parts.hostname or "?"
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "?"
    return f"{parts.scheme}://{host}{port}{parts.path}"[:MAX_SHOWN]
