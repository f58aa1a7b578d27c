"""Does what time brings: offers pass on, the idle are released, keys expire, old audit rows and what was known of
devices go.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from core.hub.registry import Registry
from core.licensing.ledger import Ledger
from core.signin.expiring import Expiring
from core.signin.signin import SignIn
from core.store.audio import AudioStore
from core.store.moments import now

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 5.0
FORGET_EVERY: Final = timedelta(hours=1)
LINKS_KEPT: Final = timedelta(days=30)
"""The history of links: when they opened, ended, and why."""


class Sweeper:
    """Every replica may run one: a sweep has the pools of its PBX to itself, and a second finds nothing left."""

    def __init__(
        self,
        ledger: Ledger,
        sign_in: SignIn,
        audio: AudioStore,
        registry: Registry,
        expiring: Expiring,
        audit_days: int,
    ) -> None:
        self._expiring = expiring
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
        facts = await asyncio.gather(*(self._expiring.facts(pbx_id) for pbx_id in due))
        for pbx_id, known in zip(due, facts, strict=True):
            swept = await self._ledger.sweep(pbx_id, now(), known)
            if swept:
                logger.info(
                    "swept",
                    extra={"pbx_id": pbx_id, "sessions": len(swept.sessions), "line_moved": swept.line_moved},
                )
                self._sign_in.announce(pbx_id, *swept.sessions)
