"""The messages of a link between connector and hub (docs/architecture.md, "The link"): subprotocol `pbx-link.v1`.

Handshake: the hub notifies `link.challenge`, and the connector calls `link.hello` within two seconds. The answer is
`Welcome`, or an error whose `data.code` is a diagnosis code. If the connector calls `link.check` instead, the answer is
`Checked` and the connection ends.

After the welcome both ends call. The hub calls the PBX's methods (`pbx.…`), the connector notifies `link.status` and
reports `link.usersChanged`, and each end sends `link.ping`.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ConfigDict, Field
from pydantic_core import to_json

from wire.bounds import (
    MAX_LOGIN,
    Count,
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
"""The same protocol with a hub that accepts `capabilities` in the hello. A connector offers both subprotocols. A hub that
chooses the older one would refuse the unknown member, so the connector then omits it."""
SUBPROTOCOLS: Final = (SUBPROTOCOL_WITH_CAPABILITIES, SUBPROTOCOL)
"""Newest first: the server chooses the first one that it knows (RFC 6455, section 4.2.2)."""
HEARTBEAT_SECONDS: Final = 12.0
"""How often each end pings. NATs and proxies drop idle connections after 30 to 60 seconds, and a half-open link must be
found within 45 (three heartbeats, and the interval at which they are checked)."""
HELLO_SECONDS: Final = 2.0
"""How long a peer may take to authenticate before the connection is cut."""


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
    TRUST = "link.trust"
    """Asked by the connector. A hub of an earlier version answers that it has no such method."""
    DOCTOR = "connector.doctor"
    RESTART_UCI = "connector.restartUci"
    KEY_CHALLENGE = "connector.keyChallenge"
    NEW_KEY = "connector.newKey"


REPAIR_METHODS: Final = frozenset({Method.DOCTOR, Method.RESTART_UCI, Method.KEY_CHALLENGE, Method.NEW_KEY})
"""What an administrator of the PBX may ask of its connector from Teams, if the connector's owner permits it. Only the
doctor is as old as the protocol; the others need `Capability.REPAIRS`."""


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
"""A name from a list that later versions may extend, so unknown names are accepted."""


class Capability(StrEnum):
    """What a connector can do beyond its first version. Hubs ignore capabilities that they do not know."""

    SEALED_ANSWERS = "sealed-answers"
    """The connector accepts only sealed answers to the PBX's challenge (`LoginMethod.SEALED_CHALLENGE`)."""
    TELEPHONE = "telephone"
    """The connector answers the methods of `wire.phone`."""
    PHONE_CAPABILITIES = "telephone-capabilities"
    """It reports what the PBX's telephone offers (`wire.phone.Capabilities`)."""
    UCI_BY_PASSWORD = "uci-by-password"  # noqa: S105 - the name of a capability
    """The connector accepts `CallsChallengeParams`. Where UCI needs OAuth, it takes a user's sealed password, keeps the
    refresh token that the PBX gives for it, and forgets the password."""
    REPAIRS = "repairs"
    """The connector answers `REPAIR_METHODS`."""
    REPAIRS_REFUSED = "repairs-refused"
    """It would, but its owner does not permit repairs from Teams: it refuses them with `repairs-refused`."""


class LoginMethod(StrEnum):
    CHALLENGE = "challenge"
    """Used by connectors of the first version. The browser answers the PBX's own nonce, and the answer crosses the service
    unsealed. Each program that carries it can try passwords against it."""
    SEALED_CHALLENGE = "sealed-challenge"
    """For loginType Internal: the browser computes the answer to the PBX's own nonce and seals it to the connector."""
    SEALED = "sealed"
    """The browser seals the password itself to the connector. Used where the PBX must see the password (ActiveDirectory,
    OAuth), and where a browser or a service does not know `SEALED_CHALLENGE`."""


def _is_none(value: object) -> bool:
    """Return whether to omit the member: an older peer would refuse even a null in it."""
    return value is None


