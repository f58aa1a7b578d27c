"""Publish and subscribe: topics say what changed and whom it concerns. Every replica receives what is published here.

A topic is `KIND` or `KIND:REST`. It carries no content: each subscriber reads the database itself. A publisher uses the
narrowest topics that apply, because the cost of a change is the number of subscribers that read (docs/architecture.md).
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
OnMissed = Callable[[], None]

_OF_A_PBX: Final = ("connection", "seats", "holders", "claims")
"""Kinds whose rest is a PBX id."""


class Bus:
    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listeners: defaultdict[str, list[Listener]] = defaultdict(list)
        self._missed_callbacks: list[OnMissed] = []

    def publish(self, *topics: str) -> None:
        """Call the subscribers of these topics here, and send the topics to the other replicas."""
        self.deliver(topics)
        self._plane.publish([*topics, *_older(topics)])

    def deliver(self, topics: Sequence[str]) -> None:
        """Call the subscribers of topics that were published here or by another replica."""
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
                except Exception:  # a topic that is not understood must not affect the others
                    logger.exception("a topic was not understood", extra={"kind": kind})

    def notify_missed(self) -> None:
        """Wake all watchers and call `on_missed` callbacks: topics of other replicas may have been lost."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.set()
        for on_missed in self._missed_callbacks:
            on_missed()

    def on_missed(self, on_missed: OnMissed) -> None:
        """Subscribe a callback that is called when topics of other replicas may have been lost."""
        self._missed_callbacks.append(on_missed)

    def listen(self, kind: str, listener: Listener) -> None:
        """Subscribe a callback to a kind. It is called with the rest of each topic, including those published here."""
        self._listeners[kind].append(listener)

    @contextmanager
    def watch(self, *topics: str) -> Iterator[asyncio.Event]:
        """Yield an event that each of these topics sets. Several topics while the watcher is busy are one wake-up."""
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
    """Return the topics for replicas of the previous version, which knows a single topic for all changes of a PBX.

    A replica of this version ignores them when they come together with the narrower topics.
    """
    parts = (topic.partition(":") for topic in topics)
    return list(dict.fromkeys(f"pbx:{rest}" for kind, _, rest in parts if kind in _OF_A_PBX))


def user_topic(tenant_id: str, object_id: str) -> str:
    """Topic of one person: their session, place on a waiting list, offered seat, and permissions."""
    return f"user:{tenant_id}:{object_id}"


def phone_topic(tenant_id: str, object_id: str) -> str:
    """Topic of a person's telephone: something changed on the line, or it was switched on or off."""
    return f"phone:{tenant_id}:{object_id}"


def offers_topic(tenant_id: str) -> str:
    """Topic of a tenant: which PBXs its members may sign in to without a key."""
    return f"offers:{tenant_id}"


def connection_topic(pbx_id: str) -> str:
    """Topic of a PBX's connection: its link, status and name."""
    return f"connection:{pbx_id}"


def seats_topic(pbx_id: str) -> str:
    """Topic of a PBX's seats: the numbers that everybody signed in there sees, and the waiting list."""
    return f"seats:{pbx_id}"


def holders_topic(pbx_id: str) -> str:
    """Topic of a PBX's licence page, for administrators: who holds what, pools, trust, denials."""
    return f"holders:{pbx_id}"


def claims_topic(pbx_id: str) -> str:
    """Topic of refused claims: another installation tried the PBX name, which the connection page shows."""
    return f"claims:{pbx_id}"


def licence_topics(pbx_id: str) -> tuple[str, str]:
    """Topics to publish when a session began, ended or changed its licence, or when a pool changed."""
    return seats_topic(pbx_id), holders_topic(pbx_id)


def pbx_topics(pbx_id: str) -> tuple[str, str, str]:
    """Topics to publish when anything about a PBX may have changed."""
    return connection_topic(pbx_id), *licence_topics(pbx_id)


NOTICES_TOPIC = "notices"
