"""The audio advisor: takes reports about devices, draws conclusions, and notifies people of conflicts.

Methods for a person raise `RefusedError` if the person is not signed in, so that nobody else can fill the store.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from core.administration.guard import AdministratorGuard
from core.audio.advice import DeviceAdvice, advise
from core.audio.device import AudioDevice
from core.audio.evidence import DeviceUse, Source
from core.audio.finding import AudioVerdict, Conclusion, conclude
from core.audio.label import shown_name
from core.audio.wording import summarise
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.hub.bus import NOTICES_TOPIC, Bus
from core.identity.teams_user import TeamsUser
from core.licensing.overview import Overview
from core.signin.refusals import AdministratorAct
from core.store.audio import AudioData, AudioStore, ConflictCount, Person
from core.store.timestamps import now, to_ms

logger = logging.getLogger(__name__)

MUTE_PERIOD: Final = timedelta(days=7)
"""How long a person gets no notice after they answered "not now"."""
NOTICE_INTERVAL: Final = timedelta(days=1)
"""Shortest interval between two notices about devices to one person."""
NOTICE: Final = "audio-conflict"
MAX_MUTED_DEVICES: Final = 50
"""Number of devices about which one person may have switched notices off."""


@dataclass(frozen=True, slots=True)
class AudioView:
    """What one person sees about their own devices."""

    conclusion: Conclusion
    advice: DeviceAdvice
    stored: AudioData


@dataclass(frozen=True, slots=True)
class ConflictView:
    """What an administrator sees: counts by device model, and the names of those who agreed to be named."""

    conflicts: Sequence[ConflictCount]
    people: int
    """Number of people of this PBX for whom there is a conclusion."""


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

    async def view(self, user: TeamsUser) -> AudioView:
        await self._check_signed_in(user)
        return await self.conclude_for(user.key)

    async def conclude_for(self, person: Person) -> AudioView:
        """Draw a conclusion from everything that is stored about a person."""
        stored = await self._store.get(person)
        conclusion = conclude((*stored.uses, *stored.calls), now())
        return AudioView(conclusion, advise(conclusion, stored.present), stored)

    async def declare(self, user: TeamsUser, uses: Sequence[DeviceUse]) -> AudioView:
        """Store which devices the person says the programs use. This replaces their earlier declaration."""
        await self._check_signed_in(user)
        await self._store.report(person=user.key, source=Source.DECLARED, uses=uses, at=now())
        return await self._update_conclusion(user.key)

    async def set_present(self, user: TeamsUser, devices: Sequence[AudioDevice]) -> AudioView:
        """Store the devices that the browser lists on the person's machine."""
        await self._check_signed_in(user)
        await self._store.set_present(user.key, devices, now())
        return await self._update_conclusion(user.key)

    async def store_report(self, person: Person, probe_id: str, uses: Sequence[DeviceUse]) -> None:
        """Store what a probe sees now. Uses that it saw before and no longer sees are kept as past ones."""
        at = now()
        seen = {(use.program, use.kind) for use in uses if not use.assumed}
        before = [
            _past(use, at)
            for use in await self._store.get_report(person, probe_id)
            if not use.assumed and (use.program, use.kind) not in seen
        ]
        await self._store.report(
            person=person, source=Source.PROBE, uses=[*uses, *before], at=at, origin=probe_id
        )
        await self._update_conclusion(person)

    async def end_active_uses(self, person: Person, probe_id: str) -> None:
        """Turn the active uses of a probe that has disconnected into past ones."""
        uses, at = await self._store.get_report(person, probe_id), now()
        if any(use.active for use in uses):
            past = [_past(use, at) for use in uses if not use.assumed]
            await self._store.report(person=person, source=Source.PROBE, uses=past, at=at, origin=probe_id)
        self._bus.publish(audio_topic(*person))

    async def get_person_name(self, person: Person) -> str:
        session = await self._overview.session_of(TeamsUser(*person))
        return (session.teams_user.name or session.person.display_name) if session is not None else ""

    async def store_call_records(self, person: Person, uses: Sequence[DeviceUse]) -> None:
        """Store the uses found in Teams' call records."""
        await self._store.report(person=person, source=Source.CALL_RECORDS, uses=uses, at=now())
        await self._update_conclusion(person)

    async def record_dropped_call(self, person: Person, at: datetime) -> None:
        """Record a call that ended on our side as soon as it was answered on the softphone. The connector reports it."""
        await self._store.add_call(person, at)
        view = await self._update_conclusion(person, notify=False)
        if view.conclusion.verdict in (AudioVerdict.CONFLICT, AudioVerdict.LIKELY):
            await self._notify(person, view)

    async def new_code(self, user: TeamsUser) -> tuple[str, datetime]:
        """Create a code that pairs one probe with this person; return the code and its expiry."""
        await self._check_signed_in(user)
        return await self._store.new_code(user.key, now())

    async def set_named(self, user: TeamsUser, *, named: bool) -> AudioView:
        """Store whether administrators may see this person's name in the list of conflicts."""
        await self._check_signed_in(user)
        await self._store.choose(user.key, named=named)
        return await self.conclude_for(user.key)

    async def mute_for_a_while(self, person: Person) -> None:
        """Send this person no notices about devices for `MUTE_PERIOD`."""
        await self._store.choose(person, quiet_until=to_ms(now() + MUTE_PERIOD))

    async def mute_device(self, person: Person, device: str) -> None:
        """Send this person no more notices about this device."""
        stored = await self._store.get(person)
        names = dict.fromkeys((*stored.choices.never, device[:200]))
        await self._store.choose(person, never=json.dumps(list(names)[-MAX_MUTED_DEVICES:]))

    async def forget(self, user: TeamsUser) -> AudioView:
        """Delete all audio data of this person. They need not be signed in."""
        await self._store.forget(user.key, now())
        self._bus.publish(audio_topic(*user.key))
        return await self.conclude_for(user.key)

    async def conflicts(self, user: TeamsUser) -> ConflictView:
        """Return the conflicts at this PBX. For administrators."""
        session = await self._guard.may_read(user, AdministratorAct.VIEW_AUDIO)
        found, people = await self._store.count_conflicts(session.pbx_id, now())
        return ConflictView(found, people)

    async def _check_signed_in(self, user: TeamsUser) -> None:
        if await self._overview.session_of(user) is None:
            raise RefusedError(Finding(Code.NOT_SIGNED_IN))

    async def _update_conclusion(self, person: Person, *, notify: bool = True) -> AudioView:
        view = await self.conclude_for(person)
        conclusion, before = view.conclusion, view.stored.verdict
        is_seen = any(
            use.source is Source.PROBE for pair in conclusion.pairs for use in (pair.teams, pair.softphone)
        )
        # The notice is written before the verdict, so a crash in between leads to a second notice rather than none.
        if (
            notify
            and is_seen
            and conclusion.verdict is AudioVerdict.CONFLICT
            and before != AudioVerdict.CONFLICT
        ):
            await self._notify(person, view)
        model = shown_name(conclusion.pairs[0].softphone.device.label) if conclusion.pairs else ""
        await self._store.choose(
            person, verdict=conclusion.verdict, model=model[:200], concluded_at=to_ms(now())
        )
        self._bus.publish(audio_topic(*person))
        return view

    async def _notify(self, person: Person, view: AudioView) -> None:
        summary = summarise(view.conclusion, view.advice)
        if summary.device in view.stored.choices.never:
            return
        if await self._store.add_notice(
            person=person, kind=NOTICE, detail=summary.as_json(), at=now(), every=NOTICE_INTERVAL
        ):
            self._bus.publish(NOTICES_TOPIC)
            logger.info("notice of an audio conflict written", extra={"why": summary.why})


def _past(use: DeviceUse, at: datetime) -> DeviceUse:
    """Return an active use as one that has just ended."""
    return replace(use, active=False, exclusive=False, at=at) if use.active else use


def audio_topic(tenant_id: str, object_id: str) -> str:
    return f"audio:{tenant_id}:{object_id}"
