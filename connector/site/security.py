"""Who may see the connector's pages.

Any web page that is open in a browser of this machine can send requests to loopback, and any other program here can
listen on another port. So each request must name an own host (no DNS rebinding), each change must come from an own page
(Origin, and a token of the session), and a session has a secret path besides its cookie, because cookies are shared by
all ports of a host.
"""

import hashlib
import hmac
import ipaddress
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from connector.errors import ConnectorError
from connector.state import ConnectorState
from wire.hosts import is_loopback

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 30 * 60.0
"""A session ends after this time without a request of a person."""
WHOLE_SECONDS: Final = 8 * 3600.0
"""A session ends after this time in any case."""
TICKET_SECONDS: Final = 15 * 60.0
"""How long a one-time link is valid."""
WRONG_PASSWORDS: Final = 5
WRONG_WINDOW_SECONDS: Final = 600.0
"""After this many wrong passwords within this time, none is checked until the oldest is older than that. The password is
long and random, so this keeps out nobody for longer than it must."""
MAX_SESSIONS: Final = 20
PASSWORD_FILE: Final = "page-password"  # noqa: S105 - the name of a file
TICKET_FILE: Final = "page-ticket"
CSRF: Final = "csrf"
_COOKIE: Final = "pbx_connector"
_SAFE: Final = frozenset({"GET", "HEAD"})
HEADERS: Final[Mapping[str, str]] = {
    "Server": "pbx-connector",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    # Not "no-referrer": a form would then send "Origin: null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(slots=True)
class Session:
    """One signed-in browser. `data` belongs to the pages."""

    cookie_digest: str
    begun: float
    used: float
    space: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    """The first part of the path of every page of this session."""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))


SESSION: Final = web.RequestKey("session", Session)
NONCE: Final = web.RequestKey("nonce", str)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Door:
    """Tickets (one-time links), the password, and the sessions of one site."""

    def __init__(
        self,
        state: ConnectorState | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        is_network: bool = False,
    ) -> None:
        """`state` has the password and the tickets of other processes. `is_network`: the site is not on loopback."""
        self._state = state
        self._clock = clock
        self.is_network = is_network
        self._tickets: dict[str, float] = {}
        self._sessions: dict[str, Session] = {}
        self._wrong: list[float] = []
        self._names = own_names() if is_network else frozenset()

    # Entering

    def new_ticket(self) -> str:
        """Return the secret of a new one-time link."""
        ticket = secrets.token_urlsafe(32)
        self._tickets = {one: until for one, until in self._tickets.items() if until > self._clock()}
        self._tickets[_digest(ticket)] = self._clock() + TICKET_SECONDS
        return ticket

    def enter_with_ticket(self, ticket: str) -> tuple[Session, str] | None:
        """Return a new session and its cookie, or None if the ticket is unknown, used or too old."""
        until = self._tickets.pop(_digest(ticket), None)
        if until is not None and until > self._clock():
            return self._begin("one-time link")
        if self._state is not None and take_ticket(self._state, ticket):
            return self._begin("one-time link")
        logger.warning("a one-time link of the page was refused")
        return None

    def password_wait(self) -> float:
        """Return the seconds until a password is checked again; 0 means now."""
        now = self._clock()
        self._wrong = [at for at in self._wrong if now - at < WRONG_WINDOW_SECONDS]
        if len(self._wrong) < WRONG_PASSWORDS:
            return 0.0
        return self._wrong[-WRONG_PASSWORDS] + WRONG_WINDOW_SECONDS - now

    def enter_with_password(self, password: str) -> tuple[Session, str] | None:
        """Return a new session and its cookie, or None if the password is wrong. Call `password_wait` first."""
        stored = self._state.read(PASSWORD_FILE).decode("ascii", "ignore").strip() if self._state else ""
        if stored and hmac.compare_digest(_digest(password.strip()), stored):
            self._wrong.clear()
            return self._begin("password")
        self._wrong.append(self._clock())
        logger.warning("a wrong password for the page")
        return None

    def _begin(self, way: str) -> tuple[Session, str]:
        cookie, now = secrets.token_urlsafe(32), self._clock()
        session = Session(cookie_digest=_digest(cookie), begun=now, used=now)
        self._drop_old()
        while len(self._sessions) >= MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[session.space] = session
        logger.info("audit: somebody opened the page", extra={"way": way})
        return session, cookie

    # Staying

    def session(self, space: str, cookie: str, *, is_person: bool = True) -> Session | None:
        """Return the session of a request, or None. `is_person`: the request prolongs it; a script's poll does not."""
        self._drop_old()
        found = self._sessions.get(space)
        if found is None or not hmac.compare_digest(_digest(cookie), found.cookie_digest):
            return None
        if is_person:
            found.used = self._clock()
        return found

    def leave(self, session: Session) -> None:
        self._sessions.pop(session.space, None)
        logger.info("audit: somebody left the page")

    def _drop_old(self) -> None:
        now = self._clock()
        for one in list(self._sessions.values()):
            if now - one.used > IDLE_SECONDS or now - one.begun > WHOLE_SECONDS:
                self._sessions.pop(one.space)
                logger.info("audit: a session of the page has ended by itself")

    # Checking requests

    def is_own_host(self, host: str) -> bool:
        """Return whether a Host header names this site.

        A website can let its own name point to this machine (DNS rebinding); its requests then carry that name. An
        address cannot be rebound.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if is_loopback(name):
            return True
        return self.is_network and (name.lower() in self._names or _is_address(name))

    def is_own_origin(self, request: web.Request) -> bool:
        """Return whether a request was made by a page of this site."""
        origin = request.headers.get("Origin")
        scheme = "https" if request.secure else "http"
        if origin is not None:
            return origin == f"{scheme}://{request.headers.get('Host', '')}"
        return request.headers.get("Sec-Fetch-Site") == "same-origin"

    def middleware(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            request[NONCE] = secrets.token_urlsafe(16)
            try:
                response = await self._checked(request, handler)
            except web.HTTPException as answer:
                response = answer
            response.headers.update(HEADERS)
            response.headers["Content-Security-Policy"] = policy(request[NONCE])
            if isinstance(response, web.HTTPException):
                raise response
            return response

        return check

    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self.is_own_host(request.headers.get("Host", "")):
            return web.Response(status=421, text="This page has another address.\n")
        if request.method not in _SAFE and not self.is_own_origin(request):
            logger.warning("audit: a request from another web page was refused")
            return web.Response(status=403, text="This request comes from another web page.\n")
        if request.headers.get("Sec-Fetch-Dest", "document") in ("iframe", "frame", "embed", "object"):
            return web.Response(status=403, text="This page is not shown inside another one.\n")
        return await handler(request)


def policy(nonce: str) -> str:
    """Return the Content-Security-Policy of a page: nothing but its own style sheet, one script and its own forms."""
    return (
        f"default-src 'none'; style-src 'self'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


def cookie_name(request: web.Request) -> str:
    """Return the name of the session's cookie; with TLS the browser guarantees that no other site has set it."""
    return f"__Secure-{_COOKIE}" if request.secure else _COOKIE


