"""Checks the service: clock, host name, proxy, TCP, TLS, WebSocket, challenge, and whether it knows name and key."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from pydantic import ValidationError

from connector.config import Config
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
    def __init__(self, config: Config, state: ConnectorState | None) -> None:
        """Raises `ConnectorError` if `ca_file` cannot be used."""
        self._config = config
        self._state = state
        self._target = Target.service(config.service)
        self._http = HttpClient(self._target)
        self._way = WayCheck(self._http, "service")

    async def run(self, chain: Chain) -> None:
        await chain.step("clock", self._clock)
        await self._way.run(chain)
        socket = _Socket(self._http)
        try:
            await chain.step("service-websocket", socket.open)
            challenge = await chain.step("service-challenge", socket.challenge)
            state = self._state
            if challenge is None or state is None:
                chain.skip("name")
                chain.skip("key")
                return
            checked = await chain.step("name", lambda: self._name(socket, challenge, state))
            if checked is None:
                chain.skip("key")
            else:
                await chain.step("key", lambda: self._key(checked))
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
        self, socket: "_Socket", challenge: Challenge, state: ConnectorState
    ) -> tuple[Checked, dict[str, Any]]:
        name = self._config.pbx.name
        evidence = {"pbx_name": name, "identity": state.fingerprint}
        status = Status(module_active=self._config.active, uci=UciState.OFF, rest=RestState.UNKNOWN)
        answer = await socket.check(
            hello(
                config=self._config,
                state=state,
                challenge=challenge,
                status=status,
                subprotocol=socket.subprotocol,
            )
        )
        if isinstance(answer, Code):
            raise self._refused(answer, state)
        if answer.name is NameState.ENROLMENT_NEEDED:
            raise self._refused(Code.ENROLMENT_NEEDED, state)
        return answer, {**evidence, "name": answer.name}

    def _refused(self, code: Code, state: ConnectorState) -> FoundError:
        found = refusal(code, self._config, state)
        return FoundError(found.code, found.variant, **found.evidence)

    async def _key(self, checked: Checked) -> tuple[bool, dict[str, Any]]:
        evidence = {"pbx_name": self._config.pbx.name}
        if checked.name is not NameState.MINE:
            raise WarningFoundError(Code.NOT_LINKED, "new", **evidence)
        if not checked.key_known:
            raise FoundError(Code.KEY_NOT_KNOWN, **evidence)
        if not checked.linked:
            raise WarningFoundError(Code.NOT_LINKED, **evidence)
        return True, evidence


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
