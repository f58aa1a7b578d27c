"""Checks the PBX: its host, its REST interface, the connector's login and rights, version, UCI and events."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from connector import answers
from connector.config import Config
from connector.doctor.steps import Chain, FoundError, WarningFoundError
from connector.doctor.way import WayCheck
from connector.errors import (
    ConnectorError,
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
from connector.exchange import EndpointElsewhereError, PbxRedirectedError
from connector.guard import LoginGuard
from connector.line.capabilities import get_capabilities, in_words
from connector.line.features import OfferedRequests, services
from connector.line.rest_phone import RestPhone
from connector.login_memory import LoginMemory
from connector.network.client import HttpClient
from connector.permissions import candidates, is_named, names_of
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from connector.uci import Callbacks, UciSession
from core.diagnosis.codes import Code
from core.diagnosis.rules import OLDEST_PBX, UAL_SINCE
from core.diagnosis.version import is_older, parse_version
from wire.hosts import is_loopback

OAUTH_RIGHT: Final = "API Zugriff mit OAuth Password Grant"
"""The right that a user of the password grant needs (docs/facts/starface.md, "Login with OAuth 2")."""


GROUPS_TRIED: Final = 20


class PbxCheck:
    def __init__(self, config: Config, event_seconds: float = 0, state: ConnectorState | None = None) -> None:
        """`event_seconds`: how long to wait for a call of the connector's own PBX user. `state` has the last refused logins
        of all processes. Raises `ConnectorError` if the password cannot be read.
        """
        self._config = config
        self._event_seconds = event_seconds
        memory = LoginMemory(state, config.pbx) if state is not None else None
        self._rest = StarfaceRest(config.pbx, LoginGuard(memory=memory))
        self._target = self._rest.http.target
        self._way = WayCheck(self._rest.http, "pbx")
        self._cannot_listen: Exception | None = None
        self.callback_port = 0
        """The port to which the PBX sends events, while the check runs."""
        self._events = 0
        self._requests: Sequence[str] = ()
        self._event = asyncio.Event()

    async def run(self, chain: Chain) -> None:
        callbacks: Callbacks | None = None
        try:
            await self._way.run(chain)
            await chain.step("pbx-rest", self._offers_login)
            await chain.step("pbx-login", self._login)
            await chain.step("pbx-permission", self._permissions)
            await chain.step("pbx-users", self._users)
            await chain.step("pbx-version", self._version)
            if not self._config.uci.enabled:
                for step in ("uci-login", "uci-events", "telephone"):
                    chain.skip(step)
                return
            callbacks = await self._listen()
            session = UciSession(
                rest=self._rest,
                callbacks=callbacks,
                query=self._uci_query,
                on_event=self._take,
                on_state=lambda _state: None,
                next_token=self._rest.own_login.uci_refused,
                on_offer=self._offered,
            )
            try:
                await chain.step("uci-login", lambda: self._uci_login(session))
                await chain.step("uci-events", self._uci_events)
                await chain.step("telephone", self._telephone)
            finally:
                await session.end()
        finally:
            if callbacks is not None:
                await callbacks.stop()
            await self._rest.close()

    async def _listen(self) -> Callbacks:
        """Listen on the configured port, which a firewall may let through; on any free one if it is taken, as by the
        running connector.
        """
        uci = self._config.uci
        callbacks = Callbacks(uci)
        try:
            await callbacks.start()
        except OSError:
            callbacks = Callbacks(uci.model_copy(update={"callback_port": 0}))
            try:
                await callbacks.start()
            except (OSError, ConnectorError) as fault:
                self._cannot_listen = fault
        except ConnectorError as fault:
            self._cannot_listen = fault
        self.callback_port = callbacks.port
        return callbacks

    def _misled(self, fault: BaseException) -> FoundError | None:
        """Return a finding if the PBX sends the login elsewhere or cannot be reached; None for every other fault."""
        if isinstance(fault, PbxRedirectedError):
            return FoundError.of(self._target.finding("redirect", location=fault.location))
        if isinstance(fault, EndpointElsewhereError):
            return FoundError.of(self._target.finding("oauth-elsewhere", endpoint=fault.endpoint))
        if isinstance(fault, PbxUnreachableError) and fault.finding is not None:
            return FoundError.of(fault.finding)
        return None

    def _no_interface(self, fault: PbxError) -> FoundError:
        misled = self._misled(fault)
        if misled is None and isinstance(fault, PbxAnswerError):
            return FoundError(Code.PBX_ANSWER_UNCLEAR, "http", host=self._target.host, error=fault)
        return misled or FoundError.of(self._target.finding("http", error=fault))

    async def _offers_login(self) -> tuple[bool, dict[str, Any]]:
        try:
            if self._config.pbx.auth == "classic":
                login_type, _ = await self._rest.login_challenge()
                return True, {"login_type": login_type}
            await self._rest.token_endpoint()
        except (PbxUnreachableError, PbxAnswerError) as fault:
            raise self._no_interface(fault) from fault
        return True, {"login_type": "oauth"}

    async def _login(self) -> tuple[bool, dict[str, Any]]:
        evidence = {"pbx_name": self._config.pbx.name, "login": self._config.pbx.login}
        is_oauth = self._config.pbx.auth == "oauth"
        try:
            await self._rest.check()
        except PbxCloudError:
            raise
        except PbxLoginFailedError as refused:
            if not isinstance(refused.__cause__, LoginRejectedError):
                raise FoundError(
                    Code.PBX_LOGIN_FAILED, "oauth-client", **evidence, error=refused
                ) from refused
            variant = "oauth-right" if is_oauth else "password"
            raise FoundError(
                Code.PBX_LOGIN_FAILED, variant, **evidence, right=OAUTH_RIGHT, error=refused
            ) from refused
        except PbxUnreachableError as fault:
            raise self._no_interface(fault) from fault
        return True, {"login": self._config.pbx.login}

    async def _permissions(self) -> tuple[bool, dict[str, Any]]:
        """Find both permissions by name. A login that may not list them has too few rights."""
        pbx = self._config.pbx
        try:
            found = (await self._rest.permissions()).items
            holders = await self._rest.holders(found)
            if holders.fault is not None:
                raise holders.fault
        except PbxForbiddenError as fault:
            raise FoundError(Code.PBX_LOGIN_FAILED, "rights", login=pbx.login, error=fault) from fault
        if not any(is_named(one, names_of(pbx.administrator_permission)) for one in found):
            raise WarningFoundError(
                Code.PERMISSION_MISSING, "administrator", permission=pbx.administrator_permission
            )
        if not any(is_named(one, names_of(pbx.licence_permission)) for one in found):
            similar = ", ".join(candidates(found))
            variant = "candidates" if similar else None
            raise WarningFoundError(
                Code.PERMISSION_MISSING, variant, permission=pbx.licence_permission, candidates=similar
            )
        if holders.skipped:
            raise WarningFoundError(
                Code.PBX_ANSWER_UNCLEAR,
                "records",
                pbx_name=pbx.name,
                skipped=holders.skipped,
                error=holders.reason,
            )
        return True, {"permission": pbx.licence_permission}

    async def _users(self) -> tuple[bool, dict[str, Any]]:
        """Read once what the running connector reads of users and groups."""
        users = await self._rest.users()
        groups = await self._rest.groups()
        for group in groups.items[:GROUPS_TRIED]:
            await self._rest.group(group.id)
        evidence = {"users": len(users.items), "groups": len(groups.items)}
        if users.skipped or groups.skipped:
            raise WarningFoundError(
                Code.PBX_ANSWER_UNCLEAR,
                "records",
                pbx_name=self._config.pbx.name,
                skipped=users.skipped + groups.skipped,
                error=users.reason or groups.reason,
            )
        return True, evidence

    async def _version(self) -> tuple[str | None, dict[str, Any]]:
        version = await self._rest.version()
        if version is None:  # older systems report it only by UCI
            session = UciSession(
                rest=self._rest,
                callbacks=Callbacks(self._config.uci),
                query=self._uci_query,
                on_event=self._take,
                on_state=lambda _state: None,
            )
            with suppress(PbxError):
                version = answers.version(await session.call("ucp.v30.requests.system.getServerVersion"))
        if version is None or not parse_version(version):
            return None, {"version": version or "?"}
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
        if self._cannot_listen is not None:
            host = self._config.uci.listens_on
            raise FoundError(
                Code.UCI_NO_EVENTS, "listen", callback_host=host, error=self._cannot_listen
            ) from self._cannot_listen
        try:
            await session.connect()
        except (PbxAnswerError, PbxRestartingError, PbxSlowError, PbxBlockedError):
            raise  # does not mean that UCI is switched off
        except PbxError as fault:
            raise FoundError(
                Code.UCI_CONNECTOR_OFF, "doctor", pbx_name=self._config.pbx.name, error=fault
            ) from fault
        return True, {"requests": services(self._requests) or "?"}

    def _offered(self, requests: Sequence[str], _events: Sequence[str]) -> None:
        self._requests = requests

    async def _uci_events(self) -> tuple[bool, dict[str, Any]]:
        host = self._config.uci.callback_host
        if is_loopback(host) and not is_loopback(self._target.host):
            raise WarningFoundError(Code.UCI_NO_EVENTS, "callback", callback_host=host)
        if self._event_seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._event_seconds):
                    await self._event.wait()
            if not self._events:
                raise WarningFoundError(
                    Code.UCI_NO_EVENTS, seconds=f"{self._event_seconds:g}", callback_host=host
                )
        if self._config.uci.is_in_clear:
            raise WarningFoundError(Code.CLEAR_TEXT, "callback", callback_host=host)
        return True, {"received": str(self._events)} if self._events else {}

    async def _telephone(self) -> tuple[bool, dict[str, Any]]:
        """Report what the PBX offers for telephones, by name only. UCI has been logged in, with its call events."""
        rest = RestPhone(self._rest)
        await rest.find_offers(await self._rest.own_id())
        record = get_capabilities(OfferedRequests(self._requests), rest, {}, receives_calls=True)
        return True, in_words(record)

    async def _uci_query(self, _http: HttpClient) -> dict[str, str]:
        return await self._rest.own_uci_query()

    def _take(self, _method: str, _params: tuple[Any, ...]) -> None:
        self._events += 1
        self._event.set()
