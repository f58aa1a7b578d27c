"""The quick way on PostgreSQL: one statement for all that wait, seats, sessions and audit rows in it.

`plain` pools are held FOR SHARE, so that a transaction that has a pool to itself (FOR UPDATE) is neither
overtaken nor overlooked: the condition is looked at again when its lock is given back. Free rows are taken with
SKIP LOCKED; who finds none here is played as a script, which waits for the others before it refuses. One that
comes alone has a shorter statement, which waits hardly longer than for a bare commit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.licensing.quick import END, ENDED_DETAIL, GRANTED_DETAIL, OPEN, QuickEnd, QuickOpen
from core.licensing.session import SESSION_COLUMNS, who
from core.store.moments import to_ms
from core.store.postgres_writer import Group
from core.store.script import NOT_THIS_WAY
from core.store.tables import FREE_FOR_ALL

_WISH_COLUMNS: Final = SESSION_COLUMNS.replace("seat_number, ", "") + ", actor, granted_detail"
_WISH_TYPES: Final = (
    *("text", "text", "text", "text", "text", "bigint", "text", "text", "text", "boolean", "text", "text"),
    *("text", "bigint", "bigint", "bigint", "text", "text"),
)
_MANY_WISHES: Final = ", ".join(f"${i}::{kind}[]" for i, kind in enumerate(_WISH_TYPES, 1))

_NOTHING_LEFT: Final = """
NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.tenant_id = {tenant} AND waiting.object_id = {object})
AND NOT EXISTS (
  SELECT 1 FROM session_end WHERE session_end.tenant_id = {tenant} AND session_end.object_id = {object}
)"""
"""Nothing of this user is left that a sign-in ends: else the script does it."""
_ORDINARY: Final = (
    "NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.pbx_id = wish.pbx_id AND joined_at IS NOT NULL) AND "
    + _NOTHING_LEFT.format(tenant="wish.tenant_id", object="wish.object_id")
)
"""And nobody waits at this PBX, which a plain pool says already, but a licence of one's own has no pool."""

# What follows when wishes have found their seats (`matched`).
_DO_OPEN: Final = f"""
taken AS (
  UPDATE seat SET holder = matched.pbx_user_id FROM matched
  WHERE seat.pool_id = matched.pool_id AND seat.number = matched.seat_number
), opened AS (
  INSERT INTO session ({SESSION_COLUMNS}) SELECT {SESSION_COLUMNS} FROM matched
), noted AS (
  INSERT INTO audit (at, pbx_id, kind, actor, subject, detail, pbx_user_id, pool_id)
  SELECT started_at, pbx_id, 'granted', actor, display_name, granted_detail, pbx_user_id, pool_id FROM matched
)
SELECT id, seat_number FROM matched
"""

_OPEN_MANY: Final = f"""
WITH wish AS MATERIALIZED (
  SELECT *, row_number() OVER (PARTITION BY pool_id) AS rank FROM unnest({_MANY_WISHES}) AS w ({_WISH_COLUMNS})
), open_pool AS MATERIALIZED (
  SELECT pool.id FROM pool WHERE id IN (SELECT pool_id FROM wish) AND plain AND NOT withdrawn
  ORDER BY id FOR SHARE
), demand AS MATERIALIZED (
  SELECT pool_id, count(*) AS n FROM wish JOIN open_pool ON open_pool.id = wish.pool_id GROUP BY pool_id
), picked AS MATERIALIZED (
  SELECT free.pool_id, free.number, row_number() OVER (PARTITION BY free.pool_id) AS rank
  FROM demand CROSS JOIN LATERAL (
    SELECT pool_id, number FROM seat WHERE seat.pool_id = demand.pool_id AND {FREE_FOR_ALL}
    LIMIT demand.n FOR UPDATE SKIP LOCKED
  ) AS free
), matched AS MATERIALIZED (
  SELECT wish.*, picked.number AS seat_number FROM wish LEFT JOIN picked USING (pool_id, rank)
  WHERE (picked.number IS NOT NULL OR wish.pool_id IS NULL) AND {_ORDINARY}
), {_DO_OPEN}
"""

_OPEN_ONE: Final = f"""
WITH taken AS (
  UPDATE seat SET holder = $6 WHERE (pool_id, number) = (
    SELECT pool_id, number FROM seat WHERE pool_id = (
      SELECT id FROM pool WHERE id = $12 AND plain AND NOT withdrawn AND {_NOTHING_LEFT.format(tenant="$2", object="$3")} FOR SHARE
    ) AND {FREE_FOR_ALL} LIMIT 1 FOR UPDATE SKIP LOCKED
  ) RETURNING pool_id, number
), opened AS (
  INSERT INTO session ({SESSION_COLUMNS})
  SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, pool_id, number, $13, $14, $15, $16 FROM taken
)
INSERT INTO audit (at, pbx_id, kind, actor, subject, detail, pbx_user_id, pool_id)
SELECT $14, $5, 'granted', $17, $8, $18, $6, pool_id FROM taken RETURNING (SELECT number FROM taken) AS number
"""

