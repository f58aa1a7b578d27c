"""The plane connects replicas: NATS, or nothing when there is only one process (docs/scale.md).

NATS only carries messages; the database has the truth. A receiver of a message reads the database itself.
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
"""Interval of pings to the NATS server. If two are unanswered, the client connects to another server."""
ANSWER_GRACE: Final = 1.0
"""How long to wait beyond a call's deadline. A living replica reports a time-out of its link within that time."""
LEAVE_SECONDS: Final = 2.0
"""How long a stopping replica goes on answering calls that have arrived. Its links are closed by then."""
MAX_CALLS_IN_PROGRESS: Final = 2048
"""How many calls of other replicas are answered here at the same time. Further calls are refused immediately."""
MAX_MESSAGE_BYTES: Final = 512 * 1024
"""Half of the default limit of NATS. One line is shorter than a frame of a link (256 KiB)."""
MAX_MESSAGES: Final = 1000
"""For how many of the last messages to a replica their calls are remembered."""
MAX_PEERS: Final = 100
"""How many other replicas are remembered."""
NOBODY_LISTENS: Final = "503"
"""The status with which NATS answers a message without a receiver."""
_CALL: Final = b"c"
_ANSWER: Final = b"a"

OnTopics = Callable[[Sequence[str]], None]
OnMissed = Callable[[], None]


class NobodyThereError(Exception):
    """No replica with that id listens. The call was not delivered."""


