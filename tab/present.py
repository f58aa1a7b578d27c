"""Builds the wire models of the tab API from the models of `core`."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from core.administration.administration import MAX_AUDIT_COUNTED, AuditView, LicenceView, UsageView
from core.audio.finding import AudioVerdict
from core.audit.reading import AuditEntry
from core.audit.wording import describe_actor, describe_detail, describe_kind
from core.diagnosis.finding import Finding, Role, explain
from core.hub.keeping import PreparedConsent
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import PLAIN, Entry, TrustedTenant
from core.language import Language
from core.licensing.advice import Advice, Mix, Prices
from core.licensing.overview import HoldersPage, Place
from core.licensing.rules import Pool
from core.licensing.session import Ending, Session
from core.signin.signin import Connection, Prepared, UserState
from core.store.audit import ActorKind
from core.store.timestamps import to_ms
from wire.link import People
from wire.tab import (
    AuditEntryState,
    AuditPage,
    AuditPlace,
    ConnectionState,
    ConstantUser,
    Holder,
    HolderSelection,
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
    SelectedHolder,
    SessionEnd,
    Setup,
    SignInChallenge,
    TrustedTenantState,
    Usage,
    UsageBucket,
    WaitingPlace,
)
from wire.tab_audio import CallsPrepared


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer that is already encoded as JSON."""

    text: str


def audit_page(view: AuditView, language: Language) -> AuditPage:
    entries = [_audit_entry(entry, view, language) for entry in view.entries]
    last = view.entries[-1] if view.has_more else None
    return AuditPage(
        entries=entries,
        found=view.found,
        counted_to=MAX_AUDIT_COUNTED,
        older=AuditPlace(before_at=to_ms(last.at), before_id=last.id) if last is not None else None,
    )


def _audit_entry(entry: AuditEntry, view: AuditView, language: Language) -> AuditEntryState:
    actor = entry.actor
    name = entry.actor_name if actor is None else describe_actor(actor, language, view.home_tenants)
    return AuditEntryState(
        id=entry.id,
        at=entry.at,
        code=entry.kind,
        event=describe_kind(entry.kind, language),
        actor=name,
        is_person=actor is not None and actor.kind is ActorKind.PERSON,
        subject="" if entry.subject == entry.actor_name else entry.subject,
        detail=describe_detail(entry, language),
        times=entry.times,
    )


def consent(prepared: PreparedConsent) -> CallsPrepared:
    """Build what the browser needs to seal a user's UCI login to the connector."""
    return CallsPrepared(
        pbx_name=prepared.pbx_name,
        login=prepared.login,
        nonce=prepared.nonce,
        sealing_key=prepared.sealing_key,
        sealing_signature=prepared.sealing_signature,
        connector_identity=prepared.connector_identity,
        needs_password=prepared.needs_password,
    )


def my_state(state: UserState, language: Language) -> MyState:
    session = state.session
    if session is None or state.connection is None:
        return MyState(
            signed_in=False,
            teams_name=state.user.name,
            session_end=_session_end(*state.ending, state.user, language) if state.ending else None,
            waiting=waiting_place(state.place) if state.place else None,
            offers=_offers(state),
        )
    person = session.person
    return MyState(
        signed_in=True,
        audio=state.audio.value if state.audio in (AudioVerdict.CONFLICT, AudioVerdict.LIKELY) else None,
        teams_name=state.user.name,
        person=PbxPerson(
            login=person.login,
            display_name=person.display_name,
            email=person.email,
            is_administrator=session.may_administer,
            needs_password=person.is_administrator and not session.may_administer,
        ),
        licence=Licence(
            kind=session.kind.value,
            since=session.licence_since,
            seats_used=state.seats_used,
            seats_total=state.seats_total,
            ends_by=state.ends_by,
        ),
        connection=connection_state(state.connection, language, _role_of(session)),
        offers=_offers(state),
        ends_at=state.session_ends,
    )


def _role_of(session: Session) -> Role:
    """Return whose remedies the person of this session can apply."""
    return Role.ADMINISTRATOR if session.may_administer else Role.USER


def _offers(state: UserState) -> list[PbxOffer]:
    return [
        PbxOffer(
            pbx_name=offer.pbx_name,
            is_primary=offer.is_primary,
            automatic=offer == state.automatic,
            asks_consent=offer == state.asks_consent,
        )
        for offer in state.offers
    ]


def connection_state(connection: Connection, language: Language, role: Role) -> ConnectionState:
    pbx = connection.pbx
    connected = pbx.link_closed_at is None and connection.blocker is None
    found = ((connection.blocker, True), (connection.warning, False))
    return ConnectionState(
        pbx_name=pbx.name,
        connected=connected,
        # The service does not record when a problem began while the connector was linked.
        since=pbx.link_closed_at or (pbx.link_opened_at if connected else None),
        pbx_version=pbx.status.pbx_version if pbx.status else None,
        has_telephone=pbx.has_telephone,
        findings=[
            words(finding, language, role, blocking=blocks)
            for finding, blocks in found
            if finding is not None
        ],
    )