_DO_END: Final = """
gone AS (
  DELETE FROM session USING wish WHERE session.id = wish.session_id
  AND session.pool_id IS NOT DISTINCT FROM wish.of_pool AND session.seat_number IS NOT DISTINCT FROM wish.of_seat
  AND (wish.of_pool IS NULL OR wish.of_pool IN (SELECT id FROM open_pool))
  RETURNING wish.*
), freed AS (
  UPDATE seat SET holder = NULL FROM gone WHERE seat.pool_id = gone.of_pool AND seat.number = gone.of_seat
), noted AS (
  INSERT INTO audit (at, pbx_id, kind, actor, subject, detail, pbx_user_id, pool_id, held_from)
  SELECT at, of_pbx, 'ended', actor, subject, detail, of_user, of_pool, held_from FROM gone
)
SELECT session_id FROM gone
"""
_END_COLUMNS: Final = "session_id, of_pool, of_seat, of_pbx, of_user, actor, subject, detail, at, held_from"
_END_TYPES: Final = (
    *("text", "text", "integer", "text", "bigint", "text", "text", "text", "bigint", "bigint"),
)

_END_MANY: Final = f"""
WITH wish AS MATERIALIZED (
  SELECT * FROM unnest({", ".join(f"${i}::{kind}[]" for i, kind in enumerate(_END_TYPES, 1))}) AS w ({_END_COLUMNS})
), open_pool AS MATERIALIZED (
  SELECT id FROM pool WHERE id IN (SELECT of_pool FROM wish) AND plain ORDER BY id FOR SHARE
), {_DO_END}
"""

_END_ONE: Final = """
WITH gone AS (
  DELETE FROM session WHERE id = $1 AND pool_id = $2 AND seat_number = $3
  AND pool_id = (SELECT id FROM pool WHERE id = $2 AND plain FOR SHARE) RETURNING pool_id, seat_number
), freed AS (
  UPDATE seat SET holder = NULL FROM gone WHERE seat.pool_id = gone.pool_id AND number = seat_number
)
INSERT INTO audit (at, pbx_id, kind, actor, subject, detail, pbx_user_id, pool_id, held_from)
SELECT $9, $4, 'ended', $6, $7, $8, $5, $2, $10 FROM gone RETURNING 1
"""


async def open_together(connection: Any, wishes: Sequence[QuickOpen]) -> Sequence[Any]:
    rows: list[tuple[Any, ...]] = []
    for wish in wishes:
        values = wish.row(None)
        rows.append((*values[:12], *values[13:], who(wish.wish.teams_user), GRANTED_DETAIL[wish.kind]))
    if len(wishes) == 1 and wishes[0].pool_id is not None:
        opened = await connection.fetch(_OPEN_ONE, *rows[0])
        return [opened[0]["number"] if opened else NOT_THIS_WAY]
    matched = await connection.fetch(_OPEN_MANY, *zip(*rows, strict=True))
    numbers = {row["id"]: row["seat_number"] for row in matched}
    return [numbers.get(wish.session_id, NOT_THIS_WAY) for wish in wishes]


async def end_together(connection: Any, ends: Sequence[QuickEnd]) -> Sequence[Any]:
    rows: list[tuple[Any, ...]] = []
    for end in ends:
        session = end.session
        held_from = to_ms(session.licence_since) if session.pool_id is not None else None
        rows.append(
            (
                *(session.id, session.pool_id, session.seat_number, session.pbx_id),
                *(session.person.pbx_user_id, end.actor, session.person.display_name),
                *(ENDED_DETAIL[session.kind], to_ms(end.now), held_from),
            )
        )
    if len(ends) == 1 and ends[0].session.pool_id is not None:
        return [True if await connection.fetch(_END_ONE, *rows[0]) else NOT_THIS_WAY]
    gone = await connection.fetch(_END_MANY, *zip(*rows, strict=True))
    left = {row["session_id"] for row in gone}
    results: list[Any] = []
    for end in ends:
        results.append(True if end.session.id in left else NOT_THIS_WAY)
        left.discard(end.session.id)  # one that is there twice ended once
    return results


GROUPS: Final[Mapping[str, Group]] = {END: end_together, OPEN: open_together}
