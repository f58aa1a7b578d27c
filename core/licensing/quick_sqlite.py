"""The quick way on SQLite: one query for the free seats of a pool, then one prepared statement for all rows."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.licensing.quick import END, ENDED_DETAIL, GRANTED_DETAIL, OPEN, QuickEnd, QuickOpen
from core.licensing.session import SESSION_COLUMNS, who
from core.store.moments import to_ms
from core.store.script import NOT_THIS_WAY
from core.store.sqlite_writer import Group, SpoiltError
from core.store.tables import FREE_FOR_ALL

_IS_PLAIN: Final = "SELECT 1 FROM pool WHERE id = ? AND plain"
_FREE: Final = (
    f"SELECT number FROM seat WHERE pool_id = ?1 AND {FREE_FOR_ALL}"
    " AND EXISTS (SELECT 1 FROM pool WHERE id = ?1 AND plain AND NOT withdrawn) LIMIT ?2"
)
_TAKE: Final = "UPDATE seat SET holder = ? WHERE pool_id = ? AND number = ?"
_RELEASE: Final = "UPDATE seat SET holder = NULL WHERE pool_id = ? AND number = ?"
_OPEN: Final = f"INSERT INTO session ({SESSION_COLUMNS}) VALUES ({', '.join('?' * 17)})"
_CLOSE: Final = "DELETE FROM session WHERE id = ? AND pool_id IS ? AND seat_number IS ?"
_ANYBODY_WAITS: Final = "SELECT 1 FROM waiting WHERE pbx_id = ? AND joined_at IS NOT NULL LIMIT 1"
_LEFT: Final = "SELECT EXISTS (SELECT 1 FROM session_end), EXISTS (SELECT 1 FROM waiting)"
_FORGET: Final = tuple(
    f"DELETE FROM {table} WHERE tenant_id = ? AND object_id = ?" for table in ("session_end", "waiting")
)
"""What a sign-in ends: how the last session ended, and a place on a waiting list elsewhere."""
_AUDIT: Final = (
    "INSERT INTO audit (at, pbx_id, kind, actor, subject, detail, pbx_user_id, pool_id, held_from)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def open_together(connection: sqlite3.Connection, wishes: Sequence[QuickOpen]) -> Sequence[Any]:
    wanted: defaultdict[str, int] = defaultdict(int)
    for wish in wishes:
        if wish.pool_id is not None:
            wanted[wish.pool_id] += 1
    free = {
        pool_id: [number for (number,) in connection.execute(_FREE, (pool_id, count))]
        for pool_id, count in wanted.items()
    }
    queues = {
        pbx_id: connection.execute(_ANYBODY_WAITS, (pbx_id,)).fetchone() is not None
        for pbx_id in {wish.wish.pbx_id for wish in wishes if wish.pool_id is None}
    }
    results: list[Any] = []
    sessions, seats, audits, users = [], [], [], []
    for wish in wishes:
        if wish.pool_id is None and queues[wish.wish.pbx_id]:  # a plain pool has nobody waiting
            results.append(NOT_THIS_WAY)
            continue
        number = None
        if wish.pool_id is not None:
            if not free[wish.pool_id]:
                results.append(NOT_THIS_WAY)
                continue
            number = free[wish.pool_id].pop()
        results.append(number)
        row = wish.row(number)
        (_, tenant_id, object_id, _, pbx_id, user_id, _, name, _, _, _, pool_id, _, _, at, _, _) = row
        sessions.append(row)
        users.append((tenant_id, object_id))
        if pool_id is not None:
            seats.append((user_id, pool_id, number))
        audits.append(
            (
                *(at, pbx_id, "granted", who(wish.wish.teams_user), name),
                *(GRANTED_DETAIL[wish.kind], user_id, pool_id, None),
            )
        )
    connection.executemany(_TAKE, seats)
    connection.executemany(_OPEN, sessions)
    for is_there, forget in zip(connection.execute(_LEFT).fetchone(), _FORGET, strict=True):
        if is_there:
            connection.executemany(forget, users)
    connection.executemany(_AUDIT, audits)
    return results


def end_together(connection: sqlite3.Connection, ends: Sequence[QuickEnd]) -> Sequence[Any]:
    pool_ids = {end.session.pool_id for end in ends}
    plain = {
        pool_id: pool_id is None or connection.execute(_IS_PLAIN, (pool_id,)).fetchone() is not None
        for pool_id in pool_ids
    }
    results: list[Any] = []
    sessions, seats, audits = [], [], []
    for end in ends:
        session = end.session
        if not plain[session.pool_id]:
            results.append(NOT_THIS_WAY)
            continue
        results.append(True)
        sessions.append((session.id, session.pool_id, session.seat_number))
        held_from = None
        if session.pool_id is not None:
            seats.append((session.pool_id, session.seat_number))
            held_from = to_ms(session.licence_since)
        audits.append(
            (
                *(to_ms(end.now), session.pbx_id, "ended", end.actor, session.person.display_name),
                *(ENDED_DETAIL[session.kind], session.person.pbx_user_id, session.pool_id, held_from),
            )
        )
    if sessions and connection.executemany(_CLOSE, sessions).rowcount != len(sessions):
        raise SpoiltError  # one of them has ended or moved meanwhile
    connection.executemany(_RELEASE, seats)
    connection.executemany(_AUDIT, audits)
    return results


GROUPS: Final[Mapping[str, Group]] = {END: end_together, OPEN: open_together}
