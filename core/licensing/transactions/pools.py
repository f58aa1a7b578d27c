"""Create, change, withdraw and release pools, and set their rules."""

import json
from collections.abc import Sequence
from datetime import datetime

from core.diagnosis.codes import Code, LicenceReason
from core.diagnosis.finding import Finding
from core.licensing.licence_key import LicenceKey
from core.licensing.policy import Policy
from core.licensing.session import (
    SESSION_COLUMNS,
    EndCause,
    Ending,
    Session,
    to_session,
)
from core.licensing.transactions.proofs import check_installation, is_newest_link
from core.licensing.transactions.settling import mark_reservations, settle
from core.licensing.transactions.steps import TransactionRefusedError, end_session, get_pbx_name, lock_pools
from core.store.audit import AN_HOUR, CONNECTOR, Actor, AuditKind, audit, count_audit
from core.store.timestamps import new_id, to_ms
from core.store.transaction import Transaction, count, execute, first


def put_pool(pbx_id: str, key: LicenceKey, now: datetime) -> Transaction[bool]:
    """Create or update the pool of one licence key; return False when the key is bound to another PBX."""
    yield from lock_pools(pbx_id)
    row = yield from first(
        "SELECT id, pbx_id, valid_from, valid_until, withdrawn FROM pool WHERE serial = $1", key.serial
    )
    if row is not None and row["pbx_id"] != pbx_id:
        return False
    start, end = to_ms(key.starts), to_ms(key.ends)
    if row is None:
        pool_id, have, is_new = new_id(), 0, True
        yield from execute(
            "INSERT INTO pool (id, serial, pbx_id, licensee, valid_from, valid_until, withdrawn, plain, policy)"
            " VALUES ($1, $2, $3, $4, $5, $6, false, true, '{}')",
            pool_id,
            key.serial,
            pbx_id,
            key.licensee,
            start,
            end,
        )
    else:
        pool_id, is_new = row["id"], bool(row["withdrawn"])
        have = yield from _count_seats(pool_id)
        if (row["valid_from"], row["valid_until"]) != (start, end):
            yield from execute("UPDATE pool SET expiry_told = NULL WHERE id = $1", pool_id)
            is_new = True
        yield from execute(
            "UPDATE pool SET licensee = $1, valid_from = $2, valid_until = $3, withdrawn = false WHERE id = $4",
            key.licensee,
            start,
            end,
            pool_id,
        )
    if have != key.seats:
        yield from _fit_seats(pbx_id, pool_id, key.seats)
        yield from mark_reservations(pool_id)
    if is_new or have != key.seats:
        detail = {
            "seats": key.seats,
            "from": key.valid_from.isoformat(),
            "until": key.valid_until.isoformat(),
        }
        kind = AuditKind.POOL_ADDED if row is None else AuditKind.POOL_CHANGED
        yield from audit(
            pbx_id=pbx_id, kind=kind, actor=CONNECTOR, subject=key.serial, detail=detail, now=now
        )
        yield from settle(pbx_id, now)
    return True


def register_keys(
    pbx_id: str,
    keys: Sequence[LicenceKey],
    refused: Sequence[LicenceReason],
    now: datetime,
    epoch: int | None = None,
) -> Transaction[Sequence[str]]:
    """Make the PBX's pools match the licence keys of its connector; withdraw the pools of all other keys.

    `keys` are all valid keys of the connector; `refused` are the reasons why its other keys were refused. Return the
    serials of keys that are bound to another PBX. `epoch` is the epoch of the link that sent the keys; when a newer
    link has replaced it, nothing changes.
    """
    elsewhere: list[str] = []
    if epoch is not None:
        yield from lock_pools(pbx_id)
        if not (yield from is_newest_link(pbx_id, epoch)):
            return elsewhere
    for key in keys:
        is_mine = yield from put_pool(pbx_id, key, now)
        elsewhere += [] if is_mine else [key.serial]
    mine = [key.serial for key in keys if key.serial not in elsewhere]
    yield from withdraw_pools_except(pbx_id=pbx_id, serials=mine, actor=CONNECTOR, now=now)
    reasons = json.dumps([*refused, *([LicenceReason.KEY_BOUND_ELSEWHERE] * len(elsewhere))])
    changed = yield from first(
        "UPDATE pbx SET refused_keys = $1 WHERE id = $2 AND refused_keys <> $1 RETURNING name",
        reasons,
        pbx_id,
    )
    if changed is not None and reasons != "[]":
        detail = {"reasons": json.loads(reasons)}
        yield from count_audit(
            pbx_id=pbx_id,
            kind=AuditKind.KEYS_REFUSED,
            actor=CONNECTOR,
            subject=changed["name"],
            detail=detail,
            now=now,
            what=reasons,
            within=AN_HOUR,
        )
    return elsewhere


