"""The messages between the tab in the browser and the tab API. OpenAPI and the TypeScript types come from here."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from wire.bounds import (
    Count,
    Flag,
    Guid,
    Line,
    PbxGroupId,
    PbxUserId,
    QueryFlag,
    Reason,
    Search,
    Sha256Hex,
    ZoneName,
    token,
)
from wire.link import ChallengeProof, LoginMethod, SealedChallengeProof, SealedProof
from wire.model import Moment, WireModel
from wire.pbx_name import KnownPbxName, TypedPbxName

KeyDigestField = Annotated[Sha256Hex, Field(description="SHA-256 of the canonical PBX key, hex")]


Entry = Literal["with-key", "one-click", "automatic"]
"""core.identity.tenant_trust.Entry"""


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
    pbx_name: TypedPbxName
    key_digest: KeyDigestField
    methods: list[Annotated[str, token(40)]] = Field(default_factory=list, max_length=20)
    """Login methods that the browser knows beside `challenge` and `sealed`: an older tab says none."""


class SignInChallenge(WireModel):
    pbx_name: str
    method: LoginMethod
    nonce: str
    pbx_nonce: str | None = None
    """For `sealed-challenge`: what the answer is computed with."""
    sealing_key: str
    sealing_signature: str
    connector_identity: str
    capabilities: list[str]
    """What the connector can do, by its own word."""
    capabilities_signature: str | None = None
    """The connector identity's signature over them; null: an older connector, which has none."""
    first_use: bool = False
    """Nobody of the person's organisation has signed in at this PBX before, and it does not trust the organisation."""
    email_offered: bool
    email: str
    """The address that sign-in by e-mail would use."""
    key_good_until: Moment | None = None
    """The PBX key was renewed; the one that was given is the old one, and good until then."""


class EmailProof(WireModel):
    method: Literal["email"]


class SignInRequest(WireModel):
    pbx_name: TypedPbxName
    key_digest: KeyDigestField
    proof: Annotated[
        ChallengeProof | SealedChallengeProof | SealedProof | EmailProof, Field(discriminator="method")
    ]
    take_over: Flag = False
    """Sign the other Teams account out that is signed in as this PBX user."""


class KeylessSignInRequest(WireModel):
    pbx_name: KnownPbxName
    """One of the state's `offers`."""
    take_over: Flag = False
    by_itself: Flag = False
    """Nobody clicked: good only where the state's offer is `automatic`."""


class PbxOffer(WireModel):
    """A PBX that the person may enter without its key."""

    pbx_name: str
    is_primary: bool
    """The main one of the person's organisation."""
    automatic: bool
    """Signs the person in without a click, now."""
    asks_consent: bool
    """Would do so, but the person has never used it: signing in by a click is the consent."""


class StateParams(WireModel):
    time_zone: ZoneName = ""
    """IANA name: where the person is, for what is written to them at night."""


class Licence(WireModel):
    kind: Literal["UAL", "FL", "ADM"]
    since: Moment
    seats_used: int
    seats_total: int
    ends_by: Moment | None
    """The licence key has expired: the session ends with the present call, at the latest then. Else null."""


class ConnectionState(WireModel):
    pbx_name: str
    connected: bool
    since: Moment | None
    """Since when connected, or since when not."""
    pbx_version: str | None
    has_telephone: bool = False
    """The connector can use people's telephones; people who are signed in for administration only have none."""
    findings: list[ProblemWords]


class PbxPerson(WireModel):
    login: str
    display_name: str
    email: str
    is_administrator: bool
    """At the PBX, and proven well enough to administer it."""
    needs_password: bool
    """An administrator at the PBX who signed in by e-mail: administration needs a sign-in by password."""


class SessionEnd(WireModel):
    cause: str
    """revoked, taken-over, licence-lost, user-gone, idle, licence-expired, session-too-old, handed-over or trust-withdrawn."""
    pbx_name: str
    ended_by: str
    reason: str
    at: Moment


class WaitingPlace(WireModel):
    """On the list of those who wait for a seat; `joined` false: was refused and may join."""

    pbx_name: str
    joined: bool
    position: int
    offered_until: Moment | None
    """A seat is kept for this user until then."""


class MyState(WireModel):
    signed_in: bool
    teams_name: str
    person: PbxPerson | None = None
    licence: Licence | None = None
    connection: ConnectionState | None = None
    offers: list[PbxOffer]
    audio: Literal["conflict", "likely"] | None = None
    """Teams and the softphone share an audio device, or probably do; the audio page has more."""
    ends_at: Moment | None = None
    """The session is nearly as old as it may become: it ends then, unless the person signs in again before."""
    waiting: WaitingPlace | None = None
    session_end: SessionEnd | None = None
    """How the last session was ended by someone else, until the next sign-in."""


class Holder(WireModel):
    session_id: str
    display_name: str
    login: str
    teams_name: str
    kind: Literal["UAL", "FL", "ADM"]
    since: Moment
    last_seen: Moment
    is_me: bool


class PeopleSet(WireModel):
    """PBX users and members of PBX groups, by the PBX's own ids."""

    user_ids: list[PbxUserId] = Field(max_length=1000)
    group_ids: list[PbxGroupId] = Field(max_length=1000)


class ReservationState(WireModel):
    id: Annotated[str, token(36, least=1)]
    name: Annotated[str, Line(100, least=1)]
    seats: Annotated[Count, Field(ge=1, le=1_000_000)]
    people: PeopleSet


