"""The batched path on PostgreSQL: one statement takes the seats and writes the sessions and the audit rows.

`plain` pools are locked FOR SHARE. So a batch waits for a transaction that holds a pool FOR UPDATE, and PostgreSQL
evaluates `plain` again when that lock is released. Free rows are taken with SKIP LOCKED. A sign-in that finds none
runs as a transaction of its own, which waits for the others before it refuses. A single sign-in uses a shorter
statement that costs little more than a bare commit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.licensing.batched import END, ENDED_DETAIL, GRANTED_DETAIL, OPEN, BatchedSignIn, BatchedSignOut
from core.licensing.session import SESSION_COLUMNS
from core.store.audit import INSERT_AUDIT, ActorKind, AuditKind
from core.store.postgres_writer import Group
from core.store.tables import FREE_FOR_ALL
from core.store.timestamps import to_ms
from core.store.transaction import NEEDS_TRANSACTION

_SIGN_IN_COLUMNS: Final = SESSION_COLUMNS.replace("seat_number, ", "") + ", actor, granted_detail"
_SIGN_IN_TYPES: Final = (
    *("text", "text", "text", "text", "text", "bigint", "text", "text", "text", "boolean", "text", "text"),
    *("text", "bigint", "bigint", "bigint", "integer", "text", "text"),
)
_MANY_SIGN_INS: Final = ", ".join(f"${i}::{kind}[]" for i, kind in enumerate(_SIGN_IN_TYPES, 1))

_NOTHING_LEFT: Final = """
NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.tenant_id = {tenant} AND waiting.object_id = {object})
AND NOT EXISTS (
  SELECT 1 FROM session_end WHERE session_end.tenant_id = {tenant} AND session_end.object_id = {object}
)"""
"""SQL condition: this sign-in has no earlier ending and no place on a waiting list to delete. Otherwise it needs a
transaction."""
_ORDINARY: Final = (
    "NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.pbx_id = sign_in.pbx_id AND joined_at IS NOT NULL) AND "
    + _NOTHING_LEFT.format(tenant="sign_in.tenant_id", object="sign_in.object_id")
)
"""SQL condition: `_NOTHING_LEFT`, and nobody waits at this PBX. A plain pool implies the latter, but a user-assigned
licence has no pool."""
_GRANTED: Final = f"'{AuditKind.GRANTED}'"
_ENDED: Final = f"'{AuditKind.ENDED}'"
_PERSON: Final = f"'{ActorKind.PERSON}'"

# Follows `matched`, which pairs each sign-in with its seat.
_DO_OPEN: Final = f"""
taken AS (
  UPDATE seat SET holder = matched.pbx_user_id FROM matched
  WHERE seat.pool_id = matched.pool_id AND seat.number = matched.seat_number
), opened AS (
  INSERT INTO session ({SESSION_COLUMNS}) SELECT {SESSION_COLUMNS} FROM matched
), noted AS (
  {INSERT_AUDIT}
  SELECT started_at, pbx_id, {_GRANTED}, actor, display_name, granted_detail, pbx_user_id, pool_id, NULL,
  {_PERSON}, tenant_id, object_id, pbx_user_id FROM matched
)
SELECT id, seat_number FROM matched
"""

_OPEN_MANY: Final = f"""
WITH sign_in AS MATERIALIZED (
  SELECT *, row_number() OVER (PARTITION BY pool_id) AS rank FROM unnest({_MANY_SIGN_INS}) AS given ({_SIGN_IN_COLUMNS})
), open_pool AS MATERIALIZED (
  SELECT pool.id FROM pool WHERE id IN (SELECT pool_id FROM sign_in) AND plain AND NOT withdrawn
  ORDER BY id FOR SHARE
), open_pbx AS MATERIALIZED (
  SELECT id, installation FROM pbx WHERE id IN (SELECT pbx_id FROM sign_in)
  AND (SELECT count(*) FROM open_pool) >= 0 ORDER BY id FOR KEY SHARE
), demand AS MATERIALIZED (
  SELECT pool_id, count(*) AS n FROM sign_in JOIN open_pool ON open_pool.id = sign_in.pool_id GROUP BY pool_id
), picked AS MATERIALIZED (
  SELECT free.pool_id, free.number, row_number() OVER (PARTITION BY free.pool_id) AS rank
  FROM demand CROSS JOIN LATERAL (
    SELECT pool_id, number FROM seat WHERE seat.pool_id = demand.pool_id AND {FREE_FOR_ALL}
    LIMIT demand.n FOR UPDATE SKIP LOCKED
  ) AS free
), matched AS MATERIALIZED (
  SELECT sign_in.*, picked.number AS seat_number FROM sign_in LEFT JOIN picked USING (pool_id, rank)
  WHERE (picked.number IS NOT NULL OR sign_in.pool_id IS NULL) AND {_ORDINARY}
  AND EXISTS (SELECT 1 FROM open_pbx WHERE id = sign_in.pbx_id AND open_pbx.installation = sign_in.installation)
), {_DO_OPEN}
"""

_OPEN_ONE: Final = f"""
WITH taken AS (
  UPDATE seat SET holder = $6 WHERE (pool_id, number) = (
    SELECT pool_id, number FROM seat WHERE pool_id = (
      SELECT pool.id FROM pool JOIN pbx ON pbx.id = pool.pbx_id WHERE pool.id = $12 AND plain AND NOT withdrawn
      AND installation = $17 AND {_NOTHING_LEFT.format(tenant="$2", object="$3")}
      FOR SHARE OF pool FOR KEY SHARE OF pbx
    ) AND {FREE_FOR_ALL} LIMIT 1 FOR UPDATE SKIP LOCKED
  ) RETURNING pool_id, number
), opened AS (
  INSERT INTO session ({SESSION_COLUMNS})
  SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, pool_id, number, $13, $14, $15, $16, $17 FROM taken
)
{INSERT_AUDIT}
SELECT $14, $5, {_GRANTED}, $18, $8, $19, $6, pool_id, NULL, {_PERSON}, $2, $3, $6 FROM taken
RETURNING (SELECT number FROM taken) AS number
"""

_DO_END: Final = f"""
gone AS (
  DELETE FROM session USING sign_out WHERE session.id = sign_out.session_id
  AND session.pool_id IS NOT DISTINCT FROM sign_out.of_pool AND session.seat_number IS NOT DISTINCT FROM sign_out.of_seat
  AND (sign_out.of_pool IS NULL OR sign_out.of_pool IN (SELECT id FROM open_pool))
  RETURNING sign_out.*
), freed AS (
  UPDATE seat SET holder = NULL FROM gone WHERE seat.pool_id = gone.of_pool AND seat.number = gone.of_seat
), noted AS (
  {INSERT_AUDIT}
  SELECT at, of_pbx, {_ENDED}, actor, subject, detail, of_user, of_pool, held_from,
  {_PERSON}, of_tenant, of_object, of_user FROM gone
)
SELECT session_id FROM gone
"""
_END_COLUMNS: Final = "session_id, of_pool, of_seat, of_pbx, of_user, actor, subject, detail, at, held_from, of_tenant, of_object"
_END_TYPES: Final = (
    *("text", "text", "integer", "text", "bigint", "text", "text", "text", "bigint", "bigint"),
    *("text", "text"),
)

_END_MANY: Final = f"""
WITH sign_out AS MATERIALIZED (
  SELECT * FROM unnest({", ".join(f"${i}::{kind}[]" for i, kind in enumerate(_END_TYPES, 1))}) AS given ({_END_COLUMNS})
), open_pool AS MATERIALIZED (
  SELECT id FROM pool WHERE id IN (SELECT of_pool FROM sign_out) AND plain ORDER BY id FOR SHARE
), {_DO_END}
"""

_END_ONE: Final = f"""
WITH gone AS (
  DELETE FROM session WHERE id = $1 AND pool_id = $2 AND seat_number = $3
  AND pool_id = (SELECT id FROM pool WHERE id = $2 AND plain FOR SHARE) RETURNING pool_id, seat_number
), freed AS (
  UPDATE seat SET holder = NULL FROM gone WHERE seat.pool_id = gone.pool_id AND number = seat_number
)
{INSERT_AUDIT}
SELECT $9, $4, {_ENDED}, $6, $7, $8, $5, $2, $10, {_PERSON}, $11, $12, $5 FROM gone RETURNING 1
"""


async def open_together(connection: Any, sign_ins: Sequence[BatchedSignIn]) -> Sequence[Any]:
    """Open sessions; return for each its seat number (None without a seat) or `NEEDS_TRANSACTION`."""
    rows: list[tuple[Any, ...]] = []
    for sign_in in sign_ins:
        values = sign_in.row(None)
        rows.append((*values[:12], *values[13:], sign_in.request.actor.name, GRANTED_DETAIL[sign_in.kind]))
    if len(sign_ins) == 1 and sign_ins[0].pool_id is not None:
        opened = await connection.fetch(_OPEN_ONE, *rows[0])
        return [opened[0]["number"] if opened else NEEDS_TRANSACTION]
    matched = await connection.fetch(_OPEN_MANY, *zip(*rows, strict=True))
    numbers = {row["id"]: row["seat_number"] for row in matched}
    return [numbers.get(sign_in.session_id, NEEDS_TRANSACTION) for sign_in in sign_ins]


async def end_together(connection: Any, ends: Sequence[BatchedSignOut]) -> Sequence[Any]:
    """End sessions; return for each True or `NEEDS_TRANSACTION`."""
    rows: list[tuple[Any, ...]] = []
    for end in ends:
        session = end.session
        held_from = to_ms(session.licence_since) if session.pool_id is not None else None
        rows.append(
            (
                *(session.id, session.pool_id, session.seat_number, session.pbx_id),
                *(session.person.pbx_user_id, session.actor.name, session.person.display_name),
                *(ENDED_DETAIL[session.kind], to_ms(end.now), held_from, *session.teams_user.key),
            )
        )
    if len(ends) == 1 and ends[0].session.pool_id is not None:
        return [True if await connection.fetch(_END_ONE, *rows[0]) else NEEDS_TRANSACTION]
    gone = await connection.fetch(_END_MANY, *zip(*rows, strict=True))
    left = {row["session_id"] for row in gone}
    results: list[Any] = []
    for end in ends:
        results.append(True if end.session.id in left else NEEDS_TRANSACTION)
        left.discard(end.session.id)  # a session that appears twice in the batch ends once
    return results


GROUPS: Final[Mapping[str, Group]] = {END: end_together, OPEN: open_together}
