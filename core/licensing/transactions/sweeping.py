"""Time-driven clean-up: expire offers, release idle seats, end sessions of expired keys and sessions that are too
old.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from core.licensing.policy import Policy
from core.licensing.rules import GRACE, Pool, TakeSeat, seat_choices
from core.licensing.session import (
    NO_CALL_FACTS,
    SESSION_COLUMNS,
    CallFacts,
    EndCause,
    Ending,
    ExpiredHolders,
    Session,
    to_session,
)
from core.licensing.transactions.ageing import (
    SessionAge,
    end_expired_sessions,
    list_expired_user_ids,
    list_pbxs_with_due_sessions,
)
from core.licensing.transactions.settling import settle
from core.licensing.transactions.steps import (
    GRANTABLE,
    IS_ADMINISTRATOR,
    TransactionRefusedError,
    end_session,
    free_seat,
    get_pbx_name,
    keep_for_administration,
    list_pools,
    lock_pools,
    notify_user,
    put_session,
    take_seat,
)
from core.licensing.transactions.waiting_list import REFUSAL_LIFETIME
from core.store.audit import SYSTEM, AuditKind, audit
from core.store.timestamps import from_ms, to_ms
from core.store.transaction import Row, Transaction, execute, first

EXPIRY_WARNING_DAYS: Final = (30, 7, 1)
"""How many days before a key expires the administrators are warned: once for each number."""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep changed, so that the affected tabs can be updated."""

    sessions: tuple[Session, ...]
    waiting_list_changed: bool
    """Somebody on the waiting list was offered a seat, or an offer expired."""

    def __bool__(self) -> bool:
        return bool(self.sessions) or self.waiting_list_changed


_EXPIRED: Final = (
    "pool JOIN session ON session.pbx_id = pool.pbx_id AND session.pool_id = pool.id WHERE valid_until <= $1"
)


def list_pbxs_to_sweep(now: datetime, age: SessionAge | None = None) -> Transaction[list[str]]:
    """Return the ids of PBXs where a sweep has something to do. `age` None: sessions have no maximum age."""
    at = to_ms(now)
    found: set[str] = (yield from list_pbxs_with_due_sessions(age, now)) if age is not None else set()
    offer_missed = "SELECT DISTINCT pbx_id FROM seat WHERE kept_for IS NOT NULL AND kept_until <= $1"
    seats_unoffered = (
        "SELECT DISTINCT waiting.pbx_id FROM waiting JOIN seat ON seat.pbx_id = waiting.pbx_id"
        f" WHERE joined_at IS NOT NULL AND offered_at IS NULL AND {GRANTABLE} AND kept_for IS NULL"
    )
    refusal_old = "SELECT DISTINCT pbx_id FROM waiting WHERE joined_at IS NULL AND refused_at < $1"
    key_expired = f"SELECT DISTINCT pool.pbx_id FROM {_EXPIRED}"
    expiry_near = (
        "SELECT DISTINCT pbx_id FROM pool WHERE NOT withdrawn AND valid_until > $1 AND valid_until <= $2"
        " AND (expiry_told IS NULL OR expiry_told > $3)"
        f" AND EXISTS (SELECT 1 FROM session WHERE session.pbx_id = pool.pbx_id AND {IS_ADMINISTRATOR})"
    )
    queries: list[tuple[str, tuple[Any, ...]]] = [
        (offer_missed, (at,)),
        (seats_unoffered, ()),
        (refusal_old, (to_ms(now - REFUSAL_LIFETIME),)),
        (key_expired, (at,)),
        *((expiry_near, (at, to_ms(now + timedelta(days=days)), days)) for days in EXPIRY_WARNING_DAYS),
    ]
    for text, values in queries:
        rows = yield from execute(text, *values)
        found.update(row["pbx_id"] for row in rows)
    pools = yield from execute("SELECT id, pbx_id, policy FROM pool WHERE policy <> '{}'")
    for pool in pools:
        try:
            hours = Policy.model_validate_json(pool["policy"]).idle_hours
        except ValueError:  # a pool with an unreadable policy must not stop the sweep of other PBXs
            found.add(pool["pbx_id"])  # the sweep of its own PBX fails and reports the error
            continue
        if hours is not None and pool["pbx_id"] not in found:
            idle = yield from first(
                "SELECT id FROM session WHERE pbx_id = $1 AND pool_id = $2 AND last_seen_at <= $3 LIMIT 1",
                pool["pbx_id"],
                pool["id"],
                to_ms(now - timedelta(hours=hours)),
            )
            if idle is not None:
                found.add(pool["pbx_id"])
    return sorted(found)


