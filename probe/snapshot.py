"""The state of the sound system at one moment, and the report that is made from it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from probe.programs import Program, Recogniser
from wire.probe import MAX_USES, ProbeDevice, ProbeReport, ProbeUse

Kind = Literal["input", "output"]
KINDS: Final[tuple[Kind, ...]] = ("input", "output")


@dataclass(frozen=True, slots=True)
class AudioStream:
    """A stream of one program on one device."""

    names: tuple[str, ...]
    """The program's names, nearest first: of the stream, the process, its parents."""
    kind: Kind
    device: ProbeDevice
    active: bool = True
    """False: the program has opened the device but plays or records nothing (Windows' inactive sessions)."""
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    streams: tuple[AudioStream, ...] = ()
    defaults: Mapping[Kind, ProbeDevice] = field(default_factory=dict)
    """The system's default devices for calls."""
    running: tuple[tuple[str, ...], ...] = ()
    """Names of all running programs, with or without a stream."""
    note: str = ""
    """What cannot be read on this system, as a sentence; empty without a limitation."""
    unreadable: int = 0
    """The number of devices and sessions that could not be read."""


class SoundReader(Protocol):
    """Reads one sound system. `watch` blocks until `stop` and calls `on_change` with each new snapshot."""

    def snapshot(self) -> Snapshot:
        """Return the present state. Raises `NoSoundSystemError`."""

    def watch(self, on_change: Callable[[Snapshot], None]) -> None: ...

    def stop(self) -> None: ...


def report(snapshot: Snapshot, recognise: Recogniser) -> ProbeReport:
    """Make the report: only devices that Teams and the softphone use. For a program that runs without a stream, it has the
    default devices, marked as assumed.
    """
    uses: dict[tuple[Program, Kind, str], ProbeUse] = {}
    for stream in snapshot.streams:
        program = recognise(stream.names)
        if program is None:
            continue
        key = (program, stream.kind, stream.device.endpoint_id or stream.device.label)
        if key not in uses or (stream.active and not uses[key].active):
            uses[key] = _use(
                program, stream.kind, stream.device, active=stream.active, exclusive=stream.exclusive
            )
    with_streams = {program for program, _, _ in uses}
    for program in _running(snapshot.running, recognise) - with_streams:
        for kind, device in snapshot.defaults.items():
            uses[program, kind, ""] = _use(program, kind, device, active=False, assumed=True)
    ordered = sorted(uses.values(), key=lambda use: (not use.active, use.program, use.kind, use.device.label))
    return ProbeReport(uses=ordered[:MAX_USES])


def _running(running: Iterable[tuple[str, ...]], recognise: Recogniser) -> set[Program]:
    return {program for names in running if (program := recognise(names)) is not None}


def _use(
    program: Program,
    kind: Kind,
    device: ProbeDevice,
    *,
    active: bool,
    assumed: bool = False,
    exclusive: bool = False,
) -> ProbeUse:
    return ProbeUse(
        program=program.value, kind=kind, device=device, active=active, assumed=assumed, exclusive=exclusive
    )
