"""The simulated Teams host passes an audio probe's WebSocket to the service, as an ingress does."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, unused_port

from simulator.teams.server import create


async def _service(request: web.Request) -> web.StreamResponse:
    if "probe.test" not in request.headers.get("Sec-WebSocket-Protocol", ""):
        raise web.HTTPBadRequest(text="which subprotocol?")
    socket = web.WebSocketResponse(protocols=["probe.test"])
    await socket.prepare(request)
    async for message in socket:
        if message.data == "end":
            await socket.close(code=4009)
        elif message.type is aiohttp.WSMsgType.TEXT:
            await socket.send_str(f"heard {message.data}")
        else:
            await socket.send_bytes(message.data[::-1])
    return socket


def _host(service_url: str) -> TestClient[web.Request, web.Application]:
    return TestClient(TestServer(create(service_url, "http://127.0.0.1:9", "http://127.0.0.1:9")))


@pytest.fixture
async def host() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    service = web.Application()
    service.router.add_get("/probe/link", _service)
    async with TestServer(service) as server, _host(str(server.make_url("/")).rstrip("/")) as client:
        yield client


async def test_frames_and_the_close_code_come_through(host) -> None:
    async with host.ws_connect("/probe/link", protocols=["probe.test"]) as socket:
        assert socket.protocol == "probe.test"
        await socket.send_str("hello")
        assert (await socket.receive(5)).data == "heard hello"
        await socket.send_bytes(b"abc")
        assert (await socket.receive(5)).data == b"cba"
        await socket.send_str("end")
        assert (await socket.receive(5)).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4009


async def test_a_refused_handshake_keeps_its_status(host) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await host.ws_connect("/probe/link")
    assert refused.value.status == 400


async def test_a_service_that_is_gone_is_a_bad_gateway() -> None:
    async with _host(f"http://127.0.0.1:{unused_port()}") as host:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await host.ws_connect("/probe/link", protocols=["probe.test"])
    assert refused.value.status == 502
