"""A person's telephone at the PBX: the consent, and requests to the PBX through the connector.

The service only passes data on: it stores no call, number, name or call list. A change of a line is published as a topic
without content (`core.hub.bus.phone_topic`). The page or card that shows the line then reads it with `Telephone.line`.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.hub.bus import NOTICES_TOPIC, Bus, phone_topic
from core.hub.hub import Hub, PbxRefusedError
from core.hub.keeping import Keeper, KeptLogins, PreparedConsent, UsersByPbx, prepare_consent
from core.hub.registry import PBX_COLUMNS, REFUSED_CLAIM_AT, Pbx, Registry, to_pbx
from core.identity.teams_user import TeamsUser
from core.licensing.rules import LicenceKind
from core.licensing.session import SESSION_COLUMNS, Session, to_session
from core.phone.sharing import Shared
from core.store.database import Database
from core.store.phone import PhoneStore
from core.store.timestamps import now
from core.store.transaction import Prefixed, prefixed
from wire.model import Empty, WireModel
from wire.phone import (
    MAX_LINES,
    NOTHING_KNOWN,
    Dial,
    Dialled,
    FoundNumbers,
    HangUp,
    History,
    HistoryFilter,
    HistoryParams,
    KeepLines,
    KeptLines,
    LineParams,
    OpenLine,
    PhoneLine,
    PhoneMethod,
    PlayVoicemail,
    ReadLine,
    RedirectTarget,
    SearchParams,
    SetDoNotDisturb,
    SetMobile,
    SetPrimaryPhone,
    SetRedirect,
    Voicemails,
)
from wire.sealing import SealedBox

logger = logging.getLogger(__name__)

IS_OFF: Final = (Code.NOT_SIGNED_IN, Code.PHONE_OFF, Code.PHONE_NEEDS_LICENCE, Code.PHONE_NOT_OFFERED)
"""Codes that mean that this person has no telephone now, so none is shown."""
OPENING: Final = timedelta(seconds=30)
"""Grace period after switching a telephone on: until then the connector may not have received the request yet, so a line
that it does not know is not lost.
"""
_ACCESS: Final = (
    f"SELECT {prefixed(SESSION_COLUMNS, 'session', 'session_')}, {prefixed(PBX_COLUMNS, 'pbx', 'pbx_')},"
    f" {REFUSED_CLAIM_AT} AS pbx_refused_claim_at, phone_consent.since AS since"
    " FROM session JOIN pbx ON pbx.id = session.pbx_id"
    " LEFT JOIN phone_consent ON phone_consent.tenant_id = session.tenant_id"
    " AND phone_consent.object_id = session.object_id AND phone_consent.session_id = session.id"
    " WHERE session.tenant_id = $1 AND session.object_id = $2"
)
A = TypeVar("A", bound=WireModel)


@dataclass(frozen=True, slots=True)
class _Access:
    session: Session
    pbx: Pbx
    is_on: bool


class Telephone:
    """The operations on people's telephones.

    An operation that fails raises `RefusedError`: `not-signed-in`, `phone-needs-licence`, `phone-not-offered`,
    `phone-off`, the refusal of the connector or the PBX, or why it was not reached. `outcome-unknown` means that the
    operation may have been carried out; it is not retried.
    """

    def __init__(self, hub: Hub, registry: Registry, database: Database, bus: Bus) -> None:
        self._hub = hub
        self._database = database
        self._bus = bus
        self._store = PhoneStore(database)
        self._keeper = Keeper(
            hub=hub,
            registry=registry,
            bus=bus,
            kept=KeptLogins(
                what="whose telephones to keep",
                method=PhoneMethod.KEEP,
                params=KeepLines,
                answer=KeptLines,
                limit=MAX_LINES,
                read_consents=self._wanted,
                on_lost=self._lost,
                on_linked=self._linked,
                is_offered=lambda pbx: pbx.has_telephone,
            ),
        )
        self._on_returned: Callable[[Collection[tuple[str, str]]], None] = lambda _people: None
        self._looks = Shared[tuple[str, str, str], PhoneLine]()
        bus.listen("phone", self._changed)
        bus.on_missed(self._looks.forget_all)

    async def run(self) -> None:
        """Keep the connectors informed about whose lines to hold, until cancelled."""
        await self._keeper.run()

    async def lines_changed(self, pbx_id: str, user_ids: Collection[int]) -> Collection[tuple[str, str]]:
        """Publish that the lines of these PBX users changed. Return the people, as (tenant id, object id)."""
        persons = await self._store.list_persons(pbx_id, user_ids)
        if persons:
            self._bus.publish(*(phone_topic(*person) for person in persons))
        return persons

    # Missed calls (`bot.missed`)

    def on_returned(self, notify: Callable[[Collection[tuple[str, str]]], None]) -> None:
        """Call `notify` with the people who want messages about missed calls, when a PBX is linked to this replica again."""
        self._on_returned = notify

    async def missed_until(self, user: TeamsUser) -> datetime | None:
        """Return until when missed calls have been handled; None if unknown."""
        return await self._store.missed_until(user.key)

    async def claim_missed(self, user: TeamsUser, before: datetime | None, until: datetime) -> bool:
        """Advance that moment from `before` to `until`. False: another replica has advanced it meanwhile."""
        return await self._store.claim_missed(user.key, before, until)

    async def mark_missed_handled(self, user: TeamsUser, at: datetime) -> None:
        await self._store.mark_missed_handled(user.key, at)

    # The consent

    async def prepare(self, user: TeamsUser) -> PreparedConsent:
        """Return what the browser needs to seal the credentials for the connector (`wire.link.CallsCredentials`)."""
        access = await self._access(user)
        login = access.session.person.login
        return await prepare_consent(
            hub=self._hub,
            pbx=access.pbx,
            login=login,
            impossible=Code.PHONE_NOT_OFFERED,
            while_down=Code.LINE_DOWN,
        )

    async def open(self, user: TeamsUser, nonce: str, box: SealedBox) -> PhoneLine:
        """Switch the telephone on, with the person's sealed credentials.

        The consent is stored before the connector is called and removed if the connector refuses. Otherwise a crash could
        leave a line open at the connector without a row in the database that leads to its end.
        """
        access = await self._access(user)
        session, pbx = access.session, access.pbx
        params = OpenLine(
            user_id=session.person.pbx_user_id,
            tenant_id=user.tenant_id,
            object_id=user.object_id,
            nonce=nonce,
            box=box,
        )
        async with self._keeper.changing(pbx.id):
            was_off = await self._store.switch_on(user.key, session.id, now())
            # The list that the connector has is outdated from here on, even if the answer to this call is lost.
            self._keeper.forget_informed(pbx.id)
            try:
                await self._hub.call(pbx=pbx, method=PhoneMethod.OPEN, params=params, answer=Empty)
            except PbxRefusedError:
                if was_off:
                    await self._store.switch_off(user.key, now(), "refused")
                    # The line may be open at the connector, so ask the connector to close it.
                    self._bus.publish(NOTICES_TOPIC)
                raise
        self._bus.publish(phone_topic(*user.key))
        return await self.line(user)

    async def close(self, user: TeamsUser) -> None:
        """Switch the telephone off. The connector closes the line now or once it is linked; calls continue. Idempotent."""
        if await self._store.switch_off(user.key, now()):
            self._bus.publish(NOTICES_TOPIC, phone_topic(*user.key))

    # Requests to the PBX

    async def line(self, user: TeamsUser) -> PhoneLine:
        """Return the telephone's present state. Concurrent requests in the same session share one call to the PBX.

        An answer that arrives in another session is dropped and the line of that session is read, so that nobody sees the
        line of the PBX user who was signed in before.
        """
        access = await self._access_when_on(user)
        while True:
            session_id = access.session.id
            line = await self._looks.ask((*user.key, session_id), partial(self._look, access))
            access = await self._access_when_on(user)
            if access.session.id == session_id:
                return line

    async def dial(
        self,
        user: TeamsUser,
        number: str,
        call_id: str,
        *,
        phone_id: str = "",
        shown_number_id: str = "",
        is_confirmed: bool = False,
    ) -> Dialled:
        """Start a call.

        `call_id` is a UUID chosen by the caller of this method. After `outcome-unknown`, the line shows whether that call
        exists. Emergency and premium numbers are refused with `number-needs-confirmation` unless `is_confirmed` is set.
        """
        return await self._ask(
            user=user,
            method=PhoneMethod.DIAL,
            params=lambda user_id: Dial(
                user_id=user_id,
                call_id=call_id,
                number=number,
                phone_id=phone_id,
                shown_number_id=shown_number_id,
                is_confirmed=is_confirmed,
            ),
            answer=Dialled,
        )

    async def hang_up(self, user: TeamsUser, call_id: str) -> Empty:
        """End a call, or reject it while it rings. Refused with `call-gone` if it has ended already."""
        return await self._ask(
            user=user,
            method=PhoneMethod.HANG_UP,
            params=lambda user_id: HangUp(user_id=user_id, call_id=call_id),
            answer=Empty,
        )

    async def history(
        self, user: TeamsUser, which: HistoryFilter, before: datetime | None, offset: int, limit: int
    ) -> History:
        """Return a page of the person's own call list, newest first."""
        return await self._read(
            user=user,
            method=PhoneMethod.HISTORY,
            params=lambda user_id: HistoryParams(
                user_id=user_id, filter=which, before=before, offset=offset, limit=limit
            ),
            answer=History,
        )

    async def search(self, user: TeamsUser, text: str) -> FoundNumbers:
        """Search colleagues, the PBX's contacts and the person's own calls by a part of a name or number."""
        return await self._read(
            user=user,
            method=PhoneMethod.SEARCH,
            params=lambda user_id: SearchParams(user_id=user_id, search=text),
            answer=FoundNumbers,
        )

    async def set_do_not_disturb(self, user: TeamsUser, *, is_on: bool) -> PhoneLine:
        return await self._change(
            user,
            PhoneMethod.SET_DO_NOT_DISTURB,
            lambda user_id: SetDoNotDisturb(user_id=user_id, is_on=is_on),
        )

    async def set_redirect(
        self,
        user: TeamsUser,
        redirect_id: str,
        *,
        is_on: bool,
        target: RedirectTarget | None = None,
        number: str = "",
        mailbox_id: str = "",
        seconds: int | None = None,
    ) -> PhoneLine:
        """Switch a redirect on or off. Without a `target`, its destination is not changed."""
        return await self._change(
            user,
            PhoneMethod.SET_REDIRECT,
            lambda user_id: SetRedirect(
                user_id=user_id,
                redirect_id=redirect_id,
                is_on=is_on,
                target=target,
                number=number,
                mailbox_id=mailbox_id,
                seconds=seconds,
            ),
        )

    async def set_primary_phone(self, user: TeamsUser, phone_id: str) -> PhoneLine:
        return await self._change(
            user,
            PhoneMethod.SET_PRIMARY_PHONE,
            lambda user_id: SetPrimaryPhone(user_id=user_id, phone_id=phone_id),
        )

    async def set_mobile(self, user: TeamsUser, mobile_id: str, *, is_on: bool) -> PhoneLine:
        """Set whether a mobile phone (iFMC) rings too."""
        return await self._change(
            user,
            PhoneMethod.SET_MOBILE,
            lambda user_id: SetMobile(user_id=user_id, mobile_id=mobile_id, is_on=is_on),
        )

    async def voicemails(self, user: TeamsUser) -> Voicemails:
        return await self._read(
            user=user,
            method=PhoneMethod.VOICEMAILS,
            params=lambda user_id: LineParams(user_id=user_id),
            answer=Voicemails,
        )

    async def play_voicemail(self, user: TeamsUser, message_id: str, phone_id: str = "") -> Empty:
        """Call one of the person's phones (the primary one if `phone_id` is empty) and play the message there."""
        return await self._ask(
            user=user,
            method=PhoneMethod.PLAY_VOICEMAIL,
            params=lambda user_id: PlayVoicemail(user_id=user_id, message_id=message_id, phone_id=phone_id),
            answer=Empty,
        )

    async def _look(self, access: _Access) -> PhoneLine:
        params = ReadLine(
            user_id=access.session.person.pbx_user_id,
            with_capabilities=access.pbx.reports_phone_capabilities,
        )
        line = await self._call(access, PhoneMethod.LINE, params, PhoneLine)
        return line.model_copy(update={"capabilities": {**NOTHING_KNOWN, **line.capabilities}})

    async def _change(
        self, user: TeamsUser, method: PhoneMethod, params: Callable[[int], WireModel]
    ) -> PhoneLine:
        """Change a setting and return the line as the PBX reports it afterwards."""
        await self._ask(user=user, method=method, params=params, answer=Empty)
        self._bus.publish(phone_topic(*user.key))
        return await self.line(user)

    async def _ask(
        self, user: TeamsUser, method: PhoneMethod, params: Callable[[int], WireModel], answer: type[A]
    ) -> A:
        access = await self._access_when_on(user)
        return await self._call(access, method, params(access.session.person.pbx_user_id), answer)

    async def _read(
        self, user: TeamsUser, method: PhoneMethod, params: Callable[[int], WireModel], answer: type[A]
    ) -> A:
        """Ask for something that is shown. Refused with `not-signed-in` if the session has ended in the meantime."""
        access = await self._access_when_on(user)
        found = await self._call(access, method, params(access.session.person.pbx_user_id), answer)
        if (await self._access_when_on(user)).session.id != access.session.id:
            raise RefusedError(Finding(Code.NOT_SIGNED_IN))
        return found

    async def _call(self, access: _Access, method: PhoneMethod, params: WireModel, answer: type[A]) -> A:
        try:
            return await self._hub.call(pbx=access.pbx, method=method, params=params, answer=answer)
        except PbxRefusedError as refused:
            if refused.finding.code is Code.PHONE_OFF:
                await self._lost(access.pbx.id, access.session.person.pbx_user_id)
            raise RefusedError(_with_variant(refused.finding)) from refused

    async def _access_when_on(self, user: TeamsUser) -> _Access:
        """Return the access of a person whose telephone is on."""
        access = await self._access(user)
        if not access.is_on:
            raise RefusedError(Finding(Code.PHONE_OFF, {"pbx_name": access.pbx.name}))
        return access

    async def _access(self, user: TeamsUser) -> _Access:
        """Return the session, the PBX and the consent of a person who may have a telephone."""
        row = await self._database.fetch_first(_ACCESS, user.tenant_id, user.object_id)
        if row is None:
            raise RefusedError(Finding(Code.NOT_SIGNED_IN))
        session, pbx = to_session(Prefixed(row, "session_")), to_pbx(Prefixed(row, "pbx_"))
        if session.kind is LicenceKind.ADMINISTRATION:
            raise RefusedError(Finding(Code.PHONE_NEEDS_LICENCE, {"pbx_name": pbx.name}))
        if not pbx.has_telephone:
            raise RefusedError(Finding(Code.PHONE_NOT_OFFERED, {"pbx_name": pbx.name}))
        return _Access(session, pbx, row["since"] is not None)

    async def _wanted(self) -> UsersByPbx:
        return await self._store.list_users_by_pbx(now())

    async def _lost(self, pbx_id: str, user_id: int) -> bool:
        """End the consent for a line that the connector no longer holds, for instance after a reinstallation.

        The page then asks the person again. Return whether there was such a consent.
        """
        moment = now()
        person = await self._store.mark_lost(
            pbx_id=pbx_id, user_id=user_id, before=moment - OPENING, at=moment
        )
        if person is None:
            return False
        logger.info("a telephone was lost at the connector", extra={"pbx_id": pbx_id})
        self._bus.publish(phone_topic(*person))
        return True

    async def _linked(self, pbx_id: str) -> None:
        if people := await self._store.list_who_want_missed_calls(pbx_id):
            self._on_returned(people)

    def _changed(self, rest: str) -> None:
        tenant_id, _, object_id = rest.partition(":")
        self._looks.forget_if(lambda key: key[:2] == (tenant_id, object_id))


def _with_variant(finding: Finding) -> Finding:
    """Select the text for the kind of number (emergency, premium) that needs a confirmation."""
    if finding.code is Code.NUMBER_NEEDS_CONFIRMATION:
        return replace(finding, variant=str(finding.evidence.get("kind")))
    return finding
