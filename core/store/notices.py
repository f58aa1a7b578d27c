"""The outbox of notices: messages that the bot sends first.

A notice is stored in the transaction that it reports on, and delivered afterwards with retries. Because many notices
are delivered at the same time, they are read and updated in batches.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Insert, insert

from core.store import tables
from core.store.conversations import ClosedReason, Conversation
from core.store.database import Database
from core.store.timestamps import from_ms, new_id, to_ms
from core.store.transaction import Row, Transaction, Writer, execute, placeholders

MAX_ATTEMPTS: Final = 8
FIRST_RETRY: Final = timedelta(seconds=5)
"""Delay before the first retry. It doubles each time; the last attempt is made about twenty minutes after the first."""
LONGEST_WAIT: Final = timedelta(hours=1)
"""The longest delay that the channel can impose."""


LONGEST_DELAY: Final = timedelta(days=2)
"""The longest delay of a notice. Quiet hours end within a day, so a longer one comes from a wrong clock."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A stored message to a person."""

    id: str
    tenant_id: str
    object_id: str
    kind: str
    detail: dict[str, Any]
    attempts: int
    due_ms: int
    created_at: datetime
    sending: bool
    """A send was started and its outcome was never stored, because the process died. It may have been delivered."""
    doubtful: bool = False
    """The channel failed once during a send, so the notice may have been delivered. There is one more attempt at
    most."""


def new_notice(person: tuple[str, str], kind: str, detail: Mapping[str, Any], at: datetime) -> Insert:
    """Return the statement that stores a notice, for the transaction that the notice reports on.

    The transactions of the ledger use `core.licensing.transactions.steps.notify_user` instead.
    """
    tenant_id, object_id = person
    return insert(tables.notice).values(
        id=new_id(),
        tenant_id=tenant_id,
        object_id=object_id,
        kind=kind,
        detail=json.dumps(detail),
        created_at=to_ms(at),
        attempts=0,
        next_attempt_at=to_ms(at),
        given_up=False,
    )


def _detail(text: str) -> dict[str, Any]:
    """Parse a notice's detail; return an empty one when it cannot be parsed.

    No card can be made of such a notice, so it is given up; other notices are delivered.
    """
    try:
        detail = json.loads(text)
    except ValueError:
        return {}
    return detail if isinstance(detail, dict) else {}


@dataclass(frozen=True, slots=True)
class DueNotice:
    """A notice that is due, with everything needed to decide about it."""

    notice: Notice
    conversation: Conversation | None
    preference: Mapping[str, Any] | None
    """The person's row of the table `preference`."""
    session_since: datetime | None
    """When the person's session began; None: no session."""


@dataclass(frozen=True, slots=True)
class NoticeChange:
    """New values for columns of a notice."""

    notice_id: str
    values: Mapping[str, int | bool]


def mark_delivered(notice: Notice, at: datetime) -> NoticeChange:
    """Mark the notice as delivered, in whole seconds, so that one statement stores those of the same second."""
    return NoticeChange(notice.id, {"delivered_at": to_ms(at.replace(microsecond=0))})


def schedule_retry(
    notice: Notice, at: datetime, *, wait: timedelta | None = None, doubtful: bool = False
) -> NoticeChange:
    """Schedule a retry after `wait` (if the channel asked for it), but not before the back-off; or give up.

    `doubtful`: the notice may have been delivered. That is risked once; the second time it is given up.
    """
    attempts = notice.attempts + 1
    pause = max(FIRST_RETRY * 2**notice.attempts, min(wait or timedelta(), LONGEST_WAIT))
    return NoticeChange(
        notice.id,
        {
            "attempts": attempts,
            "next_attempt_at": to_ms(at + pause),
            "given_up": attempts >= MAX_ATTEMPTS or (doubtful and notice.doubtful),
            "sending": False,
            "doubtful": doubtful or notice.doubtful,
        },
    )


def postpone(notice: Notice, until: datetime) -> NoticeChange:
    """Move the notice to a later time. It was not sent, so this does not count as an attempt."""
    return NoticeChange(notice.id, {"next_attempt_at": to_ms(until), "sending": False})


def give_up(notice: Notice) -> NoticeChange:
    """Give up the notice: it cannot be sent, is not wanted, or may already have been delivered."""
    return NoticeChange(notice.id, {"given_up": True})


