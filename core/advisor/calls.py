"""Help with calls: the consent, and the events of calls of people who gave it.

The connector reports calls that ended as soon as they were answered, and which users have no call, which matters once a
licence key has expired. The service passes a user's credentials for the UCI login on to the connector and cannot read
them. The database says whose calls may be followed, and `core.hub.keeping` informs each connector.
"""

import logging
from collections.abc import Collection, Sequence

from core.advisor.advisor import Advisor, AudioView, audio_topic
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.hub.bus import NOTICES_TOPIC, Bus
from core.hub.hub import Hub, PbxRefusedError
from core.hub.keeping import Keeper, KeptLogins, PreparedConsent, prepare_consent
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
            kept=KeptLogins(
                what="whose calls to follow",
                method=Method.CALLS_KEEP,
                params=KeepParams,
                answer=Followed,
                limit=MAX_FOLLOWED,
                read_consents=store.list_helped_users,
                on_lost=self._lost,
            ),
        )

    async def run(self) -> None:
        """Keep the connectors informed about whose calls to follow, until cancelled."""
        await self._keeper.run()

    async def prepare(self, user: TeamsUser) -> PreparedConsent:
        """Return what the browser needs to seal the user's credentials for the connector. Raises `RefusedError`."""
        session = await self._overview.session_of(user)
        if session is None:
            raise RefusedError(Finding(Code.NOT_SIGNED_IN))
        pbx = await self._registry.existing(session.pbx_id)
        return await prepare_consent(
            hub=self._hub, pbx=pbx, login=session.person.login, impossible=Code.CALLS_NOT_FOLLOWED
        )

    async def begin(self, user: TeamsUser, nonce: str, box: SealedBox) -> AudioView:
        """Store the consent, and have the connector follow this user's calls. Raises `RefusedError`.

        The consent is stored before the connector is called and removed if the connector refuses. Otherwise a crash could
        leave the connector following a user without a row in the database that leads to its end.
        """
        session = await self._overview.session_of(user)
        if session is None:
            raise RefusedError(Finding(Code.NOT_SIGNED_IN))
        async with self._keeper.changing(session.pbx_id):
            before = (await self._store.get(user.key)).choices.help_since
            await self._store.set_help(user.key, before or now(), now())
            # The list that the connector has is outdated from here on, even if the answer to this call is lost.
            self._keeper.forget_informed(session.pbx_id)
            try:
                await self._follow(user=user, session=session, nonce=nonce, box=box)
            except PbxRefusedError:
                if before is None:
                    await self._store.set_help(person=user.key, since=None, at=now(), cause="refused")
                raise
            current = await self._overview.session_of(user)
            if current is None or current.id != session.id:
                # The session ended meanwhile, perhaps by a hand-over; the consent was for the previous connector.
                await self._store.choose(user.key, help_since=None)
                raise RefusedError(Finding(Code.NOT_SIGNED_IN))
        return await self._advisor.conclude_for(user.key)

    async def end(self, user: TeamsUser) -> AudioView:
        """Withdraw the consent. The connector stops following now or once it is linked. Idempotent."""
        await self._store.set_help(user.key, None, now())
        self._bus.publish(NOTICES_TOPIC)
        return await self._advisor.conclude_for(user.key)

    async def record_dropped_call(self, pbx_id: str, epoch: int, call: CallEndedAtOnce) -> None:
        """Record a call that ended at once, as reported by the link with this epoch.

        Reports of older links, and reports about users without a consent, are ignored.
        """
        if (await self._registry.existing(pbx_id)).link_epoch != epoch:
            return
        person = await self._store.get_helped_person(pbx_id, call.user_id)
        if person is not None:
            await self._advisor.record_dropped_call(person, min(call.at, now()))

    async def list_users_without_call(
        self, pbx_id: str, user_ids: Sequence[int], seconds: float
    ) -> Collection[int]:
        """Return the users who are known to have no call now.

        Only users with a consent are known. `seconds` limits how long the PBX is asked.
        """
        helped = set((await self._store.list_helped_users()).get(pbx_id, ()))
        asked = [user_id for user_id in user_ids if user_id in helped]
        pbx = await self._registry.by_id(pbx_id) if asked else None
        if pbx is None:
            return ()
        found: set[int] = set()
        try:
            async for _, answer in self._hub.call_for_users(
                pbx=pbx, method=Method.CALLS_OVER, user_ids=asked, answer=CallsOver, seconds=seconds
            ):
                found.update(answer.user_ids)
        except PbxRefusedError as refused:
            logger.info("calls not known", extra={"pbx_id": pbx_id, "code": refused.finding.code})
        return found.intersection(asked)

    async def _lost(self, pbx_id: str, user_id: int) -> bool:
        """End the consent of a user whom the connector no longer follows, for instance after a reinstallation.

        The tab then asks the person again.
        """
        person = await self._store.get_helped_person(pbx_id, user_id)
        if person is not None:
            logger.info("help with calls was lost at the connector", extra={"pbx_id": pbx_id})
            await self._store.set_help(person=person, since=None, at=now(), cause="lost")
            self._bus.publish(audio_topic(*person))
        return True

    async def _follow(self, user: TeamsUser, session: Session, nonce: str, box: SealedBox) -> None:
        pbx = await self._registry.existing(session.pbx_id)
        params = FollowParams(
            user_id=session.person.pbx_user_id,
            tenant_id=user.tenant_id,
            object_id=user.object_id,
            nonce=nonce,
            box=box,
        )
        await self._hub.call(pbx=pbx, method=Method.CALLS_FOLLOW, params=params, answer=Empty)
