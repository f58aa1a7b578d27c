"""The operations of the tab API: the user's own state, sign-in, licences and their administration."""

import asyncio
from dataclasses import replace
from typing import Final

from core.audit.groups import AuditGroup
from core.audit.reading import AuditFilter, AuditPosition
from core.audit.wording import describe_licence
from core.diagnosis.codes import PBX_FAULTS, Code
from core.identity.tenant_trust import Entry
from core.language import Language
from core.licensing.overview import HoldersQuery, SortBy
from core.licensing.policy import Policy
from core.licensing.rules import LicenceKind
from core.licensing.usage import Span
from core.store.folding import searched
from tab import exports, present
from tab.audio import AUDIO_OPERATIONS
from tab.budgets import Cost
from tab.connection import CONNECTION_OPERATIONS
from tab.downloads import DOWNLOAD_OPERATIONS
from tab.export import ExportFile
from tab.notices import NOTICE_OPERATIONS
from tab.operation import Call, Operation
from tab.phone import PHONE_OPERATIONS
from tab.problems import language_of
from wire.tab import (
    AdviceParams,
    AuditFilterParams,
    AuditPage,
    AuditPageParams,
    AuditParams,
    ChallengeRequest,
    EmailProof,
    ExportParams,
    HolderSelection,
    HoldersFilterParams,
    HoldersParams,
    KeylessSignInRequest,
    LicenceAdvice,
    Licences,
    MyState,
    PeopleFound,
    PeopleParams,
    PolicyRequest,
    RemoveTrustRequest,
    Revoked,
    RevokeRequest,
    Setup,
    SignInChallenge,
    SignInRequest,
    StateParams,
    TrustedTenants,
    TrustRequest,
    Usage,
    UsageParams,
)


async def get_state(call: Call) -> MyState:
    if call.query.time_zone:
        await call.services.sign_in.set_time_zone(call.user, call.query.time_zone)
    return call.my_state(await call.services.sign_in.state(call.user))


async def prepare_sign_in(call: Call) -> SignInChallenge:
    prepared = await call.services.sign_in.prepare(call.user, call.access(), call.body.methods)
    return present.challenge(prepared, call.user)


async def sign_in(call: Call) -> MyState:
    proof = None if isinstance(call.body.proof, EmailProof) else call.body.proof
    state = await call.services.sign_in.sign_in(
        call.user, call.access(), proof, take_over=call.body.take_over
    )
    return call.my_state(state)


async def sign_in_without_key(call: Call) -> MyState:
    body = call.body
    state = await call.services.sign_in.sign_in_without_key(
        call.user, body.pbx_name, take_over=body.take_over, by_itself=body.by_itself
    )
    return call.my_state(state)


async def sign_out(call: Call) -> MyState:
    return call.my_state(await call.services.sign_in.sign_out(call.user))


async def join_waiting_list(call: Call) -> MyState:
    state = await call.services.sign_in.join_waiting_list(call.user)
    return call.my_state(state)


async def leave_waiting_list(call: Call) -> MyState:
    state = await call.services.sign_in.leave_waiting_list(call.user)
    return call.my_state(state)


async def get_licences(call: Call) -> present.Rendered:
    query = call.query or HoldersParams()
    wanted = replace(
        _holders_query(query, language_of(call.request)),
        sort=SortBy(query.sort),
        descending=query.descending,
        offset=query.offset,
        limit=query.limit,
    )
    view = await call.services.administration.view(call.user, wanted)
    return present.licences(view, call.user, language_of(call.request))


async def select_holders(call: Call) -> present.Rendered:
    wanted = _holders_query(call.query, language_of(call.request))
    page = await call.services.administration.select(call.user, wanted)
    return await asyncio.to_thread(present.holder_selection, page, call.user)


def _holders_query(params: HoldersFilterParams, language: Language) -> HoldersQuery:
    return HoldersQuery(
        search=params.search,
        kinds=_named_kinds(params.search, language),
        kind=LicenceKind(params.kind) if params.kind else None,
        unseen_days=params.unseen_days,
    )


