"""The audio advisor as a use case: who reports what, what is concluded, who is told."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from core.administration.guard import AdministratorGuard
from core.audio.advice import Advice, advise
from core.audio.device import AudioDevice
from core.audio.evidence import DeviceUse, Source
from core.audio.finding import Conclusion, Verdict, conclude
from core.audio.label import shown_name
from core.audio.wording import summarise
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.bus import NOTICES_TOPIC, Bus
from core.identity.teams_user import TeamsUser
from core.licensing.overview import Overview
from core.signin.refusals import Act
from core.store.audio import AudioData, AudioStore, ConflictCount, Person
from core.store.timestamps import now, to_ms

logger = logging.getLogger(__name__)

NOT_NOW: Final = timedelta(days=7)
TELL_EVERY: Final = timedelta(days=1)
"""Nobody is written to about devices more often."""
NOTICE: Final = "audio-conflict"
MAX_NEVER: Final = 50


@dataclass(frozen=True, slots=True)
class AudioView:
    """What one person is shown about their devices."""

    conclusion: Conclusion
    advice: Advice
    stored: AudioData


@dataclass(frozen=True, slots=True)
class ConflictView:
    """What an administrator is shown: how many, by device, and names only of those who said yes."""

    conflicts: Sequence[ConflictCount]
    people: int
    """About so many people of this PBX something has been concluded."""


class Advisor:
    def __init__(
        self,
        store: AudioStore,
        overview: Overview,
        guard: AdministratorGuard,
        bus: Bus,
    ) -> None:
        self._store = store
        self._overview = overview
        self._guard = guard
        self._bus = bus

    async def view(self, user: TeamsUser) -> AudioView | Finding:
        return await self._allowed(user) or await self.look(user.key)

    async def look(self, person: Person) -> AudioView:
        stored = await self._store.of(person)
        conclusion = conclude((*stored.uses, *stored.calls), now())
        return AudioView(conclusion, advise(conclusion, stored.present), stored)

    async def declare(self, user: TeamsUser, uses: Sequence[DeviceUse]) -> AudioView | Finding:
        """What the person says each program uses; replaces what they said before."""
        if refusal := await self._allowed(user):
            return refusal
        await self._store.report(person=user.key, source=Source.DECLARED, uses=uses, at=now())
        return await self._changed(user.key)

    async def set_present(self, user: TeamsUser, devices: Sequence[AudioDevice]) -> AudioView | Finding:
        """The devices that the browser lists on the person's machine."""
        if refusal := await self._allowed(user):
            return refusal
        await self._store.set_present(user.key, devices, now())
        return await self._changed(user.key)

    async def reported(self, person: Person, probe_id: str, uses: Sequence[DeviceUse]) -> None:
        """What a probe sees now; what it saw before and sees no longer is remembered."""
        at = now()
        seen = {(use.program, use.kind) for use in uses if not use.assumed}
        before = [
            _past(use, at)
            for use in await self._store.reported_by(person, probe_id)
            if not use.assumed and (use.program, use.kind) not in seen
        ]
        await self._store.report(
            person=person, source=Source.PROBE, uses=[*uses, *before], at=at, origin=probe_id
        )
        await self._changed(person)

    async def unseen(self, person: Person, probe_id: str) -> None:
        """The probe has gone: what it saw a moment ago was seen just now, and is seen no longer."""
        uses, at = await self._store.reported_by(person, probe_id), now()
        if any(use.active for use in uses):
            past = [_past(use, at) for use in uses if not use.assumed]
            await self._store.report(person=person, source=Source.PROBE, uses=past, at=at, origin=probe_id)
        self._bus.publish(audio_topic(*person))

    async def name_of(self, person: Person) -> str:
        session = await self._overview.session_of(TeamsUser(*person))
        return (session.teams_user.name or session.person.display_name) if session is not None else ""

    async def recorded(self, person: Person, uses: Sequence[DeviceUse]) -> None:
        """What Teams' call records name."""
        await self._store.report(person=person, source=Source.CALL_RECORDS, uses=uses, at=now())
        await self._changed(person)

    async def call_ended_at_once(self, person: Person, at: datetime) -> None:
        """Told by the connector: a call that was answered on the softphone and ended by our side at once."""
        await self._store.add_call(person, at)
        view = await self._changed(person, tell=False)
        if view.conclusion.verdict in (Verdict.CONFLICT, Verdict.LIKELY):
            await self._tell(person, view)

    async def new_code(self, user: TeamsUser) -> tuple[str, datetime] | Finding:
        """A code that pairs one probe with this person."""
        return await self._allowed(user) or await self._store.new_code(user.key, now())

    async def set_named(self, user: TeamsUser, *, named: bool) -> AudioView | Finding:
        """Whether administrators may see this person's name beside a conflict."""
        if refusal := await self._allowed(user):
            return refusal
        await self._store.choose(user.key, named=named)
        return await self.look(user.key)

    async def not_now(self, person: Person) -> None:
        await self._store.choose(person, quiet_until=to_ms(now() + NOT_NOW))

    async def never(self, person: Person, device: str) -> None:
        """Nothing more is written about this device."""
        stored = await self._store.of(person)
        names = dict.fromkeys((*stored.choices.never, device[:200]))
        await self._store.choose(person, never=json.dumps(list(names)[-MAX_NEVER:]))

    async def forget(self, user: TeamsUser) -> AudioView:
        """Deletes everything; asked for by anyone about themselves, signed in or not."""
        await self._store.forget(user.key, now())
        self._bus.publish(audio_topic(*user.key))
        return await self.look(user.key)

    async def conflicts(self, user: TeamsUser) -> ConflictView | Finding:
        """For administrators."""
        session = await self._guard.may_read(user, Act.VIEW_AUDIO)
        if isinstance(session, Finding):
            return session
        found, people = await self._store.conflicts(session.pbx_id, now())
        return ConflictView(found, people)

    async def _allowed(self, user: TeamsUser) -> Finding | None:
        """Devices are stored for people who are signed in; others would only fill the store."""
        return None if await self._overview.session_of(user) is not None else Finding(Code.NOT_SIGNED_IN)

    async def _changed(self, person: Person, *, tell: bool = True) -> AudioView:
        view = await self.look(person)
        conclusion, before = view.conclusion, view.stored.verdict
        is_seen = any(
            use.source is Source.PROBE for pair in conclusion.pairs for use in (pair.teams, pair.softphone)
        )
        # Told first, then noted as known: a crash between the two tells again rather than never.
        if tell and is_seen and conclusion.verdict is Verdict.CONFLICT and before != Verdict.CONFLICT:
            await self._tell(person, view)
        model = shown_name(conclusion.pairs[0].softphone.device.label) if conclusion.pairs else ""
        await self._store.choose(
            person, verdict=conclusion.verdict, model=model[:200], concluded_at=to_ms(now())
        )
        self._bus.publish(audio_topic(*person))
        return view

    async def _tell(self, person: Person, view: AudioView) -> None:
        told = summarise(view.conclusion, view.advice)
        if told.device in view.stored.choices.never:
            return
        if await self._store.tell(
            person=person, kind=NOTICE, detail=told.as_json(), at=now(), every=TELL_EVERY
        ):
            self._bus.publish(NOTICES_TOPIC)
            logger.info("told of an audio conflict", extra={"why": told.why})


def _past(use: DeviceUse, at: datetime) -> DeviceUse:
    """What was seen until now."""
    return replace(use, active=False, exclusive=False, at=at) if use.active else use


def audio_topic(tenant_id: str, object_id: str) -> str:
    return f"audio:{tenant_id}:{object_id}"
