"""Signing in and out: ties identity, hub and licensing together."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.diagnosis import rules as diagnosis
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.bus import NOTICES_TOPIC, Bus, pbx_topic, user_topic
from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import KeyMatch, Pbx, Registry
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import Offer, TenantTrust
from core.licensing.ledger import Ledger
from core.licensing.overview import Overview, Place
from core.licensing.rules import GRACE, Pool, TakeSeat
from core.licensing.session import Ending, OpenSession, Proof, Session, who
from core.signin.preferences import PreferenceStore, zone_of
from core.signin.throttle import Throttle
from core.signin.verdicts import Verdicts, person_of
from core.store.moments import now
from wire.link import (
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

SEEN_EVERY: Final = timedelta(minutes=1)
"""`last seen` is written no more often than this."""


REFUSED_AFTER_SECONDS: Final = 0.25
"""Longer than looking up a name takes, known or not; short for somebody who has mistyped a key."""

_ASKED_ANEW: Final = (Code.PBX_UNREACHABLE, Code.PBX_LOGIN_FAILED)
"""What the connector reported a moment ago may be over: the next step asks the PBX itself."""


@dataclass(frozen=True, slots=True)
class PbxAccess:
    """What every step of a sign-in proves again: the service keeps nothing between them, so it may restart."""

    pbx_name: str
    key_digest: str
    address: str
    """Where the request came from, for the throttle."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the browser needs to prove the PBX user."""

    pbx_name: str
    challenge: LoginChallenge
    sealing_key: str
    sealing_signature: str
    connector_identity: str
    email_offered: bool
    key_good_until: datetime | None = None
    """The key was renewed; this is the old one, which is good until then."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How the PBX of a session is reached at this moment."""

    pbx: Pbx
    blocker: Finding | None
    warning: Finding | None


@dataclass(frozen=True, slots=True)
class State:
    """Everything that one Teams user is shown about themselves."""

    user: TeamsUser
    session: Session | None
    connection: Connection | None = None
    seats_used: int = 0
    seats_total: int = 0
    ends_by: datetime | None = None
    """The licence key has expired: the session ends with the present call, at the latest then."""
    ending: tuple[str, Ending] | None = None
    place: Place | None = None
    """On a waiting list, or refused a moment ago and free to join it."""
    offers: Sequence[Offer] = ()
    """PBXs that this user may enter without a key; the main one of their organisation first."""
    automatic: Offer | None = None
    """The one that signs this user in without a click: their first opening of the tab."""


