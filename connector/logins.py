"""UCI logins of people who use a function that needs one. A person has one login for all uses.

The credentials come sealed from the browser and are stored encrypted at the customer's site. They are deleted when their
last use ends. They are also deleted when UCI refuses them for minutes while it accepts the connector's own login, because
then the person's password has changed.
"""

import asyncio
import json
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field

from connector.answers import MAX_TOKEN_CHARS
from connector.network.client import HttpClient
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from connector.uci import Callbacks, Query, UciSession
from wire.bounds import MAX_LOGIN, Exact
from wire.link import CallsCredentials, UciState
from wire.model import WireModel

logger = logging.getLogger(__name__)

FILE: Final = "followed"
_CONTEXT: Final = b"pbx-calls at rest v1"
_NONCE_BYTES: Final = 12
CONNECTS_AT_ONCE: Final = 8
"""Most people's logins that connect at the same time, for instance after a restart of the PBX, which is not a web farm."""
END_SECONDS: Final = 0.8
"""How long the log-out of all logins may take when the program stops."""
LEAVE_SECONDS: Final = 5.0
"""How long it may take when UCI is switched off while the program goes on."""
KEEP_ALIVE_SECONDS: Final = 40.0
"""Interval of keep-alives. Published clients use 30 to 50 seconds. 2,000 logins make 50 requests a second."""


class Use(StrEnum):
    """What a person's UCI login is for."""

    HELP = "help"
    """Help with calls that end at once (`connector.calls`)."""
    PHONE = "phone"
    """The telephone (`connector.line`)."""


class OAuthCredentials(WireModel):
    """A person's login at a PBX with OAuth. The password is not kept."""

    login: Annotated[str, Exact(MAX_LOGIN, least=1)]
    refresh_token: str = Field(max_length=MAX_TOKEN_CHARS, repr=False)


UciCredentials = CallsCredentials | OAuthCredentials


class LoginListener(Protocol):
    """One use of one login."""

    def on_event(self, method: str, params: tuple[Any, ...]) -> None:
        """Called with the method and parameters of each event from the PBX."""

    def on_up(self, up: bool) -> None:
        """Called when the login succeeds or is lost. Events may be missing after a loss."""

    def on_end(self, *, refused: bool) -> None:
        """Called when the use ends. `refused`: because the PBX no longer accepts the login."""


Make = Callable[[int, UciSession], LoginListener]
"""Makes the user of a login from the PBX user's id and the UCI session."""


@dataclass(slots=True)
class _Held:
    credentials: UciCredentials
    login_json: str
    """The credentials as JSON. Made once, because each change writes the logins of all people."""
    session: UciSession
    users: dict[Use, LoginListener] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    is_up: bool = False


