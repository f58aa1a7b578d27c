"""When the wall clock may be trusted: the rule, without any clock of its own.

What cannot be undone (deleting old rows, ending idle sessions, expiring keys and offers) follows the wall clock. A
clock that jumps ahead for a moment must not delete a year of history. So the wall clock is compared with the steady
one, which knows no date but never jumps. When they disagree, nothing is deleted or ended until the new time has
lasted for `CONFIRM_SECONDS`, or the old one has come back.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

TOLERANCE_SECONDS: Final = 30.0
"""So far the two clocks may drift apart. NTP steps a clock by less, offers and idle times are longer."""
SLEW: Final = 0.1
"""NTP may make a clock run faster or slower, by a tenth at most (chrony's limit is a twelfth): that is no jump."""
GAP_SECONDS: Final = 300.0
"""When nobody has looked for so long (the process stood still, or the steady clock jumped as well), the two clocks
prove nothing to each other.
"""
CONFIRM_SECONDS: Final = 3600.0
"""So long a new time must last before anything is deleted by it. Waiting does little harm, deleting cannot be undone."""
FAR_AHEAD_SECONDS: Final = 24 * 3600.0
"""A start so much later than the last moment that the database knows is either a long rest or a wrong clock."""
BEHIND_SECONDS: Final = 300.0
"""A start so much earlier than what the database knows: clocks of replicas differ by less."""
DATABASE_SECONDS: Final = 300.0
"""A PostgreSQL server whose own clock differs by more: one of the two is wrong, and nobody knows which."""


class ClockDoubt(StrEnum):
    """Why the wall clock is not trusted."""

    JUMPED = "jumped"
    """It moved otherwise than the steady clock."""
    PAUSED = "paused"
    """Nobody looked at it for minutes."""
    UNLIKE_RECORDS = "unlike-records"
    """At the start it was far from the last moment in the database."""
    UNLIKE_DATABASE = "unlike-database"
    """The database server's own clock says something else."""
    UNKNOWN = "unknown"
    """Nothing has been compared yet."""


@dataclass(frozen=True, slots=True)
class Look:
    """Both clocks at one moment, in seconds: `wall` since 1970, `steady` since any moment."""

    wall: float
    steady: float

    def at(self, steady: float) -> float:
        """What the wall clock should show then."""
        return self.wall + steady - self.steady


@dataclass(frozen=True, slots=True)
class ClockState:
    last: Look
    good: Look | None
    """What the wall clock was compared with when it was trusted; None when that proves nothing any more."""
    doubt: ClockDoubt | None = None
    since: Look | None = None
    """Doubted: where the new time began, which has run evenly from there."""


def at_start(look: Look, newest: float | None) -> ClockState:
    """`newest`: the last moment that the database knows, None when it is empty."""
    if newest is None or -BEHIND_SECONDS <= look.wall - newest <= FAR_AHEAD_SECONDS:
        return ClockState(look, look)
    return ClockState(last=look, good=None, doubt=ClockDoubt.UNLIKE_RECORDS, since=look)


def after(state: ClockState, look: Look, confirm_seconds: float = CONFIRM_SECONDS) -> ClockState:
    """The state after one more look."""
    elapsed = look.steady - state.last.steady
    if not 0 <= elapsed <= GAP_SECONDS:
        return ClockState(last=look, good=None, doubt=state.doubt or ClockDoubt.PAUSED, since=look)
    off = 0.0 if state.good is None else look.wall - state.good.at(look.steady)
    if state.doubt is None:
        if abs(off) > TOLERANCE_SECONDS:
            return ClockState(last=look, good=state.good, doubt=ClockDoubt.JUMPED, since=look)
        drift = max(-elapsed * SLEW, min(off, elapsed * SLEW))
        return ClockState(look, Look(look.wall - off + drift, look.steady))
    if state.good is not None and abs(off) <= TOLERANCE_SECONDS:  # the old time is back
        return ClockState(look, Look(look.wall, look.steady))
    if state.since is None or abs(look.wall - state.since.at(look.steady)) > TOLERANCE_SECONDS:
        return replace(state, last=look, since=look)
    if look.steady - state.since.steady >= confirm_seconds:
        return ClockState(look, look)
    return replace(state, last=look)
