"""Reading the ledger: sessions, pools, holders, the waiting list. Never decides and never writes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.identity.teams_user import TeamsUser
from core.licensing.rules import Pool
from core.licensing.session import SESSION_COLUMNS, Session, to_session
from core.licensing.transactions.steps import POOLS, to_pool
from core.store.database import Database
from core.store.folding import searched, sql_folded, sql_searched


class SortBy(StrEnum):
    """Columns of the holders' table."""

    NAME = "name"
    LOGIN = "login"
    KIND = "kind"
    SINCE = "since"
    LAST_SEEN = "last-seen"
    TEAMS_NAME = "teams-name"


_COLUMNS: Final[Mapping[SortBy, tuple[str, ...]]] = {
    SortBy.NAME: (sql_folded("display_name"), "display_name"),
    SortBy.LOGIN: ("pbx_login",),
    SortBy.KIND: ("licence_kind", sql_folded("display_name")),
    SortBy.SINCE: ("started_at",),
    SortBy.LAST_SEEN: ("last_seen_at",),
    SortBy.TEAMS_NAME: (sql_folded("teams_name"), "teams_name"),
}
_SEARCHED: Final = " OR ".join(
    [
        *(
            f"{sql_searched(column)} LIKE $2 ESCAPE '/'"
            for column in ("display_name", "pbx_login", "email", "teams_name", "licence_kind")
        ),
        "$3 LIKE '%,' || licence_kind || ',%'",
    ]
)
_RULES: Final = (
    "SELECT id, serial, valid_from, valid_until, policy, 0 AS seats, 0 AS used, 0 AS reserved, 0 AS kept"
    " FROM pool WHERE pbx_id = $1 AND NOT withdrawn ORDER BY valid_until, id"
)


@dataclass(frozen=True, slots=True)
class HoldersQuery:
    search: str = ""
    """Found in name, login, e-mail, Microsoft account or kind of licence, whatever the case and the marks of letters."""
    sort: SortBy = SortBy.NAME
    descending: bool = False
    offset: int = 0
    limit: int = 50
    kinds: tuple[str, ...] = ()
    """Kinds of licence that the search means by their names in the reader's language."""


@dataclass(frozen=True, slots=True, eq=False)
class HoldersPage:
    """Told apart by identity: what is made of one is kept as long as the page itself is (`tab.present`)."""

    sessions: Sequence[Session]
    found: int
    """How many the search finds on all pages."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the waiting list as its holder sees it."""

    pbx_id: str
    pbx_name: str
    position: int
    """1: next."""
    joined_at: datetime | None
    """None: was refused and may ask to be told, does not wait yet."""
    offered_until: datetime | None
    """A seat is kept for this user until then."""


def _order(sort: SortBy, *, descending: bool = False) -> str:
    direction = "DESC" if descending else "ASC"
    return f"ORDER BY {', '.join(f'{column} {direction}' for column in _COLUMNS[sort])}, id"


class Overview:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def session_of(self, user: TeamsUser) -> Session | None:
        query = f"SELECT {SESSION_COLUMNS} FROM session WHERE tenant_id = $1 AND object_id = $2"
        row = await self._database.fetch_first(query, user.tenant_id, user.object_id)
        return to_session(row) if row is not None else None

    async def holders(self, pbx_id: str, query: HoldersQuery) -> HoldersPage:
        order = _order(query.sort, descending=query.descending)
        if query.search:
            return await self._found(pbx_id, query, order)
        page = f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1 {order} LIMIT $2 OFFSET $3"
        # It sorts all holders of the PBX: an index would cost every sign-in more than a page is worth.
        rows = await self._database.fetch_long(page, pbx_id, query.limit, query.offset)
        count = await self._database.fetch_first(
            "SELECT count(*) AS n FROM session WHERE pbx_id = $1", pbx_id
        )
        return HoldersPage([to_session(row) for row in rows], count["n"] if count is not None else 0)

    async def _found(self, pbx_id: str, query: HoldersQuery, order: str) -> HoldersPage:
        """Looks at all holders of the PBX, once for the page and its count."""
        escaped = "".join(f"/{one}" if one in "/%_" else one for one in searched(query.search))
        where = f"FROM session WHERE pbx_id = $1 AND ({_SEARCHED})"
        values = (pbx_id, f"%{escaped}%", f",{','.join(query.kinds)},")
        page = f"SELECT {SESSION_COLUMNS}, count(*) OVER () AS found {where} {order} LIMIT $4 OFFSET $5"
        rows = await self._database.fetch_long(page, *values, query.limit, query.offset)
        if not rows and query.offset:  # beyond the last page
            rows = await self._database.fetch_long(f"SELECT count(*) AS found {where}", *values)
            return HoldersPage((), rows[0]["found"])
        return HoldersPage([to_session(row) for row in rows], rows[0]["found"] if rows else 0)

    async def holder(self, pbx_id: str, session_id: str) -> Session | None:
        query = f"SELECT {SESSION_COLUMNS} FROM session WHERE id = $1 AND pbx_id = $2"
        row = await self._database.fetch_first(query, session_id, pbx_id)
        return to_session(row) if row is not None else None

    async def all_holders(self, pbx_id: str) -> Sequence[Session]:
        """For the export."""
        query = f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1 {_order(SortBy.NAME)}"
        rows = await self._database.fetch_long(query, pbx_id)
        return await asyncio.to_thread(lambda: [to_session(row) for row in rows])

    async def pools(self, pbx_id: str) -> Sequence[Pool]:
        """The pools that grant: those whose key is in the connector's configuration now."""
        return [to_pool(row) for row in await self._database.fetch(POOLS.format(pbx_id="$1"), pbx_id)]

    async def rules(self, pbx_id: str) -> Sequence[Pool]:
        """As `pools`, without counting seats: all numbers are 0."""
        return [to_pool(row) for row in await self._database.fetch(_RULES, pbx_id)]

    async def waiting_count(self, pbx_id: str) -> int:
        query = "SELECT count(*) AS n FROM waiting WHERE pbx_id = $1 AND joined_at IS NOT NULL"
        row = await self._database.fetch_first(query, pbx_id)
        return int(row["n"]) if row is not None else 0

    async def ual_count(self, pbx_id: str) -> int:
        """Users that are signed in with a licence of their own."""
        query = "SELECT count(*) AS n FROM session WHERE pbx_id = $1 AND licence_kind = 'UAL'"
        row = await self._database.fetch_first(query, pbx_id)
        return int(row["n"]) if row is not None else 0
