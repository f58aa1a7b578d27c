"""Reads and keeps the PBX's users with their permissions and groups, and reports changes to the service.

Each reading makes three requests for any number of users and at most two for groups: six a minute. If users, permissions
or groups cannot be read, the last known ones remain. A user who is missing in the list counts as gone only if the PBX says
so about that user.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from connector.answers import GroupRecord, ParsedList, PermissionRecord
from connector.errors import PbxError
from connector.readings import Readings
from connector.rest import (
    ADMINISTRATOR,
    LICENCE,
    REQUESTS_AT_ONCE,
    Holders,
    NotThereError,
    StarfaceRest,
    pbx_group,
    pbx_user,
)
from core.diagnosis.rules import UAL_SINCE
from core.diagnosis.version import is_older
from wire.link import MAX_USERS_AT_ONCE, PbxUser, People, UsersChanged
from wire.readings import ReadingPart

logger = logging.getLogger(__name__)

READ_SECONDS: Final = 50.0
"""Interval of the readings, so that the service learns of a change within a minute."""
PERMISSIONS_SECONDS: Final = 600.0
"""How long the list of permissions is kept; it changes only with the PBX's version and language."""
GROUP_REQUESTS: Final = 2
"""Requests for groups in each reading after the first: the list every second time, and otherwise single groups in turn."""
MAX_GROUPS: Final = 500
MAX_GONE_ASKED: Final = 100
"""Most users missing in a list about whom the PBX is asked in one reading; likewise holders of a permission, and groups.
The others remain until the next reading.
"""
SERVICE_WAITS_SECONDS: Final = 9.0
"""A little less than the time that the service waits for an answer."""
FRESH_SECONDS: Final = 5.0
MAX_FOUND: Final = 20


