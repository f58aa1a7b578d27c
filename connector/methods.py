"""The methods of the connector that the hub may call. Each validates its params and answers from the PBX."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from connector.calls import Calls
from connector.directory import Directory
from connector.errors import ChallengeExpiredError, LoginRejectedError, PbxAwayError, PbxError
from connector.login import sees_password
from connector.logins import OAuthCredentials, UciCredentials
from connector.monitor import Monitor
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from wire.jsonrpc import Handler, RpcRefusalError
from wire.link import (
    ANSWER,
    CALLS,
    LOGIN,
    CallsChallenge,
    CallsChallengeParams,
    CallsCredentials,
    CallsOver,
    ChallengeAnswer,
    ChallengeProof,
    Credentials,
    EmailParams,
    FindPeopleParams,
    Followed,
    FollowParams,
    IdParams,
    IdsParams,
    KeepParams,
    LoginChallenge,
    LoginChallengeParams,
    LoginMethod,
    LoginParams,
    Method,
    PbxUser,
    PbxUsers,
    People,
    RestState,
    SealedChallengeProof,
    UciState,
    seal_context,
)
from wire.model import Empty, WireModel
from wire.pbxkey import PbxKey
from wire.phone import OpenLine
from wire.sealing import CannotOpenError, SealedBox, open_box

M = TypeVar("M", bound=WireModel)

NONCE_SECONDS: Final = 300.0
MAX_NONCES: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Nonce:
    ends: float
    """On the monotonic clock."""
    pbx_nonce: str
    """The PBX's own nonce that was issued with it; empty if there was none."""


