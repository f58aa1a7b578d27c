"""Sessions that are as old as the operator lets them become: told of beforehand, then ended.

No session ends that was not told of it a while before, also where the operator has just set an age, or where a session
was begun by a clock that was wrong. `session.ends_at` is written with the warning; a session ends by it and by nothing
else.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.licensing.rules import GRACE
from core.licensing.session import SESSION_COLUMNS, EndCause, Ending, Session, to_session
from core.licensing.transactions.steps import end_session, notify_user, pbx_name_of
from core.store.audit import SYSTEM
from core.store.timestamps import from_ms, to_ms
from core.store.transaction import Transaction, execute, first

TOLD_BEFORE: Final = timedelta(days=3)
"""So long before its end a session is told of it; of a short life, a quarter of it."""
_PROVEN: Final = "coalesce(proven_at, started_at)"


@dataclass(frozen=True, slots=True)
class SessionAge:
    """How old a session may become before its PBX user must be proven again."""

    most: timedelta

    @property
    def told_before(self) -> timedelta:
        return min(TOLD_BEFORE, self.most / 4)

    def told_from(self, now: datetime) -> int:
        """Sessions that were proven then or before are told (milliseconds)."""
        return to_ms(now - (self.most - self.told_before))


def due_by_age(age: SessionAge, now: datetime) -> Transaction[set[str]]:
    """PBXs with a session that is to be told, or to end."""
    rows = yield from execute(
        f"SELECT DISTINCT pbx_id FROM session WHERE (ends_at IS NULL AND {_PROVEN} <= $1) OR ends_at <= $2",
        age.told_from(now),
        to_ms(now),
    )
    return {row["pbx_id"] for row in rows}


def aged(pbx_id: str, now: datetime) -> Transaction[list[int]]:
    """PBX users whose session is to end now."""
    rows = yield from execute(
        "SELECT pbx_user_id FROM session WHERE pbx_id = $1 AND ends_at <= $2", pbx_id, to_ms(now)
    )
    return [row["pbx_user_id"] for row in rows]


def leave_aged(
    pbx_id: str, age: SessionAge, without_call: Collection[int], now: datetime
) -> Transaction[list[Session]]:
    """Tells those whose end is near, and ends those whose end has come: after their call, at the latest an hour later.

    Each row is locked or changed under its condition: where a PBX has no pools, nothing else keeps two replicas apart.
    """
    touched = yield from _tell(pbx_id, age, now)
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


def _tell(pbx_id: str, age: SessionAge, now: datetime) -> Transaction[list[Session]]:
    rows = yield from execute(
        f"SELECT {SESSION_COLUMNS}, {_PROVEN} AS proven FROM session"
        f" WHERE pbx_id = $1 AND ends_at IS NULL AND {_PROVEN} <= $2 ORDER BY id",
        pbx_id,
        age.told_from(now),
    )
    pbx_name = (yield from pbx_name_of(pbx_id)) if rows else ""
    told = []
    for row in rows:
        session = to_session(row)
        ends_at = max(from_ms(row["proven"]) + age.most, now + age.told_before)
        is_news = yield from first(
            f"UPDATE session SET ends_at = $1 WHERE id = $2 AND ends_at IS NULL AND {_PROVEN} <= $3 RETURNING id",
            to_ms(ends_at),
            session.id,
            age.told_from(now),
        )
        if is_news is None:
            continue  # another replica has told it, or it was renewed a moment ago
        detail = {"pbx_name": pbx_name, "pbx_user": session.person.display_name, "until": to_ms(ends_at)}
        user = session.teams_user
        yield from notify_user(
            tenant_id=user.tenant_id, object_id=user.object_id, kind="session-ends", detail=detail, now=now
        )
        told.append(session)
    return told


def renew(session_id: str, now: datetime) -> Transaction[None]:
    """The PBX user was proven again."""
    yield from execute(
        "UPDATE session SET proven_at = $1, ends_at = NULL WHERE id = $2", to_ms(now), session_id
    )


def forget_ends(age: SessionAge | None, now: datetime) -> Transaction[None]:
    """What was told under an age that the operator has changed since; those who still become too old are told again."""
    if age is None:
        yield from execute("UPDATE session SET ends_at = NULL WHERE ends_at IS NOT NULL")
        return
    yield from execute(
        f"UPDATE session SET ends_at = NULL WHERE ends_at IS NOT NULL AND {_PROVEN} > $1", age.told_from(now)
    )
