"""Finds the colleague at the other end of a call, so that a person can write to them in Teams instead."""

from typing import Final

from core.store.database import Database

_NAMED: Final = (
    "SELECT other.email FROM session AS own JOIN session AS other"
    " ON other.pbx_id = own.pbx_id AND other.tenant_id = own.tenant_id AND other.object_id <> own.object_id"
    " WHERE own.tenant_id = $1 AND own.object_id = $2 AND lower(other.display_name) = lower($3) LIMIT 2"
)


class Colleagues:
    """Finds colleagues among the people of the same tenant who are signed in at the same PBX, and nowhere else."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def email_of(self, person: tuple[str, str], name: str) -> str:
        """Return the e-mail address of the only colleague with this display name at the PBX; empty if none or several."""
        rows = await self._database.fetch(_NAMED, *person, name) if name else []
        return str(rows[0]["email"] or "") if len(rows) == 1 else ""
