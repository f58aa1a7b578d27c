"""Which Microsoft tenants a PBX trusts: only their e-mail addresses prove anything there.

How the people of such a tenant come in, and whether this PBX is the main one of their organisation, which the tab offers
first, is decided with it. Decisions are made in `core.licensing.transactions.trusting`, because sessions end with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.identity.teams_user import TeamsUser
from core.store.database import Database
from core.store.timestamps import from_ms


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
class TrustedTenant:
    """A tenant that a PBX trusts, as its administrators see it."""

    tenant_id: str
    trusted_by: str
    """The name of the person who did; they belong to that tenant."""
    at: datetime
    trust: Trust
    is_approved: bool
    """The operator has let this PBX offer itself to the tenant's people."""
    signed_in: int
    """Sessions that this trust has proven."""


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
        query = "SELECT entry, is_primary FROM trusted_tenant WHERE pbx_id = $1 AND tenant_id = $2"
        row = await self._database.fetch_first(query, pbx_id, tenant_id)
        return Trust(Entry(row["entry"]), bool(row["is_primary"])) if row is not None else None

    async def tenants_of(self, pbx_id: str) -> Sequence[str]:
        """All that this PBX trusts."""
        query = "SELECT tenant_id FROM trusted_tenant WHERE pbx_id = $1"
        return [row["tenant_id"] for row in await self._database.fetch(query, pbx_id)]

    async def primary_of(self, tenant_id: str) -> tuple[str, str] | None:
        """Id and name of the tenant's main PBX."""
        query = (
            "SELECT pbx.id AS id, name FROM trusted_tenant JOIN pbx ON pbx.id = pbx_id"
            " WHERE tenant_id = $1 AND is_primary"
        )
        row = await self._database.fetch_first(query, tenant_id)
        return (row["id"], row["name"]) if row is not None else None

    async def trusted_tenants(self, pbx_id: str) -> Sequence[TrustedTenant]:
        """Every tenant that this PBX trusts, and those that the operator has approved for it; the oldest first."""
        trusted = (
            "SELECT tenant_id, trusted_by, at, entry, is_primary, (SELECT count(*) FROM session"
            " WHERE session.pbx_id = $1 AND session.tenant_id = trusted_tenant.tenant_id AND proof = 'email') AS signed_in"
            " FROM trusted_tenant WHERE pbx_id = $1 ORDER BY at, tenant_id"
        )
        rows = await self._database.fetch(trusted, pbx_id)
        approved = await self.approved_for(pbx_id)
        return [
            TrustedTenant(
                tenant_id=row["tenant_id"],
                trusted_by=row["trusted_by"],
                at=from_ms(row["at"]),
                trust=Trust(Entry(row["entry"]), bool(row["is_primary"])),
                is_approved=row["tenant_id"] in approved,
                signed_in=row["signed_in"],
            )
            for row in rows
        ]

    async def approved_for(self, pbx_id: str) -> Sequence[str]:
        """The tenants in whose place the operator has approved this PBX."""
        query = "SELECT tenant_id FROM tenant_approval WHERE pbx_id = $1 ORDER BY tenant_id"
        return [row["tenant_id"] for row in await self._database.fetch(query, pbx_id)]

    async def is_pinned(self, pbx_id: str, user: TeamsUser) -> bool:
        """Whether this Teams user is one of the PBX's users: has signed in there, and nobody has taken their place since."""
        query = (
            "SELECT pbx_user_id FROM pinned_identity WHERE pbx_id = $1 AND tenant_id = $2 AND object_id = $3"
        )
        return await self._database.fetch_first(query, pbx_id, user.tenant_id, user.object_id) is not None

    async def has_proven(self, pbx_id: str, user: TeamsUser, pbx_user_id: int) -> bool:
        """Whether this Teams user has been signed in at this PBX before, as this PBX user and by password."""
        query = (
            "SELECT pbx_user_id FROM pinned_identity WHERE pbx_id = $1 AND tenant_id = $2 AND object_id = $3"
            " AND pbx_user_id = $4 AND proof = 'password'"
        )
        row = await self._database.fetch_first(query, pbx_id, user.tenant_id, user.object_id, pbx_user_id)
        return row is not None
