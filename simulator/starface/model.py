"""The simulated PBX: users, permissions, sessions, calls. What HTTP and XML-RPC show of it is elsewhere."""

import base64
import hashlib
import itertools
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from simulator.people import ADMINISTRATOR_PERMISSION, LICENCE_PERMISSION, PEOPLE

TOKEN_SECONDS: Final = 4 * 3600
ACCESS_SECONDS: Final = 300
REFRESH_SECONDS: Final = 21_600
OAUTH_PERMISSION: Final = "API Zugriff mit OAuth Password Grant"
CLIENT_ID: Final = "rest-client-headless"
CLIENT_SECRET: Final = "headless-secret"


class LoginType(StrEnum):
    INTERNAL = "Internal"
    ACTIVE_DIRECTORY = "ActiveDirectory"


class CallState(StrEnum):
    """Names of UCI call states. INCOMING, CONNECTED and PARKED are from real code; HANGUP is assumed."""

    INCOMING = "INCOMING"
    CONNECTED = "CONNECTED"
    PARKED = "PARKED"
    HANGUP = "HANGUP"


@dataclass
class User:
    id: int
    login: str
    password: str
    first_name: str
    family_name: str
    email: str
    permissions: set[str]
    language: str = "de"


@dataclass
class Group:
    id: int
    name: str
    members: set[int] = field(default_factory=set)


@dataclass
class Call:
    id: str
    login: str
    state: CallState
    caller_number: str
    caller_name: str
    called_number: str
    called_name: str
    group_id: str = ""
    started: float = field(default_factory=time.time)
    timestamp: float = field(default_factory=time.time)
    """Of its present state."""


@dataclass
class Settings:
    version: str = "6.7.3.20"
    login_type: LoginType = LoginType.INTERNAL
    oauth: bool = False
    """As version 10: OAuth beside the classic login."""
    oauth_scopes: tuple[str, ...] = ("login", "pbx-login")
    reachable: bool = True
    """Off: every request is cut without an answer, as by a PBX that is gone."""
    uci: bool = True


class Starface:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.permissions = {
            1: ADMINISTRATOR_PERMISSION,
            2: LICENCE_PERMISSION,
            3: OAUTH_PERMISSION,
            4: "Rufumleitungen",
        }
        self.users: dict[int, User] = {}
        self.groups: dict[int, Group] = {}
        self.requests = 0
        self.calls: dict[str, Call] = {}
        self._ids = itertools.count(1)
        self._call_ids = itertools.count(1)
        self._nonces: dict[str, float] = {}
        self._tokens: dict[str, tuple[int, float]] = {}
        self._refresh: dict[str, tuple[int, float]] = {}
        self.add_user(
            "0001",
            "foobar",
            "Ada",
            "Admin",
            "admin@example.com",
            {ADMINISTRATOR_PERMISSION, OAUTH_PERMISSION},
        )
        for person in PEOPLE:
            first, family = person.name.split(" ", 1)
            held = {OAUTH_PERMISSION}
            if person.role == "administrator":
                held.add(ADMINISTRATOR_PERMISSION)
            if person.login == "1002":
                held.add(LICENCE_PERMISSION)
            self.add_user(person.login, person.password, first, family, person.email, held)
        self.add_group("Vertrieb", {"1001"})

    def add_group(self, name: str, logins: Collection[str]) -> Group:
        group = Group(len(self.groups) + 1, name)
        group.members = {user.id for user in self.users.values() if user.login in logins}
        self.groups[group.id] = group
        return group

    def add_user(
        self, login: str, password: str, first_name: str, family_name: str, email: str, permissions: set[str]
    ) -> User:
        user = User(next(self._ids), login, password, first_name, family_name, email, permissions)
        self.users[user.id] = user
        return user

    def by_login(self, login: str) -> User | None:
        return next((user for user in self.users.values() if user.login == login), None)

    def new_nonce(self) -> str:
        nonce = secrets.token_hex(16)
        self._nonces[nonce] = time.monotonic() + 300
        return nonce

    def prove(self, login_type: str, nonce: str, secret: str) -> User | None:
        """The user whose secret this is; a nonce is good once."""
        if self._nonces.pop(nonce, 0.0) < time.monotonic() or login_type != self.settings.login_type:
            return None
        for user in self.users.values():
            if secrets.compare_digest(self._secret(user, nonce).encode(), secret.encode()):
                return user
        return None

    def _secret(self, user: User, nonce: str) -> str:
        if self.settings.login_type is LoginType.ACTIVE_DIRECTORY:
            return base64.b64encode(f"{user.login}{nonce}{user.password}".encode()).decode()
        return f"{user.login}:{sha512_hex(user.login + nonce + sha512_hex(user.password))}"

    def new_token(self, user: User, seconds: float = TOKEN_SECONDS) -> str:
        token = secrets.token_hex(20)
        self._tokens[token] = (user.id, time.monotonic() + seconds)
        return token

    def new_refresh_token(self, user: User) -> str:
        token = secrets.token_hex(20)
        self._refresh[token] = (user.id, time.monotonic() + REFRESH_SECONDS)
        return token

    def user_of_token(self, token: str) -> User | None:
        return self._user_of(self._tokens, token)

    def user_of_refresh_token(self, token: str) -> User | None:
        return self._user_of(self._refresh, token)

    def end_token(self, token: str) -> None:
        self._tokens.pop(token, None)

    def end_all_tokens(self) -> None:
        self._tokens.clear()

    def user_of_uci(self, login: str, token: str) -> User | None:
        user = self.by_login(login)
        if user is None:
            return None
        wanted = f"{login}:{sha512_hex(login + '*' + sha512_hex(user.password))}"
        return user if secrets.compare_digest(wanted.encode(), token.encode()) else None

    def new_call(self, login: str, caller_number: str, caller_name: str) -> Call:
        user = self.by_login(login)
        name = f"{user.first_name} {user.family_name}" if user else ""
        call = Call(
            f"call-{next(self._call_ids)}", login, CallState.INCOMING, caller_number, caller_name, login, name
        )
        self.calls[call.id] = call
        return call

    def _user_of(self, store: dict[str, tuple[int, float]], token: str) -> User | None:
        user_id, ends = store.get(token, (0, 0.0))
        return self.users.get(user_id) if ends > time.monotonic() else None


def sha512_hex(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()
