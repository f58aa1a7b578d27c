"""Every change of sessions, seats and pools, each one transaction, written once for both databases.

Who comes here has the pools of the PBX to themselves (`_lock`): quick takes and frees, which run beside each
other, hold the same rows shared. What a transaction leaves is always settled: a seat that anybody may take is
free only when the pool has room, and nobody is passed over who waits.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from core.diagnosis.codes import Code, LicenceReason
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing.licence_key import LicenceKey
from core.licensing.policy import Policy
from core.licensing.quick import QuickEnd
from core.licensing.rules import LicenceKind, Pool, TakeSeat, UseUal, exhausted, seat_choices
from core.licensing.session import (
    SESSION_COLUMNS,
    TOLD,
    EndCause,
    Ending,
    Opened,
    OpenSession,
    Session,
    UserFacts,
    to_session,
    who,
)
from core.store.moments import from_ms, new_id, to_ms
from core.store.script import Row, Script, execute, first, marks

OFFER_KEPT: Final = timedelta(minutes=5)
"""How long a seat is kept for whoever is next on the waiting list."""
REFUSAL_COUNTS: Final = timedelta(hours=1)
"""So long after a refusal the user may ask to be told."""
GRACE: Final = timedelta(hours=1)
"""So long after a key's last day sessions go on, so that no call is cut."""
TELL_EXPIRY_DAYS: Final = (30, 7, 1)
SYSTEM: Final = "pbx-teams"
"""The actor of what nobody decided: policies and expiry."""

_GRANTABLE: Final = "holder IS NULL AND NOT retired"
_SESSION_UPDATES: Final = ", ".join(f"{name} = excluded.{name}" for name in SESSION_COLUMNS.split(", ")[1:])


class RefusedError(Exception):
    """Leaves the transaction, which undoes what it had begun."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep changed: whose tabs have something new to show."""

    sessions: tuple[Session, ...]
    waiting: tuple[TeamsUser, ...]

    def __bool__(self) -> bool:
        return bool(self.sessions or self.waiting)


# --- sessions


