"""The tab as aiohttp applications: API with live updates, the built client, security headers on both."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from aiohttp import web

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.identity.tokens import TabToken
from tab.budgets import Cost
from tab.events import stream
from tab.export import ExportFile
from tab.openapi import document
from tab.operation import API, BODY_SECONDS, TOKEN_IS_GOOD, Call, Operation, TabServices, is_packed
from tab.operations import OPERATIONS
from tab.present import Rendered
from tab.problems import problems

DIST: Final = Path(__file__).parent / "web" / "dist"

# https://learn.microsoft.com/microsoftteams/platform/tabs/how-to/tab-requirements
HOSTS: Final = (
    *("https://*.cloud.microsoft", "https://teams.microsoft.com", "https://*.teams.microsoft.com"),
    *("https://*.microsoft365.com", "https://*.office.com"),
    *("https://outlook.office.com", "https://outlook.office365.com"),
    *("https://outlook-sdf.office.com", "https://outlook-sdf.office365.com"),
)
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            # Text becomes markup in only two places: the templates of lit and of Fluent's elements, which are
            # constants.
            "require-trusted-types-for 'script'",
            "trusted-types lit-html fast-html",
            f"frame-ancestors {' '.join(HOSTS)}",
        )
    ),
    # Browsers reveal the names of audio devices only to pages that may use the microphone.
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=(), usb=()",
}
"""In addition to the headers that the service adds to every response."""
_HERE: Final = ("same-origin", "none")
"""Values of Sec-Fetch-Site for the tab's own requests, and for requests that no page has caused."""

SEND_SECONDS: Final = 60.0
"""Time-out for sending a complete export; the largest has some ten megabytes."""

_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
"""Media types of all built files, by suffix. Python's own table has no charsets, and depends on the machine."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def api(services: TabServices) -> web.Application:
    """Build the application to mount at `/api/v1`."""
    app = web.Application(middlewares=[problems, own_site])
    for operation in OPERATIONS:
        path = operation.path.removeprefix(API)
        app.router.add_route(operation.method, path, _handler(operation, services))

    async def events(request: web.Request) -> web.StreamResponse:
        token = await _token(request, services)
        services.budgets.spend(token.user, Cost.CHANGE)
        return await stream(request, token, services)

    async def openapi(request: web.Request) -> web.StreamResponse:
        await _token(request, services)
        return web.json_response(document())

    # A HEAD request would keep a stream open that nobody reads.
    app.router.add_get("/events", events, allow_head=False)
    app.router.add_get("/openapi.json", openapi)
    return app


def pages() -> web.Application:
    """Build the application to mount at `/tab`, which serves the built client."""
    app = web.Application()
    app.on_response_prepare.append(_add_page_headers)
    app.router.add_get("", _to_tab)
    app.router.add_get("/", _page)
    # Links that offer a call: `/tab/dial?n=…`. The page fills in the number and asks for confirmation.
    app.router.add_get("/dial", _page)
    app.router.add_get("/{file:.+}", _file)
    return app


def _handler(operation: Operation, services: TabServices) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        token = await _token(request, services)
        services.budgets.spend(token.user, operation.its_cost)
        query = operation.query.model_validate(dict(request.query)) if operation.query else None
        body = None
        if operation.body is not None:
            body = operation.body.model_validate_json(await _body(request))
        call = Call(request=request, token=token, services=services, body=body, query=query)
        is_export = operation.its_cost is Cost.EXPORT
        with services.budgets.exporting(token.user) if is_export else nullcontext():
            answer = await operation.run(call)
            if isinstance(answer, ExportFile):
                return await _send(request, _download(answer))
        text = answer.text if isinstance(answer, Rendered) else answer.model_dump_json(by_alias=True)
        return web.Response(text=text, content_type="application/json")

    return handle


async def _send(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Send the complete response now; a reader that is too slow is disconnected."""
    await response.prepare(request)
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    return response


async def _token(request: web.Request, services: TabServices) -> TabToken:
    """Validate the token before anything else of the request is read."""
    token = await services.tokens.validate(request.headers.get("Authorization"))
    request.config_dict[TOKEN_IS_GOOD](request)
    return token


async def _body(request: web.Request) -> bytes:
    if is_packed(request):
        raise RefusedError(Finding(Code.INVALID_REQUEST, {"error": "Content-Encoding"}))
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError as slow:
        raise RefusedError(Finding(Code.TOO_SLOW)) from slow


def _download(export: ExportFile) -> web.Response:
    """Build a response that aiohttp sends in chunks, reading off the event loop; aiohttp closes the file."""
    return web.Response(
        body=export.file,
        headers={
            "Content-Type": export.media_type,
            "Content-Disposition": f'attachment; filename="{export.name}"',
            "X-Complete": "true" if export.complete else "false",
        },
    )


async def _to_tab(_request: web.Request) -> web.Response:
    raise web.HTTPFound("/tab/")


async def _page(_request: web.Request) -> web.StreamResponse:
    page = DIST / "index.html"
    if not page.is_file():
        return web.Response(
            text="The tab is not built yet: run 'make install'.", status=503, headers={"Retry-After": "60"}
        )
    # Never answer "not modified": the pages of two builds have the same size, and may have the same time if an
    # image sets one time for all files. A browser with the old page would request files that no longer exist.
    headers = {"Cache-Control": "no-cache", "Content-Type": _MEDIA_TYPES[".html"]}
    return web.Response(body=page.read_bytes(), headers=headers)


async def _file(request: web.Request) -> web.StreamResponse:
    path = _built(request.match_info["file"])
    if path is None:
        raise web.HTTPNotFound
    # Vite puts a hash of the content into the names below assets/.
    hashed = path.parent.name == "assets"
    # aiohttp sends a compressed sibling to clients that accept it, with Vary and Content-Encoding.
    cache = "public, max-age=31536000, immutable" if hashed else "no-cache"
    return _sent(path, cache)


def _sent(path: Path, cache: str) -> web.FileResponse:
    media_type = _MEDIA_TYPES.get(path.suffix, "application/octet-stream")
    return web.FileResponse(path, headers={"Cache-Control": cache, "Content-Type": media_type})


def _built(name: str) -> Path | None:
    """Return the path of a built file. A name that the file system rejects (NUL, too long) counts as missing."""
    try:
        path = (DIST / name).resolve()
        return path if path.is_relative_to(DIST) and path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None


async def _add_page_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_PAGE_HEADERS)


@web.middleware
async def own_site(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that another site has caused. They could do nothing anyway, without a token and CORS
    permission.
    """
    if request.headers.get("Sec-Fetch-Site", "none") not in _HERE:
        raise RefusedError(Finding(Code.CROSS_SITE))
    return await handler(request)