async def get_setup(call: Call) -> Setup:
    view = await call.services.administration.view(call.user, HoldersQuery(limit=2))
    conversation = await call.services.conversations.get(*call.user.key)
    return present.setup(view, call.user, has_chat=conversation is not None)


def _named_kinds(search: str, language: Language) -> tuple[str, ...]:
    """What people see in the table is found there: "Benutzerlizenz", not "UAL" alone."""
    wanted = searched(search)
    if wanted == "":
        return ()
    return tuple(kind for kind in LicenceKind if wanted in searched(describe_licence(kind, language)))


async def export_holders(call: Call) -> ExportFile:
    administration = call.services.administration
    holders = await administration.export_holders(call.user, call.query.format)
    return await exports.holders(holders, call.query, language_of(call.request))


async def get_audit(call: Call) -> AuditPage:
    query = call.query or AuditPageParams()
    since, until = exports.days(query.since, query.until, query.time_zone)
    before = None if query.before_at is None else AuditPosition(query.before_at, query.before_id)
    found = await call.services.administration.audit(
        user=call.user,
        since=since,
        until=until,
        wanted=_audit_filter(query),
        before=before,
        limit=query.limit,
    )
    return present.audit_page(found, language_of(call.request))


async def export_audit(call: Call) -> ExportFile:
    since, until = exports.days(call.query.since, call.query.until, call.query.time_zone)
    administration = call.services.administration
    audit = await administration.export_audit(
        user=call.user,
        since=since,
        until=until,
        file_format=call.query.format,
        wanted=_audit_filter(call.query),
    )
    return await exports.audit(audit, call.query, language_of(call.request))


def _audit_filter(query: AuditFilterParams) -> AuditFilter:
    return AuditFilter(AuditGroup(query.group) if query.group else None, query.search)


async def get_usage(call: Call) -> Usage:
    found = await call.services.administration.usage(call.user, Span(call.query.span))
    return present.usage(found)


async def get_advice(call: Call) -> LicenceAdvice:
    advice = await call.services.administration.advice(call.user)
    return present.advice(advice, call.query.ual_price, call.query.fl_price)


async def get_people(call: Call) -> PeopleFound:
    return present.people(await call.services.administration.people(call.user, call.query.search))


async def set_policy(call: Call) -> present.Rendered:
    policy = Policy.model_validate(call.body.policy.model_dump(by_alias=False))
    await call.services.administration.set_policy(call.user, call.body.pool_id, policy)
    return await get_licences(call)


async def revoke(call: Call) -> Revoked:
    ended = await call.services.administration.revoke(call.user, call.body.session_ids, call.body.reason)
    return Revoked(session_ids=[session.id for session in ended])


async def set_trust(call: Call) -> present.Rendered:
    body = call.body
    await call.services.administration.set_trust(
        call.user,
        trusted=body.trusted,
        entry=Entry(body.entry) if body.entry is not None else None,
        primary=body.primary,
    )
    return await get_licences(call)


async def get_trust(call: Call) -> TrustedTenants:
    tenants = await call.services.administration.trusted_tenants(call.user)
    return TrustedTenants(tenants=present.trusted_tenants(tenants, call.user))


async def remove_trust(call: Call) -> TrustedTenants:
    await call.services.administration.remove_trust(call.user, call.body.tenant_id)
    return await get_trust(call)


