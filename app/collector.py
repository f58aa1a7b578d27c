"""Garbage collector settings for a server.

Objects that exist after the start stay, and nearly everything that a request allocates is freed by reference counting.
After a restart ten thousand links open within seconds. With Python's default thresholds a fifth of that time is spent in
searching them for garbage, and there is none (`bench links`, `reconnect`).
"""

import gc
from typing import Final

YOUNG: Final = 20_000
"""Number of new objects that triggers a collection (Python's default: 700)."""


def settle() -> None:
    """Freeze all present objects and raise the thresholds. Call this once, after the start and before the first request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)
