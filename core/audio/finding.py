"""Rules that derive a verdict and its reasons from observations. Pure; tested by a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from core.audio.comparison import Comparison, Sameness, compare
from core.audio.device import Kind
from core.audio.evidence import (
    RELIABILITY,
    DeviceUse,
    Observation,
    Program,
    Source,
    SuspiciousCall,
    is_good,
    is_kept,
)


class AudioVerdict(StrEnum):
    CONFLICT = "conflict"
    LIKELY = "likely"
    CLEAR = "clear"
    UNKNOWN = "unknown"


class Why(StrEnum):
    """The reason for a verdict. Each has a text in `words/`."""

    SHARED = "shared"
    """Both programs use the same device."""
    SHARED_ONCE = "shared-once"
    """Both programs used the same device when they were last seen, some time ago."""
    SHARED_BY_DEFAULT = "shared-by-default"
    """One program follows the system's default, which is the other program's device."""
    SHARED_AMONG = "shared-among"
    """One program has several devices open without a call, and the other program uses one of them."""
    CALLS_END = "calls-end"
    """Several calls ended as soon as they were answered."""
    CALLS_END_UNCLEAR = "calls-end-unclear"
    """A call ended as soon as it was answered, and two names may mean the same device."""
    CALLS_END_STILL = "calls-end-still"
    """The devices seem to be different, and calls still end as soon as they are answered."""
    ALL_DIFFERENT = "all-different"
    NOT_TOLD_APART = "not-told-apart"
    MISSING = "missing"


class Missing(StrEnum):
    """Information that would make the verdict certain."""

    TEAMS_INPUT = "teams-input"
    TEAMS_OUTPUT = "teams-output"
    SOFTPHONE_INPUT = "softphone-input"
    SOFTPHONE_OUTPUT = "softphone-output"
    FRESH_LOOK = "fresh-look"
    """The observations are old: call with both programs while the probe runs, or declare the devices again."""
    WHICH_IS_USED = "which-is-used"
    """A program has several devices open or has had no sound yet. A call shows which one it uses."""
    TELL_APART = "tell-apart"
    """Two names may mean the same device. The test tone and the level meter show it."""
    PROBE = "probe"
    """No probe has observed the devices; one would see them."""


SHARING: Final = frozenset((Why.SHARED, Why.SHARED_ONCE, Why.SHARED_BY_DEFAULT, Why.SHARED_AMONG))
"""Reasons whose pairs consist of the same device twice."""

ONE_LOOK: Final = timedelta(seconds=2)
"""Observations of one source within this time belong to the same moment."""
SUSPICIOUS_CALLS: Final = 2
"""Number of calls that must end at once to count. A single one may be a mistake."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A device that Teams uses, compared with one that the softphone uses."""

    teams: DeviceUse
    softphone: DeviceUse
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Conclusion:
    verdict: AudioVerdict
    why: Why
    pairs: tuple[Pair, ...]
    """The pairs behind the verdict: shared devices, or devices that cannot be told apart."""
    evidence: tuple[Observation, ...]
    """All observations that were considered, newest first."""
    missing: tuple[Missing, ...]
    uses: tuple[DeviceUse, ...]
    """What each program uses, as far as known. For each program and direction: all active uses; without any, the uses
    that were last reported together.
    """


def conclude(observations: Sequence[Observation], now: datetime) -> Conclusion:
    """Draw a conclusion. Neither the order of the observations nor duplicates change the result."""
    kept = sorted({seen for seen in observations if is_kept(seen, now)}, key=_order)
    uses = _present(kept, now)
    calls = [seen for seen in kept if isinstance(seen, SuspiciousCall) and is_good(seen, now)]
    pairs = _pairs(uses)
    shared = tuple(pair for pair in pairs if pair.comparison.verdict is Sameness.SAME)
    doubtful = tuple(pair for pair in pairs if pair.comparison.verdict is Sameness.UNSURE)
    missing = _missing(uses, now)

    def concluded(
        verdict: AudioVerdict, why: Why, on: tuple[Pair, ...] = (), also: tuple[Missing, ...] = ()
    ) -> Conclusion:
        return Conclusion(
            verdict=verdict, why=why, pairs=on, evidence=tuple(kept), missing=(*missing, *also), uses=uses
        )

    if shared:
        certain, among, assumed = _by_weight(shared, uses, now)
        if certain:
            return concluded(AudioVerdict.CONFLICT, Why.SHARED, certain)
        if among:
            return concluded(
                verdict=AudioVerdict.LIKELY, why=Why.SHARED_AMONG, on=among, also=(Missing.WHICH_IS_USED,)
            )
        why = Why.SHARED_BY_DEFAULT if assumed else Why.SHARED_ONCE
        return concluded(AudioVerdict.LIKELY, why, assumed or shared)
    if calls and doubtful:
        return concluded(
            verdict=AudioVerdict.LIKELY, why=Why.CALLS_END_UNCLEAR, on=doubtful, also=(Missing.TELL_APART,)
        )
    all_known = len({(use.program, use.kind) for use in uses}) == len(Program) * len(Kind)
    if (
        len([call for call in calls if not all_known or call.at > max(use.at for use in uses)])
        >= SUSPICIOUS_CALLS
    ):
        return concluded(AudioVerdict.LIKELY, Why.CALLS_END_STILL if all_known else Why.CALLS_END)
    if doubtful:
        return concluded(
            verdict=AudioVerdict.UNKNOWN, why=Why.NOT_TOLD_APART, on=doubtful, also=(Missing.TELL_APART,)
        )
    if all_known and all(is_good(use, now) for use in uses):
        if not any(use.assumed for use in uses):
            return concluded(AudioVerdict.CLEAR, Why.ALL_DIFFERENT)
        return concluded(AudioVerdict.UNKNOWN, Why.MISSING, also=(Missing.WHICH_IS_USED,))
    return concluded(AudioVerdict.UNKNOWN, Why.MISSING)


