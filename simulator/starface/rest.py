"""REST of the simulated PBX: paths and shapes of the vendor's description 6.7 (`starface-rest-6.7.yaml`)."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from simulator.starface import rest_book, rest_keys, rest_office, rest_phone
from simulator.starface.awkward import ASSUMED
from simulator.starface.model import (
    ACCESS_SECONDS,
    CLIENT_ID,
    CLIENT_SECRET,
    OAUTH_PERMISSION,
    Starface,
    User,
)
from simulator.starface.operation import DESCRIPTION, Operation, asking_user, error

OPERATIONS: Final[tuple[Operation, ...]] = (
    *rest_phone.OPERATIONS,
    *rest_book.OPERATIONS,
    *rest_keys.OPERATIONS,
    *rest_office.OPERATIONS,
)
FIRST: Final = (
    "GET /login",
    "POST /login",
    "DELETE /login",
    "GET /users",
    "GET /users/me",
    "GET /users/{userId}",
    "GET /permissions",
    "GET /permissions/users/{userId}",
    "GET /permissions/{permissionId}/users",
    "GET /groups",
    "GET /groups/{groupid}",
)
"""The operations that this file defines."""
Handler = Callable[[web.Request, User], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application, pbx: Starface) -> None:
    def logged_in(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def checked(request: web.Request) -> web.StreamResponse:
            user = asking_user(pbx, request)
            if user is None:
                return error(401, "UNAUTHORIZED", "no valid authToken")
            return await handler(request, user)

        return checked

    def administrators(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        @logged_in
        async def checked(request: web.Request, user: User) -> web.StreamResponse:
            if not user.is_administrator:
                return error(403, "FORBIDDEN", "administrators only")
            return await handler(request, user)

        return checked

    async def get_login(_request: web.Request) -> web.Response:
        login_type = pbx.awkward.parameter("login-type", "type", pbx.settings.login_type)
        template = {"loginType": login_type, "nonce": pbx.new_nonce(), "secret": None}
        if pbx.awkward.get("login-without-nonce"):
            del template["nonce"]
        return web.json_response(template)

    async def post_login(request: web.Request) -> web.Response:
        body = await read_object(request)
        address = request.remote or ""
        if status := pbx.awkward.parameter("login-status", "status", None):
            return error(int(status), "LOGIN", "not now")
        user = pbx.prove(str(body.get("loginType")), str(body.get("nonce")), str(body.get("secret") or ""))
        if pbx.awkward.get("cloud"):
            user = None
        if user is None:
            pbx.login_refused(address, "rest")
            # The description lists an AuthToken for 400 too; the members of the error are added to it.
            return web.json_response(
                {"token": "", "code": "INVALID_LOGIN", "message": "login failed"}, status=400
            )
        pbx.login_accepted(address, "rest")
        if pbx.awkward.get("login-without-token"):
            return web.json_response({"userId": user.id})
        return web.json_response({"token": pbx.new_token(user)})

    async def delete_login(request: web.Request) -> web.Response:
        pbx.end_token(request.headers.get("authToken", ""))
        return web.Response(status=204)

    async def get_users(request: web.Request, asking: User) -> web.Response:
        term = request.query.get("searchTerm", "").casefold()
        found = [
            user
            for user in pbx.users.values()
            if term in f"{user.login} {user.first_name} {user.family_name} {user.email}".casefold()
        ]
        if pbx.awkward.get("users-without-own"):
            found = [user for user in found if user is not asking]
        records: list[Any] = [shown(user) for user in found]
        if pbx.awkward.get("own-login-case"):
            records = [record | {"login": str(record["login"]).upper()} for record in records]
        records += pbx.awkward.parameter("users", "records", [])
        if pbx.awkward.get("users-paged"):
            return web.json_response({"users": records, "page": 0, "total": len(records)})
        return web.json_response(records)

    async def get_me(_request: web.Request, user: User) -> web.Response:
        return web.json_response(shown(user))

    async def get_user(request: web.Request, _user: User) -> web.Response:
        user = pbx.users.get(int(request.match_info["user"]))
        return web.json_response(shown(user)) if user else error(404, "NOT_FOUND", "no such user")

    async def get_permissions(_request: web.Request, _user: User) -> web.Response:
        records: list[Any] = [
            permission(number, pbx.name_of_permission(name)) for number, name in pbx.permissions.items()
        ]
        return web.json_response(records + pbx.awkward.parameter("permissions", "records", []))

    async def get_user_permissions(request: web.Request, _user: User) -> web.Response:
        user = pbx.users.get(int(request.match_info["user"]))
        if user is None:
            return error(404, "NOT_FOUND", "no such user")
        held = [
            permission(number, pbx.name_of_permission(name))
            for number, name in pbx.permissions.items()
            if user.holds(name)
        ]
        return web.json_response(held)

    async def get_permission_users(request: web.Request, _user: User) -> web.Response:
        name = pbx.permissions.get(int(request.match_info["permission"]))
        if name is None:
            return error(404, "NOT_FOUND", "no such permission")
        records: list[Any] = [shown(user) for user in pbx.users.values() if user.holds(name)]
        return web.json_response(records + pbx.awkward.parameter("holders", "records", []))

    async def get_groups(_request: web.Request, _user: User) -> web.Response:
        return web.json_response(
            [
                {
                    "id": group.id,
                    "groupname": group.name,
                    "groupinternalnumber": f"8{group.id:02}",
                    "groupexternalnumber": "",
                }
                for group in pbx.groups.values()
            ]
        )

    async def get_group(request: web.Request, _user: User) -> web.Response:
        group = pbx.groups.get(int(request.match_info["group"]))
        if group is None:
            return error(500, "INTERNAL", "no such group")
        members = [
            {
                "id": user.id,
                "firstname": user.first_name,
                "lastname": user.family_name,
                "assigned": user.id in group.members,
            }
            for user in pbx.users.values()
        ]
        return web.json_response(
            {
                "id": group.id,
                "groupId": f"group-{group.id}",
                "name": group.name,
                "chatGroup": False,
                "voicemail": False,
                "assignableNumbers": [],
                "assignableUsers": members,
            }
        )

    async def get_version(_request: web.Request, _user: User) -> web.Response:
        if pbx.awkward.get("version"):
            status = int(pbx.awkward.parameter("version", "status", 200))
            return web.json_response(pbx.awkward.parameter("version", "answer", None), status=status)
        if int(pbx.settings.version.split(".")[0]) < 7:
            return error(404, "NOT_FOUND", "not in this version")
        return web.json_response({"version": pbx.settings.version})

    def is_silent() -> bool:
        is_discovered = pbx.awkward.get("cloud") and pbx.awkward.parameter("cloud", "discovery", True)
        return not pbx.settings.oauth and not is_discovered

    async def discovery_redirect(_request: web.Request) -> web.Response:
        if is_silent():
            return error(404, "NOT_FOUND", "not in this version")
        if location := pbx.awkward.parameter("cloud", "location", None):
            raise web.HTTPFound(location)
        raise web.HTTPFound("/auth/realms/pbx/.well-known/openid-configuration")

    async def discovery(request: web.Request) -> web.Response:
        if is_silent():
            return error(404, "NOT_FOUND", "not in this version")
        realm = f"{request.scheme}://{request.host}/auth/realms/pbx"
        endpoint = pbx.awkward.parameter("oauth-endpoint", "url", f"{realm}/oauth2/token")
        document = {"issuer": realm, "token_endpoint": endpoint}
        if pbx.awkward.get("cloud"):
            document |= {"issuer": "https://login.cloud.example", "edgeNodeId": "7f3c"}
        return web.json_response(document)

    async def token(request: web.Request) -> web.Response:
        if not pbx.settings.oauth:
            return error(404, "NOT_FOUND", "not in this version")
        form = await request.post()
        if client_of(request, form) != (CLIENT_ID, CLIENT_SECRET):
            return oauth_error(401, "invalid_client")
        refreshes = form.get("grant_type") == "refresh_token"
        scope = form.get("scope")
        # A refresh may omit the scope (RFC 6749, section 6), as in SFWiki.
        may_leave_it_out = refreshes and not pbx.awkward.get("oauth-refresh-with-scope")
        if scope not in pbx.settings.oauth_scopes and not (scope is None and may_leave_it_out):
            return oauth_error(400, "invalid_scope")
        user: User | None = None
        address = request.remote or ""
        if form.get("grant_type") == "password":
            user = pbx.by_login(str(form.get("username")))
            if user is None or user.password != form.get("password"):
                pbx.login_refused(address, "rest")
                return oauth_error(401, "invalid_grant")
        elif refreshes:
            user = pbx.user_of_refresh_token(str(form.get("refresh_token")))
        if user is None or OAUTH_PERMISSION not in user.permissions:
            return oauth_error(400, "invalid_grant")
        pbx.login_accepted(address, "rest")
        answer = {
            "access_token": pbx.new_token(user, ACCESS_SECONDS),
            "expires_in": ACCESS_SECONDS,
            "refresh_token": pbx.new_refresh_token(user),
            "refresh_expires_in": 21_600,
            "token_type": "Bearer",
            "scope": scope or pbx.settings.oauth_scopes[0],
        }
        return web.json_response(answer | (pbx.awkward.get("oauth-token") or {}))

    app.router.add_get("/rest/login", get_login)
    app.router.add_post("/rest/login", post_login)
    app.router.add_delete("/rest/login", delete_login)
    app.router.add_get("/rest/users", logged_in(get_users))
    app.router.add_get("/rest/users/me", logged_in(get_me))
    app.router.add_get(r"/rest/users/{user:\d+}", logged_in(get_user))
    app.router.add_get("/rest/permissions", logged_in(get_permissions))
    app.router.add_get(r"/rest/permissions/users/{user:\d+}", administrators(get_user_permissions))
    app.router.add_get(r"/rest/permissions/{permission:\d+}/users", administrators(get_permission_users))
    app.router.add_get("/rest/groups", administrators(get_groups))
    app.router.add_get(r"/rest/groups/{group:\d+}", administrators(get_group))
    app.router.add_get("/rest/server/version", logged_in(get_version))
    app.router.add_get("/.well-known/openid-configuration", discovery_redirect)
    app.router.add_get("/auth/realms/pbx/.well-known/openid-configuration", discovery)
    app.router.add_post("/auth/realms/pbx/oauth2/token", token)
    for operation in OPERATIONS:
        operation.add_to(app, pbx)


def behaviours() -> list[dict[str, str]]:
    """List every REST operation with its source."""
    return [
        *({"name": f"rest {name}", "what": "operation", "source": DESCRIPTION} for name in FIRST),
        {"name": "rest GET /server/version", "what": "operation", "source": "StarCLX, live against 10.0.2.6"},
        *(
            {
                "name": f"rest {one.method} {one.path.replace(':str', '')}",
                "what": "operation",
                "source": one.source,
            }
            for one in OPERATIONS
        ),
        {
            "name": "rest rights",
            "what": "403 to who lacks a right; which operation needs which",
            "source": ASSUMED,
        },
    ]


def client_of(request: web.Request, form: Any) -> tuple[str, str]:
    """Return id and secret of an OAuth client, from the form or from HTTP Basic (RFC 6749, section 2.3.1)."""
    header = request.headers.get("Authorization", "")
    if header.startswith("Basic "):
        try:
            name, _, secret = base64.b64decode(header[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return name, secret
    return str(form.get("client_id")), str(form.get("client_secret"))


async def read_object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def oauth_error(status: int, code: str) -> web.Response:
    return web.json_response({"error": code, "error_description": code}, status=status)


def permission(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "permission": name, "description": name}


def shown(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "login": user.login,
        "firstName": user.first_name,
        "familyName": user.family_name,
        "email": user.email,
        "language": user.language,
        "namespace": "LOCAL",
        "personId": user.person_id,
        "password": "",
        "faxCallerId": "",
        "faxCoverPage": False,
        "faxEmailJournal": False,
        "faxHeader": "",
        "missedCallReport": False,
    } | user.more
