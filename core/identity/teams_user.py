"""Who is asking, as Microsoft says."""

from dataclasses import dataclass

from core.store.audit import Actor


@dataclass(frozen=True, slots=True)
class TeamsUser:
    """A Teams identity. Tenant and object id are the identity; name and e-mail are text to show, never proof.

    The last three come from the token of this request (`core.identity.token_user`). They are not stored, and what is
    known of a person from the bot or the database leaves them at their defaults, which allow nothing.
    """

    tenant_id: str
    object_id: str
    name: str = ""
    email: str = ""
    verified_email: str = ""
    """The address that may be matched with a PBX user's, in its canonical form (`wire.email`); empty: none."""
    is_guest: bool = False
    """Belongs to another organisation than the tenant in which they are signed in."""
    speaks_for_tenant: bool = False
    """Holds a directory role that decides about Teams for the whole tenant."""

    @property
    def key(self) -> tuple[str, str]:
        return (self.tenant_id, self.object_id)

    def acting_as(self, pbx_user_id: int | None, name: str = "") -> Actor:
        """For the audit. `name` is shown when Microsoft told none."""
        return Actor.person(
            tenant_id=self.tenant_id,
            object_id=self.object_id,
            pbx_user_id=pbx_user_id,
            name=self.name or name,
        )
