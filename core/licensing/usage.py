"""How seats were used: peaks, averages and denials over time, reckoned from the audit's own rows.

Every seat that was given back left an audit row that says since when it was held; seats held now are in the
sessions. So nothing is counted beside the ledger that could disagree with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select

from core.store import tables
from core.store.database import Database
from core.store.moments import from_ms, to_ms

_audit = tables.audit.c
_session = tables.session.c


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
        ended = select(_audit.pbx_user_id, _audit.subject, _audit.held_from, _audit.at).where(
            _audit.pbx_id == pbx_id, _audit.at >= to_ms(since), _audit.held_from.is_not(None)
        )
        running = select(_session.pbx_user_id, _session.display_name, _session.licence_since).where(
            _session.pbx_id == pbx_id, _session.pool_id.is_not(None)
        )
        async with self._database.reading() as connection:
            past = (await connection.execute(ended)).all()
            now = (await connection.execute(running)).all()
        return [
            *(Holding(row[0], row[1], from_ms(row[2]), from_ms(row[3])) for row in past),
            *(Holding(row[0], row[1], from_ms(row[2]), None) for row in now),
        ]

    async def denials(self, pbx_id: str, since: datetime) -> list[datetime]:
        query = select(_audit.at).where(
            _audit.pbx_id == pbx_id, _audit.at >= to_ms(since), _audit.kind == "denied"
        )
        async with self._database.reading() as connection:
            return [from_ms(at) for at in (await connection.execute(query)).scalars().all()]

    async def audit_rows(
        self, pbx_id: str, since: datetime, until: datetime, limit: int
    ) -> Sequence[tuple[object, ...]]:
        """(moment, kind, actor, subject, detail as JSON) from `since` until before `until`, newest first."""
        query = (
            select(_audit.at, _audit.kind, _audit.actor, _audit.subject, _audit.detail)
            .where(_audit.pbx_id == pbx_id, _audit.at >= to_ms(since), _audit.at < to_ms(until))
            .order_by(_audit.id.desc())
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [(from_ms(row.at), *row[1:]) for row in (await connection.execute(query)).all()]


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
            from_ms(round((first + index) * seconds * 1000)),
            peaks[index],
            areas[index] / (seconds if first + index < last else max(now.timestamp() - last * seconds, 1)),
            refused[index],
        )
        for index in range(count)
    ]
