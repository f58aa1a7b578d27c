"""The way to the PBX: its host, its REST interface, the connector's login and rights, version, UCI and events."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Final

import aiohttp

from connector.config import Config
from connector.doctor import net
from connector.doctor.net import Target
from connector.doctor.steps import Chain, FoundError, WarningFoundError
from connector.errors import LoginRejectedError, PbxError, PbxLoginFailedError
from connector.rest import StarfaceRest
from connector.uci import CALL_EVENTS, Callbacks, UciSession
from core.diagnosis.codes import Code
from core.diagnosis.rules import OLDEST_PBX, UAL_SINCE
from core.diagnosis.version import is_older

OAUTH_RIGHT: Final = "API Zugriff mit OAuth Password Grant"
"""The right that a user of the password grant needs (shared facts, "Login of STARFACE 10 and later")."""


class PbxCheck:
    def __init__(self, config: Config, event_seconds: float = 0) -> None:
        """`event_seconds`: how long a call of the connector's own PBX user is waited for."""
        self._config = config
        self._event_seconds = event_seconds
        self._target = Target(config.pbx.url, Code.PBX_UNREACHABLE)
        self._proxy = net.proxy_of(self._target)
        self._rest = StarfaceRest(config.pbx)
        self._events = 0
        self._event = asyncio.Event()

    async def run(self, chain: Chain) -> None:
        callbacks: Callbacks | None = None
        try:
            await chain.step("pbx-dns", lambda: net.has_address(self._target))
            await chain.step("pbx-tcp", lambda: net.is_reached(self._target, self._proxy))
            if self._target.is_secure:
                await chain.step("pbx-tls", self._tls)
            else:
                chain.skip("pbx-tls")
            await chain.step("pbx-rest", self._offers_login)
            await chain.step("pbx-login", self._login)
            await chain.step("pbx-permission", self._permissions)
            await chain.step("pbx-version", self._version)
            if not self._config.uci.enabled:
                chain.skip("uci-login")
                chain.skip("uci-events")
                return
            callbacks = Callbacks(self._config.uci.model_copy(update={"callback_port": 0}))
            with suppress(OSError):
                await callbacks.start()
            session = UciSession(self._rest, callbacks, self._uci_query, self._take, lambda _state: None)
            try:
                await chain.step("uci-login", lambda: self._uci_login(session))
                await chain.step("uci-events", self._uci_events)
            finally:
                await session.end()
        finally:
            if callbacks is not None:
                await callbacks.stop()
            await self._rest.close()

    async def _tls(self) -> tuple[bool, dict[str, Any]]:
        context = ssl.create_default_context()
        if self._config.pbx.ca_file is not None:
            try:
                context.load_verify_locations(self._config.pbx.ca_file)
            except OSError as fault:
                raise FoundError(
                    Code.CONFIGURATION_INVALID, error=f"ca_file {self._config.pbx.ca_file}: {fault}"
                ) from fault
        return True, await net.handshake(self._target, self._proxy, context)

    async def _offers_login(self) -> tuple[bool, dict[str, Any]]:
        try:
            if self._config.pbx.auth == "classic":
                login_type, _ = await self._rest.login_challenge()
                return True, {"login_type": login_type}
            await self._rest.token_endpoint()
        except PbxError as fault:
            raise self._target.fault("http", error=fault) from fault
        return True, {"login_type": "oauth"}

    async def _login(self) -> tuple[bool, dict[str, Any]]:
        evidence = {"pbx_name": self._config.pbx.name, "login": self._config.pbx.login}
        is_oauth = self._config.pbx.auth == "oauth"
        try:
            await self._rest.own_login.headers(self._rest.http)
        except PbxLoginFailedError as refused:
            raise FoundError(Code.PBX_LOGIN_FAILED, "oauth-client", **evidence, error=refused) from refused
        except LoginRejectedError as refused:
            variant = "oauth-right" if is_oauth else "password"
            raise FoundError(
                Code.PBX_LOGIN_FAILED, variant, **evidence, right=OAUTH_RIGHT, error=refused
            ) from refused
        except (PbxError, aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise self._target.fault("http", error=fault) from fault
        return True, {"login": self._config.pbx.login}

    async def _permissions(self) -> tuple[bool, dict[str, Any]]:
        """Both permissions are found by name; whoever may not list them has too few rights."""
        pbx = self._config.pbx
        try:
            found = {name.casefold() for name in await self._rest.permission_names()}
        except PbxError as fault:
            raise FoundError(Code.PBX_LOGIN_FAILED, "rights", login=pbx.login, error=fault) from fault
        if pbx.administrator_permission.casefold() not in found:
            raise WarningFoundError(
                Code.PERMISSION_MISSING, "administrator", permission=pbx.administrator_permission
            )
        if pbx.licence_permission.casefold() not in found:
            raise WarningFoundError(Code.PERMISSION_MISSING, permission=pbx.licence_permission)
        return True, {"permission": pbx.licence_permission}

    async def _version(self) -> tuple[str | None, dict[str, Any]]:
        version = await self._rest.version()
        if version is None:  # older systems tell it by UCI alone
            session = UciSession(
                self._rest,
                Callbacks(self._config.uci),
                self._uci_query,
                self._take,
                lambda _state: None,
            )
            with suppress(PbxError):
                version = str(await session.call("ucp.v30.requests.system.getServerVersion"))
        if version is None:
            return None, {"version": "?"}
        if is_older(version, OLDEST_PBX):
            raise FoundError(
                Code.PBX_TOO_OLD, pbx_name=self._config.pbx.name, version=version, needed=OLDEST_PBX
            )
        evidence = {"version": version}
        if is_older(version, UAL_SINCE):
            raise WarningFoundError(
                Code.PBX_TOO_OLD, "no-ual", pbx_name=self._config.pbx.name, version=version, needed=UAL_SINCE
            )
        return version, evidence

    async def _uci_login(self, session: UciSession) -> tuple[bool, dict[str, Any]]:
        try:
            await session.connect()
        except PbxError as fault:
            raise FoundError(
                Code.UCI_CONNECTOR_OFF, "doctor", pbx_name=self._config.pbx.name, error=fault
            ) from fault
        return True, {"events": CALL_EVENTS}

    async def _uci_events(self) -> tuple[bool, dict[str, Any]]:
        host = self._config.uci.callback_host
        if host in ("127.0.0.1", "localhost", "::1") and not _is_local(self._target.host):
            raise WarningFoundError(Code.UCI_NO_EVENTS, "callback", callback_host=host)
        if not self._event_seconds:
            return True, {"subscribed": CALL_EVENTS}
        with suppress(TimeoutError):
            async with asyncio.timeout(self._event_seconds):
                await self._event.wait()
        if not self._events:
            raise WarningFoundError(
                Code.UCI_NO_EVENTS, seconds=f"{self._event_seconds:g}", callback_host=host
            )
        return True, {"received": str(self._events)}

    async def _uci_query(self, http: aiohttp.ClientSession) -> dict[str, str]:
        return await self._rest.own_login.uci_query(http)

    def _take(self, _method: str, _params: tuple[Any, ...]) -> None:
        self._events += 1
        self._event.set()


def _is_local(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
