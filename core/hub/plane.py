"""The plane between replicas: NATS, or nothing when there is one process (docs/scale.md).

NATS is the way, not the truth: whatever is said here, the receiver looks into the database for itself.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from pydantic import ValidationError
from pydantic_core import to_json

from core.background import Background, cancel_and_wait
from core.diagnosis.codes import Code
from core.store.timestamps import new_id
from wire.model import WireModel
from wire.plane import MAX_TOPICS, PlaneAnswer, PlaneCall, TopicsChanged

logger = logging.getLogger(__name__)

RECONNECT_SECONDS: Final = 1
PING_SECONDS: Final = 5
"""A NATS server that does not answer two of these is left for another."""
ANSWER_GRACE: Final = 1.0
"""A replica answers "no answer in time" itself; past this it is gone."""
LEAVE_SECONDS: Final = 2.0
"""How long a replica that stops goes on answering calls that have arrived. Its links are closed by then."""
MAX_ASKED: Final = 2048
"""Calls of other replicas that are being answered here; more are refused at once."""
MAX_MESSAGE_BYTES: Final = 512 * 1024
"""Half of what NATS takes by default; one line is shorter than a frame of a link (256 KiB)."""
MAX_MESSAGES: Final = 1000
MAX_PEERS: Final = 100
NOBODY_LISTENS: Final = "503"
"""The status with which NATS answers a message that has no receiver."""
_CALL: Final = b"c"
_ANSWER: Final = b"a"

Hear = Callable[[Sequence[str]], None]
Missed = Callable[[], None]


class NobodyThereError(Exception):
    """No replica of that name listens: the call was handed to nobody."""


class PlaneDownError(Exception):
    """The plane cannot be used at the moment: the call was handed to nobody."""


@dataclass(frozen=True, slots=True)
class Question:
    """A call of this replica for a link of another; `wire.plane.PlaneCall` on the way."""

    pbx_id: str
    epoch: int
    method: str
    params: WireModel
    deadline: float

    def line(self, call_id: int) -> bytes:
        members = {
            "id": call_id,
            "pbxId": self.pbx_id,
            "epoch": self.epoch,
            "method": self.method,
            "params": self.params,
            "deadline": self.deadline,
        }
        return _CALL + to_json(members, by_alias=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """To a call of another replica; `wire.plane.PlaneAnswer` on the way. What a connector said was checked as its frame
    came in, and the asking replica checks it by its model: once more here would be for nothing.
    """

    result: Mapping[str, Any] | None = None
    code: str | None = None
    evidence: Mapping[str, Any] | None = None

    def line(self, call_id: int) -> bytes:
        members: dict[str, Any] = {"id": call_id}
        if self.code is None:
            members["result"] = self.result
        else:
            members |= {"code": self.code, "evidence": self.evidence or {}}
        return _ANSWER + to_json(members)


Answer = Callable[[PlaneCall], Awaitable[Reply]]


class Plane(Protocol):
    replica_id: str
    """This process, until it ends."""

    @property
    def is_alone(self) -> bool:
        """There is one process, and there are no others to tell."""

    @property
    def is_up(self) -> bool: ...

    def start(self, answer: Answer, hear: Hear, missed: Missed) -> None:
        """`answer` serves calls of others, `hear` is told their news; after an interruption, in which news were lost,
        `missed` is called.
        """

    async def call(self, replica_id: str, question: Question) -> PlaneAnswer:
        """Raises `NobodyThereError`, `PlaneDownError`, or `TimeoutError` when nobody knows what became of it."""

    def publish(self, topics: Sequence[str]) -> None: ...

    async def close(self) -> None: ...


class NoPlane:
    """One process."""

    is_alone = True
    is_up = True

    def __init__(self) -> None:
        self.replica_id = new_id()

    def start(self, answer: Answer, hear: Hear, missed: Missed) -> None:
        """Nobody calls."""

    async def call(self, replica_id: str, question: Question) -> PlaneAnswer:
        del question
        raise NobodyThereError(replica_id)

    def publish(self, topics: Sequence[str]) -> None:
        """Nobody hears."""

    async def close(self) -> None:
        """Nothing is open."""


class _Client(Client):
    """nats-py encrypts when the server asks for it, whatever the address says: somebody in between who answers in the
    server's name would be sent the login in clear.
    """

    def _connect_command(self) -> bytes:
        server = self._current_server
        if server is not None and server.uri.scheme == "tls" and not self._server_info.get("tls_required"):
            raise NatsError("NATS_URL says tls://, but the server offers no TLS")
        command: bytes = super()._connect_command()
        return command


class NatsPlane:
    """`url` may name several servers, separated by commas, and carry user and password.

    A message goes from `SUBJECT.to.RECEIVER.SENDER`; its reply subject, `SUBJECT.to.SENDER.RECEIVER.NUMBER`, is where NATS
    says that nobody listens.
    """

    is_alone = False

    def __init__(self, url: str, subject: str = "pbx-teams") -> None:
        self.replica_id = new_id()
        self._servers = [server.strip() for server in url.split(",")]
        self._news = f"{subject}.news"
        self._to = f"{subject}.to"
        self._client = _Client()
        self._connecting: asyncio.Task[None] | None = None
        self._calls: Subscription | None = None
        self._peers: dict[str, ReplicaPeer] = {}
        self._tasks = Background()
        self._asked: set[asyncio.Task[None]] = set()
        """Calls of others that are being answered; none of these tasks raises."""
        self._unsaid: list[str] = []
        """Topics of this turn of the loop: they go out as one message."""

    @property
    def is_up(self) -> bool:
        return self._client.is_connected

    def start(self, answer: Answer, hear: Hear, missed: Missed) -> None:
        self._connecting = asyncio.create_task(self._connect(answer, hear, missed))

    def call(self, replica_id: str, question: Question) -> Coroutine[Any, Any, PlaneAnswer]:
        if not self._client.is_connected:  # the client would keep it and send it when its time is over
            raise PlaneDownError
        return self._peer(replica_id).call(question)

    def publish(self, topics: Sequence[str]) -> None:
        if not self._unsaid:
            asyncio.get_running_loop().call_soon(self._say)
        self._unsaid.extend(topics)

    async def close(self) -> None:
        if self._connecting is not None:
            await cancel_and_wait(self._connecting)
        await self._leave()
        for peer in self._peers.values():
            peer.close()
        self._tasks.cancel()
        for task in self._asked:
            task.cancel()
        client = self._client
        # One that has not begun to connect, or has given up, has nothing to close and says so by an AssertionError.
        if client.is_connected or client.is_connecting or client.is_reconnecting:
            with suppress(NatsError, OSError, TimeoutError):
                await self._client.close()

    async def _leave(self) -> None:
        """From now on NATS says that nobody listens here. What has arrived until then is answered."""
        if self._calls is None or not self._client.is_connected:
            return
        with suppress(NatsError, OSError, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._calls.drain()  # type: ignore[no-untyped-call]
                while self._asked:
                    await asyncio.wait(self._asked)
                await asyncio.sleep(0)  # what was answered in this turn of the loop is sent
                await self._tasks.finish()
                await self._client.flush()

    async def _connect(self, answer: Answer, hear: Hear, missed: Missed) -> None:
        async def on_fault(fault: Exception) -> None:
            logger.warning("NATS: %s", str(fault)[:300] or type(fault).__name__)

        async def on_disconnected() -> None:
            logger.warning("the plane is interrupted; updates come when it is back")

        async def on_reconnected() -> None:
            logger.info("the plane is back")
            missed()

        async def take(message: Msg) -> None:
            replica_id, *number = message.subject.removeprefix(f"{self._to}.{self.replica_id}.").split(".")
            if message.headers and message.headers.get("Status") == NOBODY_LISTENS:
                self._peer(replica_id).nobody_listens(int(number[0]))
            else:
                self._take(replica_id, message.data, answer)

        async def take_news(message: Msg) -> None:
            try:
                news = TopicsChanged.model_validate_json(message.data)
            except ValidationError:  # another version of the service
                logger.warning("news of another replica cannot be read")
                return
            if news.origin != self.replica_id:
                hear(news.topics)

        while True:
            try:
                await self._client.connect(
                    self._servers,
                    name=f"pbx-teams {self.replica_id}",
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT_SECONDS,
                    ping_interval=PING_SECONDS,
                    max_outstanding_pings=2,
                    pending_size=0,  # what cannot be sent now is not sent later
                    error_cb=on_fault,
                    disconnected_cb=on_disconnected,
                    reconnected_cb=on_reconnected,
                )
                break
            except (NatsError, OSError, TimeoutError) as fault:
                logger.warning("NATS cannot be reached; tried again", extra={"reason": str(fault)[:300]})
                await asyncio.sleep(RECONNECT_SECONDS)
        self._calls = await self._client.subscribe(f"{self._to}.{self.replica_id}.>", cb=take)
        await self._client.subscribe(self._news, cb=take_news)
        await self._client.flush()
        logger.info("the plane is up")
        missed()

    def _take(self, replica_id: str, data: bytes, answer: Answer) -> None:
        peer = self._peer(replica_id)
        for line in data.split(b"\n"):
            try:
                if line.startswith(_CALL):
                    self._answer(peer, PlaneCall.model_validate_json(line[1:]), answer)
                else:
                    peer.answered(PlaneAnswer.model_validate_json(line[1:]))
            except ValidationError:  # another version of the service: its caller is told "unknown"
                logger.warning("a message of another replica cannot be read", extra={"replica": replica_id})

    def _answer(self, peer: "ReplicaPeer", call: PlaneCall, answer: Answer) -> None:
        if len(self._asked) >= MAX_ASKED:
            peer.send(Reply(code=Code.PBX_BUSY).line(call.id))
            return
        task = asyncio.create_task(_respond(peer, call, answer))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    def _peer(self, replica_id: str) -> "ReplicaPeer":
        peer = self._peers.get(replica_id)
        if peer is None:
            if len(self._peers) >= MAX_PEERS:  # replicas come and go; the oldest went long ago
                self._peers.pop(next(iter(self._peers))).close()

            def post(number: int, data: bytes) -> None:
                subject = f"{self._to}.{replica_id}.{self.replica_id}"
                reply = f"{self._to}.{self.replica_id}.{replica_id}.{number}"
                self._tasks.start(self._send(subject, data, reply))

            peer = self._peers[replica_id] = ReplicaPeer(replica_id, post)
        return peer

    def _say(self) -> None:
        topics, self._unsaid = self._unsaid, []
        if not self._client.is_connected:
            return  # a replica that was not told looks when the plane is back (`missed`)
        for start in range(0, len(topics), MAX_TOPICS):
            news = TopicsChanged(origin=self.replica_id, topics=topics[start : start + MAX_TOPICS])
            self._tasks.start(self._send(self._news, news.model_dump_json(by_alias=True).encode()))

    async def _send(self, subject: str, data: bytes, reply: str = "") -> None:
        with suppress(NatsError, OSError):
            await self._client.publish(subject, data, reply)


class ReplicaPeer:
    """Another replica, as this one talks to it."""

    def __init__(self, replica_id: str, post: Callable[[int, bytes], None]) -> None:
        self._replica_id = replica_id
        self._post = post
        self._waiting: dict[int, asyncio.Future[PlaneAnswer]] = {}
        self._doubtful: set[int] = set()
        """Calls that are given up soon, because nobody listens any more."""
        self._last_id = 0
        self._outbox: list[bytes] = []
        self._unsent: list[int] = []
        self._messages: OrderedDict[int, list[int]] = OrderedDict()
        """The calls of each of the last messages: should nobody listen, these were handed to nobody."""
        self._last_message = 0

    async def call(self, question: Question) -> PlaneAnswer:
        loop = asyncio.get_running_loop()
        self._last_id = call_id = self._last_id + 1
        waiting: asyncio.Future[PlaneAnswer] = loop.create_future()
        self._waiting[call_id] = waiting
        self._unsent.append(call_id)
        self.send(question.line(call_id))
        ends = loop.call_later(question.deadline + ANSWER_GRACE, _give_up, waiting)
        try:
            return await waiting
        finally:
            ends.cancel()
            del self._waiting[call_id]
            self._doubtful.discard(call_id)

    def answered(self, answer: PlaneAnswer) -> None:
        waiting = self._waiting.get(answer.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def send(self, line: bytes) -> None:
        """With everything else that goes there in this turn of the loop."""
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append(line)

    def nobody_listens(self, number: int) -> None:
        """The calls of this message reached nobody. Earlier ones are answered now, if the replica stops in good order; what
        became of them is unknown if it has died.
        """
        unheard = set(self._messages.get(number, ()))
        loop = asyncio.get_running_loop()
        for call_id, waiting in self._waiting.items():
            if waiting.done() or call_id in self._unsent:
                continue
            if call_id in unheard:
                waiting.set_exception(NobodyThereError(self._replica_id))
            elif call_id not in self._doubtful:
                self._doubtful.add(call_id)
                loop.call_later(LEAVE_SECONDS, _give_up, waiting)

    def close(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(TimeoutError())

    def _flush(self) -> None:
        lines, self._outbox = self._outbox, []
        calls, self._unsent = self._unsent, []
        self._last_message += 1
        if calls:
            self._messages[self._last_message] = calls
            while len(self._messages) > MAX_MESSAGES:
                self._messages.popitem(last=False)
        size, start = 0, 0
        for index, line in enumerate(lines):
            size += len(line) + 1
            if size > MAX_MESSAGE_BYTES and index > start:
                self._post(self._last_message, b"\n".join(lines[start:index]))
                size, start = len(line) + 1, index
        self._post(self._last_message, b"\n".join(lines[start:]))


async def _respond(peer: ReplicaPeer, call: PlaneCall, answer: Answer) -> None:
    try:
        answered = await answer(call)
    except Exception:
        logger.exception("a call of another replica failed")
        answered = Reply(code=Code.OUTCOME_UNKNOWN)
    peer.send(answered.line(call.id))


def _give_up(waiting: asyncio.Future[PlaneAnswer]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())


def open_plane(url: str | None) -> Plane:
    return NoPlane() if url is None else NatsPlane(url)
