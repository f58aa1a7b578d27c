"""Help with calls: the consent, and what is learnt of the calls of those who gave it: that one ended at once, and who has
none while a licence key has expired.

The service carries what the connector needs for a user's UCI login and cannot read it. Whose calls may be followed is
in the database; `core.hub.keeping` tells each connector.
"""

import logging
from collections.abc import Collection, Sequence

from core.advisor.advisor import Advisor, AudioView, audio_topic
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.bus import NOTICES_TOPIC, Bus
from core.hub.hub import Hub, PbxRefusedError
from core.hub.keeping import Keeper, Kept, PreparedConsent, prepare_consent
from core.hub.registry import Registry
from core.identity.teams_user import TeamsUser
from core.licensing.overview import Overview
from core.licensing.session import Session
from core.store.audio import AudioStore
from core.store.timestamps import now
from wire.link import (
    MAX_FOLLOWED,
    CallEndedAtOnce,
    CallsOver,
    Followed,
    FollowParams,
    KeepParams,
    Method,
)
from wire.model import Empty
from wire.sealing import SealedBox

logger = logging.getLogger(__name__)


class CallHelp:
    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        store: AudioStore,
        overview: Overview,
        advisor: Advisor,
        bus: Bus,
    ) -> None:
        self._bus = bus
        self._hub = hub
        self._registry = registry
        self._store = store
        self._overview = overview
        self._advisor = advisor
        self._keeper = Keeper(
            hub=hub,
            registry=registry,
            bus=bus,
            kept=Kept(
                what="whose calls to follow",
                method=Method.CALLS_KEEP,
                params=KeepParams,
                answer=Followed,
                limit=MAX_FOLLOWED,
                wanted=store.helped,
                lost=self._lost,
            ),
        )

    async def run(self) -> None:
        """Keeps the connectors up to date, until cancelled."""
        await self._keeper.run()

    async def prepare(self, user: TeamsUser) -> PreparedConsent | Finding:
        session = await self._overview.session_of(user)
        if session is None:
            return Finding(Code.NOT_SIGNED_IN)
        pbx = await self._registry.existing(session.pbx_id)
        return await prepare_consent(
            hub=self._hub, pbx=pbx, login=session.person.login, impossible=Code.CALLS_NOT_FOLLOWED
        )

    async def begin(self, user: TeamsUser, nonce: str, box: SealedBox) -> AudioView | Finding:
        """The consent. It is noted before the connector is asked, so that a connector never follows somebody whom
        nothing in the database lets it forget; a refusal takes it back.
        """
        session = await self._overview.session_of(user)
        if session is None:
            return Finding(Code.NOT_SIGNED_IN)
        async with self._keeper.changing(session.pbx_id):
            before = (await self._store.of(user.key)).choices.help_since
            await self._store.set_help(user.key, before or now(), now())
            # What the connector was told before no longer holds, even if the answer to this call is lost.
            self._keeper.tell_anew(session.pbx_id)
            refusal = await self._follow(user=user, session=session, nonce=nonce, box=box)
            if refusal is not None:
                if before is None:
                    await self._store.set_help(person=user.key, since=None, at=now(), cause="refused")
                return refusal
            current = await self._overview.session_of(user)
            if current is None or current.id != session.id:
                # It has ended meanwhile, perhaps because the name was handed over: the consent was for that connector.
                await self._store.choose(user.key, help_since=None)
                return Finding(Code.NOT_SIGNED_IN)
        return await self._advisor.look(user.key)

    async def end(self, user: TeamsUser) -> AudioView:
        """The connector forgets this user, now or as soon as it is linked. Idempotent."""
        await self._store.set_help(user.key, None, now())
        self._bus.publish(NOTICES_TOPIC)
        return await self._advisor.look(user.key)

    async def ended_at_once(self, pbx_id: str, epoch: int, call: CallEndedAtOnce) -> None:
        """From a connector, by the link of that epoch. Of nobody who has not asked for it anything is stored."""
        if (await self._registry.existing(pbx_id)).link_epoch != epoch:
            return
        person = await self._store.helped_person(pbx_id, call.user_id)
        if person is not None:
            await self._advisor.call_ended_at_once(person, min(call.at, now()))

    async def over(self, pbx_id: str, user_ids: Sequence[int], seconds: float) -> Collection[int]:
        """Which of these users have no call now, as far as they let their calls be followed and the PBX says so."""
        helped = set((await self._store.helped()).get(pbx_id, ()))
        asked = [user_id for user_id in user_ids if user_id in helped]
        pbx = await self._registry.by_id(pbx_id) if asked else None
        if pbx is None:
            return ()
        found: set[int] = set()
        try:
            async for _, answer in self._hub.about_users(
                pbx=pbx, method=Method.CALLS_OVER, user_ids=asked, answer=CallsOver, seconds=seconds
            ):
                found.update(answer.user_ids)
        except PbxRefusedError as refused:
            logger.info("calls not known", extra={"pbx_id": pbx_id, "code": refused.finding.code})
        return found.intersection(asked)

    async def _lost(self, pbx_id: str, user_id: int) -> bool:
        """The connector does not follow this user any more, for instance after a new installation: the tab asks again."""
        person = await self._store.helped_person(pbx_id, user_id)
        if person is not None:
            logger.info("help with calls was lost at the connector", extra={"pbx_id": pbx_id})
            await self._store.set_help(person=person, since=None, at=now(), cause="lost")
            self._bus.publish(audio_topic(*person))
        return True

    async def _follow(self, user: TeamsUser, session: Session, nonce: str, box: SealedBox) -> Finding | None:
        pbx = await self._registry.existing(session.pbx_id)
        params = FollowParams(
            user_id=session.person.pbx_user_id,
            tenant_id=user.tenant_id,
            object_id=user.object_id,
            nonce=nonce,
            box=box,
        )
        try:
            await self._hub.call(pbx=pbx, method=Method.CALLS_FOLLOW, params=params, answer=Empty)
        except PbxRefusedError as refused:
            return refused.finding
        return None
