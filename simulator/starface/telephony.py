"""The telephones of the simulated PBX: numbers, phones, redirects, boxes, lists, keys, contacts. Members follow the
vendor's description of REST 6.7 where it has them. How the parts interact is assumed unless a source is named.
"""

import itertools
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

BLOCK: Final = "00493023125"
"""A block of numbers that the Bundesnetzagentur reserves for films and examples."""
DIRECT_DIALS: Final = 800
"""Users with this id and above have no direct outside number; numbers from it on belong to groups."""
WHOLE_WEEK: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Right(StrEnum):
    """Rights for a telephone: names of the columns in the vendor's page on rights."""

    CALL = "callman_perm"
    REDIRECT = "redirect_perm"
    GROUP_REDIRECT = "group_redirect_perm"
    CALL_LIST = "calllist_perm"
    ADDRESS = "address_perm"
    VOICE = "voice_perm"
    SETTING = "setting_perm"
    IFMC = "ifmc"


RIGHT_NAMES: Final = {
    Right.REDIRECT: "Rufumleitungen",
    Right.CALL: "Anrufsteuerung",
    Right.GROUP_REDIRECT: "Gruppenumleitungen",
    Right.CALL_LIST: "Ruflisten",
    Right.ADDRESS: "Adressbuch",
    Right.VOICE: "Voicemail",
    Right.SETTING: "Einstellungen",
    Right.IFMC: "iFMC",
}
"""Names in the list of permissions (assumed)."""


class Trigger(StrEnum):
    ALWAYS = "ALWAYS"
    BUSY = "BUSY"
    TIMEOUT = "TIMEOUT"


class Destination(StrEnum):
    """UCI's Java twin calls MAILBOX "VOICEMAIL" (SFM, RedirectionFK)."""

    MAILBOX = "MAILBOX"
    PHONE_NUMBER = "PHONENUMBER"


class NumberKind(StrEnum):
    INTERNAL = "INTERNAL"
    EXTERNAL = "EXTERNAL"


@dataclass
class Number:
    id: int
    number: str
    kind: NumberKind
    user_id: int | None = None
    group_id: int | None = None
    service_id: int = 1


@dataclass
class Phone:
    id: int
    name: str
    """Its id in UCI, such as "SIP/mydevice" (TMA, MXH)."""
    user_id: int
    active: bool = True
    is_ifmc: bool = False
    silent_numbers: set[int] = field(default_factory=set)
    """Ids of numbers for which this phone does not ring."""


@dataclass
class Line:
    """A user's settings for their own telephone."""

    user_id: int
    primary_phone_id: int
    display_number_id: int
    primary_internal_id: int
    primary_external_id: int
    call_waiting: bool = True
    do_not_disturb: bool = False
    chat_presence: str = "AVAILABLE"
    chat_message: str = ""


@dataclass
class Redirect:
    id: str
    number: Number
    trigger: Trigger
    mailbox_id: str
    enabled: bool = False
    destination: Destination = Destination.MAILBOX
    phone_number: str = ""
    timeout: int = 20
    """In seconds; UCI has this member, REST does not."""


@dataclass
class FmcPhone:
    id: str
    user_id: int
    number: str
    active: bool
    confirm: bool
    delay: int
    schedule: list[dict[str, Any]]
    telephone_id: str = ""


@dataclass
class Mailbox:
    id: int
    name: str
    number: str
    pin: str
    users: set[int] = field(default_factory=set)
    groups: set[int] = field(default_factory=set)
    maximum_duration: int = 120
    no_record: bool = False


@dataclass
class Message:
    """A voicemail message."""

    id: str
    mailbox_id: int
    caller_number: str
    called_number: str
    description: str
    at: float
    duration: int
    folder: str = "INBOX"


@dataclass
class Listed:
    """An entry of a user's call list."""

    id: str
    is_outgoing: bool
    is_answered: bool
    caller_number: str
    called_number: str
    description: str
    at: float
    duration: int
    group_id: str = ""


