"""Pushes changes of a user's telephone to their open tabs: each change is read once and sent to all of them."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from core.background import Background
from core.diagnosis.codes import Code
from core.diagnosis.finding import RefusedError
from core.phone.telephone import IS_OFF, Telephone
from core.store.database import STORAGE_ERRORS
from tab.feeds import event
from tab.streams import Due, Key, Stream, Streams
from wire.tab_phone import Phone

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.05
"""Minimum time between two reads of one line, because call states arrive in pairs."""
RETRY_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before a line is read again, when the connector was busy or its answer was lost."""
_TEMPORARY: Final = frozenset({Code.PBX_BUSY, Code.OUTCOME_UNKNOWN})
"""Refusals that say nothing about the line: the page keeps what it shows while the line is read again."""


class PhoneNews:
    """Reads lines in separate tasks, so that an unresponsive PBX does not delay other events of a stream."""

    def __init__(self, streams: Streams, telephone: Telephone, tasks: Background) -> None:
        self._streams = streams
        self._telephone = telephone
        self._tasks = tasks
        self._asked: dict[Key, bool] = {}
        """Users whose lines are being read; true if the line has changed again since the read started."""

    def changed(self, person: Key) -> None:
        """Read the person's line for their open tabs, if any of them shows the telephone."""
        if not self._watchers(person):
            return
        if person in self._asked:
            self._asked[person] = True
            return
        self._asked[person] = False
        self._tasks.start(self._read(person))

    def _watchers(self, person: Key) -> Sequence[Stream]:
        return [stream for stream in self._streams.get_of(person) if stream.takes_phone]

    async def _read(self, person: Key) -> None:
        try:
            pauses = iter(RETRY_SECONDS)
            while watchers := self._watchers(person):
                self._asked[person] = False
                try:
                    phone = Phone(is_on=True, line=await self._telephone.line(watchers[0].user))
                except RefusedError as refused:
                    code = refused.finding.code
                    pause = next(pauses, None) if code in _TEMPORARY else None
                    if pause is not None:
                        await asyncio.sleep(pause)
                        continue
                    phone = Phone(is_on=code not in IS_OFF)
                text = event("phone", phone)
                for stream in self._watchers(person):
                    stream.send_phone(text)
                await asyncio.sleep(PAUSE_SECONDS)
                if not self._asked[person]:
                    break
        except STORAGE_ERRORS:
            logger.warning("a telephone was not read for its open tabs", exc_info=True)
            for stream in self._watchers(person):
                stream.wake(Due.MISSED)
        finally:
            del self._asked[person]
