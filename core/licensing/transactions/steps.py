"""The steps that transactions are made of: locking, taking, freeing, ending, telling, auditing."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from core.diagnosis.finding import Finding
from core.licensing.policy import Policy
from core.licensing.rules import LicenceKind, Pool, TakeSeat, UseUal, exhausted
from core.licensing.session import (
    SESSION_COLUMNS,
    TOLD,
    Ending,
    Session,
    to_session,
)
from core.store.moments import from_ms, new_id, to_ms
from core.store.script import Row, Script, execute, first, marks

SYSTEM: Final = "pbx-teams"
"""The actor of what nobody decided: policies and expiry."""

GRANTABLE: Final = "holder IS NULL AND NOT retired"

POOLS: Final = (
    "SELECT pool.id AS id, serial, valid_from, valid_until, policy,"
    " count(seat.number) FILTER (WHERE NOT retired) AS seats, count(holder) AS used,"
    f" count(seat.number) FILTER (WHERE {GRANTABLE} AND kept_for IS NULL AND reserved_for IS NOT NULL) AS reserved,"
    f" count(seat.number) FILTER (WHERE {GRANTABLE} AND kept_for IS NOT NULL) AS kept"
    " FROM pool LEFT JOIN seat ON seat.pool_id = pool.id WHERE pool.pbx_id = {pbx_id} AND NOT withdrawn"
    " GROUP BY pool.id, serial, valid_from, valid_until, policy ORDER BY valid_until, pool.id"
)
"""The rows of `to_pool`; `{pbx_id}` is for the placeholder of whoever reads them."""

_SESSION_UPDATES: Final = ", ".join(f"{name} = excluded.{name}" for name in SESSION_COLUMNS.split(", ")[1:])


class RefusedError(Exception):
    """Leaves the transaction, which undoes what it had begun."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


def lock_pools(*pbx_ids: str) -> Script[None]:
    yield from execute(
        f"SELECT id FROM pool WHERE pbx_id IN ({marks(pbx_ids, 1)}) ORDER BY id FOR UPDATE", *pbx_ids
    )


def take_seat(session: Session, wish: TakeSeat, pbx_name: str, now: datetime) -> Script[Session]:
    """Takes the best seat there is for this user: one kept for them, one reserved, one that is anybody's."""
    user_id = session.person.pbx_user_id
    kept = yield from first(
        "SELECT pool_id FROM seat WHERE pbx_id = $1 AND kept_for = $2", session.pbx_id, user_id
    )
    pools = yield from pools_of(session.pbx_id)
    good = {pool.id for pool in pools if pool.is_valid(now)}  # a choice was made a moment ago
    choices = [choice for choice in wish.choices if choice.pool_id in good]
    if kept is not None:
        choices.sort(key=lambda choice: choice.pool_id != kept["pool_id"])
    for choice in choices:
        taken = yield from first(
            "UPDATE seat SET holder = $1, kept_for = NULL, kept_until = NULL"
            f" WHERE (pool_id, number) = (SELECT pool_id, number FROM seat WHERE pool_id = $2 AND {GRANTABLE}"
            " AND (kept_for IS NULL OR kept_for = $1)"
            f" AND (reserved_for IS NULL OR reserved_for IN ({marks(choice.reservations, 3)}))"
            " ORDER BY kept_for IS NULL, reserved_for IS NULL, number LIMIT 1) RETURNING number",
            *(user_id, choice.pool_id, *choice.reservations),
        )
        if taken is not None:
            return replace(
                session,
                kind=LicenceKind.FL,
                pool_id=choice.pool_id,
                seat_number=taken["number"],
                licence_since=now,
            )
    open_ids = {choice.pool_id for choice in wish.choices}
    mine = [pool for pool in pools if pool.id in open_ids]
    raise RefusedError(
        exhausted(
            pbx_name,
            used=sum(pool.used for pool in mine),
            total=sum(pool.seats for pool in mine),
            reserved=sum(pool.reserved + pool.kept for pool in mine),
        )
    )


def change_licence(
    session: Session, licence: UseUal | TakeSeat, actor: str, now: datetime, pbx_name: str
) -> Script[Session]:
    """Moves a session that is there to the licence it has a right to now, and writes that down."""
    before = session
    held_from: int | None = None
    if isinstance(licence, UseUal):
        if session.kind is LicenceKind.UAL:
            return session
        session = replace(session, kind=LicenceKind.UAL, pool_id=None, seat_number=None, licence_since=now)
        held_from = yield from free_seat(before)
    else:
        if session.kind is LicenceKind.FL:
            return session
        session = yield from take_seat(session, licence, pbx_name, now)
    yield from audit(
        session.pbx_id,
        "moved",
        actor,
        session.person.display_name,
        {"from": before.kind, "to": session.kind},
        now,
        pbx_user_id=session.person.pbx_user_id,
        pool_id=before.pool_id or session.pool_id,
        held_from=held_from,
    )
    return session


