"""Search for people to call: colleagues and contacts of the PBX, and the person's own last calls."""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from connector.errors import PbxError
from connector.line import readers
from connector.line.numbers import NumberPlan
from connector.line.rest_phone import Area, RestPhone
from wire.bounds import MAX_NAME
from wire.phone import MAX_FOUND, Found, HistoryEntry, Source

logger = logging.getLogger(__name__)

ACCOUNTS_SECONDS: Final = 300.0
MAX_ACCOUNTS: Final = 20_000
PAGE: Final = 20
MIN_LETTERS: Final = 2
"""Shorter search terms match too many people."""


class Book:
    """The address book of one PBX. Colleagues are read once for all people; contacts are requested for each search, with
    the person's own view.
    """

    def __init__(self, rest: RestPhone, plan: NumberPlan) -> None:
        self._rest = rest
        self._plan = plan
        self._accounts: list[tuple[str, Found]] = []
        self._accounts_until = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def search(self, user_id: int, text: str, calls: Sequence[HistoryEntry]) -> list[Found]:
        """Return at most `MAX_FOUND` entries, each number once: colleagues, contacts, then `calls`, the last calls."""
        term = text.casefold().strip()
        if len(term) < MIN_LETTERS:
            return []
        colleagues, contacts = await asyncio.gather(self._colleagues(term), self._contacts(user_id, text))
        return self._once((*colleagues, *contacts, *_of_calls(term, calls)))

    async def _colleagues(self, term: str) -> list[Found]:
        if time.monotonic() >= self._accounts_until:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read_accounts())
            await asyncio.shield(self._reading)
        words = term.split()
        fits = [one for known, one in self._accounts if all(word in known for word in words)]
        fits.sort(key=lambda one: (not one.name.casefold().startswith(term), one.name.casefold()))
        return fits[:MAX_FOUND]

    async def _read_accounts(self) -> None:
        try:
            answer = await self._rest.get(Area.ACCOUNTS, "/accounts")
        except PbxError as fault:
            logger.debug("colleagues cannot be read", extra={"reason": type(fault).__name__})
        else:
            found = (_colleague(one) for one in readers.records(answer)[:MAX_ACCOUNTS])
            self._accounts = [
                (f"{one.name} {one.number}".casefold(), one) for one in found if one is not None
            ]
        self._accounts_until = time.monotonic() + ACCOUNTS_SECONDS

    async def _contacts(self, user_id: int, text: str) -> list[Found]:
        """Return the contacts that this person may see; the connector's own view could include other people's private ones."""
        if not await self._rest.may(user_id, Area.CONTACTS):
            return []
        query = {"userId": str(user_id), "searchTerms": text, "page": "0", "pagesize": str(PAGE)}
        try:
            answer = await self._rest.get(Area.CONTACTS, "/contacts", query)
        except PbxError as fault:
            logger.debug("contacts cannot be read", extra={"reason": type(fault).__name__})
            return []
        return list(contacts(answer))

    def _once(self, found: Iterable[Found]) -> list[Found]:
        kept: dict[str, Found] = {}
        for one in found:
            key = self._plan.key(one.number)
            if key and key not in kept:
                kept[key] = one
            if len(kept) == MAX_FOUND:
                break
        return list(kept.values())


def contacts(answer: Any) -> Iterator[Found]:
    """Parse `GET /contacts`. The values of a contact are positional; two schemas in the same answer describe them."""
    whole = readers.mapping(answer)
    names, numbers = (_labels(whole.get(f"{part}BlockSchema")) for part in ("summary", "phoneNumbers"))
    for contact in readers.records(whole.get("contacts"))[: PAGE * 2]:
        values = dict(zip([key for key, _ in names], _texts(contact.get("summaryValues")), strict=False))
        company = next((text for key, text in values.items() if "COMPANY" in key), "")
        person = " ".join(text for key, text in values.items() if text and "COMPANY" not in key)
        listed = _texts(contact.get("phoneNumberValues"))
        for (_key, label), number in zip(numbers, listed, strict=False):
            if number:
                detail = ", ".join(part for part in (company if person else "", label) if part)
                yield Found(
                    source=Source.CONTACT, name=person or company or number, number=number, detail=detail
                )


def _labels(schema: Any) -> list[tuple[str, str]]:
    """Return key and label of each value, in the order of the values."""
    return [
        (readers.text(one.get("displayKey")).upper(), readers.line(one.get("i18nDisplayName"), MAX_NAME))
        for one in readers.records(readers.mapping(schema).get("attributes"))
    ]


def _texts(values: Any) -> list[str]:
    return [readers.line(one, MAX_NAME) for one in values] if isinstance(values, list) else []


def _colleague(account: Mapping[str, Any]) -> Found | None:
    """Parse one record of `GET /accounts`; None without a name or a number."""
    name = readers.line(account.get("displayInformation"), MAX_NAME)
    number = readers.line(account.get("primaryInternalPhoneNumber"))
    return Found(source=Source.COLLEAGUE, name=name, number=number) if name and number else None


def _of_calls(term: str, calls: Sequence[HistoryEntry]) -> Iterator[Found]:
    digits = "".join(sign for sign in term if sign.isdigit()).lstrip("0")
    for one in calls:
        fits = term in one.name.casefold() or (len(digits) >= MIN_LETTERS and digits in one.number)
        if one.number and fits:
            yield Found(source=Source.HISTORY, name=one.name or one.number, number=one.number)
