"""The messages of a link between connector and hub (docs/architecture.md, "The link"): subprotocol `pbx-link.v1`.

Opening: the hub notifies `link.challenge`; the connector calls `link.hello` within two seconds; the answer is
`Welcome` or an error whose `data.code` is a diagnosis code. `link.check` in place of the hello is answered by
`Checked`, and the connection ends. After a welcome both ends call: the hub asks the PBX
(`pbx.…`), the connector notifies `link.status` and reports `link.usersChanged`, and either end sends
`link.ping`.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field
from pydantic_core import to_json

from wire.bounds import (
    MAX_LOGIN,
    Detail,
    Ed25519Key,
    Ed25519Signature,
    Email,
    Exact,
    Flag,
    Guid,
    Line,
    Login,
    Name,
    Nonce,
    P256Point,
    PbxGroupId,
    PbxUserId,
    Search,
    Sha256Hex,
    Version,
    b64url,
    from_b64url,
    token,
)
from wire.model import Moment, WireModel
from wire.pbx_name import KnownPbxName
from wire.readings import Reading, ReadingPart, Readings
from wire.sealing import SealedBox

SUBPROTOCOL: Final = "pbx-link.v1"
SUBPROTOCOL_WITH_CAPABILITIES: Final = "pbx-link.v1.1"
"""The same protocol with a hub that takes `capabilities` in the hello. A connector offers both; a hub that chooses the
older one would refuse the unknown member, so it is not told."""
SUBPROTOCOLS: Final = (SUBPROTOCOL_WITH_CAPABILITIES, SUBPROTOCOL)
"""Newest first: the server takes the first one that it knows (RFC 6455, section 4.2.2)."""
HEARTBEAT_SECONDS: Final = 12.0
"""Each end pings this often: NATs and proxies forget idle connections after 30 to 60 seconds, and a half-open link is found
within 45 (three of these, and the step in which they are looked at)."""
HEARTBEATS_MISSED: Final = 3
"""A link that has been silent for so many heartbeats is dead."""
HELLO_SECONDS: Final = 2.0
"""A peer that has not authenticated by then is cut."""


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


Tag = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
"""The name of something that a later version may add to."""


class Capability(StrEnum):
    """What a connector can do that its first version could not. Hubs ignore those that they do not know."""

    SEALED_ANSWERS = "sealed-answers"
    """Takes the answer to the PBX's challenge only when it is sealed (`LoginMethod.SEALED_CHALLENGE`)."""
    TELEPHONE = "telephone"
    """Answers the methods of `wire.phone`."""


class LoginMethod(StrEnum):
    CHALLENGE = "challenge"
    """Connectors of the first version: the browser answers the PBX's own nonce, and the answer crosses the service
    unsealed. Anyone who carries it can try passwords against it."""
    SEALED_CHALLENGE = "sealed-challenge"
    """The PBX's own nonce (loginType Internal): the browser computes the answer and seals it to the connector."""
    SEALED = "sealed"
    """The browser seals the password itself to the connector: where the PBX must see it (ActiveDirectory, OAuth), and
    where a browser or a service does not know `SEALED_CHALLENGE`."""


def _is_unsaid(value: object) -> bool:
    """What an older peer would refuse is left out of the frame when there is nothing to say, not sent as null."""
    return value is None


class Status(WireModel):
    """What the connector knows of itself and its PBX."""

    module_active: Flag
    uci: UciState
    rest: RestState
    pbx_version: Version | None = None
    detail: Detail | None = None
    """The last error in technical words, without secrets."""
    permission_found: Flag | None = None
    """The PBX knows the licence permission; None until it has been asked."""
    permission_name: Name | None = None
    """Under which name it is looked for."""
    permission_candidates: tuple[Name, ...] | None = Field(default=None, max_length=10, exclude_if=_is_unsaid)
    """Permissions of the PBX that look like it, while it is not found."""
    readings: Readings | None = Field(default=None, exclude_if=_is_unsaid)
    """None from a connector of before there were readings; told over `SUBPROTOCOL_WITH_CAPABILITIES` alone."""

    def for_hub(self, subprotocol: str | None) -> "Status":
        """Without what a hub of the first version would refuse."""
        if subprotocol == SUBPROTOCOL_WITH_CAPABILITIES:
            return self
        return self.model_copy(update={"readings": None, "permission_candidates": None})

    def reading(self, part: ReadingPart) -> Reading | None:
        return next((one for one in self.readings or () if one.part is part), None)


