"""How seats were used: peaks, averages and denials over time, computed from the audit's own rows.

Every seat that was given back left an audit row that says since when it was held; seats held now are in the
sessions. So nothing is counted beside the ledger that could disagree with it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.store.audit import AuditKind
from core.store.database import Database
from core.store.timestamps import from_ms, to_ms
from core.store.transaction import Row


class Span(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def buckets(self) -> tuple[int, timedelta]:
        """How many, and how long each."""
        return {
            Span.DAY: (24, timedelta(hours=1)),
            Span.WEEK: (28, timedelta(hours=6)),
            Span.MONTH: (30, timedelta(days=1)),
        }[self]


@dataclass(frozen=True, slots=True)
class Holding:
    """One seat held by one PBX user for some time. `until` None: still."""

    pbx_user_id: int
    name: str
    since: datetime
    until: datetime | None
    login: str = ""
    """Of the PBX user, while they hold it."""


@dataclass(frozen=True, slots=True)
class Bucket:
    start: datetime
    peak: int
    """The most seats held at one moment."""
    average: float
    denials: int


class UsageReader:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def holdings(self, pbx_id: str, since: datetime) -> list[Holding]:
        """Everything that was held after `since`."""
        ended = (
            "SELECT pbx_user_id, subject, held_from, at FROM audit"
            " WHERE pbx_id = $1 AND at >= $2 AND held_from IS NOT NULL"
        )
        running = (
            "SELECT pbx_user_id, display_name, licence_since, pbx_login FROM session"
            " WHERE pbx_id = $1 AND pool_id IS NOT NULL"
        )
        past = await self._database.fetch_long(ended, pbx_id, to_ms(since))
        present = await self._database.fetch_long(running, pbx_id)
        return await asyncio.to_thread(_holdings, past, present)

    async def denials(self, pbx_id: str, since: datetime) -> list[datetime]:
        query = f"SELECT at FROM audit WHERE pbx_id = $1 AND at >= $2 AND kind = '{AuditKind.DENIED}'"
        return [from_ms(row["at"]) for row in await self._database.fetch_long(query, pbx_id, to_ms(since))]


def _holdings(ended: Sequence[Row], running: Sequence[Row]) -> list[Holding]:
    return [
        *(
            Holding(pbx_user_id=row[0], name=row[1], since=from_ms(row[2]), until=from_ms(row[3]))
            for row in ended
        ),
        *(
            Holding(pbx_user_id=row[0], name=row[1], since=from_ms(row[2]), until=None, login=row[3])
            for row in running
        ),
    ]


def usage(
    holdings: Iterable[Holding], denials: Iterable[datetime], span: Span, now: datetime
) -> list[Bucket]:
    """The buckets that end with the one in which `now` is."""
    count, length = span.buckets
    seconds = length.total_seconds()
    last = int(now.timestamp() // seconds)
    first = last - count + 1
    steps: list[tuple[float, int]] = []
    for holding in holdings:
        begins = max(holding.since.timestamp(), first * seconds)
        ends = min((holding.until or now).timestamp(), now.timestamp())
        if ends > begins:
            steps += ((begins, 1), (ends, -1))
    peaks, areas, refused = [0] * count, [0.0] * count, [0] * count
    for denied in denials:
        index = int(denied.timestamp() // seconds) - first
        if 0 <= index < count:
            refused[index] += 1
    held, at = 0, first * seconds
    for moment, step in [*sorted(steps), (now.timestamp(), 0)]:
        while moment > at:
            index = int(at // seconds) - first
            until = min(moment, (first + index + 1) * seconds)
            peaks[index] = max(peaks[index], held)
            areas[index] += held * (until - at)
            at = until
        held += step
    return [
        Bucket(
            start=from_ms(round((first + index) * seconds * 1000)),
            peak=peaks[index],
            average=areas[index]
            / (seconds if first + index < last else max(now.timestamp() - last * seconds, 1)),
            denials=refused[index],
        )
        for index in range(count)
    ]
