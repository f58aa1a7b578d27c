"""A REST operation: its path in the vendor's description, the required rights, its handler, and its source."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from simulator.starface.model import Starface, User
from simulator.starface.telephony import Right

DESCRIPTION: Final = "REST 6.7"
"""The vendor's description states path, members and statuses; everything else is assumed."""


class RefusedError(Exception):
    """Raised to answer with an error status and an error body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asking:
    """One request and the user who sent it."""

    request: web.Request
    user: User
    pbx: Starface

    def id(self, name: str) -> int:
        return int(self.request.match_info[name])

    def key(self, name: str) -> str:
        return self.request.match_info[name]

    def query(self, name: str, default: str = "") -> str:
        return self.request.query.get(name, default)

    def owner(self, missing: int = 500) -> User:
        """Return the user in the path, which must be the requesting user unless that is an administrator."""
        return self._allowed(self.pbx.users.get(self.id("userId")), missing)

    def on_behalf_of(self, name: str = "actOnBehalfOf") -> User:
        """Return another user by id or login, which needs administrative privileges (according to the description)."""
        wanted = self.query(name)
        if not wanted:
            return self.user
        by_id = self.pbx.users.get(int(wanted)) if wanted.isdigit() else None
        return self._allowed(by_id or self.pbx.by_login(wanted), 500)

    def _allowed(self, user: User | None, missing: int) -> User:
        if user is not self.user and not self.user.is_administrator:
            raise RefusedError(403, "administrators only")
        if user is None:
            raise RefusedError(missing, "no such user")
        return user

    async def body(self, **members: type) -> dict[str, Any]:
        """Return the body, an object with these members of these types."""
        content = await self._json()
        if not isinstance(content, dict):
            raise RefusedError(500, "no object")
        for name, kind in members.items():
            value = content.get(name)
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise RefusedError(500, f"{name} is missing or of another type")
        return content

    async def items(self, kind: type = dict) -> list[Any]:
        """Return the body, a list of such objects."""
        content = await self._json()
        if not isinstance(content, list) or not all(isinstance(one, kind) for one in content):
            raise RefusedError(500, "no list")
        return content

    async def _json(self) -> Any:
        try:
            return await self.request.json()
        except ValueError as fault:
            raise RefusedError(500, "no JSON") from fault

    def page(self, found: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the requested page, 20 entries by default, and its metadata. Pages count from 0 (assumed)."""
        size = max(1, min(int(self.query("pagesize") or 20), 1000))
        page = max(0, int(self.query("page") or 0))
        direction = "DESC" if self.query("sortdirection").upper() == "DESC" else "ASC"
        metadata = {
            "page": page,
            "pagesize": size,
            "sort": self.query("sort"),
            "sortdirection": direction,
            "totalPages": -(-len(found) // size),
        }
        ordered = list(found)[::-1] if direction == "DESC" else list(found)
        return ordered[page * size : (page + 1) * size], metadata


Handler = Callable[[Asking], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    """The path of the description, with `{userId}` for a number and `{redirectId:str}` for text."""
    handler: Handler
    right: Right | None = None
    """The right that a user needs. That this right is needed is assumed; its name is sourced (PERM)."""
    administrators: bool = False
    source: str = DESCRIPTION

    def add_to(self, app: web.Application, pbx: Starface) -> None:
        async def answered(request: web.Request) -> web.StreamResponse:
            user = asking_user(pbx, request)
            if user is None:
                return error(401, "UNAUTHORIZED", "no valid authToken")
            if self.administrators and not user.is_administrator:
                return error(403, "FORBIDDEN", "administrators only")
            if self.right is not None and self.right not in user.rights:
                status = int(pbx.awkward.parameter("right-missing", "status", 403))
                return error(status, "FORBIDDEN", f"needs {self.right}")
            try:
                return await self.handler(Asking(request, user, pbx))
            except RefusedError as refused:
                return error(refused.status, "REFUSED", str(refused))
            except (ValueError, KeyError, TypeError) as fault:
                return error(500, "INTERNAL", type(fault).__name__)

        path = "".join(
            re.sub(r":str}$", "}", part) if part.endswith(":str}") else re.sub(r"}$", r":\\d+}", part)
            for part in _parts(self.path)
        )
        app.router.add_route(self.method, f"/rest{path}", answered)


def _parts(path: str) -> list[str]:
    """Split a path: "/users/{userId}/avatar" has three parts, with the names in braces as separate parts."""
    return [piece for piece in re.split(r"({[^}]+})", path) if piece]


def asking_user(pbx: Starface, request: web.Request) -> User | None:
    """Return the user of the request, by `authToken` or, from version 10 on, also by bearer token."""
    token = request.headers.get("authToken", "")
    if pbx.settings.oauth and not token:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return pbx.user_of_token(token)


def error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=status)


def json(content: Any, status: int = 200) -> web.Response:
    return web.json_response(content, status=status)


def done(status: int = 204) -> web.Response:
    return web.Response(status=status)


def picked(members: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: members[name] for name in names if name in members}
