"""The messages between the tab in the browser and the tab API. The OpenAPI document and the TypeScript types are generated
from them.
"""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from wire.bounds import (
    MAX_INTEGER,
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
"""The values of `core.identity.tenant_trust.Entry`."""


class Problem(WireModel):
    """An error (RFC 9457). `code` is stable; title, detail and cure are texts in the reader's language."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    cure: str
    reason: str | None = None
    """Distinguishes cases of one code, for instance why there is no licence."""
    request_id: str


class ProblemWords(WireModel):
    """A finding about the state of a connection; it is not an error of the request."""

    blocking: bool
    """It prevents people from signing in; otherwise it is only a disadvantage."""
    code: str
    title: str
    detail: str
    cure: str


class ChallengeRequest(WireModel):
    pbx_name: TypedPbxName
    key_digest: KeyDigestField
    methods: list[Annotated[str, token(40)]] = Field(default_factory=list, max_length=20)
    """Login methods that the browser knows in addition to `challenge` and `sealed`; an older tab sends none."""


class SignInChallenge(WireModel):
    pbx_name: str
    method: LoginMethod
    nonce: str
    pbx_nonce: str | None = None
    """For `sealed-challenge`: the PBX's nonce, from which the answer is computed."""
    sealing_key: str
    sealing_signature: str
    connector_identity: str
    capabilities: list[str]
    """What the connector says that it can do."""
    capabilities_signature: str | None = None
    """The connector identity's signature over the capabilities; null from an older connector, which has none."""
    first_use: bool = False
    """Nobody of the person's organisation has signed in to this PBX before, and it does not trust the organisation."""
    email_offered: bool
    email: str
    """The address that sign-in by e-mail would use."""
    key_good_until: Moment | None = None
    """The given PBX key is the one from before the last renewal; it is valid until then. Null if it is the current one."""


class EmailProof(WireModel):
    method: Literal["email"]


class SignInRequest(WireModel):
    pbx_name: TypedPbxName
    key_digest: KeyDigestField
    proof: Annotated[
        ChallengeProof | SealedChallengeProof | SealedProof | EmailProof, Field(discriminator="method")
    ]
    take_over: Flag = False
    """Sign out the other Teams account that is signed in as this PBX user."""


class KeylessSignInRequest(WireModel):
    pbx_name: KnownPbxName
    """One of the state's `offers`."""
    take_over: Flag = False
    by_itself: Flag = False
    """The sign-in happens without a click. It is accepted only if the state's offer is `automatic`."""


class PbxOffer(WireModel):
    """A PBX to which the person may sign in without its key."""

    pbx_name: str
    is_primary: bool
    """It is the main PBX of the person's organisation."""
    automatic: bool
    """The person can be signed in now without a click."""
    asks_consent: bool
    """It would be automatic, but the person has never used this PBX; signing in by a click is the consent."""


class StateParams(WireModel):
    time_zone: ZoneName = ""
    """The person's time zone (IANA name), so that messages can be held back at night."""


class Licence(WireModel):
    kind: Literal["UAL", "FL", "ADM"]
    since: Moment
    seats_used: int
    seats_total: int
    ends_by: Moment | None
    """Set if the licence key has expired: the session ends after the present call, at the latest at this time."""


class ConnectionState(WireModel):
    pbx_name: str
    connected: bool
    since: Moment | None
    """Since when the PBX is connected, or since when it is not."""
    pbx_version: str | None
    has_telephone: bool = False
    """The connector can use people's telephones. Always false for people who are signed in for administration only."""
    findings: list[ProblemWords]


class PbxPerson(WireModel):
    login: str
    display_name: str
    email: str
    is_administrator: bool
    """The person is an administrator of the PBX and has signed in by a method that is strong enough to administer it."""
    needs_password: bool
    """The person is an administrator of the PBX but signed in by e-mail; administration needs a sign-in by password."""


class SessionEnd(WireModel):
    cause: str
    """One of revoked, taken-over, licence-lost, user-gone, idle, licence-expired, session-too-old, handed-over,
    trust-withdrawn."""
    pbx_name: str
    ended_by: str
    reason: str
    at: Moment


class WaitingPlace(WireModel):
    """A place on the waiting list for a seat. With `joined` false the person was refused a seat and may join the list."""

    pbx_name: str
    joined: bool
    position: int
    offered_until: Moment | None
    """Until when a seat is held for this user."""


class MyState(WireModel):
    signed_in: bool
    teams_name: str
    person: PbxPerson | None = None
    licence: Licence | None = None
    connection: ConnectionState | None = None
    offers: list[PbxOffer]
    audio: Literal["conflict", "likely"] | None = None
    """Teams and the softphone share an audio device, or probably do; the audio page has the details."""
    ends_at: Moment | None = None
    """Set if the session has nearly reached its maximum age: it ends then, unless the person signs in again before."""
    waiting: WaitingPlace | None = None
    session_end: SessionEnd | None = None
    """How somebody else ended the last session; null after the next sign-in."""


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
    """PBX users, and the members of PBX groups, by the PBX's own ids."""

    user_ids: list[PbxUserId] = Field(max_length=1000)
    group_ids: list[PbxGroupId] = Field(max_length=1000)


class ReservationState(WireModel):
    id: Annotated[str, token(36, least=1)]
    name: Annotated[str, Line(100, least=1)]
    seats: Annotated[Count, Field(ge=1, le=1_000_000)]
    people: PeopleSet


class PolicyState(WireModel):
    """An administrator's rules for a pool."""

    idle_hours: Annotated[Count, Field(ge=1, le=24 * 365)] | None
    reservations: list[ReservationState] = Field(max_length=50)
    admitted: PeopleSet | None
    """Who may have a seat of this pool; null: everybody."""


class PoolState(WireModel):
    pool_id: str
    serial: str
    seats_used: int
    seats_total: int
    seats_reserved: int
    """Free, but only for certain people."""
    seats_kept: int
    """Free, but held for the next person on the waiting list."""
    seats_free: int
    policy: PolicyState
    valid_from: Moment
    valid_until: Moment
    """The first moment at which the pool is no longer valid."""


class TrustedTenantState(WireModel):
    """A Microsoft tenant whose people may sign in to this PBX by e-mail."""

    tenant_id: str
    trusted_by: str
    """The name of the person who trusted it, for display."""
    at: Moment
    entry: Entry
    is_primary: bool
    is_mine: bool
    """It is the administrator's own organisation."""
    approved: bool
    """The operator has allowed this PBX to offer itself to the tenant's people."""
    signed_in: int
    """How many people of that tenant are signed in by their e-mail address."""


class TrustedTenants(WireModel):
    tenants: list[TrustedTenantState]


class RemoveTrustRequest(WireModel):
    tenant_id: Guid


class Licences(WireModel):
    holders: list[Holder]
    """One page of holders."""
    found: int
    """How many holders the search finds on all pages."""
    waiting: int
    user_licences: int = 0
    """How many are signed in with a licence of their own."""
    pools: list[PoolState]
    connection: ConnectionState
    tenant_trusted: bool
    entry: Entry
    """How people of the administrator's organisation sign in, if it is trusted."""
    is_primary: bool
    """This PBX is the main PBX of that organisation."""
    primary_name: str | None
    """The main PBX of that organisation: this one or another."""
    may_trust: bool
    """False if the administrator is a guest of that organisation and may not decide for it."""
    may_offer: bool
    """The administrator may let its people in without a key: they may decide for it, or the operator has approved it."""
    trusted_tenants: list[TrustedTenantState]
    """All tenants that this PBX trusts, including that organisation."""
    session_days: int = 0
    """Days after which people sign in again; 0: a session has no maximum age. The operator sets it."""


class SelectedHolder(WireModel):
    session_id: str
    display_name: str
    login: str
    kind: Literal["UAL", "FL", "ADM"]
    is_me: bool


class HolderSelection(WireModel):
    """Everybody that a filter lets through, on all pages of the table."""

    holders: list[SelectedHolder]
    """At most 10,000, sorted by name."""
    found: int
    """How many there are."""


class Setup(WireModel):
    """How far the set-up of a PBX is, for its administrator."""

    is_connected: bool
    has_licences: bool
    """There is a floating licence, or somebody is signed in with a licence of their own."""
    has_other_users: bool
    """Somebody else than the administrator is signed in."""
    is_offered: bool
    """People of the administrator's organisation sign in at this PBX without its key."""
    may_offer: bool
    """The administrator may switch that on."""
    has_chat: bool
    """The administrator has opened the chat with the bot."""


class HoldersFilterParams(WireModel):
    """Which holders: those that the search finds and the filters let through."""

    search: Search = ""
    kind: Literal["", "UAL", "FL", "ADM"] = ""
    """Kind of licence; empty: all."""
    unseen_days: int = Field(default=0, ge=0, le=3650)
    """Only people who were last seen at least that many days ago; 0: everybody."""


class HoldersParams(HoldersFilterParams):
    """Which holders to return, in which order; one page at a time."""

    sort: Literal["name", "login", "kind", "since", "last-seen", "teams-name"] = "name"
    descending: QueryFlag = False
    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=50, ge=1, le=200)


