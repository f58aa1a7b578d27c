"""Names of processes and their parents, and of all running programs."""

import re
import time
from contextlib import suppress
from typing import Final

import psutil

from probe.readers.windows_processes import list_names

SCAN_SECONDS: Final = 60.0
"""How often all processes are listed to find programs without a stream; this takes a few milliseconds."""

BROWSER: Final = re.compile(
    r"(?:google[ -])?chrome(?:-stable|-beta)?(?:\.exe)?|chromium(?:-browser)?(?:\.exe)?|(?:ms|microsoft[ -])edge(?:-stable)?"
    r"(?:\.exe)?|firefox(?:-bin|-esr)?(?:\.exe)?|opera(?:\.exe)?|brave(?:-browser| browser)?(?:\.exe)?|vivaldi(?:-bin)?(?:\.exe)?"
    r"|safari",
    re.IGNORECASE,
)
"""Names of browsers' main processes. `msedgewebview2.exe` is not one: it plays the sound of the program that embeds it."""


class Processes:
    def __init__(self) -> None:
        self._names: dict[int, tuple[str, ...]] = {}
        self._running: tuple[tuple[str, ...], ...] = ()
        self._scanned_at = float("-inf")

    def names_of(self, pid: int) -> tuple[str, ...]:
        """Return the names of a process and its parents, because a helper of a helper plays Teams' sound. Empty if the
        process has ended.
        """
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
                break  # a program that opened the browser by a link does not play its sound
        return tuple(names)

    def running(self) -> tuple[tuple[str, ...], ...]:
        if time.monotonic() - self._scanned_at >= SCAN_SECONDS:
            self._scanned_at = time.monotonic()
            names = {name for process in psutil.process_iter() if (name := _name(process))}
            self._running = tuple((name,) for name in sorted(names))
        return self._running


def _names(process: psutil.Process) -> list[str]:
    """Return the program's name and, for a browser app, the argument with its address; no other arguments. The arguments of
    a program with higher privileges cannot be read, but its name can.
    """
    name = _name(process)
    if not name:
        return []
    try:
        return [name, *(argument for argument in process.cmdline() if argument.startswith("--app="))]
    except (psutil.Error, OSError):
        return [name]


def _name(process: psutil.Process) -> str:
    """Return the name of a process; empty if it has ended or the system does not reveal it."""
    try:
        return process.name()
    except psutil.Error:
        return ""
    except OSError:
        with suppress(OSError):
            return list_names().get(process.pid, "")
    return ""
