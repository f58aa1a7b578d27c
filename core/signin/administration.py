"""What an administrator of a PBX sees and does. The permission is asked of the PBX, not remembered."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.bus import Bus, pbx_topic
from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import Registry
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import PLAIN, Entry, TenantTrust, Trust
from core.licensing.advice import Advice, advise, period_start
from core.licensing.ledger import Ledger
from core.licensing.overview import HoldersPage, HoldersQuery, Overview
from core.licensing.policy import Policy
from core.licensing.rules import Pool
from core.licensing.session import EndCause, Ending, Session
from core.licensing.usage import Bucket, Span, UsageReader, usage
from core.signin.signin import Connection, SignIn
from core.store.moments import now
from wire.link import MAX_USERS_AT_ONCE, IdParams, Method, PbxUsers, People, PeopleParams
from wire.model import WireModel

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=WireModel)

READ_RECHECK_SECONDS: Final = 30.0
"""A view that updates itself asks the PBX again no more often than this; every act asks anew."""

MAX_AUDIT_ROWS: Final = 50_000
"""In one export: about ten megabytes."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    rows: Sequence[tuple[object, ...]]
    """(moment, kind, actor, subject, detail as JSON)."""
    complete: bool
    """False: there are older ones in that time."""


@dataclass(frozen=True, slots=True)
class LicenceView:
    page: HoldersPage
    pools: Sequence[Pool]
    connection: Connection
    trust: Trust | None
    """What this PBX has decided about the administrator's own organisation."""
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
    ) -> None:
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
        session = await self.reader(user)
        if isinstance(session, Finding):
            return session
        primary = await self._trust.primary_of(user.tenant_id)
        return LicenceView(
            page=await self._overview.holders(session.pbx_id, query),
            pools=await self._overview.pools(session.pbx_id),
            connection=await self._sign_in.connection(session.pbx_id),
            trust=await self._trust.of(session.pbx_id, user.tenant_id),
            primary_name=primary[1] if primary is not None else None,
            waiting=await self._overview.waiting_count(session.pbx_id),
        )

    async def holder(self, user: TeamsUser, session_id: str) -> Session | Finding:
        """One session of this PBX; `session-gone` when it has ended."""
        reader = await self.reader(user)
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
        administrator = await self.act(user)
        if isinstance(administrator, Finding):
            return administrator
        ending = Ending(EndCause.REVOKED, user.name or administrator.person.display_name, reason, now())
        ended = await self._ledger.end_sessions(administrator.pbx_id, session_ids, ending)
        if not ended:
            return Finding(Code.SESSION_GONE)
        logger.info("sessions revoked", extra={"pbx_id": administrator.pbx_id, "count": len(ended)})
        self._sign_in.announce(administrator.pbx_id, *ended)
        return ended

    async def set_trust(
        self, user: TeamsUser, *, trusted: bool, entry: Entry | None, primary: bool | None
    ) -> Finding | None:
        """Trusts the administrator's own Microsoft tenant, or no longer: sign-in by e-mail. What is None stays as it
        is.
        """
        administrator = await self.act(user)
        if isinstance(administrator, Finding):
            return administrator
        before = await self._trust.of(administrator.pbx_id, user.tenant_id) or PLAIN
        wanted = Trust(
            before.entry if entry is None else entry, before.is_primary if primary is None else primary
        )
        refusal = await self._trust.put(
            administrator.pbx_id,
            user.tenant_id,
            wanted if trusted else None,
            actor=user.name or administrator.person.display_name,
            at=now(),
        )
        if refusal is None:
            self._bus.publish(pbx_topic(administrator.pbx_id))
        return refusal

    async def all_holders(self, user: TeamsUser) -> Sequence[Session] | Finding:
        session = await self.reader(user)
        if isinstance(session, Finding):
            return session
        return await self._overview.all_holders(session.pbx_id)

    async def usage(self, user: TeamsUser, span: Span) -> UsageView | Finding:
        session = await self.reader(user)
        if isinstance(session, Finding):
            return session
        at = now()
        count, length = span.buckets
        holdings = await self._usage.holdings(session.pbx_id, at - count * length)
        denials = await self._usage.denials(session.pbx_id, at - count * length)
        buckets = await asyncio.to_thread(usage, holdings, denials, span, at)
        return UsageView(buckets, seats=await self._seats(session.pbx_id))

    async def advice(self, user: TeamsUser) -> Advice | Finding:
        session = await self.reader(user)
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

    async def audit(self, user: TeamsUser, since: datetime, until: datetime) -> AuditPage | Finding:
        """What happened from `since` until before `until`, newest first, at most `MAX_AUDIT_ROWS`."""
        session = await self.reader(user)
        if isinstance(session, Finding):
            return session
        rows = await self._usage.audit_rows(session.pbx_id, since, until, MAX_AUDIT_ROWS + 1)
        return AuditPage(rows[:MAX_AUDIT_ROWS], complete=len(rows) <= MAX_AUDIT_ROWS)

    async def people(self, user: TeamsUser, search: str) -> People | Finding:
        """PBX users and groups for a policy: those that the search finds, and those that policies name already."""
        session = await self.reader(user)
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
        administrator = await self.act(user)
        if isinstance(administrator, Finding):
            return administrator
        actor = user.name or administrator.person.display_name
        refusal = await self._ledger.put_policy(administrator.pbx_id, pool_id, policy, actor, now())
        if refusal is None:
            self._sign_in.announce(administrator.pbx_id)
        return refusal

    async def reader(self, user: TeamsUser) -> Session | Finding:
        """The administrator who reads: asked again now and then, because a view reads often."""
        session = await self._overview.session_of(user)
        if session is None:
            return Finding(Code.NOT_SIGNED_IN)
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
            elif checked.code is Code.NOT_ADMINISTRATOR:
                self._checked.pop(session.id, None)
                is_administrator = False
        return session if is_administrator else Finding(Code.NOT_ADMINISTRATOR)

    async def act(self, user: TeamsUser, *, remembered: bool = False) -> Session | Finding:
        """The administrator who acts: asked of the PBX now. `remembered`: when there is no link to ask by, what it said
        last counts.
        """
        session = await self._overview.session_of(user)
        if session is None:
            return Finding(Code.NOT_SIGNED_IN)
        checked = await self._check(session)
        nobody_to_ask = isinstance(checked, Finding) and checked.code is Code.LINK_DOWN
        return session if remembered and nobody_to_ask and session.person.is_administrator else checked

    async def _check(self, session: Session) -> Session | Finding:
        """Asks the PBX whether the session's user is an administrator now."""
        params = IdParams(user_id=session.person.pbx_user_id)
        found = await self._ask(session.pbx_id, Method.USERS_BY_ID, params, PbxUsers)
        if isinstance(found, Finding):
            return found
        is_administrator = any(pbx_user.is_administrator for pbx_user in found.users)
        if is_administrator != session.person.is_administrator:
            await self._ledger.put_administrator(session.id, is_administrator=is_administrator)
        return session if is_administrator else Finding(Code.NOT_ADMINISTRATOR)

    async def _ask(self, pbx_id: str, method: Method, params: WireModel, answer: type[M]) -> M | Finding:
        pbx = await self._registry.existing(pbx_id)
        try:
            return await self._hub.call(pbx, method, params, answer)
        except PbxRefusedError as refused:
            return refused.finding

    async def _seats(self, pbx_id: str) -> int:
        return sum(pool.seats for pool in await self._overview.pools(pbx_id))
