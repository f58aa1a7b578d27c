"""REST requests about people's telephones, made with the connector's own login.

That login may access other users' telephones only with administrative rights (REST 6.7, `actOnBehalfOf`). Without them
the PBX answers 403, and what only REST has (iFMC, the do-not-disturb flag, contacts) is not offered; the connector tries
again after a while. By UCI the PBX checks the person's own rights. By REST it may check only those of this login, so a
change here requires that the person holds a permission for it. Permissions are found by their names, because ids differ.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from connector.answers import PermissionRecord
from connector.errors import PbxError, PbxForbiddenError, PhoneError
from connector.permissions import canonical
from connector.rest import NotThereError, StarfaceRest
from core.diagnosis.codes import Code
from wire.phone import Offer

logger = logging.getLogger(__name__)

DENIED_SECONDS: Final = 600.0


class Area(StrEnum):
    PHONES = "phones"
    REDIRECTS = "redirects"
    MOBILES = "mobiles"
    CONTACTS = "contacts"
    ACCOUNTS = "accounts"


HINTS: Final[Mapping[Area, tuple[str, ...]]] = {
    Area.REDIRECTS: ("umleitung", "redirect", "forward"),
    Area.MOBILES: ("ifmc",),
    Area.CONTACTS: ("adressbuch", "address"),
}
"""Parts of the names of the permissions that an area needs (PERM and StarCLX have internal names; these are assumed)."""
_TRIED: Final[Mapping[Area, tuple[str, Mapping[str, str]]]] = {
    Area.PHONES: ("/users/{own_id}/phoneconfig", {}),
    Area.REDIRECTS: ("/redirects", {"actOnBehalfOf": "{own_id}"}),
    Area.MOBILES: ("/fmcPhones", {"userId": "{own_id}"}),
    Area.CONTACTS: ("/contacts", {"page": "0", "pagesize": "1"}),
}
"""A request of these areas that reads little and changes nothing. All accounts together may be many."""
_OF_GROUPS: Final = ("group", "grupp")
PERMISSIONS_SECONDS: Final = 600.0
HELD_SECONDS: Final = 60.0
MAX_HELD: Final = 1000


class NotOfferedError(PhoneError):
    """REST does not offer the area to the connector's login at present."""

    def __init__(self, area: Area) -> None:
        super().__init__(Code.PHONE_NOT_OFFERED, f"REST does not offer {area.value} to the connector's login")


class RestPhone:
    def __init__(self, rest: StarfaceRest) -> None:
        self._rest = rest
        self._denied: dict[tuple[Area, str], float] = {}
        self._found: dict[Area, Offer] = {}
        """What the last answer about an area has shown."""
        self._permissions: Sequence[PermissionRecord] = ()
        self._permissions_until = 0.0
        self._held: dict[int, tuple[float, tuple[PermissionRecord, ...]]] = {}
        """By user: until when the entry is valid, and the permissions that the person holds."""

    async def may_change(self, user_id: int, area: Area) -> bool:
        """Return whether the connector's login may write and the person holds the permission for the area."""
        return self.may_write(area) and await self.may(user_id, area)

    def may_write(self, area: Area) -> bool:
        """Return whether the PBX has not refused a change of this area to the connector's login."""
        return not self._is_denied(area, "PUT")

    async def may(self, user_id: int, area: Area) -> bool:
        """Return whether the person holds a permission for the area; if the PBX has no such permission, nobody needs one.

        Unknown means no here, because the request would use other rights than the person's.
        """
        now = time.monotonic()
        try:
            if now >= self._permissions_until:
                self._permissions = (await self._rest.permissions()).items
                self._permissions_until = now + PERMISSIONS_SECONDS
            if not any(_is_for(one, area) for one in self._permissions):
                return True
            until, held = self._held.get(user_id, (0.0, ()))
            if now >= until:
                held = tuple((await self._rest.permissions_of(user_id)).items)
                self._held[user_id] = now + HELD_SECONDS, held
                if len(self._held) > MAX_HELD:
                    del self._held[next(iter(self._held))]
        except PbxError as fault:
            logger.debug("a person's permissions cannot be read", extra={"reason": type(fault).__name__})
            return False
        return any(_is_for(one, area) for one in held)

    async def get(self, area: Area, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of a path. Raises `NotOfferedError` or another `PbxError`."""
        if self._is_denied(area, "GET"):
            raise NotOfferedError(area)
        try:
            answer = await self._rest.get(path, query)
        except (PbxForbiddenError, NotThereError) as fault:
            self._denied[area, "GET"] = time.monotonic()
            self._found[area] = Offer.ABSENT if isinstance(fault, NotThereError) else Offer.REFUSED
            raise NotOfferedError(area) from fault
        self._found[area] = Offer.READ_ONLY
        return answer

    async def put(self, area: Area, path: str, body: Any, query: Mapping[str, str] | None = None) -> None:
        """Write JSON to a path. Raises `NotOfferedError` or another `PbxError`."""
        try:
            await self._rest.put(path, body, query)
        except PbxForbiddenError as fault:
            self._denied[area, "PUT"] = time.monotonic()
            raise NotOfferedError(area) from fault

    def offer(self, area: Area) -> Offer:
        """Return what is known about an area: `READ_ONLY` if it can be read, `REFUSED`, `ABSENT` or `UNKNOWN`."""
        return self._found.get(area, Offer.UNKNOWN)

    async def find_offers(self, own_id: int) -> None:
        """Read areas about which nothing is known, or no longer, with the connector's own user. Never raises."""
        outdated = [
            area
            for area in _TRIED
            if self.offer(area) is not Offer.READ_ONLY and not self._is_denied(area, "GET")
        ]
        await asyncio.gather(*(self._find_offer(area, own_id) for area in outdated))

    async def _find_offer(self, area: Area, own_id: int) -> None:
        path, query = _TRIED[area]
        try:
            values = {name: value.format(own_id=own_id) for name, value in query.items()}
            await self.get(area, path.format(own_id=own_id), values)
        except PbxError as fault:
            logger.debug("an area of REST is not read", extra={"reason": type(fault).__name__})

    def _is_denied(self, area: Area, method: str) -> bool:
        since = self._denied.get((area, method))
        return since is not None and time.monotonic() - since < DENIED_SECONDS


def _is_for(permission: PermissionRecord, area: Area) -> bool:
    names = [canonical(name) for name in permission.names]
    return any(
        hint in name for name in names for hint in HINTS[area] if not any(word in name for word in _OF_GROUPS)
    )
