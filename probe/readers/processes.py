"""Names of processes and their parents, and which of the programs run."""

import re
import time
from typing import Final

import psutil

SCAN_SECONDS: Final = 60.0
"""How often all processes are looked through for programs that have no stream; it takes a few milliseconds."""

BROWSER: Final = re.compile(
    r"(?:google[ -])?chrome(?:-stable|-beta)?(?:\.exe)?|chromium(?:-browser)?(?:\.exe)?|(?:ms|microsoft[ -])edge(?:-stable)?"
    r"(?:\.exe)?|firefox(?:-bin|-esr)?(?:\.exe)?|opera(?:\.exe)?|brave(?:-browser| browser)?(?:\.exe)?|vivaldi(?:-bin)?(?:\.exe)?"
    r"|safari",
    re.IGNORECASE,
)
"""Its main process. `msedgewebview2.exe` is none: what it plays is of the program that it belongs to."""


class Processes:
    def __init__(self) -> None:
        self._names: dict[int, tuple[str, ...]] = {}
        self._running: tuple[tuple[str, ...], ...] = ()
        self._scanned_at = float("-inf")

    def names_of(self, pid: int) -> tuple[str, ...]:
        """The process, then its parents: Teams' sound is played by a helper of a helper. Empty when it is gone."""
        try:
            process = psutil.Process(pid)
            chain = (process, *process.parents())
        except (psutil.Error, OSError, ValueError, OverflowError):
            return ()
        names: list[str] = []
        for one in chain:
            own = _names(one)
            names += own
            if own and BROWSER.fullmatch(own[0]):
                break  # a program that started the browser by a link does not play what the browser plays
        return tuple(names)

    def running(self) -> tuple[tuple[str, ...], ...]:
        if time.monotonic() - self._scanned_at >= SCAN_SECONDS:
            self._scanned_at = time.monotonic()
            names = {name for process in psutil.process_iter() if (name := _name(process))}
            self._running = tuple((name,) for name in sorted(names))
        return self._running


def _names(process: psutil.Process) -> list[str]:
    """Name of the program, and the address it was started with as an app of a browser; no other argument. The
    arguments of a program with more rights are not told, its name is.
    """
    name = _name(process)
    if not name:
        return []
    try:
        return [name, *(argument for argument in process.cmdline() if argument.startswith("--app="))]
    except (psutil.Error, OSError):
        return [name]


def _name(process: psutil.Process) -> str:
    """Empty for a process that has ended, or that the system does not tell of."""
    try:
        return process.name()
    except (psutil.Error, OSError):
        return ""
