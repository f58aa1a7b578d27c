"""The simulated PBX: users, permissions, sessions, calls. Other modules expose it over HTTP and XML-RPC."""

import base64
import hashlib
import itertools
import secrets
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from simulator.colleagues import COLLEAGUES, GROUPS
from simulator.people import ADMINISTRATOR_PERMISSION, LICENCE_PERMISSION, PEOPLE
from simulator.starface import company
from simulator.starface.awkward import Awkward
from simulator.starface.telephony import RIGHT_NAMES, Right, Telephony

TOKEN_SECONDS: Final = 4 * 3600
ACCESS_SECONDS: Final = 300
REFRESH_SECONDS: Final = 21_600
OAUTH_PERMISSION: Final = "API Zugriff mit OAuth Password Grant"
CLIENT_ID: Final = "rest-client-headless"
CLIENT_SECRET: Final = "headless-secret"
WHITELIST_SECONDS: Final = 24 * 3600
"""How long an address is exempt from the blacklist after a successful login (knowledge.starface.de, 33786529)."""
ENGLISH_NAMES: Final = {
    ADMINISTRATOR_PERMISSION: "Administrator",
    LICENCE_PERMISSION: "Integration with Microsoft Teams",
    OAUTH_PERMISSION: "API access with Password Grant",
    "Rufumleitungen": "Call forwarding",
}
"""Names of permissions on an English system; the third is from StarCLX (10.0.2.6), the others are assumed."""


class LoginType(StrEnum):
    INTERNAL = "Internal"
    ACTIVE_DIRECTORY = "ActiveDirectory"


class CallState(StrEnum):
    """Names of UCI call states. Three independent v22 clients state the first six (IAH, ESPO, SPICE); PARKED,
    OUTGOING and VOICEMAIL_LINKED are from the Java enum behind v30 (SFWiki).
    """

    PROCEEDING = "PROCEEDING"
    RINGBACK = "RINGBACK"
    INCOMING = "INCOMING"
    RINGING = "RINGING"
    CONNECTED = "CONNECTED"
    HANGUP = "HANGUP"
    PARKED = "PARKED"
    OUTGOING = "OUTGOING"
    VOICEMAIL_LINKED = "VOICEMAIL_LINKED"
    REQUESTED = "REQUESTED"
    """A call that was requested; never sent in an event (UCP.PHP)."""


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
    person_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """A UUID, as Gamoya/Starface expects."""
    rights: set[Right] = field(default_factory=lambda: set(Right))
    """Rights for the telephone. PERM: each is a separate permission; here users have all of them by default."""
    more: dict[str, object] = field(default_factory=dict)
    """Further members of the user that were written by REST."""

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.family_name}".strip()

    @property
    def is_administrator(self) -> bool:
        return ADMINISTRATOR_PERMISSION in self.permissions

    def holds(self, permission: str) -> bool:
        return permission in self.permissions or any(
            RIGHT_NAMES[right] == permission for right in self.rights
        )

    def hold(self, names: Collection[str]) -> None:
        """Add these permissions. Rights for the telephone among them are only added, never removed."""
        rights = {right for right, name in RIGHT_NAMES.items() if name in names}
        self.permissions = set(names) - set(RIGHT_NAMES.values())
        self.rights |= rights


@dataclass
class Group:
    id: int
    name: str
    members: set[int] = field(default_factory=set)
    logged_off: set[int] = field(default_factory=set)
    """Members who are logged off, so that their phones do not ring."""


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
    """Time of the last change of the state."""
    is_outgoing: bool = False
    peer: str = ""
    """The id of the other user's leg, if both users belong to this PBX."""
    arrival: str = ""
    """Legs with the same value ring for the same call: when one is answered, the others end."""
    wanted: str = ""
    """The number that a requested call dials once the user's own phone is picked up."""
    forwarded_to: str = ""
    answered_at: float | None = None
    mailbox: int | None = None


@dataclass
class Settings:
    version: str = "6.7.3.20"
    login_type: LoginType = LoginType.INTERNAL
    oauth: bool = False
    """Whether OAuth is supported in addition to the classic login, as in version 10."""
    oauth_scopes: tuple[str, ...] = ("login", "pbx-login")
    reachable: bool = True
    """If false, every request is dropped without an answer, as if the PBX were gone."""
    uci: bool = True


