"""The plane between replicas: NATS, or nothing when there is one process (design, section 9).

NATS is the way, not the truth: whatever is said here, the receiver looks into the database for itself.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError
from pydantic_core import to_json

from core.background import Background
from core.store.moments import new_id
from wire.model import WireModel
from wire.plane import MAX_TOPICS, PlaneAnswer, PlaneCall, PlaneNews

logger = logging.getLogger(__name__)

RECONNECT_SECONDS: Final = 1
PING_SECONDS: Final = 5
"""A NATS server that does not answer two of these is left for another."""
ANSWER_GRACE: Final = 1.0
"""A replica answers "no answer in time" itself; past this it is gone."""
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

Answer = Callable[[PlaneCall], Awaitable[PlaneAnswer]]
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
        self._client = Client()
        self._connecting: asyncio.Task[None] | None = None
        self._peers: dict[str, _Peer] = {}
        self._tasks = Background()
        self._unsaid: list[str] = []
        """Topics of this turn of the loop: they go out as one message."""

    @property
    def is_up(self) -> bool:
        return self._client.is_connected

    def start(self, answer: Answer, hear: Hear, missed: Missed) -> None:
        self._connecting = asyncio.create_task(self._connect(answer, hear, missed))

    async def call(self, replica_id: str, question: Question) -> PlaneAnswer:
        if not self._client.is_connected:  # the client would keep it and send it when its time is over
            raise PlaneDownError
        return await self._peer(replica_id).call(question)

    def publish(self, topics: Sequence[str]) -> None:
        if not self._unsaid:
            asyncio.get_running_loop().call_soon(self._say)
        self._unsaid.extend(topics)

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            with suppress(asyncio.CancelledError):
                await self._connecting
        for peer in self._peers.values():
            peer.close()
        self._tasks.cancel()
        if not self._client.is_closed:
            with suppress(NatsError, OSError, TimeoutError):
                await self._client.close()

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
            news = PlaneNews.model_validate_json(message.data)
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
        await self._client.subscribe(f"{self._to}.{self.replica_id}.>", cb=take)
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

    def _answer(self, peer: "_Peer", call: PlaneCall, answer: Answer) -> None:
        if len(self._tasks) >= MAX_ASKED:
            peer.send(_ANSWER + _dump(PlaneAnswer(id=call.id, code="pbx-busy")))
        else:
            self._tasks.start(_respond(peer, call, answer))

    def _peer(self, replica_id: str) -> "_Peer":
        peer = self._peers.get(replica_id)
        if peer is None:
            if len(self._peers) >= MAX_PEERS:  # replicas come and go; the oldest went long ago
                self._peers.pop(next(iter(self._peers))).close()

            def post(number: int, data: bytes) -> None:
                subject = f"{self._to}.{replica_id}.{self.replica_id}"
                reply = f"{self._to}.{self.replica_id}.{replica_id}.{number}"
                self._tasks.start(self._send(subject, data, reply))

            peer = self._peers[replica_id] = _Peer(replica_id, post)
        return peer

    def _say(self) -> None:
        topics, self._unsaid = self._unsaid, []
        if not self._client.is_connected:
            return  # whoever was not told looks when the plane is back (`missed`)
        for start in range(0, len(topics), MAX_TOPICS):
            news = PlaneNews(origin=self.replica_id, topics=topics[start : start + MAX_TOPICS])
            self._tasks.start(self._send(self._news, _dump(news)))

    async def _send(self, subject: str, data: bytes, reply: str = "") -> None:
        with suppress(NatsError, OSError):
            await self._client.publish(subject, data, reply)


class _Peer:
    """Another replica, as this one talks to it."""

    def __init__(self, replica_id: str, post: Callable[[int, bytes], None]) -> None:
        self._replica_id = replica_id
        self._post = post
        self._waiting: dict[int, asyncio.Future[PlaneAnswer]] = {}
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
        """The replica has gone: the calls of this message reached nobody, what earlier ones did is unknown."""
        unheard = set(self._messages.get(number, ()))
        for call_id, waiting in self._waiting.items():
            if not waiting.done() and call_id not in self._unsent:
                gone = NobodyThereError(self._replica_id) if call_id in unheard else TimeoutError()
                waiting.set_exception(gone)

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


async def _respond(peer: _Peer, call: PlaneCall, answer: Answer) -> None:
    try:
        answered = await answer(call)
    except Exception:
        logger.exception("a call of another replica failed")
        answered = PlaneAnswer(id=call.id, code="internal-error")
    peer.send(_ANSWER + _dump(answered))


def _give_up(waiting: asyncio.Future[PlaneAnswer]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())


def _dump(model: PlaneAnswer | PlaneNews) -> bytes:
    return model.model_dump_json(by_alias=True).encode()


def open_plane(url: str | None) -> Plane:
    return NoPlane() if url is None else NatsPlane(url)
