"""Where the connector's files are on this system, unless its user says otherwise."""

import os
import sys
from pathlib import Path
from typing import Final


def _program_data() -> Path:
    """Return Windows' folder for the data of programs that belong to no user."""
    return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "pbx-connector"


CONFIG_FILE: Final = (
    _program_data() / "connector.toml"
    if sys.platform == "win32"
    else Path("/etc/pbx-connector/connector.toml")
)
STATE_DIRECTORY: Final = (
    _program_data() / "state" if sys.platform == "win32" else Path("/var/lib/pbx-connector")
)
