"""What the service says about the tenants that the PBX trusts. The module page shows it; nothing else depends on it."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from pydantic import ValidationError

from wire.jsonrpc import PROTOCOL_REFUSED, Endpoint, LinkBusyError, LinkClosedError, RpcRefusalError
from wire.link import Method, PbxTrust

ASK_SECONDS: Final = 3.0
"""How long the page waits for the service."""


class TrustState(StrEnum):
    """How much of the answer is known."""

    NO_LINK = "no-link"
    """There is no link, and there was no answer before."""
    NOT_OFFERED = "not-offered"
    """The service is older than this connector and does not report it."""
    NO_ANSWER = "no-answer"
    """The service gave no usable answer, and there was none before."""
    CURRENT = "current"
    EARLIER = "earlier"
    """The last answer is from before; the service cannot be asked now."""


@dataclass(frozen=True, slots=True)
class KnownTrust:
    state: TrustState
    trust: PbxTrust | None = None
    """Set if the state is `CURRENT` or `EARLIER`."""
    at: datetime | None = None
    """When the service said so."""


class TrustReader:
    """Asks the service over the present link, and remembers its last answer."""

    def __init__(self) -> None:
        self._endpoint: Endpoint | None = None
        self._is_offered = True
        self._subject = ("", "")
        self._last: tuple[PbxTrust, datetime] | None = None
        self._asking = asyncio.Lock()

    def link_opened(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._is_offered = True

    def link_closed(self) -> None:
        self._endpoint = None

    def set_subject(self, service: str, pbx_name: str) -> None:
        """Say which service is asked about which PBX. An answer about another one is forgotten."""
        if (service, pbx_name) != self._subject:
            self._subject = service, pbx_name
            self._last = None

    async def read(self) -> KnownTrust:
        """Ask the service if possible; return what is known. Returns within a few seconds and never raises.

        A service that does not offer it is asked once for each link, because it counts the question as a mistake.
        """
        async with self._asking:
            endpoint = self._endpoint
            if endpoint is None:
                return self._earlier(TrustState.NO_LINK)
            if not self._is_offered:
                return KnownTrust(TrustState.NOT_OFFERED)
            try:
                answer = await endpoint.call(Method.TRUST, deadline=ASK_SECONDS)
                trust = PbxTrust.model_validate(answer)
            except RpcRefusalError as refusal:
                if refusal.code != PROTOCOL_REFUSED:
                    return self._earlier(TrustState.NO_ANSWER)
                self._is_offered = False
                self._last = None
                return KnownTrust(TrustState.NOT_OFFERED)
            except LinkClosedError:
                return self._earlier(TrustState.NO_LINK)
            except (LinkBusyError, TimeoutError, OSError, ValidationError):
                return self._earlier(TrustState.NO_ANSWER)
            at = datetime.now(UTC)
            self._last = trust, at
            return KnownTrust(TrustState.CURRENT, trust, at)

    def _earlier(self, otherwise: TrustState) -> KnownTrust:
        if self._last is None:
            return KnownTrust(otherwise)
        trust, at = self._last
        return KnownTrust(TrustState.EARLIER, trust, at)
