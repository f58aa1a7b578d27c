"""The HTTP door from outside: slow and malformed requests, headers on everything, what is not for everybody."""

import asyncio
import gzip
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest

from app.server import HEAD_SECONDS, LINGER_SECONDS, STRANGERS_PER_ADDRESS
from tab.openapi import document
from tab.operation import BODY_SECONDS
from tests.support.raw_http import WEBSOCKET_HANDSHAKE
from tests.support.tokens import good
from tests.support.world import World
from wire import link as pbx_link
from wire import probe

SLACK = 6.0
"""For a machine that is busy with other things."""


@asynccontextmanager
async def raw(
    world: World, local: str = "127.0.0.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", world.demo.service_port, local_addr=(local, 0)
    )
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def answered(world: World, data: bytes) -> bytes:
    async with raw(world) as (reader, writer):
        writer.write(data)
        with suppress(ConnectionError):
            return await asyncio.wait_for(reader.read(65536), 10)
    return b""


async def drip(
    world: World, head: str, seconds: float, content: str = "x"
) -> tuple[float | None, bytes, float]:
    """A body that comes one byte at a time. Gives the seconds until the answer, the answer, and those until the end."""
    async with raw(world) as (reader, writer):
        begun = time.monotonic()
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        reading = asyncio.ensure_future(reader.read(65536))
        answered_after, answer = None, b""
        while time.monotonic() - begun < seconds:
            try:
                writer.write(content.encode())
                await writer.drain()
            except ConnectionError:
                break
            if reading.done():
                with suppress(ConnectionError):
                    if not answer and (answer := reading.result()):
                        answered_after = time.monotonic() - begun
                        reading = asyncio.ensure_future(reader.read(65536))
                        continue
                break
            await asyncio.sleep(0.2)
        else:
            raise AssertionError(f"not closed within {seconds} s")
        reading.cancel()
        return answered_after, answer, time.monotonic() - begun


async def test_without_a_token_nobody_waits_for_a_body(the_world: World) -> None:
    async def one(method: str, path: str, authorization: str) -> None:
        head = f"{method} {path} HTTP/1.1\nHost: x\nContent-Length: 10000{authorization}"
        after, answer, ended = await drip(the_world, head, LINGER_SECONDS + SLACK)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert after is not None and after < SLACK / 2 and ended < LINGER_SECONDS + SLACK

    doors = [("POST", "/api/messages"), ("POST", "/api/v1/sign-in"), ("PUT", "/api/v1/notices")]
    given = ["", "\nAuthorization: Basic eDp5", "\nAuthorization: Bearer"]
    await asyncio.gather(*(one(*door, authorization) for door in doors for authorization in given))


async def test_a_body_that_does_not_end_is_cut(the_world: World) -> None:
    async def one(path: str, token: str, framing: str, content: str) -> None:
        head = f"POST {path} HTTP/1.1\nHost: x\n{framing}\nAuthorization: Bearer {token}"
        ends = BODY_SECONDS + LINGER_SECONDS + SLACK
        after, answer, ended = await drip(the_world, head, ends, content)
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert after is not None and after >= BODY_SECONDS - 1 and ended < ends

    doors = [("/api/messages", "a.b.c"), ("/api/v1/sign-in", await the_world.sign(good(the_world)))]
    framings = [("Content-Length: 10000", "x"), ("Transfer-Encoding: chunked", "1\r\nx\r\n")]
    await asyncio.gather(*(one(*door, *framing) for door in doors for framing in framings))


async def test_a_body_that_nobody_wants_holds_no_connection(the_world: World) -> None:
    async def one(path: str) -> None:
        head = f"GET {path} HTTP/1.1\nHost: x\nContent-Length: 10000"
        _, answer, ended = await drip(the_world, head, LINGER_SECONDS + SLACK)
        assert answer.startswith(b"HTTP/1.1 ") and ended < LINGER_SECONDS + SLACK

    await asyncio.gather(*(one(path) for path in ("/healthz", "/tab/", "/api/v1/state", "/nowhere")))


