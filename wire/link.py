"""The messages of a link between connector and hub (design, section 6): subprotocol `pbx-link.v1`.

Opening: the hub notifies `link.challenge`; the connector calls `link.hello` within two seconds; the answer is
`Welcome` or an error whose `data.code` is a diagnosis code. `link.check` in place of the hello is answered by
`Checked`, and the connection ends. After a welcome both ends call: the hub asks the PBX
(`pbx.…`), the connector notifies `link.status` and reports `link.usersChanged`, and either end sends
`link.ping`.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AfterValidator, Field

from wire.model import Moment, WireModel
from wire.sealing import SealedBox, b64url, from_b64url

SUBPROTOCOL: Final = "pbx-link.v1"
HEARTBEAT_SECONDS: Final = 12.0
"""Each end pings this often: NATs and proxies forget idle connections after 30 to 60 seconds, and a half-open link is found
within 45 (three of these, and the step in which they are looked at)."""
HEARTBEATS_MISSED: Final = 3
"""A link that has been silent for so many heartbeats is dead."""
HELLO_SECONDS: Final = 2.0
"""A peer that has not authenticated by then is cut."""


def _pbx_name(name: str) -> str:
    name = name.strip().rstrip(".").lower()
    if (
        not name
        or len(name) > 253
        or not name.isprintable()
        or any(c.isspace() or c in "/\\@?#" for c in name)
    ):
        raise ValueError("a PBX name is a host name, normally the FQDN")
    return name


PbxName = Annotated[str, AfterValidator(_pbx_name), Field(max_length=300)]
"""Host names do not tell case: the canonical form is lower case, without a final dot."""


class Method(StrEnum):
    CHALLENGE = "link.challenge"
    HELLO = "link.hello"
    CHECK = "link.check"
    STATUS = "link.status"
    PING = "link.ping"
    LOGIN_CHALLENGE = "pbx.loginChallenge"
    LOGIN = "pbx.login"
    USERS_BY_ID = "pbx.usersById"
    USERS_BY_EMAIL = "pbx.usersByEmail"
    USERS_BY_IDS = "pbx.usersByIds"
    USERS_CHANGED = "link.usersChanged"
    PEOPLE = "pbx.people"
    CALLS_CHALLENGE = "calls.challenge"
    CALLS_FOLLOW = "calls.follow"
    CALLS_KEEP = "calls.keep"
    CALLS_OVER = "calls.over"
    CALL_ENDED_AT_ONCE = "link.callEndedAtOnce"
    DOCTOR = "connector.doctor"


class UciState(StrEnum):
    OFF = "off"
    CONNECTING = "connecting"
    ON = "on"
    FAILED = "failed"


class RestState(StrEnum):
    UNKNOWN = "unknown"
    OK = "ok"
    UNREACHABLE = "unreachable"
    LOGIN_FAILED = "login-failed"


class LoginMethod(StrEnum):
    CHALLENGE = "challenge"
    """The PBX's own nonce (loginType Internal): the browser computes the secret, no password is sent."""
    SEALED = "sealed"
    """The PBX must see the password (ActiveDirectory, OAuth): the browser seals it to the connector."""


class Status(WireModel):
    """What the connector knows of itself and its PBX."""

    module_active: bool
    uci: UciState
    rest: RestState
    pbx_version: str | None = Field(default=None, max_length=50)
    detail: str | None = Field(default=None, max_length=500)
    """The last error in technical words, without secrets."""
    permission_found: bool | None = None
    """The PBX knows the licence permission; None until it has been asked."""
    permission_name: str | None = Field(default=None, max_length=200)
    """Under which name it is looked for."""


class Challenge(WireModel):
    nonce: str = Field(min_length=32, max_length=100)
    server_time: Moment


_LATER: Final = ("enrolment_code", "previous_key_digest", "previous_key_until")
_LATER_IN_STATUS: Final = ("permission_found", "permission_name")


