"""Live updates: passes notifications of the bus to the open tabs that they concern (docs/architecture.md).

A notification about a person wakes that person's streams, which read for themselves. A notification about a PBX
goes to its feed, which reads once for all of its streams.
"""

import asyncio
import logging
import random
import time
from collections.abc import Iterable
from typing import Final

from core.background import Background
from core.hub.bus import Bus
from core.phone.telephone import Telephone
from core.signin.signin import SignIn, UserState
from core.store.database import STORAGE_ERRORS
from tab.feeds import WAKE_BATCH, Feed, Reader
from tab.phone_news import PhoneNews
from tab.streams import Due, Stream, Streams

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS: Final = 15.0
"""Proxies close a stream that is silent for 30 to 60 seconds."""
SEND_SECONDS: Final = 10.0
"""Time-out for sending one event. A tab that does not read it is gone or asleep, and reconnects."""
SEEN_SECONDS: Final = 300.0
BEHIND_SECONDS: Final = 10.0
"""Minimum time between two complete states for a page of the previous version, which reloads everything when
something at its PBX changes."""
CHECK_SECONDS: Final = 1.0
RESEND_PER_SECOND: Final = 200
"""Rate at which states are sent again after an interruption of the backplane; a read takes a few milliseconds."""
READ_AT_ONCE: Final = 16
"""States that may be read for open tabs at the same time. The limit leaves capacity for requests when a thousand
tabs need one."""
SEEN_AT_ONCE: Final = 50


