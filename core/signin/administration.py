"""What an administrator of a PBX sees and does. The permission is asked of the PBX, not remembered."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from core.audit.reading import AuditEntry, AuditReader
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.bus import Bus, holders_topic, offers_topic, user_topic
from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import Registry
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import Entry, TenantTrust, Trust, TrustedTenant
from core.licensing.advice import Advice, advise, period_start
from core.licensing.ledger import Ledger
from core.licensing.overview import HoldersPage, HoldersQuery, Overview
from core.licensing.policy import Policy
from core.licensing.rules import Pool
from core.licensing.session import EndCause, Ending, Proof, Session
from core.licensing.transactions.trusting import TrustChange
from core.licensing.usage import Bucket, Span, UsageReader, usage
from core.signin.refusals import Act, Refusals
from core.signin.signin import Connection, SignIn
from core.store.audit import AuditKind, audit
from core.store.timestamps import now
from wire.link import MAX_USERS_AT_ONCE, IdParams, Method, PbxUsers, People, PeopleParams
from wire.model import WireModel

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=WireModel)

READ_RECHECK_SECONDS: Final = 30.0
"""A view that updates itself asks the PBX again no more often than this; every act asks anew."""

MAX_AUDIT_ROWS: Final = 50_000
"""In one export: about ten megabytes."""


@dataclass(frozen=True, slots=True)
class AuditExport:
    pages: AsyncIterator[Sequence[AuditEntry]]
    """Newest first, read as they are asked for."""
    complete: bool
    """False: there are older ones in that time."""
    home_tenants: frozenset[str]
    """Whoever is of none of these is told as a person of another organisation."""


@dataclass(frozen=True, slots=True)
class LicenceView:
    page: HoldersPage
    pools: Sequence[Pool]
    connection: Connection
    trust: Trust | None
    """What this PBX has decided about the administrator's own organisation."""
    may_trust: bool
    """The administrator is a member of that organisation, not its guest."""
    may_offer: bool
    """They speak for it, or the operator has approved this PBX in its place: its people may be let in without a key."""
    tenants: Sequence[TrustedTenant]
    """All that this PBX trusts."""
    primary_name: str | None
    """The main PBX of that organisation."""
    waiting: int
    """How many wait for a seat."""


@dataclass(frozen=True, slots=True)
class UsageView:
    buckets: Sequence[Bucket]
    seats: int
    """What the pools have now."""


