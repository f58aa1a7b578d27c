"""A folder of packages, as `make packages` writes it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from wire.packages import INDEX, PackageKind

CONNECTOR_FILE = "pbx-connector_9.9.9_amd64.deb"
HELPER_FILE = "pbx-audio-helper_9.9.9_x64.zip"
CONTENT = {CONNECTOR_FILE: b"connector " * 200_000, HELPER_FILE: b"helper"}


def write_packages(folder: Path, **changes: Any) -> None:
    """Fill a folder as `make packages` does. `changes` apply to the connector's entry of the index."""
    folder.mkdir(exist_ok=True)
    kinds = {CONNECTOR_FILE: PackageKind.CONNECTOR_DEBIAN, HELPER_FILE: PackageKind.AUDIO_HELPER_WINDOWS}
    packages = []
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
        entry = {
            "kind": kinds[name],
            "file": name,
            "version": "9.9.9",
            "architecture": "amd64",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "sbom": f"{name}.cdx.json",
        }
        packages.append(entry | (changes if name == CONNECTOR_FILE else {}))
    (folder / INDEX).write_text(json.dumps({"packages": packages}))