async def test_a_head_that_does_not_end_is_cut(the_world: World) -> None:
    async with raw(the_world) as (reader, writer):
        begun = time.monotonic()
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        with suppress(ConnectionError):
            while not reader.at_eof() and time.monotonic() - begun < HEAD_SECONDS + SLACK:
                writer.write(b"a")
                await writer.drain()
                with suppress(TimeoutError):
                    assert not await asyncio.wait_for(reader.read(10), 0.2)
        assert time.monotonic() - begun < HEAD_SECONDS + SLACK


async def test_one_address_holds_a_bounded_number_of_silent_connections(the_world: World) -> None:
    """Its oldest go; people at the same address come in."""
    held = []
    try:
        for _ in range(STRANGERS_PER_ADDRESS + 50):
            held.append(
                await asyncio.open_connection(
                    "127.0.0.1", the_world.demo.service_port, local_addr=("127.0.0.91", 0)
                )
            )
        first = [reader for reader, _ in held[:40]]
        await asyncio.wait_for(asyncio.gather(*(_ended(reader) for reader in first)), SLACK)
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.91", 0))
        url = f"{the_world.demo.service_url}/healthz"
        async with aiohttp.ClientSession(connector=connector) as http, http.get(url) as answer:
            assert answer.status == 200
    finally:
        for _, writer in held:
            writer.close()


async def _ended(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        await reader.read()


MALFORMED = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n",
    b"G@T / HTTP/1.1\r\n\r\n",
]


async def metric(world: World, name: str) -> float:
    headers = {"Authorization": f"Bearer {world.demo.metrics_token()}"}
    async with world.http.get(f"{world.demo.service_url}/metrics", headers=headers) as answer:
        lines = (await answer.text()).splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


async def test_what_is_not_http_is_one_quiet_line(the_world: World) -> None:
    before = await metric(the_world, "pbx_teams_malformed_requests_total")
    logged = len(the_world.log())
    for data in MALFORMED:
        answer = await answered(the_world, data)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), (data[:60], answer)
        assert b"nosniff" in head and b"Python" not in head and b"aiohttp" not in head
        assert body == b"malformed request"
    lines = [line for line in the_world.log()[logged:].splitlines() if line]
    assert not [line for line in lines if "Traceback" in line or '"level": "error"' in line]
    assert len([line for line in lines if "malformed request" in line]) == len(MALFORMED)
    assert await metric(the_world, "pbx_teams_malformed_requests_total") == before + len(MALFORMED)


HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HIDING = {
    "both lengths": (b"Content-Length: 6\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
    "two codings": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"0\r\n\r\n"),
    "an unknown coding": (b"Transfer-Encoding: xchunked", b"0\r\n\r\n"),
    "two lengths": (b"Content-Length: 0\r\nContent-Length: 36", b""),
    "one length twice": (b"Content-Length: 0\r\nContent-Length: 0", b""),
    "a signed length": (b"Content-Length: +0", b""),
    "a hexadecimal length": (b"Content-Length: 0x0", b""),
    "a length in other digits": (b"Content-Length: \xd9\xa0", b""),
    "a length with an underscore": (b"Content-Length: 1_0", b"0123456789"),
    "a folded header": (b"X: a\r\n Transfer-Encoding: chunked", b""),
    "a bare carriage return": (b"X: a\rContent-Length: 36", b""),
    "a blank before the colon": (b"Content-Length : 36", b""),
    "a chunk with a hexadecimal mark": (b"Transfer-Encoding: chunked", b"0x2\r\n{}\r\n0\r\n\r\n"),
    "a chunk with a blank": (b"Transfer-Encoding: chunked", b"2 \r\n{}\r\n0\r\n\r\n"),
    "a chunk with a bare line feed": (b"Transfer-Encoding: chunked", b"2;a\n{}\r\n0\r\n\r\n"),
    "two hosts": (b"Host: y", b""),
}


@pytest.mark.parametrize("way", HIDING)
@pytest.mark.parametrize("target", ["POST /api/v1/sign-in", "POST /api/messages", "GET /tab/"])
async def test_no_request_hides_in_the_body_of_another(the_world: World, way: str, target: str) -> None:
    """What a proxy and the service could read differently ends the connection: one answer, and none to what was hidden."""
    heads, body = HIDING[way]
    token = await the_world.sign(good(the_world))
    head = f"{target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode()
    async with raw(the_world) as (reader, writer):
        writer.write(head + heads + b"\r\n\r\n" + body + HIDDEN)
        answers = await asyncio.wait_for(reader.read(), 20)  # until its end
    assert answers.count(b"HTTP/1.") == 1 and b'"status": "ok"' not in answers, answers
    assert answers.split()[1] in (b"400", b"401"), answers


