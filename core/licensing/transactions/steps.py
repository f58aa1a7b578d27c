"""Steps shared by several transactions: lock pools, take and free seats, store and end sessions, notify users."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from core.diagnosis.finding import RefusedError
from core.licensing.policy import Policy
from core.licensing.rules import Administer, Grant, LicenceKind, Pool, TakeSeat, UseUal, exhausted_finding
from core.licensing.session import (
    NOTIFIED_CAUSES,
    SESSION_COLUMNS,
    Ending,
    Proof,
    Session,
    to_session,
)
from core.store.audit import SYSTEM, Actor, AuditKind, audit
from core.store.timestamps import from_ms, new_id, to_ms
from core.store.transaction import Row, Transaction, execute, first, placeholders

GRANTABLE: Final = "holder IS NULL AND NOT retired"

IS_ADMINISTRATOR: Final = f"is_administrator AND proof = '{Proof.PASSWORD}'"
"""SQL condition on the table `session`; the same as `Session.may_administer`."""

SEATS: Final = "count(*) FILTER (WHERE NOT retired) AS seats, count(holder) AS used"
"""SQL columns that count seats: `seats` are granted by their keys, `used` are held."""
POOLS: Final = (
    "SELECT id, serial, valid_from, valid_until, policy, coalesce(seats, 0) AS seats, coalesce(used, 0) AS used,"
    " coalesce(reserved, 0) AS reserved, coalesce(kept, 0) AS kept"
    f" FROM pool LEFT JOIN (SELECT pool_id, {SEATS},"
    f" count(*) FILTER (WHERE {GRANTABLE} AND kept_for IS NULL AND reserved_for IS NOT NULL) AS reserved,"
    f" count(*) FILTER (WHERE {GRANTABLE} AND kept_for IS NOT NULL) AS kept FROM seat"
    " WHERE pool_id IN (SELECT id FROM pool WHERE pbx_id = {pbx_id} AND NOT withdrawn) GROUP BY pool_id) AS counted"
    " ON counted.pool_id = pool.id WHERE pbx_id = {pbx_id} AND NOT withdrawn ORDER BY valid_until, id"
)
"""Query that reads rows for `to_pool`. Replace `{pbx_id}` with the reader's placeholder."""

_SESSION_UPDATES: Final = ", ".join(f"{name} = excluded.{name}" for name in SESSION_COLUMNS.split(", ")[1:])


class TransactionRefusedError(RefusedError):
    """A transaction refuses its request. The writer rolls the transaction back."""


def lock_pools(*pbx_ids: str) -> Transaction[None]:
    """Lock all pools of these PBXs exclusively until the transaction ends."""
    yield from execute(
        f"SELECT id FROM pool WHERE pbx_id IN ({placeholders(pbx_ids, 1)}) ORDER BY id FOR UPDATE", *pbx_ids
    )


def take_seat(session: Session, request: TakeSeat, pbx_name: str, now: datetime) -> Transaction[Session]:
    """Take the best free seat for this user: first one offered to them, then a reserved one, then any other.

    Return the session with the seat; it is not stored yet. Raises TransactionRefusedError when no seat is free for
    this user.
    """
    user_id = session.person.pbx_user_id
    kept = yield from first(
        "SELECT pool_id FROM seat WHERE pbx_id = $1 AND kept_for = $2", session.pbx_id, user_id
    )
    pools = yield from list_pools(session.pbx_id)
    good = {pool.id for pool in pools if pool.is_valid(now)}  # the choices were computed a moment ago
    choices = [choice for choice in request.choices if choice.pool_id in good]
    if kept is not None:
        choices.sort(key=lambda choice: choice.pool_id != kept["pool_id"])
    for choice in choices:
        taken = yield from first(
            "UPDATE seat SET holder = $1, kept_for = NULL, kept_until = NULL"
            f" WHERE (pool_id, number) = (SELECT pool_id, number FROM seat WHERE pool_id = $2 AND {GRANTABLE}"
            " AND (kept_for IS NULL OR kept_for = $1)"
            f" AND (reserved_for IS NULL OR reserved_for IN ({placeholders(choice.reservations, 3)}))"
            " ORDER BY kept_for IS NULL, reserved_for IS NULL, number LIMIT 1) RETURNING number",
            user_id,
            choice.pool_id,
            *choice.reservations,
        )
        if taken is not None:
            return replace(
                session,
                kind=LicenceKind.FL,
                pool_id=choice.pool_id,
                seat_number=taken["number"],
                licence_since=now,
            )
    open_ids = {choice.pool_id for choice in request.choices}
    mine = [pool for pool in pools if pool.id in open_ids]
    raise TransactionRefusedError(
        exhausted_finding(
            pbx_name,
            used=sum(pool.used for pool in mine),
            total=sum(pool.seats for pool in mine),
            reserved=sum(pool.reserved + pool.kept for pool in mine),
        )
    )


def change_licence(
    session: Session, licence: Grant, actor: Actor, now: datetime, pbx_name: str
) -> Transaction[Session]:
    """Move an existing session to the licence that its user is entitled to now, and audit the move.

    Return the changed session; it is not stored yet. Raises TransactionRefusedError when a seat is needed and none is
    free.
    """
    before = session
    held_from: int | None = None
    if isinstance(licence, Administer):
        return session  # the session keeps its licence until the PBX reports a change
    if isinstance(licence, UseUal):
        if session.kind is LicenceKind.UAL:
            return session
        session = replace(session, kind=LicenceKind.UAL, pool_id=None, seat_number=None, licence_since=now)
        held_from = yield from free_seat(before)
    else:
        if session.kind is LicenceKind.FL:
            return session
        session = yield from take_seat(session=session, request=licence, pbx_name=pbx_name, now=now)
    yield from _audit_move(before=before, after=session, actor=actor, now=now, held_from=held_from)
    return session


