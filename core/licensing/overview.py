"""Read sessions, pools and the waiting list. Nothing here decides or writes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from core.identity.teams_user import TeamsUser
from core.licensing.rules import LicenceKind, Pool
from core.licensing.session import SESSION_COLUMNS, Session, to_session
from core.licensing.transactions.steps import POOLS, to_pool
from core.store.database import Database
from core.store.folding import searched, sql_folded, sql_searched
from core.store.timestamps import now, to_ms
from core.store.transaction import Row


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
    f"{sql_searched(column)} LIKE {{text}} ESCAPE '/'"
    for column in ("display_name", "pbx_login", "email", "teams_name", "licence_kind")
)
_IN_THREAD: Final = 500
"""From this number of rows on, they are converted outside the event loop."""
_RULES: Final = (
    "SELECT id, serial, valid_from, valid_until, policy, 0 AS seats, 0 AS used, 0 AS reserved, 0 AS kept"
    " FROM pool WHERE pbx_id = $1 AND NOT withdrawn ORDER BY valid_until, id"
)


@dataclass(frozen=True, slots=True)
class HoldersQuery:
    search: str = ""
    """Searched in name, login, e-mail, Microsoft account and kind of licence, ignoring case and diacritics."""
    sort: SortBy = SortBy.NAME
    descending: bool = False
    offset: int = 0
    limit: int = 50
    kinds: tuple[str, ...] = ()
    """Licence kinds whose names in the reader's language contain the search text."""
    kind: LicenceKind | None = None
    """Only holders of this kind of licence."""
    unseen_days: int = 0
    """Only people who were last seen at least that many days ago; 0: everybody."""


@dataclass(frozen=True, slots=True, eq=False)
class HoldersPage:
    """One page of holders. Compared by identity, because `tab.present` caches what it makes of a page per object."""

    sessions: Sequence[Session]
    found: int
    """Number of results on all pages."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the waiting list as its holder sees it."""

    pbx_id: str
    pbx_name: str
    position: int
    """1 is next."""
    joined_at: datetime | None
    """None: the user was refused and may join the list, but does not wait yet."""
    offered_until: datetime | None
    """When the offer to this user expires; None: there is no offer."""


def _order(sort: SortBy, *, descending: bool = False) -> str:
    direction = "DESC" if descending else "ASC"
    return f"ORDER BY {', '.join(f'{column} {direction}' for column in _COLUMNS[sort])}, id"


def _where(pbx_id: str, query: HoldersQuery) -> tuple[str, list[object]]:
    """Return the part of a statement that selects the holders, and its values."""
    conditions: list[str] = []
    values: list[object] = []

    def value(one: object) -> str:
        values.append(one)
        return f"${len(values)}"

    conditions.append(f"pbx_id = {value(pbx_id)}")
    if query.search:
        escaped = "".join(f"/{one}" if one in "/%_" else one for one in searched(query.search))
        text, kinds = value(f"%{escaped}%"), value(f",{','.join(query.kinds)},")
        conditions.append(f"({_SEARCHED.format(text=text)} OR {kinds} LIKE '%,' || licence_kind || ',%')")
    if query.kind is not None:
        conditions.append(f"licence_kind = {value(query.kind.value)}")
    if query.unseen_days:
        conditions.append(f"last_seen_at <= {value(to_ms(now() - timedelta(days=query.unseen_days)))}")
    return f"FROM session WHERE {' AND '.join(conditions)}", values


async def _sessions(rows: Sequence[Row]) -> Sequence[Session]:
    if len(rows) < _IN_THREAD:
        return [to_session(row) for row in rows]
    return await asyncio.to_thread(lambda: [to_session(row) for row in rows])


class Overview:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def session_of(self, user: TeamsUser) -> Session | None:
        """Return the Teams user's session, whatever the PBX."""
        query = f"SELECT {SESSION_COLUMNS} FROM session WHERE tenant_id = $1 AND object_id = $2"
        row = await self._database.fetch_first(query, user.tenant_id, user.object_id)
        return to_session(row) if row is not None else None

    async def holders(self, pbx_id: str, query: HoldersQuery) -> HoldersPage:
        order = _order(query.sort, descending=query.descending)
        where, values = _where(pbx_id, query)
        if len(values) > 1:
            return await self._found(where, values, query, order)
        page = f"SELECT {SESSION_COLUMNS} {where} {order} LIMIT $2 OFFSET $3"
        # This sorts all holders of the PBX. An index would slow down every sign-in, which a page is not worth.
        rows = await self._database.fetch_long(page, pbx_id, query.limit, query.offset)
        count = await self._database.fetch_first(f"SELECT count(*) AS n {where}", pbx_id)
        return HoldersPage(await _sessions(rows), count["n"] if count is not None else 0)

    async def _found(
        self, where: str, values: Sequence[object], query: HoldersQuery, order: str
    ) -> HoldersPage:
        """Search all holders of the PBX; one query reads the page and the count."""
        last = len(values)
        page = f"SELECT {SESSION_COLUMNS}, count(*) OVER () AS found {where} {order} LIMIT ${last + 1} OFFSET ${last + 2}"
        rows = await self._database.fetch_long(page, *values, query.limit, query.offset)
        if not rows and query.offset:  # beyond the last page
            rows = await self._database.fetch_long(f"SELECT count(*) AS found {where}", *values)
            return HoldersPage((), rows[0]["found"])
        return HoldersPage(await _sessions(rows), rows[0]["found"] if rows else 0)

    async def holder(self, pbx_id: str, session_id: str) -> Session | None:
        """Return one session of the PBX, or None when it does not exist or belongs to another PBX."""
        query = f"SELECT {SESSION_COLUMNS} FROM session WHERE id = $1 AND pbx_id = $2"
        row = await self._database.fetch_first(query, session_id, pbx_id)
        return to_session(row) if row is not None else None

    async def all_holders(self, pbx_id: str) -> Sequence[Session]:
        """Return all sessions of the PBX, for the export."""
        query = f"SELECT {SESSION_COLUMNS} FROM session WHERE pbx_id = $1 {_order(SortBy.NAME)}"
        return await _sessions(await self._database.fetch_long(query, pbx_id))

    async def pools(self, pbx_id: str) -> Sequence[Pool]:
        """Return the pools whose key is in the connector's configuration; withdrawn pools grant nothing."""
        return [to_pool(row) for row in await self._database.fetch(POOLS.format(pbx_id="$1"), pbx_id)]

    async def rules(self, pbx_id: str) -> Sequence[Pool]:
        """Like `pools`, but without counting seats: all numbers are 0."""
        return [to_pool(row) for row in await self._database.fetch(_RULES, pbx_id)]

    async def waiting_count(self, pbx_id: str) -> int:
        """Return how many people are on the PBX's waiting list."""
        query = "SELECT count(*) AS n FROM waiting WHERE pbx_id = $1 AND joined_at IS NOT NULL"
        row = await self._database.fetch_first(query, pbx_id)
        return int(row["n"]) if row is not None else 0

    async def ual_count(self, pbx_id: str) -> int:
        """Return how many users are signed in with a user-assigned licence."""
        query = "SELECT count(*) AS n FROM session WHERE pbx_id = $1 AND licence_kind = 'UAL'"
        row = await self._database.fetch_first(query, pbx_id)
        return int(row["n"]) if row is not None else 0
