"""The simulated STARFACE as one HTTP server: REST, OAuth, UCI, and a small control API for demo and tests."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from simulator.starface import awkward, company, rest, uci
from simulator.starface.awkward import Answer
from simulator.starface.model import Call, LoginType, Settings, Starface, User
from simulator.starface.rest import read_object
from simulator.starface.telephony import Right
from simulator.starface.uci import Uci

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create(settings: Settings, *, with_company: bool = False) -> web.Application:
    pbx = Starface(settings, with_company=with_company)
    calls = Uci(pbx)
    app = web.Application(middlewares=[_reachable(pbx), awkward.middleware(pbx.awkward)])
    rest.add_routes(app, pbx)
    calls.add_routes(app)
    Control(pbx, calls).add_routes(app)
    return app


def _reachable(pbx: Starface) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not pbx.settings.reachable and not request.path.startswith("/control/"):
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable
        door = "uci" if request.path == "/xml-rpc" else "rest"
        if not request.path.startswith("/control/") and pbx.is_blacklisted(request.remote or "", door):
            pbx.requests += 1
            await awkward.never(request)
        if not request.path.startswith("/control/"):
            pbx.requests += 1
        return await handler(request)

    return middleware


class Control:
    """The control API for tests and presenters. Not part of a STARFACE."""

    def __init__(self, pbx: Starface, calls: Uci) -> None:
        self._pbx = pbx
        self._uci = calls

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/control/state", self.state)
        app.router.add_patch("/control/settings", self.settings)
        app.router.add_post("/control/users", self.add_user)
        app.router.add_patch("/control/users/{login}", self.change_user)
        app.router.add_delete("/control/users/{login}", self.remove_user)
        app.router.add_post("/control/groups", self.add_group)
        app.router.add_patch(r"/control/groups/{group:\d+}", self.change_group)
        app.router.add_post("/control/tokens/expire", self.expire_tokens)
        app.router.add_post("/control/uci/drop", self.drop_uci)
        app.router.add_post("/control/uci/reset", self.reset_uci)
        app.router.add_get("/control/awkward", self.list_awkward)
        app.router.add_put("/control/awkward", self.put_awkward)
        app.router.add_delete("/control/awkward", self.reset_awkward)
        app.router.add_put("/control/answers", self.put_answers)
        app.router.add_post("/control/calls", self.ring)
        acts = "lift|alert|connect|park|hangup|timeout|rename"
        app.router.add_post(f"/control/calls/{{call}}/{{act:{acts}}}", self.act)
        app.router.add_post("/control/incoming", self.arrive)
        app.router.add_delete("/control/switches", self.reset_switches)
        app.router.add_post("/control/voicemails", self.leave_message)
        app.router.add_post("/control/call-lists", self.lengthen)
        app.router.add_get("/control/behaviours", self.behaviours)

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
                "groups": [
                    {
                        "id": group.id,
                        "name": group.name,
                        "number": f"8{group.id:02}",
                        "logins": sorted(self._pbx.users[user_id].login for user_id in group.members),
                    }
                    for group in self._pbx.groups.values()
                ],
                "voicemails": {user.login: self._voicemails(user) for user in self._pbx.users.values()},
                "calls": [_shown(call) for call in self._pbx.calls.values()],
            }
        )

    def _voicemails(self, user: User) -> int:
        boxes = {box.id for box in self._pbx.telephony.mailboxes_of(user.id)}
        return sum(message.mailbox_id in boxes for message in self._pbx.telephony.messages)

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
            login=body["login"],
            password=body["password"],
            first_name=body.get("firstName", ""),
            family_name=body.get("familyName", ""),
            email=body.get("email", ""),
            permissions=set(body.get("permissions", ())),
        )
        return web.json_response({"id": user.id}, status=201)

    async def add_group(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        group = self._pbx.add_group(body["name"], body["logins"])
        return web.json_response({"id": group.id}, status=201)

    async def change_group(self, request: web.Request) -> web.Response:
        body, group = await read_object(request), self._pbx.groups.get(int(request.match_info["group"]))
        if group is None:
            raise web.HTTPNotFound
        logins = set(body.get("logins", ()))
        group.members = {user.id for user in self._pbx.users.values() if user.login in logins}
        return web.json_response({})

    async def change_user(self, request: web.Request) -> web.Response:
        body, user = await read_object(request), self._pbx.by_login(request.match_info["login"])
        if user is None:
            raise web.HTTPNotFound
        user.hold(body.get("permissions", user.permissions))
        if "rights" in body:
            user.rights = {Right(name) for name in body["rights"]}
        user.email = body.get("email", user.email)
        user.first_name = body.get("firstName", user.first_name)
        user.family_name = body.get("familyName", user.family_name)
        user.password = body.get("password", user.password)
        return web.json_response({})

    async def remove_user(self, request: web.Request) -> web.Response:
        user = self._pbx.by_login(request.match_info["login"])
        if user is None:
            raise web.HTTPNotFound
        self._pbx.remove_user(user.id)
        return web.json_response({})

    async def expire_tokens(self, _request: web.Request) -> web.Response:
        self._pbx.end_all_tokens()
        return web.json_response({})

    async def drop_uci(self, _request: web.Request) -> web.Response:
        """Drop every UCI login, as a restarted PBX does."""
        self._uci.sessions.clear()
        return web.json_response({})

    async def reset_uci(self, _request: web.Request) -> web.Response:
        """Inform every UCI login that it is logged out, and drop it."""
        self._uci.reset_clients()
        return web.json_response({})

    async def list_awkward(self, _request: web.Request) -> web.Response:
        return web.json_response(self._pbx.awkward.listed())

    async def put_awkward(self, request: web.Request) -> web.Response:
        """`{"name": …, "on": true, false, or parameters}`."""
        body = await read_object(request)
        try:
            self._pbx.awkward.put(str(body.get("name")), body.get("on", True))
        except LookupError as unknown:
            raise web.HTTPNotFound(text=f"no such behaviour: {unknown}") from unknown
        return web.json_response({})

    async def reset_awkward(self, _request: web.Request) -> web.Response:
        """Restore the initial behaviour, including blacklist and replaced answers."""
        self._pbx.awkward.reset()
        self._pbx.forget_blacklist()
        return web.json_response({})

    async def reset_switches(self, _request: web.Request) -> web.Response:
        """Set the switches of all telephones as they are for new users."""
        self._pbx.telephony.reset_switches()
        return web.json_response({})

    async def put_answers(self, request: web.Request) -> web.Response:
        """Set a list of `awkward.Answer`, which replaces the previous one."""
        self._pbx.awkward.answers[:] = [Answer.of(rule) for rule in await request.json()]
        return web.json_response({})

    async def ring(self, request: web.Request) -> web.Response:
        """Start a call of one user, ignoring redirects and do-not-disturb. `direction`: in (default) or out;
        `group`: id of the called group.
        """
        body = await read_object(request)
        call = self._pbx.new_call(
            body["login"],
            body.get("callerNumber", ""),
            body.get("callerName", ""),
            is_outgoing=body.get("direction") == "out",
            group_id=body.get("group", ""),
        )
        self._uci.send_new(call)
        return web.json_response({"id": call.id}, status=201)

    async def arrive(self, request: web.Request) -> web.Response:
        """Simulate an incoming call from outside: `{"called": number, "callerNumber", "callerName"}`. Answers the
        ringing calls.
        """
        body = await read_object(request)
        legs = self._uci.switchboard.arrive(
            str(body.get("called", "")), str(body.get("callerNumber", "")), str(body.get("callerName", ""))
        )
        return web.json_response({"calls": [_shown(call) for call in legs]}, status=201)

    async def act(self, request: web.Request) -> web.Response:
        """Change a call. `later` advances the PBX's clock to that many seconds after the start of the call."""
        call = self._pbx.calls.get(request.match_info["call"])
        if call is None:
            raise web.HTTPNotFound
        body = await read_object(request) if request.can_read_body else {}
        switchboard, later = self._uci.switchboard, body.get("later")
        switchboard.at = None if later is None else call.started + float(later)
        act: Callable[[Call], object] = {
            "lift": switchboard.lift,
            "alert": switchboard.alert,
            "connect": switchboard.connect,
            "park": switchboard.park,
            "hangup": switchboard.hang_up,
            "timeout": switchboard.time_out,
            "rename": switchboard.rename,
        }[request.match_info["act"]]
        try:
            act(call)
        finally:
            switchboard.at = None
        return web.json_response({"calls": [_shown(one) for one in self._pbx.calls.values()]})

    async def lengthen(self, request: web.Request) -> web.Response:
        """A user has had so many calls before: `{"login", "count"}`."""
        body = await read_object(request)
        user = self._pbx.by_login(body["login"])
        if user is None:
            raise web.HTTPNotFound
        company.lengthen_call_list(self._pbx.telephony, user.id, int(body["count"]))
        return web.json_response({})

    async def leave_message(self, request: web.Request) -> web.Response:
        """Leave a message from outside in a user's box: `{"login", "callerNumber", "callerName", "seconds"}`."""
        body = await read_object(request)
        user, switchboard = self._pbx.by_login(body["login"]), self._uci.switchboard
        call = (
            switchboard.leave_message(
                user, str(body.get("callerNumber", "")), str(body.get("callerName", ""))
            )
            if user is not None
            else None
        )
        if call is None:
            raise web.HTTPNotFound
        switchboard.at = call.started + float(body.get("seconds", 20))
        try:
            switchboard.hang_up(call)
        finally:
            switchboard.at = None
        return web.json_response({}, status=201)

    async def behaviours(self, _request: web.Request) -> web.Response:
        """List the behaviours of this simulated PBX, each with its source or the word "assumed"."""
        return web.json_response([*rest.behaviours(), *uci.behaviours()])


def _shown(call: Call) -> dict[str, object]:
    """Describe a call. `arrival` is the same for all legs that ring for one call; `waits` means that the user's own
    phone must be picked up first.
    """
    return {
        "id": call.id,
        "login": call.login,
        "state": call.state,
        "peer": call.peer,
        "callerNumber": call.caller_number,
        "callerName": call.caller_name,
        "calledNumber": call.called_number,
        "calledName": call.called_name,
        "group": call.group_id,
        "isOutgoing": call.is_outgoing,
        "arrival": call.arrival,
        "waits": call.wanted != "",
    }
