"""Sessions begin, end, and follow what the PBX says of their users."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.licensing.quick import QuickEnd
from core.licensing.rules import LicenceKind, TakeSeat, UseUal
from core.licensing.session import (
    EndCause,
    Ending,
    Opened,
    OpenSession,
    Session,
    UserFacts,
    who,
)
from core.licensing.transactions.settling import settle
from core.licensing.transactions.steps import (
    SYSTEM,
    RefusedError,
    audit,
    change_licence,
    end_session,
    lock_pools,
    put_session,
    session_by,
    take_seat,
)
from core.licensing.transactions.waiting_list import stop_waiting
from core.store.moments import new_id, to_ms
from core.store.script import Script, execute


def open_session(wish: OpenSession) -> Script[Opened]:
    user, person = wish.teams_user, wish.person
    before = yield from session_by("tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id)
    pbx_ids = {wish.pbx_id, before.pbx_id} if before else {wish.pbx_id}
    yield from lock_pools(*pbx_ids)
    own = yield from session_by("tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id)
    other = yield from session_by("pbx_id = $1 AND pbx_user_id = $2", wish.pbx_id, person.pbx_user_id)
    if other is not None and other.teams_user.key == user.key:
        other = None
    ended: list[Session] = []
    if other is not None:
        if not wish.take_over:
            raise RefusedError(_held_elsewhere(other))
        yield from end_session(other, Ending(EndCause.TAKEN_OVER, who(user), "", wish.now))
        ended.append(other)
    is_same = own is not None and own.pbx_id == wish.pbx_id and own.person.pbx_user_id == person.pbx_user_id
    if own is not None and not is_same:
        yield from end_session(own, Ending(EndCause.SWITCHED, who(user), "", wish.now))
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
        session = yield from change_licence(session, wish.licence, who(user), wish.now, wish.pbx_name)
    elif isinstance(wish.licence, TakeSeat):
        session = yield from take_seat(session, wish.licence, wish.pbx_name, wish.now)
    yield from put_session(session)
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
    yield from stop_waiting(wish.pbx_id, person.pbx_user_id, user)
    for pbx_id in sorted(pbx_ids):
        yield from settle(pbx_id, wish.now)
    return Opened(session, tuple(ended))


def end_sessions(pbx_id: str, session_ids: Sequence[str], ending: Ending) -> Script[tuple[Session, ...]]:
    yield from lock_pools(pbx_id)
    ended: list[Session] = []
    for session_id in session_ids:
        session = yield from session_by("id = $1 AND pbx_id = $2", session_id, pbx_id)
        if session is not None:
            yield from end_session(session, ending)
            ended.append(session)
    if ended:
        yield from settle(pbx_id, ending.now)
    return tuple(ended)


def sign_out(wish: QuickEnd) -> Script[bool]:
    """Whether the session was still there."""
    ending = Ending(EndCause.SIGNED_OUT, wish.actor, "", wish.now)
    ended = yield from end_sessions(wish.session.pbx_id, (wish.session.id,), ending)
    return bool(ended)


def followed(pbx_id: str) -> Script[list[int]]:
    rows = yield from execute(
        "SELECT pbx_user_id FROM session WHERE pbx_id = $1"
        " UNION SELECT pbx_user_id FROM waiting WHERE pbx_id = $1 AND joined_at IS NOT NULL",
        pbx_id,
    )
    return [row["pbx_user_id"] for row in rows]


def follow_user(pbx_id: str, pbx_name: str, facts: UserFacts, now: datetime) -> Script[Session | None]:
    """Brings a session in line with what the PBX says of its user; gives the session when something changed."""
    yield from lock_pools(pbx_id)
    session = yield from session_by("pbx_id = $1 AND pbx_user_id = $2", pbx_id, facts.pbx_user_id)
    if session is None:
        if isinstance(facts.licence, UseUal) or facts.person is None:
            yield from stop_waiting(pbx_id, facts.pbx_user_id, None)
            yield from settle(pbx_id, now)
        return None
    if facts.person is None:
        yield from end_session(session, Ending(EndCause.USER_GONE, SYSTEM, "", now))
        yield from settle(pbx_id, now)
        return session
    followed = replace(session, person=facts.person)
    wants_change = isinstance(facts.licence, UseUal) != (session.kind is LicenceKind.UAL)
    licence = facts.licence or TakeSeat(())  # no licence at all: as if no pool had a seat
    try:
        if wants_change:
            followed = yield from change_licence(followed, licence, SYSTEM, now, pbx_name)
    except RefusedError:
        yield from end_session(session, Ending(EndCause.LICENCE_LOST, SYSTEM, "", now))
        yield from settle(pbx_id, now)
        return session
    if followed == session:
        return None
    yield from put_session(followed)
    yield from settle(pbx_id, now)
    return followed


def touch(session_id: str, now: datetime) -> Script[None]:
    yield from execute(
        "UPDATE session SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $1", to_ms(now), session_id
    )


def put_administrator(session_id: str, *, is_administrator: bool) -> Script[None]:
    yield from execute("UPDATE session SET is_administrator = $1 WHERE id = $2", is_administrator, session_id)


def _held_elsewhere(other: Session) -> Finding:
    return Finding(
        Code.SESSION_HELD_ELSEWHERE,
        {
            "holder": other.teams_user.name or other.person.display_name,
            "pbx_user": other.person.display_name,
            "since": other.started_at,
        },
    )
