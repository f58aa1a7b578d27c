"""How the seats of a PBX were held, day by day: computed from the audit, and stored once a day is over.

Every seat that was given back has an audit row that says since when it was held, and seats that are held now belong
to sessions. There are no separate counters that could disagree with the ledger. A day that is over does not change
any more: it is computed once and stored (`usage_day`), so that a view over a month reads a few hundred rows instead
of some hundred thousand.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from core.licensing.seat_day import (
    DAY_MS,
    HOUR_MS,
    Held,
    SeatDay,
    hours_as_text,
    hours_of_text,
)
from core.store import tables
from core.store.audit import AuditKind
from core.store.database import Database
from core.store.retention import delete_in_steps
from core.store.timestamps import to_ms
from core.store.transaction import Row, Transaction, Writer, execute

OVER_AFTER: Final = timedelta(hours=2)
"""How long a day must be over before it is stored. No replica's clock is that late, and no commit takes that long."""
DAYS_KEPT: Final = 31
"""How many days are stored. The longest view has 30 days, and the advice looks at 28."""
POLL_SECONDS: Final = 900.0
"""How often days that are over are stored for large PBXs."""
DOUBT_SECONDS: Final = 10.0
"""How soon to try again while the clock is in doubt."""
MANY_SEATS: Final = 200
"""A PBX with this many seats has its days computed in advance. For a smaller PBX they are computed on demand, which is
fast."""

_ENDED: Final = (
    "SELECT pbx_user_id, held_from, at FROM audit"
    " WHERE pbx_id = $1 AND at >= $2 AND at < $3 AND held_from IS NOT NULL"
)
# Both ends of the time range are given, because PostgreSQL plans once for all values and estimates an open-ended
# range at a third of the table.
_ENDED_LATER: Final = (
    "SELECT pbx_user_id, held_from, at FROM audit"
    " WHERE pbx_id = $1 AND at >= $2 AND at <= $3 AND held_from IS NOT NULL AND held_from < $4"
)
_RUNNING: Final = "SELECT pbx_user_id, licence_since FROM session WHERE pbx_id = $1 AND pool_id IS NOT NULL"
_NAMES_NOW: Final = (
    "SELECT pbx_user_id, display_name, pbx_login FROM session WHERE pbx_id = $1 AND pool_id IS NOT NULL"
)
_NAMES_THEN: Final = (
    "SELECT pbx_user_id, subject FROM audit"
    " WHERE pbx_id = $1 AND at >= $2 AND at < $3 AND held_from IS NOT NULL ORDER BY at, id"
)
_KEEP: Final = "INSERT INTO usage_day (pbx_id, day, hours, steps) VALUES ($1, $2, $3, $4) ON CONFLICT (pbx_id, day) DO NOTHING"


@dataclass(frozen=True, slots=True)
class HolderName:
    """The name of a user in a history."""

    name: str
    login: str
    """Empty while the user holds no seat."""


