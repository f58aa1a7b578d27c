"""The connector's end of the link: an outbound, signed connection with heartbeats that reconnects until it succeeds."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import aiohttp
from pydantic import ValidationError

from connector.calls import Calls
from connector.config import Config
from connector.directory import Directory
from connector.errors import ConnectorError
from connector.hello import hello
from connector.line.lines import Lines
from connector.monitor import Monitor
from connector.network.client import HttpClient
from connector.network.faults import IN_TIME, UnreachedError, no_greeting, words_of
from connector.network.target import Target
from connector.network.tls import context_for
from connector.refusal import refusal
from connector.state import ConnectorState
from connector.trust import TrustReader
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from wire.client_connection import ClientConnection
from wire.connection import HEARTBEATS_MISSED, choose_delay
from wire.jsonrpc import MAX_FRAME_BYTES, Endpoint, Frame, Handler, LinkClosedError, RpcRefusalError
from wire.link import (
    SUBPROTOCOL_WITH_CAPABILITIES,
    SUBPROTOCOLS,
    Challenge,
    LicenceKeyState,
    Method,
    Welcome,
)
from wire.phone import PhoneMethod

logger = logging.getLogger(__name__)

BACK_OFF_CAP: Final = 60.0
"""Seconds."""
OPEN_SECONDS: Final = 15.0
KEY_CHECK_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 5.0
"""How long methods that run may take to answer before the link is opened again with another key."""
USERS_SECONDS: Final = 60.0
COALESCE_SECONDS: Final = 0.1
"""Changes of lines within this time are reported together."""


class LinkRefusedError(Exception):
    """The hub refused the link; `code` is one of `core.diagnosis.codes`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class LinkParts:
    """What a link reports about, and what answers the service."""

    config: Config
    state: ConnectorState
    monitor: Monitor
    directory: Directory
    calls: Calls
    lines: Lines
    handlers: Mapping[str, Handler]


