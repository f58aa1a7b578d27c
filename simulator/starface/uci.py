"""UCI of the simulated PBX: incoming XML-RPC requests, and outgoing call events to the callback that a login named
in its URL.
"""

import asyncio
import logging
import re
import secrets
import time
import xmlrpc.client
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import defusedxml.xmlrpc
from aiohttp import web

from simulator.starface.awkward import ASSUMED
from simulator.starface.model import Call, CallState, Starface, User
from simulator.starface.switchboard import RULES, Switchboard
from simulator.starface.telephony import Mailbox
from simulator.starface.uci_phone import METHODS, OF_V20, UciPhone, UciRequestError, waiting

defusedxml.xmlrpc.monkey_patch()
logger = logging.getLogger(__name__)

FORGOTTEN_AFTER: Final = 60.0
"""Seconds that a login lives without keepAlive. Assumed; no source states it (clients send one every 30 to 50
seconds)."""
_METHOD: Final = re.compile(r"ucp\.(v22|v30)\.requests\.(\w+\.\w+)")
_METHOD_OF_V20: Final = re.compile(
    r"ucp\.(v20)\.server\.(connection)\.(\w+)|ucp\.(v20|v30)\.server\.(communication\.call)\.(\w+)"
)
"""The vendor's SugarCRM connector also uses `v30.server.communication.call` (IAH, UcpServerProxyV30)."""
_PREFIX: Final = "de.vertico.starface."
EVENTS: Final = ("ucp.v22.events.call", "ucp.v30.events.call")
V20_EVENTS: Final = "ucp.v20.client.communication.call"
CONNECTION: Final = {
    "connection.login": "UCP.PHP, IAH PHPUnit testKeepAlive",
    "connection.logout": "UCP.PHP: always true",
    "connection.keepAlive": "UCP.PHP: false when not logged in; probe in v20",
    "system.getServerVersion": "mxhash/StarfaceCallerWorkflow",
    "service.getProvidedRequests": "tmachyshyn/StarfaceApi; form of the names assumed",
    "service.getProvidedEvents": "tmachyshyn/StarfaceApi",
    "service.providesRequests": "tmachyshyn/StarfaceApi",
    "service.providesEvents": "tmachyshyn/StarfaceApi",
    "service.subscribeEvents": "tmachyshyn/StarfaceApi",
    "service.unsubscribeEvents": "tmachyshyn/StarfaceApi",
}
"""Requests about the login itself, with their sources."""


@dataclass
class UciSession:
    user: User
    callback: str | None
    auth: str = ""
    cookie: str = field(default_factory=lambda: secrets.token_hex(16).upper())
    alive_at: float = field(default_factory=time.monotonic)
    events: set[str] = field(default_factory=set)
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    unsent: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """Pending events in order; each is sent when the previous one was delivered."""


