"""The PBX's users with their permissions and groups, read as a whole: four requests in 40 seconds, however many
users there are, and one for each group every ten minutes. What changed is reported to the service.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

from connector.errors import PbxError
from connector.rest import StarfaceRest
from wire.link import MAX_USERS_AT_ONCE, PbxGroup, PbxUser, People, UsersChanged

logger = logging.getLogger(__name__)

READ_SECONDS: Final = 40.0
"""A change is known within a minute (design: users and permissions), reporting included."""
GROUPS_SECONDS: Final = 600.0
FRESH_SECONDS: Final = 5.0
MAX_FOUND: Final = 20


class Directory:
    def __init__(self, rest: StarfaceRest, *, active: bool, every: float = READ_SECONDS) -> None:
        self._rest = rest
        self._active = active
        self._every = every
        self._users: Mapping[int, PbxUser] | None = None
        self._read_at = 0.0
        self._groups: Mapping[int, PbxGroup] = {}
        self._members: Mapping[int, tuple[int, ...]] = {}
        self._groups_read_at: float | None = None
        self._unreported: dict[int, PbxUser | None] = {}
        self._reading = asyncio.Lock()
        self.changed = asyncio.Event()

    async def run(self) -> None:
        while True:
            if self._active:
                try:
                    async with self._reading:
                        await self._read_now()
                except PbxError as fault:
                    logger.info("users not read", extra={"reason": str(fault)[:300]})
            await asyncio.sleep(self._every)

    async def by_ids(self, user_ids: Sequence[int]) -> list[PbxUser]:
        """Those of them that there are, as they are now. Raises `PbxError` when the PBX cannot be asked."""
        async with self._reading:
            if self._users is None or time.monotonic() - self._read_at > FRESH_SECONDS:
                await self._read_now()
        found = self._users or {}
        return [found[user_id] for user_id in user_ids if user_id in found]

    async def people(self, search: str, user_ids: Sequence[int]) -> People:
        """Users and groups by a part of their name or login, at most `MAX_FOUND` users, and those with these ids."""
        async with self._reading:
            if self._users is None:
                await self._read_now()
        term = search.casefold().strip()
        everybody = sorted((self._users or {}).values(), key=lambda user: user.display_name.casefold())
        named = [user for user in everybody if user.user_id in set(user_ids)]
        matching = [user for user in everybody if term in f"{user.display_name} {user.login}".casefold()]
        groups = sorted(self._groups.values(), key=lambda group: group.name.casefold())
        return People(
            users=list({user.user_id: user for user in (*named, *matching[:MAX_FOUND])}.values()),
            groups=groups,
        )

    def groups_of(self, user_id: int) -> tuple[int, ...]:
        """As last read; empty for somebody who was not there then."""
        return self._members.get(user_id, ())

    def unreported(self) -> list[UsersChanged]:
        """What the service does not know yet, in portions that fit a frame."""
        items = list(self._unreported.items())
        portions = [items[at : at + MAX_USERS_AT_ONCE] for at in range(0, len(items), MAX_USERS_AT_ONCE)]
        return [
            UsersChanged(
                users=[user for _, user in portion if user is not None],
                gone=[user_id for user_id, user in portion if user is None],
            )
            for portion in portions
        ]

    def reported(self, portion: UsersChanged) -> None:
        """The service has taken these; one that has changed again meanwhile stays."""
        for user in portion.users:
            if self._unreported.get(user.user_id) == user:
                del self._unreported[user.user_id]
        for user_id in portion.gone:
            if user_id in self._unreported and self._unreported[user_id] is None:
                del self._unreported[user_id]

    async def _read_now(self) -> None:
        await self._read_groups()
        users = {user.user_id: user for user in await self._rest.all_users(self._members)}
        before, self._users, self._read_at = self._users, users, time.monotonic()
        if before is None:
            return  # the service compares by itself when the link opens
        changes: dict[int, PbxUser | None] = {
            user_id: user for user_id, user in users.items() if before.get(user_id) != user
        }
        changes |= {user_id: None for user_id in before if user_id not in users}
        if changes:
            logger.info("users changed", extra={"count": len(changes)})
            self._unreported |= changes
            self.changed.set()

    async def _read_groups(self) -> None:
        if self._groups_read_at is not None and time.monotonic() - self._groups_read_at < GROUPS_SECONDS:
            return
        groups: dict[int, PbxGroup] = {}
        members: dict[int, tuple[int, ...]] = {}
        for group, user_ids in await self._rest.all_groups():
            groups[group.group_id] = group
            for user_id in user_ids:
                members[user_id] = (*members.get(user_id, ()), group.group_id)
        self._groups, self._members, self._groups_read_at = groups, members, time.monotonic()
