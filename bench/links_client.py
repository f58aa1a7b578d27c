"""The clients of `bench.links`: connectors that hold links and answer, and callers. Each is a separate process;
every command answers one line of JSON.

    python -m bench.links_client answer hub|bare PORT          connectors of four PBXs that answer until they are ended
    python -m bench.links_client hold link|socket PORT COUNT   opens COUNT of them, tells how long it took, holds them
    python -m bench.links_client call PORT CLIENTS SECONDS     calls; tells rate, p50 and p99 in milliseconds
"""

import asyncio
import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wire.bounds import b64url
from wire.jsonrpc import MAX_FRAME_BYTES, Endpoint
from wire.link import (
    SUBPROTOCOL,
    Hello,
    LoginChallenge,
    LoginMethod,
    Method,
    RestState,
    Status,
    UciState,
    sealing_key_bytes,
)
from wire.model import Empty

NAME = "pbx-{}.example.com"
CODE = "c" * 32
"""The enrolment code of every name; a connector may keep its code in its configuration and continue to send it."""
PBXS = 4
"""Number of PBXs that callers are spread over."""
AT_ONCE = 256
"""Links that are opened at the same time."""
ANSWER = LoginChallenge(method=LoginMethod.CHALLENGE, nonce="n" * 32)
EXPECTED = ANSWER.model_dump(mode="json", by_alias=True)


class Connector:
    def __init__(self, number: int, *, code: str = CODE, licence_keys: Sequence[str] = ()) -> None:
        # The same identity in every run, so that a second run owns its names.
        self.identity = Ed25519PrivateKey.from_private_bytes(random.Random(number).randbytes(32))
        self.name = NAME.format(number)
        sealing = "A" * 87
        self._template = {
            "pbx_name": self.name,
            "identity": b64url(self.identity.public_key().public_bytes_raw()),
            "sealing_key": sealing,
            "sealing_signature": b64url(self.identity.sign(sealing_key_bytes(sealing))),
            "key_digest": f"{number:064x}",
            "enrolment_code": code,
            "licence_keys": list(licence_keys),
            "connector_version": "1.0",
            "status": Status(module_active=True, uci=UciState.ON, rest=RestState.OK, pbx_version="6.7.3.20"),
        }

    async def open(self, http: aiohttp.ClientSession, port: int) -> aiohttp.ClientWebSocketResponse:
        url = f"http://127.0.0.1:{port}/connector/link"
        socket = await http.ws_connect(
            url, protocols=(SUBPROTOCOL,), max_msg_size=MAX_FRAME_BYTES, compress=0
        )
        challenge = json.loads((await socket.receive()).data)
        hello = Hello(nonce=challenge["params"]["nonce"], **self._template).signed_by(self.identity)
        frame = {"jsonrpc": "2.0", "id": 1, "method": Method.HELLO}
        await socket.send_str(json.dumps({**frame, "params": hello.model_dump(mode="json", by_alias=True)}))
        welcome = json.loads((await socket.receive()).data)
        assert "result" in welcome, welcome
        return socket


async def open_bare(http: aiohttp.ClientSession, port: int, number: int) -> aiohttp.ClientWebSocketResponse:
    return await http.ws_connect(f"http://127.0.0.1:{port}/connector/link/{NAME.format(number)}", compress=0)


async def answer(kind: str, port: str) -> None:
    async with aiohttp.ClientSession() as http:
        connectors = [_answer_bare, _answer_hub][kind == "hub"]
        opened = [await connectors(http, int(port), number) for number in range(PBXS)]
        print_result({})
        await asyncio.gather(*opened)


async def _answer_bare(http: aiohttp.ClientSession, port: int, number: int) -> "asyncio.Task[None]":
    socket = await open_bare(http, port, number)

    async def answer_all() -> None:
        async for message in socket:
            frame = json.loads(message.data)
            await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": EXPECTED}))

    return asyncio.create_task(answer_all())


async def _answer_hub(http: aiohttp.ClientSession, port: int, number: int) -> "asyncio.Task[None]":
    socket = await Connector(number).open(http, port)
    endpoint = Endpoint(socket.send_str, {Method.LOGIN_CHALLENGE: _challenge, Method.PING: _pong})

    async def answer_all() -> None:
        async for message in socket:
            await endpoint.feed(message.data)

    return asyncio.create_task(answer_all())


async def _challenge(_params: dict[str, Any]) -> LoginChallenge:
    return ANSWER


async def _pong(_params: dict[str, Any]) -> Empty:
    return Empty()


async def hold(kind: str, port: str, count: str) -> None:
    numbers = iter(range(int(count)))
    connectors = [Connector(number) for number in range(int(count))] if kind == "link" else []
    sockets = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def opener() -> None:
            for number in numbers:
                if kind == "link":
                    sockets.append(await connectors[number].open(http, int(port)))
                else:
                    sockets.append(await open_bare(http, int(port), number))

        begun = time.perf_counter()
        await asyncio.gather(*(opener() for _ in range(AT_ONCE)))
        print_result({"seconds": time.perf_counter() - begun, "open": len(sockets)})
        await asyncio.to_thread(sys.stdin.readline)


async def call(port: str, clients: str, seconds: str) -> None:
    """Call with as little overhead as possible, so that the server is measured: one protocol object each, no HTTP
    library.
    """
    loop = asyncio.get_running_loop()
    took: list[float] = []
    ends = time.perf_counter() + float(seconds)
    callers = [Caller(took, ends, number % PBXS) for number in range(int(clients))]
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", int(port))
    await asyncio.gather(*(caller.done for caller in callers))
    cuts = statistics.quantiles(took, n=100)
    print_result({"rate": len(took) / float(seconds), "p50": cuts[49] * 1000, "p99": cuts[98] * 1000})


class Caller(asyncio.Protocol):
    """One connection that sends a request, waits for the complete answer, and repeats."""

    def __init__(self, took: list[float], ends: float, pbx: int) -> None:
        self._request = (
            f"POST /call/{NAME.format(pbx)} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            "Content-Length: 2\r\n\r\n{}"
        ).encode()
        self._took = took
        self._ends = ends
        self._received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.lower().split(b"content-length:")[1].split()[0]):
            return
        assert head.startswith(b"HTTP/1.1 200"), self._received
        assert json.loads(body) == EXPECTED, self._received
        now = time.perf_counter()
        self._took.append(now - self._begun)
        if now < self._ends:
            self._ask()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, fault: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(fault or ConnectionResetError())

    def _ask(self) -> None:
        self._received, self._begun = b"", time.perf_counter()
        self._transport.write(self._request)


def print_result(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    kind, *rest = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run({"answer": answer, "hold": hold, "call": call}[kind](*rest))


if __name__ == "__main__":
    main()
