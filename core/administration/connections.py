"""The connection page of a PBX's administrators: state of each part, history, hand-over."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from core.administration.guard import AdministratorGuard
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.diagnosis.lights import PartState, get_lights
from core.hub.bus import Bus, offers_topic
from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import LinkHistory, Pbx, Registry
from core.identity.teams_user import TeamsUser
from core.licensing.ledger import Ledger
from core.licensing.overview import Overview
from core.signin.refusals import AdministratorAct
from core.signin.signin import SignIn
from core.store.timestamps import now
from wire.link import Method, fingerprint
from wire.model import Empty
from wire.phone import NOTHING_KNOWN, Feature, Offer, PhoneCapabilities, PhoneMethod

logger = logging.getLogger(__name__)

HISTORY: Final = timedelta(days=7)
"""Period of the link history in a report."""


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    pbx: Pbx
    parts: Sequence[PartState]
    round_trip: timedelta | None
    """Round-trip time between this service and the connector, measured for this report; None without a link."""
    history: LinkHistory
    capabilities: Mapping[Feature, Offer] | None
    """What the PBX's telephone offers, as the connector sees it; None if it cannot be asked or is too old to know."""


class Connections:
    def __init__(
        self,
        registry: Registry,
        hub: Hub,
        ledger: Ledger,
        overview: Overview,
        guard: AdministratorGuard,
        sign_in: SignIn,
        bus: Bus,
    ) -> None:
        self._registry = registry
        self._hub = hub
        self._ledger = ledger
        self._overview = overview
        self._guard = guard
        self._sign_in = sign_in
        self._bus = bus

    async def report(self, user: TeamsUser) -> ConnectionReport:
        session = await self._guard.may_read(user, AdministratorAct.VIEW_CONNECTION)
        pbx = await self._registry.existing(session.pbx_id)
        pools = await self._overview.pools(pbx.id)
        parts = get_lights(
            pbx.facts,
            refused_keys=pbx.refused_keys,
            valid_until=[pool.valid_until for pool in pools],
            now=now(),
        )
        history = await self._registry.history(pbx.id, now() - HISTORY)
        return ConnectionReport(
            pbx=pbx,
            parts=parts,
            round_trip=await self._round_trip(pbx),
            history=history,
            capabilities=await self._capabilities(pbx),
        )

    async def hand_over(self, user: TeamsUser, identity: str) -> None:
        """Bind the PBX name to another installation that has tried to connect with it. `identity` is its fingerprint.

        This ends every session of the PBX, including the administrator's own. If the PBX can be asked for the
        administrator permission, it is; without a link, which is the usual reason for a hand-over, the last answer of the
        present installation counts. Refuses with `claim-gone` if no such attempt is stored.
        """
        session = await self._guard.may_act(user, AdministratorAct.HAND_OVER, remembered=True)
        claims = await self._registry.refused_claims(session.pbx_id)
        claim = next((one for one in claims if fingerprint(one.identity) == identity), None)
        handed = None
        if claim is not None:
            handed = await self._ledger.hand_over(
                pbx_id=session.pbx_id,
                identity=claim.identity,
                actor=session.actor,
                now=now(),
                installation=session.installation,
            )
        if handed is None:
            raise RefusedError(Finding(Code.CLAIM_GONE))
        logger.warning(
            "PBX name handed over",
            extra={"pbx_id": session.pbx_id, "identity": identity, "ended": len(handed.ended)},
        )
        self._bus.publish(f"handed-over:{session.pbx_id}:{handed.epoch}")
        self._sign_in.announce(session.pbx_id, *handed.ended)
        self._bus.publish(*map(offers_topic, handed.tenants))

    async def _round_trip(self, pbx: Pbx) -> timedelta | None:
        # The event loop's clock has a resolution of milliseconds and may not advance within one iteration.
        begun = time.perf_counter()
        try:
            await self._hub.call(pbx=pbx, method=Method.PING, params=Empty(), answer=Empty)
        except PbxRefusedError:
            return None
        return timedelta(seconds=time.perf_counter() - begun)

    async def _capabilities(self, pbx: Pbx) -> Mapping[Feature, Offer] | None:
        if not (pbx.is_linked and pbx.reports_phone_capabilities):
            return None
        method, answer = PhoneMethod.CAPABILITIES, PhoneCapabilities
        try:
            found = await self._hub.call(pbx=pbx, method=method, params=Empty(), answer=answer)
        except PbxRefusedError:
            return None
        return {**NOTHING_KNOWN, **found.capabilities}
