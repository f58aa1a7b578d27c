"""The demonstration's company: a small firm for heating and ventilation in Berlin, with its customers and a week of
calls. All numbers are from ranges that the Bundesnetzagentur reserves for films and examples.
"""

import random
import uuid
from dataclasses import dataclass
from typing import Any, Final

from simulator.colleagues import COLLEAGUES
from simulator.starface.telephony import Contact, FmcPhone, Listed, Telephony, ago, whole_day

CALL_DAYS: Final = 15
OUTGOING_SHARE: Final = 0.45
ANSWERED_SHARE: Final = 0.75
NAMESPACE: Final = uuid.UUID("5b0e6f3c-6a51-4d53-9f3b-1d7c8f0f2a10")


@dataclass(frozen=True, slots=True)
class Partner:
    """An entry of the address book."""

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
        """Return the name as the PBX shows a caller."""
        return f"{self.first} {self.family}"


PARTNERS: Final = (
    Partner(
        first="Jürgen",
        family="Lindner",
        company="Hausverwaltung Lindner & Söhne",
        job="Geschäftsführer",
        office="00493023125901",
        mobile="004915228817386",
        email="j.lindner@lindner.example",
    ),
    Partner(
        first="Sabine",
        family="Weiß",
        company="Wohnungsbau Nordring eG",
        job="Technische Leitung",
        office="00494066969210",
        mobile="004915228895456",
        email="s.weiss@nordring.example",
    ),
    Partner(
        first="Mehmet",
        family="Yıldız",
        company="Bäckerei Yıldız",
        job="Inhaber",
        office="00493023125913",
        mobile="00491713920040",
        email="info@yildiz.example",
    ),
    Partner(
        first="Franziska",
        family="Hölzl",
        company="Kanzlei Hölzl",
        job="Rechtsanwältin",
        office="00498999998312",
        mobile="",
        email="kanzlei@hoelzl.example",
    ),
    Partner(
        first="Piotr",
        family="Zieliński",
        company="Zieliński Kältetechnik",
        job="Meister",
        office="00492214710115",
        mobile="004917299252904",
        email="pz@zielinski.example",
        tag="Lieferanten",
    ),
    Partner(
        first="Ute",
        family="Groß",
        company="Rohr & Bogen Großhandel",
        job="Innendienst",
        office="00496990009470",
        mobile="",
        email="ute.gross@rohrbogen.example",
        tag="Lieferanten",
    ),
    Partner(
        first="Karin",
        family="Straub",
        company="Straub Schornsteinfeger",
        job="Bezirksmeisterin",
        office="00493023125927",
        mobile="00491749091317",
        email="",
        tag="Partner",
    ),
    Partner(
        first="Tomáš",
        family="Novák",
        company="Novák Logistika",
        job="Disposition",
        office="00420555010099",
        mobile="",
        email="dispo@novak.example",
    ),
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
    """Fill the address book, with the same ids in each run."""
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


def lengthen_call_list(telephony: Telephony, user_id: int, count: int) -> None:
    """So many more calls, an hour apart, before the first one that is listed."""
    own = telephony.numbers[telephony.lines[user_id].primary_external_id].number
    known = telephony.call_lists.setdefault(user_id, [])
    before = known[0].at if known else ago()
    known[:0] = [
        Listed(
            id=str(uuid.uuid4()),
            is_outgoing=False,
            is_answered=bool(number % 3),
            caller_number=PARTNERS[number % len(PARTNERS)].office,
            called_number=own,
            description=PARTNERS[number % len(PARTNERS)].shown,
            at=before - 3600 * number,
            duration=60 * (number % 3),
        )
        for number in range(count, 0, -1)
    ]


def lengthen_history(telephony: Telephony, user_id: int) -> None:
    """Add two more weeks of calls with customers and colleagues, before the first one that is listed."""
    own = telephony.numbers[telephony.lines[user_id].primary_external_id].number
    known = telephony.call_lists.setdefault(user_id, [])
    before = known[0].at if known else ago()
    chance = random.Random(user_id)  # the same calls in each run
    others = [(partner.shown, partner.office) for partner in PARTNERS]
    others += [(colleague.name, colleague.login) for colleague in COLLEAGUES]
    calls = []
    for days in range(CALL_DAYS, 0, -1):
        for _ in range(chance.randrange(1, 5)):
            name, number = chance.choice(others)
            is_outgoing, is_answered = chance.random() < OUTGOING_SHARE, chance.random() < ANSWERED_SHARE
            calls.append(
                Listed(
                    id=str(uuid.uuid4()),
                    is_outgoing=is_outgoing,
                    is_answered=is_answered,
                    caller_number=own if is_outgoing else number,
                    called_number=number if is_outgoing else own,
                    description=name,
                    at=before - 86_400 * days + chance.randrange(8 * 3600),
                    duration=chance.randrange(15, 900) if is_answered else 0,
                )
            )
    known[:0] = sorted(calls, key=lambda call: call.at)


def give_history(telephony: Telephony, user_id: int) -> None:
    """Add a week of calls, a voicemail and a mobile phone, so that the pages have content."""
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
            id=str(uuid.uuid4()),
            is_outgoing=is_outgoing,
            is_answered=is_answered,
            caller_number=own if is_outgoing else partner.office,
            called_number=partner.office if is_outgoing else own,
            description=partner.shown,
            at=at,
            duration=seconds,
        )
        for partner, is_outgoing, is_answered, at, seconds in calls
    ]
    (box, *_) = telephony.mailboxes_of(user_id)
    telephony.add_message(
        box_id=box.id, caller=yildiz.office, called=own, words=yildiz.shown, at=ago(minutes=37), seconds=24
    )
    fmc_id = str(uuid.uuid4())
    number = f"004917139200{user_id % 100:02}"
    telephony.fmc_phones[fmc_id] = FmcPhone(
        id=fmc_id, user_id=user_id, number=number, active=False, confirm=True, delay=5, schedule=[whole_day()]
    )
