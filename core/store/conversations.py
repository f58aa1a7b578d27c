"""Where the bot can write to a Teams user: stored conversation references."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from core.store import tables
from core.store.database import Database, upsert
from core.store.moments import to_ms

_conversation = tables.conversation.c
ANSWERED_KEPT: Final = 20
"""Far more than anybody says within the minute in which the channel may deliver again."""


@dataclass(frozen=True, slots=True)
class Conversation:
    reference: str
    """The SDK's conversation reference as JSON."""
    locale: str

    @property
    def channel_id(self) -> str:
        """The person's id at the channel."""
        reference: dict[str, Any] = json.loads(self.reference)
        return str((reference.get("user") or {}).get("id", ""))


class Conversations:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(
        self,
        tenant_id: str,
        object_id: str,
        conversation: Conversation,
        activity_id: str | None,
        at: datetime,
    ) -> bool:
        """Remembers where to write to, and that this activity is being answered (None: not to be remembered). False: it
        was before; the channel delivers again what it had no answer to in time.
        """
        where = (_conversation.tenant_id == tenant_id, _conversation.object_id == object_id)
        async with self._database.writing() as connection:
            query = select(_conversation.answered).where(*where).with_for_update()
            answered = json.loads((await connection.execute(query)).scalar_one_or_none() or "[]")
            if activity_id is not None and activity_id in answered:
                return False
            if activity_id is not None:
                answered = [*answered, activity_id][-ANSWERED_KEPT:]
            values = {
                "reference": conversation.reference,
                "locale": conversation.locale,
                "updated_at": to_ms(at),
                "answered": json.dumps(answered),
            }
            await connection.execute(
                upsert(connection, tables.conversation)
                .values(tenant_id=tenant_id, object_id=object_id, **values)
                .on_conflict_do_update(index_elements=["tenant_id", "object_id"], set_=values)
            )
        return True

    async def of(self, tenant_id: str, object_id: str) -> Conversation | None:
        query = select(_conversation.reference, _conversation.locale).where(
            _conversation.tenant_id == tenant_id, _conversation.object_id == object_id
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return Conversation(row.reference, row.locale) if row is not None else None