LicenceKeyText = Annotated[str, Field(max_length=8192)]
"""As it stands in the connector's configuration: who verifies it says what is wrong with it."""


class Challenge(WireModel):
    nonce: Annotated[str, token(100, least=32)]
    server_time: Moment


_LATER: Final = (
    "enrolment_code",
    "previous_key_digest",
    "previous_key_until",
    "capabilities",
    "capabilities_signature",
)
_LATER_IN_STATUS: Final = ("permission_found", "permission_name", "permission_candidates", "readings")


class Hello(WireModel):
    pbx_name: KnownPbxName
    identity: Ed25519Key
    nonce: Nonce
    sealing_key: P256Point
    """Vouched for by the signature below."""
    key_digest: Sha256Hex
    licence_keys: list[LicenceKeyText] = Field(max_length=50)
    connector_version: Version
    status: Status
    sealing_signature: Ed25519Signature
    """The identity's signature over the sealing key, which the browser checks."""
    enrolment_code: Annotated[str, Exact(100)] | None = None
    """For a name that nobody has yet, where the operator wants one."""
    previous_key_digest: Sha256Hex | None = None
    previous_key_until: Moment | None = None
    """The PBX key before the last rotation is good until then."""
    capabilities: tuple[Tag, ...] | None = Field(default=None, max_length=20, exclude_if=_is_unsaid)
    """`Capability`, and whatever later connectors add; only over `SUBPROTOCOL_WITH_CAPABILITIES`."""
    capabilities_signature: Ed25519Signature | None = Field(default=None, exclude_if=_is_unsaid)
    """The identity's signature over `capabilities_bytes`, which the browser checks."""
    signature: Ed25519Signature | Literal[""] = ""

    def signed_by(self, identity: Ed25519PrivateKey) -> "Hello":
        signed = signed_bytes(self.model_dump(mode="json", by_alias=True))
        return self.model_copy(update={"signature": b64url(identity.sign(signed))})

    def is_genuine(self, sent: Mapping[str, Any]) -> bool:
        """Signed by the identity it names. `sent` is the params as they came: the model may have cleaned a text of them.
        The sealing key is vouched for by that; its own signature is the browser's to check, which does not trust the hub.
        """
        return _verifies(self.identity, self.signature, signed_bytes(sent))


def signed_bytes(hello: Mapping[str, Any]) -> bytes:
    """What the signature of a hello (camelCase, as on the wire) is over: everything but the signature itself, in the
    order of the model, so that none of it can be exchanged. Members that came into the protocol later are left out
    while they are null, so that older connectors' signatures stay good.
    """
    content = _said(Hello, hello, _LATER)
    del content["signature"]
    content["status"] = _said(Status, hello["status"], _LATER_IN_STATUS)
    return b"pbx-link.v1 hello\n" + to_json(content)


def _said(model: type[WireModel], sent: Mapping[str, Any], later: Collection[str]) -> dict[str, Any]:
    aliases = {name: field.alias or name for name, field in model.model_fields.items()}
    members = {name: sent.get(alias) for name, alias in aliases.items()}
    return {aliases[name]: value for name, value in members.items() if not (name in later and value is None)}


class LicenceKeyState(WireModel):
    """What the hub makes of one licence key of the hello."""

    serial: Annotated[str, Line(100)] | None
    accepted: Flag
    reason: Detail | None = None