class Starface:
    def __init__(self, settings: Settings, *, with_company: bool = False) -> None:
        """`with_company`: the demo people have colleagues, and three weeks of calls instead of one."""
        self.settings = settings
        self.awkward = Awkward()
        names = (ADMINISTRATOR_PERMISSION, LICENCE_PERMISSION, OAUTH_PERMISSION, *RIGHT_NAMES.values())
        self.permissions = dict(enumerate(names, start=1))
        self.telephony = Telephony()
        self.users: dict[int, User] = {}
        self.groups: dict[int, Group] = {}
        self.requests = 0
        self.calls: dict[str, Call] = {}
        self._ids = itertools.count(1)
        self._nonces: dict[str, float] = {}
        self._tokens: dict[str, tuple[int, float]] = {}
        self._uses: dict[str, int] = {}
        self._refresh: dict[str, tuple[int, float]] = {}
        self.refused_logins: dict[tuple[str, str], list[float]] = {}
        """Times of refused logins, by address and interface (REST and UCI have separate lists)."""
        self._whitelisted: dict[str, float] = {}
        self.add_user(
            login="0001",
            password="foobar",
            first_name="Ada",
            family_name="Admin",
            email="admin@example.com",
            permissions={ADMINISTRATOR_PERMISSION, OAUTH_PERMISSION},
        )
        for person in PEOPLE:
            first, family = person.name.split(" ", 1)
            held = {OAUTH_PERMISSION}
            if person.role == "administrator":
                held.add(ADMINISTRATOR_PERMISSION)
            if person.login == "1002":
                held.add(LICENCE_PERMISSION)
            self.add_user(
                login=person.login,
                password=person.password,
                first_name=first,
                family_name=family,
                email=person.email,
                permissions=held,
            )
        self.add_group("Vertrieb", {"1001"})
        company.fill(self.telephony)
        for person in PEOPLE:
            if user := self.by_login(person.login):
                company.give_history(self.telephony, user.id)
        if with_company:
            self._add_company()

    def _add_company(self) -> None:
        for colleague in COLLEAGUES:
            first, family = colleague.name.split(" ", 1)
            held = {OAUTH_PERMISSION} | ({LICENCE_PERMISSION} if colleague.has_user_licence else set())
            self.add_user(
                login=colleague.login,
                password=f"{first.lower()}-{colleague.login}",
                first_name=first,
                family_name=family,
                email=colleague.email,
                permissions=held,
            )
        for name in GROUPS:
            members = {one.login for one in COLLEAGUES if one.group == name}
            known = next((group for group in self.groups.values() if group.name == name), None)
            if known is None:
                self.add_group(name, members)
            else:
                known.members |= {user.id for user in self.users.values() if user.login in members}
        for person in PEOPLE:
            if user := self.by_login(person.login):
                company.lengthen_history(self.telephony, user.id)

    def add_group(self, name: str, logins: Collection[str]) -> Group:
        group = Group(max(self.groups, default=0) + 1, name)
        group.members = {user.id for user in self.users.values() if user.login in logins}
        self.groups[group.id] = group
        self.telephony.add_group(group.id, name)
        return group

    def add_user(
        self, login: str, password: str, first_name: str, family_name: str, email: str, permissions: set[str]
    ) -> User:
        user = User(
            id=next(self._ids),
            login=login,
            password=password,
            first_name=first_name,
            family_name=family_name,
            email=email,
            permissions=permissions,
        )
        user.hold(permissions)
        self.users[user.id] = user
        self.telephony.add_user(user.id, login, user.name)
        return user

    def remove_user(self, user_id: int) -> None:
        del self.users[user_id]
        for group in self.groups.values():
            group.members.discard(user_id)
            group.logged_off.discard(user_id)
        self.telephony.remove(user_id=user_id)

    def remove_group(self, group_id: int) -> None:
        del self.groups[group_id]
        self.telephony.remove(group_id=group_id)

    def by_login(self, login: str) -> User | None:
        return next((user for user in self.users.values() if user.login == login), None)

    def new_nonce(self) -> str:
        nonce = secrets.token_hex(16)
        self._nonces[nonce] = time.monotonic() + 300
        return nonce

    def prove(self, login_type: str, nonce: str, secret: str) -> User | None:
        """Return the user with this secret. A nonce can be used once."""
        expected = self.awkward.parameter("login-type", "type", self.settings.login_type)
        if self._nonces.pop(nonce, 0.0) < time.monotonic() or login_type != expected:
            return None
        for user in self.users.values():
            if secrets.compare_digest(self._secret(user, nonce).encode(), secret.encode()):
                return user
        return None

    def _secret(self, user: User, nonce: str) -> str:
        if self.settings.login_type is LoginType.ACTIVE_DIRECTORY:
            return base64.b64encode(f"{user.login}{nonce}{user.password}".encode()).decode()
        return f"{user.login}:{sha512_hex(user.login + nonce + sha512_hex(user.password))}"

    def is_blacklisted(self, address: str, door: str) -> bool:
        """Return whether requests from this address are ignored (`blacklist` of the awkward behaviours)."""
        if not self.awkward.get("blacklist"):
            return False
        seconds = float(self.awkward.parameter("blacklist", "seconds", 600))
        failures = int(self.awkward.parameter("blacklist", "failures", 5))
        now = time.monotonic()
        recent = [at for at in self.refused_logins.get((address, door), ()) if now - at < seconds]
        self.refused_logins[address, door] = recent
        return len(recent) >= failures

    def login_refused(self, address: str, door: str) -> None:
        if self._whitelisted.get(address, 0.0) < time.monotonic():
            self.refused_logins.setdefault((address, door), []).append(time.monotonic())

    def login_accepted(self, address: str, door: str) -> None:
        if self.awkward.get("blacklist"):
            self._whitelisted[address] = time.monotonic() + WHITELIST_SECONDS
            self.refused_logins.pop((address, door), None)

    def forget_blacklist(self) -> None:
        self.refused_logins.clear()
        self._whitelisted.clear()

    def name_of_permission(self, name: str) -> str:
        """Return the name of a permission as the PBX shows it."""
        if self.awkward.parameter("permission-names", "language", None) == "en":
            name = ENGLISH_NAMES.get(name, name)
        return name + str(self.awkward.parameter("permission-suffix", "suffix", ""))

    def new_token(self, user: User, seconds: float = TOKEN_SECONDS) -> str:
        if self.awkward.get("one-token"):
            self._tokens = {token: held for token, held in self._tokens.items() if held[0] != user.id}
        token = secrets.token_hex(20)
        self._tokens[token] = (user.id, time.monotonic() + seconds)
        return token

    def new_refresh_token(self, user: User) -> str:
        token = secrets.token_hex(20)
        self._refresh[token] = (user.id, time.monotonic() + REFRESH_SECONDS)
        return token

    def user_of_token(self, token: str) -> User | None:
        user = self._user_of(self._tokens, token)
        if user is not None and self.awkward.get("token-requests"):
            self._uses[token] = self._uses.get(token, 0) + 1
            if self._uses[token] > int(self.awkward.parameter("token-requests", "requests", 3)):
                self.end_token(token)
                return None
        return user

    def user_of_refresh_token(self, token: str) -> User | None:
        if self.awkward.get("oauth-refresh-refused"):
            return None
        user = self._user_of(self._refresh, token)
        if self.awkward.get("oauth-rotation"):
            self._refresh.pop(token, None)
        return user

    def end_token(self, token: str) -> None:
        self._tokens.pop(token, None)

    def end_all_tokens(self) -> None:
        self._tokens.clear()

    def user_of_uci(self, token: str, login: str | None = None) -> User | None:
        """Return the user with this UCI token. Six independent clients send only the token, without the login."""
        for user in self.users.values():
            if login in (None, "", user.login) and any(
                secrets.compare_digest(wanted.encode(), token.encode()) for wanted in self._uci_tokens(user)
            ):
                return user
        return None

    def _uci_tokens(self, user: User) -> Collection[str]:
        sha512 = f"{user.login}:{sha512_hex(user.login + '*' + sha512_hex(user.password))}"
        if self.settings.login_type is not LoginType.ACTIVE_DIRECTORY:
            return (sha512,)
        plain = base64.b64encode(f"{user.login}*{user.password}".encode()).decode()
        which = self.awkward.parameter("uci-ad-token", "token", self.awkward.get("uci-ad-token"))
        return {"base64": (plain,), "sha512": (sha512,)}.get(which, (plain, sha512))

    def new_call(
        self, login: str, number: str, name: str, *, is_outgoing: bool = False, group_id: str = ""
    ) -> Call:
        """Create a call between this user and another party with that number and name."""
        user = self.by_login(login)
        own_name = f"{user.first_name} {user.family_name}" if user else ""
        caller, called = (number, name), (login, own_name)
        if is_outgoing:
            caller, called = called, caller
        state = CallState.PROCEEDING if is_outgoing else CallState.INCOMING
        call = Call(str(uuid.uuid4()), login, state, *caller, *called, group_id, is_outgoing=is_outgoing)
        self.calls[call.id] = call
        return call

    def _user_of(self, store: dict[str, tuple[int, float]], token: str) -> User | None:
        user_id, ends = store.get(token, (0, 0.0))
        return self.users.get(user_id) if ends > time.monotonic() else None


def sha512_hex(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()
