"""Asks a PBX about users whose licence key has expired or whose session is too old.

Such a session ends, but not during a call, so the PBX is asked who has a call. It is asked for the users' groups too,
because they can decide who gets a seat of another licence key.
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
"""Time-out of these questions, so that a slow PBX does not delay the sweep of the others."""

CallsOver = Callable[[str, Sequence[int], float], Awaitable[Collection[int]]]
"""Called with PBX id, user ids and a time-out in seconds. Returns the users who are known to have no call now; users
about whom the PBX does not answer in time are not among them.
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
        """Return what the sweep needs to know about calls and groups.

        The PBX is asked only if a licence key has expired there or a session is too old.
        """
        expired = await self._ledger.list_expired_holders(pbx_id, now(), self._age)
        if not expired.user_ids:
            return NO_CALL_FACTS
        groups: Mapping[int, Collection[int]] | None = {}
        if expired.groups_matter:
            groups = await self._groups_of(pbx_id, expired.user_ids)
        if groups is None:  # the groups may entitle a user to another seat, so no session ends without them
            return NO_CALL_FACTS
        return CallFacts(await self._calls_over(pbx_id, expired.user_ids, ASKED_SECONDS), groups)

    async def _groups_of(self, pbx_id: str, user_ids: Sequence[int]) -> Mapping[int, Collection[int]] | None:
        """Return the group ids of each user, or None if the PBX does not answer."""
        pbx = await self._registry.existing(pbx_id)
        answers = self._hub.call_for_users(
            pbx=pbx, method=Method.USERS_BY_IDS, user_ids=user_ids, answer=PbxUsers, seconds=ASKED_SECONDS
        )
        try:
            return {user.user_id: user.group_ids async for _, found in answers for user in found.users}
        except PbxRefusedError as refused:
            logger.info("groups not known", extra={"pbx_id": pbx_id, "code": refused.finding.code})
            return None