class Uci:
    def __init__(self, pbx: Starface) -> None:
        self._pbx = pbx
        self.sessions: dict[str, UciSession] = {}
        self.asked_for_calls: Counter[str] = Counter()
        """Number of requests for calls, by login."""
        self._sending: set[asyncio.Task[None]] = set()
        self.switchboard = Switchboard(
            pbx=pbx,
            send_state=self.send_state,
            send_new=self.send_new,
            send_renamed=self.send_renamed,
            send_message=self.send_message,
        )
        self._phone = UciPhone(pbx, self.switchboard, self.struct)

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/xml-rpc", self._handle)
        app.on_shutdown.append(self._stop)

    async def _stop(self, _app: web.Application) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    def send_state(self, call: Call) -> None:
        """Send the call's state to every login of its user."""
        self._send(call.login, "receiveCallState", lambda dialect: self.struct(call, dialect))

    def send_new(self, call: Call) -> None:
        """Send the first event of a call, which may lack state and numbers."""
        if self._pbx.awkward.get("uci-first-event-without-state"):
            empty = {"state": "", "callerNumber": "", "callerName": "", "calledNumber": "", "calledName": ""}
            self._send(call.login, "receiveCallState", lambda dialect: self.struct(call, dialect) | empty)
        self.send_state(call)

    def send_renamed(self, call: Call, before: str) -> None:
        self._send(call.login, "callChangesIdEvent", lambda _dialect: {"oldId": before, "newId": call.id})

    def send_message(self, box: Mailbox) -> None:
        for user_id in box.users:
            user = self._pbx.users.get(user_id)
            if user is not None:
                self._send(
                    user.login,
                    "newMessageWaitingIndicationEvent",
                    lambda _dialect: waiting(self._pbx, box.id),
                )

    def _send(self, login: str, event: str, content: Callable[[str], dict[str, Any]]) -> None:
        for session in self.sessions.values():
            if session.user.login == login and session.callback is not None:
                for namespace in session.events:
                    dialect = namespace.split(".")[1]
                    text = xmlrpc.client.dumps((content(dialect),), methodname=f"{namespace}.{event}")
                    session.unsent.put_nowait(text)
                    self._begin_sending(session)

    def _begin_sending(self, session: UciSession) -> None:
        task = asyncio.create_task(self._send_next(session))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def reset_clients(self) -> None:
        """Inform every login that it is logged out (`connection.reset`, UCP.PHP), and drop it."""
        for session in self.sessions.values():
            if session.callback is not None:
                is_v20 = V20_EVENTS in session.events
                method = "ucp.v20.client.connection.reset" if is_v20 else "ucp.v22.events.connection.reset"
                session.unsent.put_nowait(xmlrpc.client.dumps((), methodname=method))
                self._begin_sending(session)
        self.sessions.clear()

    def struct(self, call: Call, dialect: str = "v22") -> dict[str, Any]:
        """Return a call as this dialect encodes it."""
        match self._pbx.awkward.parameter("uci-timestamps", "unit", self._pbx.awkward.get("uci-timestamps")):
            case "s":
                timestamp = str(int(call.timestamp))
            case "none":
                timestamp = ""
            case _:
                timestamp = str(int(call.timestamp * 1000))
        found = struct(call) | {"timestamp": timestamp}
        if (
            dialect == "v30"
            and call.state is CallState.PROCEEDING
            and self._pbx.awkward.get("uci-v30-outgoing")
        ):
            found["state"] = CallState.OUTGOING.value
        if dialect == "v20":
            del found["groupID"]
        return found

    async def _handle(self, request: web.Request) -> web.Response:
        awkward = self._pbx.awkward
        if awkward.get("uci-html"):
            status = int(awkward.parameter("uci-html", "status", 302))
            return web.Response(
                status=status,
                text="<html>login</html>",
                content_type="text/html",
                headers={"Location": "/login"},
            )
        user = self._user(request)
        address = request.remote or ""
        if user is None:
            self._pbx.login_refused(address, "uci")
        try:
            params, name = xmlrpc.client.loads((await request.read()).decode())
        except Exception:  # noqa: BLE001 - not XML-RPC
            return web.Response(status=400)
        dialect, method = _dialect_and_method(name or "")
        if user is None or not self._pbx.settings.uci:
            return _fault(1, "not authorised" if user is None else "UCI is off")
        if awkward.get("uci-fault"):
            return _fault(1, "UcpException")
        if not method:
            return _fault(2, f"unknown method {name}")
        self._pbx.login_accepted(address, "uci")
        return self._answer(request=request, user=user, dialect=dialect, method=method, params=params)

    def _answer(
        self, request: web.Request, user: User, dialect: str, method: str, params: tuple[Any, ...]
    ) -> web.Response:
        callback = self._callback(request)
        key = f"{user.login} {callback}"
        session = self.sessions.get(key)
        if session is not None and time.monotonic() - session.alive_at > FORGOTTEN_AFTER:
            del self.sessions[key]
            session = None
        match method:
            case "system.getServerVersion":
                return _value(self._pbx.settings.version)
            case "connection.login":
                session = self.sessions[key] = UciSession(
                    user, callback, request.query.get(f"{_PREFIX}auth", "")
                )
                answer = _value(True)
                attributes = self._pbx.awkward.parameter("uci-cookie", "attributes", "Path=/")
                answer.headers["Set-Cookie"] = f"JSESSIONID={session.cookie}; {attributes}"
                return answer
            case "connection.logout":
                self.sessions.pop(key, None)
                return _value(True)  # always (UCP.PHP)
        wants_cookie = bool(self._pbx.awkward.get("uci-cookie"))
        if wants_cookie and session is not None and request.cookies.get("JSESSIONID") != session.cookie:
            return _fault(3, "UcpNotConnectedException")
        if session is None or self._pbx.awkward.get("uci-keep-alive"):
            return _value(False) if method == "connection.keepAlive" else _fault(3, "not logged in")
        session.alive_at = time.monotonic()
        return self._answer_session(session=session, dialect=dialect, method=method, params=params)

    def _answer_session(
        self, session: UciSession, dialect: str, method: str, params: tuple[Any, ...]
    ) -> web.Response:
        offered = self._pbx.awkward.parameter("uci-events", "events", EVENTS)
        match method:
            case "connection.keepAlive":
                return _value(True)
            case "service.getProvidedEvents":
                return _value(list(offered))
            case "service.getProvidedRequests":
                return _value(list(self._pbx.awkward.parameter("uci-requests", "requests", PROVIDED)))
            case "service.providesEvents" if params:
                return _value(params[0] in offered)
            case "service.providesRequests" if params:
                return _value(params[0] in PROVIDED)
            case "service.subscribeEvents" if params and params[0] in offered:
                session.events.add(str(params[0]))
                return _value(True)
            case "service.unsubscribeEvents" if params:
                session.events.discard(str(params[0]))
                return _value(True)
            case "connection.setProvidedServices" if params and isinstance(params[0], list):
                # A client of v20 receives the events that it offers (UCP.PHP).
                session.events = {V20_EVENTS} if V20_EVENTS in params[0] else set()
                return _value(True)
            case "call.getCallIds":
                self.asked_for_calls[session.user.login] += 1
        try:
            return _value(
                self._phone.answer(user=session.user, dialect=dialect, method=method, params=params)
            )
        except UciRequestError as refused:
            return _fault(refused.code, str(refused))

    def _user(self, request: web.Request) -> User | None:
        query = request.query
        if jwt := query.get(f"{_PREFIX}jwt"):
            return self._pbx.user_of_token(jwt) if self._pbx.settings.oauth else None
        return self._pbx.user_of_uci(query.get(f"{_PREFIX}auth", ""), query.get(f"{_PREFIX}user"))

    @staticmethod
    def _callback(request: web.Request) -> str | None:
        query = request.query
        host, port = query.get(f"{_PREFIX}callback.host"), query.get(f"{_PREFIX}callback.port")
        if not host or not port:
            return None
        scheme = query.get(f"{_PREFIX}callback.type", "http")
        return f"{scheme}://{host}:{port}/{query.get(f'{_PREFIX}callback.path', '').lstrip('/')}"

    async def _send_next(self, session: UciSession) -> None:
        async with session.sending:
            text = session.unsent.get_nowait()
            encoding = self._pbx.awkward.parameter("uci-event-encoding", "encoding", None)
            body = (
                f"<?xml version='1.0' encoding='{encoding}'?>\n{text}".encode(encoding)
                if encoding
                else text.encode()
            )
            # The PBX appends the event's user to the callback URL (UcpServerEventsAdapter, ESPO).
            query = {f"{_PREFIX}user": session.user.login, f"{_PREFIX}auth": session.auth}
            try:
                async with (
                    aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http,
                    http.post(
                        session.callback or "", params=query, data=body, headers={"Content-Type": "text/xml"}
                    ),
                ):
                    pass
            except (aiohttp.ClientError, TimeoutError):
                logger.warning("event not delivered to %s", session.callback)


