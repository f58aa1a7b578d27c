"""Which people have switched their telephone on. Nothing else about the telephone is stored.

A consent is bound to the session in which it was given. It ends with that session, whatever the cause, and a later
sign-in does not restore it.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from core.store import tables
from core.store.audit import AuditKind, add_session_audit
from core.store.database import Database, upsert
from core.store.timestamps import from_ms, to_ms
from core.store.transaction import placeholders

Person = tuple[str, str]
"""Tenant and object id of a Teams user."""
ADMINISTRATION: Final = "ADM"
"""`core.licensing.rules.LicenceKind.ADMINISTRATION`. Such a session has no licence, so it has no telephone."""

_consent = tables.phone_consent.c
_session = tables.session.c
_HOLDS: Final = and_(_session.id == _consent.session_id, _session.licence_kind != ADMINISTRATION)
_PERSONS: Final = (
    "SELECT session.tenant_id, session.object_id FROM session JOIN phone_consent"
    f" ON phone_consent.session_id = session.id AND session.licence_kind <> '{ADMINISTRATION}'"
    " AND phone_consent.tenant_id = session.tenant_id AND phone_consent.object_id = session.object_id"
    " WHERE session.pbx_id = $1"
)
_WANT_MISSED: Final = (
    "EXISTS (SELECT 1 FROM preference WHERE preference.tenant_id = session.tenant_id"
    " AND preference.object_id = session.object_id AND preference.missed_calls)"
)
_MISSED_UNTIL: Final = "SELECT missed_until FROM phone_consent WHERE tenant_id = $1 AND object_id = $2"
_ASKED: Final = (1, 10, 200)
"""Numbers of users in one statement. There are few, so that the database caches the statements."""


class PhoneStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def switch_on(self, person: Person, session_id: str, at: datetime) -> bool:
        """Store the consent; return whether the telephone was off before."""
        values: dict[str, Any] = {"session_id": session_id, "since": to_ms(at)}
        async with self._database.writing() as connection:
            before = (
                await connection.execute(select(_consent.session_id).where(_is(person)).with_for_update())
            ).scalar_one_or_none()
            if before != session_id:
                values["missed_until"] = to_ms(at)
            await connection.execute(
                upsert(connection, tables.phone_consent)
                .values(tenant_id=person[0], object_id=person[1], **values)
                .on_conflict_do_update(index_elements=["tenant_id", "object_id"], set_=values)
            )
            if before != session_id:
                await add_session_audit(
                    connection=connection,
                    of=_session.id == session_id,
                    kind=AuditKind.PHONE_ON,
                    detail={},
                    at=at,
                )
        return before != session_id

    async def switch_off(self, person: Person, at: datetime, cause: str = "by-person") -> bool:
        """Delete the consent; return whether the telephone was on. `cause`: for the audit."""
        async with self._database.writing() as connection:
            session_id = (
                await connection.execute(
                    delete(tables.phone_consent).where(_is(person)).returning(_consent.session_id)
                )
            ).scalar_one_or_none()
            if session_id is not None:
                await add_session_audit(
                    connection=connection,
                    of=_session.id == session_id,
                    kind=AuditKind.PHONE_OFF,
                    detail={"cause": cause},
                    at=at,
                )
        return session_id is not None

    async def list_users_by_pbx(self, at: datetime) -> Mapping[str, list[int]]:
        """Return the users whose telephones are on: PBX id to PBX user ids.

        Consents whose session or licence has ended are deleted.
        """
        everybody = select(
            _consent.tenant_id, _consent.object_id, _consent.session_id, _session.pbx_id, _session.pbx_user_id
        ).select_from(tables.phone_consent.outerjoin(tables.session, _HOLDS))
        async with self._database.reading() as connection:
            rows = (await connection.execute(everybody)).all()
        by_pbx: dict[str, list[int]] = {}
        for row in rows:
            if row.pbx_id is not None:
                by_pbx.setdefault(row.pbx_id, []).append(row.pbx_user_id)
            else:
                await self._end((row.tenant_id, row.object_id), row.session_id, at)
        return by_pbx

    async def list_persons(self, pbx_id: str, user_ids: Collection[int]) -> list[Person]:
        """Return the Teams users behind those of these PBX users whose telephones are on."""
        ids, found = list(user_ids), list[Person]()
        for begin in range(0, len(ids), _ASKED[-1]):
            some = ids[begin : begin + _ASKED[-1]]
            # Repeat the last id to fill the statement, so that there are few different statements.
            size = next(size for size in _ASKED if size >= len(some))
            some += some[-1:] * (size - len(some))
            query = f"{_PERSONS} AND session.pbx_user_id IN ({placeholders(some, 2)})"
            rows = await self._database.fetch(query, pbx_id, *some)
            found += [(row["tenant_id"], row["object_id"]) for row in rows]
        return found

    async def list_who_want_missed_calls(self, pbx_id: str) -> list[Person]:
        """Return the people of a PBX whose telephone is on and who want messages about missed calls."""
        rows = await self._database.fetch(f"{_PERSONS} AND {_WANT_MISSED}", pbx_id)
        return [(row["tenant_id"], row["object_id"]) for row in rows]

    async def missed_until(self, person: Person) -> datetime | None:
        """Return until when the person's missed calls have been handled; None if unknown or the telephone is off."""
        row = await self._database.fetch_first(_MISSED_UNTIL, *person)
        return from_ms(row["missed_until"]) if row is not None and row["missed_until"] is not None else None

    async def claim_missed(self, person: Person, before: datetime | None, until: datetime) -> bool:
        """Advance that moment from `before` to `until`. Return False if somebody else has advanced it meanwhile."""
        was = _consent.missed_until.is_(None) if before is None else _consent.missed_until == to_ms(before)
        async with self._database.writing() as connection:
            claimed = await connection.execute(
                update(tables.phone_consent).where(_is(person), was).values(missed_until=to_ms(until))
            )
        return claimed.rowcount > 0

    async def mark_missed_handled(self, person: Person, at: datetime) -> None:
        """Advance that moment to `at` if it is earlier."""
        earlier = or_(_consent.missed_until.is_(None), _consent.missed_until < to_ms(at))
        async with self._database.writing() as connection:
            await connection.execute(
                update(tables.phone_consent).where(_is(person), earlier).values(missed_until=to_ms(at))
            )

    async def mark_lost(self, pbx_id: str, user_id: int, before: datetime, at: datetime) -> Person | None:
        """Switch off the telephone of this PBX user if it was switched on before `before`; return whose it was.

        For a connector that no longer has the user's login.
        """
        query = (
            select(_consent.tenant_id, _consent.object_id)
            .select_from(tables.phone_consent.join(tables.session, _HOLDS))
            .where(_session.pbx_id == pbx_id, _session.pbx_user_id == user_id, _consent.since < to_ms(before))
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        person = (row.tenant_id, row.object_id)
        await self.switch_off(person, at, "lost")
        return person

    async def _end(self, person: Person, session_id: str, at: datetime) -> None:
        """Delete a consent whose session has ended (audited already) or has lost its licence (audited here)."""
        async with self._database.writing() as connection:
            gone = await connection.execute(
                delete(tables.phone_consent).where(
                    _is(person),
                    _consent.session_id == session_id,
                    ~select(_session.id)
                    .where(_session.id == session_id, _session.licence_kind != ADMINISTRATION)
                    .exists(),
                )
            )
            if gone.rowcount > 0:
                await add_session_audit(
                    connection=connection,
                    of=_session.id == session_id,
                    kind=AuditKind.PHONE_OFF,
                    detail={"cause": "licence-lost"},
                    at=at,
                )


def _is(person: Person) -> ColumnElement[bool]:
    return and_(_consent.tenant_id == person[0], _consent.object_id == person[1])
