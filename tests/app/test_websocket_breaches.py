"""Frames that break the WebSocket protocol (RFC 6455), byte by byte, at both doors: each ends its connection with a code, none
is a fault of the service, and nobody else notices.
"""

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest

from tests.support.connector_peer import connected, enrolled, say
from tests.support.raw_http import WEBSOCKET_HANDSHAKE
from tests.support.world import World
from wire import link, probe

DOORS: Final = {"/connector/link": link.SUBPROTOCOL, "/probe/link": probe.SUBPROTOCOL}
CALL: Final = b'{"jsonrpc":"2.0","id":1,"method":"nobody.knows","params":{}}'
CONTINUED, TEXT, BINARY, CLOSE, PING = 0, 1, 2, 8, 9
SECONDS: Final = 20.0


def frame(
    kind: int,
    content: bytes = b"",
    *,
    ends: bool = True,
    bits: int = 0,
    length: int | None = None,
    size: str = "",
) -> bytes:
    """`size`: H or Q, a longer form of the length than is needed. Masked, as clients must."""
    told = len(content) if length is None else length
    first = (ends << 7) | (bits << 4) | kind
    size = size or ("" if told < 126 else "H" if told < 65536 else "Q")
    mark = {"H": 126, "Q": 127}.get(size, told)
    key = os.urandom(4)
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(content))
    return struct.pack(f"!BB{size}", first, 0x80 | mark, *([told] if size else [])) + key + masked


BREACHES: Final = {
    "a reserved bit": (frame(TEXT, CALL, bits=2), 1002),
    "compressed, though nobody agreed on that": (frame(TEXT, CALL, bits=4), 1002),
    "an unknown kind": (frame(3, CALL), 1002),
    "an unknown kind of control frame": (frame(11), 1002),
    "a continuation of nothing": (frame(CONTINUED, CALL), 1002),
    "a ping in two parts": (frame(PING, b"x", ends=False), 1002),
    "a ping that is too long": (frame(PING, b"x" * 126), 1002),
    "a message within a message": (frame(TEXT, b"{", ends=False) + frame(TEXT, CALL), 1002),
    "a close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "a close with a code that nobody may send": (frame(CLOSE, struct.pack("!H", 1005)), 1002),
    "a close whose reason is no text": (frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    "text that is no text": (frame(TEXT, b"\xff\xfe"), 1007),
    "text that is no text, in two parts": (
        frame(TEXT, b"\xf0\x9f", ends=False) + frame(CONTINUED, b"\xff"),
        1007,
    ),
    "half an emoji": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "a length that no message may have": (frame(TEXT, b"x", length=2**62, size="Q"), 1009),
    "a length beyond 63 bits": (frame(TEXT, b"x", length=2**63, size="Q"), 1009),
    "a message that is too long in all its parts": (
        frame(TEXT, b" " * 200_000, ends=False) + frame(CONTINUED, b" " * 200_000),
        1009,
    ),
    "bytes that are no text frame": (frame(BINARY, CALL), 1003),
    "HTTP again": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 1002),
}


@asynccontextmanager
async def shaken(world: World, path: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", world.demo.service_port, local_addr=("127.0.0.93", 0)
    )
    heads = {"Host": "x", **WEBSOCKET_HANDSHAKE, "Sec-WebSocket-Protocol": DOORS[path]}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in heads.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def close_code(reader: asyncio.StreamReader) -> int | None:
    """Of the close frame that comes; None where the connection ends without one. A server's frames are not masked."""
    async with asyncio.timeout(SECONDS):
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                first, size = await reader.readexactly(2)
                length = size if size < 126 else struct.unpack("!H", await reader.readexactly(2))[0]
                content = await reader.readexactly(length)
                if first & 0x0F == CLOSE:
                    return int(struct.unpack("!H", content[:2])[0])
    return None


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("breach", BREACHES)
async def test_a_breach_of_the_protocol_ends_the_connection(the_world: World, path: str, breach: str) -> None:
    logged = len(the_world.log())
    sent, code = BREACHES[breach]
    async with shaken(the_world, path) as (reader, writer):
        writer.write(sent)
        assert await close_code(reader) == code
    lines = the_world.log()[logged:]
    assert "Traceback" not in lines and '"level": "error"' not in lines


@pytest.mark.parametrize("path", DOORS)
async def test_a_message_without_end_lasts_no_longer_than_silence(the_world: World, path: str) -> None:
    """Empty parts cost nobody anything, and are no hello."""
    async with shaken(the_world, path) as (reader, writer):
        writer.write(frame(TEXT, ends=False) + frame(CONTINUED, ends=False) * 20_000)
        assert await close_code(reader) == 4408


async def test_an_open_link_ends_with_a_breach_and_comes_back(the_world: World) -> None:
    """What broke the protocol is no reason to keep the same connector out."""
    peer = await enrolled(the_world, "breach.example.com")
    for _ in range(2):
        async with connected(the_world) as (socket, nonce):
            assert "result" in await say(socket, peer.hello(nonce))
            socket._writer.transport.write(frame(3, CALL))  # aiohttp's client sends nothing that is wrong
            async with asyncio.timeout(SECONDS):
                message = await socket.receive()
                while message.type.name == "TEXT":
                    message = await socket.receive()
            assert message.data == 1002