class Hello(WireModel):
    pbx_name: PbxName
    identity: str = Field(max_length=100)
    """Ed25519 public key, base64url."""
    nonce: str
    sealing_key: str = Field(max_length=200)
    """P-256 point, base64url: vouched for by the signature below."""
    key_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence_keys: list[str] = Field(max_length=50)
    connector_version: str = Field(max_length=50)
    status: Status
    sealing_signature: str = Field(max_length=200)
    """The identity's signature over the sealing key, which the browser checks."""
    enrolment_code: str | None = Field(default=None, max_length=100)
    """For a name that nobody has yet, where the operator wants one."""
    previous_key_digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    previous_key_until: Moment | None = None
    """The PBX key before the last rotation is good until then."""
    signature: str = Field(default="", max_length=200)

    def signed_bytes(self) -> bytes:
        """Everything but the signature itself, so that none of it can be exchanged. What came into the protocol later
        is left out when it is not said, so that older connectors' signatures stay good.
        """
        unsaid: dict[str, Any] = {name: True for name in _LATER if getattr(self, name) is None}
        unsaid["status"] = {name for name in _LATER_IN_STATUS if getattr(self.status, name) is None}
        content = self.model_dump_json(by_alias=True, exclude={"signature": True, **unsaid})
        return b"pbx-link.v1 hello\n" + content.encode()

    def signed_by(self, identity: Ed25519PrivateKey) -> "Hello":
        return self.model_copy(update={"signature": b64url(identity.sign(self.signed_bytes()))})

    def is_genuine(self) -> bool:
        """Signed by the identity it names. The sealing key is vouched for by that; its own signature is the browser's to
        check, which does not trust the hub.
        """
        return _verifies(self.identity, self.signature, self.signed_bytes())


class LicenceKeyState(WireModel):
    """What the hub makes of one licence key of the hello."""

    serial: str | None
    accepted: bool
    reason: str | None = None


class Welcome(WireModel):
    pbx_id: str
    heartbeat_seconds: float = Field(gt=0, le=300)
    licence_keys: list[LicenceKeyState]


class NameState(StrEnum):
    """What a name is to the identity that asks."""

    MINE = "mine"
    FREE = "free"
    ENROLMENT_NEEDED = "enrolment-needed"
    BOUND_ELSEWHERE = "bound-elsewhere"


class Checked(WireModel):
    """The answer to `link.check`: a hello that opens nothing, so that a doctor never takes the place of a connector
    that is running.
    """

    name: NameState
    key_known: bool
    """The service has this PBX key for this name. Told to the name's own identity only."""
    linked: bool
    """A connector of this identity is linked at this moment."""


class LoginChallengeParams(WireModel):
    pass


class LoginChallenge(WireModel):
    """How a user proves who they are at this PBX, this time."""

    method: LoginMethod
    nonce: str
    """For `challenge` the PBX's own; for `sealed` one of the connector, good once and for five minutes."""


class ChallengeProof(WireModel):
    method: Literal[LoginMethod.CHALLENGE] = LoginMethod.CHALLENGE
    nonce: str = Field(max_length=200)
    secret: str = Field(max_length=400)
    """`LOGIN:hex(sha512(LOGIN + NONCE + hex(sha512(PASSWORD))))`."""


class SealedProof(WireModel):
    method: Literal[LoginMethod.SEALED] = LoginMethod.SEALED
    nonce: str = Field(max_length=200)
    box: SealedBox
    """Opens to a `Credentials`; the context is `seal_context(pbx name, tenant, object id, nonce)`."""


LoginProof = Annotated[ChallengeProof | SealedProof, Field(discriminator="method")]


class Credentials(WireModel):
    login: str = Field(min_length=1, max_length=100)
    password: str = Field(max_length=500, repr=False)


class LoginParams(WireModel):
    proof: LoginProof
    tenant_id: str
    object_id: str


class IdParams(WireModel):
    user_id: int


class EmailParams(WireModel):
    email: str = Field(min_length=3, max_length=320)


