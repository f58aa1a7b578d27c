"""The rule when the wall clock can be trusted. A pure computation without access to a clock.

Irreversible actions (deleting old rows, ending idle sessions, expiring keys and offers) follow the wall clock. A
clock that jumps ahead for a moment must not delete a year of history. So the wall clock is compared with the steady
clock, which has no date but never jumps. When they disagree, nothing is deleted or ended until the new time has
lasted for `CONFIRM_SECONDS`, or the old time is back.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

TOLERANCE_SECONDS: Final = 30.0
"""How far the two clocks may differ. NTP steps a clock by less; offers and idle times are longer."""
SLEW: Final = 0.1
"""By how much a clock may run faster or slower without being considered to jump. NTP slews by a tenth at most (the
limit of chrony is a twelfth)."""
GAP_SECONDS: Final = 300.0
"""After this time without a reading (the process was paused, or the steady clock jumped too), the two clocks can no
longer confirm each other."""
CONFIRM_SECONDS: Final = 3600.0
"""How long a new time must last before anything is deleted by it. Waiting does little harm; deleting cannot be
undone."""
FAR_AHEAD_SECONDS: Final = 24 * 3600.0
"""How far the clock may be ahead of the last moment in the database when the service starts. Beyond that, either the
service was off for long or the clock is wrong."""
BEHIND_SECONDS: Final = 300.0
"""How far the clock may be behind the last moment in the database when the service starts. Replicas' clocks differ by
less."""
DATABASE_SECONDS: Final = 300.0
"""How far the clock may differ from that of the PostgreSQL server. Beyond that, one of the two is wrong."""


class ClockDoubt(StrEnum):
    """Why the wall clock is not trusted."""

    JUMPED = "jumped"
    """It moved differently from the steady clock."""
    PAUSED = "paused"
    """It was not read for minutes."""
    UNLIKE_RECORDS = "unlike-records"
    """When the service started, it was far from the last moment in the database."""
    UNLIKE_DATABASE = "unlike-database"
    """The database server's own clock shows a different time."""
    UNKNOWN = "unknown"
    """It has not been compared with anything yet."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A reading of both clocks at one moment, in seconds. `wall` counts from 1970, `steady` from any moment."""

    wall: float
    steady: float

    def at(self, steady: float) -> float:
        """Return what the wall clock should show when the steady clock shows `steady`."""
        return self.wall + steady - self.steady


@dataclass(frozen=True, slots=True)
class ClockState:
    """What is known of the clocks after a reading."""

    last: ClockReading
    good: ClockReading | None
    """The reading to which the wall clock is compared while it is trusted; None when it can no longer confirm
    anything."""
    doubt: ClockDoubt | None = None
    since: ClockReading | None = None
    """While in doubt: the reading at which the new time began; since then both clocks have agreed."""


def start_state(look: ClockReading, newest: float | None) -> ClockState:
    """Return the state at the start of the service. `newest`: the last moment in the database; None if it is empty."""
    if newest is None or -BEHIND_SECONDS <= look.wall - newest <= FAR_AHEAD_SECONDS:
        return ClockState(look, look)
    return ClockState(last=look, good=None, doubt=ClockDoubt.UNLIKE_RECORDS, since=look)


def advance(state: ClockState, look: ClockReading, confirm_seconds: float = CONFIRM_SECONDS) -> ClockState:
    """Return the state after another reading."""
    elapsed = look.steady - state.last.steady
    if not 0 <= elapsed <= GAP_SECONDS:
        return ClockState(last=look, good=None, doubt=state.doubt or ClockDoubt.PAUSED, since=look)
    off = 0.0 if state.good is None else look.wall - state.good.at(look.steady)
    if state.doubt is None:
        if abs(off) > TOLERANCE_SECONDS:
            return ClockState(last=look, good=state.good, doubt=ClockDoubt.JUMPED, since=look)
        drift = max(-elapsed * SLEW, min(off, elapsed * SLEW))
        return ClockState(look, ClockReading(look.wall - off + drift, look.steady))
    if state.good is not None and abs(off) <= TOLERANCE_SECONDS:  # the old time is back
        return ClockState(look, ClockReading(look.wall, look.steady))
    if state.since is None or abs(look.wall - state.since.at(look.steady)) > TOLERANCE_SECONDS:
        return replace(state, last=look, since=look)
    if look.steady - state.since.steady >= confirm_seconds:
        return ClockState(look, look)
    return replace(state, last=look)
