"""Awkward behaviours of a real STARFACE, its network or its administrator that a well-behaved simulator would not
show.

`PUT /control/awkward` switches one behaviour on or off, `GET` lists all of them, each with the source that states it or
the word "assumed". `PUT /control/answers` replaces single answers, for cases that are not in the list.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

ASSUMED: Final = "assumed"
_KNOWLEDGE_BASE: Final = "knowledge.starface.de, Black- und Whitelist konfigurieren (33786529)"
_IAHCTI: Final = "visual4/iahcti, texts and code of STARFACE GmbH"
_PROJEKTZEIT: Final = "ProjektZeit, starface_calls.py (STARFACE 10)"
_STARCLX: Final = "StarCLX, live against 10.0.2.6"
_SFWIKI: Final = "Fabian95qw, SFWiki"


@dataclass(frozen=True, slots=True)
class Behaviour:
    what: str
    source: str = ASSUMED
    default: Any = None
    """None means that it is off."""


CATALOGUE: Final[Mapping[str, Behaviour]] = {
    # The whole system
    "redirect": Behaviour(
        "Redirects every request to https; {status: 301, 302, 307, 308, location: address of the target}"
    ),
    "html": Behaviour("Answers everything with an HTML page; {status}"),
    "slow": Behaviour("Answers everything after so many seconds; {seconds}"),
    "hang": Behaviour("Takes requests and never answers"),
    "cut": Behaviour("Cuts the connection in the middle of each answer's body"),
    "encoding": Behaviour(
        "Sends texts in another encoding without saying so; {encoding: iso-8859-1, utf-16}"
    ),
    "content-type": Behaviour("Says another content type; {type: text/plain}"),
    # Logins
    "blacklist": Behaviour(
        "Ignores an address after so many refused logins, for a time; a good login keeps it off the list for a day;"
        " {failures: 5, seconds: 600}",
        _KNOWLEDGE_BASE,
    ),
    "login-type": Behaviour("GET /login returns this loginType instead of its own; {type}", _IAHCTI),
    "login-status": Behaviour("POST /login answers this status; {status: 423, 429, 500}"),
    "login-without-token": Behaviour("POST /login answers 200 with an object that has no token"),
    "login-without-nonce": Behaviour("GET /login gives no nonce"),
    "token-requests": Behaviour("A token dies after so many requests; {requests: 3}"),
    "one-token": Behaviour("A user's new token ends the ones before"),
    # OAuth
    "oauth-token": Behaviour("Changes members of the token answer; {expires_in: null, access_token: null}"),
    "oauth-refresh-with-scope": Behaviour("Refuses a refresh without scope", "the simulator's own past"),
    "oauth-refresh-refused": Behaviour(
        "Refuses every refresh token, as after the session at the PBX has ended"
    ),
    "oauth-rotation": Behaviour("A refresh token is good once", "RFC 9700, section 4.14.2"),
    "oauth-endpoint": Behaviour("Discovery names this token endpoint; {url}"),
    "cloud": Behaviour(
        "The PBX is connected to the cloud: no classic login, and discovery names an edgeNodeId, or leads elsewhere;"
        " {location: address that discovery redirects to, discovery: false for none at all}",
        f"{_SFWIKI}; {_STARCLX}, sf-auth",
    ),
    # Records
    "version": Behaviour("GET /server/version answers this; {answer: any JSON, status}", _STARCLX),
    "users": Behaviour("Adds these records to GET /users as they are; {records}"),
    "users-paged": Behaviour("GET /users answers an object that holds the list"),
    "users-without-own": Behaviour("GET /users leaves the asking user out"),
    "own-login-case": Behaviour("GET /users writes the logins in capitals"),
    "holders": Behaviour("Adds these records to GET /permissions/{id}/users as they are; {records}"),
    "permissions": Behaviour("Adds these records to GET /permissions as they are; {records}"),
    "permission-names": Behaviour(
        "The names of permissions are in this language; {language: en}",
        f"{_STARCLX}: API access with Password Grant",
    ),
    "permission-suffix": Behaviour("Permission names end in these characters; {suffix: blank, NBSP}"),
    "forbidden": Behaviour(
        "These paths answer 403; {paths: regular expressions}",
        'docs/facts/starface.md, "Users, permissions, version"',
    ),
    "missing": Behaviour("These paths answer 404; {paths: regular expressions}"),
    "failing": Behaviour("These paths answer 500; {paths: regular expressions}"),
    # UCI
    "uci-fault": Behaviour("Every UCI call ends in a fault", "UCP.PHP: UcpException"),
    "uci-html": Behaviour("UCI redirects to an HTML login page; {status: 302}", _PROJEKTZEIT),
    "uci-encoding": Behaviour("UCI answers and events are in this encoding; {encoding}"),
    "uci-events": Behaviour("UCI offers these event services alone; {events}"),
    "uci-requests": Behaviour("getProvidedRequests names these alone, the others work still; {requests}"),
    "uci-cookie": Behaviour(
        "UCI wants the JSESSIONID cookie that its login set; {attributes: of the cookie, for instance Path=/xml-rpc}",
        _PROJEKTZEIT,
    ),
    "uci-keep-alive": Behaviour(
        "keepAlive answers false, as after a restart", "UCP.PHP, IAH PHPUnit testKeepAlive"
    ),
    "uci-ad-token": Behaviour(
        "With ActiveDirectory UCI takes this token; {token: base64, sha512, both}",
        f"{_IAHCTI}; {_SFWIKI}",
        "base64",
    ),
    "uci-first-event-without-state": Behaviour(
        "The first event of a call has no state and no numbers yet", f"{_IAHCTI}; ESPO, SPICE", default=True
    ),
    "uci-own-leg-rings": Behaviour(
        "A call that was asked for rings at the own phone first, and events say so: RINGING on the own leg",
        default=True,
    ),
    "uci-v30-outgoing": Behaviour(
        "Events of v30 say OUTGOING where those of v22 say PROCEEDING", default=True
    ),
    "right-missing": Behaviour(
        "REST answers this when the user lacks a right of the telephone; {status: 403, 404, 500}"
    ),
    "uci-timestamps": Behaviour("Times of events; {unit: ms, s, none}", ASSUMED, "ms"),
    "uci-event-encoding": Behaviour("Events are sent in this encoding; {encoding}"),
}


@dataclass(slots=True)
class Answer:
    """An answer to give instead of the PBX's own."""

    path: re.Pattern[str]
    method: str | None
    status: int
    body: bytes
    headers: dict[str, str]
    seconds: float
    hang: bool
    cut: bool
    times: int
    """How many more times to give it; negative means always."""
    contains: bytes = b""
    """Text that the request's body must contain; for UCI, the method's name."""

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> "Answer":
        body = rule.get("body", "")
        if "bodyBase64" in rule:
            content = base64.b64decode(rule["bodyBase64"])
        elif isinstance(body, str):
            content = body.encode("utf-8", "surrogatepass")
        else:
            content = web.json_response(body).body or b""  # type: ignore[assignment]
        return cls(
            re.compile(rule["path"]),
            rule.get("method"),
            int(rule.get("status", 200)),
            content,
            {"Content-Type": "application/json", **rule.get("headers", {})},
            float(rule.get("seconds", 0)),
            bool(rule.get("hang")),
            bool(rule.get("cut")),
            int(rule.get("times", -1)),
            str(rule.get("contains", "")).encode(),
        )

    def takes(self, request: web.Request, body: bytes) -> bool:
        return (
            self.times != 0
            and self.contains in body
            and self.method in (None, request.method)
            and self.path.search(request.path) is not None
        )

    async def give(self, request: web.Request) -> web.StreamResponse:
        self.times -= 1
        if self.hang:
            await never(request)
        await asyncio.sleep(self.seconds)
        if self.cut:
            return await _cut_short(request, self.body, self.status)
        return web.Response(status=self.status, body=self.body, headers=self.headers)