def list_expired_holders(
    pbx_id: str, now: datetime, age: SessionAge | None = None
) -> Transaction[ExpiredHolders]:
    """Return the PBX users whose session ends as soon as they have no call: the key expired, or the session is too
    old.
    """
    rows = yield from execute(
        f"SELECT session.pbx_user_id FROM {_EXPIRED} AND pool.pbx_id = $2", to_ms(now), pbx_id
    )
    pools = (yield from list_pools(pbx_id)) if rows else []
    old = (yield from list_expired_user_ids(pbx_id, now)) if age is not None else []
    return ExpiredHolders(
        tuple(dict.fromkeys([*(row["pbx_user_id"] for row in rows), *old])),
        groups_matter=any(pool.policy.names_groups for pool in pools if _has_room(pool, now)),
    )


def sweep(
    pbx_id: str, now: datetime, facts: CallFacts = NO_CALL_FACTS, age: SessionAge | None = None
) -> Transaction[SweepResult]:
    """Clean up one PBX: expire offers, release idle seats, and handle expired keys and sessions that are too old.

    A session with an expired key, or of the maximum age, ends now if its user has no call, otherwise at the latest when
    the grace period of an hour is over.
    """
    yield from lock_pools(pbx_id)
    touched: list[Session] = []
    missed = yield from _expire_offers(pbx_id, now)
    if age is not None:
        touched += yield from end_expired_sessions(
            pbx_id=pbx_id, age=age, without_call=facts.without_call, now=now
        )
    pools = yield from list_pools(pbx_id)
    over = yield from execute(
        f"SELECT DISTINCT pool.id, serial, valid_until FROM {_EXPIRED} AND pool.pbx_id = $2 ORDER BY pool.id",
        to_ms(now),
        pbx_id,
    )
    for row in over:  # including withdrawn pools, whose key is no longer in the connector's configuration
        touched += yield from _end_expired(pbx_id=pbx_id, pool=row, pools=pools, facts=facts, now=now)
    for pool in pools:
        yield from _warn_of_expiry(pbx_id, pool, now)
        if pool.policy.idle_hours is not None:
            before = to_ms(now - timedelta(hours=pool.policy.idle_hours))
            rows = yield from execute(
                f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1 AND pool_id = $2 AND last_seen_at <= $3",
                pbx_id,
                pool.id,
                before,
            )
            for session in (to_session(row) for row in rows):
                yield from end_session(session, Ending(cause=EndCause.IDLE, actor=SYSTEM, reason="", now=now))
                touched.append(session)
    yield from execute(
        "DELETE FROM waiting WHERE pbx_id = $1 AND joined_at IS NULL AND refused_at < $2",
        pbx_id,
        to_ms(now - REFUSAL_LIFETIME),
    )
    offered = yield from settle(pbx_id, now)
    return SweepResult(tuple(touched), waiting_list_changed=missed or offered)


def _expire_offers(pbx_id: str, now: datetime) -> Transaction[bool]:
    """Expire offers that were not accepted in time; return whether there were any.

    The person loses their place on the waiting list and is notified.
    """
    rows = yield from execute(
        "SELECT kept_for FROM seat WHERE pbx_id = $1 AND kept_for IS NOT NULL AND kept_until <= $2",
        pbx_id,
        to_ms(now),
    )
    for row in rows:
        place = yield from first(
            "DELETE FROM waiting WHERE pbx_id = $1 AND pbx_user_id = $2 RETURNING *", pbx_id, row["kept_for"]
        )
        if place is not None:
            pbx_name = yield from get_pbx_name(pbx_id)
            detail = {"pbx_name": pbx_name, "pbx_user": place["display_name"]}
            yield from notify_user(
                tenant_id=place["tenant_id"],
                object_id=place["object_id"],
                kind="offer-passed",
                detail=detail,
                now=now,
            )
            yield from audit(
                pbx_id=pbx_id,
                kind=AuditKind.OFFER_PASSED,
                actor=SYSTEM,
                subject=place["display_name"],
                detail={},
                now=now,
                pbx_user_id=place["pbx_user_id"],
            )
    yield from execute(
        "UPDATE seat SET kept_for = NULL, kept_until = NULL WHERE pbx_id = $1 AND kept_for IS NOT NULL"
        " AND kept_until <= $2",
        pbx_id,
        to_ms(now),
    )
    return bool(rows)


