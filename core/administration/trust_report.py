"""Reports to a connector which tenants its PBX trusts, for the module page at the customer's site."""

from core.identity.tenant_trust import TenantTrust
from wire.link import MAX_TRUSTED_SHOWN, PbxTrust, TrustedTenant


class TrustReport:
    def __init__(self, trust: TenantTrust, teams_app_id: str) -> None:
        self._trust = trust
        self._teams_app_id = teams_app_id

    async def read(self, pbx_id: str) -> PbxTrust:
        """Return the trusted tenants of the PBX, oldest first. The report names no person and no other PBX."""
        tenants = await self._trust.trusted_tenants(pbx_id)
        shown = [
            TrustedTenant(
                tenant_id=one.tenant_id,
                since=one.at,
                entry=one.trust.entry,
                is_primary=one.trust.is_primary,
                is_approved=one.is_approved,
            )
            for one in tenants[:MAX_TRUSTED_SHOWN]
        ]
        return PbxTrust(tenants=shown, total=len(tenants), teams_app_id=self._teams_app_id)