class SignIn:
    def __init__(
        self,
        registry: Registry,
        hub: Hub,
        trust: TenantTrust,
        ledger: Ledger,
        overview: Overview,
        verdicts: Verdicts,
        preferences: PreferenceStore,
        bus: Bus,
    ) -> None:
        self._registry = registry
        self._hub = hub
        self._trust = trust
        self._ledger = ledger
        self._overview = overview
        self._verdicts = verdicts
        self._preferences = preferences
        self._bus = bus
        self._throttle = Throttle(bus)

    async def prepare(self, user: TeamsUser, access: PbxAccess) -> Prepared | Finding:
        """First step: is name and key right, is the PBX there, and how does it want its users proven?"""
        pbx = await self._admit(user, access)
        if isinstance(pbx, Finding):
            return pbx
        is_old = self._registry.verifies(pbx, access.key_digest, now()) is KeyMatch.PREVIOUS
        try:
            challenge = await self._hub.call(
                pbx, Method.LOGIN_CHALLENGE, LoginChallengeParams(), LoginChallenge
            )
        except PbxRefusedError as refused:
            return refused.finding
        return Prepared(
            pbx_name=pbx.name,
            challenge=challenge,
            sealing_key=pbx.sealing_key,
            sealing_signature=pbx.sealing_signature,
            connector_identity=pbx.identity,
            email_offered=bool(user.email) and await self._trust.is_trusted(pbx.id, user.tenant_id),
            key_good_until=pbx.previous_key_until if is_old else None,
        )

    async def sign_in(
        self, user: TeamsUser, access: PbxAccess, proof: LoginProof | None, *, take_over: bool
    ) -> State | Finding:
        """Second step: proves the PBX user (`proof` None: by e-mail), then takes the licence, in that order, so
        that a PBX which goes away in the middle leaves no seat taken.
        """
        pbx = await self._admit(user, access)
        if isinstance(pbx, Finding):
            return pbx
        try:
            if proof is None:
                pbx_user = await self._by_email(user, pbx)
            else:
                params = LoginParams(proof=proof, tenant_id=user.tenant_id, object_id=user.object_id)
                pbx_user = await self._hub.call(pbx, Method.LOGIN, params, PbxUser)
        except PbxRefusedError as refused:
            if refused.finding.code is Code.LOGIN_REJECTED:
                self._throttle.failed(user, access.pbx_name, access.address)
            return refused.finding
        proven_by = Proof.EMAIL if proof is None else Proof.PASSWORD
        refusal = await self._open(user, pbx, pbx_user, proven_by, take_over=take_over)
        return refusal if refusal is not None else await self.state(user)

    async def sign_in_without_key(
        self, user: TeamsUser, pbx_name: str, *, take_over: bool, by_itself: bool
    ) -> State | Finding:
        """At a PBX that offers itself to the user's organisation; from another PBX it is a switch, and the session there
        ends only when the new one has its licence. `by_itself`: nobody clicked, so it must be what the administrator
        and the user want.
        """
        offers = await self._trust.offers(user.tenant_id)
        offer = next((offer for offer in offers if offer.pbx_name == pbx_name.lower()), None)
        if offer is None:  # no such PBX, or one that says nothing of itself: the same words
            return Finding(Code.TENANT_NOT_TRUSTED, {"pbx_name": pbx_name})
        if by_itself and offer != await self._automatic(user, offers):
            return Finding(Code.NOT_AUTOMATIC, {"pbx_name": offer.pbx_name})
        pbx = self._admitted(await self._registry.existing(offer.pbx_id))
        if isinstance(pbx, Finding):
            return pbx
        try:
            pbx_user = await self._by_email(user, pbx)
        except PbxRefusedError as refused:
            return refused.finding
        refusal = await self._open(user, pbx, pbx_user, Proof.EMAIL, take_over=take_over)
        return refusal if refusal is not None else await self.state(user)

    async def sign_out(self, user: TeamsUser) -> State:
        """Idempotent: who is not signed in stays so. It was on purpose, so nothing signs this user in by itself again."""
        if any(offer.is_automatic for offer in await self._trust.offers(user.tenant_id)):
            await self._preferences.put_no_automatic_sign_in(user.key)
        session = await self._overview.session_of(user)
        if session is not None and await self._ledger.sign_out(session, who(user), now()) is not None:
            self.announce(session.pbx_id, session)
        return await self.state(user)

    async def join_waiting_list(self, user: TeamsUser) -> State | Finding:
        """After a refusal because all seats were taken: whoever is next is told, and the seat is kept a while."""
        joined = await self._ledger.join_waiting_list(user, now())
        if isinstance(joined, Finding):
            return joined
        self._announce_waiting(joined, user)
        return await self.state(user)

    async def leave_waiting_list(self, user: TeamsUser) -> State:
        """Idempotent."""
        left = await self._ledger.leave_waiting_list(user, now())
        if left is not None:
            self._announce_waiting(left, user)
        return await self.state(user)

    async def seen(self, user: TeamsUser) -> None:
        """An open tab is activity."""
        session = await self._overview.session_of(user)
        if session is not None and now() - session.last_seen_at >= SEEN_EVERY:
            await self._ledger.touch(session.id, now())

    async def session_since(self, user: TeamsUser) -> datetime | None:
        session = await self._overview.session_of(user)
        return session.started_at if session is not None else None

    async def seen_in(self, user: TeamsUser, time_zone: str) -> None:
        """The time zone that the user is in, for what is written to them at night. What is none is passed over."""
        if zone_of(time_zone) is None or (await self._preferences.of(user.key)).time_zone == time_zone:
            return
        await self._preferences.put_time_zone(user.key, time_zone)

    async def state(self, user: TeamsUser) -> State:
        session = await self._overview.session_of(user)
        offers = await self._trust.offers(user.tenant_id)
        if session is None:
            return State(
                user,
                None,
                ending=await self._overview.ending_of(user),
                place=await self._overview.place_of(user),
                offers=offers,
                automatic=await self._automatic(user, offers),
            )
        if now() - session.last_seen_at >= SEEN_EVERY:
            await self._ledger.touch(session.id, now())
        pools = await self._overview.pools(session.pbx_id)
        return State(
            user=user,
            session=session,
            connection=await self.connection(session.pbx_id),
            seats_used=sum(pool.used for pool in pools),
            seats_total=sum(pool.seats for pool in pools),
            ends_by=_ends_by(session, pools),
            offers=offers,
        )

    async def connection(self, pbx_id: str) -> Connection:
        pbx = await self._registry.existing(pbx_id)
        return Connection(pbx, diagnosis.blocker(pbx.facts), diagnosis.warning(pbx.facts, now()))

    def announce(self, pbx_id: str, *touched: Session) -> None:
        """Wakes whoever shows these sessions or their PBX."""
        for session in touched:
            self._bus.publish(user_topic(*session.teams_user.key))
        self._bus.publish(pbx_topic(pbx_id), NOTICES_TOPIC)

    def _announce_waiting(self, pbx_id: str, user: TeamsUser) -> None:
        self._bus.publish(user_topic(*user.key))
        self.announce(pbx_id)

    async def _admit(self, user: TeamsUser, access: PbxAccess) -> Pbx | Finding:
        """Name and key. Who has the wrong key learns nothing about the name, not even by the clock: the answer comes at
        the same moment, whatever was looked up until then.
        """
        answered_at = asyncio.get_running_loop().time() + REFUSED_AFTER_SECONDS
        if not self._throttle.allows(user, access.pbx_name, access.address):
            return Finding(Code.THROTTLED)
        pbx = await self._registry.by_name(access.pbx_name)
        match = self._registry.verifies(pbx, access.key_digest, now())
        is_trusted = await self._trust.is_trusted(pbx.id if pbx else "", user.tenant_id)
        if pbx is None or match is None:
            self._throttle.failed(user, access.pbx_name, access.address)
            logger.info("wrong name or key", extra={"known": pbx is not None, "tenant": user.tenant_id})
            await asyncio.sleep(answered_at - asyncio.get_running_loop().time())
            return Finding(Code.WRONG_KEY, {"pbx_name": access.pbx_name}, "trusted" if is_trusted else None)
        return self._admitted(pbx)

    @staticmethod
    def _admitted(pbx: Pbx) -> Pbx | Finding:
        blocker = diagnosis.blocker(pbx.facts)
        if blocker is None or blocker.code in _ASKED_ANEW:
            return pbx
        return blocker

    async def _automatic(self, user: TeamsUser, offers: Sequence[Offer]) -> Offer | None:
        """The PBX that signs this user in by itself: at the first opening, not after a session that somebody ended or
        that they ended themselves, and not while they wait for a seat.
        """
        offer = next((offer for offer in offers if offer.is_automatic), None)
        if offer is None or not user.email:
            return None
        if (await self._preferences.of(user.key)).no_automatic_sign_in:
            return None
        if await self._overview.ending_of(user) is not None:
            return None
        place = await self._overview.place_of(user)
        waits = place is not None and place.joined_at is not None and place.offered_until is None
        return None if waits else offer

    async def _by_email(self, user: TeamsUser, pbx: Pbx) -> PbxUser:
        """The one PBX user with this e-mail address, for a tenant that an administrator has trusted."""
        if not await self._trust.is_trusted(pbx.id, user.tenant_id):
            raise PbxRefusedError(Finding(Code.TENANT_NOT_TRUSTED, {"pbx_name": pbx.name}))
        not_matched = Finding(Code.EMAIL_NOT_MATCHED, {"pbx_name": pbx.name, "email": user.email})
        if "@" not in user.email:
            raise PbxRefusedError(not_matched)
        params = EmailParams(email=user.email)
        found = await self._hub.call(pbx, Method.USERS_BY_EMAIL, params, PbxUsers)
        if len(found.users) != 1:
            raise PbxRefusedError(not_matched)
        return found.users[0]

    async def _open(
        self, user: TeamsUser, pbx: Pbx, pbx_user: PbxUser, proof: Proof, *, take_over: bool
    ) -> Finding | None:
        (verdict,) = await self._verdicts.of(pbx, [pbx_user])
        person = person_of(pbx_user)
        licence = TakeSeat(()) if isinstance(verdict, Finding) else verdict
        wish = OpenSession(
            user, pbx.id, pbx.name, person, licence, proof, take_over, now(), pbx_user.group_ids
        )
        if isinstance(verdict, Finding):
            return await self._deny(wish, verdict)
        opened = await self._ledger.open_session(wish)
        if isinstance(opened, Finding):
            return await self._deny(wish, opened)
        logger.info("signed in", extra={"pbx": pbx.name, "kind": opened.session.kind, "proof": proof})
        self.announce(pbx.id, opened.session, *opened.ended)
        return None

    async def _deny(self, wish: OpenSession, refusal: Finding) -> Finding:
        if refusal.code is Code.NO_LICENCE:
            await self._ledger.record_denial(wish, refusal)
            self._announce_waiting(wish.pbx_id, wish.teams_user)
        return refusal


def _ends_by(session: Session, pools: Sequence[Pool]) -> datetime | None:
    mine = next((pool for pool in pools if pool.id == session.pool_id), None)
    return mine.valid_until + GRACE if mine is not None and mine.valid_until <= now() else None
