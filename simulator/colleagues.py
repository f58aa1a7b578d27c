"""The colleagues of the demo people: they fill the demonstration's PBX and have no Teams account that one can switch to.

Names are invented. No colleague shares a name with a demo person or with a customer in the address book, so that names
typed in the chat stay unambiguous.
"""

import unicodedata
import uuid
from dataclasses import dataclass
from typing import Final

from simulator.people import PEOPLE

FIRST_LOGIN: Final = 1011
FIRST_USER_ID: Final = 2 + len(PEOPLE)
"""Id of the first colleague at the PBX, after its administrator and the demo people."""
_NAMESPACE: Final = uuid.UUID("2f1c7a52-9a0e-4d7b-8f0c-6b6a5f2d9e11")
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


@dataclass(frozen=True, slots=True)
class Colleague:
    """A PBX user of the demonstration's company. Ids and logins are the same in each run."""

    name: str
    group: str
    has_user_licence: bool
    login: str
    user_id: int
    """The id at the PBX."""

    @property
    def object_id(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, self.login))

    @property
    def email(self) -> str:
        spelt = unicodedata.normalize("NFKD", self.name.lower().translate(_GERMAN))
        return f"{spelt.encode('ascii', 'ignore').decode().replace(' ', '.')}@example.com"


_GROUPS: Final = {
    "Vertrieb": (
        "*Thomas Albrecht",
        "*Olivia Bennett",
        "Katrin Dorn",
        "*Felix Ehlers",
        "Hannah Clarke",
        "Jonas Feldmann",
        "Emily Foster",
        "Murat Güneş",
    ),
    "Service": (
        "*Birgit Hahn",
        "Stefan Jansen",
        "Liam Hughes",
        "Nadine Kaiser",
        "Markus Lorenz",
        "Grace Mitchell",
        "Selin Öztürk",
        "Holger Petersen",
        "Lena Rademacher",
        "Jack Morgan",
        "Uwe Reinhardt",
        "Marie Schäfer",
    ),
    "Buchhaltung": ("*Renate Schulte", "*Dirk Seidel", "Charlotte Reed", "Miriam Sommer"),
    "Einkauf": ("*Carsten Thiel", "Amelia Turner", "Silke Ullrich"),
    "Lager": ("*Bernd Voss", "Oliver Ward", "Dennis Wegner", "Tobias Winkler"),
    "Planung": (
        "*Julia Böhm",
        "*Henry Walker",
        "Ramona Zander",
        "Sören Ziegler",
        "*Sophie Wright",
        "Anke Zimmermann",
    ),
}
"""The PBX's groups with their members; `*` marks people with a user-assigned licence."""

COLLEAGUES: Final = tuple(
    Colleague(
        name=name.removeprefix("*"),
        group=group,
        has_user_licence=name.startswith("*"),
        login=str(FIRST_LOGIN + number),
        user_id=FIRST_USER_ID + number,
    )
    for number, (group, name) in enumerate(
        (group, name) for group, members in _GROUPS.items() for name in members
    )
)
GROUPS: Final = tuple(_GROUPS)
