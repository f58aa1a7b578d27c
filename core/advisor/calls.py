"""Help with calls: the consent, telling each connector whose calls it may follow, and what is learnt of them: that one
ended at once, and who has none while a licence key has expired.

The service carries what the connector needs for a user's UCI login and cannot read it. Whose calls may be followed is
in the database; each connector is told whenever that changes or its link is new, and forgets everybody else. So a
sign-out that a connector did not hear of, or a crash between the two, is made good within seconds.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.advisor.advisor import Advisor, AudioView, audio_topic
from core.background import Setbacks
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.bus import NOTICES_TOPIC, Bus
from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import Registry
from core.identity.teams_user import TeamsUser
from core.licensing.overview import Overview
from core.licensing.session import Session
from core.store.audio import AudioStore
from core.store.timestamps import now
from wire.link import (
    MAX_FOLLOWED,
    CallEndedAtOnce,
    CallsChallenge,
    CallsOver,
    Followed,
    FollowParams,
    KeepParams,
    Method,
)
from wire.model import Empty
from wire.sealing import SealedBox

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
TOLD_AT_ONCE: Final = 64
"""Connectors that are being told; each may take its time to answer."""
PAUSE_SECONDS: Final = 0.5
"""A morning's rush of sign-ins is not one look each."""


@dataclass(frozen=True, slots=True)
class PreparedHelp:
    """What the browser needs to seal a UCI login to the connector."""

    pbx_name: str
    login: str
    nonce: str
    sealing_key: str
    sealing_signature: str
    connector_identity: str


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
        self._told: dict[str, tuple[int, tuple[int, ...]]] = {}
        """What each connector was told last, on the link of which epoch."""
        self._setbacks = Setbacks(first_pause=LOOK_SECONDS)
        self._telling = asyncio.Semaphore(TOLD_AT_ONCE)
        self._changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Nobody is forgotten in the moment in which they say yes."""

    async def run(self) -> None:
        """Keeps the connectors up to date, until cancelled."""
        with self._bus.watch(NOTICES_TOPIC) as woken:  # published whenever a session begins or ends
            while True:
                woken.clear()
                try:
                    await self.tell_connectors()
                except Exception as fault:  # noqa: BLE001 - whatever it is, the next look may do better
                    self._setbacks.failed("connectors", fault, "connectors not told whose calls to follow")
                else:
                    self._setbacks.worked("connectors")
                await asyncio.sleep(PAUSE_SECONDS)
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await woken.wait()
                except TimeoutError:
                    continue

    async def prepare(self, user: TeamsUser) -> PreparedHelp | Finding:
        session = await self._overview.session_of(user)
        if session is None:
            return Finding(Code.NOT_SIGNED_IN)
        pbx = await self._registry.existing(session.pbx_id)
        try:
            challenge = await self._hub.call(pbx, Method.CALLS_CHALLENGE, Empty(), CallsChallenge)
        except PbxRefusedError as refused:
            return refused.finding
        if not challenge.possible:
            return Finding(Code.CALLS_NOT_FOLLOWED, {"pbx_name": pbx.name})
        return PreparedHelp(
            pbx_name=pbx.name,
            login=session.person.login,
            nonce=challenge.nonce,
            sealing_key=pbx.sealing_key,
            sealing_signature=pbx.sealing_signature,
            connector_identity=pbx.identity,
        )

    async def begin(self, user: TeamsUser, nonce: str, box: SealedBox) -> AudioView | Finding:
        """The consent. It is noted before the connector is asked, so that a connector never follows somebody whom
        nothing in the database lets it forget; a refusal takes it back.
        """
        session = await self._overview.session_of(user)
        if session is None:
            return Finding(Code.NOT_SIGNED_IN)
        async with self._changing[session.pbx_id]:
            before = (await self._store.of(user.key)).choices.help_since
            await self._store.set_help(user.key, before or now(), now())
            # What the connector was told before no longer holds, even if the answer to this call is lost.
            self._told.pop(session.pbx_id, None)
            refusal = await self._follow(user, session, nonce, box)
            if refusal is not None:
                if before is None:
                    await self._store.set_help(user.key, None, now(), "refused")
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
            async for _, answer in self._hub.about_users(pbx, Method.CALLS_OVER, asked, CallsOver, seconds):
                found.update(answer.user_ids)
        except PbxRefusedError as refused:
            logger.info("calls not known", extra={"pbx_id": pbx_id, "code": refused.finding.code})
        return found.intersection(asked)

    async def tell_connectors(self) -> None:
        """Those for whom something has changed, side by side: a PBX that is slow or odd keeps no other waiting."""
        wanted = await self._store.helped()
        linked = self._hub.linked
        self._told = {pbx_id: told for pbx_id, told in self._told.items() if pbx_id in linked}
        for pbx_id in self._changing.keys() - set(linked):
            if not self._changing[pbx_id].locked():
                del self._changing[pbx_id]
        changed = [pbx_id for pbx_id in linked if not self._is_told(pbx_id, wanted)]
        await asyncio.gather(
            *(self._tell_safely(pbx_id) for pbx_id in changed if not self._setbacks.rests(pbx_id))
        )

    def _is_told(self, pbx_id: str, wanted: Mapping[str, Sequence[int]]) -> bool:
        link = self._hub.link(pbx_id)
        return link is None or self._told.get(pbx_id) == (link.epoch, _followed(pbx_id, wanted))

    async def _tell_safely(self, pbx_id: str) -> None:
        try:
            async with self._telling, self._changing[pbx_id]:
                await self._tell(pbx_id)
        except PbxRefusedError as refused:
            self._setbacks.refused(
                pbx_id, refused.finding.code, "a connector was not told whose calls to follow"
            )
        except Exception as fault:  # noqa: BLE001 - whatever it is, the other connectors are told
            self._setbacks.failed(pbx_id, fault, "a connector cannot be told whose calls to follow")
        else:
            self._setbacks.worked(pbx_id)

    async def _tell(self, pbx_id: str) -> None:
        wanted = await self._store.helped()  # read again: somebody may just have said yes
        link = self._hub.link(pbx_id)
        pbx = await self._registry.by_id(pbx_id)
        if link is None or pbx is None or self._is_told(pbx_id, wanted):
            return
        users = _followed(pbx_id, wanted)
        answer = await self._hub.call(pbx, Method.CALLS_KEEP, KeepParams(user_ids=list(users)), Followed)
        self._told[pbx_id] = (link.epoch, users)
        for user_id in set(users) - set(answer.user_ids):
            await self._lost(pbx_id, user_id)

    async def _lost(self, pbx_id: str, user_id: int) -> None:
        """The connector does not follow this user any more, for instance after a new installation: the tab asks again."""
        person = await self._store.helped_person(pbx_id, user_id)
        if person is not None:
            logger.info("help with calls was lost at the connector", extra={"pbx_id": pbx_id})
            await self._store.set_help(person, None, now(), "lost")
            self._bus.publish(audio_topic(*person))

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
            await self._hub.call(pbx, Method.CALLS_FOLLOW, params, Empty)
        except PbxRefusedError as refused:
            return refused.finding
        return None


def _followed(pbx_id: str, wanted: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    return tuple(sorted(wanted.get(pbx_id, ())))[:MAX_FOLLOWED]
