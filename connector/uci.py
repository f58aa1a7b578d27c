"""The UCI client (XML-RPC): logs in, subscribes to call events, keeps itself alive, comes back after a loss.

Source of the methods and addresses: shared facts, "UCI, the user call interface". A UCI login is told of its
own user's calls only; the connector's login proves here that events arrive.
"""

import asyncio
import logging
import random
import secrets
import xmlrpc.client
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import defusedxml.xmlrpc
from aiohttp import web

from connector.config import Uci
from connector.errors import PbxError, PbxUnreachableError
from connector.rest import StarfaceRest
from wire.link import UciState

defusedxml.xmlrpc.monkey_patch()

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS: Final = 25.0
"""Well within the minute after which the PBX forgets a login."""
RETRY_CAP_SECONDS: Final = 30.0
MAX_EVENT_BYTES: Final = 64 * 1024
CALL_EVENTS: Final = "ucp.v22.events.call"


class UciClient:
    def __init__(
        self, config: Uci, rest: StarfaceRest, look: asyncio.Event, keep_alive: float = KEEP_ALIVE_SECONDS
    ) -> None:
        """`look` is set whenever the state changes."""
        self._config = config
        self._rest = rest
        self._keep_alive = keep_alive
        self._path = f"/uci/{secrets.token_urlsafe(24)}"
        self._port = 0
        self.state = UciState.CONNECTING if config.enabled else UciState.OFF
        self._look = look
        self.events_received = 0
        self.last_event: dict[str, Any] | None = None

    async def run(self) -> None:
        """Runs until cancelled. Switched off in the configuration, it ends at once."""
        if not self._config.enabled:
            return
        app = web.Application(client_max_size=MAX_EVENT_BYTES)
        app.router.add_post(self._path, self._receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "0.0.0.0", self._config.callback_port)
        try:
            await site.start()
        except OSError:
            logger.exception("the callback port cannot be opened", extra={"port": self._config.callback_port})
            self._set(UciState.FAILED)
            await runner.cleanup()
            return
        self._port = runner.addresses[0][1]
        try:
            await self._stay_connected()
        finally:
            try:
                await self._call("ucp.v22.requests.connection.logout")
            except PbxError:
                logger.debug("UCI logout not answered")
            await runner.cleanup()

    async def server_version(self) -> str | None:
        try:
            version = await self._call("ucp.v30.requests.system.getServerVersion")
        except PbxError:
            return None
        return str(version) if version else None

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            try:
                await self._connect()
                failures = 0
                while True:
                    await asyncio.sleep(self._keep_alive)
                    if not await self._call("ucp.v22.requests.connection.keepAlive"):
                        raise PbxUnreachableError("the PBX has forgotten the UCI login")
            except PbxError as fault:
                logger.warning("UCI connection lost", extra={"reason": str(fault)})
                self._set(UciState.FAILED if failures else UciState.CONNECTING)
            failures += 1
            await asyncio.sleep(random.uniform(0, min(RETRY_CAP_SECONDS, 2**failures)))  # noqa: S311 - jitter

    async def _connect(self) -> None:
        if not await self._call("ucp.v22.requests.connection.login"):
            raise PbxUnreachableError("the PBX refuses the UCI login")
        provided = await self._call("ucp.v22.requests.service.getProvidedEvents")
        if CALL_EVENTS not in (provided or []):
            raise PbxUnreachableError("the PBX offers no call events")
        await self._call("ucp.v22.requests.service.subscribeEvents", CALL_EVENTS)
        self._set(UciState.ON)
        logger.info("UCI connected")

    async def _call(self, method: str, *params: Any) -> Any:
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
            raise PbxUnreachableError(f"UCI refuses {method}: {fault.faultString}") from fault
        except Exception as fault:
            raise PbxUnreachableError("UCI answers no XML-RPC") from fault
        return values[0] if values else None

    async def _post(self, body: str) -> tuple[int, str]:
        http = self._rest.http
        query = await self._rest.own_login.uci_query(http)
        if self._port:
            query |= {
                "de.vertico.starface.callback.type": "http",
                "de.vertico.starface.callback.host": self._config.callback_host,
                "de.vertico.starface.callback.port": str(self._port),
                "de.vertico.starface.callback.path": self._path,
            }
        url = f"{self._rest.url}/xml-rpc?{urlencode(query)}"
        async with http.post(url, data=body, headers={"Content-Type": "text/xml"}) as response:
            return response.status, await response.text()

    async def _receive(self, request: web.Request) -> web.Response:
        try:
            params, method = xmlrpc.client.loads((await request.read()).decode())
        except Exception:  # noqa: BLE001 - whatever a stranger sends to the port
            return web.Response(status=400)
        self.events_received += 1
        if params and isinstance(params[0], dict):
            self.last_event = params[0]
        logger.debug("UCI event", extra={"method": method})
        return web.Response(text=xmlrpc.client.dumps((True,), methodresponse=True), content_type="text/xml")

    def _set(self, state: UciState) -> None:
        if state is not self.state:
            self.state = state
            self._look.set()
