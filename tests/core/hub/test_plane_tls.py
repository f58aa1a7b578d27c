"""NATS_URL with tls:// is never spoken to in clear."""

import asyncio
import gc
import json
import warnings

from core.hub.plane import Plane, open_plane
from tests.support.world import eventually

SECRET = "the-password"


class Server:
    """Says that it is a NATS, and speaks no TLS."""

    def __init__(self) -> None:
        self.connections = self.connections_over = 0
        self.heard = bytearray()

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        info = {"server_id": "x", "version": "2.10.0", "max_payload": 1 << 20, "auth_required": True}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        try:
            while part := await reader.read(1024):
                self.heard.extend(part)
        except ConnectionError:
            pass
        finally:
            self.connections_over += 1
            writer.close()


def started(server: Server) -> Plane:
    plane = open_plane(f"tls://user:{SECRET}@127.0.0.1:{server.port}")

    async def nothing(*_arguments: object) -> None:
        raise AssertionError("nothing is asked")

    plane.start(nothing, lambda _topics: None, lambda: None)  # type: ignore[arg-type]
    return plane


async def test_a_login_is_not_sent_to_a_server_without_tls() -> None:
    nats = Server()
    server = await nats.start()
    plane = started(nats)
    try:

        async def tried_twice() -> bool:
            return nats.connections >= 2

        await eventually(tried_twice, "it is tried again")
        assert not plane.is_up and SECRET.encode() not in nats.heard
    finally:
        await plane.close()
        server.close()


async def test_it_closes_at_whatever_point_of_connecting_it_is() -> None:
    """nats-py can lose cancellations, and a service that waits for it would never stop."""
    nats = Server()
    server = await nats.start()
    with warnings.catch_warnings():  # nats-py leaves a line open whose opening was cancelled
        warnings.simplefilter("ignore", ResourceWarning)
        for turns in range(60):
            plane = started(nats)
            for _ in range(turns):
                await asyncio.sleep(0)
            async with asyncio.timeout(20):
                await plane.close()
        del plane
        gc.collect()
    server.close()

    async def all_over() -> bool:
        return nats.connections_over == nats.connections

    await eventually(all_over, "the server has let go of all lines")
