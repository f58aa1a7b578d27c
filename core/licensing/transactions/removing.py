"""Remove a PBX that is no longer used, so that its name becomes free."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.licensing.session import EndCause, Ending
from core.licensing.transactions.sessions import end_sessions
from core.licensing.transactions.steps import lock_pools
from core.licensing.transactions.trusting import end_all_trust
from core.store import tables
from core.store.audit import OPERATOR, AuditKind, audit
from core.store.timestamps import from_ms, to_ms
from core.store.transaction import Transaction, execute, first

UNUSED_FOR: Final = timedelta(days=90)
"""How long a connector must have been without a link before its PBX can be removed."""

_BELONG_TO_A_PBX: Final = tuple(
    table.name
    for table in reversed(tables.metadata.sorted_tables)
    if any(key.column.table is tables.pbx for key in table.foreign_keys)
)
"""Tables that refer to a PBX, in an order in which their rows can be deleted. Without the audit, which is kept."""


@dataclass(frozen=True, slots=True)
class Removed:
    sessions: int
    """Number of sessions that were ended."""


@dataclass(frozen=True, slots=True)
class StillUsed:
    last_linked: datetime | None
    """When the last link closed. None: the connector is linked now."""


def remove_pbx(pbx_id: str, now: datetime) -> Transaction[Removed | StillUsed | None]:
    """Remove a PBX with everything that belongs to it; return None when there is no such PBX."""
    yield from lock_pools(pbx_id)
    row = yield from first(
        "SELECT name, claimed_at, link_opened_at, link_closed_at FROM pbx WHERE id = $1 FOR UPDATE", pbx_id
    )
    if row is None:
        return None
    if row["link_opened_at"] is not None and row["link_closed_at"] is None:
        return StillUsed(None)
    last = row["link_closed_at"] or row["claimed_at"]
    if last > to_ms(now - UNUSED_FOR):
        return StillUsed(from_ms(last))
    yield from end_all_trust(pbx_id, OPERATOR, now)
    held = yield from execute("SELECT id FROM session WHERE pbx_id = $1", pbx_id)
    ending = Ending(cause=EndCause.REVOKED, actor=OPERATOR, reason="", now=now)
    ended = yield from end_sessions(pbx_id, [one["id"] for one in held], ending)
    for table in _BELONG_TO_A_PBX:
        yield from execute(f"DELETE FROM {table} WHERE pbx_id = $1", pbx_id)
    yield from execute("DELETE FROM pbx WHERE id = $1", pbx_id)
    detail = {"sessions": len(ended), "claimed": from_ms(row["claimed_at"]).date().isoformat()}
    yield from audit(
        pbx_id=pbx_id, kind=AuditKind.PBX_REMOVED, actor=OPERATOR, subject=row["name"], detail=detail, now=now
    )
    return Removed(len(ended))
