"""REST of people's telephones, asked with the connector's own login.

That login may see other users' telephones only with administrative rights (REST 6.7, `actOnBehalfOf`). Where it has none,
the PBX answers 403, and what REST alone has (iFMC, the flag of do-not-disturb, contacts) is not offered; it is asked again
after a while. A person's own rights are the PBX's to check by UCI; by REST, with this login, it checks none.
"""

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from connector.errors import PbxForbiddenError, PhoneError
from connector.rest import NotThereError, StarfaceRest
from core.diagnosis.codes import Code

DENIED_SECONDS: Final = 600.0


class Area(StrEnum):
    PHONES = "phones"
    REDIRECTS = "redirects"
    MOBILES = "mobiles"
    CONTACTS = "contacts"
    ACCOUNTS = "accounts"


class NotOfferedError(PhoneError):
    """By REST, to the connector's login, at present."""

    def __init__(self, area: Area) -> None:
        super().__init__(Code.PHONE_NOT_OFFERED, f"REST does not offer {area.value} to the connector's login")


class RestPhone:
    def __init__(self, rest: StarfaceRest) -> None:
        self._rest = rest
        self._denied: dict[tuple[Area, str], float] = {}

    def may_change(self, area: Area) -> bool:
        """As far as is known."""
        return not self._is_denied(area, "PUT")

    async def get(self, area: Area, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Raises `NotOfferedError` or another `PbxError`."""
        if self._is_denied(area, "GET"):
            raise NotOfferedError(area)
        try:
            return await self._rest.get(path, query)
        except (PbxForbiddenError, NotThereError) as fault:
            self._denied[area, "GET"] = time.monotonic()
            raise NotOfferedError(area) from fault

    async def put(self, area: Area, path: str, body: Any, query: Mapping[str, str] | None = None) -> None:
        """Raises `NotOfferedError` or another `PbxError`."""
        try:
            await self._rest.put(path, body, query)
        except PbxForbiddenError as fault:
            self._denied[area, "PUT"] = time.monotonic()
            raise NotOfferedError(area) from fault

    def _is_denied(self, area: Area, method: str) -> bool:
        since = self._denied.get((area, method))
        return since is not None and time.monotonic() - since < DENIED_SECONDS
