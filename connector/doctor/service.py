"""Checks the service: clock, host name, proxy, TCP, TLS, WebSocket, challenge, and whether it knows name and key."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from pydantic import ValidationError

from connector.config import Config, ServiceSection
from connector.doctor.steps import Chain, FoundError, WarningFoundError
from connector.doctor.way import WayCheck
from connector.hello import hello
from connector.network import dial
from connector.network.client import HttpClient
from connector.network.faults import IN_TIME, no_greeting
from connector.network.target import Target
from connector.refusal import refusal
from connector.state import ConnectorState
from core.diagnosis.codes import Code
from wire.jsonrpc import MAX_FRAME_BYTES, Frame, dump
from wire.link import (
    SUBPROTOCOLS,
    Challenge,
    Checked,
    Hello,
    Method,
    NameState,
    RestState,
    Status,
    UciState,
)

SECONDS: Final = 15.0
"""Time-out for a message of the service, the same as the link's."""


class ServiceCheck:
    def __init__(
        self, service: ServiceSection, config: Config | None = None, state: ConnectorState | None = None
    ) -> None:
        """Without `config` and `state`, name and key are not checked. Raises `ConnectorError` if `ca_file` cannot be used."""
        self._config = config
        self._state = state
        self._target = Target.service(service)
        self._http = HttpClient(self._target)
        self._way = WayCheck(self._http, "service")

    async def run(self, chain: Chain) -> None:
        await chain.step("clock", self._clock)
        await self._way.run(chain)
        socket = _Socket(self._http)
        try:
            await chain.step("service-websocket", socket.open)
            challenge = await chain.step("service-challenge", socket.challenge)
            config, state = self._config, self._state
            if challenge is None or config is None or state is None:
                chain.skip("name")
                chain.skip("key")
                return
            checked = await chain.step("name", lambda: self._name(socket, challenge, config, state))
            if checked is None:
                chain.skip("key")
            else:
                await chain.step("key", lambda: self._key(config.pbx.name, checked))
        finally:
            await socket.close()

    async def _clock(self) -> tuple[datetime, dict[str, Any]]:
        here = datetime.now(UTC)
        there = await dial.time_of(self._target, await self._way.find_proxy())
        if (wrong := dial.wrong_clock(self._target, here, there)) is not None:
            raise FoundError.of(wrong)
        shown = {"here": f"{here:%Y-%m-%d %H:%M:%S} UTC"}
        if there is not None:
            shown["off"] = f"{abs((here - there).total_seconds()):.0f} s"
        return here, shown

    async def _name(
        self, socket: "_Socket", challenge: Challenge, config: Config, state: ConnectorState
    ) -> tuple[Checked, dict[str, Any]]:
        name = config.pbx.name
        evidence = {"pbx_name": name, "identity": state.fingerprint}
        status = Status(module_active=config.active, uci=UciState.OFF, rest=RestState.UNKNOWN)
        answer = await socket.check(
            hello(
                config=config,
                state=state,
                challenge=challenge,
                status=status,
                subprotocol=socket.subprotocol,
            )
        )
        if isinstance(answer, Code):
            raise _refused(answer, config, state)
        if answer.name is NameState.ENROLMENT_NEEDED:
            raise _refused(Code.ENROLMENT_NEEDED, config, state)
        return answer, {**evidence, "name": answer.name}

    async def _key(self, pbx_name: str, checked: Checked) -> tuple[bool, dict[str, Any]]:
        evidence = {"pbx_name": pbx_name}
        if checked.name is not NameState.MINE:
            raise WarningFoundError(Code.NOT_LINKED, "new", **evidence)
        if not checked.key_known:
            raise FoundError(Code.KEY_NOT_KNOWN, **evidence)
        if not checked.linked:
            raise WarningFoundError(Code.NOT_LINKED, **evidence)
        return True, evidence


def _refused(code: Code, config: Config, state: ConnectorState) -> FoundError:
    found = refusal(code, config, state)
    return FoundError(found.code, found.variant, **found.evidence)


class _Socket:
    """The WebSocket to the hub, opened by the same client as the link's."""

    def __init__(self, http: HttpClient) -> None:
        self._target = http.target
        self._http = http
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the service has chosen."""
        return self._socket.protocol if self._socket is not None else None

    async def open(self) -> tuple[bool, dict[str, Any]]:
        url = f"{self._target.url}/connector/link"
        self._socket = await self._http.websocket(
            url, protocols=SUBPROTOCOLS, max_msg_size=MAX_FRAME_BYTES, compress=0
        )
        if self._socket.protocol not in SUBPROTOCOLS:
            raise FoundError.of(self._target.finding("not-the-service", status=101, server="?"))
        return True, {}

    async def challenge(self) -> tuple[Challenge, dict[str, Any]]:
        frame = await self._frame()
        try:
            if frame is not None and frame.method == Method.CHALLENGE:
                challenge = Challenge.model_validate(frame.params or {})
                return challenge, {"server_time": f"{challenge.server_time:%Y-%m-%d %H:%M:%S} UTC"}
        except ValidationError as misfit:
            raise FoundError(Code.PROTOCOL_ERROR) from misfit
        code = self._socket.close_code if self._socket is not None else None
        raise FoundError.of(no_greeting(self._target, code))

    async def check(self, opening: Hello) -> Checked | Code:
        """Return the hub's answer about the name, or the code with which it refuses."""
        assert self._socket is not None  # noqa: S101 - the step before opened it
        await self._socket.send_str(dump(id=1, method=Method.CHECK, params=opening))
        frame = await self._frame()
        if frame is not None and frame.error is not None and frame.error.data is not None:
            return Code.named(frame.error.data.code) or Code.PROTOCOL_ERROR
        try:
            return Checked.model_validate(frame.result if frame is not None else None)
        except ValidationError as misfit:
            raise FoundError(Code.PROTOCOL_ERROR) from misfit

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        await self._http.close()

    async def _frame(self) -> Frame | None:
        assert self._socket is not None  # noqa: S101 - the step before opened it
        try:
            async with asyncio.timeout(SECONDS):
                message = await self._socket.receive()
        except TimeoutError as slow:
            raise FoundError.of(no_greeting(self._target, None, IN_TIME)) from slow
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        try:
            return Frame.model_validate_json(message.data)
        except ValidationError as misfit:
            raise FoundError(Code.PROTOCOL_ERROR) from misfit
