"""The tab API's messages about packages to download."""

from wire.model import Moment, WireModel
from wire.packages import FileName


class OfferedPackage(WireModel):
    kind: str
    """A `PackageKind`."""
    file: str
    version: str
    architecture: str
    size: int
    """In bytes."""
    sha256: str


class DownloadsState(WireModel):
    configured: bool
    """Whether the operator has named a folder of packages."""
    packages: list[OfferedPackage]


class DownloadLinkRequest(WireModel):
    file: FileName


class DownloadLinkState(WireModel):
    url: str
    until: Moment
