"""The tab API's operations about audio devices."""

from typing import Final

from core.advisor.advisor import AudioView
from core.audio import wording
from core.audio.advice import DeviceChange
from core.audio.device import AudioDevice, Kind, Platform
from core.audio.evidence import DeviceUse, Program, Source
from core.audio.finding import SHARING, AudioVerdict, Conclusion
from core.audio.label import shown_name
from core.diagnosis.codes import PBX_FAULTS, Code
from core.language import Language
from core.store.timestamps import now
from tab import present
from tab.operation import Call, Operation, TabServices
from tab.problems import language_of
from wire.tab_audio import (
    AudioConflict,
    AudioConflicts,
    AudioFinding,
    AudioState,
    AudioStep,
    AudioUse,
    BrowserDevice,
    CallsPrepared,
    CallsRequest,
    DeclaredRequest,
    DevicesRequest,
    NamedRequest,
    PairedProbe,
    PairingCode,
    ProbeRequest,
    RecordsRequest,
    StoredAudio,
)


async def get_audio(call: Call) -> AudioState:
    view = await call.services.advisor.view(call.user)
    call.services.records.look_if_due(call.user.key, view)
    return _state(view, call)


async def set_records(call: Call) -> AudioState:
    return _state(await call.services.records.set_wanted(call.user, wanted=call.body.wanted), call)


async def set_devices(call: Call) -> AudioState:
    devices = [_device(device) for device in call.body.devices]
    return _state(await call.services.advisor.set_present(call.user, devices), call)


async def declare(call: Call) -> AudioState:
    uses = [
        DeviceUse(
            source=Source.DECLARED,
            program=Program(use.program),
            kind=Kind(use.device.kind),
            device=_device(use.device),
            at=now(),
        )
        for use in call.body.uses
    ]
    return _state(await call.services.advisor.declare(call.user, uses), call)


async def new_code(call: Call) -> PairingCode:
    code, expires = await call.services.advisor.new_code(call.user)
    return PairingCode(code=code, expires=expires, service=call.services.public_url)


async def remove_probe(call: Call) -> AudioState:
    await call.services.probes.remove(call.user, call.body.probe_id)
    return await get_audio(call)


async def prepare_calls(call: Call) -> CallsPrepared:
    return present.consent(await call.services.call_help.prepare(call.user))


async def follow_calls(call: Call) -> AudioState:
    return _state(await call.services.call_help.begin(call.user, call.body.nonce, call.body.box), call)


async def leave_calls(call: Call) -> AudioState:
    return _state(await call.services.call_help.end(call.user), call)


async def set_named(call: Call) -> AudioState:
    return _state(await call.services.advisor.set_named(call.user, named=call.body.named), call)


async def forget(call: Call) -> AudioState:
    await call.services.call_help.end(call.user)
    await call.services.probes.remove_all(call.user)
    return _state(await call.services.advisor.forget(call.user), call)


async def get_conflicts(call: Call) -> AudioConflicts:
    view = await call.services.advisor.conflicts(call.user)
    return AudioConflicts(
        conflicts=[
            AudioConflict(device=count.model, people=count.people, names=list(count.names))
            for count in view.conflicts
        ],
        people=view.people,
    )


def _device(device: BrowserDevice) -> AudioDevice:
    return AudioDevice(
        label=device.label,
        kind=Kind(device.kind),
        platform=Platform.BROWSER,
        endpoint_id=device.device_id,
        group_id=device.group_id,
    )


def _state(view: AudioView, call: Call) -> AudioState:
    return audio_state(view, language_of(call.request), call.services)


def audio_state(view: AudioView, language: Language, services: TabServices) -> AudioState:
    conclusion, stored = view.conclusion, view.stored
    return AudioState(
        finding=_finding(view, language),
        uses=[_use(use, conclusion) for use in conclusion.uses],
        probes=[
            PairedProbe(
                probe_id=probe.id,
                machine=probe.machine,
                platform=probe.platform,
                version=probe.version,
                paired_at=probe.paired_at,
                last_seen=probe.last_seen_at,
                connected=probe.is_connected,
            )
            for probe in stored.probes
        ],
        calls_since=stored.choices.help_since,
        records_offered=services.records.offered,
        records=stored.choices.records,
        named=stored.choices.named,
        stored=StoredAudio(
            uses=[_use(use, conclusion) for use in stored.uses],
            present=[device.label for device in stored.present],
            calls=[seen.at for seen in stored.calls],
            never=list(stored.choices.never),
        ),
    )


def _finding(view: AudioView, language: Language) -> AudioFinding:
    summary = wording.summarise(view.conclusion, view.advice)
    return AudioFinding(
        verdict=view.conclusion.verdict.value,
        why=summary.why,
        title=wording.title(summary, language),
        detail=wording.detail(summary, language),
        steps=[_step(change, language) for change in view.advice.changes],
        instead=[_step(change, language) for change in view.advice.instead],
        missing=[wording.missing(what, language) for what in view.conclusion.missing],
    )


