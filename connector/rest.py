"""The STARFACE REST client: what the connector reads of users, permissions and version."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aiohttp

from connector.config import Pbx
from connector.errors import LoginRejectedError, PbxError, PbxLoginFailedError, PbxUnreachableError
from connector.login import DISCOVERY, HEADERS, ClassicLogin, Login, OAuthLogin, answer, challenge, log_out
from wire.link import PbxGroup, PbxUser

TIMEOUT_SECONDS: Final = 8.0
"""Below the hub's own deadline, so that a person is told of the PBX and not of the link."""


MAX_GROUPS: Final = 500


class StarfaceRest:
    """One STARFACE, used with the connector's own login; proves other users' logins."""

    def __init__(self, config: Pbx) -> None:
        self._config = config
        self._rest_url = f"{config.url}/rest"
        self._password = config.read_password()
        self.own_login = self.login_of(config.login, self._password)
        self._http: aiohttp.ClientSession | None = None
        self.permission_found: bool | None = None
        """The PBX knows the licence permission; None until the users have been read."""

    @property
    def url(self) -> str:
        return self._config.url

    @property
    def licence_permission(self) -> str:
        return self._config.licence_permission

    @property
    def http(self) -> aiohttp.ClientSession:
        if self._http is None:
            tls = ssl.create_default_context()
            if self._config.ca_file is not None:
                tls.load_verify_locations(self._config.ca_file)
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                connector=aiohttp.TCPConnector(ssl=tls, limit=20),
                trust_env=True,
            )
        return self._http

    def login_of(self, login: str, password: str) -> Login:
        if self._config.auth == "oauth":
            secret = self._config.oauth_client_secret
            client_secret = secret.get_secret_value() if secret is not None else ""
            return OAuthLogin(self._config.url, login, password, client_secret, self._config.oauth_scope)
        return ClassicLogin(self._rest_url, login, password)

    async def close(self) -> None:
        if self._http is not None:
            with suppress(aiohttp.ClientError, TimeoutError, PbxError):  # else it dies after four hours
                await self.own_login.end(self._http)
            await self._http.close()

    async def login_challenge(self) -> tuple[str, str]:
        """(loginType, nonce) as the PBX gives them."""
        async with _reachable():
            template = await challenge(self.http, self._rest_url)
        return str(template["loginType"]), str(template["nonce"])

    async def prove_challenge(self, nonce: str, secret: str) -> PbxUser:
        """A secret that the browser computed for the PBX's own nonce."""
        async with _reachable():
            template = {"loginType": "Internal", "nonce": nonce, "secret": secret}
            token = await answer(self.http, self._rest_url, template)
            try:
                me = await self._read("/users/me", {"authToken": token})
            finally:
                await log_out(self.http, self._rest_url, token)
        return await self._with_permissions(me)

    async def prove_password(self, login: str, password: str) -> PbxUser:
        user_login = self.login_of(login, password)
        async with _reachable():
            headers = await user_login.headers(self.http)
            try:
                me = await self._read("/users/me", headers)
            finally:
                await user_login.end(self.http)
        return await self._with_permissions(me)

    async def user(self, user_id: int) -> PbxUser | None:
        found = await self._own(f"/users/{user_id}")
        return await self._with_permissions(found) if found is not None else None

    async def users_by_email(self, email: str) -> list[PbxUser]:
        users = await self._own("/users")
        wanted = email.casefold()
        return [
            await self._with_permissions(user)
            for user in users or []
            if str(user.get("email") or "").casefold() == wanted
        ]

    async def all_users(self, groups: Mapping[int, tuple[int, ...]]) -> list[PbxUser]:
        """Every user with permissions: four requests for any number of users (FACTS: `/permissions/{id}/users`)."""
        users = await self._own("/users") or []
        if all(str(user.get("login")) != self._config.login for user in users):
            # A list without the connector's own user is not the whole list: nobody must lose a licence by it.
            raise PbxUnreachableError("the PBX's list of users is not complete")
        held: dict[str, set[int]] = {}
        self.permission_found = False
        for permission in await self._own("/permissions") or []:
            names = {str(permission.get(member) or "").casefold() for member in ("permission", "description")}
            for wanted in (self._config.administrator_permission, self._config.licence_permission):
                if wanted.casefold() in names:
                    self.permission_found |= wanted == self._config.licence_permission
                    holders = await self._own(f"/permissions/{int(permission['id'])}/users") or []
                    held.setdefault(wanted, set()).update(int(user["id"]) for user in holders)
        administrators = held.get(self._config.administrator_permission, set())
        licensed = held.get(self._config.licence_permission, set())
        return [
            _pbx_user(
                user,
                is_administrator=int(user["id"]) in administrators,
                has_licence_permission=int(user["id"]) in licensed,
                group_ids=groups.get(int(user["id"]), ()),
            )
            for user in users
        ]

    async def all_groups(self) -> list[tuple[PbxGroup, list[int]]]:
        """Every group with the ids of its users; one request for each group."""
        found: list[tuple[PbxGroup, list[int]]] = []
        for item in (await self._own("/groups") or [])[:MAX_GROUPS]:
            group = await self._own(f"/groups/{int(item['id'])}")
            if group is None:
                continue
            name = str(group.get("name") or item.get("groupname") or item["id"])
            members = [int(user["id"]) for user in group.get("assignableUsers") or [] if user.get("assigned")]
            found.append((PbxGroup(group_id=int(item["id"]), name=name[:200]), members))
        return found

    async def permission_names(self) -> list[str]:
        """Names and descriptions of every permission that the PBX knows."""
        return [
            str(permission.get(member) or "")
            for permission in await self._own("/permissions") or []
            for member in ("permission", "description")
        ]

    async def token_endpoint(self) -> None:
        """Whether the PBX offers OAuth; raises `PbxUnreachableError` when it does not."""
        async with _reachable(), self.http.get(self._config.url + DISCOVERY) as response:
            if response.status != 200:
                raise PbxUnreachableError(
                    f"OAuth discovery answers {response.status}: older than version 10?"
                )

    async def version(self) -> str | None:
        """`GET /server/version` of newer systems: a string or an object; None when it is not told."""
        try:
            told = await self._own("/server/version")
        except PbxUnreachableError:
            return None
        if isinstance(told, dict):
            told = told.get("version")
        return str(told) if told else None

    async def check(self) -> None:
        """Logs in (or proves that the login still stands) and reads something small."""
        await self._own("/users/me")

    async def _with_permissions(self, user: dict[str, Any]) -> PbxUser:
        """Permissions are found by name: ids and internal names differ between systems."""
        user_id = int(user["id"])
        held = {
            str(permission.get(member) or "").casefold()
            for permission in await self._own(f"/permissions/users/{user_id}") or []
            for member in ("permission", "description")
        }
        return _pbx_user(
            user,
            is_administrator=self._config.administrator_permission.casefold() in held,
            has_licence_permission=self._config.licence_permission.casefold() in held,
        )

    async def _own(self, path: str) -> Any:
        """Reads with the connector's own login; logs in anew once when the token has expired."""
        async with _reachable():
            for _attempt in range(2):
                try:
                    headers = await self.own_login.headers(self.http)
                except LoginRejectedError as refused:
                    raise PbxLoginFailedError(str(refused)) from refused
                try:
                    return await self._read(path, headers)
                except _TokenExpiredError:
                    self.own_login.forget()
            raise PbxLoginFailedError("the PBX takes no token that it has just given")

    async def _read(self, path: str, headers: dict[str, str]) -> Any:
        async with self.http.get(self._rest_url + path, headers={**HEADERS, **headers}) as response:
            if response.status == 401:
                raise _TokenExpiredError
            if response.status == 404:
                return None
            if response.status != 200:
                raise PbxUnreachableError(f"GET {path} answers {response.status}")
            try:
                return await response.json(content_type=None)
            except ValueError as fault:
                raise PbxUnreachableError(f"GET {path} answers no JSON") from fault


def _pbx_user(
    user: dict[str, Any],
    *,
    is_administrator: bool,
    has_licence_permission: bool,
    group_ids: tuple[int, ...] = (),
) -> PbxUser:
    names = (str(user.get("firstName") or ""), str(user.get("familyName") or ""))
    login = str(user.get("login") or "")
    return PbxUser(
        user_id=int(user["id"]),
        login=login,
        display_name=" ".join(name for name in names if name) or login or str(user["id"]),
        email=str(user.get("email") or ""),
        is_administrator=is_administrator,
        has_licence_permission=has_licence_permission,
        group_ids=group_ids,
    )


class _TokenExpiredError(PbxError):
    code = "pbx-login-failed"


@asynccontextmanager
async def _reachable() -> AsyncIterator[None]:
    """Turns what the network raises into what the link understands."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as fault:
        raise PbxUnreachableError(f"{type(fault).__name__}: {fault}"[:300]) from fault
