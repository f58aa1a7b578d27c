"""A person's telephone at the PBX: the consent, and whatever is asked of it.

The service carries: it keeps no call, no number, no name and no call list. What changes on a line is published as a topic
without content (`core.hub.bus.phone_topic`), and the page or card that shows the line asks for it by `Telephone.line`.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.bus import NOTICES_TOPIC, Bus, phone_topic
from core.hub.hub import Hub, PbxRefusedError
from core.hub.keeping import Keeper, Kept, PreparedConsent, Wanted, prepare_consent
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
"""There is no telephone for this person now: nothing of it is shown."""
OPENING: Final = timedelta(seconds=30)
"""A connector that does not know of a telephone which was switched on less than this ago may not have been asked yet."""
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


def offers_telephone(session: Session, pbx: Pbx) -> Finding | None:
    """Why there is no telephone for this session, whatever its user wants."""
    if session.kind is LicenceKind.ADMINISTRATION:
        return Finding(Code.PHONE_NEEDS_LICENCE, {"pbx_name": pbx.name})
    if not pbx.has_telephone:
        return Finding(Code.PHONE_NOT_OFFERED, {"pbx_name": pbx.name})
    return None


class Telephone:
    """Every operation gives a finding when it cannot be done: `not-signed-in`, `phone-needs-licence`, `phone-not-offered`,
    `phone-off`, what the connector or the PBX says, or why it was not reached. `outcome-unknown`: it may have been done,
    and is not tried again.
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
            kept=Kept(
                what="whose telephones to keep",
                method=PhoneMethod.KEEP,
                params=KeepLines,
                answer=KeptLines,
                limit=MAX_LINES,
                wanted=self._wanted,
                lost=self._lost,
                is_offered=lambda pbx: pbx.has_telephone,
            ),
        )
        self._looks = Shared[tuple[str, str], PhoneLine | Finding]()
        bus.listen("phone", self._changed)
        bus.when_missed(self._looks.forget_all)

    async def run(self) -> None:
        """Keeps the connectors up to date, until cancelled."""
        await self._keeper.run()

    async def lines_changed(self, pbx_id: str, user_ids: Collection[int]) -> Collection[tuple[str, str]]:
        """A connector says that something has changed on the lines of these users. Gives the people (tenant and object id)."""
        persons = await self._store.persons(pbx_id, user_ids)
        if persons:
            self._bus.publish(*(phone_topic(*person) for person in persons))
        return persons

    # The consent

    async def prepare(self, user: TeamsUser) -> PreparedConsent | Finding:
        """What the browser needs to seal what the connector needs (`wire.link.CallsCredentials`)."""
        access = await self._offered(user)
        if isinstance(access, Finding):
            return access
        login = access.session.person.login
        return await prepare_consent(
            hub=self._hub,
            pbx=access.pbx,
            login=login,
            impossible=Code.PHONE_NOT_OFFERED,
            while_down=Code.LINE_DOWN,
        )

    async def open(self, user: TeamsUser, nonce: str, box: SealedBox) -> PhoneLine | Finding:
        """Switches the telephone on. It is noted before the connector is asked, so that a connector never keeps a line
        which nothing in the database lets it forget; a refusal takes it back.
        """
        access = await self._offered(user)
        if isinstance(access, Finding):
            return access
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
            # What the connector was told before no longer holds, even if the answer to this call is lost.
            self._keeper.tell_anew(pbx.id)
            try:
                await self._hub.call(pbx=pbx, method=PhoneMethod.OPEN, params=params, answer=Empty)
            except PbxRefusedError as refused:
                if was_off:
                    await self._store.switch_off(user.key, now(), "refused")
                    self._bus.publish(
                        NOTICES_TOPIC
                    )  # it may have been opened: the connector is told to forget it
                return refused.finding
        self._bus.publish(phone_topic(*user.key))
        return await self.line(user)

    async def close(self, user: TeamsUser) -> None:
        """Switches the telephone off: the connector forgets it, now or as soon as it is linked. Calls go on. Idempotent."""
        if await self._store.switch_off(user.key, now()):
            self._bus.publish(NOTICES_TOPIC, phone_topic(*user.key))

    # What is asked of a line

    async def line(self, user: TeamsUser) -> PhoneLine | Finding:
        """The telephone at this moment. Those who look at the same moment share one question to the PBX."""
        return await self._looks.ask(user.key, lambda: self._look(user))

    async def dial(
        self,
        user: TeamsUser,
        number: str,
        call_id: str,
        *,
        phone_id: str = "",
        shown_number_id: str = "",
        is_confirmed: bool = False,
    ) -> Dialled | Finding:
        """`call_id`: a UUID that the caller has made. After `outcome-unknown` the line shows whether there is such a call.
        `number-needs-confirmation` for emergency and premium numbers, unless the person has said yes.
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

    async def hang_up(self, user: TeamsUser, call_id: str) -> Empty | Finding:
        """Ends a call, or rejects it while it rings. `call-gone`: it has ended already."""
        return await self._ask(
            user=user,
            method=PhoneMethod.HANG_UP,
            params=lambda user_id: HangUp(user_id=user_id, call_id=call_id),
            answer=Empty,
        )

    async def history(
        self, user: TeamsUser, which: HistoryFilter, before: datetime | None, offset: int, limit: int
    ) -> History | Finding:
        """A page of the person's own call list, newest first."""
        return await self._ask(
            user=user,
            method=PhoneMethod.HISTORY,
            params=lambda user_id: HistoryParams(
                user_id=user_id, filter=which, before=before, offset=offset, limit=limit
            ),
            answer=History,
        )

    async def search(self, user: TeamsUser, text: str) -> FoundNumbers | Finding:
        """Colleagues, contacts of the PBX and the person's own calls, by a part of name or number."""
        return await self._ask(
            user=user,
            method=PhoneMethod.SEARCH,
            params=lambda user_id: SearchParams(user_id=user_id, search=text),
            answer=FoundNumbers,
        )

    async def set_do_not_disturb(self, user: TeamsUser, *, is_on: bool) -> PhoneLine | Finding:
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
    ) -> PhoneLine | Finding:
        """`target` None: where it leads stays as it is."""
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

    async def set_primary_phone(self, user: TeamsUser, phone_id: str) -> PhoneLine | Finding:
        return await self._change(
            user,
            PhoneMethod.SET_PRIMARY_PHONE,
            lambda user_id: SetPrimaryPhone(user_id=user_id, phone_id=phone_id),
        )

    async def set_mobile(self, user: TeamsUser, mobile_id: str, *, is_on: bool) -> PhoneLine | Finding:
        """An iFMC phone rings as well, or no longer."""
        return await self._change(
            user,
            PhoneMethod.SET_MOBILE,
            lambda user_id: SetMobile(user_id=user_id, mobile_id=mobile_id, is_on=is_on),
        )

    async def voicemails(self, user: TeamsUser) -> Voicemails | Finding:
        return await self._ask(
            user=user,
            method=PhoneMethod.VOICEMAILS,
            params=lambda user_id: LineParams(user_id=user_id),
            answer=Voicemails,
        )

    async def play_voicemail(self, user: TeamsUser, message_id: str, phone_id: str = "") -> Empty | Finding:
        """Calls that phone (empty: the primary one) and plays the message there."""
        return await self._ask(
            user=user,
            method=PhoneMethod.PLAY_VOICEMAIL,
            params=lambda user_id: PlayVoicemail(user_id=user_id, message_id=message_id, phone_id=phone_id),
            answer=Empty,
        )

    async def _look(self, user: TeamsUser) -> PhoneLine | Finding:
        return await self._ask(
            user=user,
            method=PhoneMethod.LINE,
            params=lambda user_id: LineParams(user_id=user_id),
            answer=PhoneLine,
        )

    async def _change(
        self, user: TeamsUser, method: PhoneMethod, params: Callable[[int], WireModel]
    ) -> PhoneLine | Finding:
        """Changes a switch, and gives what the PBX says thereafter."""
        changed = await self._ask(user=user, method=method, params=params, answer=Empty)
        if isinstance(changed, Finding):
            return changed
        self._bus.publish(phone_topic(*user.key))
        return await self.line(user)

    async def _ask(
        self, user: TeamsUser, method: PhoneMethod, params: Callable[[int], WireModel], answer: type[A]
    ) -> A | Finding:
        access = await self._offered(user)
        if isinstance(access, Finding):
            return access
        if not access.is_on:
            return Finding(Code.PHONE_OFF, {"pbx_name": access.pbx.name})
        user_id = access.session.person.pbx_user_id
        try:
            return await self._hub.call(pbx=access.pbx, method=method, params=params(user_id), answer=answer)
        except PbxRefusedError as refused:
            if refused.finding.code is Code.PHONE_OFF:
                await self._lost(access.pbx.id, user_id)
            return _in_words(refused.finding)

    async def _offered(self, user: TeamsUser) -> _Access | Finding:
        row = await self._database.fetch_first(_ACCESS, user.tenant_id, user.object_id)
        if row is None:
            return Finding(Code.NOT_SIGNED_IN)
        session, pbx = to_session(Prefixed(row, "session_")), to_pbx(Prefixed(row, "pbx_"))
        return offers_telephone(session, pbx) or _Access(session, pbx, row["since"] is not None)

    async def _wanted(self) -> Wanted:
        return await self._store.kept(now())

    async def _lost(self, pbx_id: str, user_id: int) -> bool:
        """The connector does not keep this line any more, for instance after a new installation: the page asks again."""
        moment = now()
        person = await self._store.lost(pbx_id=pbx_id, user_id=user_id, before=moment - OPENING, at=moment)
        if person is None:
            return False
        logger.info("a telephone was lost at the connector", extra={"pbx_id": pbx_id})
        self._bus.publish(phone_topic(*person))
        return True

    def _changed(self, rest: str) -> None:
        tenant_id, _, object_id = rest.partition(":")
        self._looks.forget((tenant_id, object_id))


def _in_words(finding: Finding) -> Finding:
    """Each kind of number that asks first has words of its own."""
    if finding.code is Code.NUMBER_NEEDS_CONFIRMATION:
        return replace(finding, variant=str(finding.evidence.get("kind")))
    return finding
