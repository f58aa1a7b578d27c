"""UCI logins of people who asked for something that needs one: one for each person, whatever it is used for.

What a login needs comes sealed from the browser, is kept encrypted here, at the customer's site, and is forgotten when
its last use ends. A login that UCI refuses for minutes, while it takes the connector's own, has another password now and
is forgotten too.
"""

import asyncio
import json
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connector.network.client import HttpClient
from connector.rest import StarfaceRest
from connector.state import State
from connector.uci import Callbacks, UciSession
from wire.link import CallsCredentials, UciState

logger = logging.getLogger(__name__)

FILE: Final = "followed"
_CONTEXT: Final = b"pbx-calls at rest v1"
_NONCE_BYTES: Final = 12
CONNECTS_AT_ONCE: Final = 8
"""Of people's logins, for instance after a restart of the PBX, which is no web server farm."""
KEEP_ALIVE_SECONDS: Final = 40.0
"""Published clients take 30 to 50 seconds. With 2,000 logins this makes 50 requests a second."""


class Use(StrEnum):
    """What a person's UCI login is for."""

    HELP = "help"
    """Help with calls that end at once (`connector.calls`)."""
    PHONE = "phone"
    """The telephone (`connector.line`)."""


class User(Protocol):
    """One use of one login."""

    def heard(self, method: str, params: tuple[Any, ...]) -> None:
        """An event of the PBX."""

    def is_up(self, up: bool) -> None:
        """The login stands, or is lost: events may be missing from then on."""

    def over(self, *, refused: bool) -> None:
        """The use has ended; `refused`: because the PBX does not take the login any more."""


Make = Callable[[int, UciSession], User]
"""Of a PBX user's id and login."""


@dataclass(slots=True)
class _Held:
    credentials: CallsCredentials
    login_json: str
    """The credentials as they are written: once, because each change writes the logins of all."""
    session: UciSession
    users: dict[Use, User] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    is_up: bool = False


