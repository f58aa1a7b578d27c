"""The garbage collector of a server: what is there after the start stays, and nearly all of a request is freed without it.

After a restart ten thousand links open within seconds; with Python's own thresholds a fifth of that time goes into looking
for garbage among them, and there is none (`bench links`, `reconnect`).
"""

import gc
from typing import Final

YOUNG: Final = 20_000
"""Objects that are made before the collector looks (Python's own: 700)."""


def settle() -> None:
    """Called once, when everything is made and before the first request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)