def _warn_of_expiry(pbx_id: str, pool: Pool, now: datetime) -> Transaction[None]:
    """Warn the signed-in administrators that a key expires soon, once for each number in `EXPIRY_WARNING_DAYS`.

    While no administrator is signed in, the warning stays due.
    """
    days = next(
        (days for days in sorted(EXPIRY_WARNING_DAYS) if pool.valid_until <= now + timedelta(days=days)), None
    )
    if days is None or pool.valid_until <= now:
        return
    administrators = yield from execute(
        f"SELECT tenant_id, object_id FROM session WHERE pbx_id = $1 AND {IS_ADMINISTRATOR}", pbx_id
    )
    if not administrators:
        return
    updated = yield from first(
        "UPDATE pool SET expiry_told = $1 WHERE id = $2 AND (expiry_told IS NULL OR expiry_told > $1) RETURNING id",
        days,
        pool.id,
    )
    if updated is None:
        return
    pbx_name = yield from get_pbx_name(pbx_id)
    detail = {
        "pbx_name": pbx_name,
        "serial": pool.serial,
        "seats": pool.seats,
        "until": to_ms(pool.valid_until),
    }
    for row in administrators:
        yield from notify_user(
            tenant_id=row["tenant_id"], object_id=row["object_id"], kind="key-expires", detail=detail, now=now
        )
    yield from audit(
        pbx_id=pbx_id,
        kind=AuditKind.EXPIRY_NOTIFIED,
        actor=SYSTEM,
        subject=pool.serial,
        detail={"days": days, "told": len(administrators)},
        now=now,
    )


def _end_expired(
    pbx_id: str, pool: Row, pools: Sequence[Pool], facts: CallFacts, now: datetime
) -> Transaction[list[Session]]:
    """Move sessions of an expired pool to another pool that has room, or end them; return the sessions that changed.

    A session that cannot move ends as soon as its user has no call, and after the grace period at the latest. An
    administrator's session then stays without a licence. `pool` is a row with `id`, `serial` and `valid_until`.
    """
    pool_id, serial = pool["id"], pool["serial"]
    is_over = from_ms(pool["valid_until"]) + GRACE <= now
    rows = yield from execute(
        f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1 AND pool_id = $2", pbx_id, pool_id
    )
    sessions = [to_session(row) for row in rows]
    updated = yield from first(
        "UPDATE pool SET expiry_told = 0 WHERE id = $1 AND (expiry_told IS NULL OR expiry_told > 0) RETURNING id",
        pool_id,
    )
    touched = [] if updated is None else list(sessions)  # their tabs show that the grace period has begun
    may_move = any(_has_room(other, now) for other in pools)
    pbx_name = yield from get_pbx_name(pbx_id)
    for session in sessions:
        user_id = session.person.pbx_user_id
        ends = is_over or user_id in facts.without_call
        if not may_move and not ends:
            continue
        request = TakeSeat(
            seat_choices(pools=pools, user_id=user_id, group_ids=facts.groups.get(user_id, ()), now=now)
        )
        try:
            held_from = yield from free_seat(session)
            moved = yield from take_seat(session=session, request=request, pbx_name=pbx_name, now=now)
        except TransactionRefusedError:
            yield from execute(
                "UPDATE seat SET holder = $1 WHERE pool_id = $2 AND number = $3",
                user_id,
                session.pool_id,
                session.seat_number,
            )
            if ends and session.may_administer:
                kept = yield from keep_for_administration(session, now)
                yield from put_session(kept)
                touched.append(kept)
            elif ends:
                yield from end_session(
                    session, Ending(cause=EndCause.EXPIRED, actor=SYSTEM, reason=serial, now=now)
                )
                touched.append(session)
            continue
        yield from put_session(moved)
        yield from audit(
            pbx_id=pbx_id,
            kind=AuditKind.MOVED,
            actor=SYSTEM,
            subject=session.person.display_name,
            detail={"from": "FL", "to": "FL"},
            now=now,
            pbx_user_id=user_id,
            pool_id=pool_id,
            held_from=held_from,
        )
        touched.append(moved)
    return touched


def _has_room(pool: Pool, now: datetime) -> bool:
    """Return whether the pool may have a free seat. Reservations and offers are checked when the seat is taken."""
    return pool.is_valid(now) and pool.used < pool.seats
