"""The clients of `bench.tab`, each in a separate process: `python -m bench.tab_client COMMAND ARGUMENTS`, ARGUMENTS
as JSON. Every command answers one line of JSON.

    connect   connectors of several PBXs that answer every call at once, until they are ended
    get       clients that ask for one path again and again: rate, p50 and p99
    sign_in   people who sign in, a few at once: how long all of them took; then, not counted, all sign out
    hold      opens streams of live updates and holds them
"""

import asyncio
import json
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
    PbxUser,
    PbxUsers,
    RestState,
    Status,
    UciState,
    sealing_key_bytes,
)
from wire.model import Empty

ADMINISTRATOR = 1
"""The user id of the only administrator of each PBX."""
AT_ONCE = 64
"""Streams that are opened at the same time."""


def key_digest(number: int) -> str:
    """Return the key digest of the PBX with this number. No real key has such a digest, and nobody here needs the
    key.
    """
    return f"{number:064x}"


CHALLENGE = LoginChallenge(method=LoginMethod.CHALLENGE, nonce="n" * 32)


class Connection(asyncio.Protocol):
    """One connection with as little overhead as possible, so that the server is measured: no HTTP library."""

    def __init__(self) -> None:
        self._received = b""
        self._answered: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, port: int) -> "Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, "127.0.0.1", port)
        return connection

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank or self._answered is None:
            return
        length = head.lower().partition(b"content-length:")[2].split(maxsplit=1)
        if length and len(body) < int(length[0]):
            return
        if not length and b"event: state" not in body:  # a stream: wait for its first state
            return
        answered, self._answered = self._answered, None
        if not answered.done():
            answered.set_result(self._received)
        self._received = b""

    def connection_lost(self, fault: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(fault or ConnectionResetError())

    async def ask(self, method: str, path: str, token: str, body: Any = None) -> bytes:
        """Return head and body; the status must be 200."""
        content = b"" if body is None else json.dumps(body).encode()
        typed = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n{typed}\r\n"
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(head.encode() + content)
        answer = await self._answered
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return answer

    def close(self) -> None:
        self._transport.close()


async def get(port: int, path: str, tokens: Sequence[str], clients: int, seconds: float) -> None:
    took: list[float] = []
    connections = [await Connection.open(port) for _ in range(clients)]
    clock = time.perf_counter
    begun = clock()

    async def client(connection: Connection, token: str) -> None:
        at = clock()
        while at < begun + seconds:
            await connection.ask("GET", path, token)
            before, at = at, clock()
            took.append(at - before)
        connection.close()

    await asyncio.gather(
        *(client(one, tokens[number % len(tokens)]) for number, one in enumerate(connections))
    )
    cuts = statistics.quantiles(took, n=100)
    print_result({"rate": len(took) / (clock() - begun), "p50": cuts[49] * 1000, "p99": cuts[98] * 1000})


async def sign_in(
    port: int, tokens: Sequence[str], logins: Sequence[int], clients: int, clear: str, **access: str
) -> None:
    """Sign users in. `clear` is the path that signs everybody out; without it each user signs out separately."""
    connections = [await Connection.open(port) for _ in range(clients)]
    people = iter(list(zip(tokens, logins, strict=True)))
    took: list[float] = []
    begun = time.perf_counter()

    async def client(connection: Connection) -> None:
        for token, login in people:
            at = time.perf_counter()
            await connection.ask(method="POST", path="/api/v1/sign-in/challenge", token=token, body=access)
            proof = {"method": "challenge", "nonce": "n" * 32, "secret": f"{login}:{'0' * 128}"}
            body = access | {"proof": proof, "takeOver": False}
            answer = await connection.ask(method="POST", path="/api/v1/sign-in", token=token, body=body)
            assert b'"signedIn":true' in answer.replace(b" ", b""), answer
            took.append(time.perf_counter() - at)

    await asyncio.gather(*(client(connection) for connection in connections))
    seconds = time.perf_counter() - begun
    for token in tokens[:1] if clear == "/clear" else tokens:
        await connections[0].ask(method="POST", path=clear, token=token, body={})
    print_result({"rate": len(took) / seconds, "p50": statistics.median(took) * 1000})


async def hold(port: int, tokens: Sequence[str], streams: int) -> None:
    numbers, held = iter(range(streams)), []
    begun = time.perf_counter()

    async def opener() -> None:
        for number in numbers:
            connection = await Connection.open(port)
            await connection.ask("GET", "/api/v1/events?changes=true", tokens[number % len(tokens)])
            held.append(connection)

    await asyncio.gather(*(opener() for _ in range(AT_ONCE)))
    print_result({"open": len(held), "seconds": time.perf_counter() - begun})
    await asyncio.to_thread(sys.stdin.readline)


async def connect(port: int, names: Sequence[str], codes: Sequence[str], keys: Sequence[str]) -> None:
    """Connect the PBXs. `codes` are enrolment codes, empty for the bare program; `keys` has a licence key for each
    PBX.
    """
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{port}/connector/link"
        if not codes:
            socket = await http.ws_connect(url, compress=0)
            print_result({})
            await _answer_bare(socket)
            return
        opened = [
            await _link(http, url, *one) for one in zip(names, codes, keys, range(len(names)), strict=True)
        ]
        print_result({})
        await asyncio.gather(*opened)


async def _link(
    http: aiohttp.ClientSession, url: str, name: str, code: str, key: str, number: int
) -> "asyncio.Task[None]":
    identity = Ed25519PrivateKey.generate()
    sealing = "A" * 87
    socket = await http.ws_connect(
        url, protocols=(SUBPROTOCOL,), max_msg_size=MAX_FRAME_BYTES, compress=0, heartbeat=None
    )
    challenge = json.loads((await socket.receive()).data)
    hello = Hello(
        nonce=challenge["params"]["nonce"],
        pbx_name=name,
        identity=b64url(identity.public_key().public_bytes_raw()),
        sealing_key=sealing,
        sealing_signature=b64url(identity.sign(sealing_key_bytes(sealing))),
        key_digest=key_digest(number),
        enrolment_code=code,
        licence_keys=[key],
        connector_version="1.0",
        status=Status(module_active=True, uci=UciState.ON, rest=RestState.OK, pbx_version="6.7.3.20"),
    ).signed_by(identity)
    frame = {"jsonrpc": "2.0", "id": 1, "method": Method.HELLO}
    await socket.send_str(json.dumps({**frame, "params": hello.model_dump(mode="json", by_alias=True)}))
    welcome = json.loads((await socket.receive()).data)
    assert welcome["result"]["licenceKeys"][0]["accepted"], welcome
    endpoint = Endpoint(
        socket.send_str,
        {
            Method.LOGIN_CHALLENGE: _challenge,
            Method.LOGIN: _login,
            Method.USERS_BY_ID: _users,
            Method.USERS_BY_IDS: _users,
            Method.PING: _pong,
        },
    )

    async def answer_all() -> None:
        async for message in socket:
            await endpoint.feed(message.data)

    return asyncio.create_task(answer_all())


async def _challenge(_params: dict[str, Any]) -> LoginChallenge:
    return CHALLENGE


async def _login(params: dict[str, Any]) -> PbxUser:
    return _user(int(params["proof"]["secret"].partition(":")[0]))


async def _users(params: dict[str, Any]) -> PbxUsers:
    ids = [params["userId"]] if "userId" in params else params["userIds"]
    return PbxUsers(users=[_user(number) for number in ids])


async def _pong(_params: dict[str, Any]) -> Empty:
    return Empty()


def _user(number: int) -> PbxUser:
    return PbxUser(
        user_id=number,
        login=str(number),
        display_name=f"User {number}",
        email="",
        is_administrator=number == ADMINISTRATOR,
        has_licence_permission=False,
        group_ids=[],
    )


async def _answer_bare(socket: aiohttp.ClientWebSocketResponse) -> None:
    challenge = CHALLENGE.model_dump(mode="json", by_alias=True)
    async for message in socket:
        frame = json.loads(message.data)
        result: Any = challenge
        if frame["method"] == "pbx.login":
            number = int(frame["params"]["proof"]["secret"].partition(":")[0])
            result = {"userId": number, "login": str(number), "displayName": f"User {number}", "email": ""}
        await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": result}))


def print_result(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    command = {"connect": connect, "get": get, "sign_in": sign_in, "hold": hold}[sys.argv[1]]
    arguments = json.loads(sys.stdin.readline())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(command(**arguments))


if __name__ == "__main__":
    main()