PROVIDED: Final = tuple(
    f"ucp.{dialect}.requests.{service}"
    for dialect in ("v22", "v30")
    for service in sorted({name.partition(".")[0] for name in (*METHODS, *CONNECTION)})
)
"""The services whose requests the system offers, with the names of `getProvidedRequests`."""


def behaviours() -> list[dict[str, str]]:
    """List every UCI request and every call rule, with its source."""
    return [
        *(
            {"name": f"uci {name}", "what": "request", "source": source}
            for name, source in CONNECTION.items()
        ),
        *({"name": f"uci {name}", "what": "request", "source": one.source} for name, one in METHODS.items()),
        *({"name": f"call {name}", "what": one.what, "source": one.source} for name, one in RULES.items()),
        {
            "name": "uci faults",
            "what": "1 not authorised, 2 unknown, 3 not connected, 4 no right",
            "source": ASSUMED,
        },
    ]


def _dialect_and_method(name: str) -> tuple[str, str]:
    """Split a method name into dialect and method, such as ("v22", "call.getCallIds"); empty for an unknown name.
    Dialects may be mixed in one login (MXH, IAH).
    """
    if matched := _METHOD.fullmatch(name):
        return matched[1], matched[2]
    if matched := _METHOD_OF_V20.fullmatch(name):
        dialect, service, method = filter(None, matched.groups())
        if service == "communication.call":
            return dialect, OF_V20.get(method, "")
        return dialect, "connection.keepAlive" if method == "probe" else f"connection.{method}"
    return "", ""


def struct(call: Call) -> dict[str, Any]:
    return {
        "id": call.id,
        "state": call.state.value,
        "timestamp": str(int(call.timestamp * 1000)),
        "callerNumber": call.caller_number,
        "callerName": call.caller_name,
        "calledNumber": call.called_number,
        "calledName": call.called_name,
        "groupID": call.group_id,
    }


def _value(value: Any) -> web.Response:
    return web.Response(text=xmlrpc.client.dumps((value,), methodresponse=True), content_type="text/xml")


def _fault(code: int, words: str) -> web.Response:
    return web.Response(text=xmlrpc.client.dumps(xmlrpc.client.Fault(code, words)), content_type="text/xml")
