"""The UCI client (XML-RPC): logs in, subscribes to call events, keeps itself alive, comes back after a loss.

Source of the methods and addresses: shared facts, "UCI, the user call interface". A UCI login is told of its
own user's calls only; the connector's login proves here that events arrive, and users who asked for it have logins
of their own (`connector.calls`).
"""

import asyncio
import logging
import random
import secrets
import xmlrpc.client
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import defusedxml.xmlrpc
from aiohttp import web

from connector.config import Uci
from connector.errors import LoginRejectedError, PbxError, PbxUnreachableError
from connector.rest import StarfaceRest
from wire.link import UciState

defusedxml.xmlrpc.monkey_patch()

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS: Final = 25.0
"""Well within the minute after which the PBX forgets a login."""
RETRY_CAP_SECONDS: Final = 30.0
MAX_EVENT_BYTES: Final = 64 * 1024
CALL_EVENTS: Final = "ucp.v22.events.call"

OnEvent = Callable[[str, tuple[Any, ...]], None]
"""Method ("receiveCallState") and its parameters."""
Query = Callable[[aiohttp.ClientSession], Awaitable[dict[str, str]]]
"""What identifies a user in a UCI address."""


class UciFaultError(PbxUnreachableError):
    """The PBX answers a call with a fault."""


