"""The operations of the tab API: who I am, signing in, licences and their administration."""

from typing import Final

from core.diagnosis.codes import PBX_FAULTS, Code
from core.identity.tenant_trust import Entry
from core.licensing.overview import HoldersQuery, SortBy
from core.licensing.policy import Policy
from core.licensing.usage import Span
from tab import exports, present
from tab.audio import AUDIO_OPERATIONS
from tab.budgets import Cost
from tab.connection import CONNECTION_OPERATIONS
from tab.export import ExportFile
from tab.notices import NOTICE_OPERATIONS
from tab.operation import Call, Operation, expect
from tab.phone import PHONE_OPERATIONS
from tab.problems import ProblemError, language_of
from wire.tab import (
    AdviceParams,
    AuditParams,
    ChallengeRequest,
    EmailProof,
    ExportParams,
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
    return present.challenge(expect(prepared), call.user)


async def sign_in(call: Call) -> MyState:
    proof = None if isinstance(call.body.proof, EmailProof) else call.body.proof
    state = await call.services.sign_in.sign_in(
        call.user, call.access(), proof, take_over=call.body.take_over
    )
    return call.my_state(expect(state))


async def sign_in_without_key(call: Call) -> MyState:
    body = call.body
    state = await call.services.sign_in.sign_in_without_key(
        call.user, body.pbx_name, take_over=body.take_over, by_itself=body.by_itself
    )
    return call.my_state(expect(state))


async def sign_out(call: Call) -> MyState:
    return call.my_state(await call.services.sign_in.sign_out(call.user))


async def join_waiting_list(call: Call) -> MyState:
    state = expect(await call.services.sign_in.join_waiting_list(call.user))
    return call.my_state(state)


async def leave_waiting_list(call: Call) -> MyState:
    state = await call.services.sign_in.leave_waiting_list(call.user)
    return call.my_state(state)


async def get_licences(call: Call) -> Licences:
    query = call.query or HoldersParams()
    view = await call.services.administration.view(
        call.user,
        HoldersQuery(query.search, SortBy(query.sort), query.descending, query.offset, query.limit),
    )
    return present.licences(expect(view), call.user, language_of(call.request))


async def export_holders(call: Call) -> ExportFile:
    administration = call.services.administration
    holders = expect(await administration.export_holders(call.user, call.query.format))
    return await exports.holders(holders, call.query, language_of(call.request))


async def export_audit(call: Call) -> ExportFile:
    since, until = exports.days(call.query.since, call.query.until, call.query.time_zone)
    administration = call.services.administration
    audit = expect(await administration.export_audit(call.user, since, until, call.query.format))
    return await exports.audit(audit, call.query, language_of(call.request))


async def get_usage(call: Call) -> Usage:
    found = expect(await call.services.administration.usage(call.user, Span(call.query.span)))
    return present.usage(found)


async def get_advice(call: Call) -> LicenceAdvice:
    advice = expect(await call.services.administration.advice(call.user))
    return present.advice(advice, call.query.ual_price, call.query.fl_price)


async def get_people(call: Call) -> PeopleFound:
    return present.people(expect(await call.services.administration.people(call.user, call.query.search)))


async def set_policy(call: Call) -> Licences:
    policy = Policy.model_validate(call.body.policy.model_dump(by_alias=False))
    refusal = await call.services.administration.set_policy(call.user, call.body.pool_id, policy)
    if refusal is not None:
        raise ProblemError(refusal)
    return await get_licences(call)


async def revoke(call: Call) -> Revoked:
    ended = expect(
        await call.services.administration.revoke(call.user, call.body.session_ids, call.body.reason)
    )
    return Revoked(session_ids=[session.id for session in ended])


async def set_trust(call: Call) -> Licences:
    body = call.body
    refusal = await call.services.administration.set_trust(
        call.user,
        trusted=body.trusted,
        entry=Entry(body.entry) if body.entry is not None else None,
        primary=body.primary,
    )
    if refusal is not None:
        raise ProblemError(refusal)
    return await get_licences(call)


async def get_trust(call: Call) -> TrustedTenants:
    tenants = expect(await call.services.administration.trusted_tenants(call.user))
    return TrustedTenants(tenants=present.trusted_tenants(tenants, call.user))


async def remove_trust(call: Call) -> TrustedTenants:
    refusal = await call.services.administration.remove_trust(call.user, call.body.tenant_id)
    if refusal is not None:
        raise ProblemError(refusal)
    return await get_trust(call)


_CALLED: Final = (Code.PBX_BUSY, Code.OUTCOME_UNKNOWN, Code.PROTOCOL_ERROR)
"""What may come of asking a PBX, whatever is wrong there."""
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
        "getState",
        "GET",
        "/api/v1/state",
        "Who I am at the PBX, my licence, the connection",
        get_state,
        MyState,
        None,
        (),
        StateParams,
    ),
    Operation(
        "prepareSignIn",
        "POST",
        "/api/v1/sign-in/challenge",
        "Checks name and key, tells how to prove the PBX user",
        prepare_sign_in,
        SignInChallenge,
        ChallengeRequest,
        _ADMISSION,
    ),
    Operation(
        "signIn",
        "POST",
        "/api/v1/sign-in",
        "Proves the PBX user and takes a licence",
        sign_in,
        MyState,
        SignInRequest,
        (
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
        "signInWithoutKey",
        "POST",
        "/api/v1/sign-in/keyless",
        "Signs in at a PBX that offers itself to my organisation, or switches to it",
        sign_in_without_key,
        MyState,
        KeylessSignInRequest,
        (
            *(code for code in _ADMISSION if code not in (Code.WRONG_KEY, Code.THROTTLED)),
            Code.NO_LICENCE,
            Code.SESSION_HELD_ELSEWHERE,
            Code.HANDED_OVER,
            *_BY_EMAIL,
            Code.NOT_AUTOMATIC,
        ),
    ),
    Operation("signOut", "POST", "/api/v1/sign-out", "Ends my session, frees my seat", sign_out, MyState),
    Operation(
        "joinWaitingList",
        "POST",
        "/api/v1/waiting",
        "After a refusal because all seats are taken: tells me when one is free",
        join_waiting_list,
        MyState,
        None,
        (Code.NOT_REFUSED,),
    ),
    Operation(
        "leaveWaitingList",
        "DELETE",
        "/api/v1/waiting",
        "Gives up my place on the waiting list",
        leave_waiting_list,
        MyState,
    ),
    Operation(
        "getLicences",
        "GET",
        "/api/v1/licences",
        "Holders and pools of my PBX (administrators)",
        get_licences,
        Licences,
        None,
        _ADMINISTRATION,
        HoldersParams,
    ),
    Operation(
        "exportHolders",
        "GET",
        "/api/v1/licences/export",
        "All holders as CSV or for Excel (administrators)",
        export_holders,
        ExportFile,
        None,
        _ADMINISTRATION,
        ExportParams,
        Cost.EXPORT,
    ),
    Operation(
        "getUsage",
        "GET",
        "/api/v1/licences/usage",
        "Peak, average and denials over time (administrators)",
        get_usage,
        Usage,
        None,
        _ADMINISTRATION,
        UsageParams,
        Cost.VIEW,
    ),
    Operation(
        "getAdvice",
        "GET",
        "/api/v1/licences/advice",
        "Which licences the history advises (administrators)",
        get_advice,
        LicenceAdvice,
        None,
        _ADMINISTRATION,
        AdviceParams,
        Cost.VIEW,
    ),
    Operation(
        "getPeople",
        "GET",
        "/api/v1/licences/people",
        "PBX users and groups, for a policy (administrators)",
        get_people,
        PeopleFound,
        None,
        _ACT,
        PeopleParams,
        Cost.VIEW,
    ),
    Operation(
        "setPolicy",
        "PUT",
        "/api/v1/licences/policy",
        "Decides about a pool: who may have a seat, which are reserved, when one is released (administrators)",
        set_policy,
        Licences,
        PolicyRequest,
        (*_ACT, Code.POOL_GONE, Code.BAD_POLICY),
    ),
    Operation(
        "exportAudit",
        "GET",
        "/api/v1/audit/export",
        "The audit as CSV or for Excel, newest first (administrators)",
        export_audit,
        ExportFile,
        None,
        _ADMINISTRATION,
        AuditParams,
        Cost.EXPORT,
    ),
    Operation(
        "revoke",
        "POST",
        "/api/v1/licences/revoke",
        "Ends sessions and frees their seats (administrators)",
        revoke,
        Revoked,
        RevokeRequest,
        (*_ACT, Code.SESSION_GONE),
    ),
    Operation(
        "setTrust",
        "PUT",
        "/api/v1/trust",
        "Trusts my Microsoft tenant: sign-in by e-mail, with or without the PBX key (administrators)",
        set_trust,
        Licences,
        TrustRequest,
        (*_ACT, Code.PRIMARY_ELSEWHERE, Code.GUEST, Code.TENANT_AUTHORITY_NEEDED),
    ),
    Operation(
        "getTrust",
        "GET",
        "/api/v1/trust",
        "Every Microsoft tenant that my PBX trusts (administrators)",
        get_trust,
        TrustedTenants,
        None,
        _ADMINISTRATION,
    ),
    Operation(
        "removeTrust",
        "POST",
        "/api/v1/trust/remove",
        "Ends the trust in a Microsoft tenant, no matter who began it, and what the tenant proved (administrators)",
        remove_trust,
        TrustedTenants,
        RemoveTrustRequest,
        _ACT,
    ),
    *AUDIO_OPERATIONS,
    *CONNECTION_OPERATIONS,
    *NOTICE_OPERATIONS,
    *PHONE_OPERATIONS,
)