NO_TEXT = (
    *(
        "Authorization",
        "X-Forwarded-For",
        "Forwarded",
        "Accept",
        "Accept-Language",
        "Accept-Encoding",
        "Cookie",
    ),
    *(
        "Sec-Fetch-Site",
        "Origin",
        "Content-Type",
        "Content-Encoding",
        "If-None-Match",
        "If-Match",
        "If-Range",
    ),
    *("If-Modified-Since", "Range", "User-Agent", "Host", "Expect", "Upgrade", "Connection", "Via", "TE"),
    *("Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"),
)


@pytest.mark.parametrize(
    "target",
    [
        *("GET /api/v1/state", "POST /api/v1/sign-in", "POST /api/messages", "GET /metrics", "GET /tab/"),
        *("GET /connector/link", "GET /probe/link", "GET /api/v1/licences?search=%ff", "GET /tab/%ff\xff"),
    ],
)
async def test_bytes_that_are_no_text_are_no_fault(the_world: World, target: str) -> None:
    """Outsiders send them, so they are refused and not reported as a fault to the operator. Each header is tested
    separately, so that no earlier refusal hides it.
    """
    logged = len(the_world.log())
    heads = {"Host": "x", "Content-Length": "0", "Connection": "close"}
    if target.endswith("/link"):
        heads |= WEBSOCKET_HANDSHAKE | {
            "Sec-WebSocket-Protocol": f"{pbx_link.SUBPROTOCOL}, {probe.SUBPROTOCOL}"
        }
    values = (
        *(b"Bearer \xff.\xff.\xff", b"bearer \xc3\x28", b"\xff\xfe", "\u20ac".encode()),
        *(b"13, \xff", b"Upgrade, \xff", b"Bearer " + "\udcff".encode("utf-8", "surrogatepass")),
    )

    async def one(name: str, value: bytes) -> None:
        sent = {key: text.encode() for key, text in heads.items() if key != name} | {name: value}
        lines = [target.encode("latin-1") + b" HTTP/1.1"]
        lines += [key.encode() + b": " + text for key, text in sent.items()]
        async with raw(the_world) as (reader, writer):
            writer.write(b"\r\n".join([*lines, b"", b""]))
            answer = await asyncio.wait_for(reader.readline(), 20)
        assert 100 < int(answer.split()[1]) < 500, (name, value, answer)

    for value in values:
        await asyncio.gather(*(one(name, value) for name in NO_TEXT))
    assert "Traceback" not in the_world.log()[logged:]


PACKED = (
    ("gzip", gzip.compress(b"{}")),
    ("gzip", b"\x1f\x8bnonsense"),
    ("deflate", zlib.compress(b"a" * 5_000_000)),
    ("gzip, gzip", b"{}"),
    ("br", b"{}"),
    ("GZIP", b""),
    ("klingon", b"{}"),
)


@pytest.mark.parametrize("path", ["/api/v1/sign-in", "/api/v1/audio/devices", "/api/messages"])
async def test_packed_bodies_are_refused_and_never_unpacked(the_world: World, path: str) -> None:
    logged = len(the_world.log())
    token = await the_world.sign(good(the_world))
    for encoding, body in PACKED:
        method = "PUT" if path.endswith("devices") else "POST"
        headers = {"Authorization": f"Bearer {token}", "Content-Encoding": encoding}
        headers["Content-Type"] = "application/json"
        url = f"{the_world.demo.service_url}{path}"
        async with the_world.http.request(method, url, data=body, headers=headers) as answer:
            assert answer.status in (400, 415), (encoding, await answer.text())
    lines = the_world.log()[logged:]
    assert "Traceback" not in lines and '"level": "error"' not in lines


