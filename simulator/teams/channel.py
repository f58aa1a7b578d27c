"""The simulated channel: signs the activities of a bot client, and serves the connector API that the bot answers
to.

Paths of the connector API: Bot Framework REST, `/v3/conversations/{id}/activities[/{activity}]`.
"""

import asyncio
import itertools
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import jwt
from aiohttp import web

from simulator.people import APP_ID, PEOPLE, TENANT_ID, Person, by_object_id

_IDS: Final = itertools.count(int(time.time() * 1000))
"""Ids derived from the clock, like those of Teams, so that none repeats after a restart."""


@dataclass
class Chat:
    """The personal chat of one user with the bot, as a client shows it."""

    activities: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    revision: int = 0

    async def put(self, activity: dict[str, Any]) -> None:
        """Add an activity, or replace the one with the same id."""
        for index, old in enumerate(self.activities):
            if old["id"] == activity["id"]:
                self.activities[index] = activity
                break
        else:
            self.activities.append(activity)
        async with self.changed:
            self.revision += 1
            self.changed.notify_all()


class Channel:
    http: aiohttp.ClientSession
    """Set when the server starts, because it needs the running loop."""

    def __init__(self, service_url: str, entra_url: str, own_url: str) -> None:
        self._messages_url = f"{service_url}/api/messages"
        self._entra_url = entra_url
        self.own_url = own_url
        self.chats: defaultdict[str, Chat] = defaultdict(Chat)
        self.posts: list[dict[str, Any]] = []
        """Requests of the bot, with their results."""
        self.faults: list[dict[str, Any] | str] = []

    async def post(self, activity: dict[str, Any]) -> tuple[int, Any]:
        """Sign an activity as the channel service does, and deliver it to the bot."""
        body = {"serviceUrl": activity["serviceUrl"]}
        async with self.http.post(f"{self._entra_url}/control/channel-token", json=body) as answer:
            token = (await answer.json())["token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.post(self._messages_url, json=activity, headers=headers) as response:
            try:
                return response.status, await response.json(content_type=None)
            except ValueError:
                return response.status, None

    def activity(self, person: Person, locale: str, **members: Any) -> dict[str, Any]:
        return {
            "id": f"in-{next(_IDS)}",
            "channelId": "msteams",
            "serviceUrl": self.own_url,
            "timestamp": datetime.now(UTC).isoformat(),
            "locale": locale,
            "from": {"id": f"29:{person.object_id}", "name": person.name, "aadObjectId": person.object_id},
            "recipient": {"id": f"28:{APP_ID}", "name": "PBX for Teams"},
            "conversation": {"id": person.object_id, "conversationType": "personal", "tenantId": TENANT_ID},
            "channelData": {"tenant": {"id": TENANT_ID}},
            "localTimezone": "Europe/Berlin",
            "entities": [{"type": "clientInfo", "locale": locale, "platform": "Web"}],
            **members,
        }

    def _fault(self) -> dict[str, Any] | str | None:
        """Return the fault for the bot's next message."""
        if self.faults:
            return self.faults.pop(0)
        return None

    async def _set_faults(self, request: web.Request) -> web.Response:
        """Set faults for the bot's next messages: `lost-answer` (the message is shown, then the connection is cut),
        a status code (the message is not shown), or an object with `status`, `code` (of the error), `retryAfter`
        (the header) and `shown`.
        """
        self.faults = list(await request.json())
        return web.json_response({})

    async def _posts(self, request: web.Request) -> web.Response:
        """Return the bot's requests since the last `DELETE`, at most the last hundred."""
        if request.method == "DELETE":
            self.posts.clear()
        return web.json_response(self.posts[-100:])

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/v3/conversations/{chat}/activities", self._send)
        app.router.add_post("/v3/conversations/{chat}/activities/{activity}", self._send)
        app.router.add_put("/v3/conversations/{chat}/activities/{activity}", self._send)
        app.router.add_post("/api/messages", self._gateway)
        app.router.add_put("/control/faults", self._set_faults)
        app.router.add_get("/control/posts", self._posts)
        app.router.add_delete("/control/posts", self._posts)
        app.router.add_get("/host/chats/{person}", self._show)
        app.router.add_post("/host/chats/{person}", self._say)

    async def _send(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return web.json_response({"error": {"code": "Unauthorized"}}, status=401)
        if claims.get("appid") != APP_ID:
            return web.json_response({"error": {"code": "Forbidden"}}, status=403)
        fault = self._fault()
        if isinstance(fault, str) and fault.isdecimal():
            fault = {"status": int(fault)}
        activity = await request.json()
        self.posts.append({"path": request.path, "activity": activity, "fault": fault})
        if isinstance(fault, dict) and not fault.get("shown"):
            return _failure(fault)
        updates = request.method == "PUT"
        activity["id"] = request.match_info["activity"] if updates else f"out-{next(_IDS)}"
        await self.chats[request.match_info["chat"]].put(activity)
        if isinstance(fault, dict):
            return _failure(fault)
        if fault is not None and request.transport is not None:
            request.transport.abort()
        return web.json_response({"id": activity["id"]}, status=200 if updates else 201)

    async def _gateway(self, request: web.Request) -> web.Response:
        """Gateway for a bot client without tokens (Microsoft's Agents Playground), whose user becomes one of the
        demo people, selected by `?person=OBJECT_ID&locale=de`. The client's service URL is kept, so that it
        receives the answers.
        """
        activity = await request.json()
        person = by_object_id(request.query.get("person", PEOPLE[0].object_id))
        activity["channelId"] = "msteams"
        activity["from"] = {**activity.get("from", {}), "name": person.name, "aadObjectId": person.object_id}
        activity["conversation"] = {**activity.get("conversation", {}), "tenantId": TENANT_ID}
        activity["channelData"] = {**(activity.get("channelData") or {}), "tenant": {"id": TENANT_ID}}
        activity["locale"] = request.query.get("locale", activity.get("locale", "en-US"))
        status, body = await self.post(activity)
        return web.json_response(body, status=status)

    async def _show(self, request: web.Request) -> web.Response:
        """Return the chat's activities; waits up to 20 s for changes after `?after=REVISION`."""
        chat = self.chats[request.match_info["person"]]
        after = int(request.query.get("after", "-1"))
        try:
            async with asyncio.timeout(20), chat.changed:
                await chat.changed.wait_for(lambda: chat.revision > after)
        except TimeoutError:
            pass
        return web.json_response({"revision": chat.revision, "activities": chat.activities})

    async def _say(self, request: web.Request) -> web.Response:
        """Perform an action of the user in the chat: a message, a card's button, a dialog."""
        person, body = by_object_id(request.match_info["person"]), await request.json()
        activity = self.activity(person, body.pop("locale", "en-US"), **body)
        if activity["type"] == "message":
            await self.chats[person.object_id].put(activity)
        status, answer = await self.post(activity)
        if (
            activity.get("name") == "adaptiveCard/action"
            and activity.get("replyToId")
            and isinstance(answer, dict)
        ):
            await self._replace_card(person, activity["replyToId"], answer)
        return web.json_response({"status": status, "body": answer})

    async def _replace_card(self, person: Person, replied_to: str, answer: dict[str, Any]) -> None:
        chat = self.chats[person.object_id]
        for old in chat.activities:
            if old["id"] == replied_to:
                card = {"contentType": answer.get("type"), "content": answer.get("value")}
                await chat.put({**old, "attachments": [card]})
                return


def _failure(fault: dict[str, Any]) -> web.Response:
    headers = {"Retry-After": str(fault["retryAfter"])} if "retryAfter" in fault else {}
    error = {"code": fault.get("code", "ServiceError"), "message": "simulated"}
    return web.json_response({"error": error}, status=fault["status"], headers=headers)
