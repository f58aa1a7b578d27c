"""Parses the answers of UCI and REST about a person's telephone into the records of `wire.phone`. Pure.

The members of UCI structs have a source for the call list (ProjektZeit); the others are assumed from the names of their
Java equivalents (SFWiki). REST answers follow the vendor's description 6.7. A record that cannot be parsed is skipped.
"""

import hashlib
import re
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from wire.bounds import MAX_NAME, clean_line
from wire.phone import (
    MAX_PAGE,
    Access,
    Direction,
    HistoryEntry,
    Mobile,
    PhoneDevice,
    Redirect,
    RedirectTarget,
    RedirectTrigger,
    ShownNumber,
    Voicemail,
)

T = TypeVar("T")
MAX_PHONES: Final = 50
MAX_REDIRECTS: Final = 100
MAX_NUMBER: Final = 100
MAX_SECONDS: Final = 600
TRIGGERS: Final = {
    "ALWAYS": RedirectTrigger.ALWAYS,
    "BUSY": RedirectTrigger.BUSY,
    "TIMEOUT": RedirectTrigger.NO_ANSWER,
}
MAILBOX: Final = frozenset({"VOICEMAIL", "MAILBOX"})
"""UCI's Java equivalent uses the former name, REST the latter."""
_TIME: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)T(\d\d):(\d\d):(\d\d)", re.ASCII)
_TOKEN: Final = re.compile(r"[!-~]{1,40}")


def phones(ids: Any, primary: Any, rest: Sequence[Mapping[str, Any]]) -> list[PhoneDevice]:
    """Parse `phone.getPhoneIds` and `getPrimaryPhoneId`. `rest`: the records of `/users/{id}/phoneconfig/phones`, empty if
    unknown.
    """
    known = {text(one.get("phoneName")): one for one in rest}
    found = []
    names = [name for name in ids if isinstance(name, str)] if isinstance(ids, list) else []
    for name in [*names, *(name for name in known if name not in names)][:MAX_PHONES]:
        if (
            not name
            or len(name) > MAX_NUMBER
            or not name.isprintable()
            or known.get(name, {}).get("isIFMC") is True
        ):
            continue
        found.append(
            PhoneDevice(
                phone_id=name,
                name=name.partition("/")[2] or name,
                is_primary=name == primary,
                is_active=known.get(name, {}).get("active") is not False,
            )
        )
    return found


def shown_numbers(numbers: Any, chosen: Any) -> list[ShownNumber]:
    """Parse `phone.getAvailableDisplayNumbers`. EspoCRM reads `number`; the member with the id is assumed."""
    found = []
    for one in records(numbers)[:MAX_PHONES]:
        number_id = text(one.get("id", one.get("phoneNumberId")))
        number = line(one.get("number", one.get("phoneNumber")))
        if number and _TOKEN.fullmatch(number_id):
            found.append(ShownNumber(number_id=number_id, number=number, is_chosen=number_id == text(chosen)))
    return found


def uci_redirects(
    settings: Any, mailboxes: Mapping[str, str], access: Access
) -> list[tuple[Redirect, dict[str, Any]]] | None:
    """Parse `redirect.getRedirectSettings` into redirects with their structs; None if it is not a list."""
    if not isinstance(settings, list):
        return None
    found = []
    for one in records(settings)[:MAX_REDIRECTS]:
        trigger = TRIGGERS.get(text(one.get("type")).upper())
        of_number, destination = line(one.get("calledNumber")), line(one.get("destination"))
        if trigger is None or not of_number or not isinstance(one.get("enabled"), bool):
            continue
        is_mailbox = text(one.get("destinationType")).upper() in MAILBOX
        redirect = Redirect(
            redirect_id=record_id("u", of_number, trigger.value),
            trigger=trigger,
            is_on=one["enabled"],
            target=RedirectTarget.MAILBOX if is_mailbox else RedirectTarget.NUMBER,
            number="" if is_mailbox else destination,
            mailbox=mailboxes.get(destination, "") if is_mailbox else "",
            mailbox_id=destination if is_mailbox and _TOKEN.fullmatch(destination) else "",
            seconds=_within(one.get("timeout")) if trigger is RedirectTrigger.NO_ANSWER else None,
            of_number=of_number,
            group=of_number if one.get("groupRedirect") is True else "",
            access=access,
        )
        found.append((redirect, dict(one)))
    return found


def rest_redirects(
    answer: Any, mailboxes: Mapping[str, str], access: Access
) -> list[tuple[Redirect, dict[str, Any]]] | None:
    """Parse `GET /redirects` into redirects with their records; None if it is not a list."""
    if not isinstance(answer, list):
        return None
    found = []
    for one in records(answer)[:MAX_REDIRECTS]:
        trigger = TRIGGERS.get(text(mapping(one.get("redirectTrigger")).get("redirectTriggerType")).upper())
        redirect_id = text(one.get("id"))
        if trigger is None or not _is_token(redirect_id) or not isinstance(one.get("enabled"), bool):
            continue
        to = mapping(one.get("redirectDestination"))
        is_mailbox = text(to.get("redirectDestinationType")).upper() in MAILBOX
        last_number = mapping(one.get("lastPhoneNumberDestination")).get("phoneNumber")
        last_mailbox = mapping(one.get("lastMailboxDestination")).get("mailboxId")
        mailbox_id = text(to.get("mailboxId") if is_mailbox else last_mailbox)
        of_number = line(one.get("phoneNumber"))
        redirect = Redirect(
            redirect_id=record_id("r", redirect_id),
            trigger=trigger,
            is_on=one["enabled"],
            target=RedirectTarget.MAILBOX if is_mailbox else RedirectTarget.NUMBER,
            number=line(last_number if is_mailbox else to.get("phoneNumber")),
            mailbox=mailboxes.get(mailbox_id, ""),
            mailbox_id=mailbox_id if _TOKEN.fullmatch(mailbox_id) else "",
            of_number=of_number,
            group=of_number if one.get("groupNumber") is True else "",
            access=access,
        )
        found.append((redirect, dict(one)))
    return found