def _defaults() -> dict[str, Any]:
    return {name: one.default for name, one in CATALOGUE.items() if one.default is not None}


@dataclass(slots=True)
class Awkward:
    """The behaviours that are switched on, with their parameters."""

    answers: list[Answer] = field(default_factory=list)
    _on: dict[str, Any] = field(default_factory=_defaults)

    def get(self, name: str) -> Any:
        """Return the parameters of a behaviour; None if it is off."""
        if name not in CATALOGUE:
            raise LookupError(name)
        return self._on.get(name)

    def put(self, name: str, on: Any) -> None:
        """Switch a behaviour. `on` is true, false, or the behaviour's parameters. Raises `LookupError` for an
        unknown name.
        """
        if name not in CATALOGUE:
            raise LookupError(name)
        if on is False or on is None:
            self._on.pop(name, None)
        else:
            self._on[name] = on

    def reset(self) -> None:
        self.answers.clear()
        self._on = _defaults()

    def parameter(self, name: str, member: str, default: Any) -> Any:
        """Return one parameter of a behaviour that is on; `default` if it is not set."""
        on = self.get(name)
        if isinstance(on, Mapping):
            return on.get(member, default)
        return default

    def listed(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "what": one.what, "source": one.source, "on": self._on.get(name, False)}
            for name, one in CATALOGUE.items()
        ]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def middleware(awkward: Awkward) -> Any:
    """Apply behaviours that affect a whole answer, from any part of the PBX."""

    @web.middleware
    async def awkwardly(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/control/"):
            return await handler(request)
        body = await request.read() if any(answer.contains for answer in awkward.answers) else b""
        for answer in awkward.answers:
            if answer.takes(request, body):
                return await answer.give(request)
        if awkward.get("hang"):
            await never(request)
        if awkward.get("slow"):
            await asyncio.sleep(float(awkward.parameter("slow", "seconds", 15)))
        if awkward.get("redirect"):
            location = awkward.parameter("redirect", "location", f"https://{request.host}")
            status = int(awkward.parameter("redirect", "status", 302))
            return web.Response(status=status, headers={"Location": f"{location}{request.path_qs}"})
        if awkward.get("html"):
            return _page(int(awkward.parameter("html", "status", 200)))
        for name, status in (("forbidden", 403), ("missing", 404), ("failing", 500)):
            if any(re.search(path, request.path) for path in _paths(awkward, name)):
                return web.json_response({"code": name.upper(), "message": name}, status=status)
        response = await handler(request)
        return await _changed(awkward, request, response)

    return awkwardly


def _paths(awkward: Awkward, name: str) -> Sequence[str]:
    return awkward.parameter(name, "paths", ()) if awkward.get(name) else ()


async def _changed(
    awkward: Awkward, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    name = "uci-encoding" if request.path == "/xml-rpc" else "encoding"
    if awkward.get(name):
        text = response.body.decode()
        encoding = awkward.parameter(name, "encoding", "iso-8859-1")
        response = web.Response(
            status=response.status,
            body=text.encode(encoding, "replace"),
            headers={"Content-Type": response.headers.get("Content-Type", "application/json").split(";")[0]},
        )
    if awkward.get("content-type"):
        response.headers["Content-Type"] = awkward.parameter("content-type", "type", "text/plain")
    if awkward.get("cut") and isinstance(response.body, bytes):
        return await _cut_short(request, response.body, response.status)
    return response


async def _cut_short(request: web.Request, body: bytes, status: int) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    response.content_length = len(body) + 1
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response


async def never(request: web.Request) -> None:
    """Wait until the other side gives up, as behind a firewall that drops packets."""
    # aiohttp has no other way to inform a handler of a lost connection.
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    raise web.HTTPServiceUnavailable


def _page(status: int) -> web.Response:
    return web.Response(
        status=status, text="<html><body><h1>STARFACE</h1></body></html>", content_type="text/html"
    )