def set_cookie(request: web.Request, response: web.StreamResponse, session: Session, cookie: str) -> None:
    response.set_cookie(
        cookie_name(request),
        cookie,
        path=f"/{session.space}/",
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )


def check_csrf(session: Session, given: object) -> bool:
    """Return whether a form carries the token of its session."""
    return isinstance(given, str) and hmac.compare_digest(given.encode(), session.csrf.encode())


def own_names() -> frozenset[str]:
    """Return the names of this machine."""
    names = {socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower().rstrip(".") for name in names if name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def new_password(state: ConnectorState) -> str:
    """Make the password for the page and store its digest; return it. Raises `ConnectorError`.

    It has 100 random bits, so a plain digest is as good as a slow one.
    """
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    letters = "".join(secrets.choice(alphabet) for _ in range(20))
    password = "-".join(letters[at : at + 5] for at in range(0, 20, 5))
    state.write(PASSWORD_FILE, _digest(password).encode() + b"\n")
    return password


def leave_ticket(state: ConnectorState) -> str:
    """Leave a ticket for the running connector in its state directory, and return the secret of the link.

    Only somebody who may write there can do that. Raises `ConnectorError`.
    """
    ticket = secrets.token_urlsafe(32)
    state.write(TICKET_FILE, f"{_digest(ticket)} {time.time() + TICKET_SECONDS:.0f}\n".encode())
    return ticket


def take_ticket(state: ConnectorState, ticket: str) -> bool:
    """Use a ticket that another process has left. It is deleted before it counts."""
    try:
        digest, _, until = state.read(TICKET_FILE).decode("ascii", "ignore").strip().partition(" ")
        if not digest or not hmac.compare_digest(digest, _digest(ticket)):
            return False
        (state.directory / TICKET_FILE).unlink()
        return float(until) > time.time()
    except (ConnectorError, OSError, ValueError):
        return False
