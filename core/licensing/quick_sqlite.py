"""The quick way on SQLite: one query for the free seats of a pool, then one prepared statement for all rows.

One that comes alone has fewer statements: it waits hardly longer than for a bare commit.
"""

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
_SEATS: Final = (
    f"FROM seat WHERE pool_id = ?1 AND {FREE_FOR_ALL}"
    " AND EXISTS (SELECT 1 FROM pool WHERE id = ?1 AND plain AND NOT withdrawn)"
)
_ANY_LEFT: Final = "EXISTS (SELECT 1 FROM session_end), EXISTS (SELECT 1 FROM waiting)"
_FREE: Final = f"SELECT number {_SEATS} LIMIT ?2"
_FREE_ONE: Final = f"SELECT number, {_ANY_LEFT} {_SEATS} LIMIT 1"
_TAKE: Final = "UPDATE seat SET holder = ? WHERE pool_id = ? AND number = ?"
_RELEASE: Final = "UPDATE seat SET holder = NULL WHERE pool_id = ? AND number = ?"
_OPEN: Final = f"INSERT INTO session ({SESSION_COLUMNS}) VALUES ({', '.join('?' * 17)})"
_CLOSE: Final = "DELETE FROM session WHERE id = ? AND pool_id IS ? AND seat_number IS ?"
_CLOSE_ONE: Final = (
    "DELETE FROM session WHERE id = ?1 AND pool_id = ?2 AND seat_number = ?3"
    " AND EXISTS (SELECT 1 FROM pool WHERE id = ?2 AND plain)"
)
_ANYBODY_WAITS: Final = "SELECT 1 FROM waiting WHERE pbx_id = ? AND joined_at IS NOT NULL LIMIT 1"
_LEFT: Final = f"SELECT {_ANY_LEFT}"
_FORGET: Final = tuple(
    f"DELETE FROM {table} WHERE tenant_id = ? AND object_id = ?" for table in ("session_end", "waiting")
)
"""What a sign-in ends: how the last session ended, and a place on a waiting list elsewhere."""
_AUDIT: Final = (
    "INSERT INTO audit (at, pbx_id, kind, actor, subject, detail, pbx_user_id, pool_id, held_from)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def open_together(connection: sqlite3.Connection, wishes: Sequence[QuickOpen]) -> Sequence[Any]:
    if len(wishes) == 1 and wishes[0].pool_id is not None:
        return [_open_one(connection, wishes[0])]
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
        sessions.append(row)
        users.append(wish.wish.teams_user.key)
        if number is not None:
            seats.append((wish.wish.person.pbx_user_id, wish.pool_id, number))
        audits.append(_granted(wish, row))
    connection.executemany(_TAKE, seats)
    connection.executemany(_OPEN, sessions)
    for is_there, forget in zip(connection.execute(_LEFT).fetchone(), _FORGET, strict=True):
        if is_there:
            connection.executemany(forget, users)
    connection.executemany(_AUDIT, audits)
    return results


def _open_one(connection: sqlite3.Connection, wish: QuickOpen) -> Any:
    free = connection.execute(_FREE_ONE, (wish.pool_id,)).fetchone()
    if free is None:
        return NOT_THIS_WAY
    number, *left = free
    row = wish.row(number)
    connection.execute(_TAKE, (wish.wish.person.pbx_user_id, wish.pool_id, number))
    connection.execute(_OPEN, row)
    for is_there, forget in zip(left, _FORGET, strict=True):
        if is_there:
            connection.execute(forget, wish.wish.teams_user.key)
    connection.execute(_AUDIT, _granted(wish, row))
    return number


def _granted(wish: QuickOpen, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The audit row of a session's row."""
    (_, _, _, _, pbx_id, user_id, _, name, _, _, _, pool_id, _, _, at, _, _) = row
    actor, detail = who(wish.wish.teams_user), GRANTED_DETAIL[wish.kind]
    return (at, pbx_id, "granted", actor, name, detail, user_id, pool_id, None)


def end_together(connection: sqlite3.Connection, ends: Sequence[QuickEnd]) -> Sequence[Any]:
    if len(ends) == 1 and ends[0].session.pool_id is not None:
        return [_end_one(connection, ends[0])]
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
        if session.pool_id is not None:
            seats.append((session.pool_id, session.seat_number))
        audits.append(_ended(end))
    if sessions and connection.executemany(_CLOSE, sessions).rowcount != len(sessions):
        raise SpoiltError  # one of them has ended or moved meanwhile
    connection.executemany(_RELEASE, seats)
    connection.executemany(_AUDIT, audits)
    return results


def _end_one(connection: sqlite3.Connection, end: QuickEnd) -> Any:
    session = end.session
    key = (session.id, session.pool_id, session.seat_number)
    if connection.execute(_CLOSE_ONE, key).rowcount != 1:
        return NOT_THIS_WAY
    connection.execute(_RELEASE, key[1:])
    connection.execute(_AUDIT, _ended(end))
    return True


def _ended(end: QuickEnd) -> tuple[Any, ...]:
    session, person = end.session, end.session.person
    held_from = to_ms(session.licence_since) if session.pool_id is not None else None
    return (
        *(to_ms(end.now), session.pbx_id, "ended", end.actor, person.display_name),
        *(ENDED_DETAIL[session.kind], person.pbx_user_id, session.pool_id, held_from),
    )


GROUPS: Final[Mapping[str, Group]] = {END: end_together, OPEN: open_together}
