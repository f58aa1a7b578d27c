"""The HTTP client of all parts: one for each target, with its proxy, certificates and time-outs.

It follows no redirect, because that would take login, password or token to another place. It stores no cookies; UCI stores
its own for each login (`connector.uci`). It reads no `.netrc`.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, Self

import aiohttp
from aiohttp import hdrs

from connector.errors import ConnectorError
from connector.network import dial
from connector.network.faults import (
    NETWORK_FAULTS,
    UnreachedError,
    finding_of,
    no_greeting,
    proxy_answer,
    word_of,
)
from connector.network.limits import FAMILY_DELAY
from connector.network.proxy import Proxy
from connector.network.route import proxy_for
from connector.network.target import Target
from connector.network.tls import context_for
from core.diagnosis.finding import Finding
from wire import outbound

logger = logging.getLogger(__name__)

ROUTE_SECONDS: Final = 60.0
"""How long the choice of a proxy is kept; after that, the host may have another address."""
TRUST_SECONDS: Final = 10.0
"""How often certificates are read again at most, while one is refused."""
CLOSE_SECONDS: Final = 2.0
"""Time-out for the close handshake of a WebSocket, because the connection may be dead."""
MAX_CONNECTIONS: Final = 20
EXPLAIN_SECONDS: Final = 5.0


class HttpClient:
    """The HTTP client of one target."""

    def __init__(self, target: Target, read_again: Callable[[], Target] | None = None) -> None:
        """Raises `ConnectorError` if the target's certificates cannot be used. `read_again` reads the target's certificates
        again after a certificate was refused: it may have been exchanged, and its authority with it.
        """
        self.target = target
        self._read_again = read_again
        self._trusted_until = 0.0
        self.tls = context_for(target)
        self._session: aiohttp.ClientSession | None = None
        self._proxy: Proxy | None = None
        self._proxy_until = 0.0

    @asynccontextmanager
    async def request(self, method: str, url: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request as aiohttp does, without following redirects. Raises `UnreachedError` or one of `NETWORK_FAULTS`."""
        options = await self._routed(options)
        try:
            response = await self._opened().request(method, url, **options)
        except aiohttp.ClientConnectorCertificateError:
            self._trust_again()
            raise
        async with response:
            if response.status == 407 and self._proxy is not None and not self.target.is_secure:
                offered = response.headers.getall(hdrs.PROXY_AUTHENTICATE, [])
                reason = response.reason or ""
                raise UnreachedError(
                    proxy_answer(
                        target=self.target, proxy=self._proxy, status=407, reason=reason, authenticate=offered
                    )
                )
            yield response

    async def websocket(self, url: str, **options: Any) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket within the target's limits. Raises `UnreachedError` for every failure."""
        try:
            async with asyncio.timeout(self.target.limits.whole):
                options = await self._routed(options)
                socket: aiohttp.ClientWebSocketResponse = await self._opened().ws_connect(
                    url, timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS), **options
                )
                return socket
        except (UnreachedError, *NETWORK_FAULTS) as fault:
            finding = await self.explain(fault)
            raise UnreachedError(finding or no_greeting(self.target, None, word_of(fault))) from fault

    async def explain(self, fault: BaseException, seconds: float = EXPLAIN_SECONDS) -> Finding | None:
        """Explain why a request failed. If the fault alone does not show it, test the path layer by layer, with `seconds` as
        the time-out of each layer. Returns None if every layer works.
        """
        proxy = self._proxy
        target = replace(self.target, limits=replace(self.target.limits, connect=seconds))
        certificate = getattr(fault, "certificate_error", None)
        if isinstance(certificate, ssl.SSLCertVerificationError):
            return await dial.certificate_refused(target, proxy, certificate)
        if (found := finding_of(target, proxy, fault)) is not None:
            return found
        try:
            await dial.walk(target, proxy, self.tls)
        except UnreachedError as unreached:
            return unreached.finding
        return None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _trust_again(self) -> None:
        """Read the certificates again for the next request, with authorities that were added to this machine since."""
        if self._read_again is None or time.monotonic() < self._trusted_until:
            return
        self._trusted_until = time.monotonic() + TRUST_SECONDS
        try:
            target = self._read_again()
            self.tls = context_for(target)
        except ConnectorError as fault:
            logger.warning("certificates cannot be read again", extra={"reason": str(fault)})
        else:
            self.target = target

    async def _routed(self, options: dict[str, Any]) -> dict[str, Any]:
        options = {**options, "ssl": self.tls}
        if time.monotonic() >= self._proxy_until:
            self._proxy = await proxy_for(self.target)
            self._proxy_until = time.monotonic() + ROUTE_SECONDS
        if self._proxy is None:
            return options
        routed = {**options, "proxy": self._proxy.url}
        if self.target.is_secure:  # only for CONNECT
            return {**routed, "proxy_headers": self._proxy.headers}
        return {**routed, "headers": {**options.get("headers", {}), **self._proxy.headers}}

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = outbound.client(
                timeout=self.target.limits.timeout(),
                connector=aiohttp.TCPConnector(
                    ssl=self.tls, limit=MAX_CONNECTIONS, happy_eyeballs_delay=FAMILY_DELAY
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,  # `proxy_for` reads the proxy; nothing else of it is wanted
            )
        return self._session