class Welcome(WireModel):
    pbx_id: Annotated[str, token(36)]
    heartbeat_seconds: float = Field(gt=0, le=300)
    licence_keys: list[LicenceKeyState] = Field(max_length=50)


class NameState(StrEnum):
    """What a name is to the identity that asks. Which of the last two a stranger gets is a setting of the service and
    says nothing about the name.
    """

    MINE = "mine"
    FREE = "free"
    """The enrolment code is good for it."""
    ENROLMENT_NEEDED = "enrolment-needed"
    """Not bound to this identity, and there was no good code."""
    NOT_BOUND = "not-bound"
    """Not bound to this identity; anyone who comes first may have a free name."""


class Checked(WireModel):
    """The answer to `link.check`: a hello that opens nothing, so that a doctor never takes the place of a connector
    that is running.
    """

    name: NameState
    key_known: Flag
    """The service has this PBX key for this name. Told to the name's own identity only."""
    linked: Flag
    """A connector of this identity is linked at this moment."""


class LoginChallengeParams(WireModel):
    """To a connector of the first version go empty params: it refuses members that it does not know."""

    methods: tuple[Annotated[str, token(40)], ...] = Field(
        default=(), max_length=20, exclude_if=lambda methods: not methods
    )
    """`LoginMethod`s that the browser knows beside `challenge` and `sealed`."""


class LoginChallenge(WireModel):
    """How a user proves who they are at this PBX, this time."""

    method: LoginMethod
    nonce: Nonce
    """For `challenge` the PBX's own; else one of the connector, good once and for five minutes."""
    pbx_nonce: Nonce | None = Field(default=None, exclude_if=_is_unsaid)
    """For `sealed-challenge`: the PBX's own, which the answer is computed with."""


class ChallengeProof(WireModel):
    method: Literal[LoginMethod.CHALLENGE] = LoginMethod.CHALLENGE
    nonce: Nonce
    secret: Annotated[str, Exact(400)]
    """`LOGIN:hex(sha512(LOGIN + NONCE + hex(sha512(PASSWORD))))`."""


class SealedProof(WireModel):
    method: Literal[LoginMethod.SEALED] = LoginMethod.SEALED
    nonce: Nonce
    box: SealedBox
    """Opens to a `Credentials`; the context is `seal_context(pbx name, tenant, object id, nonce)`."""


class SealedChallengeProof(WireModel):
    method: Literal[LoginMethod.SEALED_CHALLENGE] = LoginMethod.SEALED_CHALLENGE
    nonce: Nonce
    """The connector's, not the PBX's."""
    box: SealedBox
    """Opens to a `ChallengeAnswer`; the context is `seal_context(…, purpose=ANSWER)`."""


LoginProof = Annotated[ChallengeProof | SealedChallengeProof | SealedProof, Field(discriminator="method")]


class Credentials(WireModel):
    login: Annotated[str, Exact(MAX_LOGIN, least=1)]
    password: str = Field(max_length=500, repr=False)


class ChallengeAnswer(WireModel):
    secret: Annotated[str, Exact(400, least=1)] = Field(repr=False)
    """`LOGIN:hex(sha512(LOGIN + PBX NONCE + hex(sha512(PASSWORD))))`."""


class LoginParams(WireModel):
    proof: LoginProof
    tenant_id: Guid
    object_id: Guid


class IdParams(WireModel):
    user_id: PbxUserId


class EmailParams(WireModel):
    email: Email = Field(min_length=3)


class PbxUser(WireModel):
    user_id: PbxUserId
    """STARFACE's own id of the user."""
    login: Login
    display_name: Name
    email: Email
    is_administrator: Flag | None
    """None: not known now; what was known before still counts."""
    has_licence_permission: Flag | None
    """Holds "Integration mit Microsoft Teams", found by name. None: not known now."""
    group_ids: tuple[PbxGroupId, ...] = Field(default=(), max_length=1000)
    """The PBX groups that the user belongs to."""


