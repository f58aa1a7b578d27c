"""The replicas of one service: each raises a heartbeat counter in the database and evicts replicas whose counter
stalls.

Clocks of different machines are never compared: a replica is considered dead when another one has seen its counter
unchanged for `DEAD_SECONDS`, by its own clock. A replica that was only slow finds itself evicted. It has lost its
links in the table, closes their sockets and enters again; the connectors reconnect on their own.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from core.hub import claims
from core.store.timestamps import now, to_ms
from core.store.transaction import Transaction, Writer, execute

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS: Final = 3.0
"""How often a replica raises its counter."""
DEAD_SECONDS: Final = 12.0
"""How long a counter may stall before its replica is evicted."""

OnEvicted = Callable[[], None]
LinksClosed = Callable[[Sequence[str]], None]


class Replicas:
    """Writes the heartbeat of this replica and watches the others. `is_alone`: by the settings, there are no others."""

    def __init__(
        self,
        writer: Writer,
        replica_id: str,
        *,
        is_alone: bool,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        dead_seconds: float = DEAD_SECONDS,
    ) -> None:
        self._writer = writer
        self._replica_id = replica_id
        self._is_alone = is_alone
        self._heartbeat_seconds = heartbeat_seconds
        self._dead_seconds = dead_seconds
        self._seen: dict[str, tuple[int, float]] = {}
        """Maps a replica id to its counter and to the time when that value was first seen (clock of the event loop)."""

    async def enter(self) -> Sequence[str]:
        """Register this replica. Call it before the first link is opened.

        If it is the only process, close the links that an earlier process left open. Return the PBX ids of those links.
        """
        await self._writer.run(lambda: _enter(self._replica_id))
        if self._is_alone:
            return await self._writer.run(lambda: claims.evict_others(self._replica_id, now()))
        return ()

    async def run(self, on_evicted: OnEvicted, links_closed: LinksClosed) -> None:
        """Write heartbeats and evict dead replicas, until cancelled.

        `on_evicted` is called when this replica was evicted. `links_closed` is called with the PBX ids of a replica
        that this one has evicted.
        """
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            try:
                await self._write_heartbeat(on_evicted, links_closed)
            except Exception as fault:  # noqa: BLE001 - the database is away: no replica can be judged
                logger.warning(
                    "heartbeat not written", extra={"reason": f"{type(fault).__name__}: {fault}"[:300]}
                )
                self._seen.clear()

    async def leave(self) -> Sequence[str]:
        """Unregister this replica and close the links that it still holds in the table; return their PBX ids."""
        return await self._writer.run(lambda: _leave(self._replica_id)) or ()

    async def _write_heartbeat(self, on_evicted: OnEvicted, links_closed: LinksClosed) -> None:
        others = await self._writer.run(lambda: _write_heartbeat(self._replica_id))
        if others is None:
            if self._is_alone:
                logger.error(
                    "another process uses this database: give both the same NATS_URL, or stop one of them"
                )
            else:
                logger.error("this replica was too slow and was evicted: its connectors reconnect")
            on_evicted()
            # Do not evict the others: two processes that both believe to be alone would evict each other forever.
            await self._writer.run(lambda: _enter(self._replica_id))
            return
        clock = asyncio.get_running_loop().time()
        self._seen = {
            replica_id: (beat, self._seen[replica_id][1])
            if replica_id in self._seen and self._seen[replica_id][0] == beat
            else (beat, clock)
            for replica_id, beat in others.items()
        }
        for replica_id, (beat, since) in list(self._seen.items()):
            if clock - since >= self._dead_seconds:
                await self._evict(replica_id, beat, links_closed)

    async def _evict(self, replica_id: str, beat: int, links_closed: LinksClosed) -> None:
        closed = await self._writer.run(lambda: claims.evict(replica_id, beat, now()))
        if closed is not None:
            logger.warning("replica evicted", extra={"replica": replica_id, "links": len(closed)})
            links_closed(closed)


def _enter(replica_id: str) -> Transaction[None]:
    yield from execute(
        "INSERT INTO replica (id, beat, started_at) VALUES ($1, 0, $2) ON CONFLICT (id) DO NOTHING",
        replica_id,
        to_ms(now()),
    )


def _write_heartbeat(replica_id: str) -> Transaction[dict[str, int] | None]:
    """Raise this replica's counter; return the counters of the others, or None when this replica was evicted."""
    mine = yield from execute("UPDATE replica SET beat = beat + 1 WHERE id = $1 RETURNING beat", replica_id)
    if not mine:
        return None
    rows = yield from execute("SELECT id, beat FROM replica WHERE id <> $1", replica_id)
    return {row["id"]: row["beat"] for row in rows}


def _leave(replica_id: str) -> Transaction[Sequence[str] | None]:
    rows = yield from execute("SELECT beat FROM replica WHERE id = $1", replica_id)
    return (yield from claims.evict(replica_id, rows[0]["beat"], now())) if rows else None