class SeatHistory:
    def __init__(
        self, database: Database, writer: Writer, trusted_now: Callable[[], datetime | None]
    ) -> None:
        """`trusted_now` returns None while the clock is in doubt (`core.store.clock_watch`). Then no day is stored."""
        self._database = database
        self._writer = writer
        self._trusted_now = trusted_now
        self._keeping: dict[tuple[str, int], asyncio.Task[Mapping[int, SeatDay]]] = {}
        """Runs in progress, by PBX id and newest day. A run that began before a day was over lacks that day."""

    async def days(
        self, pbx_id: str, since: datetime, now: datetime, *, with_steps: bool = False
    ) -> Sequence[SeatDay]:
        """Return every day from the one that contains `since` to the one that contains `now`, which ends at `now`.

        At most `DAYS_KEPT` days back. `with_steps`: the days have their steps, not only the hours.
        """
        newest, last = _newest_over(now), to_ms(now) // DAY_MS
        first = max(to_ms(since) // DAY_MS, last - DAYS_KEPT)
        found = await self._kept(pbx_id, first, newest, with_steps=with_steps)
        if len(found) < newest - first + 1:
            computed = await self.keep(pbx_id, now)
            # Another replica may have stored some of them in the meantime.
            found = {**computed, **await self._kept(pbx_id, first, newest, with_steps=with_steps)}
        running = await self._database.fetch_long(_RUNNING, pbx_id)
        begins = max(newest + 1, first) * DAY_MS
        ended = await self._database.fetch_long(_ENDED, pbx_id, begins, to_ms(now) + 1)
        days = range(max(newest + 1, first), last + 1)
        present = await asyncio.to_thread(_present, ended, running, days, to_ms(now))
        return [*(found[day] for day in range(first, newest + 1)), *present]

    async def _kept(
        self, pbx_id: str, first: int, last: int, *, with_steps: bool = False
    ) -> Mapping[int, SeatDay]:
        columns = "day, hours, steps" if with_steps else "day, hours"
        query = f"SELECT {columns} FROM usage_day WHERE pbx_id = $1 AND day >= $2 AND day <= $3"
        rows = await self._database.fetch_long(query, pbx_id, first, last)
        return await asyncio.to_thread(_of_rows, rows, with_steps=with_steps)

    async def names(
        self, pbx_id: str, user_ids: Iterable[int], since: datetime, now: datetime
    ) -> Mapping[int, HolderName]:
        """Return the names of users who have held a seat since then: the present one, or that of their last seat."""
        wanted = set(user_ids)
        found: dict[int, HolderName] = {}
        if not wanted:
            return found
        for row in await self._database.fetch_long(_NAMES_NOW, pbx_id):
            if row["pbx_user_id"] in wanted:
                found[row["pbx_user_id"]] = HolderName(row["display_name"], row["pbx_login"])
        day = to_ms(now) // DAY_MS
        while len(found) < len(wanted) and day >= to_ms(since) // DAY_MS:
            # Read day by day, because most of them held a seat yesterday.
            rows = await self._database.fetch_long(_NAMES_THEN, pbx_id, day * DAY_MS, (day + 1) * DAY_MS)
            of_day = {row["pbx_user_id"]: row["subject"] for row in rows}
            for user_id in wanted.intersection(of_day).difference(found):
                found[user_id] = HolderName(of_day[user_id], "")
            day -= 1
        return found | {user_id: HolderName(str(user_id), "") for user_id in wanted.difference(found)}

    async def denials(self, pbx_id: str, since: datetime, now: datetime) -> Mapping[int, int]:
        """Return the number of denials in each hour since then. Keys are hours since the epoch."""
        query = (
            f"SELECT at / {HOUR_MS} AS hour, count(*) AS n FROM audit"
            f" WHERE pbx_id = $1 AND at >= $2 AND at <= $3 AND kind = '{AuditKind.DENIED}' GROUP BY 1"
        )
        rows = await self._database.fetch_long(query, pbx_id, to_ms(since), to_ms(now))
        return {row["hour"]: row["n"] for row in rows}

    async def keep(self, pbx_id: str, now: datetime) -> Mapping[int, SeatDay]:
        """Store every day that is over and not stored yet; return these days. Concurrent callers share one run."""
        key = (pbx_id, _newest_over(now))
        keeping = self._keeping.get(key)
        if keeping is None:
            keeping = self._keeping[key] = asyncio.create_task(self._keep(pbx_id, now))
            keeping.add_done_callback(lambda _: self._keeping.pop(key, None))
        return await asyncio.shield(keeping)

    async def run(self) -> None:
        """Store days of large PBXs in advance and delete old days, until cancelled."""
        while True:
            at = self._trusted_now()
            if at is not None:
                await self.keep_large(at)
                await self.forget_old(at)
            await asyncio.sleep(POLL_SECONDS if at is not None else DOUBT_SECONDS)

    async def keep_large(self, now: datetime) -> None:
        """Store the days of every PBX with many seats before anybody asks for them."""
        query = (
            "SELECT DISTINCT pbx_id FROM pool WHERE NOT withdrawn AND EXISTS"
            " (SELECT 1 FROM seat WHERE seat.pool_id = pool.id AND seat.number = $1)"
        )
        for row in await self._database.fetch_long(query, MANY_SEATS):
            await self.keep(row["pbx_id"], now)

    async def forget_old(self, now: datetime) -> None:
        """Delete stored days that no view needs any more."""
        oldest = to_ms(now) // DAY_MS - DAYS_KEPT
        await delete_in_steps(self._database, tables.usage_day, tables.usage_day.c.day < oldest)

    async def _keep(self, pbx_id: str, now: datetime) -> Mapping[int, SeatDay]:
        """Compute the missing days from the newest to the oldest. A seat taken earlier is passed on to the day
        before.
        """
        newest = _newest_over(now)
        first = to_ms(now) // DAY_MS - DAYS_KEPT
        kept = await self._kept(pbx_id, first, newest)
        missing = [day for day in range(newest, first - 1, -1) if day not in kept]
        found: dict[int, SeatDay] = {}
        if not missing:
            return found
        ends = (missing[0] + 1) * DAY_MS
        running = await self._database.fetch_long(_RUNNING, pbx_id)
        later = await self._database.fetch_long(_ENDED_LATER, pbx_id, ends, to_ms(now), ends)
        open_ones = await asyncio.to_thread(_held_of, later, running, to_ms(now))
        for number in range(missing[0], missing[-1] - 1, -1):
            ended = await self._database.fetch_long(_ENDED, pbx_id, number * DAY_MS, (number + 1) * DAY_MS)
            day, open_ones = await asyncio.to_thread(_one_day, number, ended, open_ones)
            if number in kept:
                continue
            found[number] = day
            if self._trusted_now() is not None:
                await self._writer.run(partial(_put, pbx_id, day))
        return found


def _newest_over(now: datetime) -> int:
    """Return the number of the newest day that can be stored."""
    return to_ms(now - OVER_AFTER) // DAY_MS - 1


def _put(pbx_id: str, day: SeatDay) -> Transaction[None]:
    yield from execute(_KEEP, pbx_id, day.number, hours_as_text(day.hours), day.packed)


def _held_of(ended: Sequence[Row], running: Sequence[Row], now: int) -> list[Held]:
    return [
        *(Held(row[0], row[1], row[2]) for row in ended),
        *(Held(row[0], row[1], now) for row in running),
    ]


def _present(
    ended: Sequence[Row], running: Sequence[Row], days: Sequence[int], now: int
) -> Sequence[SeatDay]:
    held = _held_of(ended, running, now)
    return [SeatDay.of(day, held) for day in days]


def _one_day(number: int, ended: Sequence[Row], open_ones: Sequence[Held]) -> tuple[SeatDay, list[Held]]:
    """Return the day, and the seats that were already held when it began."""
    held = [*_held_of(ended, (), 0), *open_ones]
    return SeatDay.of(number, held), [one for one in held if one.since < number * DAY_MS]


def _of_rows(rows: Sequence[Row], *, with_steps: bool) -> Mapping[int, SeatDay]:
    return {
        row["day"]: SeatDay(row["day"], hours_of_text(row["hours"]), row["steps"] if with_steps else None)
        for row in rows
    }
