"""Reading the ledger: sessions, pools, holders. Never decides and never writes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, func, select

from core.identity.teams_user import TeamsUser
from core.licensing.ledger import EndCause, Ending, Proof, Session, SessionPerson
from core.licensing.rules import LicenceKind, Pool
from core.store import tables
from core.store.database import Database
from core.store.moments import from_ms

_session = tables.session.c


class Overview:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def session_of(self, user: TeamsUser) -> Session | None:
        return await self._one(
            and_(_session.tenant_id == user.tenant_id, _session.object_id == user.object_id)
        )

    async def session_of_pbx_user(self, pbx_id: str, pbx_user_id: int) -> Session | None:
        return await self._one(and_(_session.pbx_id == pbx_id, _session.pbx_user_id == pbx_user_id))

    async def sessions(self, pbx_id: str) -> Sequence[Session]:
        query = select(tables.session).where(_session.pbx_id == pbx_id).order_by(_session.display_name)
        async with self._database.reading() as connection:
            return [to_session(row) for row in (await connection.execute(query)).all()]

    async def pools(self, pbx_id: str) -> Sequence[Pool]:
        """The pools that grant: those whose key is in the connector's configuration now."""
        seat = tables.seat.c
        query = (
            select(
                tables.pool,
                func.coalesce(func.sum(case((seat.retired, 0), else_=1)), 0).label("seats"),
                func.count(seat.holder).label("used"),
            )
            .join(tables.seat, seat.pool_id == tables.pool.c.id)
            .where(tables.pool.c.pbx_id == pbx_id, ~tables.pool.c.withdrawn)
            .group_by(tables.pool.c.id)
            .order_by(tables.pool.c.valid_until)
        )
        async with self._database.reading() as connection:
            return [
                Pool(
                    row.id, row.serial, row.seats, row.used, from_ms(row.valid_from), from_ms(row.valid_until)
                )
                for row in (await connection.execute(query)).all()
            ]

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

    async def _one(self, condition: ColumnElement[bool]) -> Session | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(select(tables.session).where(condition))).one_or_none()
        return to_session(row) if row is not None else None


def to_session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        teams_user=TeamsUser(row.tenant_id, row.object_id, row.teams_name),
        pbx_id=row.pbx_id,
        person=SessionPerson(
            row.pbx_user_id, row.pbx_login, row.display_name, row.email, row.is_administrator
        ),
        kind=LicenceKind(row.licence_kind),
        pool_id=row.pool_id,
        seat_number=row.seat_number,
        proof=Proof(row.proof),
        started_at=from_ms(row.started_at),
        last_seen_at=from_ms(row.last_seen_at),
    )
