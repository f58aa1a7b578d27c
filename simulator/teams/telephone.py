"""The telephones of the demo people at the simulated PBX, with which a presenter makes and answers calls. It is a
panel of the host page that uses the PBX's control API, and is not part of a Teams host.
"""

from typing import Any, Final

import aiohttp
from aiohttp import web

from simulator.people import PEOPLE, Person, by_object_id
from simulator.starface.company import PARTNERS

RINGS: Final = ("INCOMING", "RINGING")
_ACTS: Final = {
    "pick-up": "connect",
    "lift": "lift",
    "ring-there": "alert",
    "answer-there": "connect",
    "hold": "park",
    "take-back": "connect",
    "refuse": "hangup",
    "hang-up": "hangup",
    "time-out": "timeout",
}
"""Maps the panel's actions on a call to the names of the control API."""


class Telephone:
    http: aiohttp.ClientSession
    """Set when the server starts, because it needs the running loop."""

    def __init__(self, starface_url: str) -> None:
        self._starface_url = starface_url

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/host/callers", self._callers)
        app.router.add_get("/host/telephones/{person}", self._show)
        app.router.add_post("/host/telephones/{person}/ring", self._ring)
        app.router.add_post("/host/telephones/{person}/voicemail", self._leave_message)
        app.router.add_post("/host/telephones/{person}/calls/{call}/{act}", self._act)

    async def _callers(self, _request: web.Request) -> web.Response:
        """Return the contacts of the PBX's address book."""
        callers = [{"name": partner.shown, "number": partner.office} for partner in PARTNERS]
        return web.json_response(callers if self._starface_url else None)

    async def _show(self, request: web.Request) -> web.Response:
        """Return a person's calls, each with the possible actions."""
        calls = (await self._pbx("GET", "state"))["calls"]
        login = _person(request).login
        mine = [
            {**call, "acts": acts(call, [one for one in calls if _rings_with(one, call)])}
            for call in calls
            if call["login"] == login
        ]
        return web.json_response({"calls": mine})

    async def _ring(self, request: web.Request) -> web.Response:
        """`{"number", "name", "group"}`: simulate a call from outside to the person, or with `group` to a group of
        all demo people.
        """
        body, called = await request.json(), _person(request).login
        if body.get("group"):
            (group, *_) = (await self._pbx("GET", "state"))["groups"]
            await self._pbx("PATCH", f"groups/{group['id']}", {"logins": [one.login for one in PEOPLE]})
            called = group["number"]
        sent = {"called": called, "callerNumber": body.get("number", ""), "callerName": body.get("name", "")}
        return web.json_response(await self._pbx("POST", "incoming", sent), status=201)

    async def _leave_message(self, request: web.Request) -> web.Response:
        body = await request.json()
        sent = {
            "login": _person(request).login,
            "callerNumber": body.get("number", ""),
            "callerName": body.get("name", ""),
        }
        return web.json_response(await self._pbx("POST", "voicemails", sent), status=201)

    async def _act(self, request: web.Request) -> web.Response:
        call_id, act = request.match_info["call"], request.match_info["act"]
        calls = (await self._pbx("GET", "state"))["calls"]
        call = next((one for one in calls if one["id"] == call_id), None)
        if call is None:
            raise web.HTTPNotFound(text="this call is over")
        with_it = [one for one in calls if _rings_with(one, call)]
        if act not in acts(call, with_it):
            raise web.HTTPConflict(text="not in this state")
        wanted = [(call_id, _ACTS.get(act, "hangup"))]
        if act == "colleague":
            wanted = [(with_it[0]["id"], "connect")]
        elif act == "give-up":
            wanted = [(one["id"], "hangup") for one in (*with_it, call)]
        for one_id, what in wanted:
            await self._pbx("POST", f"calls/{one_id}/{what}")
        return web.json_response({})

    async def _pbx(self, method: str, path: str, body: Any = None) -> Any:
        if not self._starface_url:
            raise web.HTTPNotFound(text="this host knows no PBX")
        try:
            async with self.http.request(method, f"{self._starface_url}/control/{path}", json=body) as answer:
                if answer.status >= 300:
                    raise web.HTTPConflict(text=await answer.text())
                return await answer.json()
        except aiohttp.ClientError as fault:
            raise web.HTTPBadGateway(text=f"the PBX does not answer: {fault}") from fault


def acts(call: dict[str, Any], with_it: list[dict[str, Any]]) -> list[str]:
    """Return the possible actions on a call. `with_it` are the colleagues' legs that ring for the same caller."""
    state = call["state"]
    if call["waits"]:
        return ["lift", "hang-up"]
    if state in RINGS:
        refuse = ["refuse"] if with_it else []
        return ["pick-up", *(["colleague"] if with_it else []), *refuse, "give-up", "time-out"]
    if state in ("PROCEEDING", "OUTGOING", "RINGBACK"):
        # While a colleague's leg rings, that phone decides.
        outside = [] if call["peer"] else (["answer-there"] if state == "RINGBACK" else ["ring-there"])
        return [*outside, "hang-up"]
    if state == "PARKED":
        return ["take-back", "hang-up"]
    return ["hold", "hang-up"] if state == "CONNECTED" else ["hang-up"]


def _rings_with(one: dict[str, Any], call: dict[str, Any]) -> bool:
    return (
        one["id"] != call["id"]
        and call["arrival"] != ""
        and one["arrival"] == call["arrival"]
        and one["state"] in RINGS
    )


def _person(request: web.Request) -> Person:
    try:
        return by_object_id(request.match_info["person"])
    except StopIteration:
        raise web.HTTPNotFound from None
