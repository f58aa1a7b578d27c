"""The HTTP client of every program here, made in one place and by one rule: no redirect is followed.

A token, a login or a pairing would go along to wherever a redirect leads, and a key document from elsewhere would decide
whose tokens are good. A caller gets an error instead of being redirected. `tests/wire/test_outbound.py` holds that no other
file makes a client.
"""

from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.helpers import get_env_proxy_for_url
from yarl import URL

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""Those that aiohttp follows unless it is told not to."""
MAX_HOSTS: Final = 100
"""Whose proxies are remembered."""
MAX_SHOWN: Final = 200
"""Characters of an address that an error names."""


class RedirectedError(aiohttp.ClientError):
    """The answer says that what was asked for is elsewhere, and nobody went there."""

    def __init__(self, url: str, status: int, location: str) -> None:
        self.status = status
        self.target = _absolute(url, location)
        """Empty when nobody can say."""
        self.location = _shown(self.target)
        super().__init__(f"redirected to {self.location}, which is not followed")


def client(**options: Any) -> aiohttp.ClientSession:
    """A client whose requests, WebSockets among them, raise `RedirectedError` in place of following a redirect. The
    proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`) holds. `options`: of `aiohttp.ClientSession`.
    """
    return aiohttp.ClientSession(middlewares=(_refuse_redirects,), **({"trust_env": True} | options))


class EnvironmentProxies:
    """The proxies of the environment, for a client that makes many requests to few hosts and has `trust_env=False`.

    aiohttp itself looks them up for each request, and `.netrc` with them, each in a thread: that costs as much as the
    request. Here it is once for each host; the environment of a process does not change.
    """

    def __init__(self) -> None:
        self._options: dict[URL, dict[str, Any]] = {}

    def of(self, url: URL) -> dict[str, Any]:
        """Options of a request to this address."""
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
    # A middleware sees every answer before aiohttp looks at its status.
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
    """An address without what may be secret in it: STARFACE's UCI has its token in the query."""
    try:
        parts = urlsplit(target)
        host = parts.hostname or "?"
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "?"
    return f"{parts.scheme}://{host}{port}{parts.path}"[:MAX_SHOWN]
