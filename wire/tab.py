"""The messages between the tab in the browser and the tab API. OpenAPI and the TypeScript types come from here."""

from typing import Annotated, Literal

from pydantic import Field

from wire.link import ChallengeProof, LoginMethod, PbxName, SealedProof
from wire.model import Moment, WireModel

KeyDigestField = Annotated[
    str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the canonical PBX key, hex")
]


class Problem(WireModel):
    """An error (RFC 9457). `code` is stable; title, detail and cure are words in the reader's language."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    cure: str
    reason: str | None = None
    """Tells cases of one code apart, for instance why there is no licence."""
    request_id: str


class ProblemWords(WireModel):
    """A finding that is no error of the request: the state of a connection."""

    blocking: bool
    """Keeps people from signing in; otherwise it only costs something."""
    code: str
    title: str
    detail: str
    cure: str


class ChallengeRequest(WireModel):
    pbx_name: PbxName
    key_digest: KeyDigestField


class SignInChallenge(WireModel):
    pbx_name: str
    method: LoginMethod
    nonce: str
    sealing_key: str
    sealing_signature: str
    connector_identity: str
    email_offered: bool
    email: str
    """The address that sign-in by e-mail would use."""


class EmailProof(WireModel):
    method: Literal["email"]


class SignInRequest(WireModel):
    pbx_name: PbxName
    key_digest: KeyDigestField
    proof: Annotated[ChallengeProof | SealedProof | EmailProof, Field(discriminator="method")]
    take_over: bool = False
    """Sign the other Teams account out that is signed in as this PBX user."""


class Licence(WireModel):
    kind: Literal["UAL", "FL"]
    since: Moment
    seats_used: int
    seats_total: int


class ConnectionState(WireModel):
    pbx_name: str
    connected: bool
    since: Moment | None
    """Since when connected, or since when not."""
    pbx_version: str | None
    findings: list[ProblemWords]


class PbxPerson(WireModel):
    login: str
    display_name: str
    email: str
    is_administrator: bool


class SessionEnd(WireModel):
    cause: Literal["revoked", "taken-over"]
    pbx_name: str
    ended_by: str
    reason: str
    at: Moment


class MyState(WireModel):
    signed_in: bool
    teams_name: str
    person: PbxPerson | None = None
    licence: Licence | None = None
    connection: ConnectionState | None = None
    session_end: SessionEnd | None = None
    """How the last session was ended by someone else, until the next sign-in."""


class Holder(WireModel):
    session_id: str
    display_name: str
    login: str
    teams_name: str
    kind: Literal["UAL", "FL"]
    since: Moment
    last_seen: Moment
    is_me: bool


class PoolState(WireModel):
    serial: str
    seats_used: int
    seats_total: int
    valid_from: Moment
    valid_until: Moment
    """The first moment at which the pool is no longer good."""


class Licences(WireModel):
    holders: list[Holder]
    pools: list[PoolState]
    connection: ConnectionState
    tenant_trusted: bool


class RevokeRequest(WireModel):
    session_ids: list[Annotated[str, Field(max_length=36)]] = Field(min_length=1, max_length=1000)
    reason: str = Field(default="", max_length=500)


class Revoked(WireModel):
    session_ids: list[str]


class TrustRequest(WireModel):
    trusted: bool
