"""Reads the audit page by page, so that a long one is never in memory as a whole."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.store.audit import Actor, ActorKind
from core.store.database import Database
from core.store.timestamps import from_ms, to_ms
from core.store.transaction import Row

_COLUMNS: Final = (
    "id, at, kind, actor, subject, detail, pbx_user_id, times,"
    " actor_kind, actor_tenant_id, actor_object_id, actor_pbx_user_id"
)
_WITHIN: Final = "FROM audit WHERE pbx_id = $1 AND at >= $2 AND at < $3"
ROWS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class AuditEntry:
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


class AuditReader:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def span(self, pbx_id: str, since: datetime, until: datetime, count_to: int) -> AuditSpan:
        """Take a snapshot of the period for `pages`. Rows are counted up to `count_to`."""
        query = (
            "SELECT coalesce((SELECT max(id) FROM audit), 0) AS newest_id,"
            f" (SELECT count(*) FROM (SELECT 1 {_WITHIN} LIMIT $4) AS found) AS n"
        )
        (row,) = await self._database.fetch_long(query, pbx_id, to_ms(since), to_ms(until), count_to)
        return AuditSpan(pbx_id=pbx_id, since=since, until=until, count=row["n"], newest_id=row["newest_id"])

    async def pages(self, span: AuditSpan, limit: int) -> AsyncIterator[Sequence[AuditEntry]]:
        """Yield pages of the newest `limit` entries, newest first. No database connection is held between pages."""
        query = (
            f"SELECT {_COLUMNS} {_WITHIN} AND at <= $4 AND (at < $4 OR id < $5) AND id <= $6"
            " ORDER BY at DESC, id DESC LIMIT $7"
        )
        within = (span.pbx_id, to_ms(span.since), to_ms(span.until))
        before = (to_ms(span.until), 0)
        left = min(limit, span.count)
        while left > 0:
            page = (*within, *before, span.newest_id, min(left, ROWS_AT_ONCE))
            rows = await self._database.fetch_long(query, *page)
            if not rows:
                return
            before, left = (rows[-1]["at"], rows[-1]["id"]), left - len(rows)
            yield await asyncio.to_thread(_entries, rows)


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
        at=from_ms(row["at"]),
        kind=row["kind"],
        actor=actor,
        actor_name=row["actor"],
        subject=row["subject"],
        pbx_user_id=row["pbx_user_id"],
        detail=json.loads(row["detail"]),
        times=row["times"],
    )
