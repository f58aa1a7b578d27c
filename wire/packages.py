"""The index of a folder of packages: `infra/packages.py` writes it, the service reads it to offer the packages."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from wire.bounds import Sha256Hex, Version
from wire.model import WireModel

INDEX: Final = "packages.json"
"""The name of the index in its folder."""
MAX_INDEX_BYTES: Final = 64 * 1024
MAX_PACKAGE_BYTES: Final = 1024**3

FileName = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+~-]{0,149}$")]
"""The name of a file in the folder itself: it has no separator and does not begin with a dot."""


class PackageKind(StrEnum):
    """What a package is. The kind decides who may download it, and which next step is shown."""

    CONNECTOR_DEBIAN = "connector-debian"
    CONNECTOR_WINDOWS = "connector-windows"
    CONNECTOR_CONTAINER = "connector-container"
    AUDIO_HELPER_WINDOWS = "audio-helper-windows"


class BuiltPackage(WireModel):
    """One package in the folder."""

    kind: Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z][a-z-]{0,39}$")]
    """A `PackageKind`. A service ignores kinds that only a later version knows."""
    file: FileName
    version: Version
    architecture: Version
    """`amd64`, `arm64`, `x64`."""
    size: Annotated[int, Field(ge=1, le=MAX_PACKAGE_BYTES, strict=True)]
    sha256: Sha256Hex
    sbom: FileName
    """The software bill of materials in the same folder (CycloneDX, JSON)."""


class PackageIndex(WireModel):
    packages: Annotated[tuple[BuiltPackage, ...], Field(max_length=50)]
