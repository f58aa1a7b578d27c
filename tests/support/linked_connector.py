"""A connector with its link, which speaks the real protocol; tests set its answers and see what it was asked."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from core.background import cancel_and_wait
from tests.support.connector_peer import Peer
from wire.jsonrpc import RpcErrorCode
from wire.link import SUBPROTOCOL_WITH_CAPABILITIES, Capability, Method
from wire.phone import PhoneMethod

EMPTY_LINE: dict[str, Any] = {"state": "up", "features": {"dial": "change"}, "calls": [], "phones": []}


class LinkedConnector:
    """A connector that speaks the real protocol and keeps the requested lines."""

    def __init__(self, name: str) -> None:
        self.peer = Peer(name)
        self.lines: set[int] = set()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Callable[[dict[str, Any]], Any]] = {}
        """Instead of its own: a result, or a code (text); None: no answer at all."""
        self.slow: asyncio.Event | None = None
        self.socket: aiohttp.ClientWebSocketResponse

    async def connect(self, http: aiohttp.ClientSession, url: str, *capabilities: Capability) -> None:
        self.socket = await http.ws_connect(url, protocols=(SUBPROTOCOL_WITH_CAPABILITIES,))
        nonce = json.loads((await self.socket.receive()).data)["params"]["nonce"]
        hello = self.peer.hello(nonce, capabilities=capabilities or None)
        params = hello.model_dump(mode="json", by_alias=True)
        await self.socket.send_json({"jsonrpc": "2.0", "id": 1, "method": Method.HELLO, "params": params})
        self.pbx_id = json.loads((await self.socket.receive()).data)["result"]["pbxId"]
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        await cancel_and_wait(self._running)
        await self.socket.close()

    async def changed(self, *user_ids: int) -> None:
        await self.socket.send_json(
            {"jsonrpc": "2.0", "method": PhoneMethod.CHANGED, "params": {"userIds": user_ids}}
        )

    def times(self, method: str) -> int:
        return sum(asked == method for asked, _ in self.asked)

    async def _run(self) -> None:
        async for message in self.socket:
            frame = json.loads(message.data)
            if frame.get("method") is None:
                continue
            self.asked.append((frame["method"], frame["params"]))
            asyncio.create_task(self._answer(frame))

    async def _answer(self, frame: dict[str, Any]) -> None:
        method, params = frame["method"], frame["params"]
        # The service waits for `keep` before it opens a line, so holding that back would delay the test.
        if self.slow is not None and method.startswith("phone.") and method != PhoneMethod.KEEP:
            await self.slow.wait()
        result = self.answers[method](params) if method in self.answers else self._own(method, params)
        if result is None:
            return
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": frame["id"]}
        if isinstance(result, str):
            data = {"code": result, "evidence": {}}
            answer["error"] = {"code": int(RpcErrorCode.REFUSED), "message": "no", "data": data}
        else:
            answer["result"] = result
        await self.socket.send_json(answer)

    def _own(self, method: str, params: dict[str, Any]) -> Any:
        match method:
            case Method.CALLS_CHALLENGE:
                return {"possible": True, "nonce": "n"}
            case PhoneMethod.OPEN:
                self.lines.add(params["userId"])
            case PhoneMethod.KEEP:
                self.lines &= set(params["userIds"])
                return {"userIds": sorted(self.lines)}
            case PhoneMethod.LINE:
                return EMPTY_LINE if params["userId"] in self.lines else "phone-off"
            case PhoneMethod.DIAL:
                return {"callId": params["callId"], "number": "0049123", "phone": "Desk"}
        return {}
