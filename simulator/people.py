"""The demo people: their Microsoft identity and their PBX user. The e-mail address is the same in both."""

from dataclasses import dataclass
from typing import Final

TENANT_ID: Final = "7d0a6f3e-3c1b-4d6e-9a51-2f7f0f6c1a01"
APP_ID: Final = "b1c7a0de-5d4e-4b57-8a3d-0d6f3a9b2c10"
APP_SECRET: Final = "the-simulators-own-client-secret"
TEAMS_APP_ID: Final = "e6a9f2b4-8c3d-4f71-9b0e-5a7d1c2e3f40"
PBX_NAME: Final = "pbx.example.com"
LICENCE_PERMISSION: Final = "Integration mit Microsoft Teams"
ADMINISTRATOR_PERMISSION: Final = "Administrator"
TEAMS_ADMINISTRATOR: Final = "69091246-20e8-4a56-aa4d-066075b2a7a8"
NO_DIRECTORY_ROLE: Final = "b79fbf4d-3ef9-4689-8143-76b194e85509"
"""Entra puts this into `wids` for every member (assumed: seen in published tokens, not in Microsoft's
documentation)."""


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    object_id: str
    email: str
    login: str
    password: str
    role: str
    """Shown in the host's user switch."""
    directory_roles: tuple[str, ...] = (NO_DIRECTORY_ROLE,)
    """Template ids of the person's roles in Entra ID."""


PEOPLE: Final = (
    Person(
        name="Anna Berger",
        object_id="11111111-1111-4111-8111-111111111111",
        email="anna.berger@example.com",
        login="1001",
        password="anna-1001",
        role="user",
    ),
    Person(
        name="Ben Krüger",
        object_id="22222222-2222-4222-8222-222222222222",
        email="ben.krueger@example.com",
        login="1002",
        password="ben-1002",
        role="user",
    ),
    Person(
        name="Clara Vogt",
        object_id="33333333-3333-4333-8333-333333333333",
        email="clara.vogt@example.com",
        login="1003",
        password="clara-1003",
        role="administrator",
        directory_roles=(TEAMS_ADMINISTRATOR, NO_DIRECTORY_ROLE),
    ),
)


def by_object_id(object_id: str) -> Person:
    return next(person for person in PEOPLE if person.object_id == object_id)
