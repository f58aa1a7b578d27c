"""The client's end of a connection, against a real WebSocket server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from wire.client_connection import ClientConnection
from wire.connection import MAX_DOUBLINGS, CloseCode, choose_delay
from wire.jsonrpc import LinkClosedError
from wire.model import Empty

Serve = Callable[[web.WebSocketResponse], Awaitable[object]]


@asynccontextmanager
async def connected(serve: Serve) -> AsyncIterator[ClientConnection]:
    async def door(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await serve(socket)
        return socket

    app = web.Application()
    app.router.add_get("/", door)
    async with (
        TestServer(app) as server,
        ClientSession() as http,
        http.ws_connect(server.make_url("/")) as socket,
        ClientConnection(socket, {}) as connection,
    ):
        yield connection


async def never_answer(socket: web.WebSocketResponse) -> None:
    async for _message in socket:
        pass


async def close_after_a_frame(socket: web.WebSocketResponse) -> None:
    await socket.receive()
    await socket.close(code=CloseCode.GOING_AWAY)


async def test_a_service_that_is_silent_ends_the_connection() -> None:
    async with connected(never_answer) as connection:
        with pytest.raises(LinkClosedError, match="silent"):
            await connection.until_closed(connection.beat("link.ping", every=0.05, silence=0.15))


async def test_a_close_by_the_service_ends_the_work_without_an_error() -> None:
    async with asyncio.timeout(20), connected(close_after_a_frame) as connection:
        work = asyncio.ensure_future(asyncio.sleep(3600))
        await connection.endpoint.notify("link.status", Empty())
        await connection.until_closed(work)
        assert work.cancelled()


async def test_a_close_by_the_service_lets_a_call_in_flight_fail_before_its_deadline() -> None:
    async with asyncio.timeout(20), connected(close_after_a_frame) as connection:
        with pytest.raises(LinkClosedError):
            await connection.endpoint.call("link.hello", Empty(), deadline=3600)


async def test_a_failure_of_the_work_ends_the_connection_with_that_failure() -> None:
    async def fail() -> None:
        raise ValueError("no report")

    async with asyncio.timeout(20), connected(never_answer) as connection:
        with pytest.raises(ValueError, match="no report"):
            await connection.until_closed(fail())


@pytest.mark.parametrize(
    ("failures", "cap", "most"), [(0, 60, 1), (3, 60, 8), (9, 60, 60), (5_000, 10_000, 1024)]
)
def test_the_delay_between_attempts_doubles_up_to_a_cap(failures: int, cap: float, most: float) -> None:
    delays = [choose_delay(failures, cap) for _ in range(500)]
    assert 0 <= min(delays) < most / 4
    assert most * 3 / 4 < max(delays) <= most
    assert 2.0**MAX_DOUBLINGS == 1024
