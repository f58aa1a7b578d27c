"""The demonstration's company: a small firm for heating and ventilation in Berlin, with its customers and a week of calls.

All numbers are of ranges that the Bundesnetzagentur keeps free for films and examples.
"""

import uuid
from dataclasses import dataclass
from typing import Any, Final

from simulator.starface.telephony import Contact, FmcPhone, Listed, Telephony, ago, whole_day

NAMESPACE: Final = uuid.UUID("5b0e6f3c-6a51-4d53-9f3b-1d7c8f0f2a10")


@dataclass(frozen=True, slots=True)
class Partner:
    """Somebody in the address book."""

    first: str
    family: str
    company: str
    job: str
    office: str
    mobile: str = ""
    email: str = ""
    tag: str = "Kunden"

    @property
    def shown(self) -> str:
        """As the PBX names a caller."""
        return f"{self.first} {self.family}"


PARTNERS: Final = (
    Partner(
        "Jürgen",
        "Lindner",
        "Hausverwaltung Lindner & Söhne",
        "Geschäftsführer",
        "00493023125901",
        "004915228817386",
        "j.lindner@lindner.example",
    ),
    Partner(
        "Sabine",
        "Weiß",
        "Wohnungsbau Nordring eG",
        "Technische Leitung",
        "00494066969210",
        "004915228895456",
        "s.weiss@nordring.example",
    ),
    Partner(
        "Mehmet",
        "Yıldız",
        "Bäckerei Yıldız",
        "Inhaber",
        "00493023125913",
        "00491713920040",
        "info@yildiz.example",
    ),
    Partner(
        "Franziska",
        "Hölzl",
        "Kanzlei Hölzl",
        "Rechtsanwältin",
        "00498999998312",
        "",
        "kanzlei@hoelzl.example",
    ),
    Partner(
        "Piotr",
        "Zieliński",
        "Zieliński Kältetechnik",
        "Meister",
        "00492214710115",
        "004917299252904",
        "pz@zielinski.example",
        "Lieferanten",
    ),
    Partner(
        "Ute",
        "Groß",
        "Rohr & Bogen Großhandel",
        "Innendienst",
        "00496990009470",
        "",
        "ute.gross@rohrbogen.example",
        "Lieferanten",
    ),
    Partner(
        "Karin",
        "Straub",
        "Straub Schornsteinfeger",
        "Bezirksmeisterin",
        "00493023125927",
        "00491749091317",
        "",
        "Partner",
    ),
    Partner("Tomáš", "Novák", "Novák Logistika", "Disposition", "00420555010099", "", "dispo@novak.example"),
)
SUMMARY: Final = ("NAME", "SURNAME", "COMPANY")
PHONES: Final = ("OFFICE_PHONE_NUMBER", "MOBILE_PHONE_NUMBER", "PRIVATE_PHONE_NUMBER")
LABELS: Final = {
    "NAME": "Vorname",
    "SURNAME": "Nachname",
    "COMPANY": "Firma",
    "JOB_TITLE": "Position",
    "EMAIL": "E-Mail",
    "OFFICE_PHONE_NUMBER": "Telefon geschäftlich",
    "MOBILE_PHONE_NUMBER": "Mobil",
    "PRIVATE_PHONE_NUMBER": "Telefon privat",
}


def attribute(key: str, value: str) -> dict[str, Any]:
    return {
        "displayKey": key,
        "name": key.lower().replace("_", ""),
        "i18nDisplayName": LABELS[key],
        "value": value,
    }


def fill(telephony: Telephony) -> None:
    """The address book: the same ids in each run."""
    for name in dict.fromkeys(partner.tag for partner in PARTNERS):
        tag_id = str(uuid.uuid5(NAMESPACE, f"tag {name}"))
        telephony.tags[tag_id] = {"id": tag_id, "name": name, "alias": name, "owner": ""}
    for partner in PARTNERS:
        contact_id = str(uuid.uuid5(NAMESPACE, partner.shown))
        (tag,) = (one for one in telephony.tags.values() if one["name"] == partner.tag)
        person = {"NAME": partner.first, "SURNAME": partner.family, "COMPANY": partner.company}
        more = {"JOB_TITLE": partner.job, "EMAIL": partner.email}
        numbers = {"OFFICE_PHONE_NUMBER": partner.office, "MOBILE_PHONE_NUMBER": partner.mobile}
        blocks = [
            {"name": name, "resourceKey": key, "attributes": [attribute(*one) for one in values.items()]}
            for name, key, values in (
                ("Kontakt", "contact", person | more),
                ("Telefon", "telephone", {key: number for key, number in numbers.items() if number}),
            )
        ]
        content = {"blocks": blocks, "tags": [tag], "editable": True}
        telephony.contacts[contact_id] = Contact(contact_id, content)


def give_history(telephony: Telephony, user_id: int) -> None:
    """A week of calls, a message in the box and a mobile phone: what a person would find who looks."""
    lindner, weiss, yildiz, hoelzl, zielinski, gross, straub, _novak = PARTNERS
    own = telephony.numbers[telephony.lines[user_id].primary_external_id].number
    calls = (
        (lindner, False, True, ago(days=6, hours=2), 312),
        (gross, True, True, ago(days=5, hours=1), 148),
        (hoelzl, True, False, ago(days=4, hours=6), 0),
        (weiss, False, False, ago(days=3, hours=3), 0),
        (weiss, True, True, ago(days=3, hours=2), 655),
        (straub, False, True, ago(days=1, hours=5), 74),
        (zielinski, True, True, ago(hours=4), 221),
        (yildiz, False, False, ago(minutes=38), 0),
    )
    telephony.call_lists[user_id] = [
        Listed(
            str(uuid.uuid4()),
            is_outgoing,
            is_answered,
            own if is_outgoing else partner.office,
            partner.office if is_outgoing else own,
            partner.shown,
            at,
            seconds,
        )
        for partner, is_outgoing, is_answered, at, seconds in calls
    ]
    (box, *_) = telephony.mailboxes_of(user_id)
    telephony.add_message(box.id, yildiz.office, own, yildiz.shown, ago(minutes=37), 24)
    fmc_id = str(uuid.uuid4())
    number = f"004917139200{user_id % 100:02}"
    telephony.fmc_phones[fmc_id] = FmcPhone(fmc_id, user_id, number, False, True, 5, [whole_day()])