def started(one: Listed) -> float:
    return one.at


@dataclass
class KeySet:
    id: str
    name: str
    user_id: int
    keys: list[dict[str, Any]] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)


@dataclass
class Contact:
    """A contact. `content` is the body in REST format; without an owner it belongs to everybody."""

    id: str
    content: dict[str, Any]
    owner: int | None = None

    def attributes(self) -> Iterator[dict[str, Any]]:
        for block in self.content.get("blocks", ()):
            yield from block.get("attributes", ())

    def value(self, key: str) -> str:
        return next((str(one.get("value", "")) for one in self.attributes() if one["displayKey"] == key), "")

    def numbers(self) -> list[str]:
        return [
            str(one.get("value", "")) for one in self.attributes() if one["displayKey"].endswith("NUMBER")
        ]


class Telephony:
    """All telephone data, by ids of users and groups."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.numbers: dict[int, Number] = {}
        self.phones: dict[int, Phone] = {}
        self.lines: dict[int, Line] = {}
        self.redirects: dict[str, Redirect] = {}
        self.fmc_phones: dict[str, FmcPhone] = {}
        self.mailboxes: dict[int, Mailbox] = {}
        self.messages: list[Message] = []
        self.call_lists: dict[int, list[Listed]] = {}
        """By when the calls began (`started`)."""
        """Newest last."""
        self.key_sets: dict[str, KeySet] = {}
        self.contacts: dict[str, Contact] = {}
        self.tags: dict[str, dict[str, Any]] = {}
        self.conferences: dict[int, dict[int, dict[str, Any]]] = {}
        self.conference_configuration: dict[str, Any] = {}
        self.avatars: dict[int, tuple[str, bytes]] = {}

    def next_id(self) -> int:
        return next(self._ids)

    def add_user(self, user_id: int, login: str, name: str) -> None:
        internal = self.add_number(login, NumberKind.INTERNAL, user_id=user_id)
        external = internal
        if user_id < DIRECT_DIALS - 100:
            external = self.add_number(f"{BLOCK}{100 + user_id}", NumberKind.EXTERNAL, user_id=user_id)
        desk, soft = (self.add_phone(user_id, f"SIP/{kind}-{login}") for kind in ("snom", "app"))
        self.lines[user_id] = Line(
            user_id=user_id,
            primary_phone_id=desk.id,
            display_number_id=external.id,
            primary_internal_id=internal.id,
            primary_external_id=external.id,
        )
        box = self.add_mailbox(name, f"*9{login}")
        box.users.add(user_id)
        for number in dict.fromkeys((internal.id, external.id)):
            self._add_redirects(self.numbers[number], str(box.id))
        keys = KeySet(str(uuid.uuid4()), "Standard", user_id, phones=[desk.name, soft.name])
        self.key_sets[keys.id] = keys

    def add_group(self, group_id: int, name: str) -> None:
        internal = self.add_number(f"8{group_id:02}", NumberKind.INTERNAL, group_id=group_id)
        box = self.add_mailbox(name, f"*98{group_id:02}")
        box.groups.add(group_id)
        self._add_redirects(internal, str(box.id))
        if group_id < 1000 - DIRECT_DIALS:
            number = f"{BLOCK}{DIRECT_DIALS + group_id}"
            self._add_redirects(self.add_number(number, NumberKind.EXTERNAL, group_id=group_id), str(box.id))

    def remove(self, *, user_id: int | None = None, group_id: int | None = None) -> None:
        """Remove all data of a deleted user or group."""
        gone = {one.id for one in self.numbers.values() if (one.user_id, one.group_id) == (user_id, group_id)}
        for number_id in gone:
            del self.numbers[number_id]
        self.redirects = {key: one for key, one in self.redirects.items() if one.number.id not in gone}
        if user_id is None:
            return
        self.phones = {key: one for key, one in self.phones.items() if one.user_id != user_id}
        self.fmc_phones = {key: one for key, one in self.fmc_phones.items() if one.user_id != user_id}
        self.key_sets = {key: one for key, one in self.key_sets.items() if one.user_id != user_id}
        for of_user in (self.lines, self.call_lists, self.conferences, self.avatars):
            of_user.pop(user_id, None)

    def add_number(self, number: str, kind: NumberKind, **owner: int) -> Number:
        made = Number(self.next_id(), number, kind, **owner)
        self.numbers[made.id] = made
        return made

    def add_phone(self, user_id: int, name: str) -> Phone:
        phone = Phone(self.next_id(), name, user_id)
        self.phones[phone.id] = phone
        return phone

    def add_mailbox(self, name: str, number: str) -> Mailbox:
        box = Mailbox(id=self.next_id(), name=name, number=number, pin="0000")
        self.mailboxes[box.id] = box
        return box

    def add_message(self, box_id: int, caller: str, called: str, words: str, at: float, seconds: int) -> None:
        self.messages.append(
            Message(
                id=str(uuid.uuid4()),
                mailbox_id=box_id,
                caller_number=caller,
                called_number=called,
                description=words,
                at=at,
                duration=seconds,
            )
        )

    def phones_of(self, user_id: int) -> list[Phone]:
        return [one for one in self.phones.values() if one.user_id == user_id]

    def numbers_of(self, user_id: int) -> list[Number]:
        return [one for one in self.numbers.values() if one.user_id == user_id]

    def mailboxes_of(self, user_id: int) -> list[Mailbox]:
        return [one for one in self.mailboxes.values() if user_id in one.users]

    def key_sets_of(self, user_id: int) -> list[KeySet]:
        return [one for one in self.key_sets.values() if one.user_id == user_id]

    def number(self, dialled: str) -> Number | None:
        """Return the number of this PBX that is dialled, in any notation."""
        wanted = canonical(dialled)
        return next((one for one in self.numbers.values() if one.number == wanted), None)

    def redirect(self, number: Number, trigger: Trigger) -> Redirect | None:
        """Return the active redirect."""
        for one in self.redirects.values():
            if one.number is number and one.trigger is trigger and one.enabled:
                return one
        return None

    def reset_switches(self) -> None:
        """Set do-not-disturb, call waiting, primary phone and redirects of everybody as they are for a new user."""
        for line in self.lines.values():
            line.do_not_disturb, line.call_waiting = False, True
            line.primary_phone_id = self.phones_of(line.user_id)[0].id
        for one in self.redirects.values():
            fresh = Redirect(one.id, one.number, one.trigger, one.mailbox_id)
            self.redirects[one.id] = fresh

    def _add_redirects(self, number: Number, mailbox_id: str) -> None:
        """Add the fixed set: each number with each trigger (REST has neither POST nor DELETE)."""
        for trigger in Trigger:
            redirect = Redirect(
                id=f"{number.id}-{trigger.lower()}", number=number, trigger=trigger, mailbox_id=mailbox_id
            )
            self.redirects[redirect.id] = redirect


def canonical(number: str) -> str:
    """Return a number as the PBX stores it: 00, country, number (o-byte, Fluxpunkt); internal numbers and star
    codes are unchanged.
    """
    digits = "".join(sign for sign in number if sign.isdigit() or sign in "+*#")
    if digits.startswith("+"):
        return f"00{digits[1:]}"
    if len(digits) > 5 and digits.startswith("0") and not digits.startswith("00"):
        return f"0049{digits[1:]}"
    return digits


def whole_day() -> dict[str, Any]:
    return {**dict.fromkeys(WHOLE_WEEK, True), "timeBegin": "00:00", "timeEnd": "24:00"}


def ago(*, days: float = 0, hours: float = 0, minutes: float = 0) -> float:
    return time.time() - days * 86_400 - hours * 3_600 - minutes * 60
