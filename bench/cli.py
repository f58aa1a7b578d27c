"""Measures how long a small command takes, relative to importing the one library that all messages are built with.

    compare_startup  wall time of `pbx-teams audio compare A B` over `python -c "import pydantic"`

The two alternate, so that slow moments of the machine affect both.
"""

import asyncio
import statistics
import sys
import time
from pathlib import Path
from typing import Final

from bench.report import Bar, Report

ROUNDS: Final = 15
BARS: Final = {"compare_startup": Bar(4.0, at_most=True)}
_PROGRAMS: Final = Path(sys.executable).parent
BARE: Final = "python -c 'import pydantic'"
COMMANDS: Final = {
    BARE: (sys.executable, "-c", "import pydantic"),
    "pbx-teams audio compare": (str(_PROGRAMS / "pbx-teams"), "audio", "compare", "Jabra", "Headset (Jabra)"),
    "pbx-teams --help": (str(_PROGRAMS / "pbx-teams"), "--help"),
    "pbx-connector --help": (str(_PROGRAMS / "pbx-connector"), "--help"),
    "pbx-audio-probe --version": (str(_PROGRAMS / "pbx-audio-probe"), "--version"),
}


async def run() -> Report:
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():  # the first run of each compiles and fills the system's caches
        await _seconds(command)
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            took[name].append(await _seconds(command))
    report = Report("cli", BARS)
    median = {name: statistics.median(found) for name, found in took.items()}
    report.ratios["compare_startup"] = median["pbx-teams audio compare"] / median[BARE]
    report.figures = {f"{name}: milliseconds": round(1000 * seconds) for name, seconds in median.items()}
    return report


async def _seconds(command: tuple[str, ...]) -> float:
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0, command
    return time.perf_counter() - begun