def withdraw_pools_except(
    pbx_id: str, serials: Sequence[str], actor: Actor, now: datetime
) -> Transaction[None]:
    """Withdraw the pools whose key is no longer in the connector's configuration: they grant no more seats."""
    rows = yield from execute("SELECT id, serial FROM pool WHERE pbx_id = $1 AND NOT withdrawn", pbx_id)
    gone = [row for row in rows if row["serial"] not in serials]
    if not gone:
        return
    yield from lock_pools(pbx_id)
    for row in gone:
        yield from execute("UPDATE pool SET withdrawn = true WHERE id = $1", row["id"])
        yield from audit(
            pbx_id=pbx_id,
            kind=AuditKind.POOL_WITHDRAWN,
            actor=actor,
            subject=row["serial"],
            detail={},
            now=now,
        )
    yield from settle(pbx_id, now)


def put_policy(
    pbx_id: str, pool_id: str, policy: Policy, actor: Actor, now: datetime, installation: int | None = None
) -> Transaction[None]:
    """Replace the rules of a pool.

    `installation` is the installation under which the actor is an administrator. Raises TransactionRefusedError when
    the pool is gone, when its rules reserve more seats than it has, or when the PBX has been handed over.
    """
    yield from lock_pools(pbx_id)
    if installation is not None:
        yield from check_installation(pbx_id, installation, (yield from get_pbx_name(pbx_id)))
    row = yield from first("SELECT serial, policy FROM pool WHERE id = $1 AND pbx_id = $2", pool_id, pbx_id)
    if row is None:
        raise TransactionRefusedError(Finding(Code.POOL_GONE))
    total = yield from _count_seats(pool_id)
    if policy.reserved_seats > total:
        raise TransactionRefusedError(
            Finding(Code.BAD_POLICY, {"reserved": policy.reserved_seats, "total": total})
        )
    text = policy.model_dump_json(exclude_defaults=True)
    if text == row["policy"]:
        return
    yield from execute("UPDATE pool SET policy = $1 WHERE id = $2", text, pool_id)
    yield from mark_reservations(pool_id)
    detail = {"before": json.loads(row["policy"]), "after": json.loads(text)}
    yield from audit(
        pbx_id=pbx_id,
        kind=AuditKind.POLICY_CHANGED,
        actor=actor,
        subject=row["serial"],
        detail=detail,
        now=now,
    )
    yield from settle(pbx_id, now)


class SeatsHeldError(Exception):
    """A licence key is not released, because `count` sessions hold seats of it. The writer rolls the transaction back."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


def release_key(
    serial: str, actor: Actor, now: datetime, *, end_sessions: bool
) -> Transaction[tuple[Session, ...]]:
    """Unbind a licence key from its PBX, so that another PBX may register it; return the sessions that ended.

    Raises SeatsHeldError while seats of the key are held and `end_sessions` is false, and TransactionRefusedError when
    no PBX has the key.
    """
    row = yield from first("SELECT id, pbx_id FROM pool WHERE serial = $1", serial)
    if row is None:
        raise TransactionRefusedError(Finding(Code.POOL_GONE))
    pbx_id, pool_id = row["pbx_id"], row["id"]
    yield from lock_pools(pbx_id)
    rows = yield from execute(
        f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1 AND pool_id = $2", pbx_id, pool_id
    )
    if rows and not end_sessions:
        raise SeatsHeldError(len(rows))
    ended = tuple(to_session(row) for row in rows)
    for session in ended:
        yield from end_session(session, Ending(cause=EndCause.REVOKED, actor=actor, reason="", now=now))
    yield from execute("DELETE FROM seat WHERE pool_id = $1", pool_id)
    yield from execute("DELETE FROM pool WHERE id = $1", pool_id)
    yield from audit(
        pbx_id=pbx_id,
        kind=AuditKind.KEY_RELEASED,
        actor=actor,
        subject=serial,
        detail={"ended": len(ended)},
        now=now,
    )
    yield from settle(pbx_id, now)
    return ended


def _count_seats(pool_id: str) -> Transaction[int]:
    """Return how many seats the key grants, held or free. Retired seats do not count."""
    return count("SELECT count(*) AS n FROM seat WHERE pool_id = $1 AND NOT retired", pool_id)


def _fit_seats(pbx_id: str, pool_id: str, seats: int) -> Transaction[None]:
    """Make exactly `seats` rows grantable, held ones first, and retire the others.

    A retired row is not deleted, because its holder keeps it until their session ends.
    """
    have = yield from count("SELECT count(*) AS n FROM seat WHERE pool_id = $1", pool_id)
    if have < seats:
        yield from execute(
            "INSERT INTO seat (pool_id, number, pbx_id, retired) WITH RECURSIVE n (number) AS"
            " (SELECT CAST($1 AS INTEGER) UNION ALL SELECT number + 1 FROM n WHERE number < CAST($2 AS INTEGER))"
            " SELECT $3, number, $4, false FROM n",
            have + 1,
            seats,
            pool_id,
            pbx_id,
        )
    yield from execute(
        "UPDATE seat SET retired = number NOT IN"
        " (SELECT number FROM seat WHERE pool_id = $1 ORDER BY holder IS NULL, kept_for IS NULL, number LIMIT $2)"
        " WHERE pool_id = $1",
        pool_id,
        seats,
    )
