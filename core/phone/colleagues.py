"""Who of a person's own organisation is on the other side of a call, so that one can write to them in Teams instead."""

from typing import Final

from core.store.database import Database

_NAMED: Final = (
    "SELECT other.email FROM session AS own JOIN session AS other"
    " ON other.pbx_id = own.pbx_id AND other.tenant_id = own.tenant_id AND other.object_id <> own.object_id"
    " WHERE own.tenant_id = $1 AND own.object_id = $2 AND lower(other.display_name) = lower($3) LIMIT 2"
)


class Colleagues:
    """The people who are signed in at the same PBX. Nothing is looked up anywhere else."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def email_of(self, person: tuple[str, str], name: str) -> str:
        """Of the one colleague whom the PBX names so; empty where there is none, or where there are several."""
        rows = await self._database.fetch(_NAMED, *person, name) if name else []
        return str(rows[0]["email"] or "") if len(rows) == 1 else ""
