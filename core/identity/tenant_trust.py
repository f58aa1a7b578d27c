"""Which Microsoft tenants an administrator of a PBX has trusted: only their e-mail addresses prove anything.

An administrator decides as well how the people of such a tenant come in, and whether this PBX is the main one of
their organisation: the one that the tab offers first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.store import tables
from core.store.audit import add_audit
from core.store.database import Database, upsert
from core.store.moments import to_ms

_trust = tables.trusted_tenant.c
_pbx = tables.pbx.c


class Entry(StrEnum):
    """What people of a trusted tenant need for signing in."""

    WITH_KEY = "with-key"
    """The PBX key, and then their e-mail address."""
    ONE_CLICK = "one-click"
    """No key: the tab offers the PBX by its name."""
    AUTOMATIC = "automatic"
    """Nothing, where this is the main PBX: the first opening of the tab signs them in."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a PBX has decided about a tenant."""

    entry: Entry
    is_primary: bool


PLAIN: Final = Trust(Entry.WITH_KEY, is_primary=False)


@dataclass(frozen=True, slots=True)
class Offer:
    """A PBX that people of a tenant may enter without its key."""

    pbx_id: str
    pbx_name: str
    is_primary: bool
    is_automatic: bool


class TenantTrust:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_trusted(self, pbx_id: str, tenant_id: str) -> bool:
        return await self.of(pbx_id, tenant_id) is not None

    async def of(self, pbx_id: str, tenant_id: str) -> Trust | None:
        query = select(_trust.entry, _trust.is_primary).where(
            _trust.pbx_id == pbx_id, _trust.tenant_id == tenant_id
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return Trust(Entry(row.entry), row.is_primary) if row is not None else None

    async def offers(self, tenant_id: str) -> Sequence[Offer]:
        """The main PBX first, then by name."""
        query = (
            select(_trust.pbx_id, _pbx.name, _trust.is_primary, _trust.entry)
            .join(tables.pbx, _pbx.id == _trust.pbx_id)
            .where(_trust.tenant_id == tenant_id, _trust.entry != Entry.WITH_KEY)
            .order_by(_trust.is_primary.desc(), _pbx.name)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Offer(row.pbx_id, row.name, row.is_primary, row.is_primary and row.entry == Entry.AUTOMATIC)
            for row in rows
        ]

    async def primary_of(self, tenant_id: str) -> tuple[str, str] | None:
        """Id and name of the tenant's main PBX."""
        query = (
            select(_trust.pbx_id, _pbx.name)
            .join(tables.pbx, _pbx.id == _trust.pbx_id)
            .where(_trust.tenant_id == tenant_id, _trust.is_primary)
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return (row.pbx_id, row.name) if row is not None else None

    async def put(
        self, pbx_id: str, tenant_id: str, trust: Trust | None, *, actor: str, at: datetime
    ) -> Finding | None:
        """Trusts as told, or (None) no longer. Idempotent; only a change is audited. A main PBX stays the main one until
        its own administrator gives that up: another is refused, so that nobody leads an organisation's people away.
        """
        try:
            async with self._database.writing() as connection:
                where = (_trust.pbx_id == pbx_id, _trust.tenant_id == tenant_id)
                stored = select(_trust.entry, _trust.is_primary).where(*where).with_for_update()
                row = (await connection.execute(stored)).one_or_none()
                before = Trust(Entry(row.entry), row.is_primary) if row is not None else None
                if trust == before:
                    return None
                if trust is None:
                    await connection.execute(delete(tables.trusted_tenant).where(*where))
                else:
                    decided = {"entry": trust.entry, "is_primary": trust.is_primary}
                    await connection.execute(
                        upsert(connection, tables.trusted_tenant)
                        .values(pbx_id=pbx_id, tenant_id=tenant_id, trusted_by=actor, at=to_ms(at), **decided)
                        .on_conflict_do_update(index_elements=["pbx_id", "tenant_id"], set_=decided)
                    )
                if before is None or trust is None:
                    kind = "tenant-distrusted" if trust is None else "tenant-trusted"
                    await add_audit(connection, pbx_id, kind, actor, tenant_id, at)
                if trust is not None and trust != (before or PLAIN):
                    detail = {"entry": trust.entry, "primary": trust.is_primary}
                    await add_audit(connection, pbx_id, "entry-changed", actor, tenant_id, at, detail)
        except IntegrityError:
            primary = await self.primary_of(tenant_id)
            if primary is None:  # given up in this very moment
                return await self.put(pbx_id, tenant_id, trust, actor=actor, at=at)
            return Finding(Code.PRIMARY_ELSEWHERE, {"pbx_name": primary[1]})
        return None
