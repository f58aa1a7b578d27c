"""The waiting list: who was refused may ask to be told."""

import json
from datetime import datetime, timedelta
from typing import Final

from core.diagnosis.codes import Code, LicenceReason
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing.rules import UseUal
from core.licensing.session import (
    OpenSession,
    who,
)
from core.licensing.transactions.settling import settle
from core.licensing.transactions.steps import RefusedError, audit, lock_pools
from core.store.moments import to_ms
from core.store.script import Script, execute, first

REFUSAL_COUNTS: Final = timedelta(hours=1)
"""So long after a refusal the user may ask to be told."""


def record_denial(wish: OpenSession, finding: Finding) -> Script[None]:
    """A refusal for want of a licence: audited, and where all seats are taken the user may ask to be told."""
    user, person = wish.teams_user, wish.person
    detail = {"code": finding.code, "reason": finding.evidence.get("reason")}
    yield from audit(
        wish.pbx_id,
        "denied",
        who(user),
        person.display_name,
        detail,
        wish.now,
        pbx_user_id=person.pbx_user_id,
    )
    if finding.evidence.get("reason") != LicenceReason.POOL_EXHAUSTED or isinstance(wish.licence, UseUal):
        return
    # A place elsewhere is given up for this one; a seat that was kept there passes on with the next sweep.
    yield from execute(
        "DELETE FROM waiting WHERE tenant_id = $1 AND object_id = $2 AND NOT (pbx_id = $3 AND pbx_user_id = $4)",
        user.tenant_id,
        user.object_id,
        wish.pbx_id,
        person.pbx_user_id,
    )
    yield from execute(
        "INSERT INTO waiting (pbx_id, pbx_user_id, tenant_id, object_id, display_name, group_ids, refused_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (pbx_id, pbx_user_id) DO UPDATE SET"
        " tenant_id = excluded.tenant_id, object_id = excluded.object_id, group_ids = excluded.group_ids,"
        " refused_at = excluded.refused_at",
        wish.pbx_id,
        person.pbx_user_id,
        user.tenant_id,
        user.object_id,
        person.display_name,
        json.dumps(wish.group_ids),
        to_ms(wish.now),
    )


def join_waiting_list(user: TeamsUser, now: datetime) -> Script[str]:
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


def leave_waiting_list(user: TeamsUser, now: datetime) -> Script[str | None]:
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


def stop_waiting(pbx_id: str, pbx_user_id: int, user: TeamsUser | None) -> Script[None]:
    """Leaves the list. A seat that is kept there for them is taken back when the PBX is settled."""
    yield from execute("DELETE FROM waiting WHERE pbx_id = $1 AND pbx_user_id = $2", pbx_id, pbx_user_id)
    if user is not None:
        yield from execute(
            "DELETE FROM waiting WHERE tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id
        )