PREFERENCE_COLUMNS: Final = (
    *("muted", "quiet", "quiet_from", "quiet_until", "time_zone"),
    "no_automatic_sign_in",
    *("calls_in_chat", "missed_calls", "numbers_in_chat"),
)
"""Columns of the table `preference` from which a `core.signin.preferences.Preferences` is made."""
_DUE: Final = f"""
    SELECT n.id, n.tenant_id, n.object_id, n.kind, n.detail, n.attempts, n.next_attempt_at, n.created_at, n.sending,
    n.doubtful, c.reference, c.locale, c.closed_reason, s.started_at, {", ".join(f"p.{name}" for name in PREFERENCE_COLUMNS)}
    FROM notice n
    LEFT JOIN conversation c ON c.tenant_id = n.tenant_id AND c.object_id = n.object_id
    LEFT JOIN preference p ON p.tenant_id = n.tenant_id AND p.object_id = n.object_id
    LEFT JOIN session s ON s.tenant_id = n.tenant_id AND s.object_id = n.object_id
    WHERE n.delivered_at IS NULL AND NOT n.given_up AND (n.next_attempt_at <= $1 OR n.next_attempt_at > $2)
    ORDER BY n.next_attempt_at, n.id LIMIT $3
"""  # noqa: S608 - names of columns


class Notices:
    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def list_due(self, at: datetime, limit: int = 100) -> Sequence[DueNotice]:
        """Return notices that are due, the oldest first. One that a wrong clock has delayed for very long is due as
        well.
        """
        rows = await self._database.fetch(_DUE, to_ms(at), to_ms(at + LONGEST_DELAY), limit)
        return [_to_due(row) for row in rows]

    async def write(
        self, changes: Sequence[NoticeChange], wanted: Sequence[Notice], at: datetime, until: datetime
    ) -> set[str]:
        """Store changes, and lease those of the wanted notices that are still due, until `until`; return their ids.

        The lease makes sure that only one of several replicas delivers a notice. From now on, a leased notice may
        have been delivered, whatever happens.
        """
        ids = [notice.id for notice in wanted]
        times = (to_ms(at), to_ms(at + LONGEST_DELAY), to_ms(until))
        return await self._writer.run_small(lambda: _write(changes, ids, *times))


def _to_due(row: Row) -> DueNotice:
    notice = Notice(
        id=row["id"],
        tenant_id=row["tenant_id"],
        object_id=row["object_id"],
        kind=row["kind"],
        detail=_detail(row["detail"]),
        attempts=row["attempts"],
        due_ms=row["next_attempt_at"],
        created_at=from_ms(row["created_at"]),
        sending=bool(row["sending"]),
        doubtful=bool(row["doubtful"]),
    )
    conversation = None
    if row["reference"] is not None:
        closed = ClosedReason(row["closed_reason"]) if row["closed_reason"] is not None else None
        conversation = Conversation(row["reference"], row["locale"], closed)
    preference = {name: row[name] for name in PREFERENCE_COLUMNS} if row["muted"] is not None else None
    since = from_ms(row["started_at"]) if row["started_at"] is not None else None
    return DueNotice(notice=notice, conversation=conversation, preference=preference, session_since=since)


def _write(
    changes: Sequence[NoticeChange], wanted: Sequence[str], at: int, far: int, until: int
) -> Transaction[set[str]]:
    together: dict[tuple[tuple[str, int | bool], ...], list[str]] = {}
    for change in changes:
        together.setdefault(tuple(change.values.items()), []).append(change.notice_id)
    for values, ids in together.items():
        columns = ", ".join(f"{name} = ${number}" for number, (name, _) in enumerate(values, 1))
        yield from execute(
            f"UPDATE notice SET {columns} WHERE id IN ({placeholders(ids, len(values) + 1)})",  # noqa: S608
            *(value for _, value in values),
            *ids,
        )
    if not wanted:
        return set()
    rows = yield from execute(
        "UPDATE notice SET next_attempt_at = $1, sending = TRUE WHERE delivered_at IS NULL AND NOT given_up"  # noqa: S608
        f" AND (next_attempt_at <= $2 OR next_attempt_at > $3) AND id IN ({placeholders(wanted, 4)})"
        " RETURNING id",
        until,
        at,
        far,
        *wanted,
    )
    return {row["id"] for row in rows}
