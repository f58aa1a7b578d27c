"""A person as Microsoft identifies them."""

from dataclasses import dataclass

from core.store.audit import Actor


@dataclass(frozen=True, slots=True)
class TeamsUser:
    """A Teams identity. Tenant and object id are the identity; name and e-mail are display text, never proof.

    The last three fields come from the token of the current request (`core.identity.token_user`). They are not stored. A
    user known from the bot or the database has their defaults, which permit nothing.
    """

    tenant_id: str
    object_id: str
    name: str = ""
    email: str = ""
    verified_email: str = ""
    """The address that may be matched with a PBX user's, in canonical form (`wire.email`). Empty if there is none."""
    is_guest: bool = False
    """Whether the user's home is another organisation than the tenant in which they are signed in."""
    speaks_for_tenant: bool = False
    """Whether the user has a directory role that administers Teams for the whole tenant."""

    @property
    def key(self) -> tuple[str, str]:
        return (self.tenant_id, self.object_id)

    def acting_as(self, pbx_user_id: int | None, name: str = "") -> Actor:
        """Return this user as the actor of an audit row. `name` is used if Microsoft supplies no name."""
        return Actor.person(
            tenant_id=self.tenant_id,
            object_id=self.object_id,
            pbx_user_id=pbx_user_id,
            name=self.name or name,
        )