def mailboxes(answer: Any) -> dict[str, str]:
    """Parse `voicemailList.getMailboxes` into names by id."""
    return {
        box_id: line(one.get("name")) or box_id
        for one in records(answer)[:MAX_PHONES]
        if (box_id := text(one.get("id")))
    }


def mobiles(answer: Any, access: Access) -> list[tuple[Mobile, dict[str, Any]]] | None:
    """Parse `GET /fmcPhones` into iFMC phones with their records; None if it is not a list."""
    if not isinstance(answer, list):
        return None
    return [
        (
            Mobile(mobile_id=mobile_id, number=line(one.get("number")), is_on=one["active"], access=access),
            dict(one),
        )
        for one in records(answer)[:MAX_PHONES]
        if _TOKEN.fullmatch(mobile_id := text(one.get("id"))) and isinstance(one.get("active"), bool)
    ]


def new_voicemails(answer: Any) -> int | None:
    """Parse `call.getCurrentMessageWaitingState`; None without a number."""
    for member in ("newMessages", "newMessageCount"):
        value = mapping(answer).get(member)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100_000:
            return value
    return None


def entries(answer: Any) -> tuple[list[HistoryEntry], int, int] | None:
    """Parse `callList.getCallList` into the entries that can be parsed, the total, and the size of the page; None if it is
    not a page.
    """
    page = mapping(answer)
    if not isinstance(page.get("entries"), list):
        return None
    listed, total = len(page["entries"]), page.get("totalCount")
    found = list(_each(records(page["entries"])[:MAX_PAGE], _entry))
    is_told = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    return found, (total if isinstance(total, int) and is_told else listed), listed


def voicemails(answer: Any) -> list[Voicemail] | None:
    """Parse `voicemailList.getVoicemailList`; None if it is not a page."""
    page = answer if isinstance(answer, list) else mapping(answer).get("entries")
    return list(_each(records(page)[:MAX_PAGE], _voicemail)) if isinstance(page, list) else None


def _entry(one: Mapping[str, Any]) -> HistoryEntry | None:
    began = moment(one.get("startTime"))
    if began is None:
        return None
    direction = {"INBOUND": Direction.IN, "OUTBOUND": Direction.OUT}.get(text(one.get("direction")).upper())
    number = line(one.get("calledNumber" if direction is Direction.OUT else "callerNumber"))
    name = line(one.get("callDescription"), MAX_NAME)
    group = line(one.get("groupId", one.get("groupID")), MAX_NAME)
    pbx_id = text(one.get("id"))
    return HistoryEntry(
        entry_id=pbx_id
        if 0 < len(pbx_id) <= MAX_NUMBER and _is_token(pbx_id)
        else record_id("h", str(began), number),
        direction=direction or Direction.UNKNOWN,
        is_answered=text(one.get("result")).upper() == "ANSWERED",
        number=number,
        name="" if name == number else name,
        began_at=began,
        seconds=_seconds(one.get("duration")),
        group="" if group in ("0", "-1") else group,
    )


def _voicemail(one: Mapping[str, Any]) -> Voicemail | None:
    began, pbx_id = moment(one.get("startTime")), text(one.get("id"))
    if began is None or not pbx_id or len(pbx_id) > MAX_NUMBER or not _is_token(pbx_id):
        return None
    number, name = line(one.get("callerNumber")), line(one.get("callDescription"), MAX_NAME)
    return Voicemail(
        message_id=pbx_id,
        mailbox=line(one.get("mailboxName"), MAX_NAME),
        number=number,
        name="" if name == number else name,
        began_at=began,
        seconds=_seconds(one.get("duration")),
        is_new={"INBOX": True, "OLD": False}.get(text(one.get("folder")).upper()),
    )


def moment(value: Any) -> datetime | None:
    """Parse a time of UCI, which has no zone; it is UTC, as ProjektZeit reads it."""
    raw = str(value) if isinstance(value, xmlrpc.client.DateTime | str) else ""
    found = _TIME.match(raw[:40])
    if found is None:
        return None
    try:
        at = datetime(*map(int, found.groups()), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return None
    return at if 1970 < at.year < 9000 else None


def wire_moment(at: datetime) -> xmlrpc.client.DateTime:
    """Return a time in the form of UCI, in whole seconds, rounded down."""
    return xmlrpc.client.DateTime(at.astimezone(UTC).strftime("%Y%m%dT%H:%M:%S"))


def record_id(*parts: str) -> str:
    """Make an id for a record that has no usable one. It is the same in each reading."""
    return (
        f"{parts[0]}-{hashlib.sha256(chr(0).join(parts).encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
    )


def records(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return (
        str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18 else ""
    )


def line(value: Any, limit: int = MAX_NUMBER) -> str:
    return clean_line(text(value), limit)


def _each(found: Sequence[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], T | None]) -> Iterator[T]:
    for one in found:
        record = read(one)
        if record is not None:
            yield record


def _is_token(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable() and " " not in value


def _seconds(value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isdigit() and len(value) < 10 else value
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 10**9 else 0


def _within(value: Any) -> int | None:
    number = int(value) if isinstance(value, str) and value.isdigit() and len(value) < 5 else value
    is_number = isinstance(number, int) and not isinstance(number, bool)
    return number if is_number and 0 <= number <= MAX_SECONDS else None
