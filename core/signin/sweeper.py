"""Does what time brings: offers pass on, the idle are released, keys expire, old audit rows and what was known of
devices go.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from typing import Final

from core.hub.registry import Registry
from core.licensing.ledger import Ledger
from core.signin.signin import SignIn
from core.store.audio import AudioStore
from core.store.moments import now

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 5.0
FORGET_EVERY: Final = timedelta(hours=1)
LINKS_KEPT: Final = timedelta(days=30)
"""The history of links: when they opened, ended, and why."""


CallsOver = Callable[[str, Sequence[int]], Awaitable[Collection[int]]]
"""Which of these users of a PBX have no call now; whoever is not known to have none is not among them."""


class Sweeper:
    """Every replica may run one: a sweep has the pools of its PBX to itself, and a second finds nothing left."""

    def __init__(
        self,
        ledger: Ledger,
        sign_in: SignIn,
        audio: AudioStore,
        registry: Registry,
        calls_over: CallsOver,
        audit_days: int,
    ) -> None:
        self._calls_over = calls_over
        self._registry = registry
        self._ledger = ledger
        self._sign_in = sign_in
        self._audio = audio
        self._audit_kept = timedelta(days=audit_days)

    async def run(self) -> None:
        forgotten = now() - FORGET_EVERY
        while True:
            try:
                await self.sweep()
                if now() - forgotten >= FORGET_EVERY:
                    await self._ledger.forget_audit(now() - self._audit_kept)
                    await self._audio.forget_old(now())
                    await self._registry.forget_old(now() - LINKS_KEPT)
                    forgotten = now()
            except Exception:
                logger.exception("not swept; tried again soon")
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        due = await self._ledger.due(now())
        without_call = await asyncio.gather(*(self._without_call(pbx_id) for pbx_id in due))
        for pbx_id, user_ids in zip(due, without_call, strict=True):
            swept = await self._ledger.sweep(pbx_id, now(), user_ids)
            if swept:
                logger.info(
                    "swept",
                    extra={"pbx_id": pbx_id, "sessions": len(swept.sessions), "line_moved": swept.line_moved},
                )
                self._sign_in.announce(pbx_id, *swept.sessions)

    async def _without_call(self, pbx_id: str) -> Collection[int]:
        """Of those whose key has expired: an expired key ends sessions, but no calls."""
        holders = await self._ledger.expired_holders(pbx_id, now())
        return await self._calls_over(pbx_id, holders) if holders else ()
