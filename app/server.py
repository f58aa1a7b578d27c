"""The server: sockets, signals that stop it, and limits on connections of strangers.

A stranger is a connection that has not authenticated yet: it has sent no API request with a valid token and opened no
WebSocket. The limits below restrict how slow strangers may be and how many there may be; aiohttp has no such limits.
"""

import asyncio
import logging
import signal
import socket
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from core.background import cancel_and_wait
from core.budget import address_group

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS: Final = 75.0
"""Longer than the idle time-out of common ingresses (60 s), so that the ingress closes an idle connection."""
HEAD_SECONDS: Final = 6.0
"""Time within which a new connection must have sent a complete request head; otherwise it is cut."""
STRANGER_SECONDS: Final = 60.0
"""Time since its last request after which a stranger is cut, even during a response that it does not read. Not used
behind a proxy, because a proxy's connections carry requests of many people."""
STRANGERS_PER_ADDRESS: Final = 1000
"""Strangers of one address; one more cuts the oldest. It equals the limit on opening links (`core.hub.admission`)."""
UNREAD_SECONDS: Final = 60.0
"""Time after which the kernel cuts a peer that does not acknowledge data (TCP_USER_TIMEOUT, Linux)."""
LINGER_SECONDS: Final = 3.0
"""How long the rest of an unwanted body is read after the response, so that the peer receives the response."""
POLL_SECONDS: Final = 1.0
"""Interval between two searches for overdue connections."""
BACKLOG: Final = 4096


class Sockets:
    """The open connections of this process."""

    def __init__(self, *, behind_proxy: bool) -> None:
        self._behind_proxy = behind_proxy
        self._opened: dict[Any, float] = {}
        """Opening times of connections that have not sent a complete request head."""
        self._strangers: defaultdict[str, dict[Any, float]] = defaultdict(dict)
        """For each address, strangers with the start of their last request, oldest first. Empty behind a proxy."""
        self.malformed = 0
        """Number of requests that were not valid HTTP."""
        self.cut = 0
        """Number of strangers that were cut because they were too slow or too many."""

    def opened(self, connection: RequestHandler) -> None:
        now = asyncio.get_running_loop().time()
        self._opened[connection] = now
        if self._behind_proxy:
            return
        of_address = self._strangers[_address(connection)]
        of_address[connection] = now
        if len(of_address) > STRANGERS_PER_ADDRESS:
            self._cut(next(iter(of_address)))

    def closed(self, connection: RequestHandler) -> None:
        self._opened.pop(connection, None)
        self.mark_known(connection)

    def mark_request(self, connection: Any) -> None:
        """Record that a complete request head has arrived."""
        self._opened.pop(connection, None)
        of_address = self._strangers.get(_address(connection), {})
        if connection in of_address:
            of_address[connection] = asyncio.get_running_loop().time()

    def mark_known(self, connection: Any) -> None:
        """Record that the connection has authenticated, so it is no stranger any more."""
        address = _address(connection)
        if of_address := self._strangers.get(address):
            of_address.pop(connection, None)
            if not of_address:
                del self._strangers[address]

    async def cut_overdue(self) -> None:
        """Cut overdue connections, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            for connection in [*self._overdue(asyncio.get_running_loop().time())]:
                self._cut(connection)

    def _overdue(self, now: float) -> Iterator[Any]:
        for connection, since in self._opened.items():
            if now - since >= HEAD_SECONDS:
                yield connection
        for of_address in self._strangers.values():
            for connection, since in of_address.items():
                if now - since >= STRANGER_SECONDS:
                    yield connection

    def _cut(self, connection: RequestHandler) -> None:
        self.cut += 1
        transport = connection.transport
        connection.force_close()
        if transport is not None:
            transport.abort()  # close() would wait until the peer has read the remaining data
        self.closed(connection)


SOCKETS: Final[web.AppKey[Sockets]] = web.AppKey("sockets")


def _address(connection: Any) -> str:
    # The connection stores its address, because it has no peer name after it was lost.
    return connection.group if isinstance(connection, _Connection) else ""


class _Connection(RequestHandler):
    __slots__ = ("_sockets", "group")

    def __init__(self, manager: web.Server, sockets: Sockets, **options: Any) -> None:
        super().__init__(manager, **options)
        self._sockets = sockets
        self.group = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = self.peername
        self.group = address_group(str(peer[0])) if isinstance(peer, tuple) else ""
        self._sockets.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._sockets.closed(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Log malformed HTTP in one line without a traceback, because anybody can send it at will."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        status = min(status, exc.code)
        self._sockets.malformed += 1
        logger.info("malformed request", extra={"peer": request.remote, "fault": type(exc).__name__})
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer has been sent already")
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Server": "pbx-teams"}
        answer = web.Response(status=status, text="malformed request", headers=headers)
        answer.force_close()
        return answer


class _Server(web.Server):
    def __init__(self, made: web.Server, sockets: Sockets, **options: Any) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            # aiohttp answers what it does not expect with that text, before any door is asked.
            if not request.headers.get("Expect", "").isascii():
                raise BadHttpMessage("Expect is not text")
            return await made.request_handler(request)

        super().__init__(handle, request_factory=made.request_factory, **options)
        self._sockets = sockets

    def __call__(self) -> RequestHandler:
        return _Connection(self, self._sockets, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self.app[SOCKETS], **self._kwargs)


async def serve(app: web.Application, host: str, port: int, shutdown_seconds: float) -> None:
    """Serve until SIGINT or SIGTERM, then shut down in order. Raises `OSError` if the port is not available."""
    runner = _Runner(
        app,
        access_log=None,
        shutdown_timeout=shutdown_seconds,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,  # the routes refuse compressed bodies (`tab.operation.is_packed`)
    )
    await runner.setup()
    try:
        for listener in _listeners(host, port):
            await web.SockSite(runner, listener, backlog=BACKLOG).start()
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        doorkeeper = asyncio.create_task(app[SOCKETS].cut_overdue())
        await stopped.wait()
        await cancel_and_wait(doorkeeper)
    finally:
        await runner.cleanup()


def _listeners(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of `host`. Accepted connections inherit the socket options."""
    listeners: list[socket.socket] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    try:
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            listener = socket.create_server(address[:2], family=family, backlog=BACKLOG, reuse_port=False)
            listeners.append(listener)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(UNREAD_SECONDS * 1000))
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners
