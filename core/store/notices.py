"""The outbox of notices to people: written with what they tell, delivered afterwards, at least tried again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Insert, insert, select, update

from core.store import tables
from core.store.database import Database
from core.store.moments import from_ms, new_id, to_ms

_notice = tables.notice.c

MAX_ATTEMPTS: Final = 8
FIRST_RETRY: Final = timedelta(seconds=5)
"""Doubled each time: the last try comes about twenty minutes after the first."""


@dataclass(frozen=True, slots=True)
class Notice:
    id: str
    tenant_id: str
    object_id: str
    kind: str
    detail: dict[str, Any]
    attempts: int
    due_ms: int
    created_at: datetime
    sending: bool
    """Somebody had begun to send it, and did not live to say what came of it."""


def new_notice(person: tuple[str, str], kind: str, detail: Mapping[str, Any], at: datetime) -> Insert:
    """The statement that writes one, for the transaction that it tells about. The ledger has its own
    (`core.licensing.transactions.steps.tell_user`).
    """
    tenant_id, object_id = person
    return insert(tables.notice).values(
        id=new_id(),
        tenant_id=tenant_id,
        object_id=object_id,
        kind=kind,
        detail=json.dumps(detail),
        created_at=to_ms(at),
        attempts=0,
        next_attempt_at=to_ms(at),
        given_up=False,
    )


class Notices:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, at: datetime, limit: int = 100) -> Sequence[Notice]:
        query = (
            select(tables.notice)
            .where(_notice.delivered_at.is_(None), ~_notice.given_up, _notice.next_attempt_at <= to_ms(at))
            .order_by(_notice.next_attempt_at)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [
                Notice(
                    *(row.id, row.tenant_id, row.object_id, row.kind, json.loads(row.detail), row.attempts),
                    row.next_attempt_at,
                    from_ms(row.created_at),
                    row.sending,
                )
                for row in (await connection.execute(query)).all()
            ]

    async def take(self, notice: Notice, until: datetime) -> bool:
        """Takes a notice that is due for oneself, until then: of several replicas, one delivers it."""
        async with self._database.writing() as connection:
            taken = await connection.execute(
                update(tables.notice)
                .where(
                    _notice.id == notice.id,
                    _notice.next_attempt_at == notice.due_ms,
                    _notice.delivered_at.is_(None),
                    ~_notice.given_up,
                )
                .values(next_attempt_at=to_ms(until))
            )
        return taken.rowcount == 1

    async def sends(self, notice: Notice) -> None:
        """Said just before: from now on it may have arrived, whatever happens."""
        await self._set(notice, sending=True)

    async def delivered(self, notice: Notice, at: datetime) -> None:
        await self._set(notice, delivered_at=to_ms(at))

    async def failed(self, notice: Notice, at: datetime) -> None:
        """It has not arrived: it is tried again."""
        attempts = notice.attempts + 1
        next_attempt = at + FIRST_RETRY * 2**notice.attempts
        await self._set(
            notice,
            attempts=attempts,
            next_attempt_at=to_ms(next_attempt),
            given_up=attempts >= MAX_ATTEMPTS,
            sending=False,
        )

    async def postpone(self, notice: Notice, until: datetime) -> None:
        await self._set(notice, next_attempt_at=to_ms(until))

    async def give_up(self, notice: Notice) -> None:
        """It is not to be delivered: there is nowhere to write to, nobody wants it, or it may have arrived."""
        await self._set(notice, given_up=True)

    async def _set(self, notice: Notice, **values: Any) -> None:
        async with self._database.writing() as connection:
            await connection.execute(update(tables.notice).where(_notice.id == notice.id).values(**values))
