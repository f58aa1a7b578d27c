"""Restore the invariants of a PBX's seats at the end of every transaction.

Cover a surplus of holders, take back stray offers, offer free seats to people who wait, mark reservations, and update
`pool.plain`. Afterwards a seat is free for everybody only if its pool has room and nobody on the waiting list may
have it.
"""

import json
from datetime import datetime, timedelta
from typing import Final

from core.licensing.policy import Policy
from core.licensing.rules import seat_choices
from core.licensing.transactions.steps import GRANTABLE, get_pbx_name, list_pools, notify_user
from core.store.audit import SYSTEM, AuditKind, audit
from core.store.timestamps import to_ms
from core.store.transaction import Transaction, count, execute, first, placeholders

OFFER_LIFETIME: Final = timedelta(minutes=5)
"""How long an offered seat is held for a person on the waiting list."""


def mark_reservations(pool_id: str) -> Transaction[None]:
    """Mark as many rows for each reservation as the pool's policy says, free rows first."""
    row = yield from first("SELECT policy FROM pool WHERE id = $1", pool_id)
    policy = Policy.model_validate_json(row["policy"]) if row is not None else Policy()
    ids = [reservation.id for reservation in policy.reservations]
    yield from execute(
        "UPDATE seat SET reserved_for = NULL WHERE pool_id = $1 AND reserved_for IS NOT NULL"
        f" AND (retired OR reserved_for NOT IN ({placeholders(ids, 2) if ids else repr('')}))",
        pool_id,
        *ids,
    )
    for reservation in policy.reservations:
        have = yield from count(
            "SELECT count(*) AS n FROM seat WHERE pool_id = $1 AND reserved_for = $2", pool_id, reservation.id
        )
        if have > reservation.seats:
            yield from execute(
                "UPDATE seat SET reserved_for = NULL WHERE pool_id = $1 AND number IN (SELECT number FROM seat"
                " WHERE pool_id = $1 AND reserved_for = $2 ORDER BY holder IS NULL, number LIMIT $3)",
                pool_id,
                reservation.id,
                have - reservation.seats,
            )
        elif have < reservation.seats:
            yield from execute(
                "UPDATE seat SET reserved_for = $2 WHERE pool_id = $1 AND number IN (SELECT number FROM seat"
                " WHERE pool_id = $1 AND reserved_for IS NULL AND NOT retired"
                " ORDER BY holder IS NOT NULL, kept_for IS NOT NULL, number LIMIT $3)",
                pool_id,
                reservation.id,
                reservation.seats - have,
            )


def settle(pbx_id: str, now: datetime) -> Transaction[bool]:
    """Restore the invariants after a change; return whether a seat was offered to somebody on the waiting list."""
    yield from _cover_surplus(pbx_id)
    yield from _take_back_stray_offers(pbx_id)
    offered = yield from _offer_seats(pbx_id, now)
    special = (
        "EXISTS (SELECT 1 FROM seat WHERE seat.pool_id = pool.id AND retired AND holder IS NOT NULL)"
        " OR EXISTS (SELECT 1 FROM seat WHERE seat.pool_id = pool.id AND kept_for IS NOT NULL)"
        " OR EXISTS (SELECT 1 FROM waiting WHERE waiting.pbx_id = pool.pbx_id AND joined_at IS NOT NULL)"
    )
    yield from execute(
        f"UPDATE pool SET plain = NOT ({special}) WHERE pbx_id = $1 AND plain = ({special})", pbx_id
    )
    return offered