class PbxMethods:
    def __init__(
        self,
        rest: StarfaceRest,
        directory: Directory,
        state: ConnectorState,
        monitor: Monitor,
        calls: Calls,
        pbx_name: str,
        *,
        uses_oauth: bool,
    ) -> None:
        self._rest = rest
        self._directory = directory
        self._monitor = monitor
        self._calls = calls
        self._state = state
        self._pbx_name = pbx_name
        self._uses_oauth = uses_oauth
        self._nonces: dict[str, _Nonce] = {}

    def handlers(self) -> Mapping[str, Handler]:
        return {
            Method.PING: _pong,
            Method.LOGIN_CHALLENGE: self._with_refusals(self._login_challenge),
            Method.LOGIN: self._with_refusals(self._login),
            Method.USERS_BY_ID: self._with_refusals(self._users_by_id),
            Method.USERS_BY_EMAIL: self._with_refusals(self._users_by_email),
            Method.USERS_BY_IDS: self._with_refusals(self._users_by_ids),
            Method.PEOPLE: self._with_refusals(self._people),
            Method.CALLS_CHALLENGE: self._with_refusals(self._calls_challenge),
            Method.CALLS_FOLLOW: self._with_refusals(self._follow),
            Method.CALLS_KEEP: self._with_refusals(self._keep),
            Method.CALLS_OVER: self._with_refusals(self._over),
        }

    async def _login_challenge(self, params: dict[str, Any]) -> LoginChallenge:
        """Offer the PBX's own challenge if the browser can seal the answer; otherwise the browser seals the password itself.

        An unsealed answer is never requested, because every program that carries it could try passwords against it.
        """
        methods = LoginChallengeParams.model_validate(params).methods
        if LoginMethod.SEALED_CHALLENGE in methods and not self._uses_oauth:
            login_type, pbx_nonce = await self._rest.login_challenge()
            if not sees_password(login_type):
                return LoginChallenge(
                    method=LoginMethod.SEALED_CHALLENGE, nonce=self.new_nonce(pbx_nonce), pbx_nonce=pbx_nonce
                )
        return LoginChallenge(method=LoginMethod.SEALED, nonce=self.new_nonce())

    async def _login(self, params: dict[str, Any]) -> PbxUser:
        login = LoginParams.model_validate(params)
        proof = login.proof
        if isinstance(proof, ChallengeProof):
            # It comes from a tab that asked before this connector was updated, or from a service that hides the
            # connector's capabilities. The tab asks again and gets a challenge whose answer is sealed.
            raise ChallengeExpiredError("answers are taken sealed only")
        whom = (login.tenant_id, login.object_id)
        if isinstance(proof, SealedChallengeProof):
            pbx_nonce, answer = self.open_sealed(proof.nonce, proof.box, *whom, ANSWER, ChallengeAnswer)
            return self._with_groups(
                await self._rest.prove_challenge(pbx_nonce, answer.secret, "/".join(whom))
            )
        _, credentials = self.open_sealed(proof.nonce, proof.box, *whom, LOGIN, Credentials)
        proven = self._rest.prove_password(credentials.login, credentials.password, "/".join(whom))
        return self._with_groups(await proven)

    async def _users_by_id(self, params: dict[str, Any]) -> PbxUsers:
        user = await self._rest.user(IdParams.model_validate(params).user_id)
        return PbxUsers(users=[user] if user is not None else [])

    async def _users_by_email(self, params: dict[str, Any]) -> PbxUsers:
        found = await self._rest.users_by_email(EmailParams.model_validate(params).email)
        return PbxUsers(users=[self._with_groups(user) for user in found])

    async def _users_by_ids(self, params: dict[str, Any]) -> PbxUsers:
        return PbxUsers(users=await self._directory.by_ids(IdsParams.model_validate(params).user_ids))

    async def _people(self, params: dict[str, Any]) -> People:
        wanted = FindPeopleParams.model_validate(params)
        return await self._directory.people(wanted.search, wanted.user_ids)

    async def _calls_challenge(self, params: dict[str, Any]) -> CallsChallenge:
        wanted = CallsChallengeParams.model_validate(params)
        possible = self._monitor.status.uci is UciState.ON
        if self._uses_oauth:
            # Only a browser that can seal the password gets one: what it seals is exchanged for a refresh token.
            possible = possible and wanted.takes_password
            return CallsChallenge(possible=possible, nonce=self.new_nonce(), needs_password=possible)
        if possible:
            login_type, _nonce = await self._rest.login_challenge()
            # With ActiveDirectory, where UCI takes the token that the browser makes. The other form of the token is the
            # password itself, of the whole directory, and is not kept for anybody.
            possible = not sees_password(login_type) or self._rest.own_login.has_hashed_uci_token
        return CallsChallenge(possible=possible, nonce=self.new_nonce())

    async def _follow(self, params: dict[str, Any]) -> Empty:
        wanted = FollowParams.model_validate(params)
        await self._calls.follow(wanted.user_id, await self.open_uci_login(wanted, CALLS))
        return Empty()

    async def open_uci_login(self, wanted: FollowParams | OpenLine, purpose: str) -> UciCredentials:
        """Open a person's sealed UCI login. With OAuth, exchange the password for a refresh token.

        Raises `ChallengeExpiredError`, `LoginRejectedError`, also for the login of another user, or another `PbxError`.
        """
        whom = (wanted.tenant_id, wanted.object_id)
        kind: type[Credentials | CallsCredentials] = Credentials if self._uses_oauth else CallsCredentials
        _, opened = self.open_sealed(wanted.nonce, wanted.box, *whom, purpose, kind)
        users = await self._directory.by_ids([wanted.user_id])
        if not users or users[0].login.casefold() != opened.login.casefold():
            raise LoginRejectedError("this is the login of another user")
        if isinstance(opened, CallsCredentials):
            return opened
        token = await self._rest.refresh_token_of(opened.login, opened.password, "/".join(whom))
        return OAuthCredentials(login=opened.login, refresh_token=token)

    async def _keep(self, params: dict[str, Any]) -> Followed:
        await self._calls.keep_only(KeepParams.model_validate(params).user_ids)
        return Followed(user_ids=sorted(self._calls.followed))

    async def _over(self, params: dict[str, Any]) -> CallsOver:
        return CallsOver(user_ids=await self._calls.over(IdsParams.model_validate(params).user_ids))

    def _with_groups(self, user: PbxUser) -> PbxUser:
        return user.model_copy(update={"group_ids": self._directory.groups_of(user.user_id)})

    def _with_refusals(self, run: Callable[[dict[str, Any]], Awaitable[BaseModel]]) -> Handler:
        """Return a handler that turns a `PbxError` of `run` into a refusal that crosses the link."""

        async def handler(params: dict[str, Any]) -> BaseModel:
            try:
                answer = await run(params)
            except PbxError as fault:
                if isinstance(fault, PbxAwayError):
                    self._monitor.note_rest_state(RestState.UNREACHABLE)
                raise RpcRefusalError(fault.code, str(fault), {"error": str(fault)}) from fault
            self._monitor.note_rest_state(RestState.OK)
            return answer

        return handler

    def new_nonce(self, pbx_nonce: str = "") -> str:
        """Make a nonce that opens one box within `NONCE_SECONDS`. `pbx_nonce`: the PBX's own that belongs to it."""
        now = time.monotonic()
        self._nonces = {nonce: issued for nonce, issued in self._nonces.items() if issued.ends > now}
        while len(self._nonces) >= MAX_NONCES:
            del self._nonces[next(iter(self._nonces))]
        nonce = secrets.token_urlsafe(24)
        self._nonces[nonce] = _Nonce(now + NONCE_SECONDS, pbx_nonce)
        return nonce

    def open_sealed(
        self, nonce: str, box: SealedBox, tenant_id: str, object_id: str, purpose: str, kind: type[M]
    ) -> tuple[str, M]:
        """Open a box; return the PBX's own nonce that was issued with ours, and the content of the box.

        Each nonce is valid once. Raises `ChallengeExpiredError` or `LoginRejectedError`.
        """
        pbx_nonce, _, content = self.open_with_key(nonce, box, tenant_id, object_id, purpose, kind)
        return pbx_nonce, content

    def open_with_key(
        self, nonce: str, box: SealedBox, tenant_id: str, object_id: str, purpose: str, kind: type[M]
    ) -> tuple[str, PbxKey, M]:
        """Do the same, and also return the PBX key with which the box was sealed: the present one or the previous one."""
        issued = self._nonces.pop(nonce, None)
        if issued is None or issued.ends < time.monotonic():
            raise ChallengeExpiredError("unknown nonce")
        context = seal_context(
            pbx_name=self._pbx_name, tenant_id=tenant_id, object_id=object_id, nonce=nonce, purpose=purpose
        )
        previous = self._state.previous_pbx_key()
        keys = (self._state.pbx_key(), *(previous[:1] if previous is not None else ()))
        for key in keys:
            try:
                content = open_box(private=self._state.sealing, pbx_key=key, box=box, context=context)
            except CannotOpenError:
                continue
            try:
                return issued.pbx_nonce, key, kind.model_validate_json(content)
            except ValidationError:
                break
        # Raised outside of the except blocks, because the validation error would put the opened password into the log.
        raise LoginRejectedError("the sealed login cannot be opened")


async def _pong(_params: dict[str, Any]) -> Empty:
    return Empty()
