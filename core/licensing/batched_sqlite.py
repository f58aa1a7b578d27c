"""The batched path on SQLite: one query for the free seats of a pool, then one prepared statement for all rows.

A single sign-in uses fewer statements that cost little more than a bare commit.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.licensing.batched import END, ENDED_DETAIL, GRANTED_DETAIL, OPEN, BatchedSignIn, BatchedSignOut
from core.licensing.session import SESSION_COLUMNS
from core.store.audit import INSERT_AUDIT_SQLITE, AuditKind, audit_values
from core.store.sqlite_writer import BatchFailedError, Group
from core.store.tables import FREE_FOR_ALL
from core.store.timestamps import to_ms
from core.store.transaction import NEEDS_TRANSACTION

_IS_PLAIN: Final = "SELECT 1 FROM pool WHERE id = ? AND plain"
_SEATS: Final = (
    f"FROM seat WHERE pool_id = ?1 AND {FREE_FOR_ALL}"
    " AND EXISTS (SELECT 1 FROM pool WHERE id = ?1 AND plain AND NOT withdrawn)"
)
_ANY_LEFT: Final = "EXISTS (SELECT 1 FROM session_end), EXISTS (SELECT 1 FROM waiting)"
_FREE: Final = f"SELECT number {_SEATS} LIMIT ?2"
_IS_INSTALLED: Final = "SELECT 1 FROM pbx WHERE id = ? AND installation = ?"
"""Finds a row if the installation that vouched for the user is still the PBX's installation."""
_FREE_ONE: Final = (
    f"SELECT number, {_ANY_LEFT} {_SEATS}"
    " AND EXISTS (SELECT 1 FROM pbx WHERE id = ?2 AND installation = ?3) LIMIT 1"
)
_TAKE: Final = "UPDATE seat SET holder = ? WHERE pool_id = ? AND number = ?"
_RELEASE: Final = "UPDATE seat SET holder = NULL WHERE pool_id = ? AND number = ?"
_OPEN: Final = f"INSERT INTO session ({SESSION_COLUMNS}) VALUES ({', '.join('?' * 18)})"
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
"""Deletes what a sign-in makes obsolete: how the last session ended, and a place on a waiting list."""


def open_together(connection: sqlite3.Connection, sign_ins: Sequence[BatchedSignIn]) -> Sequence[Any]:
    """Open sessions; return for each its seat number (None without a seat) or `NEEDS_TRANSACTION`."""
    if len(sign_ins) == 1 and sign_ins[0].pool_id is not None:
        return [_open_one(connection, sign_ins[0])]
    wanted: defaultdict[str, int] = defaultdict(int)
    for sign_in in sign_ins:
        if sign_in.pool_id is not None:
            wanted[sign_in.pool_id] += 1
    free = {
        pool_id: [number for (number,) in connection.execute(_FREE, (pool_id, count))]
        for pool_id, count in wanted.items()
    }
    queues = {
        pbx_id: connection.execute(_ANYBODY_WAITS, (pbx_id,)).fetchone() is not None
        for pbx_id in {sign_in.request.pbx_id for sign_in in sign_ins if sign_in.pool_id is None}
    }
    installed = {
        vouched: connection.execute(_IS_INSTALLED, vouched).fetchone() is not None
        for vouched in {(sign_in.request.pbx_id, sign_in.request.installation) for sign_in in sign_ins}
    }
    results: list[Any] = []
    sessions, seats, audits, users = [], [], [], []
    for sign_in in sign_ins:
        if not installed[sign_in.request.pbx_id, sign_in.request.installation]:
            results.append(NEEDS_TRANSACTION)
            continue
        if sign_in.pool_id is None and queues[sign_in.request.pbx_id]:  # a plain pool has nobody waiting
            results.append(NEEDS_TRANSACTION)
            continue
        number = None
        if sign_in.pool_id is not None:
            if not free[sign_in.pool_id]:
                results.append(NEEDS_TRANSACTION)
                continue
            number = free[sign_in.pool_id].pop()
        results.append(number)
        row = sign_in.row(number)
        sessions.append(row)
        users.append(sign_in.request.teams_user.key)
        if number is not None:
            seats.append((sign_in.request.person.pbx_user_id, sign_in.pool_id, number))
        audits.append(_granted(sign_in, row))
    connection.executemany(_TAKE, seats)
    connection.executemany(_OPEN, sessions)
    for is_there, forget in zip(connection.execute(_LEFT).fetchone(), _FORGET, strict=True):
        if is_there:
            connection.executemany(forget, users)
    connection.executemany(INSERT_AUDIT_SQLITE, audits)
    return results