def challenge(prepared: Prepared, user: TeamsUser) -> SignInChallenge:
    return SignInChallenge(
        pbx_name=prepared.pbx_name,
        method=prepared.challenge.method,
        nonce=prepared.challenge.nonce,
        pbx_nonce=prepared.challenge.pbx_nonce,
        sealing_key=prepared.sealing_key,
        sealing_signature=prepared.sealing_signature,
        connector_identity=prepared.connector_identity,
        capabilities=list(prepared.capabilities),
        capabilities_signature=prepared.capabilities_signature,
        first_use=prepared.first_use,
        email_offered=prepared.email_offered,
        email=user.verified_email or user.email,
        key_good_until=prepared.key_good_until,
    )


def licences(view: LicenceView, user: TeamsUser, language: Language) -> Rendered:
    """Build `Licences` as JSON. The rows are most of the work and the same for all readers until something changes,
    so they are cached.
    """
    without_rows = Licences(
        holders=[],
        found=view.page.found,
        waiting=view.waiting,
        user_licences=view.user_licences,
        pools=[pool_state(pool) for pool in view.pools],
        connection=connection_state(view.connection, language, Role.ADMINISTRATOR),
        tenant_trusted=view.trust is not None,
        entry=(view.trust or PLAIN).entry.value,
        is_primary=(view.trust or PLAIN).is_primary,
        primary_name=view.primary_name,
        may_trust=view.may_trust,
        may_offer=view.may_offer,
        trusted_tenants=trusted_tenants(view.tenants, user),
        session_days=view.session_days,
    )
    is_shown = any(session.teams_user.key == user.key for session in view.page.sessions)
    rows = _rows(view.page, user.key if is_shown else None)
    before, empty, after = without_rows.model_dump_json(by_alias=True).partition('"holders":[]')
    return Rendered(f"{before}{empty[:-1]}{rows}]{after}")


def holder_selection(page: HoldersPage, user: TeamsUser) -> Rendered:
    holders = [
        SelectedHolder(
            session_id=session.id,
            display_name=session.person.display_name,
            login=session.person.login,
            kind=session.kind.value,
            is_me=session.teams_user.key == user.key,
        )
        for session in page.sessions
    ]
    return Rendered(HolderSelection(holders=holders, found=page.found).model_dump_json(by_alias=True))


def setup(view: LicenceView, user: TeamsUser, *, has_chat: bool) -> Setup:
    """`view` has at least two rows, if there are as many."""
    connection = view.connection
    return Setup(
        is_connected=connection.pbx.link_closed_at is None and connection.blocker is None,
        has_licences=bool(view.pools) or view.user_licences > 0,
        has_other_users=any(session.teams_user.key != user.key for session in view.page.sessions),
        is_offered=view.trust is not None and view.trust.entry is not Entry.WITH_KEY,
        may_offer=view.may_trust and view.may_offer,
        has_chat=has_chat,
    )


@lru_cache(maxsize=64)
def _rows(page: HoldersPage, me: tuple[str, str] | None) -> str:
    """Return the rows as JSON, without brackets. `me` is the reader, if the reader is among the holders."""
    return ",".join(_holder(session, me).model_dump_json(by_alias=True) for session in page.sessions)


def trusted_tenants(tenants: Iterable[TrustedTenant], user: TeamsUser) -> list[TrustedTenantState]:
    return [
        TrustedTenantState(
            tenant_id=tenant.tenant_id,
            trusted_by=tenant.trusted_by,
            at=tenant.at,
            entry=tenant.trust.entry.value,
            is_primary=tenant.trust.is_primary,
            is_mine=tenant.tenant_id == user.tenant_id,
            approved=tenant.is_approved,
            signed_in=tenant.signed_in,
        )
        for tenant in tenants
    ]


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
        constant=[ConstantUser(name=one.name, login=one.login, days=one.days) for one in found.constant],
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


def _holder(session: Session, me: tuple[str, str] | None) -> Holder:
    return Holder(
        session_id=session.id,
        display_name=session.person.display_name,
        login=session.person.login,
        teams_name=session.teams_user.name,
        kind=session.kind.value,
        since=session.licence_since,
        last_seen=session.last_seen_at,
        is_me=session.teams_user.key == me,
    )


def pool_state(pool: Pool) -> PoolState:
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


def waiting_place(place: Place) -> WaitingPlace:
    return WaitingPlace(
        pbx_name=place.pbx_name,
        joined=place.joined_at is not None,
        position=place.position,
        offered_until=place.offered_until,
    )


def _session_end(pbx_name: str, ending: Ending, user: TeamsUser, language: Language) -> SessionEnd:
    return SessionEnd(
        cause=ending.cause.value,
        pbx_name=pbx_name,
        ended_by=describe_actor(ending.actor, language, {user.tenant_id}),
        reason=ending.reason,
        at=ending.now,
    )


def words(finding: Finding, language: Language, role: Role, *, blocking: bool) -> ProblemWords:
    explanation = explain(finding, language, role)
    return ProblemWords(
        blocking=blocking,
        code=finding.code,
        title=explanation.title,
        detail=explanation.detail,
        cure=explanation.cure,
    )
