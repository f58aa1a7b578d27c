"""The waiting list: a user who was refused because all seats are taken may wait for a free seat."""

import json
from datetime import datetime, timedelta
from typing import Final

from core.diagnosis.codes import Code, LicenceReason
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing.rules import UseUal
from core.licensing.session import Ending, SessionRequest
from core.licensing.transactions.proofs import check_proof
from core.licensing.transactions.settling import settle
from core.licensing.transactions.steps import TransactionRefusedError, get_pbx_name, lock_pools, notify_user
from core.store.audit import AuditKind, audit
from core.store.timestamps import to_ms
from core.store.transaction import Transaction, execute, first

SAME_DENIAL_WINDOW: Final = timedelta(minutes=1)
"""Refusals of the same user for the same reason within this time count as one, and are audited once."""
REFUSAL_LIFETIME: Final = timedelta(hours=1)
"""How long after a refusal the user may join the waiting list."""


def record_denial(request: SessionRequest, finding: Finding) -> Transaction[None]:
    """Audit a sign-in that was refused because no licence is available.

    If the reason is that all seats are taken, the user may join the waiting list afterwards. Raises
    TransactionRefusedError when the proof no longer holds.
    """
    user, person = request.teams_user, request.person
    yield from check_proof(request)
    detail = {"code": finding.code, "reason": finding.evidence.get("reason")}
    audited_before = yield from first(
        "SELECT id FROM audit WHERE pbx_id = $1 AND at > $2 AND kind = $3 AND actor_tenant_id = $4"
        " AND actor_object_id = $5 AND detail = $6 LIMIT 1",
        request.pbx_id,
        to_ms(request.now - SAME_DENIAL_WINDOW),
        AuditKind.DENIED,
        user.tenant_id,
        user.object_id,
        json.dumps(detail),
    )
    if audited_before is None:
        yield from audit(
            pbx_id=request.pbx_id,
            kind=AuditKind.DENIED,
            actor=request.actor,
            subject=person.display_name,
            detail=detail,
            now=request.now,
            pbx_user_id=person.pbx_user_id,
        )
    if finding.evidence.get("reason") != LicenceReason.POOL_EXHAUSTED or isinstance(request.licence, UseUal):
        return
    # This place replaces the user's place at another PBX. The next sweep offers a seat held there to the next person.
    yield from execute(
        "DELETE FROM waiting WHERE tenant_id = $1 AND object_id = $2 AND NOT (pbx_id = $3 AND pbx_user_id = $4)",
        user.tenant_id,
        user.object_id,
        request.pbx_id,
        person.pbx_user_id,
    )
    yield from execute(
        "INSERT INTO waiting (pbx_id, pbx_user_id, tenant_id, object_id, display_name, group_ids, refused_at, proof)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (pbx_id, pbx_user_id) DO UPDATE SET"
        " tenant_id = excluded.tenant_id, object_id = excluded.object_id, group_ids = excluded.group_ids,"
        " refused_at = excluded.refused_at, proof = excluded.proof",
        request.pbx_id,
        person.pbx_user_id,
        user.tenant_id,
        user.object_id,
        person.display_name,
        json.dumps(request.group_ids),
        to_ms(request.now),
        request.proof.value,
    )


def join_waiting_list(user: TeamsUser, now: datetime) -> Transaction[str]:
    """Put the user at the end of the waiting list of the PBX that refused them last; return the PBX's id.

    Idempotent. Raises TransactionRefusedError when there was no such refusal within `REFUSAL_LIFETIME`.
    """
    row = yield from first(
        "SELECT pbx_id, joined_at, refused_at FROM waiting WHERE tenant_id = $1 AND object_id = $2",
        user.tenant_id,
        user.object_id,
    )
    if row is None or (row["joined_at"] is None and row["refused_at"] < to_ms(now - REFUSAL_LIFETIME)):
        raise TransactionRefusedError(Finding(Code.NOT_REFUSED))
    pbx_id: str = row["pbx_id"]
    if row["joined_at"] is None:
        yield from lock_pools(pbx_id)
        yield from execute(
            "UPDATE waiting SET joined_at = $1 WHERE tenant_id = $2 AND object_id = $3 AND joined_at IS NULL",
            to_ms(now),
            user.tenant_id,
            user.object_id,
        )
        yield from settle(pbx_id, now)
    return pbx_id


def leave_waiting_list(user: TeamsUser, now: datetime) -> Transaction[str | None]:
    """Remove the user from the waiting list; return the PBX's id, or None when the user was not on a list."""
    row = yield from first(
        "SELECT pbx_id, pbx_user_id FROM waiting WHERE tenant_id = $1 AND object_id = $2",
        user.tenant_id,
        user.object_id,
    )
    if row is None:
        return None
    pbx_id: str = row["pbx_id"]
    yield from lock_pools(pbx_id)
    yield from stop_waiting(pbx_id, row["pbx_user_id"], user)
    yield from settle(pbx_id, now)
    return pbx_id


def end_waiting(pbx_id: str, ending: Ending, condition: str = "true", *values: object) -> Transaction[int]:
    """Delete the places that meet an SQL condition, and notify the people who waited; return how many there were.

    `values` fill the condition's placeholders, beginning with $2. The caller settles the PBX.
    """
    places = yield from execute(
        f"DELETE FROM waiting WHERE pbx_id = $1 AND {condition} RETURNING *", pbx_id, *values
    )
    joined = [place for place in places if place["joined_at"] is not None]
    pbx_name = yield from get_pbx_name(pbx_id)
    for place in joined:
        detail = {"pbx_name": pbx_name, "pbx_user": place["display_name"]}
        yield from notify_user(
            tenant_id=place["tenant_id"],
            object_id=place["object_id"],
            kind=f"waiting-{ending.cause}",
            detail=detail,
            now=ending.now,
        )
        yield from audit(
            pbx_id=pbx_id,
            kind=AuditKind.WAITING_ENDED,
            actor=ending.actor,
            subject=place["display_name"],
            detail={"cause": ending.cause},
            now=ending.now,
            pbx_user_id=place["pbx_user_id"],
        )
    return len(joined)


def stop_waiting(pbx_id: str, pbx_user_id: int, user: TeamsUser | None) -> Transaction[None]:
    """Remove a user from the waiting list. Settling the PBX takes back a seat that is held for them."""
    yield from execute("DELETE FROM waiting WHERE pbx_id = $1 AND pbx_user_id = $2", pbx_id, pbx_user_id)
    if user is not None:
        yield from execute(
            "DELETE FROM waiting WHERE tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id
        )
