"""Brings changes that the operator makes at the command line to the running service.

A command writes to the database and exits; it has no bus, and the service may run on another machine. Each command writes
an audit row in the transaction of its change, so each replica polls the audit for rows of the operator.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NamedTuple

from core.hub.bus import Bus, offers_topic, pbx_topics, user_topic
from core.store.audit import NO_PBX, ActorKind, AuditKind
from core.store.database import Database
from core.store.timestamps import now, to_ms

POLL_SECONDS: Final = 2.0
MAX_CLOCK_SKEW: Final = timedelta(minutes=10)
"""How far back each poll reads: the clock of the machine where the command ran may be late by this much."""
MAX_ACTS: Final = 10_000

_ACTS: Final = (
    f"SELECT id, pbx_id, kind, subject FROM audit WHERE actor_kind = '{ActorKind.OPERATOR}' AND at > $1"  # noqa: S608
    f" AND pbx_id <> '{NO_PBX}' ORDER BY at DESC LIMIT {MAX_ACTS}"
)
_ENDS: Final = (
    f"SELECT tenant_id, object_id, at FROM session_end WHERE ended_by_kind = '{ActorKind.OPERATOR}'"  # noqa: S608
    f" AND at > $1 ORDER BY at DESC LIMIT {MAX_ACTS}"
)
_OF_TENANT: Final = frozenset(
    {
        *(AuditKind.TENANT_TRUSTED, AuditKind.TENANT_DISTRUSTED),
        *(AuditKind.ENTRY_CHANGED, AuditKind.PRIMARY_OVERRULED),
    }
)
"""Kinds whose subject is a tenant. They change which PBXs are offered to its members."""


class _Act(NamedTuple):
    id: str
    """Identifies the act: an audit row's id, or topic and time of a session's end."""
    topics: tuple[str, ...]
    concerns_pbx: bool


class OperatorActs:
    def __init__(
        self, database: Database, bus: Bus, close_stale_links: Callable[[], Awaitable[None]]
    ) -> None:
        self._database = database
        self._bus = bus
        self._close_stale_links = close_stale_links
        self._seen: frozenset[_Act] | None = None
        """Acts that earlier polls found; None before the first poll."""

    async def run(self) -> None:
        """Poll until cancelled. Database errors are raised; `supervise` restarts this method, and no act is missed."""
        while True:
            await self.poll()
            await asyncio.sleep(POLL_SECONDS)

    async def poll(self) -> None:
        """Poll once: publish the topics of new acts at this replica alone, since each replica polls for itself.

        Acts that the first poll finds are not new.
        """
        acts = await self._recent()
        news = acts - self._seen if self._seen is not None else frozenset()
        if any(act.concerns_pbx for act in news):
            await self._close_stale_links()
        self._bus.deliver([topic for act in news for topic in act.topics])
        self._seen = acts

    async def _recent(self) -> frozenset[_Act]:
        since = to_ms(now() - MAX_CLOCK_SKEW)
        found: list[_Act] = []
        for row in await self._database.fetch(_ACTS, since):
            topics = pbx_topics(row["pbx_id"])
            offers = (offers_topic(row["subject"]),) if row["kind"] in _OF_TENANT else ()
            found.append(_Act(str(row["id"]), (*topics, *offers), concerns_pbx=True))
        for row in await self._database.fetch(_ENDS, since):
            topic = user_topic(row["tenant_id"], row["object_id"])
            found.append(_Act(f"{topic} {row['at']}", (topic,), concerns_pbx=False))
        return frozenset(found)
