"""The settings of a person's telephone: phones, numbers, do-not-disturb, redirects, iFMC, new messages.

They are read on demand, kept for a while, and read again after each change, so that people see what the PBX says. If a
setting cannot be read, the last known value remains. UCI is preferred, because there the person's own rights apply. REST
has the do-not-disturb flag, the iFMC phones, and redirects if UCI has none.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from connector.errors import PbxAnswerError, PbxError, PhoneError
from connector.line import features, readers
from connector.line.capabilities import get_capabilities
from connector.line.rest_phone import Area, RestPhone
from connector.line.uci_requests import UciRequests
from core.diagnosis.codes import Code
from wire.phone import (
    NOTHING_KNOWN,
    Access,
    Feature,
    LineState,
    Mobile,
    Offer,
    PhoneCall,
    PhoneDevice,
    PhoneLine,
    Redirect,
    RedirectTarget,
    SetMobile,
    SetRedirect,
    ShownNumber,
)

logger = logging.getLogger(__name__)

FRESH_SECONDS: Final = 30.0
WAIT_SECONDS: Final = 1.5
"""How long the first snapshot waits for the settings; the calls are known without them."""


class UciSettings:
    def __init__(
        self,
        user_id: int,
        uci: UciRequests,
        rest: RestPhone,
        has_by_uci: Callable[[str], bool],
        changed: Callable[[], None],
    ) -> None:
        self._user_id = user_id
        self._uci = uci
        self._rest = rest
        self._has_by_uci = has_by_uci
        self._changed = changed
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._is_outdated = False
        self._phones: list[PhoneDevice] | None = None
        self._numbers: list[ShownNumber] = []
        self._mailboxes: dict[str, str] = {}
        self._do_not_disturb: bool | None = None
        self._redirects: list[tuple[Redirect, dict[str, Any]]] | None = None
        self._are_redirects_of_uci = False
        self._mobiles: list[tuple[Mobile, dict[str, Any]]] | None = None
        self._new_voicemails: int | None = None
        self._by_rest: dict[Feature, Access] = {Feature.SEARCH: Access.READ_ONLY}
        self._detail: str | None = None

    def line(self, state: LineState, calls: list[PhoneCall]) -> PhoneLine:
        offered = self._uci.offer.features(self._by_rest) if self._read_at is not None else {}
        return PhoneLine(
            state=state,
            features=offered,
            capabilities=self._capabilities(),
            calls=calls,
            phones=self._phones or [],
            shown_numbers=self._numbers,
            do_not_disturb=self._do_not_disturb,
            redirects=self._shown_redirects() if Feature.REDIRECTS in offered else None,
            mobiles=[one for one, _ in self._mobiles] if self._mobiles is not None else None,
            new_voicemails=self._new_voicemails,
            detail=self._detail,
        )

    def _capabilities(self) -> dict[Feature, Offer]:
        if self._read_at is None:
            return dict(NOTHING_KNOWN)
        by_rest = {Area.REDIRECTS: Feature.REDIRECTS, Area.MOBILES: Feature.MOBILES}
        access = {
            area: self._by_rest[feature] for area, feature in by_rest.items() if feature in self._by_rest
        }
        # A line that has been read was logged in, which includes the subscription to call events.
        return get_capabilities(self._uci.offer, self._rest, access, receives_calls=True)

    def phone_name(self, phone_id: str) -> str | None:
        """Return the name of a phone: empty if unknown, None if it is not one of the person's phones."""
        if self._phones is None:
            return ""
        if not phone_id:
            return next((one.name for one in self._phones if one.is_primary), "")
        return next((one.name for one in self._phones if one.phone_id == phone_id), None)

    @property
    def own_numbers(self) -> frozenset[str]:
        return frozenset(one.number for one in self._numbers)

    def outdate(self) -> None:
        """Mark the settings as outdated, because something has changed or may have changed."""
        self._is_outdated = True

    def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    def begin_to_read(self) -> None:
        """Start to read the settings if they have never been read."""
        if self._read_at is None:
            self._begin()

    async def read_soon(self) -> None:
        """Read outdated settings in the background. The first caller waits a little for them; later ones use the known
        settings, and `changed` is called if they differ.
        """
        age = time.monotonic() - self._read_at if self._read_at is not None else FRESH_SECONDS
        if age < FRESH_SECONDS and not self._is_outdated:
            return
        reading = self._begin()
        if self._read_at is None:
            await asyncio.wait({reading}, timeout=WAIT_SECONDS)

    async def show_number(self, number_id: str) -> None:
        """Set the number that the called person sees, for this and later calls: the PBX stores one for each person."""
        if number_id and not any(one.number_id == number_id and one.is_chosen for one in self._numbers):
            await self._change(features.SET_SHOWN_NUMBER, number_id)

    async def set_primary_phone(self, phone_id: str) -> None:
        await self._change(features.SET_PRIMARY, phone_id)

    async def set_do_not_disturb(self, *, on: bool) -> None:
        """Set do-not-disturb by UCI; by REST, it would also write back the phone and number that were read before."""
        await self._change(features.SET_DO_NOT_DISTURB, on)

    async def set_redirect(self, wanted: SetRedirect) -> None:
        await self._read_now()
        found = next((one for one in self._redirects or () if one[0].redirect_id == wanted.redirect_id), None)
        if found is None or found[0].access is not Access.CHANGE:
            raise PhoneError(Code.PHONE_NOT_OFFERED, "no redirect that this person may change")
        redirect, record = found
        if wanted.mailbox_id and wanted.mailbox_id not in {redirect.mailbox_id, *self._mailboxes}:
            raise PhoneError(Code.PHONE_NOT_OFFERED, "not a mailbox of this person")
        target = wanted.target or redirect.target
        number = wanted.number or redirect.number
        mailbox_id = wanted.mailbox_id or redirect.mailbox_id or next(iter(self._mailboxes), "")
        if wanted.is_on and not (mailbox_id if target is RedirectTarget.MAILBOX else number):
            raise PhoneError(Code.NUMBER_UNUSABLE, "a redirect needs somewhere to go", number=number)
        if self._are_redirects_of_uci:
            is_mailbox = target is RedirectTarget.MAILBOX
            setting = record | {
                "enabled": wanted.is_on,
                "destinationType": "VOICEMAIL" if is_mailbox else "PHONENUMBER",
                "destination": mailbox_id if is_mailbox else number,
            }
            if wanted.seconds is not None:
                setting["timeout"] = wanted.seconds
            await self._change(features.SET_REDIRECT, setting)
        else:
            to = (
                {"redirectDestinationType": "MAILBOX", "mailboxId": mailbox_id}
                if target is RedirectTarget.MAILBOX
                else {"redirectDestinationType": "PHONENUMBER", "phoneNumber": number}
            )
            body = record | {"enabled": wanted.is_on, "redirectDestination": to}
            path = f"/redirects/{quote(str(record['id']), safe='')}"
            await self._rest.put(
                area=Area.REDIRECTS, path=path, body=body, query={"actOnBehalfOf": str(self._user_id)}
            )
            await self._read_after_change()

    async def set_mobile(self, wanted: SetMobile) -> None:
        await self._read_now()
        found = next((one for one in self._mobiles or () if one[0].mobile_id == wanted.mobile_id), None)
        if found is None or found[0].access is not Access.CHANGE:
            raise PhoneError(Code.PHONE_NOT_OFFERED, "no phone that this person may change")
        _, record = found
        path = f"/fmcPhones/{quote(wanted.mobile_id, safe='')}"
        body = record | {"active": wanted.is_on}
        await self._rest.put(area=Area.MOBILES, path=path, body=body, query={"userId": str(self._user_id)})
        await self._read_after_change()

    async def _change(self, request: str, *params: Any) -> None:
        """Change a setting by UCI and read the settings again. Raises `PhoneError` if the PBX refuses."""
        if await self._uci.ask(request, *params) is False:
            raise PhoneError(Code.PHONE_NOT_OFFERED, f"the PBX does not take {request}")
        await self._read_after_change()

    async def _read_after_change(self) -> None:
        self.outdate()
        await self._read_now()
        self._changed()

    async def _read_now(self) -> None:
        """Wait for a new reading; a reading that began earlier does not count."""
        if self._reading is not None and not self._reading.done():
            await asyncio.wait({self._reading})
        await asyncio.wait({self._begin()})  # it may end with the line

    def _begin(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        before = self.line(LineState.UP, []) if self._read_at is not None else None
        self._is_outdated, faults = False, list[PbxError]()
        await self._uci.renew_offer()
        await self._part(faults, self._read_mailboxes)
        parts = (self._read_phones, self._read_numbers, self._read_do_not_disturb)
        more = (self._read_redirects, self._read_mobiles, self._read_voicemails)
        await asyncio.gather(*(self._part(faults, read) for read in (*parts, *more)))
        self._detail = f"{faults[0].code}: {type(faults[0]).__name__}" if faults else None
        self._read_at = time.monotonic()
        if before != self.line(LineState.UP, []):
            self._changed()

    @staticmethod
    async def _part(faults: list[PbxError], read: Callable[[], Awaitable[None]]) -> None:
        try:
            await read()
        except PhoneError as refused:
            if refused.code != Code.PHONE_NOT_OFFERED:
                faults.append(refused)
        except PbxError as fault:
            faults.append(fault)
        except Exception as odd:  # noqa: BLE001 - a fault in one part must not affect the others
            # Without the exception: its words may hold a number or a name.
            logger.error("a part of a telephone is not understood", extra={"reason": type(odd).__name__})  # noqa: TRY400
            faults.append(PbxAnswerError("telephone", 200, type(odd).__name__))

    async def _read_phones(self) -> None:
        if not self._uci.offer.has(features.PHONES):
            self._phones = None
            return
        ids = await self._uci.ask(features.PHONES)
        primary = await self._uci.ask(features.PRIMARY)
        known: list[Any] = []
        try:
            answer = await self._rest.get(Area.PHONES, f"/users/{self._user_id}/phoneconfig/phones")
            known = list(readers.records(answer))
        except PbxError as fault:
            logger.debug("phones cannot be read by REST", extra={"reason": type(fault).__name__})
        self._phones = readers.phones(ids, primary, known)

    async def _read_numbers(self) -> None:
        if self._uci.offer.has(features.SET_SHOWN_NUMBER) and self._uci.offer.has(features.SHOWN_NUMBERS):
            numbers = await self._uci.ask(features.SHOWN_NUMBERS)
            self._numbers = readers.shown_numbers(numbers, await self._uci.ask(features.SHOWN_NUMBER))
        else:
            self._numbers = []

    async def _read_do_not_disturb(self) -> None:
        path = f"/users/{self._user_id}/phoneconfig"
        flag = readers.mapping(await self._rest.get(Area.PHONES, path)).get("doNotDisturb")
        self._do_not_disturb = flag if isinstance(flag, bool) else None
        if self._do_not_disturb is not None:
            self._by_rest[Feature.DO_NOT_DISTURB] = Access.READ_ONLY

    async def _read_mailboxes(self) -> None:
        if self._uci.offer.has(features.MAILBOXES):
            self._mailboxes = readers.mailboxes(await self._uci.ask(features.MAILBOXES))

    async def _read_redirects(self) -> None:
        """Read redirects by UCI, which has the seconds and applies the person's own rights. Use REST only if this PBX has no
        redirects by UCI, not if UCI refuses them to this person.
        """
        self._by_rest.pop(Feature.REDIRECTS, None)
        self._are_redirects_of_uci = self._uci.offer.has(features.REDIRECTS)
        if self._are_redirects_of_uci:
            answer = await self._uci.ask(features.REDIRECTS)
            found = readers.uci_redirects(answer, self._mailboxes, Access.CHANGE)
            if found or answer == []:
                self._redirects = found
                return
            self._are_redirects_of_uci = False  # the answer cannot be parsed
        elif self._uci.offer.is_refused(features.REDIRECTS) or self._has_by_uci(features.REDIRECTS):
            self._redirects = None
            return
        query = {"actOnBehalfOf": str(self._user_id)}
        answer = await self._rest.get(Area.REDIRECTS, "/redirects", query)
        access = await self._access(Area.REDIRECTS)
        self._redirects = readers.rest_redirects(answer, self._mailboxes, access)
        if self._redirects is not None:
            self._by_rest[Feature.REDIRECTS] = access

    async def _read_mobiles(self) -> None:
        self._by_rest.pop(Feature.MOBILES, None)
        answer = await self._rest.get(Area.MOBILES, "/fmcPhones", {"userId": str(self._user_id)})
        access = await self._access(Area.MOBILES)
        self._mobiles = readers.mobiles(answer, access)
        if self._mobiles is not None:
            self._by_rest[Feature.MOBILES] = access

    async def _access(self, area: Area) -> Access:
        return Access.CHANGE if await self._rest.may_change(self._user_id, area) else Access.READ_ONLY

    async def _read_voicemails(self) -> None:
        if self._uci.offer.has(features.WAITING) and self._uci.offer.has(features.VOICEMAILS):
            self._new_voicemails = readers.new_voicemails(await self._uci.ask(features.WAITING))

    def _shown_redirects(self) -> list[Redirect] | None:
        if self._redirects is None:
            return None
        can_change = self._uci.offer.has(features.SET_REDIRECT) or not self._are_redirects_of_uci
        if can_change:
            return [redirect for redirect, _ in self._redirects]
        return [one.model_copy(update={"access": Access.READ_ONLY}) for one, _ in self._redirects]
