"""The Microsoft tenants that a PBX trusts. It accepts the e-mail addresses of these tenants alone as proof of identity.

A trust also says what the tenant's members need to sign in, and whether this PBX is their organisation's main PBX, which
the tab offers first. `core.licensing.transactions.trusting` changes trusts, because sessions end with them.
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
    """What members of a trusted tenant need to sign in."""

    WITH_KEY = "with-key"
    """The PBX key and their e-mail address."""
    ONE_CLICK = "one-click"
    """Their e-mail address. The tab offers the PBX by name."""
    AUTOMATIC = "automatic"
    """Nothing: if this is the main PBX, opening the tab for the first time signs them in."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a PBX grants the members of a tenant."""

    entry: Entry
    is_primary: bool


PLAIN: Final = Trust(Entry.WITH_KEY, is_primary=False)


@dataclass(frozen=True, slots=True)
class TrustedTenant:
    """A trusted tenant as the administrators of the PBX see it."""

    tenant_id: str
    trusted_by: str
    """Name of the administrator who trusted it; they are a member of that tenant."""
    at: datetime
    trust: Trust
    is_approved: bool
    """Whether the operator has approved that this PBX is offered to the tenant's members."""
    signed_in: int
    """Number of sessions that rest on this trust."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A PBX that members of a tenant may sign in to without the PBX key."""

    pbx_id: str
    pbx_name: str
    is_primary: bool
    is_automatic: bool


class TenantTrust:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_trusted(self, pbx_id: str, tenant_id: str) -> bool:
        return await self.get(pbx_id, tenant_id) is not None

    async def get(self, pbx_id: str, tenant_id: str) -> Trust | None:
        query = "SELECT entry, is_primary FROM trusted_tenant WHERE pbx_id = $1 AND tenant_id = $2"
        row = await self._database.fetch_first(query, pbx_id, tenant_id)
        return Trust(Entry(row["entry"]), bool(row["is_primary"])) if row is not None else None

    async def tenants_of(self, pbx_id: str) -> Sequence[str]:
        """Return the ids of all tenants that this PBX trusts."""
        query = "SELECT tenant_id FROM trusted_tenant WHERE pbx_id = $1"
        return [row["tenant_id"] for row in await self._database.fetch(query, pbx_id)]

    async def primary_of(self, tenant_id: str) -> tuple[str, str] | None:
        """Return id and name of the tenant's main PBX, or None."""
        query = (
            "SELECT pbx.id AS id, name FROM trusted_tenant JOIN pbx ON pbx.id = pbx_id"
            " WHERE tenant_id = $1 AND is_primary"
        )
        row = await self._database.fetch_first(query, tenant_id)
        return (row["id"], row["name"]) if row is not None else None

    async def trusted_tenants(self, pbx_id: str) -> Sequence[TrustedTenant]:
        """Return every tenant that this PBX trusts, oldest first, and whether the operator has approved it."""
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
        """Return the ids of the tenants for which the operator, in the tenant's stead, has approved this PBX."""
        query = "SELECT tenant_id FROM tenant_approval WHERE pbx_id = $1 ORDER BY tenant_id"
        return [row["tenant_id"] for row in await self._database.fetch(query, pbx_id)]

    async def is_pinned(self, pbx_id: str, user: TeamsUser) -> bool:
        """Return whether this Teams user has signed in at this PBX, and nobody else as the same PBX user since."""
        query = (
            "SELECT pbx_user_id FROM pinned_identity WHERE pbx_id = $1 AND tenant_id = $2 AND object_id = $3"
        )
        return await self._database.fetch_first(query, pbx_id, user.tenant_id, user.object_id) is not None

    async def has_proven(self, pbx_id: str, user: TeamsUser, pbx_user_id: int) -> bool:
        """Return whether this Teams user is pinned to this PBX user, and proved that by the PBX password."""
        query = (
            "SELECT pbx_user_id FROM pinned_identity WHERE pbx_id = $1 AND tenant_id = $2 AND object_id = $3"
            " AND pbx_user_id = $4 AND proof = 'password'"
        )
        row = await self._database.fetch_first(query, pbx_id, user.tenant_id, user.object_id, pbx_user_id)
        return row is not None
