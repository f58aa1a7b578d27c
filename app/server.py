"""Serving: the sockets, the signals that end it, and the limits on connections of strangers.

A stranger is a connection on which nobody has proven anything yet: no request of the API with a good token, no
WebSocket. Strangers may be slow or many only within the limits below. aiohttp has no limits of its own here.
"""

import asyncio
import logging
import signal
import socket
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from core.background import cancel_and_wait
from core.budget import address_group

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS: Final = 75.0
"""Longer than the idle time of the usual ingress (60 s), so that it is the ingress that closes an idle connection."""
HEAD_SECONDS: Final = 6.0
"""A connection that has not brought one whole request head by then is cut."""
STRANGER_SECONDS: Final = 60.0
"""A stranger that has not begun a request for so long is cut, even in the middle of an answer that it does not read.
Only where no proxy stands before the service: a proxy's connections carry many people."""
STRANGERS_PER_ADDRESS: Final = 1000
"""More of one address push out its oldest. As many links of one address may be opening (`core.hub.admission`)."""
UNREAD_SECONDS: Final = 60.0
"""A peer that does not take what was sent to it for so long is cut by the kernel (TCP_USER_TIMEOUT, Linux)."""
LINGER_SECONDS: Final = 3.0
"""After an answer the rest of a body that nobody wants is read for so long, so that the peer sees the answer."""
LOOK_SECONDS: Final = 1.0
BACKLOG: Final = 4096


class Sockets:
    """The connections of this process, and what is known of them."""

    def __init__(self, *, behind_proxy: bool) -> None:
        self._behind_proxy = behind_proxy
        self._opened: dict[Any, float] = {}
        """Those that have not brought a request: when they were opened."""
        self._strangers: defaultdict[str, dict[Any, float]] = defaultdict(dict)
        """By address, oldest first: when their last request began. Empty behind a proxy."""
        self.malformed = 0
        """Requests that could not be read as HTTP."""
        self.cut = 0
        """Sockets of strangers that were cut for being slow or too many."""

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
        self.is_known(connection)

    def has_spoken(self, connection: Any) -> None:
        """A whole request head has arrived."""
        self._opened.pop(connection, None)
        of_address = self._strangers.get(_address(connection), {})
        if connection in of_address:
            of_address[connection] = asyncio.get_running_loop().time()

    def is_known(self, connection: Any) -> None:
        """Somebody has proven who they are on it."""
        address = _address(connection)
        if of_address := self._strangers.get(address):
            of_address.pop(connection, None)
            if not of_address:
                del self._strangers[address]

    async def keep_door(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
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
            transport.abort()  # closing alone would wait until the peer has read what is left
        self.closed(connection)


SOCKETS: Final[web.AppKey[Sockets]] = web.AppKey("sockets")


def _address(connection: Any) -> str:
    # Kept with the connection: when it has been lost, it does not know its peer any more.
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
        """What is not HTTP is one line without a traceback: anybody can send it, as often as they like."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
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
        super().__init__(made.request_handler, request_factory=made.request_factory, **options)
        self._sockets = sockets

    def __call__(self) -> RequestHandler:
        return _Connection(self, self._sockets, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self.app[SOCKETS], **self._kwargs)


async def serve(app: web.Application, host: str, port: int, shutdown_seconds: float) -> None:
    """Until SIGINT or SIGTERM, then ends in order. Raises `OSError` when the port cannot be had."""
    runner = _Runner(
        app,
        access_log=None,
        shutdown_timeout=shutdown_seconds,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,  # a door says that it takes no packed body (`tab.operation.is_packed`)
    )
    await runner.setup()
    try:
        for listener in _listeners(host, port):
            await web.SockSite(runner, listener, backlog=BACKLOG).start()
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        doorkeeper = asyncio.create_task(app[SOCKETS].keep_door())
        await stopped.wait()
        await cancel_and_wait(doorkeeper)
    finally:
        await runner.cleanup()


def _listeners(host: str, port: int) -> list[socket.socket]:
    """One for each address of `host`. Accepted connections inherit their options."""
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
