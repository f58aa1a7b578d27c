"""Sign-in and sign-out. This module connects identity, hub and licensing.

Methods raise `RefusedError` when a sign-in is refused.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from core.audio.finding import AudioVerdict
from core.diagnosis import rules as diagnosis
from core.diagnosis.codes import PBX_FAULTS, Code
from core.diagnosis.finding import Finding, RefusedError, create_throttled_finding
from core.hub.bus import NOTICES_TOPIC, Bus, holders_topic, licence_topics, user_topic
from core.hub.hub import Hub
from core.hub.registry import KeyMatch, Pbx, Registry
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import Offer, TenantTrust
from core.licensing.ledger import Ledger
from core.licensing.overview import Overview, Place
from core.licensing.rules import GRACE, Administer, Grant, TakeSeat, Verdict
from core.licensing.session import Ending, Opened, Proof, Session, SessionRequest
from core.licensing.transactions.ageing import SessionAge
from core.signin.preferences import PreferenceStore, parse_time_zone
from core.signin.refusals import Refusals
from core.signin.state_reading import StateReader, StoredState
from core.signin.throttle import Throttle
from core.signin.verdicts import Verdicts, to_session_person
from core.store.database import STORAGE_ERRORS
from core.store.timestamps import now
from wire.email import same_email
from wire.link import (
    ChallengeProof,
    EmailParams,
    LoginChallenge,
    LoginChallengeParams,
    LoginParams,
    LoginProof,
    Method,
    PbxUser,
    PbxUsers,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")
A = TypeVar("A", "PbxAccess", str)

SEEN_EVERY: Final = timedelta(minutes=1)
"""Shortest interval between two writes of a session's `last_seen_at`."""


REFUSED_AFTER_SECONDS: Final = 0.25
"""Fixed duration of a refusal for a wrong name or key. It is longer than any look-up of a name, so that the time does not
reveal whether the name is known, and still short for somebody who has mistyped a key.
"""

_CHECKED_AGAIN: Final = PBX_FAULTS
"""Blockers that do not stop a sign-in: the connector's last report may be outdated, and the next step asks the PBX."""


@dataclass(frozen=True, slots=True)
class PbxAccess:
    """PBX name and key. Each step of a sign-in sends both, so the service stores nothing between steps and may restart."""

    pbx_name: str
    key_digest: str
    address: str
    """The client's IP address, for the throttle."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the browser needs to prove who the PBX user is."""

    pbx_name: str
    challenge: LoginChallenge
    sealing_key: str
    sealing_signature: str
    connector_identity: str
    capabilities: Sequence[str]
    capabilities_signature: str | None
    email_offered: bool
    first_use: bool
    """Nobody of the user's tenant has signed in at this PBX, and it does not trust the tenant. It may be a stranger's."""
    key_good_until: datetime | None = None
    """Set if the key was renewed and the person used the previous one, which is valid until then."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The present state of the connection to a session's PBX."""

    pbx: Pbx
    blocker: Finding | None
    warning: Finding | None


@dataclass(frozen=True, slots=True)
class UserState:
    """Everything that the tab and the bot show a Teams user about themselves."""

    user: TeamsUser
    session: Session | None
    connection: Connection | None = None
    seats_used: int = 0
    seats_total: int = 0
    ends_by: datetime | None = None
    """Set if the licence key has expired: the session ends after the user's present call, and at the latest then."""
    session_ends: datetime | None = None
    """Set if the session will soon reach the operator's maximum age: it ends then unless the user signs in again."""
    ending: tuple[str, Ending] | None = None
    """PBX name and cause, if somebody or something else has ended the last session."""
    place: Place | None = None
    """The user's place on a waiting list, or the list that they may join after a refusal."""
    offers: Sequence[Offer] = ()
    """PBXs that this user may sign in to without a key; their organisation's main PBX first."""
    automatic: Offer | None = None
    """The PBX that signs this user in without a click."""
    asks_consent: Offer | None = None
    """The PBX that would do so if they had used it before. Their first click is their consent."""
    audio: AudioVerdict | None = None
    """The audio advisor's last verdict."""


