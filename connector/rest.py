"""The STARFACE REST client: reads users, permissions, groups and the version.

Every answer is parsed by `connector.answers`. An answer that cannot be read raises a `PbxError` and changes nothing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from connector import answers
from connector.answers import GroupRecord, ParsedList, PermissionRecord, UserRecord, parsed
from connector.config import PbxSection
from connector.errors import (
    LoginRejectedError,
    PbxAnswerError,
    PbxBlockedError,
    PbxCloudError,
    PbxError,
    PbxForbiddenError,
    PbxLoginFailedError,
    PbxRestartingError,
    PbxSlowError,
    PbxUnreachableError,
)
from connector.exchange import bytes_of, exchange
from connector.guard import LoginGuard
from connector.login import (
    HEADERS,
    RESTARTING,
    ClassicLogin,
    Login,
    OAuthLogin,
    answer,
    challenge,
    discover,
    is_cloud_connected,
    log_out,
)
from connector.network.client import HttpClient
from connector.network.faults import NETWORK_FAULTS, UnreachedError, words_of
from connector.network.target import Target
from connector.permissions import candidates, is_named, names_of
from wire.email import canonical_email
from wire.link import PbxGroup, PbxUser

logger = logging.getLogger(__name__)

LOG_OUT_SECONDS: Final = 0.6
EXPLAIN_SECONDS: Final = 1.0
"""Time-out for each layer when a failed request is explained, because somebody waits for the answer."""
REQUESTS_AT_ONCE: Final = 8
"""Most concurrent requests when many records are read, because a PBX is not a web farm."""
MAX_SAME_EMAIL: Final = 2
"""How many users with one e-mail address are returned: two prove that the address does not identify one user."""
FORBIDDEN: Final = 403
LICENCE: Final = 0
ADMINISTRATOR: Final = 1
"""The positions of the two permissions in `Holders.of` and `StarfaceRest.holds`."""


class NotThereError(PbxAnswerError):
    """The PBX answered 404: there is nothing under this path, or no such record."""


@dataclass(frozen=True, slots=True)
class Holders:
    """The users who hold the two permissions. None means unknown, not nobody."""

    licensed: frozenset[int] | None
    administrators: frozenset[int] | None
    licence_permission_found: bool
    candidates: Sequence[str] = ()
    """Permissions with a name similar to the licence permission, while that is not found."""
    fault: PbxError | None = None
    """Why the holders of one permission are unknown although the permission exists."""
    skipped: int = 0
    """The number of holders that could not be read. So a user who is not listed may still hold the permission."""
    reason: str | None = None

    def of(self, which: int) -> frozenset[int] | None:
        return (self.licensed, self.administrators)[which]


class StarfaceRest:
    """Client of one STARFACE. It uses the connector's own login and verifies other users' logins."""

    def __init__(self, config: PbxSection, guard: LoginGuard | None = None) -> None:
        """`guard` is shared by all parts that log in."""
        self._config = config
        self._rest_url = f"{config.url}/rest"
        self._password = config.read_password()
        self.guard = guard or LoginGuard()
        self.own_login = self.login_of(config.login, self._password)
        self._own_id: int | None = None
        self._logging_in: asyncio.Task[dict[str, str]] | None = None
        self.http = HttpClient(Target.pbx(config), read_again=lambda: Target.pbx(config))
        self._licence_names = names_of(config.licence_permission)
        self._administrator_names = names_of(config.administrator_permission)

    @property
    def url(self) -> str:
        return self._config.url

    @property
    def licence_permission(self) -> str:
        return self._config.licence_permission

    def login_of(self, login: str, password: str) -> Login:
        if self._config.auth == "oauth":
            return self._oauth_login(login, password)
        return ClassicLogin(self._rest_url, login, password)

    def resume_oauth(
        self, login: str, refresh_token: str, on_refresh_token: Callable[[str], None]
    ) -> OAuthLogin:
        """Return the login of a person who has given a refresh token; `on_refresh_token` gets each new one."""
        return self._oauth_login(login, None, refresh_token, on_refresh_token)

    async def refresh_token_of(self, login: str, password: str, who: str = "") -> str:
        """Exchange a person's password for a refresh token. `who`: the Teams identity.

        Raises `LoginRejectedError` or another `PbxError`.
        """
        oauth = self._oauth_login(login, password)
        async with self.understood("/login"), self.guard.person(login, who):
            token = await oauth.refresh_token(self.http)
        if token is None:
            raise PbxAnswerError("OAuth token endpoint", 200, "no refresh_token")
        return token

    def _oauth_login(
        self,
        login: str,
        password: str | None,
        refresh_token: str | None = None,
        on_refresh_token: Callable[[str], None] = lambda _token: None,
    ) -> OAuthLogin:
        secret = self._config.oauth_client_secret
        return OAuthLogin(
            base_url=self._config.url,
            login=login,
            password=password,
            client_secret=secret.get_secret_value() if secret is not None else "",
            scope=self._config.oauth_scope,
            refresh_token=refresh_token,
            on_refresh_token=on_refresh_token,
        )

    async def close(self) -> None:
        if self._logging_in is not None:
            self._logging_in.cancel()
        with suppress(UnreachedError, PbxError, *NETWORK_FAULTS):  # else it expires in four hours
            async with asyncio.timeout(LOG_OUT_SECONDS):
                await self.own_login.end(self.http)
        await self.http.close()

    async def login_challenge(self) -> tuple[str, str]:
        """Return loginType and nonce as the PBX sends them. Raises `PbxError`."""
        async with self.understood("/login"):
            template = await challenge(self.http, self._rest_url)
        return str(template["loginType"]), str(template["nonce"])

    async def prove_challenge(self, nonce: str, secret: str, who: str = "") -> PbxUser:
        """Verify a secret that the browser computed for the PBX's own nonce, and return its user. `who`: the Teams identity.

        Raises `LoginRejectedError` or another `PbxError`.
        """
        login = secret.partition(":")[0]
        async with self.understood("/login"):
            template = {"loginType": "Internal", "nonce": nonce, "secret": secret}
            async with self.guard.person(login, who):
                token = await answer(self.http, self._rest_url, template)
            try:
                me = await self._me({"authToken": token})
            finally:
                await log_out(self.http, self._rest_url, token)
        return await self._with_permissions(me)

    async def prove_password(self, login: str, password: str, who: str = "") -> PbxUser:
        user_login = self.login_of(login, password)
        async with self.understood("/login"):
            async with self.guard.person(login, who):
                headers = await user_login.headers(self.http)
            try:
                me = await self._me(headers)
            finally:
                await user_login.end(self.http)
        return await self._with_permissions(me)

    async def user(self, user_id: int) -> PbxUser | None:
        """Return a user with their permissions, or None if the PBX says that there is no such user."""
        found = await self._user(user_id)
        return await self._with_permissions(found) if found is not None else None

    async def is_gone(self, user_id: int) -> bool:
        """Return whether the PBX says that there is no such user. A list without the user may only be incomplete."""
        return await self._user(user_id) is None

    async def users_by_email(self, email: str) -> list[PbxUser]:
        """Return the users with this e-mail address, at most `MAX_SAME_EMAIL`."""
        wanted = canonical_email(email)
        if wanted is None:
            return []
        listed = {user.id: user for user in (await self.users()).items}  # a list may contain a user twice
        found = [user for user in listed.values() if canonical_email(user.email) == wanted]
        return [await self._with_permissions(user) for user in found[:MAX_SAME_EMAIL]]

    async def users(self) -> ParsedList[UserRecord]:
        """Return all users. Raises `PbxAnswerError` if the connector's own user is missing: the list is then incomplete."""
        own_id = await self.own_id()
        found = answers.users("/users", await self._own("/users"))
        if all(user.id != own_id for user in found.items):
            raise PbxAnswerError("/users", 200, "the list does not hold the connector's own user")
        return found

    async def holders(self, permissions: Sequence[PermissionRecord]) -> Holders:
        """Return the holders of the licence and the administrator permission; needs one request for each permission found."""
        fault: PbxError | None = None
        ids: list[frozenset[int] | None] = []
        found: list[bool] = []
        skipped, reason = 0, None
        for names in (self._licence_names, self._administrator_names):
            named = [permission for permission in permissions if is_named(permission, names)]
            found.append(bool(named))
            try:
                lists = [await self._holders_of(permission) for permission in named]
            except PbxError as unread:
                fault = unread
                ids.append(None)
                continue
            ids.append(frozenset(one for listed in lists for one in listed.items) if named else None)
            skipped += sum(listed.skipped for listed in lists)
            reason = reason or next((listed.reason for listed in lists if listed.reason), None)
        return Holders(
            licensed=ids[0],
            administrators=ids[1],
            licence_permission_found=found[0],
            candidates=() if found[0] else candidates(permissions),
            fault=fault,
            skipped=skipped,
            reason=reason,
        )

    async def holds(self, user_id: int) -> tuple[bool | None, bool | None]:
        """Return whether the user's own record shows the licence permission and the administrator's; None if unknown."""
        held = await self.permissions_of(user_id)
        return self._holds(held, self._licence_names), self._holds(held, self._administrator_names)

    async def permissions(self) -> ParsedList[PermissionRecord]:
        return answers.permissions("/permissions", await self._own("/permissions"))

    async def permissions_of(self, user_id: int) -> ParsedList[PermissionRecord]:
        path = f"/permissions/users/{user_id}"
        return answers.held_permissions(path, await self._own(path))

    async def groups(self) -> ParsedList[GroupRecord]:
        """Return all groups, without their members."""
        return answers.groups("/groups", await self._own("/groups"))

    async def group(self, group_id: int) -> GroupRecord:
        """Return one group with its members."""
        path = f"/groups/{group_id}"
        found = answers.group(path, await self._own(path))
        if found.id != group_id:
            raise PbxAnswerError(path, 200, "another group")
        return found

    async def token_endpoint(self) -> None:
        """Check that the PBX offers OAuth. Raises a `PbxError` if it does not."""
        async with self.understood("OAuth discovery"):
            await discover(self.http, self._config.url)

    async def version(self) -> str | None:
        """Return the version from `GET /server/version`, which newer systems have; None without one. 403 and 404 are common."""
        try:
            return answers.version(await self._own("/server/version"))
        except PbxError as fault:
            logger.debug("the PBX does not report its version by REST", extra={"reason": str(fault)[:200]})
            return None

    async def check(self) -> UserRecord:
        """Log in, or check that the login is still valid, and return the connector's own user. Raises `PbxError`."""
        me = answers.user("/users/me", await self._own("/users/me"))
        self._own_id = me.id
        return me

    async def own_id(self) -> int:
        """Return the id of the connector's own user. Raises `PbxError`."""
        return self._own_id if self._own_id is not None else (await self.check()).id

    async def own_uci_query(self) -> dict[str, str]:
        """Return the query parameters that identify the connector's own user in a UCI address. Raises `PbxError`, without
        asking the PBX while the login is paused.
        """
        async with self.understood("/login"):
            await self._own_headers()
            return await self.own_login.uci_query(self.http)

    async def _user(self, user_id: int) -> UserRecord | None:
        path = f"/users/{user_id}"
        try:
            found = answers.user(path, await self._own(path))
        except NotThereError:
            await self.check()  # raises if everything is 404, which says nothing about this user
            return None
        if found.id != user_id:
            raise PbxAnswerError(path, 200, "another user")
        return found

    async def _holders_of(self, permission: PermissionRecord) -> ParsedList[int]:
        path = f"/permissions/{permission.id}/users"
        return answers.holders(path, await self._own(path))

    async def _with_permissions(self, user: UserRecord) -> PbxUser:
        has_licence_permission, is_administrator = await self.holds(user.id)
        return pbx_user(
            user, is_administrator=is_administrator, has_licence_permission=has_licence_permission
        )

    @staticmethod
    def _holds(held: ParsedList[PermissionRecord], names: frozenset[str]) -> bool | None:
        if any(is_named(one, names) for one in held.items):
            return True
        return None if held.skipped else False

    async def _me(self, headers: Mapping[str, str]) -> UserRecord:
        return answers.user("/users/me", await self._read("/users/me", headers))

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Read JSON with the connector's own login; errors never contain `query`. Raises `PbxError`."""
        return await self._own(path, query)

    async def put(self, path: str, body: Any, query: Mapping[str, str] | None = None) -> None:
        """Write JSON with the connector's own login. Raises `PbxError`."""
        async with self.understood(path):
            for _attempt in range(2):
                headers = {**HEADERS, **await self._own_headers()}
                url = self._rest_url + path
                options = {"headers": headers, "params": query, "json": body}
                async with exchange(self.http, "PUT", url, **options) as response:
                    if response.status == 401:
                        self.own_login.forget()
                        continue
                    _refuse_status(path, response.status)
                    if response.status not in (200, 204):
                        raise PbxAnswerError(path, response.status, "not written")
                    return
            raise PbxLoginFailedError("the PBX refuses a token that it has just issued")

    async def _own(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Read with the connector's own login; log in again once if the token has expired."""
        async with self.understood(path):
            for _attempt in range(2):
                headers = await self._own_headers()
                try:
                    return await self._read(path, headers, query)
                except _TokenExpiredError:
                    self.own_login.forget()
            raise PbxLoginFailedError("the PBX refuses a token that it has just issued")

    async def _own_headers(self) -> dict[str, str]:
        """Return the headers of the own login. Concurrent callers share one login, and none holds a lock while the PBX works
        on it.
        """
        if self.own_login.is_current:
            return await self.own_login.headers(self.http)
        if self._logging_in is None or self._logging_in.done():
            self._logging_in = asyncio.create_task(self._log_in())
            self._logging_in.add_done_callback(_retrieve_exception)
        return await asyncio.shield(self._logging_in)

    async def _log_in(self) -> dict[str, str]:
        async with self.guard.own():
            try:
                return await self.own_login.headers(self.http)
            except LoginRejectedError as refused:
                if await is_cloud_connected(self.http, self._config.url):
                    raise PbxCloudError from refused
                raise PbxLoginFailedError(str(refused)) from refused

    async def _read(
        self, path: str, headers: Mapping[str, str], query: Mapping[str, str] | None = None
    ) -> Any:
        url = self._rest_url + path
        options = {"headers": {**HEADERS, **headers}, "params": query}
        async with exchange(self.http, "GET", url, **options) as response:
            status = response.status
            if status == 401:
                raise _TokenExpiredError
            _refuse_status(path, status)
            body = await bytes_of(response, path)
            if status == 404 and not body.strip():
                raise NotThereError(path, status, "nothing there")
            content = parsed(path, status, body, response.charset)
            if status == 404:
                # An HTML page fails above: it says nothing about the record, because the address may be wrong.
                raise NotThereError(path, status, "nothing there")
            if status != 200:
                raise PbxAnswerError(path, status, "no result")
            return content

    @asynccontextmanager
    async def understood(self, what: str) -> AsyncIterator[None]:
        """Turn every failure of a request into a `PbxError`. `what`: the path, for the message."""
        try:
            yield
        except PbxError:
            raise
        except (UnreachedError, aiohttp.ClientHttpProxyError) as fault:
            raise await self._unreached(fault) from fault
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as fault:
            raise PbxAnswerError(
                what, 0, f"an answer that is cut or broken ({type(fault).__name__})"
            ) from fault
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as fault:
            raise self._blocked() or await self._unreached(fault) from fault
        except TimeoutError as fault:
            waited = self.http.target.limits.whole
            raise self._blocked() or PbxSlowError(f"{what}: no answer in {waited:g} s") from fault
        except NETWORK_FAULTS as fault:
            raise await self._unreached(fault) from fault
        except Exception as fault:
            logger.exception("an unexpected answer of the PBX", extra={"path": what})
            raise PbxAnswerError(
                what, 200, f"an answer that is not understood ({type(fault).__name__})"
            ) from fault

    async def _unreached(self, fault: BaseException) -> PbxUnreachableError:
        """Return the error of a request that did not reach the PBX, explained as the doctor explains it."""
        finding = await self.http.explain(fault, EXPLAIN_SECONDS)
        if finding is None:
            return PbxUnreachableError(f"the connection is lost ({type(fault).__name__})")
        return PbxUnreachableError(words_of(finding), finding)

    def _blocked(self) -> PbxError | None:
        """Return a `PbxBlockedError` if a login was refused recently: silence then looks like the PBX's blacklist."""
        if not self.guard.refused_recently:
            return None
        return PbxBlockedError("the PBX does not answer since it refused logins from this address")


def pbx_user(
    user: UserRecord,
    *,
    is_administrator: bool | None,
    has_licence_permission: bool | None,
    group_ids: tuple[int, ...] = (),
) -> PbxUser:
    return PbxUser(
        user_id=user.id,
        login=user.login,
        display_name=user.display_name,
        email=user.email,
        is_administrator=is_administrator,
        has_licence_permission=has_licence_permission,
        group_ids=group_ids,
    )


def pbx_group(group: GroupRecord) -> PbxGroup:
    return PbxGroup(group_id=group.id, name=group.name)


class _TokenExpiredError(PbxError):
    code = "pbx-login-failed"


def _refuse_status(path: str, status: int) -> None:
    if status == FORBIDDEN:
        raise PbxForbiddenError(f"{path} answers 403")
    if status in RESTARTING:
        raise PbxRestartingError(f"{path} answers {status}")


def _retrieve_exception(task: asyncio.Task[dict[str, str]]) -> None:
    """Mark the task's exception as retrieved, because its caller may be gone."""
    if not task.cancelled():
        task.exception()
