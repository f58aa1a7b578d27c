"""A host that the connector must reach: the service or the PBX."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr

from connector.config import PbxSection, ServiceSection
from connector.network import limits
from connector.network.limits import Limits
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding

MAX_EVIDENCE_CHARS = 300


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    code: Code
    """The code of the findings about faults on the path."""
    limits: Limits
    proxy: SecretStr | None = None
    """As in the configuration: an address, "none" or "environment"."""
    authorities: str | None = field(default=None, repr=False)
    """Certificates (PEM) that are trusted in addition to the system's authorities."""
    pinned: str | None = None
    """The SHA-256 fingerprint (hexadecimal) of the only certificate that the target may show. None: the usual checks."""
    is_on_site: bool = False
    """It is at the connector's site, as a PBX is: on a private address it is reached without a proxy."""

    @classmethod
    def service(cls, config: ServiceSection) -> "Target":
        """Return the service as a target. Raises `ConnectorError` if `ca_file` cannot be read."""
        return cls(config.url, Code.SERVICE_UNREACHABLE, limits.SERVICE, config.proxy, config.certificates())

    @classmethod
    def pbx(cls, config: PbxSection) -> "Target":
        """Return the PBX as a target. Raises `ConnectorError` if `ca_file` cannot be read."""
        return cls(
            config.url,
            Code.PBX_UNREACHABLE,
            limits.PBX,
            config.proxy,
            config.certificates(),
            config.certificate_fingerprint,
            is_on_site=True,
        )

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    def finding(self, variant: str, **evidence: object) -> Finding:
        """Return a finding about the path to this target, with host, port and `evidence` for its text."""
        shown = {name: str(value)[:MAX_EVIDENCE_CHARS] for name, value in evidence.items()}
        return Finding(self.code, {"host": self.host, "port": str(self.port), **shown}, variant)