class PlaneDownError(Exception):
    """The plane cannot be used at the moment. The call was not sent."""


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """A call of this replica for a link of another one; sent as `wire.plane.PlaneCall`. `deadline` is in seconds."""

    pbx_id: str
    epoch: int
    method: str
    params: WireModel
    deadline: float

    def line(self, call_id: int) -> bytes:
        """Return the line of a message for this call."""
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
    """The answer to a call of another replica; sent as `wire.plane.PlaneAnswer`.

    It is not validated here: the connector's frame was checked when it arrived, and the calling replica validates the
    result.
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
    """Carries calls and topics between replicas."""

    replica_id: str
    """Identifies this process; new at each start."""

    @property
    def is_alone(self) -> bool:
        """Whether there is only one process, by the settings."""

    @property
    def is_up(self) -> bool: ...

    def start(self, answer: Answer, on_topics: OnTopics, on_missed: OnMissed) -> None:
        """Connect in the background.

        `answer` is called with calls of other replicas, `on_topics` with their topics, and `on_missed` after an
        interruption, in which topics may have been lost.
        """

    async def call(self, replica_id: str, question: OutgoingCall) -> PlaneAnswer:
        """Send a call to another replica and return its answer.

        Raises NobodyThereError, PlaneDownError, or TimeoutError when the outcome is unknown.
        """

    def publish(self, topics: Sequence[str]) -> None: ...

    async def close(self) -> None: ...


class NoPlane:
    """The plane of a single process: there is nobody to call."""

    is_alone = True
    is_up = True

    def __init__(self) -> None:
        self.replica_id = new_id()

    def start(self, answer: Answer, on_topics: OnTopics, on_missed: OnMissed) -> None:
        """Do nothing: there are no other replicas."""

    async def call(self, replica_id: str, question: OutgoingCall) -> PlaneAnswer:
        del question
        raise NobodyThereError(replica_id)

    def publish(self, topics: Sequence[str]) -> None:
        """Do nothing: there are no other replicas."""

    async def close(self) -> None:
        """Do nothing: there is no connection."""


class _Client(Client):
    """A NATS client that insists on TLS for a `tls://` address.

    nats-py encrypts only if the server asks for it, whatever the address says. A man in the middle could get the
    login in clear text.
    """

    def _connect_command(self) -> bytes:
        server = self._current_server
        if server is not None and server.uri.scheme == "tls" and not self._server_info.get("tls_required"):
            raise NatsError("NATS_URL says tls://, but the server offers no TLS")
        command: bytes = super()._connect_command()
        return command


class NatsPlane:
    """The plane over NATS. `url` may name several servers, separated by commas, and contain user and password.

    A message goes to the subject `SUBJECT.to.RECEIVER.SENDER`. On its reply subject,
    `SUBJECT.to.SENDER.RECEIVER.NUMBER`, NATS reports that nobody listens.
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
        self._answering: set[asyncio.Task[None]] = set()
        """Tasks that answer calls of other replicas; none of them raises."""
        self._unsent_topics: list[str] = []
        """Topics of this turn of the event loop; they are sent as one message."""

    @property
    def is_up(self) -> bool:
        return self._client.is_connected

    def start(self, answer: Answer, on_topics: OnTopics, on_missed: OnMissed) -> None:
        self._connecting = asyncio.create_task(self._connect(answer, on_topics, on_missed))

    def call(self, replica_id: str, question: OutgoingCall) -> Coroutine[Any, Any, PlaneAnswer]:
        if not self._client.is_connected:  # the client would buffer it and send it after its deadline
            raise PlaneDownError
        return self._peer(replica_id).call(question)

    def publish(self, topics: Sequence[str]) -> None:
        if not self._unsent_topics:
            asyncio.get_running_loop().call_soon(self._publish_unsent)
        self._unsent_topics.extend(topics)

    async def close(self) -> None:
        if self._connecting is not None:
            await cancel_and_wait(self._connecting)
        await self._leave()
        for peer in self._peers.values():
            peer.close()
        self._tasks.cancel()
        for task in self._answering:
            task.cancel()
        client = self._client
        # A client that has not begun to connect, or has given up, raises an AssertionError when it is closed.
        if client.is_connected or client.is_connecting or client.is_reconnecting:
            with suppress(NatsError, OSError, TimeoutError):
                await self._client.close()

    async def _leave(self) -> None:
        """Unsubscribe, so that NATS reports that nobody listens here, and answer the calls that have arrived."""
        if self._calls is None or not self._client.is_connected:
            return
        with suppress(NatsError, OSError, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._calls.drain()  # type: ignore[no-untyped-call]
                while self._answering:
                    await asyncio.wait(self._answering)
                await asyncio.sleep(0)  # let the answers of this turn of the event loop be sent
                await self._tasks.finish()
                await self._client.flush()

    async def _connect(self, answer: Answer, on_topics: OnTopics, on_missed: OnMissed) -> None:
        async def on_fault(fault: Exception) -> None:
            logger.warning("NATS: %s", str(fault)[:300] or type(fault).__name__)

        async def on_disconnected() -> None:
            logger.warning("the backplane is disconnected; updates resume when it is back")

        async def on_reconnected() -> None:
            logger.info("the backplane is connected again")
            on_missed()

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
                logger.warning("topics of another replica cannot be read")
                return
            if news.origin != self.replica_id:
                on_topics(news.topics)

        while True:
            try:
                await self._client.connect(
                    self._servers,
                    name=f"pbx-teams {self.replica_id}",
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT_SECONDS,
                    ping_interval=PING_SECONDS,
                    max_outstanding_pings=2,
                    pending_size=0,  # do not buffer what cannot be sent now
                    error_cb=on_fault,
                    disconnected_cb=on_disconnected,
                    reconnected_cb=on_reconnected,
                )
                break
            except (NatsError, OSError, TimeoutError) as fault:
                logger.warning("NATS cannot be reached; retrying", extra={"reason": str(fault)[:300]})
                await asyncio.sleep(RECONNECT_SECONDS)
        self._calls = await self._client.subscribe(f"{self._to}.{self.replica_id}.>", cb=take)
        await self._client.subscribe(self._news, cb=take_news)
        await self._client.flush()
        logger.info("the backplane is connected")
        on_missed()

    def _take(self, replica_id: str, data: bytes, answer: Answer) -> None:
        peer = self._peer(replica_id)
        for line in data.split(b"\n"):
            try:
                if line.startswith(_CALL):
                    self._answer(peer, PlaneCall.model_validate_json(line[1:]), answer)
                else:
                    peer.answered(PlaneAnswer.model_validate_json(line[1:]))
            except ValidationError:  # from another version of the service; its caller gets "outcome unknown"
                logger.warning("a message of another replica cannot be read", extra={"replica": replica_id})

    def _answer(self, peer: "ReplicaPeer", call: PlaneCall, answer: Answer) -> None:
        if len(self._answering) >= MAX_CALLS_IN_PROGRESS:
            peer.send(Reply(code=Code.PBX_BUSY).line(call.id))
            return
        task = asyncio.create_task(_respond(peer, call, answer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def _peer(self, replica_id: str) -> "ReplicaPeer":
        peer = self._peers.get(replica_id)
        if peer is None:
            if len(self._peers) >= MAX_PEERS:  # replicas come and go; the oldest one left long ago
                self._peers.pop(next(iter(self._peers))).close()

            def post(number: int, data: bytes) -> None:
                subject = f"{self._to}.{replica_id}.{self.replica_id}"
                reply = f"{self._to}.{self.replica_id}.{replica_id}.{number}"
                self._tasks.start(self._send(subject, data, reply))

            peer = self._peers[replica_id] = ReplicaPeer(replica_id, post)
        return peer

    def _publish_unsent(self) -> None:
        topics, self._unsent_topics = self._unsent_topics, []
        if not self._client.is_connected:
            return  # the other replicas read the database when the plane is back (`on_missed`)
        for start in range(0, len(topics), MAX_TOPICS):
            news = TopicsChanged(origin=self.replica_id, topics=topics[start : start + MAX_TOPICS])
            self._tasks.start(self._send(self._news, news.model_dump_json(by_alias=True).encode()))

    async def _send(self, subject: str, data: bytes, reply: str = "") -> None:
        with suppress(NatsError, OSError):
            await self._client.publish(subject, data, reply)


class ReplicaPeer:
    """Sends calls and answers to one other replica, several in one message."""

    def __init__(self, replica_id: str, post: Callable[[int, bytes], None]) -> None:
        self._replica_id = replica_id
        self._post = post
        self._waiting: dict[int, asyncio.Future[PlaneAnswer]] = {}
        self._doubtful: set[int] = set()
        """Ids of calls that are given up soon, because nobody listens any more."""
        self._last_id = 0
        self._outbox: list[bytes] = []
        self._unsent: list[int] = []
        self._messages: OrderedDict[int, list[int]] = OrderedDict()
        """The call ids in each of the last messages. If NATS reports that nobody listens, these were not delivered."""
        self._last_message = 0

    async def call(self, question: OutgoingCall) -> PlaneAnswer:
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
        """Send a line, in one message with all others of this turn of the event loop."""
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append(line)

    def nobody_listens(self, number: int) -> None:
        """Fail the calls of a message that NATS could not deliver.

        Earlier calls are answered soon if the replica is shutting down properly. If it has died, their outcome is
        unknown: they time out after `LEAVE_SECONDS`.
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