class Directory:
    def __init__(
        self, rest: StarfaceRest, readings: Readings, *, active: bool, every: float = READ_SECONDS
    ) -> None:
        self._rest = rest
        self._readings = readings
        self.active = active
        """Whether the PBX is read."""
        self._every = every
        self._users: Mapping[int, PbxUser] | None = None
        self._read_at = 0.0
        self._permissions: Sequence[PermissionRecord] | None = None
        self._permissions_read_at = 0.0
        self._holders = Holders(None, None, licence_permission_found=False)
        self._groups: dict[int, GroupRecord] = {}
        self._listed_groups: ParsedList[GroupRecord] | None = None
        """The list of groups in use; None if it must be read again."""
        self._next_group = 0
        self._unreported: dict[int, PbxUser | None] = {}
        self._reading: asyncio.Task[None] | None = None
        self._owes_everybody = False
        """The service asked about users, for instance when a link opened, and its request timed out or failed."""
        self.changed = asyncio.Event()

    @property
    def holders(self) -> Holders:
        """The holders of the two permissions as last read."""
        return self._holders

    async def run(self) -> None:
        while True:
            if self.active:
                try:
                    await self._read()
                except PbxError as fault:
                    logger.info("users not read", extra={"reason": str(fault)[:300]})
            await asyncio.sleep(self._every)

    async def by_ids(self, user_ids: Sequence[int]) -> list[PbxUser]:
        """Return the present records of those users that exist. A missing user does not exist, according to the PBX.

        Raises `PbxError` if that cannot be found out.
        """
        begun = time.monotonic()
        try:
            found = await self._by_ids(user_ids)
        except PbxError:
            self._owes_everybody = True
            raise
        if time.monotonic() - begun > SERVICE_WAITS_SECONDS:
            self._owes_everybody = True
        return found

    async def _by_ids(self, user_ids: Sequence[int]) -> list[PbxUser]:
        if self._users is None or time.monotonic() - self._read_at > FRESH_SECONDS:
            await self._read()
        found = self._users or {}
        unsure = {
            user_id
            for user_id in user_ids
            if user_id in found and self._holders.skipped and None in _flags(found[user_id])
        }
        there = [found[user_id] for user_id in user_ids if user_id in found and user_id not in unsure]
        slots = asyncio.Semaphore(REQUESTS_AT_ONCE)

        async def asked(user_id: int) -> PbxUser | None:
            async with slots:
                if user_id not in unsure:
                    return await self._rest.user(user_id)
                try:
                    licensed, administers = await self._rest.holds(user_id)
                except PbxError:
                    return found[user_id]
            flags = {"has_licence_permission": licensed, "is_administrator": administers}
            return found[user_id].model_copy(update=flags)

        tasks = [
            asyncio.create_task(asked(user_id))
            for user_id in user_ids
            if user_id not in found or user_id in unsure
        ]
        await asyncio.gather(*tasks, return_exceptions=True)
        return there + [user for task in tasks if (user := task.result()) is not None]

    async def people(self, search: str, user_ids: Sequence[int]) -> People:
        """Return users whose name or login contains `search`, at most `MAX_FOUND`, those with these ids, and all groups."""
        if self._users is None:
            await self._read()
        term = search.casefold().strip()
        wanted = set(user_ids)
        everybody = sorted((self._users or {}).values(), key=lambda user: user.display_name.casefold())
        named = [user for user in everybody if user.user_id in wanted]
        matching = [user for user in everybody if term in f"{user.display_name} {user.login}".casefold()]
        groups = sorted(self._groups.values(), key=lambda group: group.name.casefold())
        return People(
            users=list({user.user_id: user for user in (*named, *matching[:MAX_FOUND])}.values()),
            groups=[pbx_group(group) for group in groups],
        )

    def groups_of(self, user_id: int) -> tuple[int, ...]:
        """Return the ids of the user's groups as last read."""
        return tuple(group.id for group in self._groups.values() if user_id in group.members)

    def group_name(self, group_id: str) -> str:
        """Return the name of a group as last read, or the id if the group is unknown."""
        group = self._groups.get(int(group_id)) if group_id.isascii() and group_id.isdigit() else None
        return group.name if group is not None else group_id

    def unreported(self) -> list[UsersChanged]:
        """Return the changes that the service does not know yet, in portions that fit a frame."""
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
        """Mark a portion as received by the service. A user that has changed again since stays unreported."""
        for user in portion.users:
            if self._unreported.get(user.user_id) == user:
                del self._unreported[user.user_id]
        for user_id in portion.gone:
            if user_id in self._unreported and self._unreported[user_id] is None:
                del self._unreported[user_id]

    async def _read(self) -> None:
        """Read everything. Concurrent callers share one reading, and none holds a lock while the PBX works on it."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_now())
        await asyncio.shield(self._reading)

    async def _read_now(self) -> None:
        groups = asyncio.create_task(self._read_groups())
        try:
            listed = await self._rest.users()
        except PbxError as fault:
            self._readings.failed(ReadingPart.USERS, fault)
            raise
        finally:
            await groups
        self._readings.read(ReadingPart.USERS, skipped=listed.skipped, detail=listed.reason)
        await self._read_holders()
        members = self._members()
        users = {
            user.id: pbx_user(
                user,
                is_administrator=self._holds(ADMINISTRATOR, user.id),
                has_licence_permission=self._holds(LICENCE, user.id),
                group_ids=members.get(user.id, ()),
            )
            for user in listed.items
        }
        await self._take(users)

    async def _take(self, users: dict[int, PbxUser]) -> None:
        before = self._users
        if before is not None:
            missing = [user_id for user_id in before if user_id not in users]
            gone = await self._gone(missing[:MAX_GONE_ASKED])
            users |= {user_id: before[user_id] for user_id in missing if user_id not in gone}
        self._users, self._read_at = users, time.monotonic()
        changes: dict[int, PbxUser | None] = {}
        if before is not None:
            changes = {user_id: user for user_id, user in users.items() if before.get(user_id) != user}
            changes |= {user_id: None for user_id in before if user_id not in users}
        if self._owes_everybody:
            changes |= users  # the service ignores users whom it does not know
            self._owes_everybody = False
        if changes:
            logger.info("users changed", extra={"count": len(changes)})
            self._unreported |= changes
            self.changed.set()

    async def _gone(self, user_ids: Sequence[int]) -> set[int]:
        """Return those of the users that do not exist, according to the PBX."""
        slots = asyncio.Semaphore(REQUESTS_AT_ONCE)

        async def is_gone(user_id: int) -> bool:
            async with slots:
                try:
                    return await self._rest.is_gone(user_id)
                except PbxError:
                    return False

        answers = await asyncio.gather(*(is_gone(user_id) for user_id in user_ids))
        return {user_id for user_id, gone in zip(user_ids, answers, strict=True) if gone}

    async def _read_holders(self) -> None:
        """Read the holders of the two permissions. If they cannot be read, the last known ones remain."""
        try:
            now = time.monotonic()
            if self._permissions is None or now - self._permissions_read_at > PERMISSIONS_SECONDS:
                listed = await self._rest.permissions()
                self._permissions, self._permissions_read_at = listed.items, now
            found = await self._rest.holders(self._permissions)
        except PbxError as fault:
            self._permissions = None
            self._readings.failed(ReadingPart.PERMISSIONS, fault)
            return
        before = self._holders
        licensed = await self._confirmed(before.licensed, found.licensed, LICENCE)
        administrators = await self._confirmed(before.administrators, found.administrators, ADMINISTRATOR)
        if not found.licence_permission_found and self._has_no_such_permission():
            licensed = frozenset()
        self._holders = Holders(
            licensed=licensed,
            administrators=administrators,
            licence_permission_found=found.licence_permission_found,
            candidates=found.candidates,
            skipped=found.skipped,
        )
        if found.fault is not None:
            self._permissions = None
            self._readings.failed(ReadingPart.PERMISSIONS, found.fault)
        elif found.administrators is None:
            self._permissions = None
            self._readings.incomplete(
                ReadingPart.PERMISSIONS, "permission-missing", "the administrator permission is not found"
            )
        else:
            self._readings.read(ReadingPart.PERMISSIONS, skipped=found.skipped, detail=found.reason)
            if not found.licence_permission_found:
                self._permissions = None  # the PBX's language may differ: read the list each time

    async def _confirmed(
        self, before: frozenset[int] | None, found: frozenset[int] | None, which: int
    ) -> frozenset[int] | None:
        """Return the confirmed holders. The list may be incomplete or odd, so a missing user loses the permission only if
        their own record says so.
        """
        if found is None or before is None:
            return before if found is None else found
        missing = sorted(before - found)
        slots = asyncio.Semaphore(REQUESTS_AT_ONCE)

        async def is_lost(user_id: int) -> bool:
            async with slots:
                try:
                    return (await self._rest.holds(user_id))[which] is False
                except NotThereError:
                    return user_id not in (self._users or {})
                except PbxError:
                    return False

        answers = await asyncio.gather(*(is_lost(user_id) for user_id in missing[:MAX_GONE_ASKED]))
        lost = {user_id for user_id, one in zip(missing, answers, strict=False) if one}
        return found | (before - lost)

    def _has_no_such_permission(self) -> bool:
        """Return whether the PBX is older than 6.7.3, which introduced the licence permission: then nobody holds it."""
        version = self._readings.pbx_version
        return version is not None and is_older(version, UAL_SINCE)

    async def _read_groups(self) -> None:
        """Read all groups the first time, several concurrently, and then a few in each reading. A group that cannot be read
        remains as last known.
        """
        listed, self._listed_groups = self._listed_groups, None
        left = GROUP_REQUESTS
        if listed is None:
            try:
                listed = self._listed_groups = await self._rest.groups()
            except PbxError as fault:
                self._readings.failed(ReadingPart.GROUPS, fault)
                return
            left -= 1
        ids = list(dict.fromkeys(group.id for group in listed.items[:MAX_GROUPS]))
        missing = [group_id for group_id in self._groups if group_id not in set(ids)]
        new = [group_id for group_id in ids if group_id not in self._groups]
        turn = [ids[(self._next_group + offset) % len(ids)] for offset in range(min(left, len(ids)))]
        self._next_group = (self._next_group + left) % max(1, len(ids))
        # The list may be incomplete: a missing group is gone only if the PBX says so about that group.
        wanted = list(dict.fromkeys((*new, *turn, *missing[:MAX_GONE_ASKED])))
        slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        faults: list[PbxError] = []
        gone: set[int] = set()

        async def read(group_id: int) -> GroupRecord | None:
            async with slots:
                try:
                    return await self._rest.group(group_id)
                except NotThereError as fault:
                    if group_id in missing:
                        gone.add(group_id)
                    else:
                        faults.append(fault)
                except PbxError as fault:
                    faults.append(fault)
            return None

        read_groups = await asyncio.gather(*(read(group_id) for group_id in wanted))
        known = {group_id: group for group_id, group in self._groups.items() if group_id not in gone}
        known |= {
            group.id: _with_unsure(group, known.get(group.id)) for group in read_groups if group is not None
        }
        self._groups = known
        if faults:
            self._listed_groups = None  # one of the groups may be gone
            self._readings.failed(ReadingPart.GROUPS, faults[0])
        else:
            self._readings.read(ReadingPart.GROUPS, skipped=listed.skipped, detail=listed.reason)

    def _members(self) -> Mapping[int, tuple[int, ...]]:
        members: dict[int, tuple[int, ...]] = {}
        for group in self._groups.values():
            for user_id in group.members:
                members[user_id] = (*members.get(user_id, ()), group.id)
        return members

    def _holds(self, which: int, user_id: int) -> bool | None:
        holders = self._holders.of(which)
        if holders is None:
            return None
        if user_id in holders or not self._holders.skipped:
            return user_id in holders
        # It may be this user's record that could not be read. Somebody who held the permission before loses it only if
        # their own record says so.
        before = (self._users or {}).get(user_id)
        return False if before is not None and _flags(before)[which] is not None else None


def _flags(user: PbxUser) -> tuple[bool | None, bool | None]:
    """Return the two flags of a user in the order of `Holders.of`."""
    return user.has_licence_permission, user.is_administrator


def _with_unsure(group: GroupRecord, before: GroupRecord | None) -> GroupRecord:
    """Return the group; if some of its users could not be read, add the earlier members about whom it says nothing."""
    if before is None or not group.skipped:
        return group
    mentioned = {*group.members, *group.others}
    unsure = [user_id for user_id in before.members if user_id not in mentioned]
    return replace(group, members=(*group.members, *unsure))