_CALLED: Final = (Code.PBX_BUSY, Code.OUTCOME_UNKNOWN, Code.PROTOCOL_ERROR)
"""Codes of all problems that a call to a PBX may have."""
_ADMISSION: Final = (
    Code.WRONG_KEY,
    Code.THROTTLED,
    Code.NEVER_CONNECTED,
    Code.LINK_DOWN,
    Code.MODULE_INACTIVE,
    Code.PBX_NAME_INVALID,
    *PBX_FAULTS,
    Code.PBX_TOO_OLD,
    *_CALLED,
)
_ADMINISTRATION: Final = (Code.NOT_SIGNED_IN, Code.NOT_ADMINISTRATOR, Code.PASSWORD_NEEDED)
_ACT: Final = (*_ADMINISTRATION, Code.LINK_DOWN, *_CALLED, Code.HANDED_OVER)
_BY_EMAIL: Final = (
    Code.TENANT_NOT_TRUSTED,
    Code.GUEST,
    Code.EMAIL_NOT_VERIFIED,
    Code.EMAIL_NOT_MATCHED,
    Code.IDENTITY_CHANGED,
)

OPERATIONS: Final = (
    Operation(
        id="getState",
        method="GET",
        path="/api/v1/state",
        summary="Get my session, my licence and the state of the connection",
        run=get_state,
        answer=MyState,
        body=None,
        problems=(),
        query=StateParams,
    ),
    Operation(
        id="prepareSignIn",
        method="POST",
        path="/api/v1/sign-in/challenge",
        summary="Check PBX name and key, and get the login challenge",
        run=prepare_sign_in,
        answer=SignInChallenge,
        body=ChallengeRequest,
        problems=_ADMISSION,
    ),
    Operation(
        id="signIn",
        method="POST",
        path="/api/v1/sign-in",
        summary="Sign in: prove the PBX user and take a licence",
        run=sign_in,
        answer=MyState,
        body=SignInRequest,
        problems=(
            *_ADMISSION,
            Code.LOGIN_REJECTED,
            Code.CHALLENGE_EXPIRED,
            Code.NO_LICENCE,
            Code.SESSION_HELD_ELSEWHERE,
            Code.HANDED_OVER,
            *_BY_EMAIL,
        ),
    ),
    Operation(
        id="signInWithoutKey",
        method="POST",
        path="/api/v1/sign-in/keyless",
        summary="Sign in without a PBX key at a PBX that is offered to my organisation, or switch to it",
        run=sign_in_without_key,
        answer=MyState,
        body=KeylessSignInRequest,
        problems=(
            *(code for code in _ADMISSION if code not in (Code.WRONG_KEY, Code.THROTTLED)),
            Code.NO_LICENCE,
            Code.SESSION_HELD_ELSEWHERE,
            Code.HANDED_OVER,
            *_BY_EMAIL,
            Code.NOT_AUTOMATIC,
        ),
    ),
    Operation(
        id="signOut",
        method="POST",
        path="/api/v1/sign-out",
        summary="Sign out: end my session and free my seat",
        run=sign_out,
        answer=MyState,
    ),
    Operation(
        id="joinWaitingList",
        method="POST",
        path="/api/v1/waiting",
        summary="Join the waiting list after a refusal because all seats were taken",
        run=join_waiting_list,
        answer=MyState,
        body=None,
        problems=(Code.NOT_REFUSED,),
    ),
    Operation(
        id="leaveWaitingList",
        method="DELETE",
        path="/api/v1/waiting",
        summary="Leave the waiting list",
        run=leave_waiting_list,
        answer=MyState,
    ),
    Operation(
        id="getLicences",
        method="GET",
        path="/api/v1/licences",
        summary="List the licence holders and pools of my PBX (administrators)",
        run=get_licences,
        answer=Licences,
        body=None,
        problems=_ADMINISTRATION,
        query=HoldersParams,
    ),
    Operation(
        id="selectHolders",
        method="GET",
        path="/api/v1/licences/selection",
        summary="Select everybody whom a filter finds, on all pages (administrators)",
        run=select_holders,
        answer=HolderSelection,
        body=None,
        problems=_ADMINISTRATION,
        query=HoldersFilterParams,
        cost=Cost.VIEW,
    ),
    Operation(
        id="getSetup",
        method="GET",
        path="/api/v1/setup",
        summary="Get the progress of my PBX's set-up (administrators)",
        run=get_setup,
        answer=Setup,
        body=None,
        problems=_ADMINISTRATION,
    ),
    Operation(
        id="exportHolders",
        method="GET",
        path="/api/v1/licences/export",
        summary="Export all licence holders as CSV or for Excel (administrators)",
        run=export_holders,
        answer=ExportFile,
        body=None,
        problems=_ADMINISTRATION,
        query=ExportParams,
        cost=Cost.EXPORT,
    ),
    Operation(
        id="getUsage",
        method="GET",
        path="/api/v1/licences/usage",
        summary="Get peak and average use and denials over time (administrators)",
        run=get_usage,
        answer=Usage,
        body=None,
        problems=_ADMINISTRATION,
        query=UsageParams,
        cost=Cost.VIEW,
    ),
    Operation(
        id="getAdvice",
        method="GET",
        path="/api/v1/licences/advice",
        summary="Get the number of licences recommended by past use (administrators)",
        run=get_advice,
        answer=LicenceAdvice,
        body=None,
        problems=_ADMINISTRATION,
        query=AdviceParams,
        cost=Cost.VIEW,
    ),
    Operation(
        id="getPeople",
        method="GET",
        path="/api/v1/licences/people",
        summary="Search PBX users and groups for the rules of a pool (administrators)",
        run=get_people,
        answer=PeopleFound,
        body=None,
        problems=_ACT,
        query=PeopleParams,
        cost=Cost.VIEW,
    ),
    Operation(
        id="setPolicy",
        method="PUT",
        path="/api/v1/licences/policy",
        summary="Set the rules of a pool: who may have a seat, reserved seats, idle release (administrators)",
        run=set_policy,
        answer=Licences,
        body=PolicyRequest,
        problems=(*_ACT, Code.POOL_GONE, Code.BAD_POLICY),
    ),
    Operation(
        id="getAudit",
        method="GET",
        path="/api/v1/audit",
        summary="Get a page of the audit as text, newest first (administrators)",
        run=get_audit,
        answer=AuditPage,
        body=None,
        problems=_ADMINISTRATION,
        query=AuditPageParams,
        cost=Cost.VIEW,
    ),
    Operation(
        id="exportAudit",
        method="GET",
        path="/api/v1/audit/export",
        summary="Export the audit as CSV or for Excel, newest first (administrators)",
        run=export_audit,
        answer=ExportFile,
        body=None,
        problems=_ADMINISTRATION,
        query=AuditParams,
        cost=Cost.EXPORT,
    ),
    Operation(
        id="revoke",
        method="POST",
        path="/api/v1/licences/revoke",
        summary="Revoke licences: end sessions and free their seats (administrators)",
        run=revoke,
        answer=Revoked,
        body=RevokeRequest,
        problems=(*_ACT, Code.SESSION_GONE),
    ),
    Operation(
        id="setTrust",
        method="PUT",
        path="/api/v1/trust",
        summary="Trust my Microsoft tenant, so that its members may sign in by e-mail (administrators)",
        run=set_trust,
        answer=Licences,
        body=TrustRequest,
        problems=(*_ACT, Code.PRIMARY_ELSEWHERE, Code.GUEST, Code.TENANT_AUTHORITY_NEEDED),
    ),
    Operation(
        id="getTrust",
        method="GET",
        path="/api/v1/trust",
        summary="List the Microsoft tenants that my PBX trusts (administrators)",
        run=get_trust,
        answer=TrustedTenants,
        body=None,
        problems=_ADMINISTRATION,
    ),
    Operation(
        id="removeTrust",
        method="POST",
        path="/api/v1/trust/remove",
        summary="Withdraw trust in a Microsoft tenant, and end the sessions that rely on it (administrators)",
        run=remove_trust,
        answer=TrustedTenants,
        body=RemoveTrustRequest,
        problems=_ACT,
    ),
    *AUDIO_OPERATIONS,
    *CONNECTION_OPERATIONS,
    *DOWNLOAD_OPERATIONS,
    *NOTICE_OPERATIONS,
    *PHONE_OPERATIONS,
)
