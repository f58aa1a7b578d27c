"""Names of processes and their parents, and which of the programs run."""

import time
from typing import Final

import psutil

SCAN_SECONDS: Final = 60.0
"""How often all processes are looked through for programs that have no stream; it takes a few milliseconds."""


class Processes:
    def __init__(self) -> None:
        self._names: dict[int, tuple[str, ...]] = {}
        self._running: tuple[tuple[str, ...], ...] = ()
        self._scanned_at = float("-inf")

    def names_of(self, pid: int) -> tuple[str, ...]:
        """The process, then its parents: Teams' sound is played by a helper of a helper. Empty when it is gone."""
        try:
            process = psutil.Process(pid)
            return tuple(name for one in (process, *process.parents()) for name in _names(one))
        except (psutil.Error, OSError):
            return ()

    def running(self) -> tuple[tuple[str, ...], ...]:
        if time.monotonic() - self._scanned_at >= SCAN_SECONDS:
            self._scanned_at = time.monotonic()
            names = {process.info["name"] for process in psutil.process_iter(["name"])}
            self._running = tuple((name,) for name in sorted(filter(None, names)))
        return self._running


def _names(process: psutil.Process) -> list[str]:
    """Name of the program, and the address it was started with as an app of a browser; no other argument."""
    try:
        apps = [argument for argument in process.cmdline() if argument.startswith("--app=")]
        return [process.name(), *apps]
    except (psutil.Error, OSError):
        return []
