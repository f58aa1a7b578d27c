"""A service that only holds one connector's link, for tests of the connector."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web
from pydantic import BaseModel

from connector.login import uci_token
from connector.state import ConnectorState
from tests.support.world import eventually
from wire.jsonrpc import Endpoint, Handler, dump
from wire.link import (
    SUBPROTOCOLS,
    Challenge,
    Hello,
    Method,
    Welcome,
    seal_context,
)
from wire.model import Empty
from wire.phone import PHONE, LinesChanged, PhoneLine, PhoneMethod
from wire.sealing import public_bytes, seal

NAME = "pbx.example.com"
WHOM = {
    "tenant_id": "11111111-1111-4111-8111-111111111111",
    "object_id": "22222222-2222-4222-8222-222222222222",
}
SECONDS = 20.0


class TinyHub:
    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        """`handlers`: what it answers besides the methods of the first version."""
        self._handlers = handlers
        self._takes_links = True
        self._socket: web.WebSocketResponse | None = None
        self.endpoint: Endpoint | None = None
        self.hellos: list[Hello] = []
        self.changed: list[tuple[float, list[int]]] = []
        """Times of notifications, with the users whose lines changed."""
        self.when_changed: Callable[[list[int]], None] = lambda _user_ids: None
        self.url = ""

    async def link(self, request: web.Request) -> web.WebSocketResponse:
        if not self._takes_links:
            raise web.HTTPServiceUnavailable
        socket = self._socket = web.WebSocketResponse(protocols=SUBPROTOCOLS)
        await socket.prepare(request)

        async def hello(params: dict[str, Any]) -> BaseModel:
            self.hellos.append(Hello.model_validate(params))
            return Welcome(pbx_id="1", heartbeat_seconds=30, licence_keys=[])

        async def nothing(_params: dict[str, Any]) -> BaseModel:
            return Empty()

        async def changed(params: dict[str, Any]) -> None:
            changed = LinesChanged.model_validate(params)
            self.changed.append((asyncio.get_running_loop().time(), changed.user_ids))
            self.when_changed(changed.user_ids)

        handlers: dict[str, Handler] = {
            Method.HELLO: hello,
            Method.PING: nothing,
            Method.STATUS: nothing,
            Method.USERS_CHANGED: nothing,
            PhoneMethod.CHANGED: changed,
            **self._handlers,
        }
        endpoint = Endpoint(socket.send_str, handlers)
        challenge = Challenge(nonce="n" * 43, server_time=datetime.now(UTC))
        await socket.send_str(dump(method=Method.CHALLENGE, params=challenge))
        self.endpoint = endpoint
        try:
            async for message in socket:
                await endpoint.feed(message.data)
        finally:
            endpoint.close()
            if self.endpoint is endpoint:
                self.endpoint = None
        return socket

    async def linked(self) -> None:
        links = len(self.hellos)

        async def is_linked() -> bool:
            return self.endpoint is not None and len(self.hellos) >= max(1, links)

        await eventually(is_linked, "the connector is linked", SECONDS)

    async def stop_taking_links(self) -> None:
        """Close the link, and refuse further ones."""
        self._takes_links = False
        assert self._socket is not None, "no link"
        await self._socket.close()

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call the connector. Raises `RpcRefusalError`."""
        assert self.endpoint is not None, "no link"
        return await self.endpoint.call(method, params, deadline=SECONDS)

    async def open_phone(
        self, state: ConnectorState, user_id: int, login: str, password: str, **changes: str
    ) -> None:
        """Switch a user's telephone on, as their browser would."""
        challenge = await self.call(Method.CALLS_CHALLENGE, takesPassword=True)
        nonce = challenge["nonce"]
        secret = (
            {"password": password}
            if challenge.get("needsPassword")
            else {"uciToken": uci_token(login, password)}
        )
        content = json.dumps({"login": login, **secret}).encode()
        context = seal_context(**({"pbx_name": NAME, "nonce": nonce, "purpose": PHONE, **WHOM} | changes))
        box = seal(public_bytes(state.sealing.public_key()), state.pbx_key(), content, context)
        whom = {"userId": user_id, "tenantId": WHOM["tenant_id"], "objectId": WHOM["object_id"]}
        await self.call(PhoneMethod.OPEN, **whom, nonce=nonce, box=box.model_dump(by_alias=True))

    async def line(self, user_id: int) -> PhoneLine:
        return PhoneLine.model_validate(await self.call(PhoneMethod.LINE, userId=user_id))


@asynccontextmanager
async def tiny_hub(handlers: Mapping[str, Handler] | None = None) -> AsyncIterator[TinyHub]:
    hub = TinyHub(handlers or {})
    app = web.Application()
    app.router.add_get("/connector/link", hub.link)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield hub
    finally:
        await runner.cleanup()


class ConnectorProcess:
    """The real connector program, with a PBX on that port."""

    def __init__(self, directory: Path, hub: TinyHub, pbx_port: int, pbx: str = "") -> None:
        """`pbx`: more lines of the section `[pbx]`."""
        self.directory = directory
        self.state = ConnectorState(directory / "state")
        self.log = directory / "log"
        self.configuration = directory / "connector.toml"
        self.configuration.write_text(
            f'state_directory = "{directory / "state"}"\n'
            f'[service]\nurl = "{hub.url}"\n'
            f'[pbx]\nname = "{NAME}"\nurl = "http://127.0.0.1:{pbx_port}"\nlogin = "0001"\npassword = "foobar"\n'
            f"{pbx}"
            "[status]\nport = 0\n"
        )
        self.configuration.chmod(0o600)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "connector.cli", "--config", str(self.configuration), "run"),
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def resident(self) -> int:
        """Return the resident memory in bytes."""
        return self._running().memory_info().rss

    @property
    def cpu_seconds(self) -> float:
        times = self._running().cpu_times()
        return times.user + times.system

    def _running(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    async def logged(self, words: str) -> None:
        async def is_there() -> bool:
            return words in self.log.read_text()

        await eventually(is_there, f"the log says {words!r}", SECONDS)

    async def kill(self) -> None:
        """Kill the process with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None
