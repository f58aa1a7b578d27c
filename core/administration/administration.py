"""What an administrator of a PBX may see and do. `AdministratorGuard` checks the permission.

Methods raise `RefusedError` when the act is refused.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from core.administration.guard import AdministratorGuard
from core.audit.reading import NO_FILTER, AuditEntry, AuditFilter, AuditPosition, AuditReader
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.hub.bus import Bus, holders_topic, offers_topic
from core.hub.registry import Registry
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import Entry, TenantTrust, Trust, TrustedTenant
from core.licensing.advice import Advice, Constant, advise, find_constant, get_history_start
from core.licensing.ledger import Ledger
from core.licensing.overview import HoldersPage, HoldersQuery, Overview
from core.licensing.policy import Policy
from core.licensing.rules import Pool
from core.licensing.seat_history import SeatHistory
from core.licensing.session import EndCause, Ending, Session
from core.licensing.transactions.trusting import TrustChange
from core.licensing.usage import Bucket, Span, usage
from core.signin.refusals import AdministratorAct
from core.signin.signin import Connection, SignIn
from core.store.audit import AuditKind
from core.store.kept import Kept
from core.store.timestamps import now
from wire.link import MAX_USERS_AT_ONCE, FindPeopleParams, Method, People

logger = logging.getLogger(__name__)

MAX_AUDIT_COUNTED: Final = 10_000
"""A page of the audit counts its entries up to this number."""
MAX_SELECTED: Final = 10_000
"""How many holders can be selected at once."""
MAX_AUDIT_ROWS: Final = 50_000
"""Number of rows in one export (about ten megabytes)."""


@dataclass(frozen=True, slots=True)
class AuditExport:
    pages: AsyncIterator[Sequence[AuditEntry]]
    """Newest first; each page is read when it is consumed."""
    complete: bool
    """False if older entries of the period are left out."""
    home_tenants: frozenset[str]
    """Members of other tenants are shown as people of another organisation."""


@dataclass(frozen=True, slots=True)
class AuditView:
    entries: Sequence[AuditEntry]
    """Newest first."""
    found: int
    """Number of entries of the period that the filter lets through, counted up to `MAX_AUDIT_COUNTED`."""
    has_more: bool
    """Whether there are older entries than those returned."""
    home_tenants: frozenset[str]


@dataclass(frozen=True, slots=True)
class LicenceView:
    page: HoldersPage
    pools: Sequence[Pool]
    connection: Connection
    trust: Trust | None
    """This PBX's trust in the administrator's own organisation."""
    may_trust: bool
    """Whether the administrator is a member, not a guest, of that organisation."""
    may_offer: bool
    """Whether the administrator may let that organisation's members sign in without a key: they have a directory role
    for the tenant, or the operator has approved this PBX for it.
    """
    tenants: Sequence[TrustedTenant]
    """All tenants that this PBX trusts."""
    primary_name: str | None
    """Name of that organisation's main PBX."""
    waiting: int
    """Number of people who wait for a seat."""
    user_licences: int
    """How many are signed in with a licence of their own."""
    session_days: int
    """The maximum age of a session in days; 0: none."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """The part of a licence view that is counted over all holders and seats of a PBX."""

    page: HoldersPage
    pools: Sequence[Pool]
    tenants: Sequence[TrustedTenant]
    waiting: int
    user_licences: int


@dataclass(frozen=True, slots=True)
class UsageView:
    buckets: Sequence[Bucket]
    seats: int
    """Total seats of the present pools."""


class Administration:
    def __init__(
        self,
        guard: AdministratorGuard,
        registry: Registry,
        trust: TenantTrust,
        ledger: Ledger,
        overview: Overview,
        sign_in: SignIn,
        bus: Bus,
        history: SeatHistory,
        audit_reader: AuditReader,
        counted: Kept[_Counted],
        session_days: int,
    ) -> None:
        """`session_days`: the maximum age of a session; 0: none."""
        self._session_days = session_days
        self._counted = counted
        self._guard = guard
        self._audit = audit_reader
        self._history = history
        self._registry = registry
        self._trust = trust
        self._ledger = ledger
        self._overview = overview
        self._sign_in = sign_in
        self._bus = bus

    async def view(self, user: TeamsUser, query: HoldersQuery) -> LicenceView:
        """Return the licence view. If the PBX cannot be asked for the permission, its last answer counts for reading."""
        session = await self._guard.may_read(user, AdministratorAct.VIEW_LICENCES)
        primary = await self._trust.primary_of(user.tenant_id)
        # Many look at the same page while nothing changes; after a change it is counted once for all of them.
        counted = await self._counted.get(
            (session.pbx_id, query), partial(self._count, session.pbx_id, query)
        )
        return LicenceView(
            page=counted.page,
            pools=counted.pools,
            connection=await self._sign_in.connection(session.pbx_id),
            trust=await self._trust.get(session.pbx_id, user.tenant_id),
            may_trust=not user.is_guest,
            may_offer=user.speaks_for_tenant
            or (not user.is_guest and user.tenant_id in await self._trust.approved_for(session.pbx_id)),
            tenants=counted.tenants,
            primary_name=primary[1] if primary is not None else None,
            waiting=counted.waiting,
            user_licences=counted.user_licences,
            session_days=self._session_days,
        )

    async def _count(self, pbx_id: str, query: HoldersQuery) -> _Counted:
        page, pools, tenants, waiting, user_licences = await asyncio.gather(
            self._overview.holders(pbx_id, query),
            self._overview.pools(pbx_id),
            self._trust.trusted_tenants(pbx_id),
            self._overview.waiting_count(pbx_id),
            self._overview.ual_count(pbx_id),
        )
        return _Counted(page=page, pools=pools, tenants=tenants, waiting=waiting, user_licences=user_licences)

    async def select(self, user: TeamsUser, query: HoldersQuery) -> HoldersPage:
        """Return everybody that the query finds, on all pages, up to `MAX_SELECTED`."""
        reader = await self._guard.may_read(user, AdministratorAct.VIEW_LICENCES)
        return await self._overview.holders(reader.pbx_id, replace(query, offset=0, limit=MAX_SELECTED))

    async def holder(self, user: TeamsUser, session_id: str) -> Session:
        """Return one session of this PBX. Refuses with `session-gone` if it has ended."""
        reader = await self._guard.may_read(user, AdministratorAct.VIEW_LICENCES)
        session = await self._overview.holder(reader.pbx_id, session_id)
        if session is None:
            raise RefusedError(Finding(Code.SESSION_GONE))
        return session

    async def revoke(self, user: TeamsUser, session_ids: Sequence[str], reason: str) -> Sequence[Session]:
        """End sessions of this PBX and free their seats. Return the ended ones. Refuses with `session-gone` if all had ended."""
        administrator = await self._guard.may_act(user, AdministratorAct.REVOKE)
        ending = Ending(cause=EndCause.REVOKED, actor=administrator.actor, reason=reason, now=now())
        ended = await self._ledger.end_sessions(administrator.pbx_id, session_ids, ending)
        if not ended:
            raise RefusedError(Finding(Code.SESSION_GONE))
        logger.info("sessions revoked", extra={"pbx_id": administrator.pbx_id, "count": len(ended)})
        self._sign_in.announce(administrator.pbx_id, *ended)
        return ended

    async def set_trust(
        self, user: TeamsUser, *, trusted: bool, entry: Entry | None, primary: bool | None
    ) -> None:
        """Trust the administrator's own Microsoft tenant (sign-in by e-mail), or withdraw the trust.

        Arguments that are None change nothing. An administrator of the PBX may trust a tenant as long as its members need
        the PBX key too. Sign-in without the key concerns the whole tenant, so it needs a directory role of that tenant (or
        the operator's approval). A guest of the tenant may do neither.
        """
        return await self._change_trust(user, user.tenant_id, trusted=trusted, entry=entry, primary=primary)

    async def remove_trust(self, user: TeamsUser, tenant_id: str) -> None:
        """Withdraw the trust in this tenant, whichever administrator granted it. Idempotent."""
        return await self._change_trust(user, tenant_id, trusted=False, entry=None, primary=None)

    async def trusted_tenants(self, user: TeamsUser) -> Sequence[TrustedTenant]:
        session = await self._guard.may_read(user, AdministratorAct.CHANGE_TRUST)
        return await self._trust.trusted_tenants(session.pbx_id)

    async def _change_trust(
        self, user: TeamsUser, tenant_id: str, *, trusted: bool, entry: Entry | None, primary: bool | None
    ) -> None:
        administrator = await self._guard.may_act(user, AdministratorAct.CHANGE_TRUST)
        if trusted and user.is_guest:
            raise self._guard.refuse(administrator, AdministratorAct.CHANGE_TRUST, Finding(Code.GUEST))
        change = TrustChange(
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
        try:
            changed = await self._ledger.change_trust(change)
        except RefusedError as refused:
            act = AdministratorAct.CHANGE_TRUST
            raise self._guard.refuse(administrator, act, refused.finding) from refused
        if changed.ended:
            logger.info(
                "sessions ended with trust",
                extra={"pbx_id": administrator.pbx_id, "tenant": tenant_id, "count": len(changed.ended)},
            )
        self._sign_in.announce(administrator.pbx_id, *changed.ended)
        self._bus.publish(offers_topic(tenant_id))
        if changed.overruled is not None:
            self._bus.publish(holders_topic(changed.overruled))

    async def export_holders(self, user: TeamsUser, file_format: str) -> Sequence[Session]:
        session = await self._guard.may_act(user, AdministratorAct.EXPORT_LICENCES, remembered=True)
        holders = await self._overview.all_holders(session.pbx_id)
        detail = {"format": file_format, "rows": len(holders)}
        await self._guard.note(session, AuditKind.HOLDERS_EXPORTED, detail)
        return holders

    async def usage(self, user: TeamsUser, span: Span) -> UsageView:
        session = await self._guard.may_read(user, AdministratorAct.VIEW_LICENCES)
        at = now()
        days = await self._history.days(session.pbx_id, span.start(at), at)
        denials = await self._history.denials(session.pbx_id, span.start(at), at)
        return UsageView(usage(days, denials, span, at), seats=await self._seats(session.pbx_id))

    async def advice(self, user: TeamsUser) -> Advice:
        session = await self._guard.may_read(user, AdministratorAct.VIEW_LICENCES)
        at = now()
        pbx = await self._registry.by_id(session.pbx_id)
        history_from = pbx.claimed_at if pbx is not None else at
        since = get_history_start(history_from, at)
        days = await self._history.days(session.pbx_id, since, at, with_steps=True)
        long_days = await asyncio.to_thread(find_constant, days, history_from, at)
        names = await self._history.names(session.pbx_id, long_days, since, at)
        constant = {
            user_id: Constant(names[user_id].name, names[user_id].login, count)
            for user_id, count in long_days.items()
        }
        return await asyncio.to_thread(
            advise,
            days,
            constant,
            uals=await self._overview.ual_count(session.pbx_id),
            seats=await self._seats(session.pbx_id),
            history_from=history_from,
            now=at,
        )

    async def audit(
        self,
        user: TeamsUser,
        since: datetime,
        until: datetime,
        wanted: AuditFilter,
        before: AuditPosition | None,
        limit: int,
    ) -> AuditView:
        """Return one page of the audit from `since` (inclusive) to `until` (exclusive): entries older than `before`."""
        session = await self._guard.may_read(user, AdministratorAct.VIEW_AUDIT)
        span = await self._audit.span(
            pbx_id=session.pbx_id, since=since, until=until, count_to=MAX_AUDIT_COUNTED, wanted=wanted
        )
        entries = await self._audit.page(span, before, limit + 1)
        return AuditView(
            entries=entries[:limit],
            found=span.count,
            has_more=len(entries) > limit,
            home_tenants=await self._home_tenants(session.pbx_id, user),
        )

    async def export_audit(
        self,
        user: TeamsUser,
        since: datetime,
        until: datetime,
        file_format: str,
        wanted: AuditFilter = NO_FILTER,
    ) -> AuditExport:
        """Export the audit from `since` (inclusive) to `until` (exclusive), newest first, at most `MAX_AUDIT_ROWS`.

        The export itself is audited before it starts; that row is not part of it.
        """
        session = await self._guard.may_act(user, AdministratorAct.EXPORT_AUDIT, remembered=True)
        span = await self._audit.span(
            pbx_id=session.pbx_id, since=since, until=until, count_to=MAX_AUDIT_ROWS + 1, wanted=wanted
        )
        detail: dict[str, object] = {
            "format": file_format,
            "since": since.date().isoformat(),
            "until": (until - timedelta(days=1)).date().isoformat(),
            "rows": min(span.count, MAX_AUDIT_ROWS),
        }
        if not wanted.is_empty:
            detail |= {"group": wanted.group or "", "search": wanted.search}
        await self._guard.note(session, AuditKind.AUDIT_EXPORTED, detail)
        return AuditExport(
            pages=self._audit.pages(span, MAX_AUDIT_ROWS),
            complete=span.count <= MAX_AUDIT_ROWS,
            home_tenants=await self._home_tenants(session.pbx_id, user),
        )

    async def _home_tenants(self, pbx_id: str, user: TeamsUser) -> frozenset[str]:
        return frozenset(await self._trust.tenants_of(pbx_id) or [user.tenant_id])

    async def people(self, user: TeamsUser, search: str) -> People:
        """Return PBX users and groups for the policy editor: search results, and those that policies already name.

        The permission is checked at the PBX each time, because the list also has people who do not use this service.
        """
        session = await self._guard.may_act(user, AdministratorAct.CHANGE_RULES)
        named: set[int] = set()
        for pool in await self._overview.pools(session.pbx_id):
            policy = pool.policy
            for one in (*(reservation.people for reservation in policy.reservations), policy.admitted):
                named.update(one.user_ids if one is not None else ())
        params = FindPeopleParams(search=search, user_ids=sorted(named)[:MAX_USERS_AT_ONCE])
        return await self._guard.ask(
            pbx_id=session.pbx_id, method=Method.PEOPLE, params=params, answer=People
        )

    async def set_policy(self, user: TeamsUser, pool_id: str, policy: Policy) -> None:
        administrator = await self._guard.may_act(user, AdministratorAct.CHANGE_RULES)
        await self._ledger.put_policy(
            pbx_id=administrator.pbx_id,
            pool_id=pool_id,
            policy=policy,
            actor=administrator.actor,
            now=now(),
            installation=administrator.installation,
        )
        self._sign_in.announce(administrator.pbx_id)

    async def _seats(self, pbx_id: str) -> int:
        return sum(pool.seats for pool in await self._overview.pools(pbx_id))
