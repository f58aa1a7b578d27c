"""The batched path: ordinary sign-ins and sign-outs that wait at the same time share a few statements.

It serves `plain` pools (core.store.tables), users without a session, and proofs that depend only on the PBX's present
installation. Everything else gets `NEEDS_TRANSACTION` and runs as a transaction of its own
(core.licensing.transactions). Each database has its own implementation, because a common layer would make this path
slower (docs/decisions/0004-two-database-paths.md). The same tests run on both.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.licensing.rules import LicenceKind
from core.licensing.session import EndCause, Session, SessionRequest
from core.store.timestamps import to_ms

OPEN: Final = "open"
END: Final = "end"

GRANTED_DETAIL: Final = {kind: json.dumps({"kind": kind.value}) for kind in LicenceKind}
ENDED_DETAIL: Final = {
    kind: json.dumps({"cause": EndCause.SIGNED_OUT.value, "reason": "", "kind": kind.value})
    for kind in LicenceKind
}


@dataclass(frozen=True, slots=True)
class BatchedSignIn:
    """A sign-in. Its result is the seat number, or None for a user-assigned licence."""

    session_id: str
    request: SessionRequest
    kind: LicenceKind
    pool_id: str | None

    def row(self, number: int | None) -> tuple[Any, ...]:
        """Return the session's column values in the order of `SESSION_COLUMNS`. `number`: of the seat."""
        request = self.request
        user, person, at = request.teams_user, request.person, to_ms(request.now)
        return (
            *(self.session_id, user.tenant_id, user.object_id, user.name, request.pbx_id, person.pbx_user_id),
            *(person.login, person.display_name, person.email, person.is_administrator, self.kind.value),
            *(self.pool_id, number, request.proof.value, at, at, at, request.installation),
        )

    def session(self, number: int | None) -> Session:
        """Return the session that was opened. `number`: of the seat."""
        request = self.request
        return Session(
            id=self.session_id,
            teams_user=request.teams_user,
            pbx_id=request.pbx_id,
            person=request.person,
            kind=self.kind,
            pool_id=self.pool_id,
            seat_number=number,
            proof=request.proof,
            started_at=request.now,
            licence_since=request.now,
            last_seen_at=request.now,
            installation=request.installation,
        )


@dataclass(frozen=True, slots=True)
class BatchedSignOut:
    """A sign-out by the session's own user. Its result is True."""

    session: Session
    now: datetime
