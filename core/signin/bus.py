"""Live updates inside one process: who watches is woken when something changed, and then looks for itself.

A watcher has no queue that could grow: what changed while it was busy is one wake-up.
"""

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Bus:
    def __init__(self) -> None:
        self._watchers: defaultdict[Hashable, set[asyncio.Event]] = defaultdict(set)

    def publish(self, *topics: Hashable) -> None:
        for topic in topics:
            for watcher in self._watchers.get(topic, ()):
                watcher.set()

    @contextmanager
    def watch(self, *topics: Hashable) -> Iterator[asyncio.Event]:
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


def user_topic(tenant_id: str, object_id: str) -> Hashable:
    return ("user", tenant_id, object_id)


def pbx_topic(pbx_id: str) -> Hashable:
    return ("pbx", pbx_id)


NOTICES_TOPIC: Hashable = ("notices",)