def open_session(wish: OpenSession) -> Script[Opened]:
    user, person = wish.teams_user, wish.person
    before = yield from _by("tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id)
    pbx_ids = {wish.pbx_id, before.pbx_id} if before else {wish.pbx_id}
    yield from _lock(*pbx_ids)
    own = yield from _by("tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id)
    other = yield from _by("pbx_id = $1 AND pbx_user_id = $2", wish.pbx_id, person.pbx_user_id)
    if other is not None and other.teams_user.key == user.key:
        other = None
    ended: list[Session] = []
    if other is not None:
        if not wish.take_over:
            raise RefusedError(_held_elsewhere(other))
        yield from _end(other, Ending(EndCause.TAKEN_OVER, who(user), "", wish.now))
        ended.append(other)
    is_same = own is not None and own.pbx_id == wish.pbx_id and own.person.pbx_user_id == person.pbx_user_id
    if own is not None and not is_same:
        yield from _end(own, Ending(EndCause.SWITCHED, who(user), "", wish.now))
        ended.append(own)
        own = None
    session = Session(
        id=own.id if own else new_id(),
        teams_user=user,
        pbx_id=wish.pbx_id,
        person=person,
        kind=own.kind if own else LicenceKind.UAL,
        pool_id=own.pool_id if own else None,
        seat_number=own.seat_number if own else None,
        proof=wish.proof,
        started_at=own.started_at if own else wish.now,
        licence_since=own.licence_since if own else wish.now,
        last_seen_at=wish.now,
    )
    if own is not None:
        session = yield from _change_licence(session, wish.licence, who(user), wish.now, wish.pbx_name)
    elif isinstance(wish.licence, TakeSeat):
        session = yield from _take(session, wish.licence, wish.pbx_name, wish.now)
    yield from _put(session)
    if own is None:
        yield from audit(
            wish.pbx_id,
            "granted",
            who(user),
            person.display_name,
            {"kind": session.kind},
            wish.now,
            pbx_user_id=person.pbx_user_id,
            pool_id=session.pool_id,
        )
    yield from execute(
        "DELETE FROM session_end WHERE tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id
    )
    yield from _stop_waiting(wish.pbx_id, person.pbx_user_id, user)
    for pbx_id in sorted(pbx_ids):
        yield from _settle(pbx_id, wish.now)
    return Opened(session, tuple(ended))


def end_sessions(pbx_id: str, session_ids: Sequence[str], ending: Ending) -> Script[tuple[Session, ...]]:
    yield from _lock(pbx_id)
    ended: list[Session] = []
    for session_id in session_ids:
        session = yield from _by("id = $1 AND pbx_id = $2", session_id, pbx_id)
        if session is not None:
            yield from _end(session, ending)
            ended.append(session)
    if ended:
        yield from _settle(pbx_id, ending.now)
    return tuple(ended)


def sign_out(wish: QuickEnd) -> Script[bool]:
    """Whether the session was still there."""
    ending = Ending(EndCause.SIGNED_OUT, wish.actor, "", wish.now)
    ended = yield from end_sessions(wish.session.pbx_id, (wish.session.id,), ending)
    return bool(ended)


def follow_user(pbx_id: str, pbx_name: str, facts: UserFacts, now: datetime) -> Script[Session | None]:
    """Brings a session in line with what the PBX says of its user; gives the session when something changed."""
    yield from _lock(pbx_id)
    session = yield from _by("pbx_id = $1 AND pbx_user_id = $2", pbx_id, facts.pbx_user_id)
    if session is None:
        if isinstance(facts.licence, UseUal) or facts.person is None:
            yield from _stop_waiting(pbx_id, facts.pbx_user_id, None)
            yield from _settle(pbx_id, now)
        return None
    if facts.person is None:
        yield from _end(session, Ending(EndCause.USER_GONE, SYSTEM, "", now))
        yield from _settle(pbx_id, now)
        return session
    followed = replace(session, person=facts.person)
    wants_change = isinstance(facts.licence, UseUal) != (session.kind is LicenceKind.UAL)
    licence = facts.licence or TakeSeat(())  # no licence at all: as if no pool had a seat
    try:
        if wants_change:
            followed = yield from _change_licence(followed, licence, SYSTEM, now, pbx_name)
    except RefusedError:
        yield from _end(session, Ending(EndCause.LICENCE_LOST, SYSTEM, "", now))
        yield from _settle(pbx_id, now)
        return session
    if followed == session:
        return None
    yield from _put(followed)
    yield from _settle(pbx_id, now)
    return followed


def touch(session_id: str, now: datetime) -> Script[None]:
    yield from execute(
        "UPDATE session SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $1", to_ms(now), session_id
    )


def put_administrator(session_id: str, *, is_administrator: bool) -> Script[None]:
    yield from execute("UPDATE session SET is_administrator = $1 WHERE id = $2", is_administrator, session_id)


# --- the waiting list


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
        yield from _lock(pbx_id)
        yield from execute(
            "UPDATE waiting SET joined_at = $1 WHERE tenant_id = $2 AND object_id = $3 AND joined_at IS NULL",
            to_ms(now),
            user.tenant_id,
            user.object_id,
        )
        yield from _settle(pbx_id, now)
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
    yield from _lock(pbx_id)
    yield from _stop_waiting(pbx_id, row["pbx_user_id"], user)
    yield from _settle(pbx_id, now)
    return pbx_id


# --- pools


def put_pool(pbx_id: str, key: LicenceKey, now: datetime) -> Script[bool]:
    """Makes or adjusts the pool of one licence key; False when the key is bound to another PBX."""
    yield from _lock(pbx_id)
    row = yield from first(
        "SELECT id, pbx_id, valid_from, valid_until, withdrawn FROM pool WHERE serial = $1", key.serial
    )
    if row is not None and row["pbx_id"] != pbx_id:
        return False
    start, end = to_ms(key.starts), to_ms(key.ends)
    if row is None:
        pool_id, have, is_new = new_id(), 0, True
        yield from execute(
            "INSERT INTO pool (id, serial, pbx_id, licensee, valid_from, valid_until, withdrawn, plain, policy)"
            " VALUES ($1, $2, $3, $4, $5, $6, false, true, '{}')",
            *(pool_id, key.serial, pbx_id, key.licensee, start, end),
        )
    else:
        pool_id, is_new = row["id"], bool(row["withdrawn"])
        seats = yield from first("SELECT count(*) AS n FROM seat WHERE pool_id = $1 AND NOT retired", pool_id)
        have = seats["n"] if seats is not None else 0
        if (row["valid_from"], row["valid_until"]) != (start, end):
            yield from execute("UPDATE pool SET expiry_told = NULL WHERE id = $1", pool_id)
            is_new = True
        yield from execute(
            "UPDATE pool SET licensee = $1, valid_from = $2, valid_until = $3, withdrawn = false WHERE id = $4",
            *(key.licensee, start, end, pool_id),
        )
    if have != key.seats:
        yield from _fit_seats(pbx_id, pool_id, key.seats)
        yield from _reserve(pool_id)
    if is_new or have != key.seats:
        detail = {
            "seats": key.seats,
            "from": key.valid_from.isoformat(),
            "until": key.valid_until.isoformat(),
        }
        kind = "pool-added" if row is None else "pool-changed"
        yield from audit(pbx_id, kind, "connector", key.serial, detail, now)
        yield from _settle(pbx_id, now)
    return True


def withdraw_pools_except(pbx_id: str, serials: Sequence[str], now: datetime) -> Script[None]:
    """Pools whose key is no longer in the connector's configuration grant nothing any more."""
    rows = yield from execute("SELECT id, serial FROM pool WHERE pbx_id = $1 AND NOT withdrawn", pbx_id)
    gone = [row for row in rows if row["serial"] not in serials]
    if not gone:
        return
    yield from _lock(pbx_id)
    for row in gone:
        yield from execute("UPDATE pool SET withdrawn = true WHERE id = $1", row["id"])
        yield from audit(pbx_id, "pool-withdrawn", "connector", row["serial"], {}, now)
    yield from _settle(pbx_id, now)


def put_policy(pbx_id: str, pool_id: str, policy: Policy, actor: str, now: datetime) -> Script[None]:
    yield from _lock(pbx_id)
    row = yield from first("SELECT serial, policy FROM pool WHERE id = $1 AND pbx_id = $2", pool_id, pbx_id)
    if row is None:
        raise RefusedError(Finding(Code.POOL_GONE))
    seats = yield from first("SELECT count(*) AS n FROM seat WHERE pool_id = $1 AND NOT retired", pool_id)
    total = seats["n"] if seats is not None else 0
    if policy.reserved_seats > total:
        raise RefusedError(Finding(Code.BAD_POLICY, {"reserved": policy.reserved_seats, "total": total}))
    text = policy.model_dump_json(exclude_defaults=True)
    if text == row["policy"]:
        return
    yield from execute("UPDATE pool SET policy = $1 WHERE id = $2", text, pool_id)
    yield from _reserve(pool_id)
    detail = {"before": json.loads(row["policy"]), "after": json.loads(text)}
    yield from audit(pbx_id, "policy-changed", actor, row["serial"], detail, now)
    yield from _settle(pbx_id, now)


def release_key(
    serial: str, actor: str, now: datetime, *, end_sessions: bool
) -> Script[tuple[Session, ...] | int]:
    """Unbinds a licence key from its PBX, so that another may register it. While seats are held, it gives their
    number and changes nothing, unless the sessions are to end.
    """
    row = yield from first("SELECT id, pbx_id FROM pool WHERE serial = $1", serial)
    if row is None:
        raise RefusedError(Finding(Code.POOL_GONE))
    pbx_id, pool_id = row["pbx_id"], row["id"]
    yield from _lock(pbx_id)
    rows = yield from execute(
        f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1 AND pool_id = $2", pbx_id, pool_id
    )
    if rows and not end_sessions:
        return len(rows)
    ended = tuple(to_session(row) for row in rows)
    for session in ended:
        yield from _end(session, Ending(EndCause.REVOKED, actor, "", now))
    yield from execute("DELETE FROM seat WHERE pool_id = $1", pool_id)
    yield from execute("DELETE FROM pool WHERE id = $1", pool_id)
    yield from audit(pbx_id, "key-released", actor, serial, {"ended": len(ended)}, now)
    yield from _settle(pbx_id, now)
    return ended


# --- what time brings


def due(now: datetime) -> Script[list[str]]:
    """PBXs where a sweep has something to do."""
    at = to_ms(now)
    found: set[str] = set()
    queries: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("SELECT DISTINCT pbx_id FROM seat WHERE kept_for IS NOT NULL AND kept_until <= $1", (at,)),
        (
            (
                "SELECT DISTINCT waiting.pbx_id FROM waiting JOIN seat ON seat.pbx_id = waiting.pbx_id"
                f" WHERE joined_at IS NOT NULL AND offered_at IS NULL AND {_GRANTABLE} AND kept_for IS NULL"
            ),
            (),
        ),
        (
            "SELECT DISTINCT pbx_id FROM waiting WHERE joined_at IS NULL AND refused_at < $1",
            (to_ms(now - REFUSAL_COUNTS),),
        ),
        (
            (
                "SELECT DISTINCT pool.pbx_id FROM pool JOIN session ON session.pbx_id = pool.pbx_id"
                " AND session.pool_id = pool.id WHERE valid_until <= $1"
            ),
            (at,),
        ),
        *(
            (
                (
                    "SELECT DISTINCT pbx_id FROM pool WHERE NOT withdrawn AND valid_until > $1"
                    " AND valid_until <= $2 AND (expiry_told IS NULL OR expiry_told > $3)"
                ),
                (at, to_ms(now + timedelta(days=days)), days),
            )
            for days in TELL_EXPIRY_DAYS
        ),
    )
    for text, values in queries:
        rows = yield from execute(text, *values)
        found.update(row["pbx_id"] for row in rows)
    pools = yield from execute("SELECT id, pbx_id, policy FROM pool WHERE policy <> '{}'")
    for pool in pools:
        hours = Policy.model_validate_json(pool["policy"]).idle_hours
        if hours is not None and pool["pbx_id"] not in found:
            idle = yield from first(
                "SELECT id FROM session WHERE pbx_id = $1 AND pool_id = $2 AND last_seen_at <= $3 LIMIT 1",
                *(pool["pbx_id"], pool["id"], to_ms(now - timedelta(hours=hours))),
            )
            if idle is not None:
                found.add(pool["pbx_id"])
    return sorted(found)


def sweep(pbx_id: str, now: datetime) -> Script[Swept]:
    """Does what time has brought at one PBX: offers pass on, the idle are released, keys expire."""
    yield from _lock(pbx_id)
    touched: list[Session] = []
    told = yield from _pass_on(pbx_id, now)
    pools = yield from _pools(pbx_id)
    for pool in pools:
        yield from _tell_expiry(pbx_id, pool, now)
        if pool.valid_until <= now:
            touched += yield from _leave_expired(pbx_id, pool, pools, now)
        if pool.policy.idle_hours is not None:
            before = to_ms(now - timedelta(hours=pool.policy.idle_hours))
            rows = yield from execute(
                f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1 AND pool_id = $2 AND last_seen_at <= $3",
                *(pbx_id, pool.id, before),
            )
            for session in (to_session(row) for row in rows):
                yield from _end(session, Ending(EndCause.IDLE, SYSTEM, "", now))
                touched.append(session)
    yield from execute(
        "DELETE FROM waiting WHERE pbx_id = $1 AND joined_at IS NULL AND refused_at < $2",
        *(pbx_id, to_ms(now - REFUSAL_COUNTS)),
    )
    told += yield from _settle(pbx_id, now)
    return Swept(tuple(touched), tuple(told))


def forget_audit(before: datetime) -> Script[None]:
    """Deletes audit rows and old tellings that are older than they are kept."""
    yield from execute("DELETE FROM audit WHERE at < $1", to_ms(before))


# --- the steps these are made of


def _lock(*pbx_ids: str) -> Script[None]:
    yield from execute(
        f"SELECT id FROM pool WHERE pbx_id IN ({marks(pbx_ids, 1)}) ORDER BY id FOR UPDATE", *pbx_ids
    )


def _take(session: Session, wish: TakeSeat, pbx_name: str, now: datetime) -> Script[Session]:
    """Takes the best seat there is for this user: one kept for them, one reserved, one that is anybody's."""
    user_id = session.person.pbx_user_id
    kept = yield from first(
        "SELECT pool_id FROM seat WHERE pbx_id = $1 AND kept_for = $2", session.pbx_id, user_id
    )
    choices = list(wish.choices)
    if kept is not None:
        choices.sort(key=lambda choice: choice.pool_id != kept["pool_id"])
    for choice in choices:
        taken = yield from first(
            "UPDATE seat SET holder = $1, kept_for = NULL, kept_until = NULL"
            f" WHERE (pool_id, number) = (SELECT pool_id, number FROM seat WHERE pool_id = $2 AND {_GRANTABLE}"
            " AND (kept_for IS NULL OR kept_for = $1)"
            f" AND (reserved_for IS NULL OR reserved_for IN ({marks(choice.reservations, 3)}))"
            " ORDER BY kept_for IS NULL, reserved_for IS NULL, number LIMIT 1) RETURNING number",
            *(user_id, choice.pool_id, *choice.reservations),
        )
        if taken is not None:
            return replace(
                session,
                kind=LicenceKind.FL,
                pool_id=choice.pool_id,
                seat_number=taken["number"],
                licence_since=now,
            )
    pools = yield from _pools(session.pbx_id)
    open_ids = {choice.pool_id for choice in wish.choices}
    mine = [pool for pool in pools if pool.id in open_ids]
    raise RefusedError(
        exhausted(
            pbx_name,
            used=sum(pool.used for pool in mine),
            total=sum(pool.seats for pool in mine),
            reserved=sum(pool.reserved + pool.kept for pool in mine),
        )
    )


def _change_licence(
    session: Session, licence: UseUal | TakeSeat, actor: str, now: datetime, pbx_name: str
) -> Script[Session]:
    """Moves a session that is there to the licence it has a right to now, and writes that down."""
    before = session
    held_from: int | None = None
    if isinstance(licence, UseUal):
        if session.kind is LicenceKind.UAL:
            return session
        session = replace(session, kind=LicenceKind.UAL, pool_id=None, seat_number=None, licence_since=now)
        yield from _put(session)  # lets go of the seat before it is freed
        held_from = yield from _free(before)
    else:
        if session.kind is LicenceKind.FL:
            return session
        session = yield from _take(session, licence, pbx_name, now)
    yield from audit(
        session.pbx_id,
        "moved",
        actor,
        session.person.display_name,
        {"from": before.kind, "to": session.kind},
        now,
        pbx_user_id=session.person.pbx_user_id,
        pool_id=before.pool_id or session.pool_id,
        held_from=held_from,
    )
    return session


def _put(session: Session) -> Script[None]:
    yield from execute(
        f"INSERT INTO session ({SESSION_COLUMNS})"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
        f" ON CONFLICT (id) DO UPDATE SET {_SESSION_UPDATES}",
        *session_values(session),
    )


def session_values(session: Session) -> tuple[Any, ...]:
    """In the order of `SESSION_COLUMNS`."""
    return (
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
        session.kind.value,
        session.pool_id,
        session.seat_number,
        session.proof.value,
        to_ms(session.started_at),
        to_ms(session.licence_since),
        to_ms(session.last_seen_at),
    )


def _end(session: Session, ending: Ending) -> Script[None]:
    yield from execute("DELETE FROM session WHERE id = $1", session.id)
    held_from = yield from _free(session)
    detail = {"cause": ending.cause, "reason": ending.reason, "kind": session.kind}
    yield from audit(
        session.pbx_id,
        "ended",
        ending.actor,
        session.person.display_name,
        detail,
        ending.now,
        pbx_user_id=session.person.pbx_user_id,
        pool_id=session.pool_id,
        held_from=held_from,
    )
    if ending.cause in TOLD:
        yield from _tell_of_the_end(session, ending)


def _free(session: Session) -> Script[int | None]:
    """Frees the session's seat, if it has one; gives since when it was held."""
    if session.pool_id is None:
        return None
    yield from execute(
        "UPDATE seat SET holder = NULL WHERE pool_id = $1 AND number = $2",
        *(session.pool_id, session.seat_number),
    )
    return to_ms(session.licence_since)


def _tell_of_the_end(session: Session, ending: Ending) -> Script[None]:
    """In the same transaction as the end itself: what was taken away is also told, whatever crashes then."""
    user, pbx_name = session.teams_user, (yield from _pbx_name(session.pbx_id))
    yield from execute(
        "INSERT INTO session_end (tenant_id, object_id, pbx_name, cause, reason, ended_by, at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, object_id) DO UPDATE SET"
        " pbx_name = excluded.pbx_name, cause = excluded.cause, reason = excluded.reason,"
        " ended_by = excluded.ended_by, at = excluded.at",
        *(user.tenant_id, user.object_id, pbx_name, ending.cause.value, ending.reason, ending.actor),
        to_ms(ending.now),
    )
    detail = {
        "pbx_name": pbx_name,
        "pbx_user": session.person.display_name,
        "actor": ending.actor,
        "reason": ending.reason,
    }
    yield from _tell(user.tenant_id, user.object_id, ending.cause.value, detail, ending.now)


def _tell(
    tenant_id: str, object_id: str, kind: str, detail: Mapping[str, object], now: datetime
) -> Script[None]:
    yield from execute(
        "INSERT INTO notice (id, tenant_id, object_id, kind, detail, created_at, attempts, next_attempt_at, given_up)"
        " VALUES ($1, $2, $3, $4, $5, $6, 0, $6, false)",
        *(new_id(), tenant_id, object_id, kind, json.dumps(detail), to_ms(now)),
    )


def _pbx_name(pbx_id: str) -> Script[str]:
    row = yield from first("SELECT name FROM pbx WHERE id = $1", pbx_id)
    return str(row["name"]) if row is not None else ""


def _fit_seats(pbx_id: str, pool_id: str, seats: int) -> Script[None]:
    """Exactly `seats` rows can be granted, held ones first; the rest is retired, not deleted: who holds one keeps it."""
    row = yield from first("SELECT count(*) AS n FROM seat WHERE pool_id = $1", pool_id)
    have = row["n"] if row is not None else 0
    if have < seats:
        yield from execute(
            "INSERT INTO seat (pool_id, number, pbx_id, retired) WITH RECURSIVE n (number) AS"
            " (SELECT CAST($1 AS INTEGER) UNION ALL SELECT number + 1 FROM n WHERE number < CAST($2 AS INTEGER))"
            " SELECT $3, number, $4, false FROM n",
            *(have + 1, seats, pool_id, pbx_id),
        )
    yield from execute(
        "UPDATE seat SET retired = number NOT IN"
        " (SELECT number FROM seat WHERE pool_id = $1 ORDER BY holder IS NULL, kept_for IS NULL, number LIMIT $2)"
        " WHERE pool_id = $1",
        *(pool_id, seats),
    )


def _reserve(pool_id: str) -> Script[None]:
    """Marks as many rows for each reservation as the policy says; free ones first."""
    row = yield from first("SELECT policy FROM pool WHERE id = $1", pool_id)
    policy = Policy.model_validate_json(row["policy"]) if row is not None else Policy()
    ids = [reservation.id for reservation in policy.reservations]
    yield from execute(
        "UPDATE seat SET reserved_for = NULL WHERE pool_id = $1 AND reserved_for IS NOT NULL"
        f" AND (retired OR reserved_for NOT IN ({marks(ids, 2) if ids else repr('')}))",
        *(pool_id, *ids),
    )
    for reservation in policy.reservations:
        count = yield from first(
            "SELECT count(*) AS n FROM seat WHERE pool_id = $1 AND reserved_for = $2", pool_id, reservation.id
        )
        have = count["n"] if count is not None else 0
        if have > reservation.seats:
            yield from execute(
                "UPDATE seat SET reserved_for = NULL WHERE pool_id = $1 AND number IN (SELECT number FROM seat"
                " WHERE pool_id = $1 AND reserved_for = $2 ORDER BY holder IS NULL, number LIMIT $3)",
                *(pool_id, reservation.id, have - reservation.seats),
            )
        elif have < reservation.seats:
            yield from execute(
                "UPDATE seat SET reserved_for = $2 WHERE pool_id = $1 AND number IN (SELECT number FROM seat"
                " WHERE pool_id = $1 AND reserved_for IS NULL AND NOT retired"
                " ORDER BY holder IS NOT NULL, kept_for IS NOT NULL, number LIMIT $3)",
                *(pool_id, reservation.id, reservation.seats - have),
            )


def _settle(pbx_id: str, now: datetime) -> Script[list[TeamsUser]]:
    """Puts right what a change has left; gives the users that were offered a seat."""
    yield from _cover_surplus(pbx_id)
    yield from _take_back_stray_offers(pbx_id)
    offered = yield from _offer(pbx_id, now)
    special = (
        "EXISTS (SELECT 1 FROM seat WHERE seat.pool_id = pool.id AND retired AND holder IS NOT NULL)"
        " OR EXISTS (SELECT 1 FROM seat WHERE seat.pool_id = pool.id AND kept_for IS NOT NULL)"
        " OR EXISTS (SELECT 1 FROM waiting WHERE waiting.pbx_id = pool.pbx_id AND joined_at IS NOT NULL)"
    )
    yield from execute(
        f"UPDATE pool SET plain = NOT ({special}) WHERE pbx_id = $1 AND plain = ({special})", pbx_id
    )
    return offered


def _cover_surplus(pbx_id: str) -> Script[None]:
    """While a shrunken pool has more holders than seats, a row that comes free retires in a holder's stead."""
    surplus = yield from execute(
        "SELECT seat.pool_id AS pool_id, number FROM seat JOIN pool ON pool.id = seat.pool_id"
        " WHERE pool.pbx_id = $1 AND retired AND holder IS NOT NULL ORDER BY number",
        pbx_id,
    )
    reserve_again: set[str] = set()
    for row in surplus:
        freed = yield from first(
            "UPDATE seat SET retired = true, reserved_for = NULL, kept_for = NULL, kept_until = NULL"
            " WHERE (pool_id, number) = (SELECT pool_id, number FROM seat"
            f" WHERE pool_id = $1 AND {_GRANTABLE} ORDER BY kept_for IS NOT NULL, reserved_for IS NOT NULL LIMIT 1)"
            " RETURNING number",
            row["pool_id"],
        )
        if freed is not None:
            yield from execute(
                "UPDATE seat SET retired = false WHERE pool_id = $1 AND number = $2",
                *(row["pool_id"], row["number"]),
            )
            reserve_again.add(row["pool_id"])
    for pool_id in sorted(reserve_again):
        yield from _reserve(pool_id)


def _take_back_stray_offers(pbx_id: str) -> Script[None]:
    """A seat that is kept for somebody who waits no longer, or that was retired, is kept no longer."""
    yield from execute(
        "UPDATE seat SET kept_for = NULL, kept_until = NULL WHERE pbx_id = $1 AND kept_for IS NOT NULL AND"
        " (retired OR holder IS NOT NULL OR NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.pbx_id = seat.pbx_id"
        " AND waiting.pbx_user_id = seat.kept_for AND offered_at IS NOT NULL))",
        pbx_id,
    )
    yield from execute(
        "UPDATE waiting SET offered_at = NULL WHERE pbx_id = $1 AND offered_at IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM seat WHERE seat.pbx_id = waiting.pbx_id AND seat.kept_for = waiting.pbx_user_id)",
        pbx_id,
    )


def _offer(pbx_id: str, now: datetime) -> Script[list[TeamsUser]]:
    """Keeps every free seat for whoever is next and may have it, and tells them."""
    offered: list[TeamsUser] = []
    any_free = f"SELECT number FROM seat WHERE pbx_id = $1 AND {_GRANTABLE} AND kept_for IS NULL LIMIT 1"
    line = yield from execute(
        "SELECT * FROM waiting WHERE pbx_id = $1 AND joined_at IS NOT NULL AND offered_at IS NULL"
        " ORDER BY joined_at, pbx_user_id",
        pbx_id,
    )
    if not line:
        return offered
    pools = yield from _pools(pbx_id)
    until = now + OFFER_KEPT
    for place in line:
        if (yield from first(any_free, pbx_id)) is None:
            break
        # As the pools and their rules are now: a key that came after the refusal counts too.
        for choice in seat_choices(pools, place["pbx_user_id"], json.loads(place["group_ids"]), now):
            kept = yield from first(
                "UPDATE seat SET kept_for = $1, kept_until = $2 WHERE (pool_id, number) = (SELECT pool_id, number"
                f" FROM seat WHERE pool_id = $3 AND {_GRANTABLE} AND kept_for IS NULL"
                f" AND (reserved_for IS NULL OR reserved_for IN ({marks(choice.reservations, 4)}))"
                " ORDER BY reserved_for IS NULL, number LIMIT 1) RETURNING number",
                *(place["pbx_user_id"], to_ms(until), choice.pool_id, *choice.reservations),
            )
            if kept is None:
                continue
            yield from execute(
                "UPDATE waiting SET offered_at = $1 WHERE pbx_id = $2 AND pbx_user_id = $3",
                *(to_ms(now), pbx_id, place["pbx_user_id"]),
            )
            pbx_name = yield from _pbx_name(pbx_id)
            detail = {"pbx_name": pbx_name, "pbx_user": place["display_name"], "until": to_ms(until)}
            yield from _tell(place["tenant_id"], place["object_id"], "seat-offered", detail, now)
            yield from audit(
                pbx_id,
                "offered",
                SYSTEM,
                place["display_name"],
                {},
                now,
                pbx_user_id=place["pbx_user_id"],
                pool_id=choice.pool_id,
            )
            offered.append(TeamsUser(place["tenant_id"], place["object_id"]))
            break
    return offered


def _pass_on(pbx_id: str, now: datetime) -> Script[list[TeamsUser]]:
    """Whoever did not come for the seat that was kept for them has lost their place; they are told."""
    rows = yield from execute(
        "SELECT kept_for FROM seat WHERE pbx_id = $1 AND kept_for IS NOT NULL AND kept_until <= $2",
        *(pbx_id, to_ms(now)),
    )
    missed: list[TeamsUser] = []
    for row in rows:
        place = yield from first(
            "DELETE FROM waiting WHERE pbx_id = $1 AND pbx_user_id = $2 RETURNING *", pbx_id, row["kept_for"]
        )
        if place is not None:
            pbx_name = yield from _pbx_name(pbx_id)
            detail = {"pbx_name": pbx_name, "pbx_user": place["display_name"]}
            yield from _tell(place["tenant_id"], place["object_id"], "offer-passed", detail, now)
            yield from audit(
                *(pbx_id, "offer-passed", SYSTEM, place["display_name"], {}, now),
                pbx_user_id=place["pbx_user_id"],
            )
            missed.append(TeamsUser(place["tenant_id"], place["object_id"]))
    yield from execute(
        "UPDATE seat SET kept_for = NULL, kept_until = NULL WHERE pbx_id = $1 AND kept_for IS NOT NULL"
        " AND kept_until <= $2",
        *(pbx_id, to_ms(now)),
    )
    return missed


def _stop_waiting(pbx_id: str, pbx_user_id: int, user: TeamsUser | None) -> Script[None]:
    """Leaves the list. A seat that is kept there for them is taken back when the PBX is settled."""
    yield from execute("DELETE FROM waiting WHERE pbx_id = $1 AND pbx_user_id = $2", pbx_id, pbx_user_id)
    if user is not None:
        yield from execute(
            "DELETE FROM waiting WHERE tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id
        )


def _tell_expiry(pbx_id: str, pool: Pool, now: datetime) -> Script[None]:
    """Tells the administrators that are signed in, once for each of the days ahead."""
    days = next(
        (days for days in sorted(TELL_EXPIRY_DAYS) if pool.valid_until <= now + timedelta(days=days)), None
    )
    row = yield from first("SELECT expiry_told FROM pool WHERE id = $1", pool.id)
    told = row["expiry_told"] if row is not None else None
    if days is None or pool.valid_until <= now or (told is not None and told <= days):
        return
    yield from execute("UPDATE pool SET expiry_told = $1 WHERE id = $2", days, pool.id)
    pbx_name = yield from _pbx_name(pbx_id)
    detail = {
        "pbx_name": pbx_name,
        "serial": pool.serial,
        "seats": pool.seats,
        "until": to_ms(pool.valid_until),
    }
    administrators = yield from execute(
        "SELECT tenant_id, object_id FROM session WHERE pbx_id = $1 AND is_administrator", pbx_id
    )
    for row in administrators:
        yield from _tell(row["tenant_id"], row["object_id"], "key-expires", detail, now)
    yield from audit(
        pbx_id, "expiry-told", SYSTEM, pool.serial, {"days": days, "told": len(administrators)}, now
    )


def _leave_expired(pbx_id: str, pool: Pool, pools: Sequence[Pool], now: datetime) -> Script[list[Session]]:
    """Moves sessions of an expired pool to another that has room; after the hour of grace the others end."""
    touched: list[Session] = []
    is_over = pool.valid_until + GRACE <= now
    if not is_over and not any(other.is_valid(now) and other.used < other.seats for other in pools):
        return touched
    rows = yield from execute(
        f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1 AND pool_id = $2", pbx_id, pool.id
    )
    pbx_name = yield from _pbx_name(pbx_id)
    for session in (to_session(row) for row in rows):
        wish = TakeSeat(seat_choices(pools, session.person.pbx_user_id, (), now))
        loose = replace(session, pool_id=None, seat_number=None)
        try:
            yield from _put(loose)
            held_from = yield from _free(session)
            moved = yield from _take(loose, wish, pbx_name, now)
        except RefusedError:
            yield from execute(
                "UPDATE seat SET holder = $1 WHERE pool_id = $2 AND number = $3",
                *(session.person.pbx_user_id, session.pool_id, session.seat_number),
            )
            yield from _put(session)
            if is_over:
                yield from _end(session, Ending(EndCause.EXPIRED, SYSTEM, pool.serial, now))
                touched.append(session)
            continue
        yield from _put(moved)
        yield from audit(
            *(pbx_id, "moved", SYSTEM, session.person.display_name, {"from": "FL", "to": "FL"}, now),
            pbx_user_id=session.person.pbx_user_id,
            pool_id=pool.id,
            held_from=held_from,
        )
        touched.append(moved)
    return touched


def _pools(pbx_id: str) -> Script[list[Pool]]:
    """Those whose key is in the connector's configuration now."""
    rows = yield from execute(
        "SELECT pool.id AS id, serial, valid_from, valid_until, policy,"
        " count(seat.number) FILTER (WHERE NOT retired) AS seats, count(holder) AS used,"
        f" count(seat.number) FILTER (WHERE {_GRANTABLE} AND kept_for IS NULL AND reserved_for IS NOT NULL) AS reserved,"
        f" count(seat.number) FILTER (WHERE {_GRANTABLE} AND kept_for IS NOT NULL) AS kept"
        " FROM pool LEFT JOIN seat ON seat.pool_id = pool.id WHERE pool.pbx_id = $1 AND NOT withdrawn"
        " GROUP BY pool.id, serial, valid_from, valid_until, policy ORDER BY valid_until, pool.id",
        pbx_id,
    )
    return [to_pool(row) for row in rows]


def to_pool(row: Row) -> Pool:
    return Pool(
        id=row["id"],
        serial=row["serial"],
        seats=row["seats"],
        used=row["used"],
        valid_from=from_ms(row["valid_from"]),
        valid_until=from_ms(row["valid_until"]),
        policy=Policy.model_validate_json(row["policy"]),
        reserved=row["reserved"],
        kept=row["kept"],
    )


def _by(condition: str, *values: Any) -> Script[Session | None]:
    row = yield from first(f"SELECT {SESSION_COLUMNS} FROM session WHERE {condition}", *values)
    return to_session(row) if row is not None else None


def _held_elsewhere(other: Session) -> Finding:
    return Finding(
        Code.SESSION_HELD_ELSEWHERE,
        {
            "holder": other.teams_user.name or other.person.display_name,
            "pbx_user": other.person.display_name,
            "since": other.started_at,
        },
    )


def audit(
    pbx_id: str,
    kind: str,
    actor: str,
    subject: str,
    detail: Mapping[str, object],
    now: datetime,
    *,
    pbx_user_id: int | None = None,
    pool_id: str | None = None,
    held_from: int | None = None,
) -> Script[None]:
    yield from execute(
        "INSERT INTO audit (at, pbx_id, kind, actor, subject, detail, pbx_user_id, pool_id, held_from)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        *(to_ms(now), pbx_id, kind, actor, subject, json.dumps(detail), pbx_user_id, pool_id, held_from),
    )