def _order(seen: Observation) -> tuple[float, str]:
    """Return a sort key: newest first, and a stable order for observations of the same time."""
    return -seen.at.timestamp(), repr(seen)


def _present(kept: Sequence[Observation], now: datetime) -> tuple[DeviceUse, ...]:
    """Return the current uses of each program and direction.

    These are all active uses; without any, the latest report of the best source. A program may have several devices open,
    for instance one for ringing and one for talking.
    """

    def rank(use: DeviceUse) -> tuple[bool, bool, bool, float, int]:
        return (
            use.active and is_good(use, now),
            is_good(use, now),
            not use.assumed,
            min(use.at, now).timestamp(),  # a clock that was ahead must not win permanently
            RELIABILITY[use.source],
        )

    present: list[DeviceUse] = []
    for program in Program:
        for kind in Kind:
            candidates = [
                seen
                for seen in kept
                if isinstance(seen, DeviceUse) and (seen.program, seen.kind) == (program, kind)
            ]
            if candidates:
                best = max(candidates, key=rank)
                weight = rank(best)[:3]
                present += [
                    use
                    for use in candidates
                    if rank(use)[:3] == weight
                    and (weight[0] or (use.source is best.source and abs(best.at - use.at) <= ONE_LOOK))
                ]
    return tuple(present)


def _by_weight(
    shared: Sequence[Pair], uses: Sequence[DeviceUse], now: datetime
) -> tuple[tuple[Pair, ...], tuple[Pair, ...], tuple[Pair, ...]]:
    """Sort current pairs into three groups.

    Returns the certain pairs, the pairs in which a device is one of several open ones, and the pairs in which a use is
    assumed.
    """
    good = [pair for pair in shared if _good(pair, now)]
    seen = [pair for pair in good if not _assumed(pair)]
    certain = [
        pair for pair in seen if not any(_one_of_several(use, uses) for use in (pair.teams, pair.softphone))
    ]
    return (
        tuple(certain),
        tuple(pair for pair in seen if pair not in certain),
        tuple(pair for pair in good if _assumed(pair)),
    )


def _one_of_several(use: DeviceUse, uses: Sequence[DeviceUse]) -> bool:
    """Return whether the use is not active and the program has another device open in the same direction."""
    return not use.active and any(
        (other.program, other.kind) == (use.program, use.kind)
        and compare(other.device, use.device).verdict is not Sameness.SAME
        for other in uses
    )


def _pairs(uses: Sequence[DeviceUse]) -> list[Pair]:
    """Return all pairs, active ones first, because people are shown the first pair."""
    pairs = [
        Pair(teams, softphone, compare(teams.device, softphone.device))
        for teams in uses
        if teams.program is Program.TEAMS
        for softphone in uses
        if softphone.program is Program.SOFTPHONE
    ]
    return sorted(pairs, key=lambda pair: -(pair.teams.active + pair.softphone.active))


def _good(pair: Pair, now: datetime) -> bool:
    return is_good(pair.teams, now) and is_good(pair.softphone, now)


def _assumed(pair: Pair) -> bool:
    return pair.teams.assumed or pair.softphone.assumed


def _missing(uses: Sequence[DeviceUse], now: datetime) -> tuple[Missing, ...]:
    known = {(use.program, use.kind) for use in uses}
    missing = [
        Missing(f"{program}-{kind}") for program in Program for kind in Kind if (program, kind) not in known
    ]
    if any(not is_good(use, now) for use in uses):
        missing.append(Missing.FRESH_LOOK)
    if not any(use.source is Source.PROBE for use in uses):
        missing.append(Missing.PROBE)
    return tuple(missing)
