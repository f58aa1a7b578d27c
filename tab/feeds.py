"""Data that all open tabs of one PBX share: read once for all of them, and sent as the same bytes to each.

A feed exists as long as somebody watches its PBX. Notifications only mark what has to be read. Reads are
rate-limited, so a rush of sign-ins causes one read every few seconds instead of one for each sign-in.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from pydantic import BaseModel

from core.background import Background, Setbacks
from core.diagnosis.finding import Role
from core.language import Language
from core.licensing.audience import Audience, Key
from core.licensing.overview import Overview, Place
from core.signin.signin import Connection, SignIn, UserState
from core.store.database import STORAGE_ERRORS
from tab import present
from tab.streams import Due, Stream
from wire.tab_events import HoldersChange, SeatsChange

logger = logging.getLogger(__name__)

SEATS_SECONDS: Final = 2.0
"""Minimum time between two reads of the shared numbers."""
WAITING_LIST_SECONDS: Final = 0.5
"""Minimum time between two reads of a waiting list. A user who is offered a seat has five minutes to take it."""
CONNECTION_SECONDS: Final = 0.2
"""Minimum time between two reads of a connection. The reports of connectors are already rate-limited
(`core.hub.hub.CHANGES`)."""
WAKE_BATCH: Final = 100
"""Streams to wake before the event loop runs other tasks, so that an affected user does not wait for thousands of
others."""
READ_AT_ONCE: Final = 4
"""Feeds that may read at the same time: after an interruption every feed of the replica has to."""


def event(name: str, content: BaseModel | None = None) -> bytes:
    """Encode one server-sent event; without content its data is `{}`."""
    data = content.model_dump_json(by_alias=True) if content is not None else "{}"
    return f"event: {name}\ndata: {data}\n\n".encode()


class RateLimitedTask:
    """Work that runs as soon as it is requested, but at most once per interval.

    Storage errors are retried.
    """

    def __init__(self, work: Callable[[], Awaitable[None]], seconds: float, tasks: Background) -> None:
        self._work = work
        self._seconds = seconds
        self._tasks = tasks
        self._is_requested = False
        self._is_running = False

    def request(self) -> None:
        """Request a run. Requests that arrive during a run cause one more run after the interval."""
        self._is_requested = True
        if not self._is_running:
            self._is_running = True
            self._tasks.start(self._run())

    def stop(self) -> None:
        """Drop a pending request. A run in progress is completed."""
        self._is_requested = False

    async def _run(self) -> None:
        setbacks = Setbacks(first_pause=self._seconds)
        try:
            while self._is_requested:
                self._is_requested = False
                pause = self._seconds
                try:
                    await self._work()
                except STORAGE_ERRORS as fault:
                    pause = setbacks.record_failure(
                        "feed", fault, "what open tabs show was not read; tried again"
                    )
                    self._is_requested = True
                await asyncio.sleep(pause)
        finally:
            self._is_running = False


class Reader:
    """The sources that feeds read from, with a limit on simultaneous reads."""

    def __init__(self, sign_in: SignIn, overview: Overview, audience: Audience) -> None:
        self.sign_in = sign_in
        self.overview = overview
        self.audience = audience
        self.turn = asyncio.Semaphore(READ_AT_ONCE)


class Feed:
    """The shared data of one PBX, and the streams that watch it."""

    def __init__(self, pbx_id: str, reader: Reader, tasks: Background) -> None:
        self._pbx_id = pbx_id
        self._reader = reader
        self._members: dict[Stream, None] = {}
        self._seats: SeatsChange | None = None
        self._seats_bytes = b""
        self._connection: Connection | None = None
        self._connection_bytes: dict[tuple[Language, Role], bytes] = {}
        self._holders_bytes = b""
        self._holders_requested = False
        self._check_seats: set[Stream] = set()
        self._check_connection: set[Stream] = set()
        """Streams whose own state differs from the feed: they are sent the result of the next read even if it has
        not changed."""
        self._read_numbers = RateLimitedTask(self._load_numbers, SEATS_SECONDS, tasks)
        self._read_connection = RateLimitedTask(self._load_connection, CONNECTION_SECONDS, tasks)
        self._read_waiting_list = RateLimitedTask(self._load_waiting_list, WAITING_LIST_SECONDS, tasks)

    def __len__(self) -> int:
        return len(self._members)

    def join(self, stream: Stream) -> None:
        self._members[stream] = None

    def leave(self, stream: Stream) -> None:
        self._members.pop(stream, None)
        self._check_seats.discard(stream)
        self._check_connection.discard(stream)
        if not self._members:
            for paced in (self._read_numbers, self._read_connection, self._read_waiting_list):
                paced.stop()

    def initialise(self, state: UserState) -> None:
        """Initialise a new feed with the state that was sent to its first stream. Only valid if no notification
        arrived since the state was read.
        """
        if state.session is not None and state.connection is not None:
            self._seats = _seats_of(state)
            self._seats_bytes = event("seats", self._seats)
            self._connection = state.connection

    def reconcile(self, stream: Stream, state: UserState) -> None:
        """Compare the feed with `state`, the last state that was sent to the stream. If they differ, one of the two
        is older: the feed reads again and sends the stream the result.
        """
        if state.session is None:
            if stream.place is not None:
                self._read_waiting_list.request()
            return
        if _seats_of(state) != self._seats:
            self._check_seats.add(stream)
            self._read_numbers.request()
        if self._connection_for(stream) != _encode_connection(state, stream):
            self._check_connection.add(stream)
            self._read_connection.request()

    def seats_changed(self) -> None:
        self._read_numbers.request()
        if any(stream.place is not None for stream in self._members):
            self._read_waiting_list.request()

    def holders_changed(self) -> None:
        if any(stream.is_administrator for stream in self._members):
            self._holders_requested = True
            self._read_numbers.request()

    def connection_changed(self) -> None:
        self._read_connection.request()

    async def claims_changed(self) -> None:
        await _wake(self._administrators(), Due.CLAIMS)

    def encode_due(self, due: Due, stream: Stream) -> bytes:
        """Return the due events of this PBX for a stream, in their fixed order."""
        found = b""
        if Due.CONNECTION in due:
            found += self._connection_for(stream)
        if Due.SEATS in due:
            found += self._seats_bytes
        if Due.HOLDERS in due and stream.is_administrator:
            found += self._holders_bytes
        if Due.CLAIMS in due and stream.is_administrator:
            found += event("claims")
        if Due.WAITING in due and stream.place is not None:
            found += event("waiting", present.waiting_place(stream.place))
        return found

    def _connection_for(self, stream: Stream) -> bytes:
        if self._connection is None:
            return b""
        whose = (stream.language, stream.role)
        encoded = self._connection_bytes.get(whose)
        if encoded is None:
            encoded = self._connection_bytes[whose] = _connection_event(self._connection, *whose)
        return encoded

    async def _load_numbers(self) -> None:
        with_holders, self._holders_requested = self._holders_requested, False
        administrators: frozenset[Key] = frozenset()
        async with self._reader.turn:
            checking, self._check_seats = self._check_seats, set()
            try:
                pools = await self._reader.overview.pools(self._pbx_id)
                if with_holders:
                    # Read the permission together with the data, so that a lost notification never shows anybody
                    # more than they may see.
                    administrators = await self._reader.audience.administrators(self._pbx_id)
                    waiting = await self._reader.overview.waiting_count(self._pbx_id)
                    change = HoldersChange(
                        pools=[present.pool_state(pool) for pool in pools], waiting=waiting
                    )
                    self._holders_bytes = event("holders", change)
            except BaseException:
                self._check_seats |= checking
                self._holders_requested |= with_holders
                raise
        seats = SeatsChange(
            seats_used=sum(pool.used for pool in pools), seats_total=sum(pool.seats for pool in pools)
        )
        if administrators:
            holders = [stream for stream in self._administrators() if stream.user.key in administrators]
            await _wake(holders, Due.HOLDERS)
        has_changed = seats != self._seats
        if has_changed:
            self._seats, self._seats_bytes = seats, event("seats", seats)
        await _wake(self._signed_in() if has_changed else checking, Due.SEATS)

    async def _load_connection(self) -> None:
        async with self._reader.turn:
            checking, self._check_connection = self._check_connection, set()
            try:
                connection = await self._reader.sign_in.connection(self._pbx_id)
            except LookupError:
                return  # the operator has removed the PBX; its users learn separately that their sessions have ended
            except BaseException:
                self._check_connection |= checking
                raise
        old, self._connection, self._connection_bytes = self._connection, connection, {}
        before = (
            {language: _connection_event(old, language, Role.USER) for language in Language} if old else {}
        )
        # Administrators see more of the connection than the text that everybody sees.
        affected = [
            stream
            for stream in self._signed_in()
            if stream.is_administrator
            or stream in checking
            or before.get(stream.language) != self._connection_for(stream)
        ]
        await _wake(affected, Due.CONNECTION)

    async def _load_waiting_list(self) -> None:
        async with self._reader.turn:
            line: Mapping[Key, Place] = await self._reader.audience.line(self._pbx_id)
        moved, gone = [], []
        for stream in self._members:
            if stream.place is None or stream.is_suspended:
                continue
            place = line.get(stream.user.key)
            if place is None:
                gone.append(stream)
            elif place != stream.place:
                stream.place = place
                moved.append(stream)
        for stream in gone:
            stream.suspend(Due.OWN)
        await _wake(moved, Due.WAITING)

    def _signed_in(self) -> list[Stream]:
        return [stream for stream in self._members if stream.session_id is not None]

    def _administrators(self) -> list[Stream]:
        return [stream for stream in self._members if stream.is_administrator]


def _seats_of(state: UserState) -> SeatsChange:
    return SeatsChange(seats_used=state.seats_used, seats_total=state.seats_total)


def _encode_connection(state: UserState, stream: Stream) -> bytes:
    if state.connection is None:
        return b""
    return _connection_event(state.connection, stream.language, stream.role)


def _connection_event(connection: Connection, language: Language, role: Role) -> bytes:
    return event("connection", present.connection_state(connection, language, role))


async def _wake(streams: Iterable[Stream], due: Due) -> None:
    for number, stream in enumerate(streams, 1):
        if stream.is_suspended or not stream.takes_changes:
            stream.is_behind = True
        else:
            stream.wake(due)
        if number % WAKE_BATCH == 0:
            await asyncio.sleep(0)
