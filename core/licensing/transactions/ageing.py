"""The maximum age of a session: its user is warned in advance, then the session ends.

No session ends without an earlier warning, even when the operator has just set a maximum age or the clock was wrong
when the session started. `session.ends_at` is written together with the warning, and only `ends_at` makes a session
end because of its age.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.licensing.rules import GRACE
from core.licensing.session import SESSION_COLUMNS, EndCause, Ending, Session, to_session
from core.licensing.transactions.steps import end_session, get_pbx_name, notify_user
from core.store.audit import SYSTEM
from core.store.timestamps import from_ms, to_ms
from core.store.transaction import Transaction, execute, first

WARNING_LEAD_TIME: Final = timedelta(days=3)
"""How long before a session ends its user is warned. For short session lives: a quarter of the life."""
_PROVEN: Final = "coalesce(proven_at, started_at)"


@dataclass(frozen=True, slots=True)
class SessionAge:
    """The maximum age of a session. After it, the PBX user must prove their identity again."""

    maximum: timedelta

    @property
    def warning_lead_time(self) -> timedelta:
        return min(WARNING_LEAD_TIME, self.maximum / 4)

    def latest_proof_to_warn(self, now: datetime) -> int:
        """Return the latest time of proof (milliseconds since the epoch) for which a warning is due at `now`."""
        return to_ms(now - (self.maximum - self.warning_lead_time))


def list_pbxs_with_due_sessions(age: SessionAge, now: datetime) -> Transaction[set[str]]:
    """Return the ids of PBXs with a session that is due to be warned or ended."""
    rows = yield from execute(
        f"SELECT DISTINCT pbx_id FROM session WHERE (ends_at IS NULL AND {_PROVEN} <= $1) OR ends_at <= $2",
        age.latest_proof_to_warn(now),
        to_ms(now),
    )
    return {row["pbx_id"] for row in rows}


def list_expired_user_ids(pbx_id: str, now: datetime) -> Transaction[list[int]]:
    """Return the ids of PBX users whose session has reached its maximum age."""
    rows = yield from execute(
        "SELECT pbx_user_id FROM session WHERE pbx_id = $1 AND ends_at <= $2", pbx_id, to_ms(now)
    )
    return [row["pbx_user_id"] for row in rows]


def end_expired_sessions(
    pbx_id: str, age: SessionAge, without_call: Collection[int], now: datetime
) -> Transaction[list[Session]]:
    """Warn users whose session ends soon, and end the sessions that are due; return both.

    A session that is due ends as soon as its user has no call (`without_call`), and after an hour of grace at the
    latest.

    Each row is locked, or updated only while its condition still holds. For a PBX without pools there is no other
    lock that keeps two replicas apart.
    """
    touched = yield from _warn_users(pbx_id, age, now)
    rows = yield from execute(
        f"SELECT {SESSION_COLUMNS}, ends_at FROM session WHERE pbx_id = $1 AND ends_at <= $2 ORDER BY id FOR UPDATE",
        pbx_id,
        to_ms(now),
    )
    for row in rows:
        session = to_session(row)
        if session.person.pbx_user_id in without_call or from_ms(row["ends_at"]) + GRACE <= now:
            yield from end_session(session, Ending(cause=EndCause.TOO_OLD, actor=SYSTEM, reason="", now=now))
            touched.append(session)
    return touched


def _warn_users(pbx_id: str, age: SessionAge, now: datetime) -> Transaction[list[Session]]:
    """Warn users whose session ends soon and set `ends_at`; return the sessions that were warned."""
    rows = yield from execute(
        f"SELECT {SESSION_COLUMNS}, {_PROVEN} AS proven FROM session"
        f" WHERE pbx_id = $1 AND ends_at IS NULL AND {_PROVEN} <= $2 ORDER BY id",
        pbx_id,
        age.latest_proof_to_warn(now),
    )
    pbx_name = (yield from get_pbx_name(pbx_id)) if rows else ""
    warned = []
    for row in rows:
        session = to_session(row)
        ends_at = max(from_ms(row["proven"]) + age.maximum, now + age.warning_lead_time)
        updated = yield from first(
            f"UPDATE session SET ends_at = $1 WHERE id = $2 AND ends_at IS NULL AND {_PROVEN} <= $3 RETURNING id",
            to_ms(ends_at),
            session.id,
            age.latest_proof_to_warn(now),
        )
        if updated is None:
            continue  # another replica has warned the user, or the session was renewed a moment ago
        detail = {"pbx_name": pbx_name, "pbx_user": session.person.display_name, "until": to_ms(ends_at)}
        user = session.teams_user
        yield from notify_user(
            tenant_id=user.tenant_id, object_id=user.object_id, kind="session-ends", detail=detail, now=now
        )
        warned.append(session)
    return warned


def renew_session(session_id: str, now: datetime) -> Transaction[None]:
    """Restart the age of a session whose PBX user has just proven their identity again."""
    yield from execute(
        "UPDATE session SET proven_at = $1, ends_at = NULL WHERE id = $2", to_ms(now), session_id
    )


def withdraw_warnings(age: SessionAge | None, now: datetime) -> Transaction[None]:
    """Withdraw the warnings that no longer apply because the operator has changed the maximum age (None: no limit).

    A session that later becomes due under the new age is warned again.
    """
    if age is None:
        yield from execute("UPDATE session SET ends_at = NULL WHERE ends_at IS NOT NULL")
        return
    yield from execute(
        f"UPDATE session SET ends_at = NULL WHERE ends_at IS NOT NULL AND {_PROVEN} > $1",
        age.latest_proof_to_warn(now),
    )