def keep_for_administration(session: Session, now: datetime) -> Transaction[Session]:
    """Free the licence of an administrator's session but keep the session (see `Administer`). The caller stores it."""
    kept = replace(
        session, kind=LicenceKind.ADMINISTRATION, pool_id=None, seat_number=None, licence_since=now
    )
    held_from = yield from free_seat(session)
    yield from _audit_move(before=session, after=kept, actor=SYSTEM, now=now, held_from=held_from)
    return kept


def _audit_move(
    before: Session, after: Session, actor: Actor, now: datetime, held_from: int | None
) -> Transaction[None]:
    yield from audit(
        pbx_id=after.pbx_id,
        kind=AuditKind.MOVED,
        actor=actor,
        subject=after.person.display_name,
        detail={"from": before.kind, "to": after.kind},
        now=now,
        pbx_user_id=after.person.pbx_user_id,
        pool_id=before.pool_id or after.pool_id,
        held_from=held_from,
    )


def put_session(session: Session) -> Transaction[None]:
    """Insert the session, or update it if its id exists."""
    yield from execute(
        f"INSERT INTO session ({SESSION_COLUMNS})"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
        f" ON CONFLICT (id) DO UPDATE SET {_SESSION_UPDATES}",
        *session_values(session),
    )


def session_values(session: Session) -> tuple[Any, ...]:
    """Return the column values in the order of `SESSION_COLUMNS`."""
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
        session.installation,
    )


def end_session(session: Session, ending: Ending) -> Transaction[None]:
    """Delete the session, free its seat, audit the end, and notify the user unless they chose it themselves."""
    yield from execute("DELETE FROM session WHERE id = $1", session.id)
    held_from = yield from free_seat(session)
    detail = {"cause": ending.cause, "reason": ending.reason, "kind": session.kind}
    yield from audit(
        pbx_id=session.pbx_id,
        kind=AuditKind.ENDED,
        actor=ending.actor,
        subject=session.person.display_name,
        detail=detail,
        now=ending.now,
        pbx_user_id=session.person.pbx_user_id,
        pool_id=session.pool_id,
        held_from=held_from,
    )
    if ending.cause in NOTIFIED_CAUSES:
        yield from _notify_of_end(session, ending)


def free_seat(session: Session) -> Transaction[int | None]:
    """Free the session's seat, if it has one; return since when it was held (milliseconds since the epoch)."""
    if session.pool_id is None:
        return None
    yield from execute(
        "UPDATE seat SET holder = NULL WHERE pool_id = $1 AND number = $2",
        session.pool_id,
        session.seat_number,
    )
    return to_ms(session.licence_since)


def _notify_of_end(session: Session, ending: Ending) -> Transaction[None]:
    """Store the end for the user's tab, and a notice for the bot.

    This is part of the transaction that ends the session, so a crash cannot lose the message.
    """
    user, pbx_name = session.teams_user, (yield from get_pbx_name(session.pbx_id))
    yield from execute(
        "INSERT INTO session_end (tenant_id, object_id, pbx_name, cause, reason, at, ended_by, ended_by_kind,"
        " ended_by_tenant_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant_id, object_id)"
        " DO UPDATE SET pbx_name = excluded.pbx_name, cause = excluded.cause, reason = excluded.reason,"
        " at = excluded.at, ended_by = excluded.ended_by, ended_by_kind = excluded.ended_by_kind,"
        " ended_by_tenant_id = excluded.ended_by_tenant_id",
        user.tenant_id,
        user.object_id,
        pbx_name,
        ending.cause.value,
        ending.reason,
        to_ms(ending.now),
        ending.actor.name,
        ending.actor.kind.value,
        ending.actor.tenant_id,
    )
    detail = {
        "pbx_name": pbx_name,
        "pbx_user": session.person.display_name,
        "actor": ending.actor.name,
        "actor_kind": ending.actor.kind,
        "other_organisation": ending.actor.tenant_id not in (None, user.tenant_id),
        "reason": ending.reason,
    }
    yield from notify_user(
        tenant_id=user.tenant_id,
        object_id=user.object_id,
        kind=ending.cause.value,
        detail=detail,
        now=ending.now,
    )


def notify_user(
    tenant_id: str, object_id: str, kind: str, detail: Mapping[str, object], now: datetime
) -> Transaction[None]:
    """Store a notice that the bot will send to this Teams user."""
    yield from execute(
        "INSERT INTO notice (id, tenant_id, object_id, kind, detail, created_at, attempts, next_attempt_at, given_up)"
        " VALUES ($1, $2, $3, $4, $5, $6, 0, $6, false)",
        new_id(),
        tenant_id,
        object_id,
        kind,
        json.dumps(detail),
        to_ms(now),
    )


def get_pbx_name(pbx_id: str) -> Transaction[str]:
    """Return the name of the PBX, or an empty string when there is no such PBX."""
    row = yield from first("SELECT name FROM pbx WHERE id = $1", pbx_id)
    return str(row["name"]) if row is not None else ""


def list_pools(pbx_id: str) -> Transaction[list[Pool]]:
    """Return the PBX's pools that are not withdrawn, the earliest expiry first."""
    rows = yield from execute(POOLS.format(pbx_id="$1"), pbx_id)
    return [to_pool(row) for row in rows]


def to_pool(row: Row) -> Pool:
    """Make a pool from a row of the query `POOLS`."""
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


def find_session(condition: str, *values: Any) -> Transaction[Session | None]:
    """Return the first session that meets an SQL condition. `values` fill its placeholders, beginning with $1."""
    row = yield from first(f"SELECT {SESSION_COLUMNS} FROM session WHERE {condition}", *values)
    return to_session(row) if row is not None else None
