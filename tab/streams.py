"""Open streams of live updates: what each has yet to be sent, and how many a person may have.

A stream keeps no queue. What is to be sent is a set of flags, and the content is made when it is sent: whatever changes
meanwhile is in it. So a slow reader takes no memory, and waking a stream costs the same whatever there is to tell.
"""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import IntFlag
from typing import Final

from core.identity.teams_user import TeamsUser
from core.language import Language
from core.licensing.overview import Place

STREAMS_PER_PERSON: Final = 6
"""Teams on a desktop, a telephone and in a browser, with a second window of each."""

Key = tuple[str, str]
"""Of a Teams user: tenant id and object id."""


class Due(IntFlag):
    """What a stream has yet to send."""

    NOTHING = 0
    OWN = 1
    """The person's whole state, read again."""
    AUDIO = 2
    """The person's devices, read again."""
    SEATS = 4
    CONNECTION = 8
    HOLDERS = 16
    CLAIMS = 32
    WAITING = 64
    MISSED = 128
    """News may have been lost: the page looks at what it shows."""
    KEEP_ALIVE = 256
    END = 512
    PHONE = 1024
    """The person's telephone, as it was read for all of their streams."""


OF_PBX: Final = Due.SEATS | Due.CONNECTION | Due.HOLDERS | Due.CLAIMS | Due.WAITING


class Stream:
    """One open tab."""

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
        """Of the token, in seconds since the epoch."""
        self.takes_changes = takes_changes
        """False: a page of the version before, which understands nothing but whole states."""
        self.takes_phone = takes_phone
        """The page shows the telephone. One of a version before does not know it, and nothing is asked for it."""
        self.phone = b""
        """The event that is due, while `Due.PHONE` is."""
        self.is_phone_behind = takes_phone
        """It has yet to be told of the telephone: it is new, or was suspended when something changed there."""
        self.session_id: str | None = None
        self.pbx_id: str | None = None
        """Of the session, or of the waiting list that the person is on."""
        self.is_administrator = False
        self.place: Place | None = None
        """On the waiting list, as the tab was told last."""
        self.is_suspended = True
        """What the person may see is not known at this moment: nothing of a PBX is sent."""
        self.is_behind = False
        """There was a change that it has yet to be told of: it was suspended, or is a page of the version before."""
        self.is_replaced = False
        self.due = Due.NOTHING
        self.sent_at = now
        self.seen_at = now
        self.sending_since: float | None = None
        self.transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None

    def cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def wake(self, due: Due) -> None:
        self.due |= due
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def suspend(self, due: Due) -> None:
        """The person's rights may have changed: what is due of a PBX is forgotten, and nothing more is until it is known
        again.
        """
        self.is_suspended = True
        if Due.PHONE in self.due:
            self.is_phone_behind, self.phone = True, b""
        self.due &= ~(OF_PBX | Due.PHONE)
        self.wake(due)

    def tell_phone(self, text: bytes) -> None:
        """The telephone as it is now; not while it is unknown whether the person may still see it."""
        if self.is_suspended:
            self.is_phone_behind = True
        else:
            self.phone = text
            self.wake(Due.PHONE)

    async def taken(self) -> Due:
        """What is due; waits until something is."""
        if not self.due:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        due, self.due = self.due, Due.NOTHING
        return due


class Streams:
    """Those of this process."""

    def __init__(self) -> None:
        self._of_person: dict[Key, list[Stream]] = {}

    def __iter__(self) -> Iterator[Stream]:
        """All that were open when the iteration began."""
        return iter([stream for streams in self._of_person.values() for stream in streams])

    def of(self, person: Key) -> Collection[Stream]:
        return tuple(self._of_person.get(person, ()))

    @contextmanager
    def opened(self, stream: Stream) -> Iterator[None]:
        """Past the limit, this one takes the place of the person's oldest."""
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
