"""The tab as aiohttp applications: API with live updates, the built client, security headers on both."""

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from tab.events import stream
from tab.openapi import document
from tab.operation import API, MAX_BODY_BYTES, Call, Operation, TabServices
from tab.operations import OPERATIONS
from tab.problems import ProblemError, problems

DIST: Final = Path(__file__).parent / "web" / "dist"

# https://learn.microsoft.com/microsoftteams/platform/tabs/how-to/tab-requirements
HOSTS: Final = (
    *("https://*.cloud.microsoft", "https://teams.microsoft.com", "https://*.teams.microsoft.com"),
    *("https://*.microsoft365.com", "https://*.office.com"),
    *("https://outlook.office.com", "https://outlook.office365.com"),
    *("https://outlook-sdf.office.com", "https://outlook-sdf.office365.com"),
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Good only over TLS, which ends before the service; browsers pass it over where there is none.
    "Strict-Transport-Security": "max-age=31536000",
}
_PAGE_HEADERS: Final = _HEADERS | {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {' '.join(HOSTS)}",
        )
    ),
    # Names of audio devices are told only to whoever may use the microphone.
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=(), usb=()",
}
_API_HEADERS: Final = _HEADERS | {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HERE: Final = ("same-origin", "none")
"""Values of Sec-Fetch-Site for the tab's own requests, and for those that no page has caused."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def api(services: TabServices) -> web.Application:
    """Below `/api/v1`."""
    app = web.Application(
        middlewares=[headers(_API_HEADERS), problems, own_site], client_max_size=MAX_BODY_BYTES
    )
    for operation in OPERATIONS:
        path = operation.path.removeprefix(API)
        app.router.add_route(operation.method, path, _handler(operation, services))

    async def events(request: web.Request) -> web.StreamResponse:
        token = await services.tokens.validate(request.headers.get("Authorization"))
        return await stream(request, token, services)

    app.router.add_get("/events", events)
    app.router.add_get("/openapi.json", _openapi)
    return app


def pages() -> web.Application:
    """Below `/tab`: the built client."""
    app = web.Application(middlewares=[headers(_PAGE_HEADERS)])
    app.router.add_get("", _to_tab)
    app.router.add_get("/", _page)
    app.router.add_get("/{file:.+}", _file)
    return app


def _handler(operation: Operation, services: TabServices) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        token = await services.tokens.validate(request.headers.get("Authorization"))
        query = operation.query.model_validate(dict(request.query)) if operation.query else None
        body = None
        if operation.body is not None:
            body = operation.body.model_validate_json(await request.read())
        answer = await operation.run(Call(request, token, services, body, query))
        return web.Response(
            text=answer.model_dump_json(by_alias=True),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return handle


async def _openapi(_request: web.Request) -> web.Response:
    return web.json_response(document(), dumps=json.dumps)


async def _to_tab(_request: web.Request) -> web.Response:
    raise web.HTTPFound("/tab/")


async def _page(_request: web.Request) -> web.StreamResponse:
    page = DIST / "index.html"
    if not page.is_file():
        return web.Response(text="The tab is not built yet: run 'make install'.", status=503)
    return web.FileResponse(page, headers={"Cache-Control": "no-cache"})


async def _file(request: web.Request) -> web.StreamResponse:
    path = (DIST / request.match_info["file"]).resolve()
    if not path.is_relative_to(DIST) or not path.is_file():
        raise web.HTTPNotFound
    # Vite puts a hash of the content into the names below assets/.
    hashed = path.parent.name == "assets"
    # A compressed sibling goes to whoever takes it; aiohttp says so by Vary and Content-Encoding.
    cache = "public, max-age=31536000, immutable" if hashed else "no-cache"
    return web.FileResponse(path, headers={"Cache-Control": cache})


def headers(given: Mapping[str, str]) -> Middleware:
    @web.middleware
    async def add(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not response.prepared:
            response.headers.update(given)
        return response

    return add


@web.middleware
async def own_site(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page of another site cannot act: it has no token and is allowed nothing by CORS, and is refused by name besides."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _HERE:
        raise ProblemError(Finding(Code.CROSS_SITE))
    return await handler(request)
