"""Applies changes of the PBX's users to their sessions: users are deleted, or gain and lose the permission.

The connector reports changes within a minute. Changes while there was no link are unknown, so when a link opens, the PBX
is asked about everybody who is signed in or waits.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from core.background import cancel_and_wait
from core.diagnosis.finding import Finding
from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import Registry
from core.licensing.ledger import Ledger
from core.licensing.session import UserFacts
from core.signin.signin import SignIn
from core.signin.verdicts import Verdicts, to_session_person
from core.store.timestamps import now
from core.store.transaction import UnstorableValueError
from wire.link import Method, PbxUser, PbxUsers, UsersChanged

logger = logging.getLogger(__name__)


COMPARED_AT_ONCE: Final = 16
"""Number of PBXs compared at the same time. After a restart all links open within seconds, and sign-ins go first."""


class Following:
    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        verdicts: Verdicts,
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._verdicts = verdicts
        self._comparing: dict[str, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(COMPARED_AT_ONCE)

    def start(self, hub: Hub, sign_in: SignIn) -> None:
        """Set the two services that are created after this one, because they depend on it."""
        self._hub = hub
        self._sign_in = sign_in

    async def close(self) -> None:
        await cancel_and_wait(*self._comparing.values())

    async def users_changed(self, pbx_id: str, epoch: int, changed: UsersChanged | None) -> None:
        """Apply reported changes. With `None`, a link has opened: compare all users of this PBX with their sessions.

        The comparison runs as a task, because it uses the link that waits for this call. `epoch` is that of the link that
        reports.
        """
        if changed is not None:
            await self._follow(pbx_id=pbx_id, epoch=epoch, users=changed.users, gone=changed.gone)
            return
        before = self._comparing.pop(pbx_id, None)
        if before is not None:
            before.cancel()
        task = asyncio.create_task(self._compare(pbx_id))
        self._comparing[pbx_id] = task
        task.add_done_callback(lambda done: self._forget(pbx_id, done))

    def _forget(self, pbx_id: str, task: "asyncio.Task[None]") -> None:
        if self._comparing.get(pbx_id) is task:
            del self._comparing[pbx_id]

    async def _compare(self, pbx_id: str) -> None:
        async with self._at_once:
            try:
                await self._compare_now(pbx_id)
            except Exception:  # nobody awaits this task; the next link compares again
                logger.exception("users not compared", extra={"pbx_id": pbx_id})

    async def _compare_now(self, pbx_id: str) -> None:
        user_ids = await self._ledger.list_followed_user_ids(pbx_id)
        pbx = await self._registry.by_id(pbx_id) if user_ids else None
        if pbx is None:
            return
        try:
            async for asked, found in self._hub.call_for_users(
                pbx=pbx, method=Method.USERS_BY_IDS, user_ids=user_ids, answer=PbxUsers
            ):
                there = {user.user_id for user in found.users}
                gone = [user_id for user_id in asked if user_id not in there]
                # The link that answered is at least as new as the row that was read before.
                await self._follow(pbx_id=pbx_id, epoch=pbx.link_epoch, users=found.users, gone=gone)
        except PbxRefusedError as refused:
            # No answer says nothing about the users. The next link compares again.
            logger.info("users not compared", extra={"pbx_id": pbx_id, "code": refused.finding.code})

    async def _follow(self, pbx_id: str, epoch: int, users: Sequence[PbxUser], gone: Sequence[int]) -> None:
        pbx = await self._registry.by_id(pbx_id)
        if pbx is None:
            return
        mine = set(await self._ledger.list_followed_user_ids(pbx_id))
        facts = [UserFacts(user_id, None) for user_id in gone if user_id in mine]
        known = [user for user in users if user.user_id in mine and _is_known(user)]
        for user, verdict in zip(known, await self._verdicts.decide(pbx, known), strict=True):
            licence = None if isinstance(verdict, Finding) else verdict
            facts.append(UserFacts(user.user_id, to_session_person(user), licence))
        for one in facts:
            try:
                changed = await self._ledger.follow_user(
                    pbx_id=pbx_id, pbx_name=pbx.name, facts=one, now=now(), epoch=epoch
                )
            except UnstorableValueError:  # one malformed user must not affect the others of the PBX
                logger.warning("a user cannot be followed", extra={"pbx": pbx.name, "user": one.pbx_user_id})
                continue
            if changed is not None:
                logger.info("session follows the PBX", extra={"pbx": pbx.name, "session": changed.id})
                self._sign_in.announce(pbx_id, changed)


def _is_known(user: PbxUser) -> bool:
    """Return whether the connector has read this user's permissions. Until then sessions stay: unknown is not "no"."""
    return user.is_administrator is not None and user.has_licence_permission is not None
