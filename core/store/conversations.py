"""Where the bot can write to a Teams user: stored conversation references."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from core.store import tables
from core.store.database import Database, upsert
from core.store.moments import to_ms

_conversation = tables.conversation.c


@dataclass(frozen=True, slots=True)
class Conversation:
    reference: str
    """The SDK's conversation reference as JSON."""
    locale: str


class Conversations:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, tenant_id: str, object_id: str, conversation: Conversation, at: datetime) -> None:
        values = {
            "reference": conversation.reference,
            "locale": conversation.locale,
            "updated_at": to_ms(at),
        }
        async with self._database.writing() as connection:
            await connection.execute(
                upsert(connection, tables.conversation)
                .values(tenant_id=tenant_id, object_id=object_id, **values)
                .on_conflict_do_update(index_elements=["tenant_id", "object_id"], set_=values)
            )

    async def of(self, tenant_id: str, object_id: str) -> Conversation | None:
        query = select(_conversation.reference, _conversation.locale).where(
            _conversation.tenant_id == tenant_id, _conversation.object_id == object_id
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return Conversation(row.reference, row.locale) if row is not None else None
