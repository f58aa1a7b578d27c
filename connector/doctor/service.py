"""The way to the service: clock, name, proxy, TCP, TLS, WebSocket, challenge, and whether name and key are known there."""

import asyncio
import ssl
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from pydantic import ValidationError

from connector.config import Config
from connector.doctor import net
from connector.doctor.net import Proxy, Target
from connector.doctor.steps import Chain, FoundError, WarningFoundError
from connector.hello import hello
from connector.state import State
from core.diagnosis.codes import Code
from wire.jsonrpc import MAX_FRAME_BYTES, Frame, dump
from wire.link import (
    SUBPROTOCOL,
    Challenge,
    Checked,
    Hello,
    Method,
    NameState,
    RestState,
    Status,
    UciState,
)

SECONDS: Final = 10.0
CLOCK_OFF_SECONDS: Final = 120.0
"""Certificates and tokens are good to the minute; a clock that is further off fails sooner or later."""
RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that is right shows a time before this."""


class ServiceCheck:
    def __init__(self, config: Config, state: State | None) -> None:
        self._config = config
        self._state = state
        self._target = Target(config.service.url, Code.SERVICE_UNREACHABLE)
        self._proxy: Proxy | None = net.proxy_of(self._target)

    async def run(self, chain: Chain) -> None:
        await chain.step("clock", self._clock)
        await chain.step("service-dns", self._dns)
        await chain.step("service-proxy", self._find_proxy)
        await chain.step("service-tcp", lambda: net.is_reached(self._target, self._proxy))
        if self._target.is_secure:
            await chain.step("service-tls", self._tls)
        else:
            chain.skip("service-tls")
        socket = _Socket(self._target)
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
        if here < RELEASED:
            raise FoundError(Code.SERVICE_UNREACHABLE, "clock", here=f"{here:%Y-%m-%d %H:%M} UTC", there="?")
        there = await net.time_of(self._target, self._proxy)
        if there is None:
            return here, {"here": f"{here:%Y-%m-%d %H:%M:%S} UTC"}
        off = abs((here - there).total_seconds())
        if off > CLOCK_OFF_SECONDS:
            raise FoundError(
                Code.SERVICE_UNREACHABLE,
                "clock",
                here=f"{here:%Y-%m-%d %H:%M} UTC",
                there=f"{there:%Y-%m-%d %H:%M} UTC",
            )
        return here, {"here": f"{here:%Y-%m-%d %H:%M:%S} UTC", "off": f"{off:.0f} s"}

    async def _dns(self) -> tuple[list[str], dict[str, Any]]:
        try:
            return await net.has_address(self._target)
        except FoundError:
            if self._proxy is None:
                raise
            # Behind a proxy a company's machines often resolve no outside names at all.
            return [], {"host": self._target.host, "resolved_by": self._proxy.shown}

    async def _find_proxy(self) -> tuple[bool, dict[str, Any]]:
        if self._proxy is None:
            return True, {}
        _, writer = await net.connect(self._target, self._proxy)
        writer.close()
        return True, {"proxy": self._proxy.shown}

    async def _tls(self) -> tuple[bool, dict[str, Any]]:
        return True, await net.handshake(self._target, self._proxy, ssl.create_default_context())

    async def _name(
        self, socket: "_Socket", challenge: Challenge, state: State
    ) -> tuple[Checked, dict[str, Any]]:
        name = self._config.pbx.name
        evidence = {"pbx_name": name, "identity": state.fingerprint}
        status = Status(module_active=self._config.active, uci=UciState.OFF, rest=RestState.UNKNOWN)
        checked = await socket.check(hello(self._config, state, challenge, status))
        if checked.name is NameState.BOUND_ELSEWHERE:
            raise FoundError(Code.NAME_BOUND_ELSEWHERE, "doctor", **evidence)
        if checked.name is NameState.ENROLMENT_NEEDED and not self._config.service.enrolment_code:
            raise FoundError(Code.ENROLMENT_NEEDED, **evidence)
        return checked, {**evidence, "name": checked.name}

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
    """The WebSocket to the hub, by the same client and the same proxy rules as the link's."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def open(self) -> tuple[bool, dict[str, Any]]:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
        self._http = aiohttp.ClientSession(connector=connector, trust_env=True)
        try:
            async with asyncio.timeout(SECONDS):
                self._socket = await self._http.ws_connect(
                    f"{self._target.url}/connector/link",
                    protocols=(SUBPROTOCOL,),
                    max_msg_size=MAX_FRAME_BYTES,
                    compress=0,
                )
        except aiohttp.WSServerHandshakeError as refused:
            variant = "not-the-service" if refused.status in (200, 404, 405) else "websocket"
            if refused.status == 503:
                variant = "stopping"
            server = refused.headers.get("Server", "?") if refused.headers else "?"
            raise self._target.fault(variant, status=refused.status, server=server) from refused
        except (aiohttp.ClientError, OSError, TimeoutError) as fault:
            raise self._target.fault("websocket", status="-", server=type(fault).__name__) from fault
        if self._socket.protocol != SUBPROTOCOL:
            raise self._target.fault("not-the-service", status=101, server="?")
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
        if code in (aiohttp.WSCloseCode.GOING_AWAY, aiohttp.WSCloseCode.TRY_AGAIN_LATER):
            raise self._target.fault("stopping", status=code, server="-")
        raise self._target.fault("websocket", status=code or "-", server="-")

    async def check(self, opening: Hello) -> Checked:
        assert self._socket is not None  # noqa: S101 - the step before opened it
        await self._socket.send_str(dump(id=1, method=Method.CHECK, params=opening))
        frame = await self._frame()
        if frame is not None and frame.error is not None and frame.error.data is not None:
            code = Code.named(frame.error.data.code)
            raise FoundError(code or Code.PROTOCOL_ERROR, pbx_name=opening.pbx_name)
        try:
            return Checked.model_validate(frame.result if frame is not None else None)
        except ValidationError as misfit:
            raise FoundError(Code.PROTOCOL_ERROR) from misfit

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()

    async def _frame(self) -> Frame | None:
        assert self._socket is not None  # noqa: S101 - the step before opened it
        try:
            async with asyncio.timeout(SECONDS):
                message = await self._socket.receive()
        except TimeoutError as slow:
            raise self._target.fault("websocket", status="-", server="no word in time") from slow
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        try:
            return Frame.model_validate_json(message.data)
        except ValidationError as misfit:
            raise FoundError(Code.PROTOCOL_ERROR) from misfit
