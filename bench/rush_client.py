"""The clients of `bench.rush`, each in a separate process.

python -m bench.rush_client connector URL CODE LICENCE_KEY   a PBX whose connector answers at once
python -m bench.rush_client watch FILE                       holds open tabs; FILE: a JSON list of [person, port, token]

`watch` says one line when every tab has its state. Afterwards it answers each line of standard input with one line: how
many tabs have which number of seats, and when each tab learned that its user is signed out (the system's monotonic
clock).
"""

import asyncio
import json
import resource
import secrets
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop

from bench.links_client import Connector, print_result
from wire.jsonrpc import Endpoint
from wire.link import IdParams, IdsParams, LoginChallenge, LoginMethod, LoginParams, Method, PbxUser, PbxUsers
from wire.model import Empty

AT_ONCE: Final = 64
"""Tabs that are opened at the same time."""
ADMINISTRATOR: Final = 1
"""The PBX user who revokes."""


def pbx_user(number: int) -> PbxUser:
    return PbxUser(
        user_id=number,
        login=str(number),
        display_name=f"Person {number}",
        email=f"person{number}@example.com",
        is_administrator=number == ADMINISTRATOR,
        has_licence_permission=False,
    )


async def connector(url: str, code: str, licence_key: str) -> None:
    async def challenge(_params: dict[str, Any]) -> LoginChallenge:
        return LoginChallenge(method=LoginMethod.CHALLENGE, nonce=secrets.token_urlsafe(24))

    async def login(params: dict[str, Any]) -> PbxUser:
        proof: Any = LoginParams.model_validate(params).proof
        return pbx_user(int(proof.secret.partition(":")[0]))

    async def by_id(params: dict[str, Any]) -> PbxUsers:
        return PbxUsers(users=[pbx_user(IdParams.model_validate(params).user_id)])

    async def by_ids(params: dict[str, Any]) -> PbxUsers:
        return PbxUsers(users=[pbx_user(number) for number in IdsParams.model_validate(params).user_ids])

    async def pong(_params: dict[str, Any]) -> Empty:
        return Empty()

    async with aiohttp.ClientSession() as http:
        pbx = Connector(0, code=code, licence_keys=[licence_key])
        socket = await pbx.open(http, int(url))
        methods = {
            Method.LOGIN_CHALLENGE: challenge,
            Method.LOGIN: login,
            Method.USERS_BY_ID: by_id,
            Method.USERS_BY_IDS: by_ids,
            Method.PING: pong,
        }
        endpoint = Endpoint(socket.send_str, methods)
        print_result({})
        async for message in socket:
            await endpoint.feed(message.data)


class OpenTab(asyncio.Protocol):
    """An open tab with as little overhead as possible, so that the service is measured."""

    def __init__(self, person: int, token: str) -> None:
        self.person = person
        self._request = (
            "GET /api/v1/events?changes=true HTTP/1.1\r\nHost: bench\r\nAccept-Language: de\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode()
        self._tail = b""
        self.has_state: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.seats = ""
        self.signed_out_at: float | None = None
        self.events = 0

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        text = self._tail + data
        self._tail = text[-40:]
        self.events += data.count(b"event: ")
        at = text.rfind(b'"seatsUsed":')
        if at >= 0:
            digits = text[at + 12 : at + 20].split(b",")[0].split(b"}")[0]
            self.seats = digits.decode()
        if self.signed_out_at is None and b'"signedIn":false' in text:
            self.signed_out_at = time.monotonic()
        if not self.has_state.done() and b'"signedIn":' in text:
            self.has_state.set_result(None)

    def connection_lost(self, fault: Exception | None) -> None:
        if not self.has_state.done():
            self.has_state.set_exception(fault or ConnectionResetError(self._tail.decode(errors="replace")))


async def watch(file: str) -> None:
    wanted = iter(json.loads(await asyncio.to_thread(Path(file).read_text)))
    tabs: list[OpenTab] = []
    loop = asyncio.get_running_loop()

    async def open_tabs() -> None:
        for person, port, token in wanted:
            _, tab = await loop.create_connection(
                lambda person=person, token=token: OpenTab(person, token), "127.0.0.1", port
            )
            tabs.append(tab)
            await tab.has_state

    begun = time.perf_counter()
    await asyncio.gather(*(open_tabs() for _ in range(AT_ONCE)))
    print_result({"seconds": time.perf_counter() - begun, "open": len(tabs)})
    while await asyncio.to_thread(sys.stdin.readline):
        living = [tab for tab in tabs if tab.signed_out_at is None]
        print_result(
            {
                "seats": Counter(tab.seats for tab in living),
                "signedOut": {tab.person: tab.signed_out_at for tab in tabs if tab.signed_out_at is not None},
                "events": sum(tab.events for tab in tabs),
            }
        )


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    kind, *rest = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run({"connector": connector, "watch": watch}[kind](*rest))


if __name__ == "__main__":
    main()