def _step(change: DeviceChange, language: Language) -> AudioStep:
    return AudioStep(
        program=change.program.value,
        kind=change.kind.value,
        device=change.device,
        text=wording.step(change, language),
    )


def _use(use: DeviceUse, conclusion: Conclusion) -> AudioUse:
    is_paired = any(use in (pair.teams, pair.softphone) for pair in conclusion.pairs)
    is_shared = is_paired and conclusion.why in SHARING
    return AudioUse(
        program=use.program.value,
        kind=use.kind.value,
        name=shown_name(use.device.label),
        label=use.device.label,
        source=use.source.value,
        at=use.at,
        active=use.active,
        assumed=use.assumed,
        exclusive=use.exclusive,
        shared=is_shared and conclusion.verdict in (AudioVerdict.CONFLICT, AudioVerdict.LIKELY),
        doubtful=is_paired and not is_shared,
    )


_SIGNED_IN: Final = (Code.NOT_SIGNED_IN,)
_PBX: Final = (Code.LINK_DOWN, Code.PBX_BUSY, *PBX_FAULTS, Code.OUTCOME_UNKNOWN, Code.PROTOCOL_ERROR)

AUDIO_OPERATIONS: Final = (
    Operation(
        id="getAudio",
        method="GET",
        path="/api/v1/audio",
        summary="Get what is known about my audio devices, and the resulting advice",
        run=get_audio,
        answer=AudioState,
        body=None,
        problems=_SIGNED_IN,
    ),
    Operation(
        id="setDevices",
        method="PUT",
        path="/api/v1/audio/devices",
        summary="Report the devices that my browser lists, so that the advice can name one of them",
        run=set_devices,
        answer=AudioState,
        body=DevicesRequest,
        problems=_SIGNED_IN,
    ),
    Operation(
        id="declareUses",
        method="PUT",
        path="/api/v1/audio/declared",
        summary="Declare which devices Teams and the softphone use",
        run=declare,
        answer=AudioState,
        body=DeclaredRequest,
        problems=_SIGNED_IN,
    ),
    Operation(
        id="newPairingCode",
        method="POST",
        path="/api/v1/audio/pairing",
        summary="Create a code for `pbx-audio-probe pair`; it is valid once, for ten minutes",
        run=new_code,
        answer=PairingCode,
        body=None,
        problems=_SIGNED_IN,
    ),
    Operation(
        id="removeProbe",
        method="POST",
        path="/api/v1/audio/probes/remove",
        summary="Unpair a probe and delete its reports",
        run=remove_probe,
        answer=AudioState,
        body=ProbeRequest,
        problems=_SIGNED_IN,
    ),
    Operation(
        id="prepareCalls",
        method="POST",
        path="/api/v1/audio/calls/challenge",
        summary="Get what my browser needs to seal my UCI login to the connector",
        run=prepare_calls,
        answer=CallsPrepared,
        body=None,
        problems=(*_SIGNED_IN, *_PBX, Code.CALLS_NOT_FOLLOWED),
    ),
    Operation(
        id="followCalls",
        method="PUT",
        path="/api/v1/audio/calls",
        summary="Consent to help with calls: the connector follows my calls and reports dropped ones",
        run=follow_calls,
        answer=AudioState,
        body=CallsRequest,
        problems=(*_SIGNED_IN, *_PBX, Code.LOGIN_REJECTED, Code.CHALLENGE_EXPIRED),
    ),
    Operation(
        id="leaveCalls",
        method="DELETE",
        path="/api/v1/audio/calls",
        summary="Withdraw my consent to help with calls; the connector deletes my UCI login",
        run=leave_calls,
        answer=AudioState,
    ),
    Operation(
        id="setRecords",
        method="PUT",
        path="/api/v1/audio/records",
        summary="Set whether device names of my Teams calls may be read from Microsoft's call records",
        run=set_records,
        answer=AudioState,
        body=RecordsRequest,
        problems=(*_SIGNED_IN, Code.CALL_RECORDS_NOT_ALLOWED, Code.CALL_RECORDS_UNAVAILABLE),
    ),
    Operation(
        id="setNamed",
        method="PUT",
        path="/api/v1/audio/named",
        summary="Set whether administrators may see my name next to a conflict",
        run=set_named,
        answer=AudioState,
        body=NamedRequest,
        problems=_SIGNED_IN,
    ),
    Operation(
        id="forgetAudio",
        method="DELETE",
        path="/api/v1/audio",
        summary="Delete everything that is stored about my devices",
        run=forget,
        answer=AudioState,
    ),
    Operation(
        id="getConflicts",
        method="GET",
        path="/api/v1/audio/conflicts",
        summary="Count the people of my PBX who have a conflict, by device (administrators)",
        run=get_conflicts,
        answer=AudioConflicts,
        body=None,
        problems=(Code.NOT_SIGNED_IN, Code.NOT_ADMINISTRATOR, Code.PASSWORD_NEEDED),
    ),
)
