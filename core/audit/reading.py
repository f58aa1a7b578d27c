"""Reads the audit page by page, so that a long one is never in memory as a whole."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.audit.groups import AuditGroup, kinds_of
from core.store.audit import Actor, ActorKind
from core.store.database import Database
from core.store.folding import searched, sql_searched
from core.store.timestamps import from_ms, to_ms
from core.store.transaction import Row

_COLUMNS: Final = (
    "id, at, kind, actor, subject, detail, pbx_user_id, times,"
    " actor_kind, actor_tenant_id, actor_object_id, actor_pbx_user_id"
)
_WITHIN: Final = "FROM audit WHERE pbx_id = $1 AND at >= $2 AND at < $3"
_FOUND: Final = (
    f"({sql_searched('subject')} LIKE $4 ESCAPE '/' OR {sql_searched('actor')} LIKE $4 ESCAPE '/')"
)
ROWS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries of a period are wanted."""

    group: AuditGroup | None = None
    """None: of all kinds."""
    search: str = ""
    """Part of the name of who did it, or of whom or what it concerns, folded as names are (`core.store.folding`)."""

    @property
    def is_empty(self) -> bool:
        return self.group is None and searched(self.search) == ""


NO_FILTER: Final = AuditFilter()


@dataclass(frozen=True, slots=True)
class AuditPosition:
    """The place of an entry in the order of the audit."""

    at: int
    """In milliseconds since the epoch."""
    id: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    id: int
    at: datetime
    kind: str
    """An `AuditKind`, or a kind that only a newer replica knows."""
    actor: Actor | None
    """None in rows of old versions, which stored only `actor_name`."""
    actor_name: str
    subject: str
    pbx_user_id: int | None
    """The PBX user whom the event concerns."""
    detail: Mapping[str, Any]
    times: int
    """How often it happened. More than 1 if one row counts repeated events (`core.store.audit.count_audit`)."""


@dataclass(frozen=True, slots=True)
class AuditSpan:
    """A snapshot of the audit of one PBX, from `since` (inclusive) to `until` (exclusive)."""

    pbx_id: str
    since: datetime
    until: datetime
    count: int
    """Number of rows, counted up to `count_to`."""
    newest_id: int
    """Highest row id of all PBXs. Rows with a higher id were written after the snapshot."""
    filter: AuditFilter = NO_FILTER


class AuditReader:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def span(
        self,
        pbx_id: str,
        since: datetime,
        until: datetime,
        count_to: int,
        wanted: AuditFilter = NO_FILTER,
    ) -> AuditSpan:
        """Take a snapshot of the period for `pages`. Rows are counted up to `count_to`."""
        condition, values = _condition(wanted)
        query = (
            "SELECT coalesce((SELECT max(id) FROM audit), 0) AS newest_id,"
            f" (SELECT count(*) FROM (SELECT 1 {_WITHIN} AND {condition} LIMIT ${4 + len(values)}) AS found) AS n"
        )
        (row,) = await self._database.fetch_long(query, pbx_id, to_ms(since), to_ms(until), *values, count_to)
        return AuditSpan(
            pbx_id=pbx_id,
            since=since,
            until=until,
            count=row["n"],
            newest_id=row["newest_id"],
            filter=wanted,
        )

    async def pages(self, span: AuditSpan, limit: int) -> AsyncIterator[Sequence[AuditEntry]]:
        """Yield pages of the newest `limit` entries, newest first. No database connection is held between pages."""
        before, left = AuditPosition(to_ms(span.until), 0), min(limit, span.count)
        while left > 0:
            page = await self.page(span, before, min(left, ROWS_AT_ONCE))
            if not page:
                return
            before, left = AuditPosition(to_ms(page[-1].at), page[-1].id), left - len(page)
            yield page

    async def page(self, span: AuditSpan, before: AuditPosition | None, limit: int) -> Sequence[AuditEntry]:
        """Return at most `limit` entries that are older than `before` (None: the newest), newest first."""
        start = before or AuditPosition(to_ms(span.until), 0)
        condition, values = _condition(span.filter)
        at, id_, newest, most = (f"${number}" for number in range(4 + len(values), 8 + len(values)))
        query = (
            f"SELECT {_COLUMNS} {_WITHIN} AND {condition} AND at <= {at} AND (at < {at} OR id < {id_})"
            f" AND id <= {newest} ORDER BY at DESC, id DESC LIMIT {most}"
        )
        within = (span.pbx_id, to_ms(span.since), to_ms(span.until), *values)
        rows = await self._database.fetch_long(query, *within, start.at, start.id, span.newest_id, limit)
        return await asyncio.to_thread(_entries, rows)


def _condition(wanted: AuditFilter) -> tuple[str, tuple[str, ...]]:
    """Return an SQL condition for the filter, with the values of its placeholders, which begin with $4."""
    conditions: list[str] = []
    values: tuple[str, ...] = ()
    if text := searched(wanted.search):
        conditions.append(_FOUND)
        escaped = "".join(f"/{one}" if one in "/%_" else one for one in text)
        values = (f"%{escaped}%",)
    if wanted.group is not None:
        kinds = ", ".join(f"'{kind}'" for kind in kinds_of(wanted.group))
        conditions.append(f"kind IN ({kinds})")
    return " AND ".join(conditions) or "true", values


def _entries(rows: Sequence[Row]) -> Sequence[AuditEntry]:
    return [_entry(row) for row in rows]


def _entry(row: Row) -> AuditEntry:
    actor = None
    if row["actor_kind"] is not None:
        actor = Actor(
            kind=ActorKind(row["actor_kind"]),
            name=row["actor"],
            tenant_id=row["actor_tenant_id"],
            object_id=row["actor_object_id"],
            pbx_user_id=row["actor_pbx_user_id"],
        )
    return AuditEntry(
        id=row["id"],
        at=from_ms(row["at"]),
        kind=row["kind"],
        actor=actor,
        actor_name=row["actor"],
        subject=row["subject"],
        pbx_user_id=row["pbx_user_id"],
        detail=json.loads(row["detail"]),
        times=row["times"],
    )
