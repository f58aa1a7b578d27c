"""The quick way: ordinary sign-ins and sign-outs that wait together go to the database together.

It serves pools that are `plain` (core.store.tables) and users that have no session; whatever else comes gets
`NOT_THIS_WAY` and is played as a script. There is one implementation for each database, because this is the path
that pays for no layer (design, section 9); the same tests run on both.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.licensing.rules import LicenceKind
from core.licensing.session import EndCause, OpenSession, Session
from core.store.moments import to_ms

OPEN: Final = "open"
END: Final = "end"

GRANTED_DETAIL: Final = {kind: json.dumps({"kind": kind.value}) for kind in LicenceKind}
ENDED_DETAIL: Final = {
    kind: json.dumps({"cause": EndCause.SIGNED_OUT.value, "reason": "", "kind": kind.value})
    for kind in LicenceKind
}


@dataclass(frozen=True, slots=True)
class QuickOpen:
    """A sign-in; its result is the number of the seat, None for a licence of one's own."""

    session_id: str
    wish: OpenSession
    kind: LicenceKind
    pool_id: str | None

    def row(self, number: int | None) -> tuple[Any, ...]:
        """In the order of `SESSION_COLUMNS`."""
        wish = self.wish
        user, person, at = wish.teams_user, wish.person, to_ms(wish.now)
        return (
            *(self.session_id, user.tenant_id, user.object_id, user.name, wish.pbx_id, person.pbx_user_id),
            *(person.login, person.display_name, person.email, person.is_administrator, self.kind.value),
            *(self.pool_id, number, wish.proof.value, at, at, at),
        )

    def session(self, number: int | None) -> Session:
        wish = self.wish
        return Session(
            id=self.session_id,
            teams_user=wish.teams_user,
            pbx_id=wish.pbx_id,
            person=wish.person,
            kind=self.kind,
            pool_id=self.pool_id,
            seat_number=number,
            proof=wish.proof,
            started_at=wish.now,
            licence_since=wish.now,
            last_seen_at=wish.now,
        )


@dataclass(frozen=True, slots=True)
class QuickEnd:
    """A sign-out; its result is True."""

    session: Session
    actor: str
    now: datetime
