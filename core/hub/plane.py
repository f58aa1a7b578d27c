"""The plane between replicas: NATS, or nothing when there is one process (design, section 9).

NATS is the way, not the truth: whatever is said here, the receiver looks into the database for itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError, OutboundBufferLimitError

from core.store.moments import new_id
from wire.plane import PlaneAnswer, PlaneCall, PlaneNews

logger = logging.getLogger(__name__)

MAX_TOPICS: Final = 1000
RECONNECT_SECONDS: Final = 1
PING_SECONDS: Final = 5
"""A NATS server that does not answer two of these is left for another."""
ANSWER_GRACE: Final = 1.0
"""A replica answers "no answer in time" itself; past this it is gone."""
MAX_ASKED: Final = 2048
"""Calls of other replicas that are being answered here; more are refused at once."""

Answer = Callable[[PlaneCall], Awaitable[PlaneAnswer]]
Hear = Callable[[Sequence[str]], None]
Missed = Callable[[], None]


class NobodyThereError(Exception):
    """No replica of that name listens: the call was handed to nobody."""


class PlaneDownError(Exception):
    """The plane cannot be used at the moment: the call was handed to nobody."""


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

    async def call(self, replica_id: str, call: PlaneCall) -> PlaneAnswer:
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

    async def call(self, replica_id: str, call: PlaneCall) -> PlaneAnswer:
        del call
        raise NobodyThereError(replica_id)

    def publish(self, topics: Sequence[str]) -> None:
        """Nobody hears."""

    async def close(self) -> None:
        """Nothing is open."""


class NatsPlane:
    """`url` may name several servers, separated by commas, and carry user and password."""

    is_alone = False

    def __init__(self, url: str, subject: str = "pbx-teams") -> None:
        self.replica_id = new_id()
        self._servers = [server.strip() for server in url.split(",")]
        self._news = f"{subject}.news"
        self._calls = f"{subject}.calls"
        self._client = Client()
        self._connecting: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._unsaid: list[str] = []
        """Topics of this turn of the loop: they go out as one message."""

    @property
    def is_up(self) -> bool:
        return self._client.is_connected

    def start(self, answer: Answer, hear: Hear, missed: Missed) -> None:
        self._connecting = asyncio.create_task(self._connect(answer, hear, missed))

    async def call(self, replica_id: str, call: PlaneCall) -> PlaneAnswer:
        if not self._client.is_connected:  # the client would keep it and send it when its time is over
            raise PlaneDownError
        subject = f"{self._calls}.{replica_id}"
        try:
            message = await self._client.request(
                subject, call.model_dump_json(by_alias=True).encode(), timeout=call.deadline + ANSWER_GRACE
            )
        except NoRespondersError as nobody:
            raise NobodyThereError(replica_id) from nobody
        except OutboundBufferLimitError as down:
            raise PlaneDownError from down
        except NatsError as fault:  # its own timeout among them
            raise TimeoutError(str(fault)) from fault
        return PlaneAnswer.model_validate_json(message.data)

    def publish(self, topics: Sequence[str]) -> None:
        if not self._unsaid:
            asyncio.get_running_loop().call_soon(self._say)
        self._unsaid.extend(topics)

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            with suppress(asyncio.CancelledError):
                await self._connecting
        for task in self._answering:
            task.cancel()
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

        async def take_call(message: Msg) -> None:
            if len(self._answering) >= MAX_ASKED:
                await message.respond(_dump(PlaneAnswer(code="pbx-busy")))
                return
            task = asyncio.create_task(_respond(message, answer))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

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
        await self._client.subscribe(f"{self._calls}.{self.replica_id}", cb=take_call)
        await self._client.subscribe(self._news, cb=take_news)
        await self._client.flush()
        logger.info("the plane is up")
        missed()

    def _say(self) -> None:
        topics, self._unsaid = self._unsaid, []
        if not self._client.is_connected:
            return  # whoever was not told looks when the plane is back (`missed`)
        for start in range(0, len(topics), MAX_TOPICS):
            news = PlaneNews(origin=self.replica_id, topics=topics[start : start + MAX_TOPICS])
            task = asyncio.create_task(self._send(self._news, _dump(news)))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _send(self, subject: str, data: bytes) -> None:
        with suppress(NatsError, OSError):
            await self._client.publish(subject, data)


async def _respond(message: Msg, answer: Answer) -> None:
    try:
        answered = await answer(PlaneCall.model_validate_json(message.data))
    except Exception:
        logger.exception("a call of another replica failed")
        answered = PlaneAnswer(code="internal-error")
    with suppress(NatsError, OSError):
        await message.respond(_dump(answered))


def _dump(model: PlaneAnswer | PlaneNews) -> bytes:
    return model.model_dump_json(by_alias=True).encode()


def open_plane(url: str | None) -> Plane:
    return NoPlane() if url is None else NatsPlane(url)
