"""The most minimal PBX that the connector accepts: it knows every user, stores only callbacks, and counts."""

import asyncio
import sys
import time
import xmlrpc.client
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import defusedxml.xmlrpc
from aiohttp import web

defusedxml.xmlrpc.monkey_patch()

SERVICES: Final = ("call", "callList", "phone", "userState", "redirect", "voicemailList")
ANSWERS: Final[Mapping[str, Any]] = {
    "login": True,
    "logout": True,
    "keepAlive": True,
    "subscribeEvents": True,
    "getProvidedEvents": ["ucp.v22.events.call", "ucp.v30.events.call"],
    "getProvidedRequests": [f"ucp.v30.requests.{service}" for service in SERVICES],
    "getServerVersion": "10.0.1.6",
    "getPhoneIds": ["SIP/desk"],
    "getPrimaryPhoneId": "SIP/desk",
    "hangupCall": True,
    "getCurrentMessageWaitingState": {"newMessages": 0},
    "getCallState": {},
}
LISTS: Final = frozenset(
    ("getCallIds", "getAvailableDisplayNumbers", "getDisplayNumberId", "getMailboxes", "getRedirectSettings")
)
ADMINISTRATOR: Final = 1


class BarePbx:
    def __init__(self, users: int) -> None:
        self._users = users
        self._callbacks: dict[str, str] = {}
        self.requests = self.logins = 0
        self._http: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/xml-rpc", self.uci)
        app.router.add_get("/count", self.count)
        app.router.add_post("/ring/{login}", self.ring)
        app.router.add_route("*", "/rest/{path:.*}", self.rest)
        return app

    async def uci(self, request: web.Request) -> web.Response:
        self.requests += 1
        params, name = xmlrpc.client.loads((await request.read()).decode())
        method = (name or "").rpartition(".")[2]
        query = request.query
        if method == "login" and (port := query.get("de.vertico.starface.callback.port")):
            path = query["de.vertico.starface.callback.path"]
            self.logins += 1
            self._callbacks[query["de.vertico.starface.user"]] = f"http://127.0.0.1:{port}{path}"
        if method == "placeCallWithPhone":
            answer: Any = params[2]
        else:
            answer = ANSWERS.get(method, [] if method in LISTS else True)
        text = xmlrpc.client.dumps((answer,), methodresponse=True)
        return web.Response(text=text, content_type="text/xml")

    async def count(self, _request: web.Request) -> web.Response:
        return web.json_response({"requests": self.requests, "logins": self.logins})

    async def ring(self, request: web.Request) -> web.Response:
        """Ring this user's phone."""
        self._http = self._http or aiohttp.ClientSession()
        login = request.match_info["login"]
        struct = {
            "id": f"{login}-{time.monotonic_ns()}",
            "state": "RINGING",
            "callerNumber": "00493023125901",
        }
        body = xmlrpc.client.dumps((struct,), methodname="ucp.v22.events.call.receiveCallState")
        async with self._http.post(self._callbacks[login], data=body):
            return web.json_response({})

    async def rest(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        if path == "login":
            if request.method == "GET":
                return web.json_response({"loginType": "Internal", "nonce": "n" * 20})
            return web.json_response({"token": "t" * 40})
        if path in ("users/me", "users"):
            users = [self._user(number) for number in range(1, self._users + 2)]
            return web.json_response(users if path == "users" else users[0])
        if path == "permissions":
            return web.json_response([{"id": ADMINISTRATOR, "permission": "Administrator"}])
        if path.endswith("/phoneconfig"):
            return web.json_response({"doNotDisturb": False})
        return web.json_response("10.0.1.6" if path == "server/version" else [])

    @staticmethod
    def _user(number: int) -> dict[str, Any]:
        login = "0001" if number == ADMINISTRATOR else str(1000 + number)
        return {"id": number, "login": login, "firstName": "User", "familyName": login, "email": ""}


async def main(port: int, users: int) -> None:
    runner = web.AppRunner(BarePbx(users).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
