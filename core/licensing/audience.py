"""Read who at a PBX receives which live updates: its administrators and its waiting list, once for all open tabs."""

from collections.abc import Mapping
from typing import Final

from core.licensing.overview import Place
from core.licensing.transactions.steps import IS_ADMINISTRATOR
from core.store.database import Database
from core.store.timestamps import from_ms

Key = tuple[str, str]
"""Key of a Teams user: tenant id and object id."""

_ADMINISTRATORS: Final = f"""
SELECT tenant_id, object_id FROM session WHERE pbx_id = $1 AND {IS_ADMINISTRATOR}
"""
_LINE: Final = """
SELECT waiting.tenant_id, waiting.object_id, waiting.pbx_id, waiting.joined_at, pbx.name AS pbx_name,
    (SELECT max(kept_until) FROM seat WHERE seat.pbx_id = waiting.pbx_id AND seat.kept_for = waiting.pbx_user_id)
    AS kept_until
FROM waiting JOIN pbx ON pbx.id = waiting.pbx_id
WHERE waiting.pbx_id = $1 ORDER BY waiting.joined_at, waiting.pbx_user_id
"""


class Audience:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def administrators(self, pbx_id: str) -> frozenset[Key]:
        """Return the signed-in users who may administer the PBX (`Session.may_administer`)."""
        rows = await self._database.fetch(_ADMINISTRATORS, pbx_id)
        return frozenset((row["tenant_id"], row["object_id"]) for row in rows)

    async def line(self, pbx_id: str) -> Mapping[Key, Place]:
        """Return the place of everybody who is on the PBX's waiting list, or was refused and may join it."""
        places: dict[Key, Place] = {}
        before = 0
        for row in await self._database.fetch(_LINE, pbx_id):
            has_joined = row["joined_at"] is not None
            places[row["tenant_id"], row["object_id"]] = Place(
                pbx_id=row["pbx_id"],
                pbx_name=row["pbx_name"],
                position=1 + before if has_joined else 1,
                joined_at=from_ms(row["joined_at"]) if has_joined else None,
                offered_until=from_ms(row["kept_until"]) if row["kept_until"] is not None else None,
            )
            before += has_joined
        return places
