"""What the claims of a validated token say about a person: guest or member, e-mail address, directory roles.

Sources: Microsoft's "Optional claims reference" (`acct`, `xms_edov`, `verified_primary_email`, `email`), "Access token
claims reference" (`idp`, `wids`, `preferred_username`), "Migrate away from using email claims for user identification or
authorization" (verified domain owners), and the `user` resource of Microsoft Graph (the domain of a member's
`userPrincipalName` must be one that the tenant has verified). docs/trust.md says what follows from it.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from core.identity.teams_user import TeamsUser
from wire.bounds import MAX_NAME, clean_line, email_or_nothing
from wire.email import canonical_email

GLOBAL_ADMINISTRATOR: Final = "62e90394-69f5-4237-9190-012177145e10"
TEAMS_ADMINISTRATOR: Final = "69091246-20e8-4a56-aa4d-066075b2a7a8"
SPEAKS_FOR_TENANT: Final = frozenset({GLOBAL_ADMINISTRATOR, TEAMS_ADMINISTRATOR})
"""Template ids of the directory roles that decide which apps Teams shows to everybody in a tenant. Roles for calls or
for app registrations alone are not among them, because they cannot decide that.
"""

_MEMBER: Final = (0, "0")
_YES: Final = (1, "1", "true", "True")
_EXTERNAL: Final = "#EXT#"
_USER_NAMES: Final = ("preferred_username", "upn")


def parse_user(
    claims: Mapping[str, Any], tenant_id: str, object_id: str, issuers: Collection[str]
) -> TeamsUser:
    """Return the user of a validated token.

    `issuers` are the permitted values of `iss` for this tenant. A member's `idp` is one of them or absent.
    """
    guest = _is_guest(claims, issuers)
    return TeamsUser(
        tenant_id,
        object_id,
        name=clean_line(_first_text(claims, "name"), MAX_NAME),
        email=email_or_nothing(_first_text(claims, "email", *_USER_NAMES)),
        verified_email="" if guest else _verified_email(claims),
        is_guest=guest,
        speaks_for_tenant=not guest and not SPEAKS_FOR_TENANT.isdisjoint(_texts(claims.get("wids"))),
    )


def _is_guest(claims: Mapping[str, Any], issuers: Collection[str]) -> bool:
    """Return whether any claim marks the user as a guest. An absent claim marks nothing."""
    if "acct" in claims and claims["acct"] not in _MEMBER:
        return True
    if "idp" in claims and claims["idp"] not in issuers:
        return True
    names = _texts(claims.get(name) for name in (*_USER_NAMES, "unique_name"))
    return any(_EXTERNAL in name.upper() for name in names)


def _verified_email(claims: Mapping[str, Any]) -> str:
    """Return the member's verified address in canonical form, or an empty string.

    The `email` claim counts only if `xms_edov` says that its domain is verified, because anyone who administers users can
    write any address into it. If `xms_edov` says no, there is no verified address. If it is absent, the user name counts
    instead, since it cannot have a foreign domain.
    """
    primary = claims.get("verified_primary_email")
    for address in _texts(primary if isinstance(primary, list) else [primary]):
        if canonical := canonical_email(address):
            return canonical
    candidates = [claims.get(name) for name in _USER_NAMES]
    if "xms_edov" in claims:
        if claims["xms_edov"] not in _YES:
            return ""
        candidates.insert(0, claims.get("email"))
    return next(filter(None, map(canonical_email, _texts(candidates))), "")


def _first_text(claims: Mapping[str, Any], *names: str) -> str:
    """Return the first of these claims that is a text and not blank, or an empty string."""
    texts = (text.strip() for text in _texts(claims.get(name) for name in names))
    return next(filter(None, texts), "")


def _texts(values: Any) -> list[str]:
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping):
        return []
    return [value for value in values if isinstance(value, str)]
