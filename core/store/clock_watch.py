"""Watch the wall clock for everything that deletes or ends something by it, and store the last trusted moment."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import func, select, text

from core.store import tables
from core.store.clock import (
    CONFIRM_SECONDS,
    DATABASE_SECONDS,
    ClockDoubt,
    ClockReading,
    ClockState,
    advance,
    start_state,
)
from core.store.database import Database, PostgresAddress, upsert
from core.store.timestamps import from_ms, to_ms

logger = logging.getLogger(__name__)

READ_SECONDS: Final = 1.0
"""How often the clocks are read."""
SLOW_SECONDS: Final = 30.0
"""If the database takes longer to report its time, the answer is too inaccurate to compare."""
_ONLY: Final = 1
"""The id of the only row."""


class ClockWatch:
    """Judges the wall clock. It is not trusted before the first `prove`. `wall` and `steady` return seconds."""

    def __init__(
        self,
        database: Database,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        confirm_seconds: float = CONFIRM_SECONDS,
    ) -> None:
        self._database = database
        self._wall = wall
        self._steady = steady
        self._confirm_seconds = confirm_seconds
        self._state: ClockState | None = None
        self._is_unlike_database = False
        self._reported_doubt: ClockDoubt | None = ClockDoubt.UNKNOWN

    @property
    def doubt(self) -> ClockDoubt | None:
        """Why the clock is not trusted at this moment; None when it is trusted."""
        self._look()
        return self._reported_doubt

    def trusted_now(self) -> datetime | None:
        """Return the time for actions that delete or end something; None while nothing may be deleted or ended."""
        look = self._look()
        return datetime.fromtimestamp(look.wall, UTC) if self._reported_doubt is None else None

    async def run(self) -> None:
        """Read the clocks regularly until cancelled, so that a jump is noticed even if nobody asks for the time."""
        while True:
            self._look()
            await asyncio.sleep(READ_SECONDS)

    async def prove(self) -> None:
        """Store the trusted time and compare it with the database's clock. Raises an error when it cannot be stored."""
        if self._state is None:
            newest = await self._newest()
            self._state = start_state(self._read(), newest.timestamp() if newest is not None else None)
        at = self.trusted_now()
        async with self._database.writing() as connection:
            if isinstance(self._database.address, PostgresAddress):
                before = self._read()
                database_time = (
                    await connection.execute(text("SELECT extract(epoch FROM clock_timestamp())"))
                ).scalar_one()
                now = self._read()
                if now.steady - before.steady <= SLOW_SECONDS:
                    self._is_unlike_database = abs(float(database_time) - now.wall) > DATABASE_SECONDS
            # While in doubt, the same value is written again: that tests the database as well.
            kept = {"at": to_ms(at)} if at is not None else {"at": tables.clock_mark.c.at}
            first = to_ms(at) if at is not None else 0
            await connection.execute(
                upsert(connection, tables.clock_mark)
                .values(id=_ONLY, at=first)
                .on_conflict_do_update(index_elements=["id"], set_=kept)
            )

    async def _newest(self) -> datetime | None:
        """Return the last trusted moment; in an older database, which has none, the time of the newest audit row."""
        async with self._database.reading() as connection:
            marked = (await connection.execute(select(tables.clock_mark.c.at))).scalar_one_or_none()
            newest = marked or (await connection.execute(select(func.max(tables.audit.c.at)))).scalar_one()
        return from_ms(newest) if newest is not None else None

    def _look(self) -> ClockReading:
        look = self._read()
        if self._state is None:
            return look
        self._state = advance(self._state, look, self._confirm_seconds)
        doubt = self._state.doubt or (ClockDoubt.UNLIKE_DATABASE if self._is_unlike_database else None)
        if doubt is not self._reported_doubt:
            if doubt is not None:
                logger.error(
                    "the clock is not trusted: nothing is deleted or ended by it", extra={"clock": doubt}
                )
            elif self._reported_doubt is not ClockDoubt.UNKNOWN:
                logger.warning("the clock is trusted again", extra={"clock": self._reported_doubt})
            self._reported_doubt = doubt
        return look

    def _read(self) -> ClockReading:
        return ClockReading(self._wall(), self._steady())
