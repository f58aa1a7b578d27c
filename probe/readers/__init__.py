"""One reader for each operating system. Only the needed one is imported, because each needs its system's libraries."""

import importlib
import sys
from typing import Final, cast

from probe.errors import ProbeError
from probe.snapshot import SoundReader
from wire.probe import ProbePlatform

_READERS: Final = {
    "linux": (ProbePlatform.LINUX, "probe.readers.linux", "PulseReader"),
    "win32": (ProbePlatform.WINDOWS, "probe.readers.windows", "WindowsReader"),
    "darwin": (ProbePlatform.MACOS, "probe.readers.macos", "MacReader"),
}


def this_system() -> tuple[ProbePlatform, SoundReader]:
    """Return this system's platform and reader. Raises `ProbeError` if there is no reader or its libraries are missing."""
    found = _READERS.get(sys.platform)
    if found is None:
        raise ProbeError(f"there is no audio probe for {sys.platform}: choose the devices in the tab instead")
    platform, module, name = found
    try:
        reader = getattr(importlib.import_module(module), name)
    except (ImportError, OSError) as fault:
        raise ProbeError(
            f"a library is missing ({fault}); install the probe with: pip install 'pbx-teams[probe]'"
        ) from fault
    return platform, cast("SoundReader", reader())