class LinkClient:
    def __init__(self, parts: LinkParts) -> None:
        """Raises `ConnectorError` if `ca_file` in [service] cannot be used."""
        self.trust = TrustReader()
        self.use(parts)
        self.is_open = asyncio.Event()
        self.links_opened = 0
        self.opened_at: datetime | None = None
        self.last_fault: str | None = None
        self.licence_keys: Sequence[LicenceKeyState] = ()
        """The service's verdict on each licence key, from the last link."""
        self.last_finding: Finding | None = None
        """Why the last attempt to open a link failed, as the doctor would report it."""

    def use(self, parts: LinkParts) -> None:
        """Take other parts; they count from the next `run` on. Raises `ConnectorError` as the constructor does."""
        context_for(Target.service(parts.config.service))
        self.trust.set_subject(parts.config.service.url, parts.config.pbx.name)
        self._config = parts.config
        self._state = parts.state
        self._monitor = parts.monitor
        self._directory = parts.directory
        self._calls = parts.calls
        self._lines = parts.lines
        self._handlers = parts.handlers

    async def run(self) -> None:
        """Keep a link open until cancelled. While the connector is switched off, only tell the service so."""
        try:
            await self._run()
        finally:
            self.is_open.clear()

    async def _run(self) -> None:
        failures = 0
        while True:
            close_code: int | None = None
            try:
                close_code = await self._once()
                if not self._config.active:
                    self.last_fault = self.last_finding = None
                    await self._watch_key()
                    continue
            except LinkRefusedError as refused:
                self.last_finding = self._finding_of(refused.code)
                self.last_fault = self._words_for(refused.code)
                logger.error("link refused: %s", self.last_fault, extra={"code": refused.code})  # noqa: TRY400
                failures = max(failures, 4)
            except UnreachedError as unreached:
                self.last_finding = unreached.finding
                self.last_fault = words_of(unreached.finding, with_cure=True)
                logger.warning("no link to the service: %s", self.last_fault)
            except (
                aiohttp.ClientError,
                OSError,
                LinkClosedError,
                RpcRefusalError,
                ConnectorError,
            ) as fault:
                self.last_fault = f"{type(fault).__name__}: {fault}"[:300]
                logger.warning(
                    "no link to the service; pbx-connector doctor names the cause",
                    extra={"reason": self.last_fault},
                )
            was_open = self.is_open.is_set()
            self.is_open.clear()
            failures = 1 if was_open else failures + 1
            if close_code == aiohttp.WSCloseCode.GOING_AWAY:
                failures = 0  # a stopping replica spreads the closing of its links over time
            await asyncio.sleep(choose_delay(failures, BACK_OFF_CAP))

    def _words_for(self, code: str) -> str:
        """Return the text for the log about a refusal."""
        finding = self._finding_of(code)
        return words_of(finding, with_cure=True) if finding is not None else code

    def _finding_of(self, code: str) -> Finding | None:
        known = Code.named(code)
        return refusal(known, self._config, self._state) if known is not None else None

    async def _once(self) -> int | None:
        """Open one link, serve it to its end, and return the code with which it was closed."""
        url = f"{self._config.service.url}/connector/link"
        # A new client for each try, so that a newly installed certificate authority is trusted without a restart.
        async with HttpClient(target := Target.service(self._config.service)) as http:
            socket = await http.websocket(
                url, protocols=SUBPROTOCOLS, max_msg_size=MAX_FRAME_BYTES, compress=0
            )
            async with socket:
                challenge = await self._greeting(socket, target)
                async with ClientConnection(socket, self._handlers) as connection:
                    await self._serve(socket, connection, challenge)
                return socket.close_code

    async def _greeting(self, socket: aiohttp.ClientWebSocketResponse, target: Target) -> Challenge:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                return await _challenge(socket)
        except (TimeoutError, LinkClosedError) as fault:
            word = IN_TIME if isinstance(fault, TimeoutError) else "-"
            raise UnreachedError(no_greeting(target, socket.close_code, word)) from fault

    async def _serve(
        self, socket: aiohttp.ClientWebSocketResponse, connection: ClientConnection, challenge: Challenge
    ) -> None:
        endpoint = connection.endpoint
        welcome = await self._open(endpoint, challenge, socket.protocol)
        if not self._config.active:
            logger.info("the connector is switched off; the service knows, and no link stays open")
            return
        self.is_open.set()
        self.trust.link_opened(endpoint)
        self.links_opened += 1
        self.opened_at = datetime.now(UTC)
        logger.info("link open", extra={"pbx": self._config.pbx.name, "service": self._config.service.url})
        self.licence_keys = tuple(welcome.licence_keys)
        for state in welcome.licence_keys:
            if not state.accepted:
                logger.error("licence key refused: %s", state.reason, extra={"serial": state.serial})
        every = welcome.heartbeat_seconds
        try:
            await connection.until_closed(
                connection.beat(Method.PING, every, silence=every * HEARTBEATS_MISSED),
                self._report(endpoint, socket.protocol),
                self._report_users(endpoint),
                self._report_calls(endpoint),
                self._report_lines(endpoint),
                self._watch_key(endpoint),
            )
        finally:
            self.trust.link_closed()
        logger.info("link closed", extra={"code": socket.close_code})

    async def _open(self, endpoint: Endpoint, challenge: Challenge, subprotocol: str | None) -> Welcome:
        if subprotocol != SUBPROTOCOL_WITH_CAPABILITIES:
            logger.warning(
                "the service is older than this connector: people seal their password instead of the PBX's challenge"
            )
        opening = hello(
            config=self._config,
            state=self._state,
            challenge=challenge,
            status=self._monitor.status,
            licence_keys=self._config.licences.keys,
            subprotocol=subprotocol,
        )
        try:
            answer = await endpoint.call(Method.HELLO, opening, deadline=OPEN_SECONDS)
            return Welcome.model_validate(answer)
        except RpcRefusalError as refusal:
            raise LinkRefusedError(refusal.code) from refusal
        except ValidationError as misfit:
            raise LinkRefusedError("protocol-error") from misfit

    async def _report(self, endpoint: Endpoint, subprotocol: str | None) -> None:
        """Send the present status, then each change."""
        while True:
            self._monitor.changed.clear()
            await endpoint.notify(Method.STATUS, self._monitor.status.for_hub(subprotocol))
            await self._monitor.changed.wait()

    async def _report_users(self, endpoint: Endpoint) -> None:
        """Report changed users. Changes that the service has not acknowledged are reported on the next link."""
        while True:
            self._directory.changed.clear()
            for portion in self._directory.unreported():
                await endpoint.call(Method.USERS_CHANGED, portion, deadline=USERS_SECONDS)
                self._directory.reported(portion)
            await self._directory.changed.wait()

    async def _report_calls(self, endpoint: Endpoint) -> None:
        """Report calls that ended at once. Those that the service has not acknowledged are reported on the next link."""
        while True:
            self._calls.changed.clear()
            for call in self._calls.unreported():
                await endpoint.call(Method.CALL_ENDED_AT_ONCE, call, deadline=USERS_SECONDS)
                self._calls.reported(call)
            await self._calls.changed.wait()

    async def _report_lines(self, endpoint: Endpoint) -> None:
        """Report the users whose telephones have changed, but not what has changed. Changes without a link are reported on
        the next one.
        """
        while True:
            await self._lines.changed.wait()
            await asyncio.sleep(COALESCE_SECONDS)
            changed = self._lines.take_changed()
            if changed is not None:
                await endpoint.notify(PhoneMethod.CHANGED, changed)

    async def _watch_key(self, endpoint: Endpoint | None = None) -> None:
        """Return when somebody has made another key. That ends the link, and the next hello has the new key."""
        stamp = self._state.pbx_key_stamp()
        while self._state.pbx_key_stamp() == stamp:  # noqa: ASYNC110 - another process may write the file
            await asyncio.sleep(KEY_CHECK_SECONDS)
        logger.info("the PBX key was renewed")
        if endpoint is not None:  # the answer to the request that has made it must still cross this link
            await endpoint.finish_answers(ANSWER_SECONDS)


async def _challenge(socket: aiohttp.ClientWebSocketResponse) -> Challenge:
    message = await socket.receive()
    if message.type is not aiohttp.WSMsgType.TEXT:
        raise LinkClosedError
    try:
        frame = Frame.model_validate_json(message.data)
        if frame.method == Method.CHALLENGE:
            return Challenge.model_validate(frame.params or {})
    except ValidationError as misfit:
        raise LinkRefusedError("protocol-error") from misfit
    raise LinkRefusedError("protocol-error")
