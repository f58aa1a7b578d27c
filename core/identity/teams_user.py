"""Who is asking, as Microsoft says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TeamsUser:
    """A Teams identity. Tenant and object id are the identity; the rest is text to show, never proof."""

    tenant_id: str
    object_id: str
    name: str = ""
    email: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return (self.tenant_id, self.object_id)
