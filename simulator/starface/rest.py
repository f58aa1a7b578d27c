"""REST of the simulated PBX: paths and shapes of the vendor's description 6.7 (`starface-rest-6.7.yaml`)."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from simulator.people import ADMINISTRATOR_PERMISSION
from simulator.starface.model import (
    ACCESS_SECONDS,
    CLIENT_ID,
    CLIENT_SECRET,
    OAUTH_PERMISSION,
    Starface,
    User,
)

Handler = Callable[[web.Request, User], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application, pbx: Starface) -> None:
    def logged_in(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def checked(request: web.Request) -> web.StreamResponse:
            token = request.headers.get("authToken", "")
            if pbx.settings.oauth and not token:
                token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            user = pbx.user_of_token(token)
            if user is None:
                return error(401, "UNAUTHORIZED", "no valid authToken")
            return await handler(request, user)

        return checked

    def administrators(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        @logged_in
        async def checked(request: web.Request, user: User) -> web.StreamResponse:
            if ADMINISTRATOR_PERMISSION not in user.permissions:
                return error(403, "FORBIDDEN", "administrators only")
            return await handler(request, user)

        return checked

    async def get_login(_request: web.Request) -> web.Response:
        return web.json_response(
            {"loginType": pbx.settings.login_type, "nonce": pbx.new_nonce(), "secret": None}
        )

    async def post_login(request: web.Request) -> web.Response:
        body = await read_object(request)
        user = pbx.prove(str(body.get("loginType")), str(body.get("nonce")), str(body.get("secret") or ""))
        if user is None:
            # The description gives an AuthToken for 400 as well; the error's own members stand beside it.
            return web.json_response(
                {"token": "", "code": "INVALID_LOGIN", "message": "login failed"}, status=400
            )
        return web.json_response({"token": pbx.new_token(user)})

    async def delete_login(request: web.Request) -> web.Response:
        pbx.end_token(request.headers.get("authToken", ""))
        return web.Response(status=204)

    async def get_users(request: web.Request, _user: User) -> web.Response:
        term = request.query.get("searchTerm", "").casefold()
        found = [
            user
            for user in pbx.users.values()
            if term in f"{user.login} {user.first_name} {user.family_name} {user.email}".casefold()
        ]
        return web.json_response([shown(user) for user in found])

    async def get_me(_request: web.Request, user: User) -> web.Response:
        return web.json_response(shown(user))

    async def get_user(request: web.Request, _user: User) -> web.Response:
        user = pbx.users.get(int(request.match_info["user"]))
        return web.json_response(shown(user)) if user else error(404, "NOT_FOUND", "no such user")

    async def get_permissions(_request: web.Request, _user: User) -> web.Response:
        return web.json_response([permission(number, name) for number, name in pbx.permissions.items()])

    async def get_user_permissions(request: web.Request, _user: User) -> web.Response:
        user = pbx.users.get(int(request.match_info["user"]))
        if user is None:
            return error(404, "NOT_FOUND", "no such user")
        held = [permission(n, name) for n, name in pbx.permissions.items() if name in user.permissions]
        return web.json_response(held)

    async def get_permission_users(request: web.Request, _user: User) -> web.Response:
        name = pbx.permissions.get(int(request.match_info["permission"]))
        if name is None:
            return error(404, "NOT_FOUND", "no such permission")
        return web.json_response([shown(user) for user in pbx.users.values() if name in user.permissions])

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
        if int(pbx.settings.version.split(".")[0]) < 7:
            return error(404, "NOT_FOUND", "not in this version")
        return web.json_response({"version": pbx.settings.version})

    async def discovery_redirect(_request: web.Request) -> web.Response:
        if not pbx.settings.oauth:
            return error(404, "NOT_FOUND", "not in this version")
        raise web.HTTPFound("/auth/realms/pbx/.well-known/openid-configuration")

    async def discovery(request: web.Request) -> web.Response:
        if not pbx.settings.oauth:
            return error(404, "NOT_FOUND", "not in this version")
        realm = f"{request.scheme}://{request.host}/auth/realms/pbx"
        return web.json_response({"issuer": realm, "token_endpoint": f"{realm}/oauth2/token"})

    async def token(request: web.Request) -> web.Response:
        if not pbx.settings.oauth:
            return error(404, "NOT_FOUND", "not in this version")
        form = await request.post()
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
            return oauth_error(401, "invalid_client")
        if form.get("scope") not in pbx.settings.oauth_scopes:
            return oauth_error(400, "invalid_scope")
        user: User | None = None
        if form.get("grant_type") == "password":
            user = pbx.by_login(str(form.get("username")))
            if user is None or user.password != form.get("password"):
                return oauth_error(401, "invalid_grant")
        elif form.get("grant_type") == "refresh_token":
            user = pbx.user_of_refresh_token(str(form.get("refresh_token")))
        if user is None or OAUTH_PERMISSION not in user.permissions:
            return oauth_error(400, "invalid_grant")
        return web.json_response(
            {
                "access_token": pbx.new_token(user, ACCESS_SECONDS),
                "expires_in": ACCESS_SECONDS,
                "refresh_token": pbx.new_refresh_token(user),
                "refresh_expires_in": 21_600,
                "token_type": "Bearer",
                "scope": form.get("scope"),
            }
        )

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


async def read_object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=status)


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
        "personId": f"person-{user.id}",
        "password": "",
        "faxCallerId": "",
        "faxCoverPage": False,
        "faxEmailJournal": False,
        "faxHeader": "",
        "missedCallReport": False,
    }