class ExportParams(WireModel):
    time_zone: ZoneName = "UTC"
    """IANA name; times are written in this zone."""
    format: Literal["csv", "xlsx"] = "csv"


Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]


AuditGroupName = Literal["", "sessions", "refusals", "licences", "trust", "pbx", "exports", "consents"]


class AuditFilterParams(WireModel):
    """Whole days in that time zone, including the last one; only entries of one group, or about one person."""

    time_zone: ZoneName = "UTC"
    """IANA name; days begin and end in this zone."""
    since: Day | None = None
    """null: 90 days up to `until`."""
    until: Day | None = None
    """null: today."""
    group: AuditGroupName = ""
    """Empty: entries of all kinds."""
    search: Search = ""
    """Part of a name: of who did it, or of whom or what it concerns."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError("since is after until")
        return self


class AuditParams(ExportParams, AuditFilterParams):
    """What to export, and how."""


class AuditPageParams(AuditFilterParams):
    before_at: Annotated[int, Field(ge=0, le=MAX_INTEGER)] | None = None
    """With `beforeId`: only entries older than that one. null: the newest."""
    before_id: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 0
    limit: int = Field(default=50, ge=1, le=200)


class AuditPlace(WireModel):
    before_at: int
    before_id: int


class AuditEntryState(WireModel):
    id: int
    at: Moment
    code: str
    """The kind of event, a `core.store.audit.AuditKind`."""
    event: str
    """What happened, in the reader's language."""
    actor: str
    """Who did it: a name, or for instance "The service"."""
    is_person: bool
    """Whether the actor is a person."""
    subject: str
    """Whom or what it concerns; empty if that says nothing beyond the actor."""
    detail: str
    times: int


