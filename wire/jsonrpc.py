"""JSON-RPC 2.0 (https://www.jsonrpc.org/specification) over any transport of text frames.

The models describe the frames; `Endpoint` is one end of a link. Both ends may call. Batches are refused: a frame has one
message.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from enum import IntEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from wire.bounds import MAX_INTEGER, Detail, token
from wire.faults import faults_of
from wire.safejson import Evidence, JsonObject

logger = logging.getLogger(__name__)

MAX_FRAME_BYTES: Final = 256 * 1024
"""The largest frame that either end sends or accepts (docs/architecture.md, "The link")."""

MAX_IN_FLIGHT: Final = 64
"""Most unanswered calls on one link. Further calls raise `LinkBusyError`; the other end's are refused with `pbx-busy`."""


class RpcErrorCode(IntEnum):
    PARSE = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    REFUSED = -32000
    """The method ran and refused; `data.code` is the stable reason."""


CallId = (
    Annotated[int, Field(strict=True, ge=-MAX_INTEGER, le=MAX_INTEGER)]
    | Annotated[str, Field(max_length=100)]
)
"""The id of a call; the answer repeats it unchanged."""


class ErrorData(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: Annotated[str, token(100)]
    """A stable code, for instance one of the diagnosis codes."""
    evidence: Evidence = Field(default_factory=dict)


class ErrorObject(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: Annotated[int, Field(strict=True, ge=-MAX_INTEGER, le=MAX_INTEGER)]
    message: Detail
    data: ErrorData | None = None


class Frame(BaseModel):
    """Any JSON-RPC 2.0 message; its members show which kind it is."""

    model_config = ConfigDict(extra="forbid")

    jsonrpc: Literal["2.0"]
    id: CallId | None = None
    method: Annotated[str, token(100, least=1)] | None = None
    params: JsonObject | None = None
    result: JsonObject | None = None
    error: ErrorObject | None = None


PROTOCOL_REFUSED: Final = "link-protocol-error"
"""The code of a `RpcRefusalError` when the other end does not have the method or did not understand the call."""


class RpcRefusalError(Exception):
    """The other end answered with an error, or one of our methods refuses. `code` is stable."""

    def __init__(self, code: str, message: str = "", evidence: dict[str, Any] | None = None) -> None:
        super().__init__(message or code)
        self.code = code
        self.evidence = evidence or {}


class LinkBusyError(Exception):
    """The link already has as many calls in flight as it may."""


class LinkClosedError(Exception):
    """The link closed before the answer arrived. Whether the call was carried out is unknown."""


Handler = Callable[[dict[str, Any]], Awaitable[BaseModel | None]]
Send = Callable[[str], Coroutine[Any, Any, None]]


def dump(**members: Any) -> str:
    """Return a frame as text. Models among the members are serialized by alias."""
    return to_json({"jsonrpc": "2.0", **members}, by_alias=True).decode()


class _PendingCall:
    """A call that waits for its answer until `ends`, in the loop's time."""

    __slots__ = ("answer", "ends")

    def __init__(self, answer: asyncio.Future[dict[str, Any]], ends: float) -> None:
        self.answer = answer
        self.ends = ends

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Endpoint:
    """One end of a link: sends calls, matches answers to them, and runs the methods that the other end calls.

    Each call is sent at most once. It raises `TimeoutError` if it is not answered before its deadline, and
    `LinkClosedError` if the link closes. In both cases its effect is unknown, and it is not repeated.
    """

    def __init__(
        self,
        send: Send,
        methods: Mapping[str, Handler],
        max_in_flight: int = MAX_IN_FLIGHT,
        admits: Callable[[], bool] | None = None,
    ) -> None:
        """`admits` is called for each frame that does not answer one of our calls. If it returns False, the frame is
        refused.
        """
        self._send = send
        self._methods = methods
        self._admits = admits
        self._max_in_flight = max_in_flight
        self._last_id = 0
        self._waiting: dict[int, _PendingCall] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        """One timer for all waiting calls, because most calls are answered long before their deadline."""
        self._closed = False
        self.bad_frames = 0
        self.refused_frames = 0
        """The number of frames that `admits` refused."""

    async def wait_until_idle(self) -> None:
        """Wait until no call is unanswered."""
        while self._waiting:
            await asyncio.wait([one.answer for one in self._waiting.values()])
            await asyncio.sleep(0)  # lets the callers take their answers

    async def finish_answers(self, seconds: float) -> None:
        """Wait until the methods that run now have answered, at most `seconds`."""
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=seconds)

    async def call(
        self, method: str, params: BaseModel | dict[str, Any] | None = None, *, deadline: float
    ) -> dict[str, Any]:
        """Send one call and return the result of its answer. `deadline`: how many seconds to wait at most.

        Raises `RpcRefusalError`, `LinkBusyError`, `LinkClosedError` or `TimeoutError`.
        """
        if self._closed:
            raise LinkClosedError
        if len(self._waiting) >= self._max_in_flight:
            raise LinkBusyError
        loop = asyncio.get_running_loop()
        ends = loop.time() + deadline
        self._last_id = call_id = self._last_id + 1
        one = self._waiting[call_id] = _PendingCall(loop.create_future(), ends)
        try:
            if self._timer is None or ends < self._timer.when():
                self._watch(loop, ends)
            await self._send(dump(id=call_id, method=method, params=params or {}))
            return await one.answer
        finally:
            del self._waiting[call_id]

    async def notify(self, method: str, params: BaseModel | None = None) -> None:
        """Send a notification, which is not answered. Raises `LinkClosedError`."""
        if self._closed:
            raise LinkClosedError
        await self._send(dump(method=method, params=params or {}))

    async def feed(self, text: str) -> None:
        """Process one received frame. A bad frame is answered and counted; this never raises."""
        try:
            frame = Frame.model_validate_json(text)
        except ValidationError as fault:
            self.bad_frames += 1
            code = RpcErrorCode.PARSE if _is_no_json(fault) else RpcErrorCode.INVALID_REQUEST
            await self._send_error(None, code, "not a JSON-RPC 2.0 message")
            return
        if not self._is_awaited(frame) and self._admits is not None and not self._admits():
            self.refused_frames += 1
            if frame.method is not None and frame.id is not None:
                await self._send_busy(frame)
        elif frame.method is not None:
            await self._take_request(frame)
        elif "result" in frame.model_fields_set or frame.error is not None:
            self._take_answer(frame)
        else:
            self.bad_frames += 1
            await self._send_error(frame.id, RpcErrorCode.INVALID_REQUEST, "neither method, result nor error")

    def close(self) -> None:
        """End everything in progress: waiting callers get `LinkClosedError`, running methods are cancelled."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for one in self._waiting.values():
            one.fail(LinkClosedError())
        for task in self._running:
            task.cancel()

    def _watch(self, loop: asyncio.AbstractEventLoop, ends: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(ends, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, now = None, loop.time()
        left: float | None = None
        for one in self._waiting.values():
            if one.ends <= now:
                one.fail(TimeoutError())
            elif left is None or one.ends < left:
                left = one.ends
        if left is not None:
            self._watch(loop, left)

    def _is_awaited(self, frame: Frame) -> bool:
        return frame.method is None and isinstance(frame.id, int) and frame.id in self._waiting

    def _take_answer(self, frame: Frame) -> None:
        one = self._waiting.get(frame.id) if isinstance(frame.id, int) else None
        if one is None:
            return  # too late: its caller already got "outcome unknown"
        if frame.error is None:
            if not one.answer.done():
                one.answer.set_result(frame.result or {})
        elif frame.error.data is not None:
            data = frame.error.data
            one.fail(RpcRefusalError(data.code, frame.error.message, data.evidence))
        else:
            one.fail(RpcRefusalError(PROTOCOL_REFUSED, frame.error.message))

    async def _take_request(self, frame: Frame) -> None:
        handler = self._methods.get(frame.method or "")
        if handler is None:
            self.bad_frames += 1
            await self._send_error(frame.id, RpcErrorCode.METHOD_NOT_FOUND, "no such method")
        elif len(self._running) >= self._max_in_flight:
            await self._send_busy(frame)
        else:
            task = asyncio.create_task(self._run(handler, frame))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _send_busy(self, frame: Frame) -> None:
        await self._send_error(
            frame_id=frame.id, code=RpcErrorCode.REFUSED, message="too many calls", data_code="pbx-busy"
        )

    async def _run(self, handler: Handler, frame: Frame) -> None:
        try:
            result = await handler(frame.params or {})
        except RpcRefusalError as refusal:
            await self._send_error(
                frame_id=frame.id,
                code=RpcErrorCode.REFUSED,
                message=str(refusal),
                data_code=refusal.code,
                evidence=refusal.evidence,
            )
        except ValidationError:
            self.bad_frames += 1
            await self._send_error(frame.id, RpcErrorCode.INVALID_PARAMS, "the params do not fit the method")
        except Exception:
            logger.exception("method failed", extra={"method": frame.method})
            await self._send_error(
                frame_id=frame.id,
                code=RpcErrorCode.INTERNAL,
                message="internal error",
                data_code="internal-error",
            )
        else:
            if frame.id is not None:
                await self._send_quietly(dump(id=frame.id, result=result or {}))

    async def _send_error(
        self,
        frame_id: int | str | None,
        code: RpcErrorCode,
        message: str,
        data_code: str | None = None,
        evidence: dict[str, Any] | None = None,
    ) -> None:
        error: dict[str, Any] = {"code": int(code), "message": message}
        if data_code is not None:
            error["data"] = {"code": data_code, "evidence": evidence or {}}
        await self._send_quietly(dump(id=frame_id, error=error))

    async def _send_quietly(self, text: str) -> None:
        try:
            await self._send(text)
        except (ConnectionError, LinkClosedError, TimeoutError):
            logger.debug("the link went away before an answer could be sent")


def _is_no_json(fault: ValidationError) -> bool:
    return any(error["type"] == "json_invalid" for error in faults_of(fault))
