"""Follows the calls of users who asked for it, to tell them when one ends at once (docs/audio.md).

What a user's UCI login needs comes sealed from the browser, is kept encrypted here, at the customer's site, and is
forgotten when the service says that the user has signed out or wants it no longer. Nothing about a call leaves this
program but the fact that one ended at once, and when; and, asked while a licence key has expired, who has none now, so
that nobody's session ends in mid-call.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connector.errors import PbxError
from connector.network.client import HttpClient
from connector.rest import StarfaceRest
from connector.state import State
from connector.symptom import Symptom
from connector.uci import Callbacks, UciSession
from wire.link import CallEndedAtOnce, CallsCredentials, UciState

logger = logging.getLogger(__name__)

FILE: Final = "followed"
_CONTEXT: Final = b"pbx-calls at rest v1"
_NONCE_BYTES: Final = 12
MAX_UNREPORTED: Final = 100
MAX_QUESTIONS: Final = 8
"""At a time, to the PBX."""


@dataclass(slots=True)
class _Followed:
    credentials: CallsCredentials
    session: UciSession
    task: asyncio.Task[None]


class Calls:
    def __init__(self, rest: StarfaceRest, callbacks: Callbacks, state: State) -> None:
        self._rest = rest
        self._callbacks = callbacks
        self._state = state
        self._followed: dict[int, _Followed] = {}
        self._unreported: list[CallEndedAtOnce] = []
        self.changed = asyncio.Event()

    @property
    def followed(self) -> frozenset[int]:
        """Ids of the PBX users whose calls are followed."""
        return frozenset(self._followed)

    async def run(self) -> None:
        """Follows whom it followed before a restart, until cancelled."""
        for user_id, credentials in self._read().items():
            self._start(user_id, credentials)
        try:
            await asyncio.Event().wait()
        finally:
            tasks = [one.task for one in self._followed.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def follow(self, user_id: int, credentials: CallsCredentials) -> None:
        """From now on. Raises `LoginRejectedError` or another `PbxError` when UCI does not take the login."""
        trial = UciSession(self._rest, self._callbacks, _query(credentials), _ignore_event, _ignore_state)
        try:
            await trial.connect()
        finally:
            await trial.end()
        await self._stop(user_id)
        self._start(user_id, credentials)
        self._write()
        logger.info("calls of a user are followed", extra={"user_id": user_id})

    async def keep_only(self, user_ids: Sequence[int]) -> None:
        """Forgets everybody else."""
        gone = self.followed - set(user_ids)
        for user_id in gone:
            await self._stop(user_id)
        if gone:
            self._write()
            logger.info("calls are followed no longer", extra={"users": len(gone)})

    async def over(self, user_ids: Sequence[int]) -> list[int]:
        """Which of these have no call at all now, not even one that rings; users who are not followed, or for whom the
        PBX does not answer, are not among them.
        """
        followed = [
            (user_id, self._followed[user_id].session) for user_id in user_ids if user_id in self._followed
        ]
        slots = asyncio.Semaphore(MAX_QUESTIONS)

        async def is_over(session: UciSession) -> bool:
            async with slots:
                try:
                    return not await session.calls()
                except PbxError as fault:
                    logger.debug("not known whether a user has a call", extra={"reason": str(fault)})
                    return False

        answers = await asyncio.gather(*(is_over(session) for _user_id, session in followed))
        return [user_id for (user_id, _session), over in zip(followed, answers, strict=True) if over]

    def unreported(self) -> list[CallEndedAtOnce]:
        return list(self._unreported)

    def reported(self, call: CallEndedAtOnce) -> None:
        if call in self._unreported:
            self._unreported.remove(call)

    def _start(self, user_id: int, credentials: CallsCredentials) -> None:
        symptom = Symptom()

        def heard(method: str, params: tuple[Any, ...]) -> None:
            self._heard(user_id, symptom, method, params)

        session = UciSession(
            self._rest, self._callbacks, _query(credentials), heard, _ignore_state, gives_up=True
        )
        self._followed[user_id] = _Followed(
            credentials, session, asyncio.create_task(self._follow_until_refused(user_id, session))
        )

    async def _follow_until_refused(self, user_id: int, session: UciSession) -> None:
        """A login that UCI refuses again and again has another password now: it is forgotten, and the service learns of
        it when it asks next whose calls are followed.
        """
        await session.run()
        logger.warning("a user's UCI login is refused and forgotten", extra={"user_id": user_id})
        followed = self._followed.get(user_id)
        if followed is not None and followed.session is session:
            del self._followed[user_id]
            self._write()

    async def _stop(self, user_id: int) -> None:
        followed = self._followed.pop(user_id, None)
        if followed is not None:
            followed.task.cancel()
            await asyncio.gather(followed.task, return_exceptions=True)

    def _heard(self, user_id: int, symptom: Symptom, method: str, params: tuple[Any, ...]) -> None:
        if method == "callChangesIdEvent":
            symptom.new_id(*_ids(params))
            return
        event = params[0] if params else None
        if method == "receiveCallState" and isinstance(event, dict) and symptom.state(event, time.time()):
            logger.info("a call ended at once", extra={"user_id": user_id})
            self._unreported.append(CallEndedAtOnce(user_id=user_id, at=datetime.now(UTC)))
            del self._unreported[:-MAX_UNREPORTED]
            self.changed.set()

    def _read(self) -> dict[int, CallsCredentials]:
        sealed = self._state.read(FILE)
        if not sealed:
            return {}
        try:
            opened = AESGCM(self._state.key_at_rest(_CONTEXT)).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _CONTEXT
            )
            return {
                int(user_id): CallsCredentials.model_validate(credentials)
                for user_id, credentials in json.loads(opened).items()
            }
        except (InvalidTag, ValueError):
            # From another installation: these users are asked again by the tab.
            logger.warning("whose calls were followed cannot be read; nobody's are")
            return {}

    def _write(self) -> None:
        content = {
            str(user_id): one.credentials.model_dump(mode="json", by_alias=True)
            for user_id, one in self._followed.items()
        }
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._state.key_at_rest(_CONTEXT)).encrypt(
            nonce, json.dumps(content).encode(), _CONTEXT
        )
        self._state.write(FILE, nonce + sealed)


def _ids(params: tuple[Any, ...]) -> tuple[str, str]:
    """Old and new id of `callChangesIdEvent`: a struct, by one source; its members' names are assumed."""
    if params and isinstance(params[0], dict):
        members = params[0]
        return str(members.get("oldId", "")), str(members.get("newId", members.get("id", "")))
    return (str(params[0]), str(params[1])) if len(params) > 1 else ("", "")


def _query(credentials: CallsCredentials) -> Any:
    async def query(_http: HttpClient) -> dict[str, str]:
        return {
            "de.vertico.starface.user": credentials.login,
            "de.vertico.starface.auth": credentials.uci_token,
        }

    return query


def _ignore_event(_method: str, _params: tuple[Any, ...]) -> None:
    """A login that is only tried out."""


def _ignore_state(_state: UciState) -> None:
    """Only the connector's own login stands for UCI as a whole."""
