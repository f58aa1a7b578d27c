"""Simulates a morning at one company with 20,000 users, with the figures that `tab`, `rush` and `bot` have
measured.

No service runs: it simulates queues. Each replica is one process that does one thing at a time. Users come to work,
open their tab, sign in by password and leave the tab open; some write to the bot. The cost of each step is the CPU
time that the benchmarks measured on this machine (`.cache/bench/NAME.json`, which they leave); that a PBX takes
`PBX_SECONDS` for a step, and 64 steps at once over its link, is assumed. What it shows:

    busy at the peak     the busiest minute of a replica: the part of it in which its process worked
    sign-in              seconds from the first request to the answer, without the time in which people type
    memory               of the open tabs of a replica

in a usual morning and in a shift that begins at once, with one replica, two and four.
"""

import heapq
import itertools
import json
import random
import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bench.report import KEPT, Report

PEOPLE: Final = 20_000
ASK_THE_BOT: Final = 0.05
"""Share of the users who also write to the bot."""
TYPE_SECONDS: Final = 12.0
"""Time between the two steps of a sign-in, for typing login and password."""
PBX_SECONDS: Final = 0.1
PBX_AT_ONCE: Final = 64
PACE_SECONDS: Final = 2.0
"""Minimum time between two updates of shared numbers (docs/decisions/0012-live-updates.md)."""
MORNINGS: Final = {"usual morning": 25 * 60.0, "a shift begins": 3 * 60.0}
"""Standard deviation of the arrival times, in seconds."""
REPLICAS: Final = (1, 2, 4)
RUSH_TABS: Final = 2_000
RUSH_SIGN_INS: Final = 5
"""Sign-ins a second in `bench rush`."""


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds, except for the last member."""

    state: float
    sign_in: float
    """Both steps, with the call over the link."""
    update_tab: float
    """One event to one open tab."""
    idle_tab: float
    """An open tab to which nothing happens, each second."""
    bot_turn: float
    tab_kib: float


def measured() -> Costs:
    """Read the measured costs. Raises `SystemExit` if a benchmark has not been run on this machine."""
    tab, rush, bot = (_figures(name) for name in ("tab", "rush", "bot"))
    alone = rush["two replicas, no tab: CPU of a sign-in, ms"]
    watched = rush[f"two replicas, {RUSH_TABS} tabs: CPU of a sign-in, ms"]
    idle = rush[f"two replicas: CPU while {RUSH_TABS} tabs are open and nothing happens, ms a second"]
    # At five sign-ins a second, the shared numbers are sent once for ten sign-ins.
    sign_ins_an_event = RUSH_SIGN_INS * PACE_SECONDS
    return Costs(
        state=tab["postgresql, service: CPU of a state, microseconds"] / 1e6,
        sign_in=alone / 1e3,
        update_tab=max(watched - alone, 0.0) / 1e3 * sign_ins_an_event / RUSH_TABS,
        idle_tab=idle / 1e3 / RUSH_TABS,
        bot_turn=bot["service: CPU of their turn, microseconds"] / 1e6,
        tab_kib=rush["two replicas: memory of an open tab, KiB"],
    )


def _figures(name: str) -> dict[str, Any]:
    file = KEPT / f"{name}.json"
    if not file.exists():
        raise SystemExit(f"run `python -m bench {name}` first: its figures are what this one is played with")
    figures: dict[str, Any] = json.loads(file.read_text())["figures"]
    return figures


async def run() -> Report:
    report = Report("morning", {})
    costs = measured()
    report.figures |= {
        "CPU of a state, ms": round(costs.state * 1e3, 2),
        "CPU of a sign-in, ms": round(costs.sign_in * 1e3, 2),
        "CPU of an event to an open tab, microseconds": round(costs.update_tab * 1e6, 1),
        "CPU of a turn with the bot, ms": round(costs.bot_turn * 1e3, 2),
    }
    for morning, spread in MORNINGS.items():
        for replicas in REPLICAS:
            played = Morning(costs, replicas, spread).play()
            name = f"{morning}, {replicas} {'replica' if replicas == 1 else 'replicas'}"
            report.figures |= {f"{name}: {what}": value for what, value in played.items()}
    return report


class Morning:
    def __init__(self, costs: Costs, replicas: int, spread: float) -> None:
        self._costs = costs
        self._random = random.Random(1)
        self._free_at = [0.0] * replicas
        """The time at which each replica has finished its work."""
        self._tabs = [0] * replicas
        self._busy: list[defaultdict[int, float]] = [defaultdict(float) for _ in range(replicas)]
        """CPU seconds of each replica, by minute."""
        self._changed = False
        self._pbx = [0.0] * PBX_AT_ONCE
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        self._spread = spread
        self._left = PEOPLE
        self.sign_ins: list[float] = []

    def play(self) -> dict[str, float]:
        start = 4 * self._spread
        for _ in range(PEOPLE):
            self._at(max(0.0, self._random.gauss(start, self._spread)), self._come)
        self._at(PACE_SECONDS, self._update_tabs)
        while self._events:
            time, _, act = heapq.heappop(self._events)
            act(time)
        percentiles = statistics.quantiles(self.sign_ins, n=100)
        busiest = max(max(minutes.values()) for minutes in self._busy)
        return {
            "busy at the peak": round(busiest / 60, 2),
            "p50 of a sign-in, s": round(percentiles[49], 2),
            "p99 of a sign-in, s": round(percentiles[98], 2),
            "longest sign-in, s": round(max(self.sign_ins), 2),
            "memory of the open tabs of a replica, MiB": round(max(self._tabs) * self._costs.tab_kib / 1024),
        }

    def _at(self, time: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), act))

    def _work(self, replica: int, time: float, seconds: float) -> float:
        """Return when this work of a replica is done, after all earlier work."""
        begun = max(time, self._free_at[replica])
        self._free_at[replica] = begun + seconds
        self._busy[replica][int(begun // 60)] += seconds
        return begun + seconds

    def _ask_pbx(self, time: float) -> float:
        begun = max(time, heapq.heappop(self._pbx))
        heapq.heappush(self._pbx, begun + PBX_SECONDS)
        return begun + PBX_SECONDS

    def _come(self, time: float) -> None:
        """Open the tab: its state, and the stream with its first events."""
        replica = self._random.randrange(len(self._tabs))
        shown = self._work(replica, time, 2 * self._costs.state)
        self._tabs[replica] += 1
        self._at(shown, lambda at: self._begin(at, replica))
        if self._random.random() < ASK_THE_BOT:
            self._at(time + self._random.uniform(0, 3600), self._talk)

    def _begin(self, time: float, replica: int) -> None:
        """Run the first step: the PBX's challenge."""
        asked = self._work(replica, time, self._costs.sign_in / 2)
        self._at(asked, lambda at: self._wait(at, lambda done: self._prove(done, replica, done - time)))

    def _prove(self, time: float, replica: int, waited: float) -> None:
        """Run the second step, after login and password have been typed."""

        def prove(at: float) -> None:
            asked = self._work(replica, at, self._costs.sign_in / 2)
            self._at(asked, lambda sent: self._wait(sent, lambda done: self._end(waited + done - at)))

        self._at(time + self._random.expovariate(1 / TYPE_SECONDS), prove)

    def _wait(self, time: float, then: Callable[[float], None]) -> None:
        self._at(self._ask_pbx(time), then)

    def _end(self, waited: float) -> None:
        self.sign_ins.append(waited)
        self._changed = True
        self._left -= 1

    def _talk(self, time: float) -> None:
        self._work(self._random.randrange(len(self._tabs)), time, self._costs.bot_turn)

    def _update_tabs(self, time: float) -> None:
        """Send the shared numbers to every open tab, and account for the cost of open tabs. This is one
        uninterrupted piece of work, although the real service lets other tasks run in between, so sign-ins wait
        longer here.
        """
        for replica, tabs in enumerate(self._tabs):
            event = tabs * self._costs.update_tab if self._changed else 0.0
            self._work(replica, time, event + tabs * self._costs.idle_tab * PACE_SECONDS)
        self._changed = False
        if self._left:
            self._at(time + PACE_SECONDS, self._update_tabs)
