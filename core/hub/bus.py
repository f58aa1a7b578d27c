"""Live updates: who watches is woken when something changed, and then looks for itself.

A watcher has no queue that could grow: what changed while it was busy is one wake-up. A topic is `KIND` or
`KIND:REST`. What is published here is heard in every replica.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from core.hub.plane import Plane

Listener = Callable[[str], None]


class Bus:
    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listeners: dict[str, Listener] = {}

    def publish(self, *topics: str) -> None:
        self.hear(topics)
        self._plane.publish(topics)

    def hear(self, topics: Sequence[str]) -> None:
        """What was published, here or at another replica."""
        for topic in topics:
            for watcher in self._watchers.get(topic, ()):
                watcher.set()
            kind, _, rest = topic.partition(":")
            if listener := self._listeners.get(kind):
                listener(rest)

    def missed(self) -> None:
        """Nobody knows what was published meanwhile: everybody looks."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.set()

    def listen(self, kind: str, listener: Listener) -> None:
        """`listener` is told the rest of every topic of this kind, this replica's own among them."""
        self._listeners[kind] = listener

    @contextmanager
    def watch(self, *topics: str) -> Iterator[asyncio.Event]:
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


def user_topic(tenant_id: str, object_id: str) -> str:
    return f"user:{tenant_id}:{object_id}"


def pbx_topic(pbx_id: str) -> str:
    return f"pbx:{pbx_id}"


NOTICES_TOPIC = "notices"
