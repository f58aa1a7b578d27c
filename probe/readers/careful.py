"""Reading that tolerates failures: one unreadable device does not end a reading, and a lost sound system not the watch."""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from probe.errors import NoSoundSystemError
from probe.snapshot import Snapshot

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 5.0
Thing = TypeVar("Thing")
Facts = TypeVar("Facts")


def read_each(
    things: Iterable[Thing], read: Callable[[Thing], Facts], faults: tuple[type[Exception], ...]
) -> tuple[list[Facts], int]:
    """Read each thing; return the facts, and the number of things that raised one of `faults`, for instance because a
    device was unplugged after it was listed.
    """
    found: list[Facts] = []
    unreadable = 0
    for thing in things:
        try:
            found.append(read(thing))
        except faults as fault:
            unreadable += 1
            logger.info("a device or a session cannot be read: %s", fault)
    return found, unreadable


def keep_following(
    follow: Callable[[], None],
    on_change: Callable[[Snapshot], None],
    stopped: threading.Event,
    faults: tuple[type[Exception], ...],
    retry_seconds: float = RETRY_SECONDS,
) -> None:
    """Call `follow` repeatedly until `stopped`. When it raises because the sound system is gone, for instance while its
    service restarts, report an empty snapshot and try again.
    """
    expected: tuple[type[Exception], ...] = (NoSoundSystemError, *faults)
    while not stopped.is_set():
        try:
            follow()
        except expected as fault:
            logger.warning("the sound system does not answer, and is asked again soon: %s", fault)
            on_change(Snapshot())
        stopped.wait(retry_seconds)
