"""The ledger in SQLite, through `sqlite3` directly: the seat path pays for no layer (design, section 9)."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing.ledger import (
    EndCause,
    Ending,
    Opened,
    OpenSession,
    Proof,
    Session,
    SessionPerson,
)
from core.licensing.licence_key import LicenceKey
from core.licensing.rules import LicenceKind, Pool, UseUal, exhausted
from core.store.moments import from_ms, new_id, to_ms
from core.store.sqlite_writer import SqliteWriter

_SESSION_COLUMNS: Final = (
    "id, tenant_id, object_id, teams_name, pbx_id, pbx_user_id, pbx_login, display_name, email,"
    " is_administrator, licence_kind, pool_id, seat_number, proof, started_at, last_seen_at"
)
_SESSION_UPDATES: Final = ", ".join(f"{name} = excluded.{name}" for name in _SESSION_COLUMNS.split(", ")[1:])


class SqliteLedger:
    def __init__(self, writer: SqliteWriter) -> None:
        self._writer = writer

    async def open_session(self, wish: OpenSession) -> Opened | Finding:
        try:
            return await self._writer.run(lambda connection: _open(connection, wish))
        except _RefusedError as refused:
            return refused.finding

    async def end_sessions(
        self, pbx_id: str, session_ids: Sequence[str], ending: Ending
    ) -> tuple[Session, ...]:
        def operation(connection: sqlite3.Connection) -> tuple[Session, ...]:
            found = (
                _by(connection, "id = ? AND pbx_id = ?", session_id, pbx_id) for session_id in session_ids
            )
            ended = tuple(session for session in found if session is not None)
            for session in ended:
                _end(connection, session, ending)
            return ended

        return await self._writer.run(operation)

    async def record_denial(self, pbx_id: str, who: str, finding: Finding, now: datetime) -> None:
        detail = {"code": finding.code, "reason": finding.evidence.get("reason")}
        await self._writer.run(lambda connection: _audit(connection, pbx_id, "denied", who, who, detail, now))

    async def put_pool(self, pbx_id: str, key: LicenceKey, now: datetime) -> bool:
        return await self._writer.run(lambda connection: _put_pool(connection, pbx_id, key, now))

    async def withdraw_pools_except(self, pbx_id: str, serials: Sequence[str], now: datetime) -> None:
        def operation(connection: sqlite3.Connection) -> None:
            rows = connection.execute(
                "SELECT id, serial FROM pool WHERE pbx_id = ? AND NOT withdrawn", (pbx_id,)
            )
            for pool_id, serial in rows.fetchall():
                if serial not in serials:
                    connection.execute("UPDATE pool SET withdrawn = 1 WHERE id = ?", (pool_id,))
                    _audit(connection, pbx_id, "pool-withdrawn", "connector", serial, {}, now)

        await self._writer.run(operation)

    async def touch(self, session_id: str, now: datetime) -> None:
        await self._update("UPDATE session SET last_seen_at = ? WHERE id = ?", to_ms(now), session_id)

    async def put_administrator(self, session_id: str, *, is_administrator: bool) -> None:
        await self._update(
            "UPDATE session SET is_administrator = ? WHERE id = ?", is_administrator, session_id
        )

    async def close(self) -> None:
        await self._writer.close()

    async def _update(self, statement: str, *values: object) -> None:
        await self._writer.run(lambda connection: connection.execute(statement, values).close())


class _RefusedError(Exception):
    """Leaves the transaction, which undoes what it had begun."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


def _open(connection: sqlite3.Connection, wish: OpenSession) -> Opened:
    user, person = wish.teams_user, wish.person
    own = _by(connection, "tenant_id = ? AND object_id = ?", user.tenant_id, user.object_id)
    other = _by(connection, "pbx_id = ? AND pbx_user_id = ?", wish.pbx_id, person.pbx_user_id)
    if other is not None and other.teams_user.key == user.key:
        other = None
    ended: list[Session] = []
    if other is not None:
        if not wish.take_over:
            raise _RefusedError(_held_elsewhere(other))
        _end(connection, other, Ending(EndCause.TAKEN_OVER, _who(user), "", wish.now))
        ended.append(other)
    is_same = own is not None and own.pbx_id == wish.pbx_id and own.person.pbx_user_id == person.pbx_user_id
    if own is not None and not is_same:
        _end(connection, own, Ending(EndCause.SWITCHED, _who(user), "", wish.now))
        ended.append(own)
        own = None
    pool_id, number = _settle_seat(connection, wish)
    kind = LicenceKind.UAL if isinstance(wish.licence, UseUal) else LicenceKind.FL
    session = Session(
        id=own.id if own else new_id(),
        teams_user=user,
        pbx_id=wish.pbx_id,
        person=person,
        kind=kind,
        pool_id=pool_id,
        seat_number=number,
        proof=wish.proof,
        started_at=own.started_at if own else wish.now,
        last_seen_at=wish.now,
    )
    _put(connection, session)
    if own is None or own.kind is not kind:
        _audit(connection, wish.pbx_id, "granted", _who(user), person.display_name, {"kind": kind}, wish.now)
    connection.execute(
        "DELETE FROM session_end WHERE tenant_id = ? AND object_id = ?", (user.tenant_id, user.object_id)
    )
    return Opened(session, tuple(ended))


