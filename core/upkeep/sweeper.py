"""Time-driven clean-up of all PBXs.

It expires offers, releases idle seats, ends sessions of expired licence keys and sessions that are too old, and deletes
old audit rows, audio data and link history.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

from core.background import Setbacks
from core.hub.registry import Registry
from core.licensing.ledger import Ledger
from core.licensing.session import CallFacts
from core.licensing.transactions.ageing import SessionAge
from core.signin.signin import SignIn
from core.store.audio import AudioStore
from core.store.audit import forget_audit
from core.store.clock_watch import ClockWatch
from core.store.database import Database
from core.store.timestamps import now
from core.upkeep.expiring import Expiring

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 5.0
FORGET_SECONDS: Final = 3600.0
LINKS_KEPT: Final = timedelta(days=30)
"""Retention of the link history (when links opened and ended, and why)."""


class Sweeper:
    """Each replica may run one: a sweep locks the pools of its PBX, and a second sweep finds nothing to do."""

    def __init__(
        self,
        ledger: Ledger,
        sign_in: SignIn,
        database: Database,
        audio: AudioStore,
        registry: Registry,
        expiring: Expiring,
        clock: ClockWatch,
        audit_days: int,
        age: SessionAge | None = None,
    ) -> None:
        self._age = age
        self._expiring = expiring
        self._registry = registry
        self._ledger = ledger
        self._sign_in = sign_in
        self._database = database
        self._audio = audio
        self._clock = clock
        self._audit_kept = timedelta(days=audit_days)
        self._setbacks = Setbacks(first_pause=SWEEP_SECONDS)

    async def run(self) -> None:
        """Sweep until cancelled. Nothing is swept while the clock is not trusted, because deletions cannot be undone."""
        clock = asyncio.get_running_loop().time
        forget_at = clock()
        is_prepared = False
        while True:
            is_prepared = is_prepared or await self._try("ages", self._forget_ends)
            if is_prepared:
                await self._try("sweep", self.sweep)
            if clock() >= forget_at and await self._try("retention", self.forget_old):
                forget_at = clock() + FORGET_SECONDS
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        at = self._clock.trusted_now()
        if at is None:
            return
        due = [
            pbx_id
            for pbx_id in await self._ledger.list_pbxs_to_sweep(at, self._age)
            if not self._setbacks.is_resting(pbx_id)
        ]
        facts = await asyncio.gather(
            *(self._expiring.facts(pbx_id) for pbx_id in due), return_exceptions=True
        )
        for pbx_id, known in zip(due, facts, strict=True):
            if isinstance(known, Exception):
                self._setbacks.record_failure(pbx_id, known, "a PBX cannot be swept")
            elif isinstance(known, BaseException):
                raise known
            else:
                await self._try(pbx_id, partial(self._sweep_one, pbx_id, known))

    async def forget_old(self) -> None:
        at = self._clock.trusted_now()
        if at is None:
            return
        await forget_audit(self._database, at - self._audit_kept)
        await self._audio.forget_old(at)
        await self._registry.forget_old(at - LINKS_KEPT)

    async def _forget_ends(self) -> None:
        await self._ledger.withdraw_warnings(now(), self._age)

    async def _sweep_one(self, pbx_id: str, known: CallFacts) -> None:
        at = self._clock.trusted_now()
        if at is None:
            return
        swept = await self._ledger.sweep(pbx_id=pbx_id, now=at, facts=known, age=self._age)
        if swept:
            logger.info(
                "swept",
                extra={
                    "pbx_id": pbx_id,
                    "sessions": len(swept.sessions),
                    "waiting_list_changed": swept.waiting_list_changed,
                },
            )
            self._sign_in.announce(pbx_id, *swept.sessions)

    async def _try(self, key: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Run `work` unless its key is backing off after failures. Return whether it ran without a failure."""
        if self._setbacks.is_resting(key):
            return False
        try:
            await work()
        except Exception as fault:  # noqa: BLE001 - a failure of any kind must not stop the sweep of the others
            self._setbacks.record_failure(key, fault, "not swept; tried again")
            return False
        self._setbacks.record_success(key)
        return True
