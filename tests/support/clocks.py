"""Clocks that a test sets."""

import asyncio

from core.store.timestamps import now, to_ms


class Clocks:
    """The machine's clocks, with deviations that a test sets (seconds)."""

    def __init__(self) -> None:
        self.wall_off = 0.0
        self.passed = 0.0

    def wall(self) -> float:
        return to_ms(now()) / 1000 + self.wall_off + self.passed

    def steady(self) -> float:
        return asyncio.get_running_loop().time() + self.passed