class Status(WireModel):
    """The state of the connector and its PBX, as the connector sees it."""

    module_active: Flag
    uci: UciState
    rest: RestState
    pbx_version: Version | None = None
    detail: Detail | None = None
    """The last error in technical words, without secrets."""
    permission_found: Flag | None = None
    """Whether the PBX has the licence permission; None until the PBX has been asked."""
    permission_name: Name | None = None
    """The name by which the connector looks for the permission."""
    permission_candidates: tuple[Name, ...] | None = Field(default=None, max_length=10, exclude_if=_is_none)
    """Permissions of the PBX with a similar name, while the licence permission is not found."""
    readings: Readings | None = Field(default=None, exclude_if=_is_none)
    """None from an older connector. Sent only over `SUBPROTOCOL_WITH_CAPABILITIES`."""

    def for_hub(self, subprotocol: str | None) -> "Status":
        """Return the status without the members that a hub of the first version would refuse."""
        if subprotocol == SUBPROTOCOL_WITH_CAPABILITIES:
            return self
        return self.model_copy(update={"readings": None, "permission_candidates": None})

    def reading(self, part: ReadingPart) -> Reading | None:
        """Return the reading of one part, or None if the status has none."""
        return next((one for one in self.readings or () if one.part is part), None)


LicenceKeyText = Annotated[str, Field(max_length=8192)]
"""A licence key as it is written in the connector's configuration. The service verifies it and reports what is wrong."""


class Challenge(WireModel):
    """The first message of a link, from the hub (`link.challenge`)."""

    nonce: Annotated[str, token(100, least=32)]
    server_time: Moment


_LATER_MEMBERS: Final = (
    "enrolment_code",
    "previous_key_digest",
    "previous_key_until",
    "capabilities",
    "capabilities_signature",
)
_LATER_STATUS_MEMBERS: Final = ("permission_found", "permission_name", "permission_candidates", "readings")


class Hello(WireModel):
    """The connector's part of the handshake (`link.hello`), signed by its identity."""

    pbx_name: KnownPbxName
    identity: Ed25519Key
    nonce: Nonce
    sealing_key: P256Point
    """Covered by `signature`."""
    key_digest: Sha256Hex
    licence_keys: list[LicenceKeyText] = Field(max_length=50)
    connector_version: Version
    status: Status
    sealing_signature: Ed25519Signature
    """The identity's signature over `sealing_key_bytes`; the browser verifies it."""
    enrolment_code: Annotated[str, Exact(100)] | None = None
    """Claims a free name, if the operator requires a code."""
    previous_key_digest: Sha256Hex | None = None
    previous_key_until: Moment | None = None
    """Until when the PBX key from before the last rotation is valid."""
    capabilities: tuple[Tag, ...] | None = Field(default=None, max_length=20, exclude_if=_is_none)
    """Values of `Capability`, and those that later connectors add. Sent only over `SUBPROTOCOL_WITH_CAPABILITIES`."""
    capabilities_signature: Ed25519Signature | None = Field(default=None, exclude_if=_is_none)
    """The identity's signature over `capabilities_bytes`; the browser verifies it."""
    signature: Ed25519Signature | Literal[""] = ""

    def signed_by(self, identity: Ed25519PrivateKey) -> "Hello":
        """Return a copy of the hello with the identity's signature."""
        signed = signed_bytes(self.model_dump(mode="json", by_alias=True))
        return self.model_copy(update={"signature": b64url(identity.sign(signed))})

    def is_genuine(self, sent: Mapping[str, Any]) -> bool:
        """Return whether the hello is signed by the identity that it names.

        `sent` is the params as they were received, because the model may have cleaned a text in them. The signature also
        covers the sealing key. The sealing key's own signature is verified by the browser, which does not trust the hub.
        """
        return _verifies(self.identity, self.signature, signed_bytes(sent))


def signed_bytes(hello: Mapping[str, Any]) -> bytes:
    """Return the bytes that the signature of a hello (camelCase, as on the wire) covers.

    They contain every member except the signature, in the order of the model, so that no member can be replaced.
    Members that were added to the protocol later are omitted while they are null, so that the signatures of older
    connectors remain valid.
    """
    content = _signed_members(Hello, hello, _LATER_MEMBERS)
    del content["signature"]
    content["status"] = _signed_members(Status, hello["status"], _LATER_STATUS_MEMBERS)
    return b"pbx-link.v1 hello\n" + to_json(content)


