"""Reading the ledger: sessions, pools, holders, the waiting list. Never decides and never writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select, text

from core.identity.teams_user import TeamsUser
from core.licensing.rules import Pool
from core.licensing.session import EndCause, Ending, Session, to_session
from core.licensing.transactions.steps import POOLS, to_pool
from core.store import tables
from core.store.database import Database
from core.store.moments import from_ms

_session = tables.session.c
_waiting = tables.waiting.c
_seat = tables.seat.c


class SortBy(StrEnum):
    """Columns of the holders' table."""

    NAME = "name"
    LOGIN = "login"
    KIND = "kind"
    SINCE = "since"
    LAST_SEEN = "last-seen"
    TEAMS_NAME = "teams-name"


_COLUMNS: Final[dict[SortBy, ColumnElement[object]]] = {
    SortBy.NAME: func.lower(_session.display_name),
    SortBy.LOGIN: _session.pbx_login,
    SortBy.KIND: _session.licence_kind,
    SortBy.SINCE: _session.started_at,
    SortBy.LAST_SEEN: _session.last_seen_at,
    SortBy.TEAMS_NAME: func.lower(_session.teams_name),
}


@dataclass(frozen=True, slots=True)
class HoldersQuery:
    search: str = ""
    """Found in name, login, e-mail, Microsoft account or kind of licence, whatever the case."""
    sort: SortBy = SortBy.NAME
    descending: bool = False
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class HoldersPage:
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


class Overview:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def session_of(self, user: TeamsUser) -> Session | None:
        query = select(tables.session).where(
            _session.tenant_id == user.tenant_id, _session.object_id == user.object_id
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return to_session(row) if row is not None else None

    async def holders(self, pbx_id: str, query: HoldersQuery) -> HoldersPage:
        where = [_session.pbx_id == pbx_id]
        if query.search:
            where.append(
                or_(
                    *(
                        func.lower(column).contains(query.search.lower(), autoescape=True)
                        for column in (
                            _session.display_name,
                            _session.pbx_login,
                            _session.email,
                            _session.teams_name,
                            _session.licence_kind,
                        )
                    )
                )
            )
        by = _COLUMNS[query.sort]
        page = (
            select(tables.session)
            .where(*where)
            .order_by(by.desc() if query.descending else by.asc(), _session.id)
            .offset(query.offset)
            .limit(query.limit)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(page)).mappings().all()
            count = select(func.count()).select_from(tables.session).where(*where)
            found = (await connection.execute(count)).scalar_one()
        return HoldersPage([to_session(row) for row in rows], found)

    async def holder(self, pbx_id: str, session_id: str) -> Session | None:
        query = select(tables.session).where(_session.pbx_id == pbx_id, _session.id == session_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return to_session(row) if row is not None else None

    async def all_holders(self, pbx_id: str) -> Sequence[Session]:
        """For the export."""
        query = select(tables.session).where(_session.pbx_id == pbx_id).order_by(_COLUMNS[SortBy.NAME])
        async with self._database.reading() as connection:
            return [to_session(row) for row in (await connection.execute(query)).mappings().all()]

    async def pools(self, pbx_id: str) -> Sequence[Pool]:
        """The pools that grant: those whose key is in the connector's configuration now."""
        query = text(POOLS.format(pbx_id=":pbx_id"))
        async with self._database.reading() as connection:
            rows = (await connection.execute(query, {"pbx_id": pbx_id})).mappings().all()
        return [to_pool(row) for row in rows]

    async def place_of(self, user: TeamsUser) -> Place | None:
        """The user's place on a waiting list, also that of a refused user who may still join (`joined_at` None)."""
        kept_until = (
            select(_seat.kept_until)
            .where(_seat.pbx_id == _waiting.pbx_id, _seat.kept_for == _waiting.pbx_user_id)
            .limit(1)
            .scalar_subquery()
        )
        query = (
            select(tables.waiting, tables.pbx.c.name, kept_until.label("kept_until"))
            .join(tables.pbx, tables.pbx.c.id == _waiting.pbx_id)
            .where(_waiting.tenant_id == user.tenant_id, _waiting.object_id == user.object_id)
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return None
            before = select(func.count()).where(
                _waiting.pbx_id == row.pbx_id,
                _waiting.joined_at.is_not(None),
                or_(
                    _waiting.joined_at < (row.joined_at or 0),
                    and_(_waiting.joined_at == row.joined_at, _waiting.pbx_user_id < row.pbx_user_id),
                ),
            )
            position = 1 + (await connection.execute(before)).scalar_one()
        return Place(
            pbx_id=row.pbx_id,
            pbx_name=row.name,
            position=position,
            joined_at=from_ms(row.joined_at) if row.joined_at is not None else None,
            offered_until=from_ms(row.kept_until) if row.kept_until is not None else None,
        )

    async def waiting_count(self, pbx_id: str) -> int:
        query = select(func.count()).where(_waiting.pbx_id == pbx_id, _waiting.joined_at.is_not(None))
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def ual_count(self, pbx_id: str) -> int:
        """Users that are signed in with a licence of their own."""
        query = select(func.count()).where(_session.pbx_id == pbx_id, _session.pool_id.is_(None))
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def ending_of(self, user: TeamsUser) -> tuple[str, Ending] | None:
        """How this user's last session was ended by someone else (PBX name, ending), until the next sign-in."""
        end = tables.session_end.c
        query = select(tables.session_end).where(
            end.tenant_id == user.tenant_id, end.object_id == user.object_id
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return row.pbx_name, Ending(EndCause(row.cause), row.ended_by, row.reason, from_ms(row.at))