def _open_one(connection: sqlite3.Connection, sign_in: BatchedSignIn) -> Any:
    vouched = (sign_in.request.pbx_id, sign_in.request.installation)
    free = connection.execute(_FREE_ONE, (sign_in.pool_id, *vouched)).fetchone()
    if free is None:
        return NEEDS_TRANSACTION
    number, *left = free
    row = sign_in.row(number)
    connection.execute(_TAKE, (sign_in.request.person.pbx_user_id, sign_in.pool_id, number))
    connection.execute(_OPEN, row)
    for is_there, forget in zip(left, _FORGET, strict=True):
        if is_there:
            connection.execute(forget, sign_in.request.teams_user.key)
    connection.execute(INSERT_AUDIT_SQLITE, _granted(sign_in, row))
    return number


def _granted(sign_in: BatchedSignIn, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the audit row for the row of an opened session."""
    (_, _, _, _, pbx_id, user_id, _, name, _, _, _, pool_id, _, _, at, _, _, _) = row
    actor, detail = sign_in.request.actor, GRANTED_DETAIL[sign_in.kind]
    return audit_values(
        at=at,
        pbx_id=pbx_id,
        kind=AuditKind.GRANTED,
        actor=actor,
        subject=name,
        detail=detail,
        pbx_user_id=user_id,
        pool_id=pool_id,
    )


def end_together(connection: sqlite3.Connection, ends: Sequence[BatchedSignOut]) -> Sequence[Any]:
    """End sessions; return for each True or `NEEDS_TRANSACTION`. Raises BatchFailedError if one has changed in the
    meantime.
    """
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
            results.append(NEEDS_TRANSACTION)
            continue
        results.append(True)
        sessions.append((session.id, session.pool_id, session.seat_number))
        if session.pool_id is not None:
            seats.append((session.pool_id, session.seat_number))
        audits.append(_ended(end))
    if sessions and connection.executemany(_CLOSE, sessions).rowcount != len(sessions):
        raise BatchFailedError  # one of them has ended or moved in the meantime
    connection.executemany(_RELEASE, seats)
    connection.executemany(INSERT_AUDIT_SQLITE, audits)
    return results


def _end_one(connection: sqlite3.Connection, end: BatchedSignOut) -> Any:
    session = end.session
    key = (session.id, session.pool_id, session.seat_number)
    if connection.execute(_CLOSE_ONE, key).rowcount != 1:
        return NEEDS_TRANSACTION
    connection.execute(_RELEASE, key[1:])
    connection.execute(INSERT_AUDIT_SQLITE, _ended(end))
    return True


def _ended(end: BatchedSignOut) -> tuple[Any, ...]:
    session, person = end.session, end.session.person
    held_from = to_ms(session.licence_since) if session.pool_id is not None else None
    return audit_values(
        at=to_ms(end.now),
        pbx_id=session.pbx_id,
        kind=AuditKind.ENDED,
        actor=session.actor,
        subject=person.display_name,
        detail=ENDED_DETAIL[session.kind],
        pbx_user_id=person.pbx_user_id,
        pool_id=session.pool_id,
        held_from=held_from,
    )


GROUPS: Final[Mapping[str, Group]] = {END: end_together, OPEN: open_together}