@pytest.mark.parametrize(
    "chunks",
    [b"zz\r\n{}\r\n", b"2\r\n{}X\r\n0\r\n\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n{}", b"2;\x00\r\n{}"],
)
@pytest.mark.parametrize("target", ["POST /api/v1/sign-in", "PUT /api/v1/notices", "POST /api/messages"])
async def test_a_body_whose_pieces_are_broken_is_a_refusal(
    the_world: World, target: str, chunks: bytes
) -> None:
    logged = len(the_world.log())
    token = await the_world.sign(good(the_world))
    head = (
        f"{target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    for begun in (b"", b"2\r\n{}\r\n"):
        async with raw(the_world) as (reader, writer):
            writer.write(head.encode() + begun)
            await writer.drain()
            writer.write(chunks)
            answer = await asyncio.wait_for(reader.read(65536), 20)
            assert int(answer.split()[1]) in (400, 401, 408, 415), answer[:300]
    lines = the_world.log()[logged:]
    assert "Traceback" not in lines and '"level": "error"' not in lines


REQUESTS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/healthz", {}, 200),
    ("GET", "/readyz", {}, 200),
    ("POST", "/healthz", {}, 405),
    ("GET", "/metrics", {}, 401),
    ("GET", "/", {}, 404),
    ("GET", "/nowhere", {}, 404),
    ("GET", "/tab", {"allow_redirects": False}, 302),
    ("GET", "/tab/", {}, 200),
    ("GET", "/tab/nowhere", {}, 404),
    ("POST", "/tab/", {}, 405),
    ("GET", "/api/v1/nowhere", {}, 404),
    ("GET", "/api/v1/state", {}, 401),
    ("GET", "/api/v1/state", {"headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
    ("DELETE", "/api/v1/state", {}, 405),
    ("HEAD", "/api/v1/events", {}, 405),
    ("GET", "/api/v1/openapi.json", {}, 401),
    ("POST", "/api/messages", {"data": b"{}"}, 401),
    ("GET", "/api/messages", {}, 405),
    ("GET", "/connector/link", {}, 426),
    ("GET", "/probe/link", {}, 426),
]


@pytest.mark.parametrize(("method", "path", "options", "status"), REQUESTS)
async def test_every_answer_has_the_headers(
    the_world: World, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    async with the_world.http.request(method, the_world.demo.service_url + path, **options) as answer:
        assert answer.status == status
        headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["Server"] == "pbx-teams"
    assert headers["Cache-Control"] in (("no-cache",) if status == 200 and path == "/tab/" else ("no-store",))
    framed = "frame-ancestors https://" if path.startswith("/tab") else "frame-ancestors 'none'"
    assert framed in headers["Content-Security-Policy"]
    if status == 405:
        assert headers["Allow"]


@pytest.mark.parametrize(
    "path", ["/tab/%00", "/tab/assets/%00.js", "/tab/" + "a" * 300, "/tab/" + "a/" * 3000]
)
async def test_a_name_that_no_file_can_have_is_not_found(the_world: World, path: str) -> None:
    logged = len(the_world.log())
    answer = await answered(
        the_world, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 404 "), answer[:200]
    assert "Traceback" not in the_world.log()[logged:]


@pytest.mark.parametrize("path", ["/connector/link", "/probe/link"])
async def test_pages_of_a_browser_open_no_links(the_world: World, path: str) -> None:
    protocol = {"/connector/link": pbx_link.SUBPROTOCOL, "/probe/link": probe.SUBPROTOCOL}[path]
    for origin in ("https://evil.example", the_world.demo.service_url, "null"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await the_world.http.ws_connect(
                the_world.demo.service_url + path, protocols=(protocol,), headers={"Origin": origin}
            )
        assert refused.value.status == 403


async def test_metrics_are_the_operators(the_world: World) -> None:
    for authorization in ("Bearer wrong", "Basic eDp5", f"bearer{the_world.demo.metrics_token()}"):
        url = f"{the_world.demo.service_url}/metrics"
        async with the_world.http.get(url, headers={"Authorization": authorization}) as answer:
            assert answer.status == 401
            assert "pbx_teams" not in await answer.text()


async def test_the_api_document_is_for_those_who_may_call_the_api(the_world: World) -> None:
    assert (await the_world.client().call("GET", "openapi.json")).body == document()