class AuditPage(WireModel):
    entries: list[AuditEntryState]
    """Newest first."""
    found: int
    """Number of entries that match, counted up to `countedTo`."""
    counted_to: int
    older: AuditPlace | None
    """The last of these entries, if there are older ones: where the next page begins."""


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
    """The seats of all pools at present."""


class LicenceMix(WireModel):
    ual: int
    fl: int
    cost: float | None
    """The cost with the given prices; null without prices."""


class ConstantUser(WireModel):
    name: str
    login: str
    """Empty while the user holds no seat."""
    days: int


Price = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class AdviceParams(WireModel):
    ual_price: Price | None = None
    fl_price: Price | None = None


class LicenceAdvice(WireModel):
    """Advice from the usage of the last 28 days; docs/licences.md describes the rule."""

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
    """Omitted: unchanged."""
    primary: Flag | None = None
    """Omitted: unchanged."""


MinuteOfDay = Annotated[Count, Field(lt=24 * 60)]


class NoticeSettings(WireModel):
    """Which messages the bot may send on its own initiative, and the hours of quiet at night."""

    muted: list[Literal["session", "audio", "administration"]] = Field(max_length=10)
    quiet: Flag
    quiet_from: MinuteOfDay
    quiet_until: MinuteOfDay


UnreachableReason = Literal["no-chat", "removed", "blocked", "disabled", "service"]
"""`no-chat`: the person has never opened the bot's chat. `removed`: the app was removed. `blocked`: the person has blocked
the bot. `disabled`: an administrator of the organisation has blocked the app. `service`: Microsoft currently lets the
service write to nobody.
"""


class NoticeSettingsState(NoticeSettings):
    time_zone: str
    """IANA name; empty while unknown, and then no message is held back."""
    reachable: bool
    """The bot can write to this person, as far as the service knows."""
    unreachable_reason: UnreachableReason | None
    """Why the bot cannot write to this person; null if it can."""
