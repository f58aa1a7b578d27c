"""The HTTP server of the connector's pages: entrance, languages, static files; the pages themselves are added to it."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import Final

from aiohttp import web

from connector.errors import ConnectorError
from connector.site.pages import LANGUAGE, STATIC, has_text, render, static_file, text
from connector.site.security import (
    CSRF,
    SESSION,
    Door,
    Handler,
    Session,
    check_csrf,
    cookie_name,
    set_cookie,
)
from core.language import Language

logger = logging.getLogger(__name__)

MAX_BODY: Final = 600_000
"""Fifty licence keys of the largest size."""
FORM: Final = "application/x-www-form-urlencoded"
BODY_SECONDS: Final = 30.0
"""How long the body of a request may take."""
LANGUAGE_COOKIE: Final = "pbx_connector_language"
PageHandler = Callable[[web.Request, Session], Awaitable[web.StreamResponse]]


class Site:
    """One site. `command` is what a person runs to get a new one-time link."""

    def __init__(self, door: Door, command: str) -> None:
        self.door = door
        self._command = command
        self.app = web.Application(
            middlewares=[_language, door.middleware(), _plain_faults], client_max_size=MAX_BODY
        )
        self.app.router.add_get("/", self._entry)
        self.app.router.add_get("/start/{ticket}", self._start)
        self.app.router.add_post("/sign-in", self._sign_in)
        for name, kind in (("site.css", "text/css"), ("site.js", "text/javascript")):
            self.app.router.add_get(f"{STATIC}{name}", _static(name, kind))
        self.post("leave", self._leave)

    def get(self, path: str, handler: PageHandler, *, is_person: bool = True) -> None:
        """Add a page below the session's own path. `is_person`: asking for it prolongs the session."""
        self.app.router.add_get(f"/{{space}}/{path}", self._inside(handler, is_person=is_person))

    def post(self, path: str, handler: PageHandler) -> None:
        """Add an action. It is refused unless the form carries the session's token."""
        self.app.router.add_post(f"/{{space}}/{path}", self._inside(handler, is_person=True))

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> "Listening":
        """Open the site. Raises `ConnectorError` if the address cannot be opened."""
        runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as fault:
            await runner.cleanup()
            raise ConnectorError(
                f"the page cannot listen on {host}, port {port}: {fault.strerror}"
            ) from fault
        return Listening(runner, runner.addresses[0][1])

    def _inside(self, handler: PageHandler, *, is_person: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            cookie = request.cookies.get(cookie_name(request), "")
            session = self.door.session(request.match_info["space"], cookie, is_person=is_person)
            if session is None:
                return self._entry_page(request, "entry.ended", status=401)
            request[SESSION] = session
            if request.method == "POST":
                form = await _read_form(request)
                if not check_csrf(session, form.get(CSRF)):
                    logger.warning("audit: a form without the token of its session was refused")
                    return self._entry_page(request, "error.forbidden", status=403)
            return await handler(request, session)

        return handle

    async def _entry(self, request: web.Request) -> web.Response:
        return self._entry_page(request)

    def _entry_page(
        self, request: web.Request, message: str | None = None, *, status: int = 200, **values: object
    ) -> web.Response:
        shown = text(request[LANGUAGE], message, **values) if message is not None else None
        return render(
            request,
            "entry.html",
            None,
            status=status,
            message=shown,
            takes_password=self.door.is_network,
            command=self._command,
        )

    async def _start(self, request: web.Request) -> web.StreamResponse:
        if self.door.is_network:
            raise web.HTTPNotFound
        entered = self.door.enter_with_ticket(request.match_info["ticket"])
        if entered is None:
            return self._entry_page(request, "entry.link-used", status=403)
        return self._enter(request, *entered)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        if not self.door.is_network:
            raise web.HTTPNotFound
        if (wait := self.door.password_wait()) > 0:
            answer = self._entry_page(request, "entry.throttled", status=429, minutes=ceil(wait / 60))
            answer.headers["Retry-After"] = str(ceil(wait))
            return answer
        password = (await _read_form(request)).get("password")
        entered = self.door.enter_with_password(password[:200] if isinstance(password, str) else "")
        if entered is None:
            return self._entry_page(request, "entry.wrong", status=403)
        return self._enter(request, *entered)

    @staticmethod
    def _enter(request: web.Request, session: Session, cookie: str) -> web.Response:
        response = see_other(session, "")
        set_cookie(request, response, session, cookie)
        return response

    async def _leave(self, request: web.Request, session: Session) -> web.StreamResponse:
        self.door.leave(session)
        response = web.Response(status=303, headers={"Location": "/"})
        response.del_cookie(cookie_name(request), path=f"/{session.space}/")
        return response


def see_other(session: Session, path: str) -> web.Response:
    """Send the browser to a page of the session."""
    return web.Response(status=303, headers={"Location": f"/{session.space}/{path}"})


async def form_texts(request: web.Request) -> dict[str, str]:
    """Return the texts of a form by field, without files."""
    return {name: value for name, value in (await _read_form(request)).items() if isinstance(value, str)}


async def _read_form(request: web.Request) -> Mapping[str, object]:
    """Read the form of a request. A body of another kind than the pages send is refused, and so is one that comes too
    slowly.
    """
    if request.body_exists and request.content_type != FORM:
        raise web.HTTPUnsupportedMediaType(headers={"Connection": "close"})
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.post()
    except TimeoutError:
        raise web.HTTPRequestTimeout(headers={"Connection": "close"}) from None


class Listening:
    """An open site."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        self._runner = runner
        self.port = port

    async def stop(self) -> None:
        await self._runner.cleanup()


@web.middleware
async def _language(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Choose the language: by the switch on the page, else by the browser's preference."""
    chosen = Language.named(request.query.get("lang"))
    kept = Language.named(request.cookies.get(LANGUAGE_COOKIE))
    request[LANGUAGE] = chosen or kept or Language.of(request.headers.get("Accept-Language"))
    response = await handler(request)
    if chosen is not None:
        response.set_cookie(LANGUAGE_COOKIE, chosen.value, path="/", samesite="Strict", httponly=True)
    return response


@web.middleware
async def _plain_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Show an error of this machine as such, and nothing of a programming error."""
    try:
        return await handler(request)
    except ConnectorError as fault:
        return _fault(request, 500, str(fault))
    except web.HTTPRequestEntityTooLarge:
        return _fault(request, 413, "error.too-large")
    except (web.HTTPException, asyncio.CancelledError):
        raise
    except Exception:
        logger.exception("a page failed")
        return web.Response(status=500, text="The page failed; see the log of the connector.\n")


def _fault(request: web.Request, status: int, words: str) -> web.Response:
    language = request[LANGUAGE]
    shown = text(language, words) if has_text(language, words) else words
    return render(
        request, "plain.html", None, status=status, title=text(language, "setup.problem"), text=shown
    )


def _static(name: str, kind: str) -> Handler:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(text=static_file(name), content_type=kind)

    return handle
