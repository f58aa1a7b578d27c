"""From what the house knows to what the tab is told."""

from typing import Literal

from core.diagnosis.finding import Finding, tell
from core.identity.teams_user import TeamsUser
from core.language import Language
from core.licensing.ledger import EndCause, Ending, Session
from core.licensing.rules import Pool
from core.signin.administration import LicenceView
from core.signin.signin import Connection, Prepared, State
from wire.tab import (
    ConnectionState,
    Holder,
    Licence,
    Licences,
    MyState,
    PbxPerson,
    PoolState,
    ProblemWords,
    SessionEnd,
    SignInChallenge,
)


def my_state(state: State, language: Language) -> MyState:
    session = state.session
    if session is None or state.connection is None:
        return MyState(
            signed_in=False,
            teams_name=state.user.name,
            session_end=_session_end(*state.ending) if state.ending else None,
        )
    person = session.person
    return MyState(
        signed_in=True,
        teams_name=state.user.name,
        person=PbxPerson(
            login=person.login,
            display_name=person.display_name,
            email=person.email,
            is_administrator=person.is_administrator,
        ),
        licence=Licence(
            kind=session.kind.value,
            since=session.started_at,
            seats_used=state.seats_used,
            seats_total=state.seats_total,
        ),
        connection=connection_state(state.connection, language),
    )


def connection_state(connection: Connection, language: Language) -> ConnectionState:
    pbx = connection.pbx
    connected = pbx.link_closed_at is None and connection.blocker is None
    found = ((connection.blocker, True), (connection.warning, False))
    return ConnectionState(
        pbx_name=pbx.name,
        connected=connected,
        since=pbx.link_closed_at or pbx.link_opened_at,
        pbx_version=pbx.status.pbx_version if pbx.status else None,
        findings=[
            _words(finding, language, blocking=blocks) for finding, blocks in found if finding is not None
        ],
    )


def challenge(prepared: Prepared, user: TeamsUser) -> SignInChallenge:
    return SignInChallenge(
        pbx_name=prepared.pbx_name,
        method=prepared.challenge.method,
        nonce=prepared.challenge.nonce,
        sealing_key=prepared.sealing_key,
        sealing_signature=prepared.sealing_signature,
        connector_identity=prepared.connector_identity,
        email_offered=prepared.email_offered,
        email=user.email,
    )


def licences(view: LicenceView, user: TeamsUser, language: Language) -> Licences:
    return Licences(
        holders=[_holder(session, user) for session in view.sessions],
        pools=[_pool(pool) for pool in view.pools],
        connection=connection_state(view.connection, language),
        tenant_trusted=view.tenant_trusted,
    )


def _holder(session: Session, user: TeamsUser) -> Holder:
    return Holder(
        session_id=session.id,
        display_name=session.person.display_name,
        login=session.person.login,
        teams_name=session.teams_user.name,
        kind=session.kind.value,
        since=session.started_at,
        last_seen=session.last_seen_at,
        is_me=session.teams_user.key == user.key,
    )


def _pool(pool: Pool) -> PoolState:
    return PoolState(
        serial=pool.serial,
        seats_used=pool.used,
        seats_total=pool.seats,
        valid_from=pool.valid_from,
        valid_until=pool.valid_until,
    )


def _session_end(pbx_name: str, ending: Ending) -> SessionEnd:
    cause: Literal["revoked", "taken-over"] = "revoked" if ending.cause is EndCause.REVOKED else "taken-over"
    return SessionEnd(
        cause=cause, pbx_name=pbx_name, ended_by=ending.actor, reason=ending.reason, at=ending.now
    )


def _words(finding: Finding, language: Language, *, blocking: bool) -> ProblemWords:
    told = tell(finding, language)
    return ProblemWords(
        blocking=blocking, code=finding.code, title=told.title, detail=told.detail, cure=told.cure
    )