class PolicyState(WireModel):
    """What the administrator has decided about a pool."""

    idle_hours: Annotated[Count, Field(ge=1, le=24 * 365)] | None
    reservations: list[ReservationState] = Field(max_length=50)
    admitted: PeopleSet | None
    """Who may have a seat of this pool at all; null: everybody."""


class PoolState(WireModel):
    pool_id: str
    serial: str
    seats_used: int
    seats_total: int
    seats_reserved: int
    """Free, but for some people only."""
    seats_kept: int
    """Free, but kept for the next person on the waiting list."""
    seats_free: int
    policy: PolicyState
    valid_from: Moment
    valid_until: Moment
    """The first moment at which the pool is no longer good."""


class TrustedTenantState(WireModel):
    """A Microsoft tenant whose people sign in to this PBX by e-mail."""

    tenant_id: str
    trusted_by: str
    """A name, as text to show."""
    at: Moment
    entry: Entry
    is_primary: bool
    is_mine: bool
    """The administrator's own organisation."""
    approved: bool
    """The operator has let this PBX offer itself to its people."""
    signed_in: int
    """So many people are signed in by their e-mail address of that tenant."""


class TrustedTenants(WireModel):
    tenants: list[TrustedTenantState]


class RemoveTrustRequest(WireModel):
    tenant_id: Guid


class Licences(WireModel):
    holders: list[Holder]
    """One page of them."""
    found: int
    """How many the search finds on all pages."""
    waiting: int
    user_licences: int = 0
    """How many are signed in with a licence of their own."""
    pools: list[PoolState]
    connection: ConnectionState
    tenant_trusted: bool
    entry: Entry
    """What people of the administrator's organisation need, when it is trusted."""
    is_primary: bool
    """This PBX is the main one of that organisation."""
    primary_name: str | None
    """The main PBX of that organisation, this or another."""
    may_trust: bool
    """False: the administrator is a guest of that organisation, and decides nothing for it."""
    may_offer: bool
    """They may let its people in without a key: they speak for it, or the operator has approved it."""
    trusted_tenants: list[TrustedTenantState]
    """All that this PBX trusts, that organisation among them."""


class HoldersParams(WireModel):
    """Which holders to show, in which order; one page at a time."""

    search: Search = ""
    sort: Literal["name", "login", "kind", "since", "last-seen", "teams-name"] = "name"
    descending: QueryFlag = False
    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=50, ge=1, le=200)


class ExportParams(WireModel):
    time_zone: ZoneName = "UTC"
    """IANA name; moments are written in this zone."""
    format: Literal["csv", "xlsx"] = "csv"


Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]


class AuditParams(ExportParams):
    """Whole days in that zone, the last one included."""

    since: Day | None = None
    """null: 90 days up to `until`."""
    until: Day | None = None
    """null: today."""

    @model_validator(mode="after")
    def _in_order(self) -> "AuditParams":
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError("since is after until")
        return self


class UsageParams(WireModel):
    span: Literal["day", "week", "month"] = "day"


class UsageBucket(WireModel):
    start: Moment
    peak: int
    average: float
    denials: int


class Usage(WireModel):
    buckets: list[UsageBucket]
    seats: int
    """What the pools have now."""


class LicenceMix(WireModel):
    ual: int
    fl: int
    cost: float | None
    """With the prices that were given; null without."""


class ConstantUser(WireModel):
    name: str
    login: str
    """Empty while they hold no seat."""
    days: int


Price = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class AdviceParams(WireModel):
    ual_price: Price | None = None
    fl_price: Price | None = None


class LicenceAdvice(WireModel):
    """Of the last 28 days; the rule is in docs/licences.md."""

    working_days: int
    enough_history: bool
    constant: list[ConstantUser]
    peak: int
    percentile: int
    now: LicenceMix
    advised: LicenceMix
    lean: LicenceMix


class PeopleParams(WireModel):
    search: Search = ""


class NamedPerson(WireModel):
    id: int
    name: str
    login: str = ""


class PeopleFound(WireModel):
    users: list[NamedPerson]
    groups: list[NamedPerson]


class PolicyRequest(WireModel):
    pool_id: Guid
    policy: PolicyState


class RevokeRequest(WireModel):
    session_ids: list[Guid] = Field(min_length=1, max_length=1000)
    reason: Reason = ""


class Revoked(WireModel):
    session_ids: list[str]


class TrustRequest(WireModel):
    trusted: Flag
    entry: Entry | None = None
    """Left out: as it was."""
    primary: Flag | None = None
    """Left out: as it was."""


MinuteOfDay = Annotated[Count, Field(lt=24 * 60)]


class NoticeSettings(WireModel):
    """Which messages the bot writes first, and when it is night."""

    muted: list[Literal["session", "audio", "administration"]] = Field(max_length=10)
    quiet: Flag
    quiet_from: MinuteOfDay
    quiet_until: MinuteOfDay


UnreachableReason = Literal["no-chat", "removed", "blocked", "disabled", "service"]
"""`no-chat`: the person has never opened the bot's chat. `removed`: the app was removed. `blocked`: the person has blocked
the bot. `disabled`: an administrator of the organisation has blocked the app. `service`: Microsoft does not let the service
write to anybody at the moment.
"""


class NoticeSettingsState(NoticeSettings):
    time_zone: str
    """IANA name; empty while it is not known: then nothing is held back."""
    reachable: bool
    """The bot can write to this person, as far as is known."""
    unreachable_reason: UnreachableReason | None
    """Why it cannot; null where it can."""
