"""Advice about a conflict: which program should use which other available device."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.audio.comparison import Sameness, compare
from core.audio.device import AudioDevice, Kind
from core.audio.evidence import DeviceUse, Program
from core.audio.finding import Conclusion
from core.audio.label import Sort, listed_name, read
from core.audio.vocabulary import Noun


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """A device to choose in one setting of one program."""

    program: Program
    kind: Kind
    device: str
    """The name of the device to choose, as the system lists it."""


@dataclass(frozen=True, slots=True)
class DeviceAdvice:
    changes: tuple[DeviceChange, ...]
    """The recommended changes; empty if no other device is known to be available."""
    instead: tuple[DeviceChange, ...]
    """The alternative: changes of the other program."""


def advise(conclusion: Conclusion, present: Sequence[AudioDevice]) -> DeviceAdvice:
    """Return how to resolve the conflict. `present` are the machine's devices as a browser or the probe lists them."""
    ways = [
        (_changes(conclusion, program, present), _cost(conclusion, program))
        for program in (Program.SOFTPHONE, Program.TEAMS)
    ]
    possible = sorted((way for way in ways if way[0]), key=lambda way: way[1])
    return DeviceAdvice(
        changes=possible[0][0] if possible else (),
        instead=possible[1][0] if len(possible) > 1 else (),
    )


def _cost(conclusion: Conclusion, program: Program) -> int:
    """Return the cost of changing this program; lower is better.

    A program that only follows the system's default comes first, because nobody chose its device. Otherwise the program
    with fewer settings to change comes first.
    """
    mine = {use.kind: use for use in _shared_uses(conclusion, program)}
    return len(mine) - 4 * any(use.assumed for use in mine.values())


def _shared_uses(conclusion: Conclusion, program: Program) -> list[DeviceUse]:
    return [pair.teams if program is Program.TEAMS else pair.softphone for pair in conclusion.pairs]


def _changes(
    conclusion: Conclusion, program: Program, present: Sequence[AudioDevice]
) -> tuple[DeviceChange, ...]:
    """Return a change for each direction in which the program uses the shared device.

    The result is empty if one of the directions has no other device.
    """
    kinds = [kind for kind in Kind if any(use.kind is kind for use in _shared_uses(conclusion, program))]
    taken = [use.device for use in conclusion.uses if use.program is not program]
    free = {
        kind: [device for device in present if device.kind is kind and _is_free(device, taken)]
        for kind in Kind
    }
    if not kinds or any(not free[kind] for kind in kinds):
        return ()
    first = max(free[kinds[0]], key=lambda device: _worth(device, free))
    chosen = [first]
    for kind in kinds[1:]:
        together = [device for device in free[kind] if compare(device, first).verdict is Sameness.SAME]
        chosen.append(max(together or free[kind], key=lambda device: _worth(device, free)))
    return tuple(
        DeviceChange(program, kind, listed_name(device.label))
        for kind, device in zip(kinds, chosen, strict=True)
    )


def _is_free(device: AudioDevice, taken: Sequence[AudioDevice]) -> bool:
    """Return whether the device is certainly not one of those that the other program uses."""
    label = read(device.label)
    if label.sort in (Sort.NAMELESS, Sort.VIRTUAL) or label.is_monitor or label.noun is Noun.STEREO_MIX:
        return False
    return all(_are_apart(device, other) for other in taken)


def _are_apart(device: AudioDevice, other: AudioDevice) -> bool:
    if compare(device, other).verdict is Sameness.DIFFERENT:
        return True
    # An input and an output of the computer's own sound card do not conflict with each other.
    return device.kind is not other.kind and {read(device.label).sort, read(other.label).sort} == {
        Sort.ONBOARD
    }


def _worth(device: AudioDevice, free: dict[Kind, list[AudioDevice]]) -> tuple[int, int]:
    """Rank a device; higher is better. Devices with input and output, such as headsets, come first; monitors last."""
    label = read(device.label)
    partners = free[Kind.OUTPUT if device.kind is Kind.INPUT else Kind.INPUT]
    both_ways = any(compare(device, partner).verdict is Sameness.SAME for partner in partners)
    by_sort = {Sort.ORDINARY: 2, Sort.GENERIC: 1, Sort.ONBOARD: 1, Sort.DISPLAY: 0}
    return int(both_ways and label.sort is Sort.ORDINARY), by_sort.get(label.sort, 0)
