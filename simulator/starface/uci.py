"""UCI of the simulated PBX: XML-RPC in, call events out to the callback that a login named in its address."""

import asyncio
import logging
import re
import time
import xmlrpc.client
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import defusedxml.xmlrpc
from aiohttp import web

from simulator.starface.model import Call, CallState, Starface, User

defusedxml.xmlrpc.monkey_patch()
logger = logging.getLogger(__name__)

FORGOTTEN_AFTER: Final = 60.0
_METHOD: Final = re.compile(r"ucp\.(v20|v21|v22|v30)\.requests\.(\w+)\.(\w+)")
_PREFIX: Final = "de.vertico.starface."
EVENTS: Final = ("ucp.v22.events.call", "ucp.v30.events.call")


@dataclass
class UciSession:
    user: User
    callback: str | None
    alive_at: float = field(default_factory=time.monotonic)
    events: set[str] = field(default_factory=set)
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    unsent: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """Events in their order, each sent when the one before was taken."""


class Uci:
    def __init__(self, pbx: Starface) -> None:
        self._pbx = pbx
        self.sessions: dict[str, UciSession] = {}
        self.asked_for_calls: Counter[str] = Counter()
        """How often each login asked for its calls."""
        self._sending: set[asyncio.Task[None]] = set()

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/xml-rpc", self._handle)

    def tell(self, call: Call) -> None:
        """Tells every login of the call's own user."""
        for session in self.sessions.values():
            if session.user.login == call.login and session.callback is not None:
                for namespace in session.events:
                    method = f"{namespace}.receiveCallState"
                    session.unsent.put_nowait(xmlrpc.client.dumps((struct(call),), methodname=method))
                    task = asyncio.create_task(self._send_next(session))
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)

    async def _handle(self, request: web.Request) -> web.Response:
        user = self._user(request)
        try:
            params, name = xmlrpc.client.loads((await request.read()).decode())
        except Exception:  # noqa: BLE001 - not XML-RPC
            return web.Response(status=400)
        matched = _METHOD.fullmatch(name or "")
        if user is None or not self._pbx.settings.uci:
            return _fault(1, "not authorised" if user is None else "UCI is off")
        if matched is None:
            return _fault(2, f"unknown method {name}")
        return self._answer(request, user, f"{matched[2]}.{matched[3]}", params)

    def _answer(self, request: web.Request, user: User, method: str, params: tuple[Any, ...]) -> web.Response:
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
                self.sessions[key] = UciSession(user, callback)
                return _value(True)
            case "connection.logout":
                return _value(self.sessions.pop(key, None) is not None)
        if session is None:
            return _value(False) if method == "connection.keepAlive" else _fault(3, "not logged in")
        session.alive_at = time.monotonic()
        return self._answer_session(session, method, params)

    def _answer_session(self, session: UciSession, method: str, params: tuple[Any, ...]) -> web.Response:
        own = {call.id: call for call in self._pbx.calls.values() if call.login == session.user.login}
        match method:
            case "connection.keepAlive":
                return _value(True)
            case "service.getProvidedEvents":
                return _value(list(EVENTS))
            case "service.subscribeEvents" if params and params[0] in EVENTS:
                session.events.add(str(params[0]))
                return _value(True)
            case "service.unsubscribeEvents" if params:
                session.events.discard(str(params[0]))
                return _value(True)
            case "call.getCallIds":
                self.asked_for_calls[session.user.login] += 1
                return _value(list(own))
            case "call.getCallState" if params and params[0] in own:
                return _value(struct(own[params[0]]))
            case "call.hangupCall" if params and params[0] in own:
                call = own[params[0]]
                call.state = CallState.HANGUP
                self.tell(call)
                del self._pbx.calls[call.id]
                return _value(True)
        return _fault(2, f"unknown method or call: {method}")

    def _user(self, request: web.Request) -> User | None:
        query = request.query
        if jwt := query.get(f"{_PREFIX}jwt"):
            return self._pbx.user_of_token(jwt) if self._pbx.settings.oauth else None
        return self._pbx.user_of_uci(query.get(f"{_PREFIX}user", ""), query.get(f"{_PREFIX}auth", ""))

    @staticmethod
    def _callback(request: web.Request) -> str | None:
        query = request.query
        host, port = query.get(f"{_PREFIX}callback.host"), query.get(f"{_PREFIX}callback.port")
        if not host or not port:
            return None
        scheme = query.get(f"{_PREFIX}callback.type", "http")
        return f"{scheme}://{host}:{port}/{query.get(f'{_PREFIX}callback.path', '').lstrip('/')}"

    @staticmethod
    async def _send_next(session: UciSession) -> None:
        async with session.sending:
            body = session.unsent.get_nowait()
            try:
                async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
                    await http.post(session.callback or "", data=body, headers={"Content-Type": "text/xml"})
            except (aiohttp.ClientError, TimeoutError):
                logger.warning("event not delivered to %s", session.callback)


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