def _signed_members(
    model: type[WireModel], sent: Mapping[str, Any], later: Collection[str]
) -> dict[str, Any]:
    aliases = {name: field.alias or name for name, field in model.model_fields.items()}
    members = {name: sent.get(alias) for name, alias in aliases.items()}
    return {aliases[name]: value for name, value in members.items() if not (name in later and value is None)}


class LicenceKeyState(WireModel):
    """The hub's verdict on one licence key of the hello."""

    serial: Annotated[str, Line(100)] | None
    accepted: Flag
    reason: Detail | None = None


class Welcome(WireModel):
    """The hub's answer to a hello that it accepts."""

    pbx_id: Annotated[str, token(36)]
    heartbeat_seconds: float = Field(gt=0, le=300)
    licence_keys: list[LicenceKeyState] = Field(max_length=50)


class NameState(StrEnum):
    """How a PBX name relates to the identity that asks.

    A setting of the service decides which of the last two a stranger gets, so neither reveals anything about the name.
    """

    MINE = "mine"
    FREE = "free"
    """The enrolment code is valid for the name."""
    ENROLMENT_NEEDED = "enrolment-needed"
    """The name is not bound to this identity, and there was no valid code."""
    NOT_BOUND = "not-bound"
    """The name is not bound to this identity. If it is free, the first connector that asks gets it."""


class Checked(WireModel):
    """The answer to `link.check`, a hello that opens no link, so that a doctor never replaces a running connector."""

    name: NameState
    key_known: Flag
    """The service has this PBX key for this name. Only the identity that owns the name learns it."""
    linked: Flag
    """A connector of this identity has a link at this moment."""


class LoginChallengeParams(WireModel):
    """The parameters of `pbx.loginChallenge`. They are empty for a connector of the first version, which refuses unknown
    members.
    """

    methods: tuple[Annotated[str, token(40)], ...] = Field(
        default=(), max_length=20, exclude_if=lambda methods: not methods
    )
    """`LoginMethod`s that the browser knows in addition to `challenge` and `sealed`."""


class LoginChallenge(WireModel):
    """How a user proves their identity at this PBX in one sign-in attempt."""

    method: LoginMethod
    nonce: Nonce
    """For `challenge` the PBX's own nonce; otherwise one of the connector, valid once and for five minutes."""
    pbx_nonce: Nonce | None = Field(default=None, exclude_if=_is_none)
    """For `sealed-challenge`: the PBX's own nonce, from which the answer is computed."""


class ChallengeProof(WireModel):
    """The unsealed answer to the PBX's challenge (`LoginMethod.CHALLENGE`)."""

    method: Literal[LoginMethod.CHALLENGE] = LoginMethod.CHALLENGE
    nonce: Nonce
    secret: Annotated[str, Exact(400)]
    """`LOGIN:hex(sha512(LOGIN + NONCE + hex(sha512(PASSWORD))))`."""


class SealedProof(WireModel):
    """A sealed login and password (`LoginMethod.SEALED`)."""

    method: Literal[LoginMethod.SEALED] = LoginMethod.SEALED
    nonce: Nonce
    box: SealedBox
    """Opens to a `Credentials`; the context is `seal_context(pbx name, tenant, object id, nonce)`."""


class SealedChallengeProof(WireModel):
    """The sealed answer to the PBX's challenge (`LoginMethod.SEALED_CHALLENGE`)."""

    method: Literal[LoginMethod.SEALED_CHALLENGE] = LoginMethod.SEALED_CHALLENGE
    nonce: Nonce
    """The connector's nonce, not the PBX's."""
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
    """None if unknown at the moment; the last known value then still counts."""
    has_licence_permission: Flag | None
    """Whether the user has the permission "Integration mit Microsoft Teams", which is found by its name. None if unknown
    at the moment."""
    group_ids: tuple[PbxGroupId, ...] = Field(default=(), max_length=1000)
    """The PBX groups that the user belongs to."""


