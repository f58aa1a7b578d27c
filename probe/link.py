"""The probe's end of the connection: it pairs or says hello, reports changes, and reconnects until it succeeds."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from pydantic import ValidationError

from probe import __version__
from probe.errors import ProbeError
from wire import outbound
from wire.client_connection import ClientConnection
from wire.connection import choose_delay
from wire.jsonrpc import LinkBusyError, LinkClosedError, RpcRefusalError
from wire.model import WireModel
from wire.probe import (
    MAX_FRAME_BYTES,
    PING_SECONDS,
    SUBPROTOCOL,
    HelloParams,
    Paired,
    PairParams,
    ProbeMethod,
    ProbeReport,
    ProbeWelcome,
)

logger = logging.getLogger(__name__)

OPEN_SECONDS: Final = 15.0
CALL_SECONDS: Final = 10.0
BACK_OFF_CAP: Final = 300.0
"""Seconds."""


class UnpairedError(ProbeError):
    """The service no longer knows this probe."""


_REFUSALS: Final = {
    "pairing-code-unknown": "the code is unknown, used or older than ten minutes: ask for a new one on the tab's"
    " audio page",
    "throttled": "too many attempts: wait a minute",
}


async def pair(service: str, params: PairParams) -> Paired:
    """Pair with the person who requested the code. Raises `ProbeError`, whose message says what to do."""
    async with _connected(service) as link:
        try:
            return Paired.model_validate(await link.call(ProbeMethod.PAIR, params))
        except RpcRefusalError as refusal:
            raise ProbeError(_REFUSALS.get(refusal.code, refusal.code)) from refusal
        except (ValidationError, TimeoutError, LinkClosedError) as fault:
            raise ProbeError(f"{service} does not answer as a service for audio probes") from fault


class Reporter:
    """Keeps the service up to date: sends the current report on each new connection and after each change."""

    def __init__(self, service: str, token: str) -> None:
        self._service = service
        self._token = token
        self._changed = asyncio.Event()
        self._report: ProbeReport | None = None
        self.is_connected = asyncio.Event()

    def set(self, report: ProbeReport) -> None:
        """Set the current report."""
        if report != self._report:
            self._report = report
            self._changed.set()

    async def run(self) -> None:
        """Keep a connection until cancelled. Raises `UnpairedError` if the person has removed this probe."""
        failures = 0
        while True:
            try:
                await self._once()
                failures = 0
            except (aiohttp.ClientError, LinkClosedError, TimeoutError, OSError, ProbeError) as fault:
                if isinstance(fault, UnpairedError):
                    raise
                logger.info("not connected", extra={"reason": f"{type(fault).__name__}: {fault}"[:200]})
            failures = 1 if self.is_connected.is_set() else failures + 1
            self.is_connected.clear()
            await asyncio.sleep(choose_delay(failures, BACK_OFF_CAP))

    async def _once(self) -> None:
        async with _connected(self._service) as link:
            try:
                answer = await link.call(
                    ProbeMethod.HELLO, HelloParams(token=self._token, version=__version__)
                )
                welcome = ProbeWelcome.model_validate(answer)
            except RpcRefusalError as refusal:
                if refusal.code == "probe-unpaired":
                    raise UnpairedError("this probe was removed in the tab; pair it again") from refusal
                raise ProbeError(_REFUSALS.get(refusal.code, refusal.code)) from refusal
            logger.info("connected", extra={"person": welcome.person})
            self.is_connected.set()
            try:
                await link.until_closed(
                    self._reports(link),
                    link.beat(ProbeMethod.PING, PING_SECONDS, silence=PING_SECONDS + CALL_SECONDS),
                )
            except RpcRefusalError as refusal:
                raise ProbeError(f"the service refuses a report: {refusal.code}") from refusal
            if link.is_unpaired:
                raise UnpairedError("this probe was removed in the tab; pair it again")

    async def _reports(self, link: "ProbeLink") -> None:
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._report is not None:
                await link.call(ProbeMethod.REPORT, self._report)


class ProbeLink(ClientConnection):
    """One connection to the service."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__(socket, {ProbeMethod.UNPAIRED: self._unpaired})
        self.is_unpaired = False

    async def call(self, method: ProbeMethod, params: WireModel) -> dict[str, Any]:
        """Call a method of the service. Raises `RpcRefusalError`, `LinkClosedError` or `TimeoutError`."""
        try:
            return await self.endpoint.call(method, params, deadline=CALL_SECONDS)
        except LinkBusyError as busy:
            raise LinkClosedError from busy

    async def _unpaired(self, _params: dict[str, Any]) -> None:
        self.is_unpaired = True


@asynccontextmanager
async def _connected(service: str) -> AsyncIterator[ProbeLink]:
    """Open a link to the service, through the proxy of HTTPS_PROXY and NO_PROXY. Raises `ProbeError`."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=OPEN_SECONDS)
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    async with outbound.client(timeout=timeout, connector=connector) as http:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                socket = await http.ws_connect(
                    f"{service.rstrip('/')}/probe/link",
                    protocols=(SUBPROTOCOL,),
                    max_msg_size=MAX_FRAME_BYTES,
                    compress=0,
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as fault:
            raise ProbeError(f"cannot reach {service}: {fault or 'no answer in time'}") from fault
        async with socket, ProbeLink(socket) as link:
            yield link