MAX_USERS_AT_ONCE: Final = 200
"""Users in one frame, which stays well under its 256 KiB."""


class PbxUsers(WireModel):
    """None when nobody has that id or address."""

    users: list[PbxUser] = Field(max_length=MAX_USERS_AT_ONCE)


class IdsParams(WireModel):
    user_ids: list[PbxUserId] = Field(max_length=MAX_USERS_AT_ONCE)


class UsersChanged(WireModel):
    """Users whose name, permissions or groups have changed at the PBX, and those that are there no longer."""

    users: list[PbxUser] = Field(default_factory=list, max_length=MAX_USERS_AT_ONCE)
    gone: list[PbxUserId] = Field(default_factory=list, max_length=MAX_USERS_AT_ONCE)


class PbxGroup(WireModel):
    group_id: PbxGroupId
    name: Name


class PeopleParams(WireModel):
    """People by a part of their name, login or group's name; and those with these ids besides."""

    search: Search = ""
    user_ids: list[PbxUserId] = Field(default_factory=list, max_length=MAX_USERS_AT_ONCE)


class People(WireModel):
    users: list[PbxUser] = Field(max_length=2 * MAX_USERS_AT_ONCE)
    groups: list[PbxGroup] = Field(max_length=500)


class CallsChallenge(WireModel):
    """What the browser needs to hand a user's UCI login to the connector."""

    possible: Flag
    """UCI logins of users can be made from login and password (loginType Internal)."""
    nonce: Nonce
    """One of the connector, good once and for five minutes."""


class CallsCredentials(WireModel):
    """A user's UCI login; as good as the password for UCI, and for nothing else."""

    login: Annotated[str, Exact(MAX_LOGIN, least=1)]
    uci_token: str = Field(max_length=300, repr=False)
    """`LOGIN:hex(sha512(LOGIN + "*" + hex(sha512(PASSWORD))))`."""


class FollowParams(WireModel):
    """The user wants help with calls that end at once."""

    user_id: PbxUserId
    tenant_id: Guid
    object_id: Guid
    nonce: Nonce
    box: SealedBox
    """Opens to `CallsCredentials`; the context is `seal_context(…, purpose=CALLS)`."""


MAX_FOLLOWED: Final = 10_000


class KeepParams(WireModel):
    """The only users whose calls are followed from now on."""

    user_ids: list[PbxUserId] = Field(max_length=MAX_FOLLOWED)


class Followed(WireModel):
    """Whose calls are followed after all; a connector that lost its state follows nobody's."""

    user_ids: list[PbxUserId] = Field(max_length=MAX_FOLLOWED)


class CallsOver(WireModel):
    """Those of the users asked about whose calls are followed and who have none now. The others have one, or the PBX
    does not say.
    """

    user_ids: list[PbxUserId] = Field(max_length=MAX_USERS_AT_ONCE)


class CallEndedAtOnce(WireModel):
    """A call that the user answered was ended by our side at once. Nothing else about the call is told."""

    user_id: PbxUserId
    at: Moment


def fingerprint(identity: str) -> str:
    """Of an identity's public key, to be compared by people: `3f2a-91bc-07de-55aa-8c10-44e7-b92d-6f03`.

    128 bits, because 64 can be ground: who may be handed a PBX name is chosen by this. Older connectors show the first half.
    """
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return "-".join(digest[start : start + 4] for start in range(0, 32, 4))


def sealing_key_bytes(sealing_key: str) -> bytes:
    return b"pbx-seal.v1 key\n" + sealing_key.encode("ascii")


def capabilities_bytes(sealing_key: str, capabilities: Sequence[str]) -> bytes:
    """Bound to the sealing key, so that a statement of before a hand-over says nothing of the connector after it."""
    return f"pbx-seal.v1 capabilities\n{sealing_key}\n{','.join(sorted(capabilities))}".encode()


LOGIN: Final = "pbx-login.v1"
ANSWER: Final = "pbx-answer.v1"
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
