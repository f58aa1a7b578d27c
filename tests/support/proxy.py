"""A corporate proxy on loopback: CONNECT and absolute form, with or without a login, and with common quirks."""

import asyncio
import base64
import contextlib
from collections.abc import Sequence
from typing import Self


class Proxy:
    """A proxy that leads every host to `backend` (a port of this machine)."""

    def __init__(
        self,
        backend: int = 0,
        *,
        schemes: Sequence[str] = (),
        login: str | None = None,
        refuses: str | None = None,
        strips_upgrade: bool = False,
        cuts: bool = False,
    ) -> None:
        """`schemes` are offered in a 407; `login` is the `user:password` that Basic accepts, None to accept nobody
        while there are schemes. `refuses` is a status line to answer every request with. `strips_upgrade` drops
        hop-by-hop headers (RFC 9110, section 7.6.1), like a proxy without WebSocket support. `cuts` closes the
        connection after the request.
        """
        self.backend = backend
        self.seen: list[str] = []
        """The heads of all requests."""
        self._schemes = schemes
        self._login = login
        self._refuses = refuses
        self._strips_upgrade = strips_upgrade
        self._cuts = cuts
        self._lines: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for line in [*self._lines]:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._lines.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.seen.append(head)
        if self._cuts:
            return
        if self._refuses is not None:
            await _say(writer, f"HTTP/1.1 {self._refuses}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        if self._schemes and not self._knows(head):
            offers = "".join(f"Proxy-Authenticate: {scheme}\r\n" for scheme in self._schemes)
            await _say(
                writer,
                f"HTTP/1.1 407 Proxy Authentication Required\r\n{offers}Content-Length: 0\r\nConnection: close\r\n\r\n",
            )
            return
        method, target, _ = head.split(" ", 2)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.backend)
        try:
            if method == "CONNECT":
                await _say(writer, "HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                far_writer.write(self._passed_on(head, target).encode("latin-1"))
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            far_writer.close()

    def _knows(self, head: str) -> bool:
        if self._login is None:
            return False
        token = base64.b64encode(self._login.encode()).decode()
        return f"proxy-authorization: basic {token}".lower() in head.lower()

    def _passed_on(self, head: str, target: str) -> str:
        lines = head.replace(target, "/" + target.split("/", 3)[3], 1).split("\r\n")
        dropped = ("proxy-", "upgrade:", "connection: upgrade") if self._strips_upgrade else ("proxy-",)
        return "\r\n".join(line for line in lines if not line.lower().startswith(dropped))


async def _say(writer: asyncio.StreamWriter, text: str) -> None:
    writer.write(text.encode("latin-1"))
    await writer.drain()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()