def _counted(
    step: Callable[Concatenate["SignIn", TeamsUser, A, P], Awaitable[T]],
) -> Callable[Concatenate["SignIn", TeamsUser, A, P], Coroutine[Any, Any, T]]:
    """Decorate a step of a sign-in: throttle its attempts, and audit those that fail or are throttled."""

    async def run(self: "SignIn", user: TeamsUser, at: A, /, *args: P.args, **options: P.kwargs) -> T:
        try:
            async with self.throttle.attempt(user):
                return await step(self, user, at, *args, **options)
        except RefusedError as refused:
            pbx_name = at.pbx_name if isinstance(at, PbxAccess) else at
            self._refusals.note_sign_in(user, pbx_name, refused.finding)
            raise

    return run


class SignIn:
    def __init__(
        self,
        registry: Registry,
        hub: Hub,
        trust: TenantTrust,
        ledger: Ledger,
        overview: Overview,
        states: StateReader,
        verdicts: Verdicts,
        preferences: PreferenceStore,
        bus: Bus,
        refusals: Refusals,
        session_age: SessionAge | None = None,
    ) -> None:
        self._session_age = session_age
        self._refusals = refusals
        self._registry = registry
        self._hub = hub
        self._trust = trust
        self._ledger = ledger
        self._overview = overview
        self._states = states
        self._verdicts = verdicts
        self._preferences = preferences
        self._bus = bus
        self.throttle = Throttle(bus)
        self._used: set[tuple[str, str, str]] = set()
        """(PBX id, connector identity, tenant id) for which the use is stored already."""

    @_counted
    async def prepare(self, user: TeamsUser, access: PbxAccess, methods: Sequence[str] = ()) -> Prepared:
        """First step: check name and key, and fetch the login challenge of the PBX.

        `methods` are the login methods that the browser knows in addition to those of the first version.
        """
        pbx = await self._admit(user, access)
        is_old = self._registry.match_key(pbx, access.key_digest, now()) is KeyMatch.PREVIOUS
        # A connector of the first version refuses unknown members.
        params = LoginChallengeParams(methods=tuple(methods) if pbx.seals_answers else ())
        challenge = await self._hub.call(
            pbx=pbx, method=Method.LOGIN_CHALLENGE, params=params, answer=LoginChallenge
        )
        is_trusted = await self._trust.is_trusted(pbx.id, user.tenant_id)
        return Prepared(
            pbx_name=pbx.name,
            challenge=challenge,
            sealing_key=pbx.sealing_key,
            sealing_signature=pbx.sealing_signature,
            connector_identity=pbx.identity,
            capabilities=pbx.capabilities,
            capabilities_signature=pbx.capabilities_signature,
            email_offered=bool(user.verified_email) and is_trusted,
            first_use=not is_trusted and not await self._registry.is_used_by(pbx.id, user.tenant_id),
            key_good_until=pbx.previous_key_until if is_old else None,
        )

    @_counted
    async def sign_in(
        self, user: TeamsUser, access: PbxAccess, proof: LoginProof | None, *, take_over: bool
    ) -> UserState:
        """Second step: prove the PBX user, then take the licence, so that a PBX that disconnects in between costs no seat.

        Without `proof`, the e-mail address is the proof. The transaction that takes the licence checks again what the
        proof rests on: trust, installation, the connector's epoch.
        """
        pbx = await self._admit(user, access)
        if proof is None:
            pbx_user = await self._by_email(user, pbx)
        else:
            pbx_user = await self._by_password(user, pbx, proof)
        proven_by = Proof.EMAIL if proof is None else Proof.PASSWORD
        await self._open(user=user, pbx=pbx, pbx_user=pbx_user, proof=proven_by, take_over=take_over)
        return await self.state(user)

    @_counted
    async def sign_in_without_key(
        self, user: TeamsUser, pbx_name: str, *, take_over: bool, by_itself: bool
    ) -> UserState:
        """Sign in at a PBX that is offered to the user's organisation.

        A session at another PBX ends only once the new session has its licence. `by_itself` says that nobody clicked: the
        PBX must then sign people in automatically, and the user must have used it before.
        """
        if user.is_guest:
            raise RefusedError(Finding(Code.GUEST))
        stored = await self._states.read(user)
        offer = next((offer for offer in stored.offers if offer.pbx_name == pbx_name), None)
        if offer is None:  # an unknown PBX, or one that is not offered: the same answer for both
            raise RefusedError(Finding(Code.TENANT_NOT_TRUSTED, {"pbx_name": pbx_name}))
        if by_itself and not (offer == _get_automatic_offer(user, stored) and offer.pbx_id in stored.used):
            raise RefusedError(Finding(Code.NOT_AUTOMATIC, {"pbx_name": offer.pbx_name}))
        pbx = await self._registry.existing(offer.pbx_id)
        _check_connection(pbx)
        pbx_user = await self._by_email(user, pbx)
        await self._open(
            user=user, pbx=pbx, pbx_user=pbx_user, proof=Proof.EMAIL, take_over=take_over, is_keyless=True
        )
        return await self.state(user)

    async def sign_out(self, user: TeamsUser) -> UserState:
        """End the user's session, if there is one, and switch automatic sign-in off for this user. Idempotent."""
        stored = await self._states.read(user)
        if any(offer.is_automatic for offer in stored.offers):
            await self._preferences.put_no_automatic_sign_in(user.key)
        session = stored.session
        if session is not None and await self._ledger.sign_out(session, now()) is not None:
            self.announce(session.pbx_id, session)
        return await self.state(user)

    async def join_waiting_list(self, user: TeamsUser) -> UserState:
        """Join the waiting list after a refusal because all seats were taken.

        A seat that becomes free is offered to the first on the list, who gets a notice and has some minutes to take it.
        """
        joined = await self._ledger.join_waiting_list(user, now())
        self._announce_waiting(joined, user)
        return await self.state(user)

    async def leave_waiting_list(self, user: TeamsUser) -> UserState:
        """Leave the waiting list. Idempotent."""
        left = await self._ledger.leave_waiting_list(user, now())
        if left is not None:
            self._announce_waiting(left, user)
        return await self.state(user)

    async def touch_sessions(self, session_ids: Sequence[str]) -> None:
        """Record activity in sessions whose tabs are open. Sessions that have ended are not changed."""
        at = now()
        await asyncio.gather(*(self._ledger.touch(session_id, at) for session_id in session_ids))

    async def set_time_zone(self, user: TeamsUser, time_zone: str) -> None:
        """Store the user's time zone (IANA name), for their quiet hours. Invalid names are ignored."""
        if (
            parse_time_zone(time_zone) is None
            or (await self._preferences.get(user.key)).time_zone == time_zone
        ):
            return
        await self._preferences.put_time_zone(user.key, time_zone)

    async def state(self, user: TeamsUser) -> UserState:
        stored = await self._states.read(user)
        offers = () if user.is_guest else stored.offers
        session, pbx = stored.session, stored.pbx
        if session is None or pbx is None:
            automatic = _get_automatic_offer(user, stored)
            has_used = automatic is not None and automatic.pbx_id in stored.used
            return UserState(
                user,
                None,
                ending=stored.ending,
                place=stored.place,
                offers=offers,
                automatic=automatic if has_used else None,
                asks_consent=None if has_used else automatic,
            )
        at = now()
        if at - session.last_seen_at >= SEEN_EVERY:
            await self._ledger.touch(session.id, at)
        valid_until = stored.pool_valid_until
        return UserState(
            user=user,
            session=session,
            connection=_connection(pbx),
            seats_used=stored.seats_used,
            seats_total=stored.seats_total,
            ends_by=valid_until + GRACE if valid_until is not None and valid_until <= at else None,
            session_ends=None if self._session_age is None else stored.ends_at,
            offers=offers,
            audio=AudioVerdict(stored.verdict) if stored.verdict is not None else None,
        )

    async def connection(self, pbx_id: str) -> Connection:
        return _connection(await self._registry.existing(pbx_id))

    def announce(self, pbx_id: str, *touched: Session) -> None:
        """Publish a change to the users of these sessions and to everyone who watches this PBX's seats or holders."""
        people = (user_topic(*session.teams_user.key) for session in touched)
        self._bus.publish(*people, *licence_topics(pbx_id), NOTICES_TOPIC)

    def _announce_waiting(self, pbx_id: str, user: TeamsUser) -> None:
        self._bus.publish(user_topic(*user.key))
        self.announce(pbx_id)

    async def _admit(self, user: TeamsUser, access: PbxAccess) -> Pbx:
        """Return the PBX if name and key are right and it can be reached.

        A wrong key reveals nothing about the name, not even by timing: the refusal is sent after a fixed time, whether or
        not the name is known.
        """
        answered_at = asyncio.get_running_loop().time() + REFUSED_AFTER_SECONDS
        pbx = await self._registry.by_name(access.pbx_name)
        match = self._registry.match_key(pbx, access.key_digest, now())
        is_trusted = await self._trust.is_trusted(pbx.id if pbx else "", user.tenant_id) and not user.is_guest
        if pbx is None or match is None:
            seconds = self.throttle.count_wrong_key(user, access.address)
            logger.info("wrong name or key", extra={"known": pbx is not None, "tenant": user.tenant_id})
            await asyncio.sleep(answered_at - asyncio.get_running_loop().time())
            if seconds:
                raise RefusedError(create_throttled_finding(seconds))
            variant = "trusted" if is_trusted else None
            raise RefusedError(Finding(Code.WRONG_KEY, {"pbx_name": access.pbx_name}, variant))
        _check_connection(pbx)
        return pbx

    async def _mark_used(self, pbx: Pbx, tenant_id: str) -> None:
        """Store, once for each installation and tenant, that the tenant has used this PBX. A failure is only logged."""
        key = (pbx.id, pbx.identity, tenant_id)
        if key in self._used:
            return
        try:
            if not await self._registry.is_used_by(pbx.id, tenant_id):
                await self._registry.mark_used(pbx.id, tenant_id, now())
        except STORAGE_ERRORS:
            logger.warning("use of a PBX by a tenant not stored", extra={"pbx_id": pbx.id})
        else:
            self._used.add(key)

    async def _by_password(self, user: TeamsUser, pbx: Pbx, proof: LoginProof) -> PbxUser:
        login = proof.secret.partition(":")[0] if isinstance(proof, ChallengeProof) else None
        is_full = self.throttle.password_wait(user, pbx.id, login) > 0
        is_exempt = is_full and await self._trust.is_pinned(pbx.id, user)
        params = LoginParams(proof=proof, tenant_id=user.tenant_id, object_id=user.object_id)
        with self.throttle.password(user, pbx.id, login, is_exempt=is_exempt):
            return await self._hub.call(pbx=pbx, method=Method.LOGIN, params=params, answer=PbxUser)

    async def _by_email(self, user: TeamsUser, pbx: Pbx) -> PbxUser:
        """Return the only PBX user with the user's verified e-mail address. The PBX must trust the tenant."""
        if not await self._trust.is_trusted(pbx.id, user.tenant_id):
            raise RefusedError(Finding(Code.TENANT_NOT_TRUSTED, {"pbx_name": pbx.name}))
        if user.is_guest:
            raise RefusedError(Finding(Code.GUEST))
        if not user.verified_email:
            raise RefusedError(Finding(Code.EMAIL_NOT_VERIFIED))
        evidence = {"pbx_name": pbx.name, "email": user.verified_email}
        if self.throttle.is_known_unmatched(pbx.id, user.verified_email):
            raise RefusedError(Finding(Code.EMAIL_NOT_MATCHED, evidence))
        params = EmailParams(email=user.verified_email)
        found = await self._hub.call(pbx=pbx, method=Method.USERS_BY_EMAIL, params=params, answer=PbxUsers)
        # An older connector also matches letters that only look alike.
        matching = [one for one in found.users if same_email(one.email, user.verified_email)]
        if len(matching) != 1:
            self.throttle.record_unmatched(pbx.id, user.verified_email)
            raise RefusedError(Finding(Code.EMAIL_NOT_MATCHED, evidence))
        return matching[0]

    async def _open(
        self,
        user: TeamsUser,
        pbx: Pbx,
        pbx_user: PbxUser,
        proof: Proof,
        *,
        take_over: bool,
        is_keyless: bool = False,
    ) -> None:
        (verdict,) = await self._verdicts.decide(pbx, [pbx_user])
        person = to_session_person(pbx_user)
        licence: Grant = TakeSeat(()) if isinstance(verdict, Finding) else verdict
        by_password = proof is Proof.PASSWORD
        request = SessionRequest(
            teams_user=user,
            pbx_id=pbx.id,
            pbx_name=pbx.name,
            person=person,
            licence=licence,
            proof=proof,
            take_over=take_over,
            now=now(),
            group_ids=pbx_user.group_ids,
            installation=pbx.installation,
            is_keyless=is_keyless,
            renews_pin=by_password and not await self._trust.has_proven(pbx.id, user, pbx_user.user_id),
        )
        try:
            opened = await self._take_licence(request, verdict)
        except RefusedError as refused:
            if refused.finding.code is Code.NO_LICENCE:
                await self._ledger.record_denial(request, refused.finding)
                self._bus.publish(user_topic(*user.key), holders_topic(pbx.id))
            raise
        await self._mark_used(pbx, user.tenant_id)
        logger.info("signed in", extra={"pbx": pbx.name, "kind": opened.session.kind, "proof": proof})
        self.announce(pbx.id, opened.session, *opened.ended)

    async def _take_licence(self, request: SessionRequest, verdict: Verdict) -> Opened:
        """Open the session. An administrator for whom no licence is free may still administer, after their password."""
        may_administer = request.proof is Proof.PASSWORD and request.person.is_administrator
        refusal = verdict if isinstance(verdict, Finding) else None
        if refusal is None:
            try:
                return await self._ledger.open_session(request)
            except RefusedError as refused:
                refusal = refused.finding
        if refusal.code is Code.NO_LICENCE and may_administer:
            return await self._ledger.open_session(replace(request, licence=Administer()))
        raise RefusedError(refusal)


def _check_connection(pbx: Pbx) -> None:
    """Raise `RefusedError` if there is no connection to the PBX, or none that a sign-in could use."""
    blocker = diagnosis.find_blocker(pbx.facts)
    if blocker is not None and blocker.code not in _CHECKED_AGAIN:
        raise RefusedError(blocker)


def _connection(pbx: Pbx) -> Connection:
    facts = pbx.facts
    return Connection(pbx, diagnosis.find_blocker(facts), diagnosis.find_warning(facts))


def _get_automatic_offer(user: TeamsUser, stored: StoredState) -> Offer | None:
    """Return the PBX that should sign this user in automatically, or None.

    There is none after a session that the user or somebody else has ended, and none while the user waits for a seat.
    """
    offer = next((offer for offer in stored.offers if offer.is_automatic), None)
    if offer is None or user.is_guest or not user.verified_email:
        return None
    if stored.no_automatic_sign_in or stored.ending is not None:
        return None
    place = stored.place
    waits = place is not None and place.joined_at is not None and place.offered_until is None
    return None if waits else offer
