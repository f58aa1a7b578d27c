"""The operations of the tab API, each described once: routes and the OpenAPI document both come from here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.identity.tokens import TabToken, TabTokenValidator
from core.signin.administration import Administration
from core.signin.bus import Bus
from core.signin.signin import PbxAccess, SignIn
from tab import present
from tab.problems import ProblemError, language_of
from wire.tab import (
    ChallengeRequest,
    EmailProof,
    Licences,
    MyState,
    Revoked,
    RevokeRequest,
    SignInChallenge,
    SignInRequest,
    TrustRequest,
)

API: Final = "/api/v1"
MAX_BODY_BYTES: Final = 256 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TabServices:
    """What the tab API stands on."""

    tokens: TabTokenValidator
    sign_in: SignIn
    administration: Administration
    bus: Bus


@dataclass(frozen=True, slots=True)
class Call:
    """One validated call."""

    request: web.Request
    token: TabToken
    services: TabServices
    body: Any

    @property
    def user(self) -> TeamsUser:
        return self.token.user

    def access(self) -> PbxAccess:
        return PbxAccess(self.body.pbx_name, self.body.key_digest, self.request.remote or "")


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    run: Callable[[Call], Awaitable[BaseModel]]
    answer: type[BaseModel]
    body: type[BaseModel] | None = None
    problems: tuple[Code, ...] = ()


async def get_state(call: Call) -> MyState:
    return present.my_state(await call.services.sign_in.state(call.user), language_of(call.request))


async def prepare_sign_in(call: Call) -> SignInChallenge:
    return present.challenge(expect(await call.services.sign_in.prepare(call.user, call.access())), call.user)


async def sign_in(call: Call) -> MyState:
    proof = None if isinstance(call.body.proof, EmailProof) else call.body.proof
    state = await call.services.sign_in.sign_in(
        call.user, call.access(), proof, take_over=call.body.take_over
    )
    return present.my_state(expect(state), language_of(call.request))


async def sign_out(call: Call) -> MyState:
    return present.my_state(await call.services.sign_in.sign_out(call.user), language_of(call.request))


async def get_licences(call: Call) -> Licences:
    view = expect(await call.services.administration.view(call.user))
    return present.licences(view, call.user, language_of(call.request))


async def revoke(call: Call) -> Revoked:
    ended = expect(
        await call.services.administration.revoke(call.user, call.body.session_ids, call.body.reason.strip())
    )
    return Revoked(session_ids=[session.id for session in ended])


async def set_trust(call: Call) -> Licences:
    refusal = await call.services.administration.set_trust(call.user, trusted=call.body.trusted)
    if refusal is not None:
        raise ProblemError(refusal)
    return await get_licences(call)


def expect(outcome: T | Finding) -> T:
    if isinstance(outcome, Finding):
        raise ProblemError(outcome)
    return outcome


_ADMISSION: Final = (
    Code.WRONG_KEY,
    Code.THROTTLED,
    Code.NEVER_CONNECTED,
    Code.LINK_DOWN,
    Code.MODULE_INACTIVE,
    Code.NAME_BOUND_ELSEWHERE,
    Code.PBX_UNREACHABLE,
    Code.PBX_LOGIN_FAILED,
    Code.PBX_TOO_OLD,
    Code.PBX_BUSY,
    Code.OUTCOME_UNKNOWN,
)
_ADMINISTRATION: Final = (Code.NOT_SIGNED_IN, Code.NOT_ADMINISTRATOR)
_ACT: Final = (*_ADMINISTRATION, Code.LINK_DOWN, Code.PBX_BUSY, Code.OUTCOME_UNKNOWN)

OPERATIONS: Final = (
    Operation(
        "getState",
        "GET",
        "/api/v1/state",
        "Who I am at the PBX, my licence, the connection",
        get_state,
        MyState,
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
            Code.TENANT_NOT_TRUSTED,
            Code.EMAIL_NOT_MATCHED,
        ),
    ),
    Operation("signOut", "POST", "/api/v1/sign-out", "Ends my session, frees my seat", sign_out, MyState),
    Operation(
        "getLicences",
        "GET",
        "/api/v1/licences",
        "Holders and pools of my PBX (administrators)",
        get_licences,
        Licences,
        None,
        _ADMINISTRATION,
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
        "Trusts my Microsoft tenant: sign-in by e-mail (administrators)",
        set_trust,
        Licences,
        TrustRequest,
        _ACT,
    ),
)