class Logins:
    def __init__(
        self,
        rest: StarfaceRest,
        callbacks: Callbacks,
        state: State,
        uci_works: Callable[[], bool] = lambda: True,
    ) -> None:
        """`uci_works`: whether the connector's own login is taken now; while it is not, a refusal is no word about a person's
        password.
        """
        self._uci_works = uci_works
        self._rest = rest
        self._callbacks = callbacks
        self._state = state
        self._held: dict[int, _Held] = {}
        self._makers: dict[Use, Make] = {}
        self._changing: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """For each person: a PBX that is slow with one login keeps nobody else waiting."""
        self._writing: asyncio.Task[None] | None = None
        self._next_writing: asyncio.Task[None] | None = None
        self._connecting = asyncio.Semaphore(CONNECTS_AT_ONCE)

    def serve(self, use: Use, make: Make) -> None:
        """`make` is called for each login that is used so."""
        self._makers[use] = make

    def holders(self, use: Use) -> frozenset[int]:
        return frozenset(user_id for user_id, held in self._held.items() if use in held.users)

    def session(self, user_id: int, use: Use) -> UciSession | None:
        held = self._held.get(user_id)
        return held.session if held is not None and use in held.users else None

    def user(self, user_id: int, use: Use) -> User | None:
        """What was made for this use of this login."""
        held = self._held.get(user_id)
        return held.users.get(use) if held is not None else None

    async def run(self) -> None:
        """Takes up what was held before a restart, until cancelled."""
        for user_id, (credentials, uses) in self._read().items():
            self._start(user_id, self._new(user_id, credentials, uses))
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.gather(*(_end(held) for held in self._held.values()), return_exceptions=True)

    async def open(self, user_id: int, use: Use, credentials: CallsCredentials) -> None:
        """From now on. Raises `LoginRejectedError` or another `PbxError` when UCI does not take the login; a login that
        was held before then stays as it was.
        """
        async with self._changing[user_id]:
            held = self._held.get(user_id)
            if held is not None and held.is_up and held.credentials == credentials:
                if use in held.users:
                    return
                self._add(user_id, held, use)
            else:
                uses = {use, *(held.users if held is not None else ())}
                fresh = self._new(user_id, credentials, uses)
                try:
                    await fresh.session.connect()
                except BaseException:
                    await fresh.session.end()
                    raise
                await self._stop(user_id)
                self._start(user_id, fresh)
        await self._save()

    async def keep_only(self, use: Use, user_ids: Sequence[int]) -> int:
        """Ends this use for everybody else, and forgets the logins that have no other. How many ended."""
        gone = self.holders(use) - set(user_ids)
        # At the same time: each says farewell to the PBX, which may be away.
        await asyncio.gather(*(self._end_use(use, user_id) for user_id in gone))
        if gone:
            await self._save()
        return len(gone)

    async def _end_use(self, use: Use, user_id: int) -> None:
        async with self._changing[user_id]:
            held = self._held.get(user_id)
            if held is None or use not in held.users:
                return
            if len(held.users) > 1:
                held.users.pop(use).over(refused=False)
            else:
                await self._stop(user_id)

    def _new(self, user_id: int, credentials: CallsCredentials, uses: Sequence[Use] | set[Use]) -> _Held:
        def heard(method: str, params: tuple[Any, ...]) -> None:
            for user in tuple(held.users.values()):
                user.heard(method, params)

        def put(state: UciState) -> None:
            held.is_up = state is UciState.ON
            for user in tuple(held.users.values()):
                user.is_up(held.is_up)

        session = UciSession(
            rest=self._rest,
            callbacks=self._callbacks,
            query=_query(credentials),
            on_event=heard,
            on_state=put,
            keep_alive=KEEP_ALIVE_SECONDS,
            gives_up=self._uci_works,
            turns=self._connecting,
        )
        held = _Held(credentials, credentials.model_dump_json(by_alias=True), session)
        for use in uses:
            held.users[use] = self._makers[use](user_id, session)
        return held

    def _add(self, user_id: int, held: _Held, use: Use) -> None:
        user = held.users[use] = self._makers[use](user_id, held.session)
        user.is_up(held.is_up)

    def _start(self, user_id: int, held: _Held) -> None:
        self._held[user_id] = held
        held.task = asyncio.create_task(self._stay_until_refused(user_id, held))

    async def _stay_until_refused(self, user_id: int, held: _Held) -> None:
        """The service learns of a refused login when it asks next who is served."""
        await held.session.run()
        logger.warning("a user's UCI login is refused and forgotten", extra={"user_id": user_id})
        if self._held.get(user_id) is held:
            del self._held[user_id]
            for user in held.users.values():
                user.over(refused=True)
            await self._save()

    async def _stop(self, user_id: int) -> None:
        held = self._held.pop(user_id, None)
        if held is not None:
            await _end(held)

    def _read(self) -> Mapping[int, tuple[CallsCredentials, set[Use]]]:
        sealed = self._state.read(FILE)
        if not sealed:
            return {}
        try:
            opened = AESGCM(self._state.key_at_rest(_CONTEXT)).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _CONTEXT
            )
            return {int(user_id): _login_and_uses(held) for user_id, held in json.loads(opened).items()}
        except (InvalidTag, ValueError, TypeError, AttributeError):
            # From another installation: these users are asked again by the tab.
            logger.warning("the UCI logins of people cannot be read; nobody's are used")
            return {}

    async def _save(self) -> None:
        """What is held now is on the disk when this returns. Who comes while it is written shares the next writing."""
        if self._next_writing is None:
            self._next_writing = asyncio.create_task(self._write(after=self._writing))
        await asyncio.shield(self._next_writing)

    async def _write(self, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after})
        self._writing, self._next_writing = self._next_writing, None
        records = (
            f'"{user_id}":{{"login":{held.login_json},"uses":{json.dumps(sorted(held.users))}}}'
            for user_id, held in self._held.items()
        )
        nonce = os.urandom(_NONCE_BYTES)
        content = f"{{{','.join(records)}}}".encode()
        sealed = AESGCM(self._state.key_at_rest(_CONTEXT)).encrypt(nonce, content, _CONTEXT)
        await asyncio.to_thread(self._state.write, FILE, nonce + sealed)


async def _end(held: _Held) -> None:
    for user in held.users.values():
        user.over(refused=False)
    if held.task is not None:
        held.task.cancel()
        await asyncio.gather(held.task, return_exceptions=True)
    await held.session.end()  # a task that was never run has not


def _login_and_uses(held: dict[str, Any]) -> tuple[CallsCredentials, set[Use]]:
    """Before there was the telephone, each login was for help alone and did not say so."""
    if "uses" not in held:
        return CallsCredentials.model_validate(held), {Use.HELP}
    return CallsCredentials.model_validate(held["login"]), {Use(use) for use in held["uses"]}


def _query(credentials: CallsCredentials) -> Any:
    async def query(_http: HttpClient) -> dict[str, str]:
        return {
            "de.vertico.starface.user": credentials.login,
            "de.vertico.starface.auth": credentials.uci_token,
        }

    return query
