"""A TCP relay on loopback between a connector and the service: a load balancer that can simulate every network
fault.
"""

import asyncio
import contextlib
import random
import socket
import struct
from enum import Enum, auto


class Fault(Enum):
    NONE = auto()
    RESET = auto()
    """Connections are accepted and reset immediately."""
    SWALLOW = auto()
    """Half-open: all data is accepted, nothing is delivered, and nothing is answered."""
    CORRUPT = auto()
    """Bits in the service's data are flipped."""
    TRUNCATE = auto()
    """The service's data is truncated, and the connection closed."""


class Relay:
    """Forwards every connection to the first of `backends` (ports) that accepts it."""

    def __init__(self, *backends: int) -> None:
        self.backends = list(backends)
        self.port = 0
        self.fault = Fault.NONE
        self.delay = 0.0
        self.taken = 0
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self._random = random.Random(4)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> "Relay":
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Reset every open connection."""
        lines = list(self._lines)
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        behind: asyncio.StreamWriter | None = None
        try:
            if self.fault is Fault.RESET:
                return
            behind_reader, behind = await self._connect()
            done, others = await asyncio.wait(
                [
                    asyncio.create_task(self._pass(reader, behind, towards_service=True)),
                    asyncio.create_task(self._pass(behind_reader, writer, towards_service=False)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for other in others:
                other.cancel()
        except OSError:
            pass
        except asyncio.CancelledError:
            pass
        finally:
            self._lines.discard(task)
            for end in (writer, behind):
                if end is not None:
                    _reset(end)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for port in self.backends:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        raise ConnectionRefusedError

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, towards_service: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(64 * 1024):
                if self.fault is Fault.SWALLOW:
                    continue
                if self.delay:
                    await asyncio.sleep(self.delay)
                if not towards_service and self.fault is Fault.CORRUPT:
                    position = self._random.randrange(len(data))
                    data = data[:position] + bytes([data[position] ^ 0x40]) + data[position + 1 :]
                if not towards_service and self.fault is Fault.TRUNCATE:
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()
        if self.fault is Fault.SWALLOW:  # not even a close is passed on
            await asyncio.Event().wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Send RST instead of FIN, as when a machine loses power."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
