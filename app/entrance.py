"""The outermost layer of every request and response: request id, client address, headers, limits on bodies."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from app.client_address import client_address
from app.server import SOCKETS
from core.identity.tokens import TokenRejectedError, bearer
from core.request import REQUEST_ID, RequestId
from tab.operation import BODY_SECONDS, is_packed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MESSAGES: Final = "/api/messages"
SERVER: Final = "pbx-teams"
"""The `Server` header. It names no version, which would tell strangers which vulnerabilities to try."""
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Default headers of every response; a response may set its own."""
HSTS: Final = "Strict-Transport-Security"
"""Effective only over TLS, which a reverse proxy terminates; browsers ignore it over plain HTTP (RFC 6797, 8.1)."""


def entrance(trusted_proxies: int) -> Middleware:
    """Return the middleware that gives each request an id and, behind trusted proxies, its client's address."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        REQUEST_ID.set(RequestId())
        request.app[SOCKETS].mark_request(request.protocol)
        address = client_address(
            request.remote, request.headers.getall("X-Forwarded-For", ()), trusted_proxies
        )
        if address != request.remote:
            request = request.clone(remote=address)
        return await handler(request)

    return middleware


def headers_adder(hsts: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Return the signal handler that adds the headers. `hsts` is the value of `Strict-Transport-Security`."""

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        """Add the headers. A signal also reaches responses that no middleware sees, such as those to unexpected errors."""
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers[HSTS] = hsts
        response.headers["Server"] = SERVER
        # The tab's API marks its connections as known itself, once it has validated a token.
        is_link = response.status == HTTPStatus.SWITCHING_PROTOCOLS
        if is_link or (request.path == MESSAGES and response.status < 400):
            request.app[SOCKETS].mark_known(request.protocol)

    return add_headers


async def refuse_or_read(request: web.Request) -> web.Response | None:
    """Read the body, for a route that needs it to check the token. Return None, or the response that refuses the request.

    A request without a bearer token is refused before its body is read. A body that does not arrive in time ends the
    connection.
    """
    try:
        bearer(request.headers.get("Authorization"))
    except TokenRejectedError:
        return web.json_response(
            {"error": "token rejected"}, status=401, headers={"WWW-Authenticate": "Bearer"}
        )
    if is_packed(request):
        return web.json_response(
            {"error": "the body is packed"}, status=415, headers={"Accept-Encoding": "identity"}
        )
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await request.read()
    except web.RequestPayloadError:
        answer = web.json_response({"error": "the body is broken"}, status=400)
        answer.force_close()
        return answer
    except TimeoutError:
        answer = web.json_response({"error": "the body did not arrive in time"}, status=408)
        answer.force_close()
        return answer
    return None
