"""Teams' call records as evidence, for people who opted in and in tenants whose administrator has consented."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from core.advisor.advisor import Advisor, AudioView
from core.audio.evidence import GOOD_FOR, DeviceUse, Source
from core.background import cancel_and_wait
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.identity.teams_user import TeamsUser
from core.store.audio import AudioStore, Person
from core.store.timestamps import now

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(minutes=15)
"""Shortest interval between two look-ups for one person. A record appears minutes after its call, and Graph throttles
frequent requests.
"""
MAX_REMEMBERED: Final = 10_000
"""Number of people whose last look-up is remembered."""


class RecordsNotAllowedError(Exception):
    """The tenant's administrator has not consented to `CallRecords.Read.All`."""


class RecordsUnavailableError(Exception):
    """Graph does not answer now, or asks to retry later."""


class CallRecordSource(Protocol):
    async def recent(self, tenant_id: str, object_id: str, since: datetime) -> Sequence[DeviceUse]:
        """Return the device uses in the person's latest calls since `since`.

        Raises `RecordsNotAllowedError` and `RecordsUnavailableError`.
        """


class CallRecords:
    """The opt-in and the look-ups. `source` is None if the operator has not switched call records on."""

    def __init__(self, source: CallRecordSource | None, store: AudioStore, advisor: Advisor) -> None:
        self._source = source
        self._store = store
        self._advisor = advisor
        self._looked: dict[Person, datetime] = {}
        self._looking: set[asyncio.Task[None]] = set()

    @property
    def offered(self) -> bool:
        return self._source is not None

    async def set_wanted(self, user: TeamsUser, *, wanted: bool) -> AudioView:
        """Opt in or out. Opting in looks the records up first, so that the person learns at once if that is impossible.

        Raises `RefusedError`.
        """
        await self._advisor.view(user)  # the person must be signed in
        if wanted and self._source is not None:
            try:
                await self._look(user.key)
            except RecordsNotAllowedError as fault:
                raise RefusedError(Finding(Code.CALL_RECORDS_NOT_ALLOWED)) from fault
            except RecordsUnavailableError as fault:
                raise RefusedError(Finding(Code.CALL_RECORDS_UNAVAILABLE)) from fault
        if not wanted:
            await self._store.report(person=user.key, source=Source.CALL_RECORDS, uses=[], at=now())
        await self._store.choose(user.key, records=wanted and self.offered)
        return await self._advisor.conclude_for(user.key)

    def look_if_due(self, person: Person, view: AudioView) -> None:
        """Look records up in the background if the last look-up is old enough. Results are pushed to the person's tabs."""
        at = now()
        if self._source is None or not view.stored.choices.records:
            return
        if at - self._looked.get(person, at - LOOK_EVERY) < LOOK_EVERY:
            return
        task = asyncio.create_task(self._look_quietly(person))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def close(self) -> None:
        await cancel_and_wait(*self._looking)

    async def _look_quietly(self, person: Person) -> None:
        try:
            await self._look(person)
        except (RecordsNotAllowedError, RecordsUnavailableError) as fault:
            logger.info("no call records", extra={"reason": type(fault).__name__})

    async def _look(self, person: Person) -> None:
        if self._source is None:
            return
        at = now()
        while len(self._looked) >= MAX_REMEMBERED:
            del self._looked[next(iter(self._looked))]
        self._looked[person] = at
        uses = await self._source.recent(*person, at - GOOD_FOR[Source.CALL_RECORDS])
        if uses:
            await self._advisor.store_call_records(person, uses)