MAX_USERS_AT_ONCE: Final = 200
"""Most users in one frame, so that it stays well below its limit of 256 KiB."""


class PbxUsers(WireModel):
    """The users with an id or address; the list is empty if there is none."""

    users: list[PbxUser] = Field(max_length=MAX_USERS_AT_ONCE)


class IdsParams(WireModel):
    user_ids: list[PbxUserId] = Field(max_length=MAX_USERS_AT_ONCE)


class UsersChanged(WireModel):
    """Users whose name, permissions or groups have changed at the PBX, and the ids of users that no longer exist."""

    users: list[PbxUser] = Field(default_factory=list, max_length=MAX_USERS_AT_ONCE)
    gone: list[PbxUserId] = Field(default_factory=list, max_length=MAX_USERS_AT_ONCE)


class PbxGroup(WireModel):
    group_id: PbxGroupId
    name: Name


class FindPeopleParams(WireModel):
    """Asks for people whose name, login or group name contains `search`, and also for the users with these ids."""

    search: Search = ""
    user_ids: list[PbxUserId] = Field(default_factory=list, max_length=MAX_USERS_AT_ONCE)


class People(WireModel):
    users: list[PbxUser] = Field(max_length=2 * MAX_USERS_AT_ONCE)
    groups: list[PbxGroup] = Field(max_length=500)


class CallsChallengeParams(WireModel):
    """The parameters of `calls.challenge`. They are empty for a connector without `Capability.UCI_BY_PASSWORD`."""

    takes_password: Flag = Field(default=False, exclude_if=lambda takes: not takes)
    """The browser can seal the password itself."""


class CallsChallenge(WireModel):
    """What the browser needs in order to give a user's UCI login to the connector."""

    possible: Flag
    """Whether UCI takes what the browser seals."""
    needs_password: Flag = Field(default=False, exclude_if=lambda needs: not needs)
    """The browser seals `Credentials` for OAuth. Otherwise it seals `CallsCredentials`, the hash of login and password."""
    nonce: Nonce
    """A nonce of the connector, valid once and for five minutes."""


class CallsCredentials(WireModel):
    """A user's UCI login. It replaces the password for UCI, and for nothing else."""

    login: Annotated[str, Exact(MAX_LOGIN, least=1)]
    uci_token: str = Field(max_length=300, repr=False)
    """`LOGIN:hex(sha512(LOGIN + "*" + hex(sha512(PASSWORD))))`."""


class FollowParams(WireModel):
    """The user asks for help with calls that end at once (`calls.follow`)."""

    user_id: PbxUserId
    tenant_id: Guid
    object_id: Guid
    nonce: Nonce
    box: SealedBox
    """Opens to `CallsCredentials`; the context is `seal_context(…, purpose=CALLS)`."""


MAX_FOLLOWED: Final = 10_000


class KeepParams(WireModel):
    """The only users whose calls the connector follows from now on (`calls.keep`)."""

    user_ids: list[PbxUserId] = Field(max_length=MAX_FOLLOWED)


class Followed(WireModel):
    """The users whose calls the connector really follows; a connector that lost its state follows nobody's."""

    user_ids: list[PbxUserId] = Field(max_length=MAX_FOLLOWED)


class CallsOver(WireModel):
    """Of the users in the question, those whose calls are followed and who have no call now. The others have a call, or
    the PBX does not say.
    """

    user_ids: list[PbxUserId] = Field(max_length=MAX_USERS_AT_ONCE)


class UciRestarted(WireModel):
    """The answer to `connector.restartUci`: UCI was switched off and on again."""

    uci: UciState
    """Its state afterwards; `OFF` if the connector's configuration has it switched off."""


class KeyChallenge(WireModel):
    """What a browser needs in order to ask for a new PBX key (`connector.keyChallenge`)."""

    nonce: Nonce
    """A nonce of the connector, valid once and for five minutes."""


class NewKeyParams(WireModel):
    """An administrator asks for a new PBX key (`connector.newKey`)."""

    tenant_id: Guid
    object_id: Guid
    nonce: Nonce
    box: SealedBox
    """Opens to `NewKeyWanted`; the context is `seal_context(…, purpose=NEW_KEY)`. So only a browser that knows the present
    PBX key can ask for another, and nobody on the way can replace `browser_key`."""


