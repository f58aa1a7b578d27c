"""Which Microsoft tenants an administrator of a PBX has trusted: only their e-mail addresses prove anything."""

from datetime import datetime

from sqlalchemy import delete, func, select

from core.store import tables
from core.store.audit import add_audit
from core.store.database import Database, upsert
from core.store.moments import to_ms

_trust = tables.trusted_tenant.c


class TenantTrust:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_trusted(self, pbx_id: str, tenant_id: str) -> bool:
        query = select(func.count()).where(_trust.pbx_id == pbx_id, _trust.tenant_id == tenant_id)
        async with self._database.reading() as connection:
            return bool((await connection.execute(query)).scalar_one())

    async def set_trusted(
        self, pbx_id: str, tenant_id: str, *, trusted: bool, actor: str, at: datetime
    ) -> None:
        """Idempotent; only a change is audited."""
        async with self._database.writing() as connection:
            if trusted:
                changed = await connection.execute(
                    upsert(connection, tables.trusted_tenant)
                    .values(pbx_id=pbx_id, tenant_id=tenant_id, trusted_by=actor, at=to_ms(at))
                    .on_conflict_do_nothing()
                )
            else:
                changed = await connection.execute(
                    delete(tables.trusted_tenant).where(
                        _trust.pbx_id == pbx_id, _trust.tenant_id == tenant_id
                    )
                )
            if changed.rowcount:
                kind = "tenant-trusted" if trusted else "tenant-distrusted"
                await add_audit(connection, pbx_id, kind, actor, tenant_id, at)
