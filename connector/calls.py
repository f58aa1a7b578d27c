"""Follows the calls of users who asked for help, and reports calls that end at once (docs/audio.md).

The credentials of a user's UCI login come sealed from the browser and are stored encrypted at the customer's site. They
are deleted when the service says that the user has signed out or no longer wants help. This program reports only that a
call ended at once, and when. While a licence key has expired, it also answers which users have no call, so that no
session ends during a call.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from connector.errors import PbxError
from connector.logins import Logins, UciCredentials, Use
from connector.symptom import Symptom
from connector.uci import UciSession, ids_of
from wire.link import CallEndedAtOnce

logger = logging.getLogger(__name__)

MAX_UNREPORTED: Final = 100
MAX_QUESTIONS: Final = 8
"""Most concurrent requests to the PBX."""


class Calls:
    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._unreported: list[CallEndedAtOnce] = []
        self.changed = asyncio.Event()
        logins.serve(Use.HELP, self._follow)

    @property
    def followed(self) -> frozenset[int]:
        """Ids of the PBX users whose calls are followed."""
        return self._logins.holders(Use.HELP)

    async def follow(self, user_id: int, credentials: UciCredentials) -> None:
        """Start to follow a user's calls. Raises `LoginRejectedError` or another `PbxError` if UCI refuses the login."""
        await self._logins.open(user_id, Use.HELP, credentials)
        logger.info("calls of a user are followed", extra={"user_id": user_id})

    async def keep_only(self, user_ids: Sequence[int]) -> None:
        """Stop following all other users."""
        gone = await self._logins.keep_only(Use.HELP, user_ids)
        if gone:
            logger.info("calls are no longer followed", extra={"users": gone})

    async def over(self, user_ids: Sequence[int]) -> list[int]:
        """Return those of the users who have no call now, not even a ringing one. Users who are not followed, and those for
        whom the PBX does not answer, are not among them.
        """
        sessions = [(user_id, self._logins.session(user_id, Use.HELP)) for user_id in user_ids]
        followed = [(user_id, session) for user_id, session in sessions if session is not None]
        slots = asyncio.Semaphore(MAX_QUESTIONS)

        async def is_over(session: UciSession) -> bool:
            async with slots:
                try:
                    return not await session.calls()
                except PbxError as fault:
                    logger.debug("unknown whether a user has a call", extra={"reason": str(fault)})
                    return False

        answers = await asyncio.gather(*(is_over(session) for _user_id, session in followed))
        return [user_id for (user_id, _session), over in zip(followed, answers, strict=True) if over]

    def unreported(self) -> list[CallEndedAtOnce]:
        return list(self._unreported)

    def reported(self, call: CallEndedAtOnce) -> None:
        if call in self._unreported:
            self._unreported.remove(call)

    def _follow(self, user_id: int, _session: UciSession) -> "_Followed":
        return _Followed(self, user_id)

    def ended_at_once(self, user_id: int) -> None:
        logger.info("a call ended at once", extra={"user_id": user_id})
        self._unreported.append(CallEndedAtOnce(user_id=user_id, at=datetime.now(UTC)))
        del self._unreported[:-MAX_UNREPORTED]
        self.changed.set()


class _Followed:
    """Calls of one user."""

    def __init__(self, calls: Calls, user_id: int) -> None:
        self._calls = calls
        self._user_id = user_id
        self._symptom = Symptom()

    def on_event(self, method: str, params: tuple[Any, ...]) -> None:
        if method == "callChangesIdEvent":
            self._symptom.new_id(*ids_of(params))
            return
        event = params[0] if params else None
        if (
            method == "receiveCallState"
            and isinstance(event, dict)
            and self._symptom.state(event, time.monotonic())
        ):
            self._calls.ended_at_once(self._user_id)

    def on_up(self, up: bool) -> None:
        """Do nothing: a call with a missing event does not show the symptom."""

    def on_end(self, *, refused: bool) -> None:
        """Do nothing."""