class Logins:
    """Holds the UCI logins of people."""

    def __init__(
        self,
        rest: StarfaceRest,
        callbacks: Callbacks,
        state: ConnectorState,
        uci_works: Callable[[], bool] = lambda: True,
    ) -> None:
        """`uci_works` returns whether UCI accepts the connector's own login now. While it does not, a refusal says nothing
        about a person's password.
        """
        self._uci_works = uci_works
        self._rest = rest
        self._callbacks = callbacks
        self._state = state
        self._held: dict[int, _Held] = {}
        self._makers: dict[Use, Make] = {}
        self._changing: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One lock for each person, so that a slow login does not delay other people's."""
        self._writing: asyncio.Task[None] | None = None
        self._next_writing: asyncio.Task[None] | None = None
        self._connecting = asyncio.Semaphore(CONNECTS_AT_ONCE)
        self._saving: set[asyncio.Task[None]] = set()

    def serve(self, use: Use, make: Make) -> None:
        """Register `make`, which is called for each login that has this use."""
        self._makers[use] = make

    def holders(self, use: Use) -> frozenset[int]:
        """Return the ids of the PBX users whose login has this use."""
        return frozenset(user_id for user_id, held in self._held.items() if use in held.users)

    def session(self, user_id: int, use: Use) -> UciSession | None:
        """Return the user's UCI session, or None if their login does not have this use."""
        held = self._held.get(user_id)
        return held.session if held is not None and use in held.users else None

    def user(self, user_id: int, use: Use) -> LoginListener | None:
        """Return the object that was made for this use of the login, or None."""
        held = self._held.get(user_id)
        return held.users.get(use) if held is not None else None

    async def run(self) -> None:
        """Resume the logins from before a restart; run until cancelled."""
        for user_id, (credentials, uses) in self._read().items():
            self._start(user_id, self._new(user_id, credentials, uses))
        try:
            await asyncio.Event().wait()
        finally:
            await _end_all(tuple(self._held.values()))

    async def open(self, user_id: int, use: Use, credentials: UciCredentials) -> None:
        """Log in and start a use. Raises `LoginRejectedError` or another `PbxError` if UCI does not accept the login; an
        earlier login of the user then remains unchanged.
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
        """End this use for all other users, delete logins without another use, and return how many uses ended."""
        gone = self.holders(use) - set(user_ids)
        # Concurrently, because each logs out from the PBX, which may be unreachable.
        await asyncio.gather(*(self._end_use(use, user_id) for user_id in gone))
        if gone:
            await self._save()
        return len(gone)

    async def leave(self) -> None:
        """Log out everybody because the UCI connector is switched off. Logins and uses are kept, and log in again later."""
        slots = asyncio.Semaphore(CONNECTS_AT_ONCE)

        async def leave(session: UciSession) -> None:
            async with slots:
                await session.leave()

        up = [held.session for held in self._held.values() if held.is_up]
        for session in up:
            session.let_go()
        with suppress(TimeoutError):  # the PBX forgets the others within a minute
            async with asyncio.timeout(LEAVE_SECONDS):
                await asyncio.gather(*(leave(session) for session in up))

    async def _end_use(self, use: Use, user_id: int) -> None:
        async with self._changing[user_id]:
            held = self._held.get(user_id)
            if held is None or use not in held.users:
                return
            if len(held.users) > 1:
                held.users.pop(use).on_end(refused=False)
            else:
                await self._stop(user_id)

    def _new(self, user_id: int, credentials: UciCredentials, uses: Sequence[Use] | set[Use]) -> _Held:
        def heard(method: str, params: tuple[Any, ...]) -> None:
            for user in tuple(held.users.values()):
                user.on_event(method, params)

        def put(state: UciState) -> None:
            held.is_up = state is UciState.ON
            for user in tuple(held.users.values()):
                user.on_up(held.is_up)

        def renewed(refresh_token: str) -> None:
            """Keep the new refresh token. A crash before it is on disk may cost the login: the person is asked again."""
            held.credentials = OAuthCredentials(login=credentials.login, refresh_token=refresh_token)
            held.login_json = held.credentials.model_dump_json(by_alias=True)
            if self._held.get(user_id) is held:
                task = asyncio.create_task(self._save())
                self._saving.add(task)
                task.add_done_callback(self._saving.discard)

        query: Query
        if isinstance(credentials, OAuthCredentials):
            oauth = self._rest.resume_oauth(credentials.login, credentials.refresh_token, renewed)
            query, next_token = oauth.uci_query, oauth.uci_refused
        else:
            query, next_token = _query(credentials), _has_no_other_token
        session = UciSession(
            rest=self._rest,
            callbacks=self._callbacks,
            query=query,
            on_event=heard,
            on_state=put,
            keep_alive=KEEP_ALIVE_SECONDS,
            next_token=next_token,
            gives_up=self._uci_works,
            turns=self._connecting,
        )
        held = _Held(credentials, credentials.model_dump_json(by_alias=True), session)
        for use in uses:
            held.users[use] = self._makers[use](user_id, session)
        return held

    def _add(self, user_id: int, held: _Held, use: Use) -> None:
        user = held.users[use] = self._makers[use](user_id, held.session)
        user.on_up(held.is_up)

    def _start(self, user_id: int, held: _Held) -> None:
        self._held[user_id] = held
        held.task = asyncio.create_task(self._stay_until_refused(user_id, held))

    async def _stay_until_refused(self, user_id: int, held: _Held) -> None:
        """Keep the login until UCI refuses it. The service notices that when it next asks whose logins are in use."""
        await held.session.run()
        logger.warning("a user's UCI login is refused and forgotten", extra={"user_id": user_id})
        if self._held.get(user_id) is held:
            del self._held[user_id]
            for user in held.users.values():
                user.on_end(refused=True)
            await self._save()

    async def _stop(self, user_id: int) -> None:
        held = self._held.pop(user_id, None)
        if held is not None:
            await _end(held)

    def _read(self) -> Mapping[int, tuple[UciCredentials, set[Use]]]:
        sealed = self._state.read(FILE)
        if not sealed:
            return {}
        try:
            opened = AESGCM(self._state.key_at_rest(_CONTEXT)).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _CONTEXT
            )
            return {int(user_id): _login_and_uses(held) for user_id, held in json.loads(opened).items()}
        except (InvalidTag, ValueError, TypeError, AttributeError):
            # The file is from another installation: the tab asks these users again.
            logger.warning("the UCI logins of people cannot be read; nobody's are used")
            return {}

    async def _save(self) -> None:
        """Return when the present logins are on disk. Callers that arrive during a write share the next one."""
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


async def _end_all(those: Sequence[_Held]) -> None:
    """Logs out as many as the PBX takes in time; it forgets the others within a minute."""
    slots = asyncio.Semaphore(CONNECTS_AT_ONCE)

    async def end(held: _Held) -> None:
        async with slots:
            await _end(held)

    with suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            await asyncio.gather(*(end(held) for held in those), return_exceptions=True)
    for held in those:
        held.session.abandon()
        if held.task is not None:
            held.task.cancel()


async def _end(held: _Held) -> None:
    for user in held.users.values():
        user.on_end(refused=False)
    if held.task is not None:
        held.task.cancel()
        await asyncio.gather(held.task, return_exceptions=True)
    await held.session.end()  # a task that never ran has not ended it


def _login_and_uses(held: dict[str, Any]) -> tuple[UciCredentials, set[Use]]:
    """Read a stored login. Older versions knew only the use `HELP` and did not store it."""
    if "uses" not in held:
        return CallsCredentials.model_validate(held), {Use.HELP}
    kind = OAuthCredentials if "refreshToken" in held["login"] else CallsCredentials
    return kind.model_validate(held["login"]), {Use(use) for use in held["uses"]}


def _has_no_other_token() -> bool:
    return False


def _query(credentials: CallsCredentials) -> Query:
    async def query(_http: HttpClient) -> dict[str, str]:
        return {
            "de.vertico.starface.user": credentials.login,
            "de.vertico.starface.auth": credentials.uci_token,
        }

    return query
