"""The waiting list: who was refused may ask to be told."""

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
from core.licensing.transactions.steps import RefusedError, lock_pools, notify_user, pbx_name_of
from core.store.audit import AuditKind, audit
from core.store.timestamps import to_ms
from core.store.transaction import Transaction, execute, first

SAME_DENIAL: Final = timedelta(minutes=1)
"""Somebody who tries again so soon and is refused for the same reason has been refused once."""
REFUSAL_COUNTS: Final = timedelta(hours=1)
"""So long after a refusal the user may ask to be told."""


def record_denial(request: SessionRequest, finding: Finding) -> Transaction[None]:
    """A refusal because no licence is available: audited, and where all seats are taken the user may ask to be told."""
    user, person = request.teams_user, request.person
    yield from check_proof(request)
    detail = {"code": finding.code, "reason": finding.evidence.get("reason")}
    told_already = yield from first(
        "SELECT id FROM audit WHERE pbx_id = $1 AND at > $2 AND kind = $3 AND actor_tenant_id = $4"
        " AND actor_object_id = $5 AND detail = $6 LIMIT 1",
        request.pbx_id,
        to_ms(request.now - SAME_DENIAL),
        AuditKind.DENIED,
        user.tenant_id,
        user.object_id,
        json.dumps(detail),
    )
    if told_already is None:
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
    # A place elsewhere is given up for this one; a seat that was kept there passes on with the next sweep.
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
    """Puts the user at the end of the list that their last refusal was about; gives the PBX's id. Idempotent."""
    row = yield from first(
        "SELECT pbx_id, joined_at, refused_at FROM waiting WHERE tenant_id = $1 AND object_id = $2",
        user.tenant_id,
        user.object_id,
    )
    if row is None or (row["joined_at"] is None and row["refused_at"] < to_ms(now - REFUSAL_COUNTS)):
        raise RefusedError(Finding(Code.NOT_REFUSED))
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
    """Gives the PBX's id, None when the user did not wait."""
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
    """Ends the places for which `condition` holds (its values begin with $2), and tells those who did wait; gives their
    number. The PBX is to be settled then.
    """
    places = yield from execute(
        f"DELETE FROM waiting WHERE pbx_id = $1 AND {condition} RETURNING *", pbx_id, *values
    )
    joined = [place for place in places if place["joined_at"] is not None]
    pbx_name = yield from pbx_name_of(pbx_id)
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
    """Leaves the list. A seat that is kept there for them is taken back when the PBX is settled."""
    yield from execute("DELETE FROM waiting WHERE pbx_id = $1 AND pbx_user_id = $2", pbx_id, pbx_user_id)
    if user is not None:
        yield from execute(
            "DELETE FROM waiting WHERE tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id
        )