def _settle_seat(connection: sqlite3.Connection, wish: OpenSession) -> tuple[str | None, int | None]:
    """Takes a seat, keeps the one already held, or gives it back when the user has a licence of their own."""
    holder = wish.person.pbx_user_id
    held = connection.execute(
        "SELECT pool_id, number FROM seat WHERE pbx_id = ? AND holder = ?", (wish.pbx_id, holder)
    ).fetchone()
    if isinstance(wish.licence, UseUal):
        if held is not None:
            # The session still points at the seat: it lets go first.
            connection.execute(
                "UPDATE session SET pool_id = NULL, seat_number = NULL WHERE pool_id = ? AND seat_number = ?",
                held,
            )
            _free(connection, *held)
        return None, None
    if held is not None:
        return held[0], held[1]
    for pool_id in wish.licence.pool_ids:
        taken = connection.execute(
            "UPDATE seat SET holder = ?, taken_at = ? WHERE (pool_id, number) ="
            " (SELECT pool_id, number FROM seat WHERE pool_id = ? AND holder IS NULL AND NOT retired LIMIT 1)"
            " RETURNING number",
            (holder, to_ms(wish.now), pool_id),
        ).fetchone()
        if taken is not None:
            return pool_id, taken[0]
    raise _RefusedError(
        exhausted(wish.pbx_name, [_pool(connection, pool_id) for pool_id in wish.licence.pool_ids])
    )


def _put(connection: sqlite3.Connection, session: Session) -> None:
    connection.execute(
        f"INSERT INTO session ({_SESSION_COLUMNS})"  # noqa: S608 - the columns are a constant
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        f" {_SESSION_UPDATES}",
        (
            session.id,
            session.teams_user.tenant_id,
            session.teams_user.object_id,
            session.teams_user.name,
            session.pbx_id,
            session.person.pbx_user_id,
            session.person.login,
            session.person.display_name,
            session.person.email,
            session.person.is_administrator,
            session.kind,
            session.pool_id,
            session.seat_number,
            session.proof,
            to_ms(session.started_at),
            to_ms(session.last_seen_at),
        ),
    )


def _end(connection: sqlite3.Connection, session: Session, ending: Ending) -> None:
    connection.execute("DELETE FROM session WHERE id = ?", (session.id,))
    if session.pool_id is not None and session.seat_number is not None:
        _free(connection, session.pool_id, session.seat_number)
    detail = {"cause": ending.cause, "reason": ending.reason, "kind": session.kind}
    _audit(connection, session.pbx_id, "ended", ending.actor, session.person.display_name, detail, ending.now)
    if ending.cause in (EndCause.REVOKED, EndCause.TAKEN_OVER):
        _tell_the_user(connection, session, ending)


def _tell_the_user(connection: sqlite3.Connection, session: Session, ending: Ending) -> None:
    """In the same transaction as the end itself: what was taken away is also told, whatever crashes then."""
    user = session.teams_user
    (pbx_name,) = connection.execute("SELECT name FROM pbx WHERE id = ?", (session.pbx_id,)).fetchone()
    at = to_ms(ending.now)
    connection.execute(
        "INSERT OR REPLACE INTO session_end (tenant_id, object_id, pbx_name, cause, reason, ended_by, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (user.tenant_id, user.object_id, pbx_name, ending.cause, ending.reason, ending.actor, at),
    )
    detail = {
        "pbx_name": pbx_name,
        "pbx_user": session.person.display_name,
        "actor": ending.actor,
        "reason": ending.reason,
    }
    connection.execute(
        "INSERT INTO notice (id, tenant_id, object_id, kind, detail, created_at, attempts, next_attempt_at, given_up)"
        " VALUES (?, ?, ?, ?, ?, ?, 0, ?, 0)",
        (new_id(), user.tenant_id, user.object_id, ending.cause, json.dumps(detail), at, at),
    )