class Callbacks:
    """The small HTTP server that the PBX sends events to: a secret path for each login."""

    def __init__(self, config: Uci) -> None:
        self._config = config
        self._receivers: dict[str, OnEvent] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.ready = asyncio.Event()

    async def start(self) -> None:
        """Raises `OSError` when the port cannot be opened."""
        app = web.Application(client_max_size=MAX_EVENT_BYTES)
        app.router.add_post("/uci/{secret}", self._receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "0.0.0.0", self._config.callback_port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner, self.port = runner, runner.addresses[0][1]
        self.ready.set()

    async def stop(self) -> None:
        self.port = 0
        self.ready.clear()
        if self._runner is not None:
            await self._runner.cleanup()

    def open(self, on_event: OnEvent) -> str:
        secret = secrets.token_urlsafe(24)
        self._receivers[secret] = on_event
        return secret

    def close(self, secret: str) -> None:
        self._receivers.pop(secret, None)

    def query(self, secret: str) -> dict[str, str]:
        if not self.port:
            return {}
        return {
            "de.vertico.starface.callback.type": "http",
            "de.vertico.starface.callback.host": self._config.callback_host,
            "de.vertico.starface.callback.port": str(self.port),
            "de.vertico.starface.callback.path": f"/uci/{secret}",
        }

    async def _receive(self, request: web.Request) -> web.Response:
        receiver = self._receivers.get(request.match_info["secret"])
        if receiver is None:
            return web.Response(status=404)
        try:
            params, method = xmlrpc.client.loads((await request.read()).decode())
        except Exception:  # noqa: BLE001 - whatever a stranger sends to the port
            return web.Response(status=400)
        receiver((method or "").rpartition(".")[2], params)
        return web.Response(text=xmlrpc.client.dumps((True,), methodresponse=True), content_type="text/xml")


class UciSession:
    """One user's UCI login."""

    def __init__(
        self,
        rest: StarfaceRest,
        callbacks: Callbacks,
        query: Query,
        on_event: OnEvent,
        on_state: Callable[[UciState], None],
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        self._rest = rest
        self._callbacks = callbacks
        self._query = query
        self._on_state = on_state
        self._keep_alive = keep_alive
        self._secret = callbacks.open(on_event)

    async def run(self) -> None:
        """Stays logged in until cancelled, then logs out."""
        await self._callbacks.ready.wait()
        failures = 0
        try:
            while True:
                try:
                    await self.connect()
                    failures = 0
                    while True:
                        await asyncio.sleep(self._keep_alive)
                        if not await self.call("ucp.v22.requests.connection.keepAlive"):
                            raise PbxUnreachableError("the PBX has forgotten the UCI login")
                except PbxError as fault:
                    logger.warning("UCI connection lost", extra={"reason": str(fault)})
                    self._on_state(UciState.FAILED if failures else UciState.CONNECTING)
                failures += 1
                await asyncio.sleep(random.uniform(0, min(RETRY_CAP_SECONDS, 2**failures)))  # noqa: S311 - jitter
        finally:
            await self.end()

    async def connect(self) -> None:
        """Logs in and subscribes. Raises `PbxError`."""
        if not self._callbacks.ready.is_set():
            raise PbxUnreachableError("the UCI connector is off")
        try:
            accepted = await self.call("ucp.v22.requests.connection.login")
        except UciFaultError as fault:
            raise LoginRejectedError(str(fault)) from fault
        if not accepted:
            raise LoginRejectedError("the PBX refuses the UCI login")
        provided = await self.call("ucp.v22.requests.service.getProvidedEvents")
        if CALL_EVENTS not in (provided or []):
            raise PbxUnreachableError("the PBX offers no call events")
        await self.call("ucp.v22.requests.service.subscribeEvents", CALL_EVENTS)
        self._on_state(UciState.ON)

    async def calls(self) -> list[str]:
        """The ids of the user's present calls, whatever their state. Raises `PbxError`, also for an answer that is no
        list: who has no call must not be guessed.
        """
        ids = await self.call("ucp.v30.requests.call.getCallIds")
        if not isinstance(ids, list):
            raise PbxUnreachableError("UCI answers no list of calls")
        return [str(call_id) for call_id in ids]

    async def end(self) -> None:
        self._callbacks.close(self._secret)
        try:
            await self.call("ucp.v22.requests.connection.logout")
        except PbxError:
            logger.debug("UCI logout not answered")

    async def call(self, method: str, *params: Any) -> Any:
        body = xmlrpc.client.dumps(params, methodname=method)
        try:
            status, text = await self._post(body)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise PbxUnreachableError(f"UCI: {type(fault).__name__}") from fault
        if status != 200:
            raise PbxUnreachableError(f"UCI answers {status}")
        try:
            values, _ = xmlrpc.client.loads(text)
        except xmlrpc.client.Fault as fault:
            raise UciFaultError(f"UCI refuses {method}: {fault.faultString}") from fault
        except Exception as fault:
            raise PbxUnreachableError("UCI answers no XML-RPC") from fault
        return values[0] if values else None

    async def _post(self, body: str) -> tuple[int, str]:
        http = self._rest.http
        query = await self._query(http) | self._callbacks.query(self._secret)
        url = f"{self._rest.url}/xml-rpc?{urlencode(query)}"
        async with http.post(url, data=body, headers={"Content-Type": "text/xml"}) as response:
            return response.status, await response.text()


class UciClient:
    """The connector's own login, which shows whether UCI works at all."""

    def __init__(
        self,
        config: Uci,
        rest: StarfaceRest,
        look: asyncio.Event,
        callbacks: Callbacks | None = None,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        """`look` is set whenever the state changes."""
        self._config = config
        self._callbacks = callbacks or Callbacks(config)
        self._session = UciSession(
            rest, self._callbacks, self._own_query, self._take, self._set, keep_alive=keep_alive
        )
        self._rest = rest
        self.state = UciState.CONNECTING if config.enabled else UciState.OFF
        self._look = look
        self.events_received = 0
        self.last_event: dict[str, Any] | None = None

    async def run(self) -> None:
        """Runs until cancelled. Switched off in the configuration, it ends at once."""
        if not self._config.enabled:
            return
        try:
            await self._callbacks.start()
        except OSError:
            logger.exception("the callback port cannot be opened", extra={"port": self._config.callback_port})
            self._set(UciState.FAILED)
            return
        try:
            await self._session.run()
        finally:
            await self._callbacks.stop()

    async def server_version(self) -> str | None:
        try:
            version = await self._session.call("ucp.v30.requests.system.getServerVersion")
        except PbxError:
            return None
        return str(version) if version else None

    async def _own_query(self, http: aiohttp.ClientSession) -> dict[str, str]:
        return await self._rest.own_login.uci_query(http)

    def _take(self, method: str, params: tuple[Any, ...]) -> None:
        self.events_received += 1
        if params and isinstance(params[0], dict):
            self.last_event = params[0]
        logger.debug("UCI event", extra={"method": method})

    def _set(self, state: UciState) -> None:
        if state is not self.state:
            self.state = state
            if state is UciState.ON:
                logger.info("UCI connected")
            self._look.set()
