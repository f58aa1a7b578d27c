"""One thing that cannot be read does not end the reading, and a sound system that goes away does not end the watching."""

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
    """What can be read, and how many things could not: one may be unplugged between the listing and the question."""
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
    """Until `stopped`. `follow` raises when the sound system goes away, such as when its service is restarted: then
    nothing is in use, and it is tried again.
    """
    expected: tuple[type[Exception], ...] = (NoSoundSystemError, *faults)
    while not stopped.is_set():
        try:
            follow()
        except expected as fault:
            logger.warning("the sound system does not answer, and is asked again soon: %s", fault)
            on_change(Snapshot())
        stopped.wait(retry_seconds)
