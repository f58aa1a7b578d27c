"""Finds a permission by its name. Ids and internal names differ between systems, and names depend on the PBX's language."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from connector.answers import PermissionRecord
from connector.config import LICENCE_PERMISSION

KNOWN_NAMES: Final[Sequence[frozenset[str]]] = (
    frozenset({LICENCE_PERMISSION, "Integration with Microsoft Teams", "Microsoft Teams integration"}),
    frozenset({"Administrator", "Administrators"}),
    frozenset({"API Zugriff mit OAuth Password Grant", "API access with Password Grant"}),
)
"""The names of each permission. The German names are the vendor's; "API access with Password Grant" was seen on an English
10.0.2.6 (StarCLX). The other English names are assumed."""

MAX_CANDIDATES: Final = 10
_HINTS: Final = ("teams", "microsoft")


def canonical(name: str) -> str:
    """Return the form in which names are compared; case, and the kind and number of blanks, do not matter."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def names_of(configured: str) -> frozenset[str]:
    """Return the canonical names that a permission may have: the configured one and, if it is known, its translations."""
    wanted = canonical(configured)
    known = next((names for names in KNOWN_NAMES if wanted in map(canonical, names)), frozenset[str]())
    return frozenset({wanted, *map(canonical, known)})


def is_named(permission: PermissionRecord, names: frozenset[str]) -> bool:
    return any(canonical(name) in names for name in permission.names)


def candidates(permissions: Iterable[PermissionRecord]) -> Sequence[str]:
    """Return names similar to the licence permission, for a technician who has to enter it."""
    found = {
        name for one in permissions for name in one.names if any(hint in canonical(name) for hint in _HINTS)
    }
    return sorted(found)[:MAX_CANDIDATES]