class PbxUser(WireModel):
    user_id: int
    """STARFACE's own id of the user."""
    login: str
    display_name: str
    email: str
    is_administrator: bool
    has_licence_permission: bool
    """Holds "Integration mit Microsoft Teams", found by name."""
    group_ids: tuple[int, ...] = Field(default=(), max_length=1000)
    """The PBX groups that the user belongs to."""


class PbxUsers(WireModel):
    """None when nobody has that id or address."""

    users: list[PbxUser]


MAX_USERS_AT_ONCE: Final = 200
"""Users in one frame, which stays well under its 256 KiB."""


class IdsParams(WireModel):
    user_ids: list[int] = Field(max_length=MAX_USERS_AT_ONCE)


class UsersChanged(WireModel):
    """Users whose name, permissions or groups have changed at the PBX, and those that are there no longer."""

    users: list[PbxUser] = Field(default_factory=list, max_length=MAX_USERS_AT_ONCE)
    gone: list[int] = Field(default_factory=list, max_length=MAX_USERS_AT_ONCE)


class PbxGroup(WireModel):
    group_id: int
    name: str = Field(max_length=200)


class PeopleParams(WireModel):
    """People by a part of their name, login or group's name; and those with these ids besides."""

    search: str = Field(default="", max_length=100)
    user_ids: list[int] = Field(default_factory=list, max_length=MAX_USERS_AT_ONCE)


class People(WireModel):
    users: list[PbxUser] = Field(max_length=2 * MAX_USERS_AT_ONCE)
    groups: list[PbxGroup] = Field(max_length=500)


class CallsChallenge(WireModel):
    """What the browser needs to hand a user's UCI login to the connector."""

    possible: bool
    """UCI logins of users can be made from login and password (loginType Internal)."""
    nonce: str
    """One of the connector, good once and for five minutes."""


class CallsCredentials(WireModel):
    """A user's UCI login; as good as the password for UCI, and for nothing else."""

    login: str = Field(min_length=1, max_length=100)
    uci_token: str = Field(max_length=300, repr=False)
    """`LOGIN:hex(sha512(LOGIN + "*" + hex(sha512(PASSWORD))))`."""


class FollowParams(WireModel):
    """The user wants help with calls that end at once."""

    user_id: int
    tenant_id: str
    object_id: str
    nonce: str = Field(max_length=200)
    box: SealedBox
    """Opens to `CallsCredentials`; the context is `seal_context(…, purpose=CALLS)`."""


MAX_FOLLOWED: Final = 10_000


class KeepParams(WireModel):
    """The only users whose calls are followed from now on."""

    user_ids: list[int] = Field(max_length=MAX_FOLLOWED)


class Followed(WireModel):
    """Whose calls are followed after all; a connector that lost its state follows nobody's."""

    user_ids: list[int] = Field(max_length=MAX_FOLLOWED)


class CallsOver(WireModel):
    """Those of the users asked about whose calls are followed and who have none now. The others have one, or the PBX
    does not say.
    """

    user_ids: list[int] = Field(max_length=MAX_USERS_AT_ONCE)


class CallEndedAtOnce(WireModel):
    """A call that the user answered was ended by our side at once. Nothing else about the call is told."""

    user_id: int
    at: Moment


def fingerprint(identity: str) -> str:
    """Of an identity's public key, short enough to be read out: `3f2a-91bc-07de-55aa`."""
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return "-".join(digest[start : start + 4] for start in range(0, 16, 4))


def sealing_key_bytes(sealing_key: str) -> bytes:
    return b"pbx-seal.v1 key\n" + sealing_key.encode("ascii")


LOGIN: Final = "pbx-login.v1"
CALLS: Final = "pbx-calls.v1"


def seal_context(pbx_name: str, tenant_id: str, object_id: str, nonce: str, purpose: str = LOGIN) -> bytes:
    """Ties a box to one purpose, one PBX, one Teams user and one attempt, so that it cannot be replayed."""
    return f"{purpose}\n{pbx_name}\n{tenant_id}\n{object_id}\n{nonce}".encode()


def _verifies(public: str, signature: str, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(from_b64url(public)).verify(from_b64url(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True
