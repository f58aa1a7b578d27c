"""Reads from Teams' call records which devices Teams used.

Source of the shapes: Microsoft Graph v1.0, `callRecord`, `session`, `segment`, `media`, `deviceInfo`
(learn.microsoft.com/graph/api/resources/callrecords-…). Only what is needed is read; unknown members are ignored,
because Graph adds to them.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from core.audio.device import AudioDevice, Kind
from core.audio.evidence import DeviceUse, Program, Source
from core.audio.label import MAX_LENGTH, Sort, read
from wire.bounds import Line
from wire.model import Moment

_OTHER_MACHINES: Final = frozenset(
    ("ios", "android", "ipphone", "roomsystem", "surfacehub", "accessorydevice")
)
"""Values of `userAgent.platform` that mean another machine than the computer on which the softphone runs."""


_Text = Annotated[str, Line(500)]


class _Graph(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class DeviceInfo(_Graph):
    capture_device_name: _Text | None = None
    render_device_name: _Text | None = None


class Media(_Graph):
    label: _Text | None = None
    caller_device: DeviceInfo | None = None
    callee_device: DeviceInfo | None = None


class Identity(_Graph):
    id: _Text | None = None


class IdentitySet(_Graph):
    user: Identity | None = None


class UserAgent(_Graph):
    platform: _Text | None = None


class RecordEndpoint(_Graph):
    identity: IdentitySet | None = None
    associated_identity: Identity | None = None
    user_agent: UserAgent | None = None

    def is_of(self, object_id: str) -> bool:
        known = (self.associated_identity, self.identity.user if self.identity is not None else None)
        return any(one is not None and (one.id or "").lower() == object_id for one in known)


class Segment(_Graph):
    media: list[Media] | None = None
    end_date_time: Moment | None = None


class RecordSession(_Graph):
    caller: RecordEndpoint | None = None
    callee: RecordEndpoint | None = None
    end_date_time: Moment | None = None
    segments: list[Segment] | None = None


class CallRecord(_Graph):
    """`GET /communications/callRecords/{id}?$expand=sessions($expand=segments)`"""

    id: _Text = ""
    end_date_time: Moment | None = None
    sessions: list[RecordSession] | None = None


class CallRecordItem(_Graph):
    id: _Text
    start_date_time: Moment | None = None


class CallRecordList(_Graph):
    """`GET /communications/callRecords`"""

    value: list[CallRecordItem] = Field(default_factory=list)


def uses_of(record: CallRecord, object_id: str) -> list[DeviceUse]:
    """Return microphone and speaker of one person in one call; empty if they used a telephone or a room device."""
    return [
        DeviceUse(
            source=Source.CALL_RECORDS,
            program=Program.TEAMS,
            kind=kind,
            device=AudioDevice(name[:MAX_LENGTH], kind),
            at=at,
        )
        for kind, name, at in _devices(record, object_id.lower())
        if read(name).sort is not Sort.NAMELESS  # "Default input device" says nothing
    ]


def _devices(record: CallRecord, object_id: str) -> Iterator[tuple[Kind, str, datetime]]:
    for session in record.sessions or ():
        for is_caller, endpoint in ((True, session.caller), (False, session.callee)):
            if endpoint is None or not endpoint.is_of(object_id) or _is_elsewhere(endpoint):
                continue
            for segment in session.segments or ():
                at = segment.end_date_time or session.end_date_time or record.end_date_time
                for media in segment.media or ():
                    device = media.caller_device if is_caller else media.callee_device
                    if at is None or device is None or "audio" not in (media.label or "audio"):
                        continue
                    if device.capture_device_name:
                        yield Kind.INPUT, device.capture_device_name, at
                    if device.render_device_name:
                        yield Kind.OUTPUT, device.render_device_name, at


def _is_elsewhere(endpoint: RecordEndpoint) -> bool:
    platform = endpoint.user_agent.platform if endpoint.user_agent is not None else None
    return (platform or "").lower() in _OTHER_MACHINES


def newest(uses: list[DeviceUse]) -> list[DeviceUse]:
    """Return the latest use of each direction."""
    return list({use.kind: use for use in sorted(uses, key=lambda use: use.at)}.values())