class LiveUpdates:
    """The open streams of this process, and what keeps them up to date."""

    def __init__(self, bus: Bus, sign_in: SignIn, reader: Reader, telephone: Telephone) -> None:
        self.streams = Streams()
        self.reading = asyncio.Semaphore(READ_AT_ONCE)
        self._sign_in = sign_in
        self._reader = reader
        self._feeds: dict[str, Feed] = {}
        self._tasks = Background()
        self._phones = PhoneNews(self.streams, telephone, self._tasks)
        self._to_resend: dict[Stream, None] = {}
        self._is_catching_up = False
        self._is_stopping = False
        self.unwatched_changes = 0
        """Number of notifications about PBXs without a feed. If it changes while a state is read, that state may be
        outdated."""
        bus.listen("user", self._on_person)
        bus.listen("audio", self._on_devices)
        bus.listen("phone", self._on_phone)
        bus.listen("offers", self._on_offers)
        bus.listen("seats", self._on_seats)
        bus.listen("holders", self._on_holders)
        bus.listen("connection", self._on_connection)
        bus.listen("claims", self._on_claims)
        bus.listen("pbx", self._on_pbx)
        bus.on_missed(self._on_missed)

    async def run(self) -> None:
        """Check all streams periodically until cancelled, so that no stream needs its own timer or task."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            seen: set[str] = set()
            now, clock = asyncio.get_running_loop().time(), time.time()
            for number, stream in enumerate(self.streams, 1):
                self._check(stream, now, clock)
                if stream.session_id is not None and now - stream.seen_at >= SEEN_SECONDS:
                    stream.seen_at = now
                    seen.add(stream.session_id)
                if number % WAKE_BATCH == 0:
                    await asyncio.sleep(0)
            if seen:
                self._tasks.start(self._record_activity(seen))

    def close(self) -> None:
        """End all streams because the service stops; their tabs reconnect."""
        self._is_stopping = True
        for stream in self.streams:
            stream.wake(Due.END)
        self._feeds.clear()
        self._tasks.cancel()

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping

    def apply_state(self, stream: Stream, state: UserState, unwatched_changes: int) -> None:
        """Record the state that is being sent to the stream, and give the stream what its user may see from now on.
        `unwatched_changes` is the count before the state was read.
        """
        session, place = state.session, state.place
        stream.session_id = session.id if session is not None else None
        stream.is_administrator = session is not None and session.may_administer
        stream.place = place if session is None else None
        pbx_id = session.pbx_id if session is not None else place.pbx_id if place is not None else None
        if pbx_id != stream.pbx_id:
            self.leave(stream)
            stream.pbx_id = pbx_id
        stream.is_suspended = False
        if stream.is_phone_behind and state.connection is not None and state.connection.pbx.has_telephone:
            stream.is_phone_behind = False
            self._phones.changed(stream.user.key)
        if pbx_id is None:
            return
        feed = self._feeds.get(pbx_id)
        if feed is None:
            feed = self._feeds[pbx_id] = Feed(pbx_id, self._reader, self._tasks)
            if unwatched_changes == self.unwatched_changes:
                feed.initialise(state)
        feed.join(stream)
        feed.reconcile(stream, state)
        if stream.is_behind and stream.takes_changes:
            stream.is_behind = False
            if stream.is_administrator:
                feed.holders_changed()
                stream.wake(Due.CLAIMS)

    def leave(self, stream: Stream) -> None:
        self._to_resend.pop(stream, None)
        if stream.pbx_id is None:
            return
        feed = self._feeds.get(stream.pbx_id)
        if feed is not None:
            feed.leave(stream)
            if not feed:
                del self._feeds[stream.pbx_id]
        stream.pbx_id = None

    def encode_pbx_events(self, stream: Stream, due: Due) -> bytes:
        """Return the due events about the stream's PBX, encoded."""
        feed = self._feeds.get(stream.pbx_id) if stream.pbx_id is not None else None
        return feed.encode_due(due, stream) if feed is not None and not stream.is_suspended else b""

    def _on_person(self, rest: str) -> None:
        for stream in self._streams_of(rest):
            stream.suspend(Due.OWN)

    def _on_devices(self, rest: str) -> None:
        for stream in self._streams_of(rest):
            stream.wake(Due.AUDIO)

    def _on_phone(self, rest: str) -> None:
        tenant_id, _, object_id = rest.partition(":")
        self._phones.changed((tenant_id, object_id))

    def _streams_of(self, rest: str) -> Iterable[Stream]:
        tenant_id, _, object_id = rest.partition(":")
        return self.streams.get_of((tenant_id, object_id))

    def _on_offers(self, tenant_id: str) -> None:
        self._resend_states(stream for stream in self.streams if stream.user.tenant_id == tenant_id)

    def _feed(self, pbx_id: str) -> Feed | None:
        feed = self._feeds.get(pbx_id)
        if feed is None:
            self.unwatched_changes += 1
        return feed

    def _on_seats(self, pbx_id: str) -> None:
        if feed := self._feed(pbx_id):
            feed.seats_changed()

    def _on_holders(self, pbx_id: str) -> None:
        if feed := self._feed(pbx_id):
            feed.holders_changed()

    def _on_connection(self, pbx_id: str) -> None:
        if feed := self._feed(pbx_id):
            feed.connection_changed()

    def _on_claims(self, pbx_id: str) -> None:
        if feed := self._feed(pbx_id):
            self._tasks.start(feed.claims_changed())

    def _on_pbx(self, pbx_id: str) -> None:
        """Handle a notification of a replica of the previous version, which has one topic for everything at a
        PBX.
        """
        self._on_connection(pbx_id)
        self._on_seats(pbx_id)
        self._on_holders(pbx_id)

    def _on_missed(self) -> None:
        """Handle lost notifications: all feeds read now, a few at a time; then each stream is sent its state."""
        for feed in self._feeds.values():
            feed.connection_changed()
            feed.seats_changed()
            feed.holders_changed()
        self._resend_states(self.streams)

    def _resend_states(self, streams: Iterable[Stream]) -> None:
        found = [stream for stream in streams if stream not in self._to_resend]
        random.shuffle(found)
        self._to_resend.update(dict.fromkeys(found))
        if not self._is_catching_up and self._to_resend:
            self._is_catching_up = True
            self._tasks.start(self._catch_up())

    async def _catch_up(self) -> None:
        try:
            while self._to_resend:
                stream = next(iter(self._to_resend))
                del self._to_resend[stream]
                stream.suspend(Due.OWN | Due.MISSED)
                await asyncio.sleep(1 / RESEND_PER_SECOND)
        finally:
            self._is_catching_up = False

    def _check(self, stream: Stream, now: float, clock: float) -> None:
        if stream.sending_since is not None:
            if now - stream.sending_since >= SEND_SECONDS:
                stream.cut()
        elif clock >= stream.expires_at:
            stream.wake(Due.END)
        elif stream.is_behind and now - stream.sent_at >= BEHIND_SECONDS:
            stream.is_behind = False
            stream.wake(Due.OWN)
        elif now - stream.sent_at >= KEEP_ALIVE_SECONDS:
            stream.wake(Due.KEEP_ALIVE)

    async def _record_activity(self, session_ids: Iterable[str]) -> None:
        """Record sessions with an open tab as active, so that they are not released as idle."""
        waiting = list(session_ids)
        try:
            while waiting:
                now, waiting = waiting[:SEEN_AT_ONCE], waiting[SEEN_AT_ONCE:]
                await self._sign_in.touch_sessions(now)
        except STORAGE_ERRORS:
            logger.warning("not noted as seen", exc_info=True)