def _free(connection: sqlite3.Connection, pool_id: str, number: int) -> None:
    """Frees a seat. While a shrunken pool has more holders than seats, the freed row retires in a holder's stead,
    so that a row that can be granted is free only when the pool has room.
    """
    connection.execute(
        "UPDATE seat SET holder = NULL, taken_at = NULL WHERE pool_id = ? AND number = ?", (pool_id, number)
    )
    surplus = connection.execute(
        "SELECT number FROM seat WHERE pool_id = ? AND retired AND holder IS NOT NULL LIMIT 1", (pool_id,)
    ).fetchone()
    if surplus is not None:
        moved = connection.execute(
            "UPDATE seat SET retired = 1 WHERE pool_id = ? AND number = ? AND NOT retired", (pool_id, number)
        )
        if moved.rowcount:
            connection.execute(
                "UPDATE seat SET retired = 0 WHERE pool_id = ? AND number = ?", (pool_id, *surplus)
            )


def _put_pool(connection: sqlite3.Connection, pbx_id: str, key: LicenceKey, now: datetime) -> bool:
    row = connection.execute("SELECT id, pbx_id FROM pool WHERE serial = ?", (key.serial,)).fetchone()
    if row is not None and row[1] != pbx_id:
        return False
    pool_id = row[0] if row else new_id()
    values = (key.licensee, to_ms(key.starts), to_ms(key.ends))
    if row is None:
        connection.execute(
            "INSERT INTO pool (licensee, valid_from, valid_until, withdrawn, id, serial, pbx_id)"
            " VALUES (?, ?, ?, 0, ?, ?, ?)",
            (*values, pool_id, key.serial, pbx_id),
        )
        _audit(connection, pbx_id, "pool-added", "connector", key.serial, {"seats": key.seats}, now)
    else:
        connection.execute(
            "UPDATE pool SET licensee = ?, valid_from = ?, valid_until = ?, withdrawn = 0 WHERE id = ?",
            (*values, pool_id),
        )
    _fit_seats(connection, pbx_id, pool_id, key.seats)
    return True


def _fit_seats(connection: sqlite3.Connection, pbx_id: str, pool_id: str, seats: int) -> None:
    """Exactly `seats` rows can be granted, held ones first; the rest is retired, not deleted: who holds one keeps it."""
    have = connection.execute("SELECT count(*) FROM seat WHERE pool_id = ?", (pool_id,)).fetchone()[0]
    connection.executemany(
        "INSERT INTO seat (pool_id, number, pbx_id, retired) VALUES (?, ?, ?, 0)",
        ((pool_id, number, pbx_id) for number in range(have + 1, seats + 1)),
    )
    connection.execute(
        "UPDATE seat SET retired = number NOT IN"
        " (SELECT number FROM seat WHERE pool_id = ?1 ORDER BY holder IS NULL, number LIMIT ?2) WHERE pool_id = ?1",
        (pool_id, seats),
    )


def _pool(connection: sqlite3.Connection, pool_id: str) -> Pool:
    serial, start, end = connection.execute(
        "SELECT serial, valid_from, valid_until FROM pool WHERE id = ?", (pool_id,)
    ).fetchone()
    seats, used = connection.execute(
        "SELECT count(*) FILTER (WHERE NOT retired), count(holder) FROM seat WHERE pool_id = ?", (pool_id,)
    ).fetchone()
    return Pool(pool_id, serial, seats, used, from_ms(start), from_ms(end))


def _by(connection: sqlite3.Connection, condition: str, *values: object) -> Session | None:
    row = connection.execute(
        f"SELECT {_SESSION_COLUMNS} FROM session WHERE {condition}",  # noqa: S608 - conditions are constants
        values,
    ).fetchone()
    if row is None:
        return None
    return Session(
        id=row[0],
        teams_user=TeamsUser(row[1], row[2], row[3]),
        pbx_id=row[4],
        person=SessionPerson(row[5], row[6], row[7], row[8], bool(row[9])),
        kind=LicenceKind(row[10]),
        pool_id=row[11],
        seat_number=row[12],
        proof=Proof(row[13]),
        started_at=from_ms(row[14]),
        last_seen_at=from_ms(row[15]),
    )


def _held_elsewhere(other: Session) -> Finding:
    return Finding(
        Code.SESSION_HELD_ELSEWHERE,
        {
            "holder": other.teams_user.name or other.person.display_name,
            "pbx_user": other.person.display_name,
            "since": other.started_at,
        },
    )


def _who(user: TeamsUser) -> str:
    return user.name or f"{user.tenant_id}/{user.object_id}"


def _audit(
    connection: sqlite3.Connection,
    pbx_id: str,
    kind: str,
    actor: str,
    subject: str,
    detail: Mapping[str, object],
    now: datetime,
) -> None:
    connection.execute(
        "INSERT INTO audit (id, at, pbx_id, kind, actor, subject, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (new_id(), to_ms(now), pbx_id, kind, actor, subject, json.dumps(detail)),
    )