def put_session(session: Session) -> Script[None]:
    yield from execute(
        f"INSERT INTO session ({SESSION_COLUMNS})"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
        f" ON CONFLICT (id) DO UPDATE SET {_SESSION_UPDATES}",
        *session_values(session),
    )


def session_values(session: Session) -> tuple[Any, ...]:
    """In the order of `SESSION_COLUMNS`."""
    return (
        session.id,
        session.teams_user.tenant_id,
        session.teams_user.object_id,
        session.teams_user.name,
        session.pbx_id,
        session.person.pbx_user_id,
        session.person.login,
        session.person.display_name,
        session.person.email,
        session.person.is_administrator,
        session.kind.value,
        session.pool_id,
        session.seat_number,
        session.proof.value,
        to_ms(session.started_at),
        to_ms(session.licence_since),
        to_ms(session.last_seen_at),
    )


def end_session(session: Session, ending: Ending) -> Script[None]:
    yield from execute("DELETE FROM session WHERE id = $1", session.id)
    held_from = yield from free_seat(session)
    detail = {"cause": ending.cause, "reason": ending.reason, "kind": session.kind}
    yield from audit(
        session.pbx_id,
        "ended",
        ending.actor,
        session.person.display_name,
        detail,
        ending.now,
        pbx_user_id=session.person.pbx_user_id,
        pool_id=session.pool_id,
        held_from=held_from,
    )
    if ending.cause in TOLD:
        yield from _tell_of_the_end(session, ending)


def free_seat(session: Session) -> Script[int | None]:
    """Frees the session's seat, if it has one; gives since when it was held."""
    if session.pool_id is None:
        return None
    yield from execute(
        "UPDATE seat SET holder = NULL WHERE pool_id = $1 AND number = $2",
        *(session.pool_id, session.seat_number),
    )
    return to_ms(session.licence_since)


def _tell_of_the_end(session: Session, ending: Ending) -> Script[None]:
    """In the same transaction as the end itself: what was taken away is also told, whatever crashes then."""
    user, pbx_name = session.teams_user, (yield from pbx_name_of(session.pbx_id))
    yield from execute(
        "INSERT INTO session_end (tenant_id, object_id, pbx_name, cause, reason, ended_by, at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, object_id) DO UPDATE SET"
        " pbx_name = excluded.pbx_name, cause = excluded.cause, reason = excluded.reason,"
        " ended_by = excluded.ended_by, at = excluded.at",
        *(user.tenant_id, user.object_id, pbx_name, ending.cause.value, ending.reason, ending.actor),
        to_ms(ending.now),
    )
    detail = {
        "pbx_name": pbx_name,
        "pbx_user": session.person.display_name,
        "actor": ending.actor,
        "reason": ending.reason,
    }
    yield from tell_user(user.tenant_id, user.object_id, ending.cause.value, detail, ending.now)


def tell_user(
    tenant_id: str, object_id: str, kind: str, detail: Mapping[str, object], now: datetime
) -> Script[None]:
    yield from execute(
        "INSERT INTO notice (id, tenant_id, object_id, kind, detail, created_at, attempts, next_attempt_at, given_up)"
        " VALUES ($1, $2, $3, $4, $5, $6, 0, $6, false)",
        *(new_id(), tenant_id, object_id, kind, json.dumps(detail), to_ms(now)),
    )


def pbx_name_of(pbx_id: str) -> Script[str]:
    row = yield from first("SELECT name FROM pbx WHERE id = $1", pbx_id)
    return str(row["name"]) if row is not None else ""


def pools_of(pbx_id: str) -> Script[list[Pool]]:
    """Those whose key is in the connector's configuration now."""
    rows = yield from execute(POOLS.format(pbx_id="$1"), pbx_id)
    return [to_pool(row) for row in rows]


def to_pool(row: Row) -> Pool:
    return Pool(
        id=row["id"],
        serial=row["serial"],
        seats=row["seats"],
        used=row["used"],
        valid_from=from_ms(row["valid_from"]),
        valid_until=from_ms(row["valid_until"]),
        policy=Policy.model_validate_json(row["policy"]),
        reserved=row["reserved"],
        kept=row["kept"],
    )


def session_by(condition: str, *values: Any) -> Script[Session | None]:
    row = yield from first(f"SELECT {SESSION_COLUMNS} FROM session WHERE {condition}", *values)
    return to_session(row) if row is not None else None


def audit(
    pbx_id: str,
    kind: str,
    actor: str,
    subject: str,
    detail: Mapping[str, object],
    now: datetime,
    *,
    pbx_user_id: int | None = None,
    pool_id: str | None = None,
    held_from: int | None = None,
) -> Script[None]:
    yield from execute(
        "INSERT INTO audit (at, pbx_id, kind, actor, subject, detail, pbx_user_id, pool_id, held_from)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        *(to_ms(now), pbx_id, kind, actor, subject, json.dumps(detail), pbx_user_id, pool_id, held_from),
    )
