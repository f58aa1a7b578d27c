"""Asks a PBX about the users whose licence key has expired, or whose session is too old: that ends sessions, but no calls, and who may have
a seat of another key can depend on PBX groups.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import Registry
from core.licensing.ledger import Ledger
from core.licensing.session import NO_CALL_FACTS, CallFacts
from core.licensing.transactions.ageing import SessionAge
from core.store.timestamps import now
from wire.link import Method, PbxUsers

logger = logging.getLogger(__name__)

ASKED_SECONDS: Final = 4.0
"""A PBX that is slow must not keep the others from being swept."""

CallsOver = Callable[[str, Sequence[int], float], Awaitable[Collection[int]]]
"""Which of these users of a PBX have no call now, as far as it answers within so many seconds; anyone who is not known to
have none is not among them.
"""


class Expiring:
    def __init__(
        self,
        ledger: Ledger,
        registry: Registry,
        hub: Hub,
        calls_over: CallsOver,
        age: SessionAge | None = None,
    ) -> None:
        self._age = age
        self._ledger = ledger
        self._registry = registry
        self._hub = hub
        self._calls_over = calls_over

    async def facts(self, pbx_id: str) -> CallFacts:
        """Nothing is asked as long as no key has expired there, and no session is too old."""
        expired = await self._ledger.expired(pbx_id, now(), self._age)
        if not expired.user_ids:
            return NO_CALL_FACTS
        groups: Mapping[int, Collection[int]] | None = {}
        if expired.groups_matter:
            groups = await self._groups_of(pbx_id, expired.user_ids)
        if groups is None:  # nobody ends who may have somewhere to go
            return NO_CALL_FACTS
        return CallFacts(await self._calls_over(pbx_id, expired.user_ids, ASKED_SECONDS), groups)

    async def _groups_of(self, pbx_id: str, user_ids: Sequence[int]) -> Mapping[int, Collection[int]] | None:
        """None when the PBX does not say."""
        pbx = await self._registry.existing(pbx_id)
        answers = self._hub.about_users(
            pbx=pbx, method=Method.USERS_BY_IDS, user_ids=user_ids, answer=PbxUsers, seconds=ASKED_SECONDS
        )
        try:
            return {user.user_id: user.group_ids async for _, found in answers for user in found.users}
        except PbxRefusedError as refused:
            logger.info("groups not known", extra={"pbx_id": pbx_id, "code": refused.finding.code})
            return None