MIN_KEEP_OLD_HOURS: Final = 0.25
"""How long the old key stays valid at least: until then a browser whose answer was lost can ask again."""
MAX_KEEP_OLD_HOURS: Final = 24.0 * 90


class NewKeyWanted(WireModel):
    request: Guid
    """Made by the browser. Repeated, it returns the key that was already made for it, not another one."""
    browser_key: P256Point
    """An ephemeral public key of the browser, to which the connector seals the key file."""
    keep_old_hours: float = Field(ge=MIN_KEEP_OLD_HOURS, le=MAX_KEEP_OLD_HOURS, allow_inf_nan=False)


class NewKeyMade(WireModel):
    """The answer to `connector.newKey`."""

    box: SealedBox
    """Opens, with the browser's private key and the PBX key with which it asked, to a key file (`wire.pbxkey.KeyFile`); the
    context is `seal_context(…, purpose=KEY_DELIVERY)`."""
    old_key_until: Moment


MAX_TRUSTED_SHOWN: Final = 100


class _Extensible(WireModel):
    """A message of the hub whose unknown members are ignored: a later hub may add some."""

    model_config = ConfigDict(extra="ignore")


class TrustedTenant(_Extensible):
    """A Microsoft tenant whose members may sign in to this PBX by e-mail. It names no person and no other PBX."""

    tenant_id: Guid
    since: Moment
    entry: Tag
    """What its members need to sign in: `with-key`, `one-click` or `automatic`."""
    is_primary: Flag
    """This PBX is the main PBX of that tenant."""
    is_approved: Flag
    """The operator has approved this PBX for the tenant."""


class PbxTrust(_Extensible):
    """The answer to `link.trust`: the tenants that the PBX trusts, oldest first, as the hub knows them now."""

    tenants: list[TrustedTenant] = Field(max_length=MAX_TRUSTED_SHOWN)
    total: Count
    """How many there are; the list may have fewer."""
    teams_app_id: Guid
    """Identifies the app in Teams, for a link into its tab."""


class CallEndedAtOnce(WireModel):
    """A call that the user answered was ended by our side at once. The connector reports nothing else about the call."""

    user_id: PbxUserId
    at: Moment


def fingerprint(identity: str) -> str:
    """Return the fingerprint of an identity's public key, which people compare: `3f2a-91bc-07de-55aa-8c10-44e7-b92d-6f03`.

    It decides who gets a PBX name in a hand-over, so it has 128 bits: a match of 64 bits can be found by trying keys.
    Older connectors show the first half only.
    """
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return "-".join(digest[start : start + 4] for start in range(0, 32, 4))


def sealing_key_bytes(sealing_key: str) -> bytes:
    """Return the bytes that the signature of the sealing key covers."""
    return b"pbx-seal.v1 key\n" + sealing_key.encode("ascii")


def capabilities_bytes(sealing_key: str, capabilities: Sequence[str]) -> bytes:
    """Return the bytes that the signature of the capabilities covers.

    They contain the sealing key, so that a statement from before a hand-over is not valid for the connector after it.
    """
    return f"pbx-seal.v1 capabilities\n{sealing_key}\n{','.join(sorted(capabilities))}".encode()


LOGIN: Final = "pbx-login.v1"
ANSWER: Final = "pbx-answer.v1"
CALLS: Final = "pbx-calls.v1"
NEW_KEY: Final = "pbx-new-key.v1"
KEY_DELIVERY: Final = "pbx-key-delivery.v1"


def seal_context(pbx_name: str, tenant_id: str, object_id: str, nonce: str, purpose: str = LOGIN) -> bytes:
    """Return the context of a sealed box. It binds the box to one purpose, PBX, Teams user and attempt, so that the box
    cannot be replayed.
    """
    return f"{purpose}\n{pbx_name}\n{tenant_id}\n{object_id}\n{nonce}".encode()


def _verifies(public: str, signature: str, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(from_b64url(public)).verify(from_b64url(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True
