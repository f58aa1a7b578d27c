"""What an administrator of a PBX sees and does. The permission is asked of the PBX, not remembered."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import Registry
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import TenantTrust
from core.licensing.ledger import EndCause, Ending, Ledger, Session
from core.licensing.overview import Overview
from core.licensing.rules import Pool
from core.signin.bus import Bus, pbx_topic
from core.signin.signin import Connection, SignIn
from core.store.moments import now
from wire.link import IdParams, Method, PbxUsers

logger = logging.getLogger(__name__)

READ_RECHECK_SECONDS: Final = 30.0
"""A view that updates itself asks the PBX again no more often than this; every act asks anew."""


@dataclass(frozen=True, slots=True)
class LicenceView:
    sessions: Sequence[Session]
    pools: Sequence[Pool]
    connection: Connection
    tenant_trusted: bool


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
    ) -> None:
        self._registry = registry
        self._hub = hub
        self._trust = trust
        self._ledger = ledger
        self._overview = overview
        self._sign_in = sign_in
        self._bus = bus
        self._checked: dict[str, float] = {}

    async def view(self, user: TeamsUser) -> LicenceView | Finding:
        """The licence view. While the PBX cannot be asked, what it said last counts: reading harms nobody."""
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
        if not is_administrator:
            return Finding(Code.NOT_ADMINISTRATOR)
        return LicenceView(
            sessions=await self._overview.sessions(session.pbx_id),
            pools=await self._overview.pools(session.pbx_id),
            connection=await self._sign_in.connection(session.pbx_id),
            tenant_trusted=await self._trust.is_trusted(session.pbx_id, user.tenant_id),
        )

    async def revoke(
        self, user: TeamsUser, session_ids: Sequence[str], reason: str
    ) -> Sequence[Session] | Finding:
        """Ends sessions of this PBX and frees their seats. Those that ended already are passed over; when none
        is left, the administrator is told so.
        """
        administrator = await self._administrator(user)
        if isinstance(administrator, Finding):
            return administrator
        ending = Ending(EndCause.REVOKED, user.name or administrator.person.display_name, reason, now())
        ended = await self._ledger.end_sessions(administrator.pbx_id, session_ids, ending)
        if not ended:
            return Finding(Code.SESSION_GONE)
        logger.info("sessions revoked", extra={"pbx_id": administrator.pbx_id, "count": len(ended)})
        self._sign_in.announce(administrator.pbx_id, *ended)
        return ended

    async def set_trust(self, user: TeamsUser, *, trusted: bool) -> Finding | None:
        """Trusts the administrator's own Microsoft tenant, or no longer: sign-in by e-mail."""
        administrator = await self._administrator(user)
        if isinstance(administrator, Finding):
            return administrator
        actor = user.name or administrator.person.display_name
        await self._trust.set_trusted(
            administrator.pbx_id, user.tenant_id, trusted=trusted, actor=actor, at=now()
        )
        self._bus.publish(pbx_topic(administrator.pbx_id))
        return None

    async def _administrator(self, user: TeamsUser) -> Session | Finding:
        session = await self._overview.session_of(user)
        return Finding(Code.NOT_SIGNED_IN) if session is None else await self._check(session)

    async def _check(self, session: Session) -> Session | Finding:
        """Asks the PBX whether the session's user is an administrator now."""
        pbx = await self._registry.by_id(session.pbx_id)
        name = pbx.name if pbx else ""
        params = IdParams(user_id=session.person.pbx_user_id)
        try:
            found = await self._hub.call(session.pbx_id, name, Method.USERS_BY_ID, params, PbxUsers)
        except PbxRefusedError as refused:
            return refused.finding
        is_administrator = any(pbx_user.is_administrator for pbx_user in found.users)
        if is_administrator != session.person.is_administrator:
            await self._ledger.put_administrator(session.id, is_administrator=is_administrator)
        return session if is_administrator else Finding(Code.NOT_ADMINISTRATOR)
