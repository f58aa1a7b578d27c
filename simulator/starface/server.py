"""The simulated STARFACE as one HTTP server: REST, OAuth, UCI, and a small control API for demo and tests."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from simulator.starface import rest
from simulator.starface.model import CallState, LoginType, Settings, Starface
from simulator.starface.rest import read_object
from simulator.starface.uci import Uci

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create(settings: Settings) -> web.Application:
    pbx = Starface(settings)
    uci = Uci(pbx)
    app = web.Application(middlewares=[_reachable(pbx)])
    rest.add_routes(app, pbx)
    uci.add_routes(app)
    Control(pbx, uci).add_routes(app)
    return app


def _reachable(pbx: Starface) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not pbx.settings.reachable and not request.path.startswith("/control/"):
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable
        if not request.path.startswith("/control/"):
            pbx.requests += 1
        return await handler(request)

    return middleware


class Control:
    """Everything that a test or a presenter does to the PBX. Not part of a STARFACE."""

    def __init__(self, pbx: Starface, uci: Uci) -> None:
        self._pbx = pbx
        self._uci = uci

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/control/state", self.state)
        app.router.add_patch("/control/settings", self.settings)
        app.router.add_post("/control/users", self.add_user)
        app.router.add_patch("/control/users/{login}", self.change_user)
        app.router.add_delete("/control/users/{login}", self.remove_user)
        app.router.add_post("/control/groups", self.add_group)
        app.router.add_post("/control/tokens/expire", self.expire_tokens)
        app.router.add_post("/control/uci/drop", self.drop_uci)
        app.router.add_post("/control/calls", self.ring)
        app.router.add_post("/control/calls/{call}/{act:connect|hangup}", self.act)

    async def state(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "version": self._pbx.settings.version,
                "requests": self._pbx.requests,
                "users": {
                    user.login: {"email": user.email, "permissions": sorted(user.permissions)}
                    for user in self._pbx.users.values()
                },
                "uciLogins": {
                    session.user.login: sorted(session.events) for session in self._uci.sessions.values()
                },
                "askedForCalls": dict(self._uci.asked_for_calls),
                "calls": [
                    {"id": call.id, "login": call.login, "state": call.state}
                    for call in self._pbx.calls.values()
                ],
            }
        )

    async def settings(self, request: web.Request) -> web.Response:
        body, settings = await read_object(request), self._pbx.settings
        settings.version = body.get("version", settings.version)
        settings.login_type = LoginType(body.get("loginType", settings.login_type))
        settings.oauth = body.get("oauth", settings.oauth)
        settings.reachable = body.get("reachable", settings.reachable)
        settings.uci = body.get("uci", settings.uci)
        return web.json_response({})

    async def add_user(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        user = self._pbx.add_user(
            body["login"],
            body["password"],
            body.get("firstName", ""),
            body.get("familyName", ""),
            body.get("email", ""),
            set(body.get("permissions", ())),
        )
        return web.json_response({"id": user.id}, status=201)

    async def add_group(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        group = self._pbx.add_group(body["name"], body["logins"])
        return web.json_response({"id": group.id}, status=201)

    async def change_user(self, request: web.Request) -> web.Response:
        body, user = await read_object(request), self._pbx.by_login(request.match_info["login"])
        if user is None:
            raise web.HTTPNotFound
        user.permissions = set(body.get("permissions", user.permissions))
        user.email = body.get("email", user.email)
        user.password = body.get("password", user.password)
        return web.json_response({})

    async def remove_user(self, request: web.Request) -> web.Response:
        user = self._pbx.by_login(request.match_info["login"])
        if user is None:
            raise web.HTTPNotFound
        del self._pbx.users[user.id]
        return web.json_response({})

    async def expire_tokens(self, _request: web.Request) -> web.Response:
        self._pbx.end_all_tokens()
        return web.json_response({})

    async def drop_uci(self, _request: web.Request) -> web.Response:
        """Forgets every UCI login, as a restarted PBX does."""
        self._uci.sessions.clear()
        return web.json_response({})

    async def ring(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        call = self._pbx.new_call(body["login"], body.get("callerNumber", ""), body.get("callerName", ""))
        self._uci.tell(call)
        return web.json_response({"id": call.id}, status=201)

    async def act(self, request: web.Request) -> web.Response:
        call = self._pbx.calls.get(request.match_info["call"])
        if call is None:
            raise web.HTTPNotFound
        later = (await read_object(request)).get("later") if request.can_read_body else None
        call.state = CallState.CONNECTED if request.match_info["act"] == "connect" else CallState.HANGUP
        call.timestamp = time.time() if later is None else call.started + float(later)
        if call.state is CallState.HANGUP:
            del self._pbx.calls[call.id]
        self._uci.tell(call)
        return web.json_response({})