def _cover_surplus(pbx_id: str) -> Transaction[None]:
    """Retire freed rows of a pool that has more holders than seats.

    Each row that becomes free is retired, and in exchange a held row that was retired counts again.
    """
    surplus = yield from execute(
        "SELECT seat.pool_id AS pool_id, number FROM seat JOIN pool ON pool.id = seat.pool_id"
        " WHERE pool.pbx_id = $1 AND retired AND holder IS NOT NULL ORDER BY number",
        pbx_id,
    )
    reserve_again: set[str] = set()
    for row in surplus:
        freed = yield from first(
            "UPDATE seat SET retired = true, reserved_for = NULL, kept_for = NULL, kept_until = NULL"
            " WHERE (pool_id, number) = (SELECT pool_id, number FROM seat"
            f" WHERE pool_id = $1 AND {GRANTABLE} ORDER BY kept_for IS NOT NULL, reserved_for IS NOT NULL LIMIT 1)"
            " RETURNING number",
            row["pool_id"],
        )
        if freed is not None:
            yield from execute(
                "UPDATE seat SET retired = false WHERE pool_id = $1 AND number = $2",
                row["pool_id"],
                row["number"],
            )
            reserve_again.add(row["pool_id"])
    for pool_id in sorted(reserve_again):
        yield from mark_reservations(pool_id)


def _take_back_stray_offers(pbx_id: str) -> Transaction[None]:
    """Take back offers of seats that were retired or taken, and offers to people who no longer wait."""
    yield from execute(
        "UPDATE seat SET kept_for = NULL, kept_until = NULL WHERE pbx_id = $1 AND kept_for IS NOT NULL AND"
        " (retired OR holder IS NOT NULL OR NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.pbx_id = seat.pbx_id"
        " AND waiting.pbx_user_id = seat.kept_for AND offered_at IS NOT NULL))",
        pbx_id,
    )
    yield from execute(
        "UPDATE waiting SET offered_at = NULL WHERE pbx_id = $1 AND offered_at IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM seat WHERE seat.pbx_id = waiting.pbx_id AND seat.kept_for = waiting.pbx_user_id)",
        pbx_id,
    )


def _offer_seats(pbx_id: str, now: datetime) -> Transaction[bool]:
    """Offer every free seat to the next person who may have it, and notify them; return whether there was one."""
    offered = False
    any_free = f"SELECT number FROM seat WHERE pbx_id = $1 AND {GRANTABLE} AND kept_for IS NULL LIMIT 1"
    line = yield from execute(
        "SELECT * FROM waiting WHERE pbx_id = $1 AND joined_at IS NOT NULL AND offered_at IS NULL"
        " ORDER BY joined_at, pbx_user_id",
        pbx_id,
    )
    if not line:
        return offered
    pools = yield from list_pools(pbx_id)
    until = now + OFFER_LIFETIME
    for place in line:
        if (yield from first(any_free, pbx_id)) is None:
            break
        # By the present pools and rules: a key that was added after the refusal counts too.
        for choice in seat_choices(
            pools=pools, user_id=place["pbx_user_id"], group_ids=json.loads(place["group_ids"]), now=now
        ):
            kept = yield from first(
                "UPDATE seat SET kept_for = $1, kept_until = $2 WHERE (pool_id, number) = (SELECT pool_id, number"
                f" FROM seat WHERE pool_id = $3 AND {GRANTABLE} AND kept_for IS NULL"
                f" AND (reserved_for IS NULL OR reserved_for IN ({placeholders(choice.reservations, 4)}))"
                " ORDER BY reserved_for IS NULL, number LIMIT 1) RETURNING number",
                place["pbx_user_id"],
                to_ms(until),
                choice.pool_id,
                *choice.reservations,
            )
            if kept is None:
                continue
            yield from execute(
                "UPDATE waiting SET offered_at = $1 WHERE pbx_id = $2 AND pbx_user_id = $3",
                to_ms(now),
                pbx_id,
                place["pbx_user_id"],
            )
            pbx_name = yield from get_pbx_name(pbx_id)
            detail = {"pbx_name": pbx_name, "pbx_user": place["display_name"], "until": to_ms(until)}
            yield from notify_user(
                tenant_id=place["tenant_id"],
                object_id=place["object_id"],
                kind="seat-offered",
                detail=detail,
                now=now,
            )
            yield from audit(
                pbx_id=pbx_id,
                kind=AuditKind.OFFERED,
                actor=SYSTEM,
                subject=place["display_name"],
                detail={},
                now=now,
                pbx_user_id=place["pbx_user_id"],
                pool_id=choice.pool_id,
            )
            offered = True
            break
    return offered