class Administration:
    def __init__(
        self,
        registry: Registry,
        hub: Hub,
        trust: TenantTrust,
        ledger: Ledger,
        overview: Overview,
        sign_in: SignIn,
        bus: Bus,
        usage: UsageReader,
        audit_reader: AuditReader,
        refusals: Refusals,
    ) -> None:
        self._refusals = refusals
        self._audit = audit_reader
        self._usage = usage
        self._registry = registry
        self._hub = hub
        self._trust = trust
        self._ledger = ledger
        self._overview = overview
        self._sign_in = sign_in
        self._bus = bus
        self._checked: dict[str, float] = {}

    async def view(self, user: TeamsUser, query: HoldersQuery) -> LicenceView | Finding:
        """The licence view. While the PBX cannot be asked, what it said last counts: reading harms nobody."""
        session = await self.reader(user, Act.VIEW_LICENCES)
        if isinstance(session, Finding):
            return session
        primary = await self._trust.primary_of(user.tenant_id)
        return LicenceView(
            page=await self._overview.holders(session.pbx_id, query),
            pools=await self._overview.pools(session.pbx_id),
            connection=await self._sign_in.connection(session.pbx_id),
            trust=await self._trust.of(session.pbx_id, user.tenant_id),
            may_trust=not user.is_guest,
            may_offer=user.speaks_for_tenant
            or (not user.is_guest and user.tenant_id in await self._trust.approved_for(session.pbx_id)),
            tenants=await self._trust.trusted_tenants(session.pbx_id),
            primary_name=primary[1] if primary is not None else None,
            waiting=await self._overview.waiting_count(session.pbx_id),
        )

    async def holder(self, user: TeamsUser, session_id: str) -> Session | Finding:
        """One session of this PBX; `session-gone` when it has ended."""
        reader = await self.reader(user, Act.VIEW_LICENCES)
        if isinstance(reader, Finding):
            return reader
        session = await self._overview.holder(reader.pbx_id, session_id)
        return session if session is not None else Finding(Code.SESSION_GONE)

    async def revoke(
        self, user: TeamsUser, session_ids: Sequence[str], reason: str
    ) -> Sequence[Session] | Finding:
        """Ends sessions of this PBX and frees their seats. Those that ended already are passed over; when none
        is left, the administrator is told so.
        """
        administrator = await self.act(user, Act.REVOKE)
        if isinstance(administrator, Finding):
            return administrator
        ending = Ending(EndCause.REVOKED, administrator.actor, reason, now())
        ended = await self._ledger.end_sessions(administrator.pbx_id, session_ids, ending)
        if not ended:
            return Finding(Code.SESSION_GONE)
        logger.info("sessions revoked", extra={"pbx_id": administrator.pbx_id, "count": len(ended)})
        self._sign_in.announce(administrator.pbx_id, *ended)
        return ended

    async def set_trust(
        self, user: TeamsUser, *, trusted: bool, entry: Entry | None, primary: bool | None
    ) -> Finding | None:
        """Trusts the administrator's own Microsoft tenant, or no longer: sign-in by e-mail. What is None stays as it is.

        Whom this PBX believes is for its administrators to decide, as long as people bring its key as well. What
        concerns a whole tenant is for those who speak for it, and a guest never speaks for the house they visit.
        """
        return await self._change_trust(user, user.tenant_id, trusted=trusted, entry=entry, primary=primary)

    async def remove_trust(self, user: TeamsUser, tenant_id: str) -> Finding | None:
        """Trusts this tenant no longer, whoever began it. Idempotent."""
        return await self._change_trust(user, tenant_id, trusted=False, entry=None, primary=None)

    async def trusted_tenants(self, user: TeamsUser) -> Sequence[TrustedTenant] | Finding:
        session = await self.reader(user, Act.CHANGE_TRUST)
        if isinstance(session, Finding):
            return session
        return await self._trust.trusted_tenants(session.pbx_id)

    async def _change_trust(
        self, user: TeamsUser, tenant_id: str, *, trusted: bool, entry: Entry | None, primary: bool | None
    ) -> Finding | None:
        administrator = await self.act(user, Act.CHANGE_TRUST)
        if isinstance(administrator, Finding):
            return administrator
        if trusted and user.is_guest:
            return self._refuse(administrator, Act.CHANGE_TRUST, Finding(Code.GUEST))
        changed = await self._ledger.change_trust(
            TrustChange(
                pbx_id=administrator.pbx_id,
                tenant_id=tenant_id,
                trusted=trusted,
                entry=entry,
                primary=primary,
                actor=administrator.actor,
                speaks_for_tenant=user.speaks_for_tenant and tenant_id == user.tenant_id,
                now=now(),
                installation=administrator.installation,
            )
        )
        if isinstance(changed, Finding):
            return self._refuse(administrator, Act.CHANGE_TRUST, changed)
        if changed.ended:
            logger.info(
                "sessions ended with trust",
                extra={"pbx_id": administrator.pbx_id, "tenant": tenant_id, "count": len(changed.ended)},
            )
        self._sign_in.announce(administrator.pbx_id, *changed.ended)
        self._bus.publish(offers_topic(tenant_id))
        if changed.overruled is not None:
            self._bus.publish(holders_topic(changed.overruled))
        return None

    async def export_holders(self, user: TeamsUser, file_format: str) -> Sequence[Session] | Finding:
        session = await self.act(user, Act.EXPORT_LICENCES, remembered=True)
        if isinstance(session, Finding):
            return session
        holders = await self._overview.all_holders(session.pbx_id)
        detail = {"format": file_format, "rows": len(holders)}
        await self.note(session, AuditKind.HOLDERS_EXPORTED, detail)
        return holders

    async def usage(self, user: TeamsUser, span: Span) -> UsageView | Finding:
        session = await self.reader(user, Act.VIEW_LICENCES)
        if isinstance(session, Finding):
            return session
        at = now()
        count, length = span.buckets
        holdings = await self._usage.holdings(session.pbx_id, at - count * length)
        denials = await self._usage.denials(session.pbx_id, at - count * length)
        buckets = await asyncio.to_thread(usage, holdings, denials, span, at)
        return UsageView(buckets, seats=await self._seats(session.pbx_id))

    async def advice(self, user: TeamsUser) -> Advice | Finding:
        session = await self.reader(user, Act.VIEW_LICENCES)
        if isinstance(session, Finding):
            return session
        at = now()
        pbx = await self._registry.by_id(session.pbx_id)
        history_from = pbx.claimed_at if pbx is not None else at
        holdings = await self._usage.holdings(session.pbx_id, period_start(at))
        return await asyncio.to_thread(
            advise,
            holdings,
            uals=await self._overview.ual_count(session.pbx_id),
            seats=await self._seats(session.pbx_id),
            history_from=history_from,
            now=at,
        )

    async def export_audit(
        self, user: TeamsUser, since: datetime, until: datetime, file_format: str
    ) -> AuditExport | Finding:
        """What happened from `since` until before `until`, newest first, at most `MAX_AUDIT_ROWS`. That it was asked for
        is written down before anything is given, and is not part of it.
        """
        session = await self.act(user, Act.EXPORT_AUDIT, remembered=True)
        if isinstance(session, Finding):
            return session
        span = await self._audit.span(session.pbx_id, since, until, MAX_AUDIT_ROWS + 1)
        trusted = await self._trust.tenants_of(session.pbx_id)
        detail = {
            "format": file_format,
            "since": since.date().isoformat(),
            "until": (until - timedelta(days=1)).date().isoformat(),
            "rows": min(span.count, MAX_AUDIT_ROWS),
        }
        await self.note(session, AuditKind.AUDIT_EXPORTED, detail)
        return AuditExport(
            pages=self._audit.pages(span, MAX_AUDIT_ROWS),
            complete=span.count <= MAX_AUDIT_ROWS,
            home_tenants=frozenset(trusted or [user.tenant_id]),
        )

    async def note(self, session: Session, kind: AuditKind, detail: Mapping[str, object]) -> None:
        """Writes down what this administrator looked at."""
        pbx = await self._registry.existing(session.pbx_id)
        await self._ledger.writer.run_small(
            lambda: audit(session.pbx_id, kind, session.actor, pbx.name, detail, now())
        )

    async def people(self, user: TeamsUser, search: str) -> People | Finding:
        """PBX users and groups for a policy: those that the search finds, and those that policies name already."""
        session = await self.reader(user, Act.CHANGE_RULES)
        if isinstance(session, Finding):
            return session
        named: set[int] = set()
        for pool in await self._overview.pools(session.pbx_id):
            policy = pool.policy
            for one in (*(reservation.people for reservation in policy.reservations), policy.admitted):
                named.update(one.user_ids if one is not None else ())
        params = PeopleParams(search=search, user_ids=sorted(named)[:MAX_USERS_AT_ONCE])
        return await self._ask(session.pbx_id, Method.PEOPLE, params, People)

    async def set_policy(self, user: TeamsUser, pool_id: str, policy: Policy) -> Finding | None:
        administrator = await self.act(user, Act.CHANGE_RULES)
        if isinstance(administrator, Finding):
            return administrator
        refusal = await self._ledger.put_policy(
            administrator.pbx_id,
            pool_id,
            policy,
            administrator.actor,
            now(),
            administrator.installation,
        )
        if refusal is None:
            self._sign_in.announce(administrator.pbx_id)
        return refusal

    async def reader(self, user: TeamsUser, act: Act) -> Session | Finding:
        """The administrator who reads: asked again now and then, because a view reads often."""
        session = await self._candidate(user, act)
        if isinstance(session, Finding):
            return session
        clock = asyncio.get_running_loop().time()
        is_administrator = session.person.is_administrator
        if clock - self._checked.get(session.id, float("-inf")) >= READ_RECHECK_SECONDS:
            checked = await self._check(session)
            if isinstance(checked, Session):
                recent = clock - READ_RECHECK_SECONDS
                self._checked = {id_: at for id_, at in self._checked.items() if at > recent} | {
                    session.id: clock
                }
                is_administrator = True
            elif checked.code in (Code.NOT_ADMINISTRATOR, Code.NOT_SIGNED_IN):
                self._checked.pop(session.id, None)
                return self._refuse(session, act, checked)
        return session if is_administrator else self._refuse(session, act, Finding(Code.NOT_ADMINISTRATOR))

    async def act(self, user: TeamsUser, act: Act, *, remembered: bool = False) -> Session | Finding:
        """The administrator who acts: asked of the PBX now. `remembered`: when there is no link to ask by, what it said
        last counts. That was this very installation: no session outlives a hand-over.
        """
        session = await self._candidate(user, act)
        if isinstance(session, Finding):
            return session
        checked = await self._check(session)
        if isinstance(checked, Session):
            return checked
        if remembered and checked.code is Code.LINK_DOWN and session.may_administer:
            return session
        return self._refuse(session, act, checked)

    async def _candidate(self, user: TeamsUser, act: Act) -> Session | Finding:
        """The session of somebody who may be an administrator, as far as their proof goes: an e-mail address does not."""
        session = await self._overview.session_of(user)
        if session is None:
            return Finding(Code.NOT_SIGNED_IN)
        if session.proof is Proof.EMAIL:
            needs_password = session.person.is_administrator
            code = Code.PASSWORD_NEEDED if needs_password else Code.NOT_ADMINISTRATOR
            return self._refuse(session, act, Finding(code))
        return session

    def _refuse(self, session: Session, act: Act, refusal: Finding) -> Finding:
        self._refusals.note_act(session, act, refusal)
        return refusal

    async def _check(self, session: Session) -> Session | Finding:
        """Asks the PBX whether the session's user is an administrator now."""
        params = IdParams(user_id=session.person.pbx_user_id)
        found = await self._ask(session.pbx_id, Method.USERS_BY_ID, params, PbxUsers)
        # While it was asked, the session may have ended: with a hand-over, what was answered is of no account.
        if await self._overview.holder(session.pbx_id, session.id) is None:
            return Finding(Code.NOT_SIGNED_IN)
        if isinstance(found, Finding):
            return found
        is_administrator = any(pbx_user.is_administrator for pbx_user in found.users)
        if is_administrator != session.person.is_administrator:
            await self._ledger.put_administrator(session.id, is_administrator=is_administrator)
            self._bus.publish(user_topic(*session.teams_user.key))
        return session if is_administrator else Finding(Code.NOT_ADMINISTRATOR)

    async def _ask(self, pbx_id: str, method: Method, params: WireModel, answer: type[M]) -> M | Finding:
        pbx = await self._registry.existing(pbx_id)
        try:
            return await self._hub.call(pbx, method, params, answer)
        except PbxRefusedError as refused:
            return refused.finding

    async def _seats(self, pbx_id: str) -> int:
        return sum(pool.seats for pool in await self._overview.pools(pbx_id))
