"""From what the house knows to what the tab is told."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core.audio.finding import Verdict
from core.diagnosis.finding import Finding, tell
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import PLAIN
from core.language import Language, Words
from core.licensing.advice import Advice, Mix, Prices
from core.licensing.overview import Place
from core.licensing.rules import Pool
from core.licensing.session import Ending, Session
from core.signin.administration import AuditPage, LicenceView, UsageView
from core.signin.preferences import zone_of
from core.signin.signin import Connection, Prepared, State
from tab.export import to_csv
from wire.link import People
from wire.tab import (
    ConnectionState,
    ConstantUser,
    Export,
    Holder,
    Licence,
    LicenceAdvice,
    LicenceMix,
    Licences,
    MyState,
    NamedPerson,
    PbxOffer,
    PbxPerson,
    PeopleFound,
    PolicyState,
    PoolState,
    ProblemWords,
    SessionEnd,
    SignInChallenge,
    Usage,
    UsageBucket,
    WaitingPlace,
)

_WORDS: Final = Words("tab")
AUDIT_DAYS: Final = timedelta(days=89)
"""Before the last day, when nobody says since when."""


def my_state(state: State, language: Language, audio: Verdict | None) -> MyState:
    session = state.session
    if session is None or state.connection is None:
        return MyState(
            signed_in=False,
            teams_name=state.user.name,
            session_end=_session_end(*state.ending) if state.ending else None,
            waiting=_place(state.place) if state.place else None,
            offers=_offers(state),
        )
    person = session.person
    return MyState(
        signed_in=True,
        audio=audio.value if audio in (Verdict.CONFLICT, Verdict.LIKELY) else None,
        teams_name=state.user.name,
        person=PbxPerson(
            login=person.login,
            display_name=person.display_name,
            email=person.email,
            is_administrator=person.is_administrator,
        ),
        licence=Licence(
            kind=session.kind.value,
            since=session.licence_since,
            seats_used=state.seats_used,
            seats_total=state.seats_total,
            ends_by=state.ends_by,
        ),
        connection=connection_state(state.connection, language),
        offers=_offers(state),
    )


def _offers(state: State) -> list[PbxOffer]:
    return [
        PbxOffer(pbx_name=offer.pbx_name, is_primary=offer.is_primary, automatic=offer == state.automatic)
        for offer in state.offers
    ]


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
            words(finding, language, blocking=blocks) for finding, blocks in found if finding is not None
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
        key_good_until=prepared.key_good_until,
    )


def licences(view: LicenceView, user: TeamsUser, language: Language) -> Licences:
    return Licences(
        holders=[_holder(session, user) for session in view.page.sessions],
        found=view.page.found,
        waiting=view.waiting,
        pools=[_pool(pool) for pool in view.pools],
        connection=connection_state(view.connection, language),
        tenant_trusted=view.trust is not None,
        entry=(view.trust or PLAIN).entry.value,
        is_primary=(view.trust or PLAIN).is_primary,
        primary_name=view.primary_name,
    )


def holders_export(holders: Sequence[Session], language: Language, time_zone: str) -> Export:
    columns = ("name", "login", "email", "teams-name", "kind", "since", "last-seen")
    rows = (
        (
            *(session.person.display_name, session.person.login, session.person.email),
            *(session.teams_user.name, session.kind, session.licence_since, session.last_seen_at),
        )
        for session in holders
    )
    return _export("holders", columns, rows, language, time_zone)


def audit_export(page: AuditPage, language: Language, time_zone: str) -> Export:
    columns = ("at", "event", "actor", "subject", "detail")
    return _export("audit", columns, page.rows, language, time_zone, complete=page.complete)


def days(since: date | None, until: date | None, time_zone: str) -> tuple[datetime, datetime]:
    """The first moment of whole days in that zone, and the first one after them."""
    zone = _zone(time_zone)
    last = until or datetime.now(zone).date()
    first = since or last - AUDIT_DAYS
    return datetime.combine(first, time.min, zone), datetime.combine(last + timedelta(days=1), time.min, zone)


def _export(
    name: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    language: Language,
    time_zone: str,
    *,
    complete: bool = True,
) -> Export:
    headings = [_WORDS.text(language, f"export.{column}") for column in columns]
    file_name = _WORDS.text(language, f"export.{name}-file")
    content = to_csv(headings, rows, language, _zone(time_zone))
    return Export(file_name=file_name, content=content, complete=complete)


def _zone(name: str) -> ZoneInfo:
    return zone_of(name) or ZoneInfo("UTC")


def usage(found: UsageView) -> Usage:
    return Usage(
        buckets=[
            UsageBucket(
                start=bucket.start,
                peak=bucket.peak,
                average=round(bucket.average, 2),
                denials=bucket.denials,
            )
            for bucket in found.buckets
        ],
        seats=found.seats,
    )


def advice(found: Advice, ual_price: float | None, fl_price: float | None) -> LicenceAdvice:
    prices = Prices(ual_price, fl_price) if ual_price is not None and fl_price is not None else None

    def mix(one: Mix) -> LicenceMix:
        return LicenceMix(ual=one.ual, fl=one.fl, cost=one.cost(prices) if prices is not None else None)

    return LicenceAdvice(
        working_days=found.working_days,
        enough_history=found.enough_history,
        constant=[ConstantUser(name=one.name, days=one.days) for one in found.constant],
        peak=found.peak,
        percentile=found.percentile,
        now=mix(found.now),
        advised=mix(found.advised),
        lean=mix(found.lean),
    )


def people(found: People) -> PeopleFound:
    return PeopleFound(
        users=[
            NamedPerson(id=user.user_id, name=user.display_name, login=user.login) for user in found.users
        ],
        groups=[NamedPerson(id=group.group_id, name=group.name) for group in found.groups],
    )


def _holder(session: Session, user: TeamsUser) -> Holder:
    return Holder(
        session_id=session.id,
        display_name=session.person.display_name,
        login=session.person.login,
        teams_name=session.teams_user.name,
        kind=session.kind.value,
        since=session.licence_since,
        last_seen=session.last_seen_at,
        is_me=session.teams_user.key == user.key,
    )


def _pool(pool: Pool) -> PoolState:
    return PoolState(
        pool_id=pool.id,
        serial=pool.serial,
        seats_used=pool.used,
        seats_total=pool.seats,
        seats_reserved=pool.reserved,
        seats_kept=pool.kept,
        seats_free=pool.free,
        policy=PolicyState.model_validate(pool.policy.model_dump()),
        valid_from=pool.valid_from,
        valid_until=pool.valid_until,
    )


def _place(place: Place) -> WaitingPlace:
    return WaitingPlace(
        pbx_name=place.pbx_name,
        joined=place.joined_at is not None,
        position=place.position,
        offered_until=place.offered_until,
    )


def _session_end(pbx_name: str, ending: Ending) -> SessionEnd:
    return SessionEnd(
        cause=ending.cause.value,
        pbx_name=pbx_name,
        ended_by=ending.actor,
        reason=ending.reason,
        at=ending.now,
    )


def words(finding: Finding, language: Language, *, blocking: bool) -> ProblemWords:
    told = tell(finding, language)
    return ProblemWords(
        blocking=blocking, code=finding.code, title=told.title, detail=told.detail, cure=told.cure
    )
