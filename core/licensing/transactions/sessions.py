"""Open and end sessions, and keep them in line with the users of the PBX."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.licensing.batched import BatchedSignOut
from core.licensing.rules import Administer, Grant, LicenceKind, TakeSeat, UseUal
from core.licensing.session import (
    SESSION_COLUMNS,
    EndCause,
    Ending,
    Opened,
    Proof,
    Session,
    SessionRequest,
    UserFacts,
    to_session,
)
from core.licensing.transactions.ageing import renew_session
from core.licensing.transactions.proofs import check_proof, is_newest_link, pin_identity
from core.licensing.transactions.settling import settle
from core.licensing.transactions.steps import (
    TransactionRefusedError,
    change_licence,
    end_session,
    find_session,
    keep_for_administration,
    lock_pools,
    put_session,
    take_seat,
)
from core.licensing.transactions.waiting_list import stop_waiting
from core.store.audit import SYSTEM, AuditKind, audit
from core.store.timestamps import new_id, to_ms
from core.store.transaction import Transaction, execute


def open_session(request: SessionRequest) -> Transaction[Opened]:
    """Sign a Teams user in as a PBX user, or update the session that they already have as this PBX user.

    A session of this Teams user as another PBX user ends. So does a session of another Teams user as this PBX user,
    if `take_over` is set. Raises TransactionRefusedError when the proof no longer holds, when another Teams user
    holds the session and `take_over` is not set, or when no seat is free.
    """
    user, person = request.teams_user, request.person
    before = yield from find_session("tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id)
    pbx_ids = {request.pbx_id, before.pbx_id} if before else {request.pbx_id}
    yield from lock_pools(*pbx_ids)
    yield from check_proof(request)
    own = yield from find_session("tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id)
    other = yield from find_session("pbx_id = $1 AND pbx_user_id = $2", request.pbx_id, person.pbx_user_id)
    if other is not None and other.teams_user.key == user.key:
        other = None
    ended: list[Session] = []
    if other is not None:
        if not request.take_over:
            raise TransactionRefusedError(_held_elsewhere(other))
        yield from end_session(
            other, Ending(cause=EndCause.TAKEN_OVER, actor=request.actor, reason="", now=request.now)
        )
        ended.append(other)
    is_same = (
        own is not None and own.pbx_id == request.pbx_id and own.person.pbx_user_id == person.pbx_user_id
    )
    if own is not None and not is_same:
        yield from end_session(
            own, Ending(cause=EndCause.SWITCHED, actor=request.actor, reason="", now=request.now)
        )
        ended.append(own)
        own = None
    session = Session(
        id=own.id if own else new_id(),
        teams_user=user,
        pbx_id=request.pbx_id,
        person=person,
        kind=own.kind if own else _kind_without_seat(request.licence),
        pool_id=own.pool_id if own else None,
        seat_number=own.seat_number if own else None,
        # A session that was proven by password stays proven by password.
        proof=Proof.PASSWORD if own is not None and own.proof is Proof.PASSWORD else request.proof,
        started_at=own.started_at if own else request.now,
        licence_since=own.licence_since if own else request.now,
        last_seen_at=request.now,
        installation=request.installation,
    )
    if own is not None:
        session = yield from change_licence(
            session=session,
            licence=request.licence,
            actor=request.actor,
            now=request.now,
            pbx_name=request.pbx_name,
        )
    elif isinstance(request.licence, TakeSeat):
        session = yield from take_seat(
            session=session, request=request.licence, pbx_name=request.pbx_name, now=request.now
        )
    yield from put_session(session)
    # A sign-in by e-mail does not renew a session that was proven by password.
    if own is not None and request.proof is session.proof:
        yield from renew_session(session.id, request.now)
    if request.proof is Proof.EMAIL or request.renews_pin:
        yield from pin_identity(request)
    if own is None:
        yield from audit(
            pbx_id=request.pbx_id,
            kind=AuditKind.GRANTED,
            actor=request.actor,
            subject=person.display_name,
            detail={"kind": session.kind},
            now=request.now,
            pbx_user_id=person.pbx_user_id,
            pool_id=session.pool_id,
        )
    yield from execute(
        "DELETE FROM session_end WHERE tenant_id = $1 AND object_id = $2", user.tenant_id, user.object_id
    )
    yield from stop_waiting(request.pbx_id, person.pbx_user_id, user)
    for pbx_id in sorted(pbx_ids):
        yield from settle(pbx_id, request.now)
    return Opened(session, tuple(ended))


def end_sessions(pbx_id: str, session_ids: Sequence[str], ending: Ending) -> Transaction[tuple[Session, ...]]:
    """End these sessions of a PBX; return those that ended. Sessions that no longer exist are skipped."""
    yield from lock_pools(pbx_id)
    ended: list[Session] = []
    for session_id in session_ids:
        session = yield from find_session("id = $1 AND pbx_id = $2", session_id, pbx_id)
        if session is not None:
            yield from end_session(session, ending)
            ended.append(session)
    if ended:
        yield from settle(pbx_id, ending.now)
    return tuple(ended)


def end_all(
    pbx_id: str, ending: Ending, condition: str = "true", *values: object
) -> Transaction[tuple[Session, ...]]:
    """End the sessions of a PBX that meet an SQL condition; return them. The caller settles the PBX.

    `values` fill the condition's placeholders, beginning with $2.
    """
    rows = yield from execute(
        f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1 AND {condition} ORDER BY id",
        pbx_id,
        *values,
    )
    ended = tuple(to_session(row) for row in rows)
    for session in ended:
        yield from end_session(session, ending)
    return ended


def sign_out(request: BatchedSignOut) -> Transaction[bool]:
    """End the session; return whether it still existed."""
    ending = Ending(cause=EndCause.SIGNED_OUT, actor=request.session.actor, reason="", now=request.now)
    ended = yield from end_sessions(request.session.pbx_id, (request.session.id,), ending)
    return bool(ended)


def list_followed_user_ids(pbx_id: str) -> Transaction[list[int]]:
    """Return the ids of PBX users who have a session or wait for a seat."""
    rows = yield from execute(
        "SELECT pbx_user_id FROM session WHERE pbx_id = $1"
        " UNION SELECT pbx_user_id FROM waiting WHERE pbx_id = $1 AND joined_at IS NOT NULL",
        pbx_id,
    )
    return [row["pbx_user_id"] for row in rows]


def follow_user(
    pbx_id: str, pbx_name: str, facts: UserFacts, now: datetime, epoch: int | None = None
) -> Transaction[Session | None]:
    """Bring a session in line with what the PBX reports about its user; return the session when it changed or ended.

    A user who no longer exists loses the session or the place on the waiting list. A user whose licence changed moves
    to the new licence; if there is none, the session ends, except that an administrator keeps it without a licence.

    `epoch` is the epoch of the link that reported the facts. When a newer link has replaced it, nothing changes: the
    users are compared again over the newer link.
    """
    yield from lock_pools(pbx_id)
    if epoch is not None and not (yield from is_newest_link(pbx_id, epoch)):
        return None
    session = yield from find_session("pbx_id = $1 AND pbx_user_id = $2", pbx_id, facts.pbx_user_id)
    if session is None:
        if isinstance(facts.licence, UseUal) or facts.person is None:
            yield from stop_waiting(pbx_id, facts.pbx_user_id, None)
            yield from settle(pbx_id, now)
        return None
    if facts.person is None:
        yield from end_session(session, Ending(cause=EndCause.USER_GONE, actor=SYSTEM, reason="", now=now))
        yield from settle(pbx_id, now)
        return session
    followed = replace(session, person=facts.person)
    has_licence = session.kind is not LicenceKind.ADMINISTRATION
    gets_ual, has_ual = isinstance(facts.licence, UseUal), session.kind is LicenceKind.UAL
    # A session without a licence takes a seat only when its user signs in again.
    if gets_ual != has_ual and (gets_ual or has_licence):
        licence = facts.licence or TakeSeat(())  # a refusal is treated like pools without a free seat
        try:
            followed = yield from change_licence(
                session=followed, licence=licence, actor=SYSTEM, now=now, pbx_name=pbx_name
            )
            has_licence = True
        except TransactionRefusedError:
            has_licence = False
            if followed.may_administer:
                followed = yield from keep_for_administration(followed, now)
    if not (has_licence or followed.may_administer):
        yield from end_session(session, Ending(cause=EndCause.LICENCE_LOST, actor=SYSTEM, reason="", now=now))
        yield from settle(pbx_id, now)
        return session
    if followed == session:
        return None
    yield from put_session(followed)
    yield from settle(pbx_id, now)
    return followed


def touch(session_id: str, now: datetime) -> Transaction[None]:
    """Note that the session's user was active at `now`."""
    yield from execute(
        "UPDATE session SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $1", to_ms(now), session_id
    )


def put_administrator(session_id: str, *, is_administrator: bool) -> Transaction[None]:
    """Store whether the session's PBX user has the PBX's administrator permission."""
    yield from execute("UPDATE session SET is_administrator = $1 WHERE id = $2", is_administrator, session_id)


def _kind_without_seat(licence: Grant) -> LicenceKind:
    """Return the licence kind of a new session; `take_seat` replaces it when a seat is needed."""
    return LicenceKind.ADMINISTRATION if isinstance(licence, Administer) else LicenceKind.UAL


def _held_elsewhere(other: Session) -> Finding:
    return Finding(
        Code.SESSION_HELD_ELSEWHERE,
        {
            "holder": other.teams_user.name or other.person.display_name,
            "pbx_user": other.person.display_name,
            "since": other.started_at,
        },
    )
