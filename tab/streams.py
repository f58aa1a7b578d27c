"""Open streams of live updates: what each has yet to send, and how many a user may have.

A stream keeps no queue. It has a set of flags for what is due, and the content is built at the moment of sending,
so it includes every change until then. A slow reader therefore takes no memory, and waking a stream costs the same
for any amount of changes.
"""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import IntFlag
from typing import Final

from core.diagnosis.finding import Role
from core.identity.teams_user import TeamsUser
from core.language import Language
from core.licensing.overview import Place

STREAMS_PER_PERSON: Final = 6
"""Enough for Teams on a desktop, a telephone and in a browser, with a second window of each."""

Key = tuple[str, str]
"""Identifies a Teams user: tenant id and object id."""


class Due(IntFlag):
    """What a stream has yet to send."""

    NOTHING = 0
    OWN = 1
    """The user's complete state, read again."""
    AUDIO = 2
    """The user's audio devices, read again."""
    SEATS = 4
    CONNECTION = 8
    HOLDERS = 16
    CLAIMS = 32
    WAITING = 64
    MISSED = 128
    """Events may have been lost: the page reloads what it shows."""
    KEEP_ALIVE = 256
    END = 512
    PHONE = 1024
    """The user's telephone, read once for all of their streams."""


OF_PBX: Final = Due.SEATS | Due.CONNECTION | Due.HOLDERS | Due.CLAIMS | Due.WAITING


class Stream:
    """The live updates of one open tab."""

    __slots__ = (
        "_waiter",
        "due",
        "expires_at",
        "is_administrator",
        "is_behind",
        "is_phone_behind",
        "is_replaced",
        "is_suspended",
        "language",
        "pbx_id",
        "phone",
        "place",
        "seen_at",
        "sending_since",
        "sent_at",
        "session_id",
        "takes_changes",
        "takes_phone",
        "transport",
        "user",
    )

    def __init__(
        self,
        user: TeamsUser,
        language: Language,
        expires_at: float,
        now: float,
        *,
        takes_changes: bool,
        takes_phone: bool = False,
    ) -> None:
        self.user = user
        self.language = language
        self.expires_at = expires_at
        """Expiry of the token, in seconds since the epoch."""
        self.takes_changes = takes_changes
        """False for a page of the previous version, which understands only complete states."""
        self.takes_phone = takes_phone
        """Whether the page shows the telephone. Older pages do not, and no line is read for them."""
        self.phone = b""
        """The encoded event to send while `Due.PHONE` is set."""
        self.is_phone_behind = takes_phone
        """Whether the stream still needs the telephone's state: it is new, or was suspended when the state
        changed."""
        self.session_id: str | None = None
        self.pbx_id: str | None = None
        """The PBX of the session, or of the waiting list that the user is on."""
        self.is_administrator = False
        self.place: Place | None = None
        """The position on the waiting list that was last sent to the tab."""
        self.is_suspended = True
        """Whether the user's rights have to be read again; nothing about a PBX is sent until then."""
        self.is_behind = False
        """Whether a change was not sent because the stream was suspended or belongs to a page of the previous
        version."""
        self.is_replaced = False
        self.due = Due.NOTHING
        self.sent_at = now
        self.seen_at = now
        self.sending_since: float | None = None
        self.transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def role(self) -> Role:
        """The role for which findings are explained."""
        return Role.ADMINISTRATOR if self.is_administrator else Role.USER

    def cut(self) -> None:
        """Abort the connection."""
        if self.transport is not None:
            self.transport.abort()

    def wake(self, due: Due) -> None:
        """Mark something as due, and resume the sender."""
        self.due |= due
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def suspend(self, due: Due) -> None:
        """Send nothing about a PBX until the user's rights, which may have changed, have been read again. Due
        events about it are dropped.
        """
        self.is_suspended = True
        if Due.PHONE in self.due:
            self.is_phone_behind, self.phone = True, b""
        self.due &= ~(OF_PBX | Due.PHONE)
        self.wake(due)

    def send_phone(self, text: bytes) -> None:
        """Send the current state of the telephone; while the stream is suspended or its user is signed out, only note that
        one is needed: the line may have been read before the session ended.
        """
        if self.is_suspended or self.session_id is None:
            self.is_phone_behind = True
        else:
            self.phone = text
            self.wake(Due.PHONE)

    async def take_due(self) -> Due:
        """Return and clear what is due; wait until something is."""
        if not self.due:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        due, self.due = self.due, Due.NOTHING
        return due


class Streams:
    """The open streams of this process, by user."""

    def __init__(self) -> None:
        self._of_person: dict[Key, list[Stream]] = {}

    def __iter__(self) -> Iterator[Stream]:
        """Iterate over the streams that were open when the iteration began."""
        return iter([stream for streams in self._of_person.values() for stream in streams])

    def get_of(self, person: Key) -> Collection[Stream]:
        return tuple(self._of_person.get(person, ()))

    @contextmanager
    def opened(self, stream: Stream) -> Iterator[None]:
        """Register a stream while the context lasts. Above the limit, the user's oldest stream is ended."""
        person = stream.user.key
        streams = self._of_person.setdefault(person, [])
        streams.append(stream)
        if len(streams) > STREAMS_PER_PERSON:
            oldest = streams.pop(0)
            oldest.is_replaced = True
            oldest.wake(Due.END)
        try:
            yield
        finally:
            if stream in streams:
                streams.remove(stream)
            if not streams and self._of_person.get(person) is streams:
                del self._of_person[person]
