"""News: what changed and whom it concerns, as topics. What is published here is heard in every replica.

A topic is `KIND` or `KIND:REST`, and carries no content: each listener reads for itself. A publisher names the narrowest
topics that are true, because the cost of a change is the number of those who look (docs/architecture.md).
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from core.hub.plane import Plane

logger = logging.getLogger(__name__)

Listener = Callable[[str], None]
Missed = Callable[[], None]

_OF_A_PBX: Final = ("connection", "seats", "holders", "claims")
"""Kinds whose rest is a PBX."""


class Bus:
    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listeners: defaultdict[str, list[Listener]] = defaultdict(list)
        self._on_missed: list[Missed] = []

    def publish(self, *topics: str) -> None:
        self.hear(topics)
        self._plane.publish([*topics, *_older(topics)])

    def hear(self, topics: Sequence[str]) -> None:
        """What was published, here or at another replica."""
        said_for_others = set(_older(topics))
        for topic in topics:
            if topic in said_for_others:
                continue
            for watcher in self._watchers.get(topic, ()):
                watcher.set()
            kind, _, rest = topic.partition(":")
            for listener in self._listeners.get(kind, ()):
                try:
                    listener(rest)
                except Exception:  # one topic that is not understood takes nothing from the others
                    logger.exception("a topic was not understood", extra={"kind": kind})

    def missed(self) -> None:
        """Nobody knows what was published meanwhile: everybody looks."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.set()
        for on_missed in self._on_missed:
            on_missed()

    def when_missed(self, on_missed: Missed) -> None:
        """`on_missed` is called when news of other replicas may have been lost."""
        self._on_missed.append(on_missed)

    def listen(self, kind: str, listener: Listener) -> None:
        """`listener` is told the rest of every topic of this kind, this replica's own among them."""
        self._listeners[kind].append(listener)

    @contextmanager
    def watch(self, *topics: str) -> Iterator[asyncio.Event]:
        """The event is set by each of these topics; what happened while the watcher was busy is one wake-up."""
        woken = asyncio.Event()
        for topic in topics:
            self._watchers[topic].add(woken)
        try:
            yield woken
        finally:
            for topic in topics:
                self._watchers[topic].discard(woken)
                if not self._watchers[topic]:
                    del self._watchers[topic]


def _older(topics: Sequence[str]) -> list[str]:
    """The same for replicas of the version before, which know one topic for everything of a PBX. A replica of this version
    that hears it beside the narrower ones lets it be.
    """
    parts = (topic.partition(":") for topic in topics)
    return list(dict.fromkeys(f"pbx:{rest}" for kind, _, rest in parts if kind in _OF_A_PBX))


def user_topic(tenant_id: str, object_id: str) -> str:
    """One person: their session, waiting place or offered seat, what they may do."""
    return f"user:{tenant_id}:{object_id}"


def phone_topic(tenant_id: str, object_id: str) -> str:
    """A person's telephone: something has changed on its line, or it was switched on or off."""
    return f"phone:{tenant_id}:{object_id}"


def offers_topic(tenant_id: str) -> str:
    """The PBXs that the people of a tenant may enter without a key."""
    return f"offers:{tenant_id}"


def connection_topic(pbx_id: str) -> str:
    """The PBX's link, its status, its name."""
    return f"connection:{pbx_id}"


def seats_topic(pbx_id: str) -> str:
    """The numbers that everybody at a PBX sees, and its waiting list."""
    return f"seats:{pbx_id}"


def holders_topic(pbx_id: str) -> str:
    """What administrators see of their PBX on the licence page: who holds what, pools, trust, denials."""
    return f"holders:{pbx_id}"


def claims_topic(pbx_id: str) -> str:
    """Another installation has tried the PBX's name; administrators see it on the connection page."""
    return f"claims:{pbx_id}"


def licence_topics(pbx_id: str) -> tuple[str, str]:
    """A session began, ended or changed its licence, or a pool changed."""
    return seats_topic(pbx_id), holders_topic(pbx_id)


def pbx_topics(pbx_id: str) -> tuple[str, str, str]:
    """Anything about a PBX may have changed."""
    return connection_topic(pbx_id), *licence_topics(pbx_id)


NOTICES_TOPIC = "notices"
