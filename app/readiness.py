"""Readiness checks: this replica can serve if it can read, and can commit by both write paths."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from core.background import Background, supervise
from core.store.transaction import Transaction, execute

logger = logging.getLogger(__name__)

PROVE_SECONDS: Final = 3.0
"""Pause between two checks of a part."""
ANSWER_SECONDS: Final = 8.0
"""Time-out of a check. A fault is therefore visible after at most `PROVE_SECONDS + ANSWER_SECONDS`."""
GOOD_SECONDS: Final = 20.0
"""How long a successful check counts, in case the task that runs the checks hangs."""

Proof = Callable[[], Awaitable[None]]


class CheckState(StrEnum):
    OK = "ok"
    STARTING = "starting"
    FAILED = "failed"
    STUCK = "stuck"


@dataclass(slots=True)
class _Part:
    prove: Proof
    state: CheckState = CheckState.STARTING
    proven_at: float = float("-inf")


class Readiness:
    """Checks the parts that this replica needs. `proofs` maps each part to its check, which raises if it is not ready."""

    def __init__(
        self,
        proofs: Mapping[str, Proof],
        *,
        prove_seconds: float = PROVE_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._parts = {name: _Part(prove) for name, prove in proofs.items()}
        self._prove_seconds = prove_seconds
        self._answer_seconds = answer_seconds
        self._proving = Background()

    def start(self) -> None:
        """Start the checks. Each part has its own task, so a hanging check does not delay the others."""
        for name, part in self._parts.items():
            self._proving.start(supervise(f"readiness of {name}", partial(self._run, name, part)))

    async def close(self) -> None:
        self._proving.cancel()
        await self._proving.finish()

    def states(self) -> dict[str, CheckState]:
        """Return the state of each part, for `/readyz` and the metrics."""
        clock = asyncio.get_running_loop().time()
        return {
            name: CheckState.STUCK
            if part.state is CheckState.OK and clock - part.proven_at > GOOD_SECONDS
            else part.state
            for name, part in self._parts.items()
        }

    async def _run(self, name: str, part: _Part) -> None:
        while True:
            before = part.state
            try:
                async with asyncio.timeout(self._answer_seconds):
                    await part.prove()
            except TimeoutError:
                part.state = CheckState.STUCK
            except Exception as fault:
                part.state = CheckState.FAILED
                if before is not CheckState.FAILED:
                    logger.warning("not ready", extra={"part": name}, exc_info=fault)
            else:
                part.state, part.proven_at = CheckState.OK, asyncio.get_running_loop().time()
            if part.state is not before:
                logger.warning("readiness", extra={"part": name, "state": part.state})
            await asyncio.sleep(self._prove_seconds)


def prove_writer() -> Transaction[None]:
    """Commit a write that changes nothing."""
    yield from execute("UPDATE clock_mark SET at = at")
