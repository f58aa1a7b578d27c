"""Asks a PBX about the users whose licence key has expired: an expired key ends sessions, but no calls, and who may have
a seat of another key can depend on PBX groups.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import Registry
from core.licensing.ledger import Ledger
from core.licensing.session import ExpiredFacts
from core.store.moments import now
from wire.link import MAX_USERS_AT_ONCE, IdsParams, Method, PbxUsers

logger = logging.getLogger(__name__)

ASKED_SECONDS: Final = 4.0
"""A PBX that is slow must not keep the others from being swept."""

CallsOver = Callable[[str, Sequence[int]], Awaitable[Collection[int]]]
"""Which of these users of a PBX have no call now; whoever is not known to have none is not among them."""


class Expiring:
    def __init__(self, ledger: Ledger, registry: Registry, hub: Hub, calls_over: CallsOver) -> None:
        self._ledger = ledger
        self._registry = registry
        self._hub = hub
        self._calls_over = calls_over

    async def facts(self, pbx_id: str) -> ExpiredFacts:
        """Nothing is asked as long as no key has expired there."""
        expired = await self._ledger.expired(pbx_id, now())
        if not expired.user_ids:
            return ExpiredFacts()
        groups: Mapping[int, Collection[int]] | None = {}
        if expired.groups_matter:
            groups = await self._groups_of(pbx_id, expired.user_ids)
        if groups is None:  # nobody ends who may have somewhere to go
            return ExpiredFacts()
        return ExpiredFacts(await self._calls_over(pbx_id, expired.user_ids), groups)

    async def _groups_of(self, pbx_id: str, user_ids: Sequence[int]) -> Mapping[int, Collection[int]] | None:
        """None when the PBX does not say."""
        pbx = await self._registry.existing(pbx_id)
        groups: dict[int, Collection[int]] = {}
        for begin in range(0, len(user_ids), MAX_USERS_AT_ONCE):
            params = IdsParams(user_ids=list(user_ids[begin : begin + MAX_USERS_AT_ONCE]))
            try:
                found = await self._hub.call(pbx, Method.USERS_BY_IDS, params, PbxUsers, ASKED_SECONDS)
            except PbxRefusedError as refused:
                logger.info("groups not known", extra={"pbx_id": pbx_id, "code": refused.finding.code})
                return None
            groups |= {user.user_id: user.group_ids for user in found.users}
        return groups
