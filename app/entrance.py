"""What every request meets first and every response last: id, client address, headers, and the limits on bodies."""

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
"""Without versions: they would tell a stranger which faults to try."""
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every response that does not say otherwise."""
HSTS: Final = "Strict-Transport-Security"
"""Effective only over TLS, which ends before the service; browsers ignore it over plain HTTP (RFC 6797, 8.1)."""


def entrance(trusted_proxies: int) -> Middleware:
    """Gives each request an id and, behind trusted proxies, its client's address."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        REQUEST_ID.set(RequestId())
        request.app[SOCKETS].has_spoken(request.protocol)
        address = client_address(
            request.remote, request.headers.getall("X-Forwarded-For", ()), trusted_proxies
        )
        if address != request.remote:
            request = request.clone(remote=address)
        return await handler(request)

    return middleware


def headers_adder(hsts: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """`hsts`: the value of `Strict-Transport-Security` (`Settings.hsts`)."""

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        """A signal: it reaches what a middleware does not, such as the answer to an unexpected error."""
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers[HSTS] = hsts
        response.headers["Server"] = SERVER
        # The tab's API says so itself, as soon as it has validated a token.
        is_link = response.status == HTTPStatus.SWITCHING_PROTOCOLS
        if is_link or (request.path == MESSAGES and response.status < 400):
            request.app[SOCKETS].is_known(request.protocol)

    return add_headers


async def refuse_or_read(request: web.Request) -> web.Response | None:
    """For a door that must read the body before it can check the token. None: the body is read, and there is a token.

    The answer comes without waiting for the body where there is no bearer token; a body that does not arrive in time ends
    the connection.
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
