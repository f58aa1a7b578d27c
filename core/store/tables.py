"""The schema for both databases (SQLAlchemy Core). Timestamps are milliseconds since the epoch, UTC."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _partial_index(
    name: str, *columns: ColumnElement[Any], where: str | ColumnElement[bool], unique: bool = False
) -> None:
    """Create an index of the rows that meet a condition, in both databases.

    A query uses the index only if its own condition contains the same text.
    """
    condition = text(where) if isinstance(where, str) else where
    Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


pbx = Table(
    "pbx",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(253), nullable=False, unique=True),
    Column("identity", String(64), nullable=False),  # Ed25519 public key of the connector that owns the name
    # Raised with each hand-over of the name. What an earlier installation vouched for carries that installation's
    # number and is no longer valid (core.licensing.transactions.proofs).
    Column("installation", Integer, nullable=False, default=1, server_default="1"),
    Column("key_hmac", String(64), nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
    Column("status", Text),  # wire.link.Status as JSON, the last one reported
    # Ownership of the link: what a link writes carries its epoch and is ignored when a newer link exists.
    Column("link_epoch", BigInteger, nullable=False, default=0),
    Column("link_opened_at", BigInteger),
    Column("link_closed_at", BigInteger),
    Column("link_replica", String(36)),  # the replica that holds the link or was the last to hold it
    # From the connector's hello.
    Column("connector_version", String(50)),
    Column("sealing_key", String(200)),
    Column("sealing_signature", String(200)),
    # wire.link.Capability as JSON, signed by the connector's identity. Empty for a connector of the first version.
    Column("capabilities", Text, nullable=False, default="[]", server_default="[]"),
    Column("capabilities_signature", String(200)),
    # The PBX key before the last rotation, and until when it is valid.
    Column("previous_key_hmac", String(64)),
    Column("previous_key_until", BigInteger),
    # Why licence keys of the connector were refused (core.diagnosis.codes.LicenceReason), as JSON.
    Column("refused_keys", Text, nullable=False, default="[]", server_default="[]"),
)
Index("ix_pbx_link_replica", pbx.c.link_replica)

replica = Table(
    "replica",
    metadata,
    Column("id", String(36), primary_key=True),
    # Raised every few seconds. Other replicas notice by their own clocks when it stalls, and evict the replica.
    Column("beat", BigInteger, nullable=False, default=0),
    Column("started_at", BigInteger, nullable=False),
)

# History for the administrator's connection page: when links opened and ended, and why.
link_event = Table(
    "link_event",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("pbx_id", ForeignKey("pbx.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(30), nullable=False),  # core.hub.claims.LinkEventKind
    Column("detail", Text, nullable=False),
)
Index("ix_link_event_pbx_id_at", link_event.c.pbx_id, link_event.c.at)

enrolment = Table(
    "enrolment",
    metadata,
    Column("pbx_name", String(253), primary_key=True),
    Column("code_hash", String(64), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

# Microsoft tenants whose members have signed in at a PBX. People are warned at a PBX that their organisation never
# used.
used_pbx = Table(
    "used_pbx",
    metadata,
    Column("pbx_id", ForeignKey("pbx.id"), primary_key=True),
    Column("tenant_id", String(36), primary_key=True),
    Column("first_at", BigInteger, nullable=False),
)

refused_claim = Table(
    "refused_claim",
    metadata,
    Column("pbx_id", ForeignKey("pbx.id"), primary_key=True),
    Column("identity", String(64), primary_key=True),
    Column("address", String(64), nullable=False),
    Column("address_group", String(64), nullable=False),  # core.budget.address_group
    Column("connector_version", String(50), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)

trusted_tenant = Table(
    "trusted_tenant",
    metadata,
    Column("pbx_id", ForeignKey("pbx.id"), primary_key=True),
    Column("tenant_id", String(36), primary_key=True),
    Column("trusted_by", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column(
        "entry", String(20), nullable=False, server_default="with-key"
    ),  # core.identity.tenant_trust.Entry
    Column("is_primary", Boolean, nullable=False, server_default=false()),
)
Index("ix_trusted_tenant_tenant_id", trusted_tenant.c.tenant_id)
# A tenant has at most one main PBX, even if several claim the role at the same time.
_partial_index(
    "uq_trusted_tenant_primary",
    trusted_tenant.c.tenant_id,
    unique=True,
    where=trusted_tenant.c.is_primary,
)

# Approvals of the operator, in the tenant's place: the PBX may let the tenant's members sign in without a key.
tenant_approval = Table(
    "tenant_approval",
    metadata,
    Column("pbx_id", ForeignKey("pbx.id"), primary_key=True),
    Column("tenant_id", String(36), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

# The Teams identity that a PBX user is tied to since the first sign-in. By e-mail nobody else can sign in as this PBX
# user, and this person cannot sign in as another one. A sign-in by password replaces the pin.
pinned_identity = Table(
    "pinned_identity",
    metadata,
    Column("pbx_id", ForeignKey("pbx.id"), primary_key=True),
    Column("pbx_user_id", BigInteger, primary_key=True),
    Column("tenant_id", String(36), nullable=False),
    Column("object_id", String(36), nullable=False),
    Column("proof", String(20), nullable=False),  # core.licensing.session.Proof
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("pbx_id", "tenant_id", "object_id"),
)

pool = Table(
    "pool",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("serial", String(100), nullable=False, unique=True),
    Column("pbx_id", ForeignKey("pbx.id"), nullable=False, index=True),
    Column("licensee", String(200), nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("withdrawn", Boolean, nullable=False, default=False),  # no longer in the connector's configuration
    # Whether the pool may be batched. It is in its simple state: no retired seat is held, nobody waits, no seat is offered. Only then may seats be
    # taken and freed on the batched path (core.licensing.batched_*).
    Column("plain", Boolean, nullable=False, default=True, server_default=text("true")),
    Column(
        "policy", Text, nullable=False, default="{}", server_default="{}"
    ),  # core.licensing.policy as JSON
    Column(
        "expiry_told", Integer
    ),  # the last expiry warning to administrators, in days before the expiry; 0: expired
)

seat = Table(
    "seat",
    metadata,
    Column("pool_id", ForeignKey("pool.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("pbx_id", ForeignKey("pbx.id"), nullable=False),
    Column("holder", BigInteger),  # the PBX user's id
    # Beyond the number that the key grants: its holder keeps it, but it is not granted again.
    Column("retired", Boolean, nullable=False, default=False),
    Column("reserved_for", String(36)),  # a reservation of the pool's policy
    # An offer. "Kept" is an old word for "offered", as `plain` of the pool and `expiry_told` are for "batchable" and
    # "warned". The columns are not renamed: during a rolling update the replicas of the previous version still use the
    # names, and a write that fails there would refuse a sign-in.
    Column("kept_for", BigInteger),  # the PBX user to whom it is offered
    Column("kept_until", BigInteger),  # when the offer expires
    sqlite_with_rowid=False,
)
# A PBX user never holds two seats. The index contains only held seats.
_partial_index(
    "uq_seat_pbx_id_holder",
    seat.c.pbx_id,
    seat.c.holder,
    unique=True,
    where="holder IS NOT NULL",
)
FREE_FOR_ALL = "holder IS NULL AND NOT retired AND reserved_for IS NULL AND kept_for IS NULL"
"""SQL condition: seats that anybody may take. It is the text of the index, so that a query with it uses the index."""
_partial_index(
    "ix_seat_free_for_all",
    seat.c.pool_id,
    where=FREE_FOR_ALL,
)
_partial_index(
    "ix_seat_kept",
    seat.c.kept_until,
    where="kept_for IS NOT NULL",
)

_partial_index(
    "ix_seat_kept_for",
    seat.c.pbx_id,
    seat.c.kept_for,
    where="kept_for IS NOT NULL",
)

waiting = Table(
    "waiting",
    metadata,
    Column("pbx_id", ForeignKey("pbx.id"), primary_key=True),
    Column("pbx_user_id", BigInteger, primary_key=True),
    Column("tenant_id", String(36), nullable=False),
    Column("object_id", String(36), nullable=False),
    Column("display_name", String(200), nullable=False),
    Column(
        "group_ids", Text, nullable=False
    ),  # ids of the user's PBX groups, as JSON; pool rules refer to them
    Column("refused_at", BigInteger, nullable=False),
    Column("proof", String(20), nullable=False, server_default="password"),  # core.licensing.session.Proof
    Column(
        "joined_at", BigInteger
    ),  # NULL: the user was refused and may join the list, but does not wait yet
    Column("offered_at", BigInteger),
    UniqueConstraint("tenant_id", "object_id"),
)

session = Table(
    "session",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant_id", String(36), nullable=False),
    Column("object_id", String(36), nullable=False),
    Column("teams_name", String(200), nullable=False),
    Column("pbx_id", ForeignKey("pbx.id"), nullable=False),
    Column("pbx_user_id", BigInteger, nullable=False),
    Column("pbx_login", String(100), nullable=False),
    Column("display_name", String(200), nullable=False),
    Column("email", String(320), nullable=False),
    Column("is_administrator", Boolean, nullable=False),
    Column("licence_kind", String(3), nullable=False),
    Column("pool_id", String(36)),
    Column("seat_number", Integer),
    Column("proof", String(20), nullable=False),
    Column("installation", Integer, nullable=False, server_default="1"),  # the one that vouched for the user
    Column("started_at", BigInteger, nullable=False),
    Column("licence_since", BigInteger, nullable=False),  # since when it holds this licence or seat
    Column("last_seen_at", BigInteger, nullable=False),
    Column(
        "proven_at", BigInteger
    ),  # the last proof after the first one; NULL: only the first, at `started_at`
    Column(
        "ends_at", BigInteger
    ),  # when it ends because of its age; the user was warned (transactions.ageing)
    ForeignKeyConstraint(["pool_id", "seat_number"], ["seat.pool_id", "seat.number"]),
    UniqueConstraint("tenant_id", "object_id"),
    UniqueConstraint("pbx_id", "pbx_user_id"),
    sqlite_with_rowid=False,
)

_partial_index(
    "ix_session_by_email",
    session.c.pbx_id,
    session.c.tenant_id,
    where="proof = 'email'",
)

session_end = Table(
    "session_end",
    metadata,
    Column("tenant_id", String(36), primary_key=True),
    Column("object_id", String(36), primary_key=True),
    Column("pbx_name", String(253), nullable=False),
    Column("cause", String(30), nullable=False),
    Column("reason", Text, nullable=False),
    Column("ended_by", String(200), nullable=False),
    Column("ended_by_kind", String(20)),  # core.store.audit.ActorKind; NULL in rows older than the column
    Column("ended_by_tenant_id", String(36)),
    Column("at", BigInteger, nullable=False),
)
_partial_index(
    "ix_session_end_operator_at",
    session_end.c.at,
    where="ended_by_kind = 'operator'",
)

notice = Table(
    "notice",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant_id", String(36), nullable=False),
    Column("object_id", String(36), nullable=False),
    Column("kind", String(30), nullable=False),
    Column("detail", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("delivered_at", BigInteger),
    Column("given_up", Boolean, nullable=False, default=False),
    # Set just before a send. If it is still set after the lease, it is unknown whether the notice was delivered.
    Column("sending", Boolean, nullable=False, server_default=false()),
    # The channel failed once during a send, so the notice may have been delivered.
    Column("doubtful", Boolean, nullable=False, server_default=false()),
)
Index("ix_notice_due", notice.c.delivered_at, notice.c.given_up, notice.c.next_attempt_at)

# A person's preferences for the tab and the bot.
preference = Table(
    "preference",
    metadata,
    Column("tenant_id", String(36), primary_key=True),
    Column("object_id", String(36), primary_key=True),
    Column("no_automatic_sign_in", Boolean, nullable=False, server_default=false()),
    Column("muted", Text, nullable=False, server_default="[]"),  # core.signin.preferences.Topic as JSON
    Column("quiet", Boolean, nullable=False, server_default=true()),
    Column("quiet_from", Integer, nullable=False, server_default="1320"),  # minutes of the person's local day
    Column("quiet_until", Integer, nullable=False, server_default="420"),
    Column("time_zone", String(64), nullable=False, server_default=""),  # IANA; empty: not known
    Column("calls_in_chat", Boolean, nullable=False, server_default=false()),
    Column("missed_calls", Boolean, nullable=False, server_default=false()),
    Column("numbers_in_chat", Boolean, nullable=False, server_default=false()),
)

conversation = Table(
    "conversation",
    metadata,
    Column("tenant_id", String(36), primary_key=True),
    Column("object_id", String(36), primary_key=True),
    Column("reference", Text, nullable=False),  # botbuilder's ConversationReference as JSON
    Column("locale", String(20), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column(
        "answered", Text, nullable=False, server_default="[]"
    ),  # ids of the last answered activities, as JSON
    Column(
        "in_hand", Text, nullable=False, server_default="{}"
    ),  # activity id to the time of its claim, as JSON
    Column("closed_reason", String(10)),  # core.store.conversations.ClosedReason; NULL: the bot can write
)

audit = Table(
    "audit",
    metadata,
    # Ascends in the order of writing. An integer, because every seat that is taken or freed adds a row.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("pbx_id", String(36), nullable=False),
    Column("kind", String(30), nullable=False),  # core.store.audit.AuditKind
    Column("actor", String(200), nullable=False),  # a name, only for display
    Column("subject", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("pbx_user_id", BigInteger),
    Column("pool_id", String(36)),  # of the seat that this row is about
    Column("held_from", BigInteger),  # the row ends the holding of that seat, which began at this time
    # Who did it. Rows older than these columns have only the text in `actor`.
    Column("actor_kind", String(20)),  # core.store.audit.ActorKind
    Column("actor_tenant_id", String(36)),
    Column("actor_object_id", String(36)),
    Column("actor_pbx_user_id", BigInteger),
    Column("times", Integer, nullable=False, server_default="1"),  # how often, where one row stands for many
    Column("coalesce_key", String(64)),  # core.store.audit.count_audit: events with the same key share a row
)
Index("ix_audit_pbx_id_at", audit.c.pbx_id, audit.c.at)
# For the few denials. There is no such index for rows that every sign-in writes, because it would slow down each of
# them.
_partial_index(
    "ix_audit_denied",
    audit.c.pbx_id,
    audit.c.at,
    where="kind = 'denied'",
)
_partial_index(
    "ix_audit_operator_at",
    audit.c.at,
    where="actor_kind = 'operator'",
)
_partial_index(
    "uq_audit_coalesce_key",
    audit.c.coalesce_key,
    unique=True,
    where="coalesce_key IS NOT NULL",
)

# How seats were held on a day that is over (core.licensing.seat_day). It is computed from audit and sessions, and can
# be computed again as long as they are kept. It contains ids of users but no names.
usage_day = Table(
    "usage_day",
    metadata,
    Column("pbx_id", ForeignKey("pbx.id"), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),  # since the epoch, UTC
    Column("hours", Text, nullable=False),  # peak and sum of each hour, as JSON
    Column("steps", LargeBinary, nullable=False),  # core.licensing.seat_day.Steps
)
Index("ix_usage_day_day", usage_day.c.day)

# The audio advisor. Each person can delete all of their data.
audio_probe = Table(
    "audio_probe",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant_id", String(36), nullable=False),
    Column("object_id", String(36), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),  # SHA-256 of 256 random bits
    Column("machine", String(100), nullable=False),
    Column("platform", String(20), nullable=False),
    Column("version", String(50), nullable=False),
    Column("paired_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("replica", String(36)),  # the replica that the probe is connected to
)
Index("ix_audio_probe_tenant_id_object_id", audio_probe.c.tenant_id, audio_probe.c.object_id)

audio_pairing = Table(
    "audio_pairing",
    metadata,
    Column("tenant_id", String(36), primary_key=True),
    Column("object_id", String(36), primary_key=True),
    Column("code_hash", String(64), nullable=False, unique=True),
    Column("expires_at", BigInteger, nullable=False),
)

audio_report = Table(
    "audio_report",
    metadata,
    Column("tenant_id", String(36), primary_key=True),
    Column("object_id", String(36), primary_key=True),
    Column("source", String(20), primary_key=True),  # core.audio.evidence.Source, or "present"
    Column("origin", String(36), primary_key=True),  # the probe's id; empty for other sources
    Column("at", BigInteger, nullable=False),
    Column("content", Text, nullable=False),  # list of DeviceUse as JSON; of AudioDevice for "present"
)
Index("ix_audio_report_at", audio_report.c.at)

audio_call = Table(
    "audio_call",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant_id", String(36), nullable=False),
    Column("object_id", String(36), nullable=False),
    Column(
        "at", BigInteger, nullable=False
    ),  # when a call ended as it was answered; nothing else about the call
)
Index("ix_audio_call_tenant_id_object_id", audio_call.c.tenant_id, audio_call.c.object_id)

audio_person = Table(
    "audio_person",
    metadata,
    Column("tenant_id", String(36), primary_key=True),
    Column("object_id", String(36), primary_key=True),
    Column(
        "named", Boolean, nullable=False, default=False
    ),  # administrators may see the name next to a conflict
    Column(
        "records", Boolean, nullable=False, default=False
    ),  # device names in Teams call records may be read
    Column("help_since", BigInteger),  # when the person agreed that the connector follows their calls
    Column("quiet_until", BigInteger),  # "not now": no messages before this time
    Column("never", Text, nullable=False, default="[]"),  # devices that the bot never writes about, as JSON
    Column("told_at", BigInteger),  # when the bot last wrote about a conflict
    # The last conclusion, for the counts that administrators see.
    Column("verdict", String(10)),
    Column("model", String(200)),
    Column("concluded_at", BigInteger),
)

# Which people have switched their telephone on, and in which session. Nothing about calls is stored.
phone_consent = Table(
    "phone_consent",
    metadata,
    Column("tenant_id", String(36), primary_key=True),
    Column("object_id", String(36), primary_key=True),
    Column("session_id", String(36), nullable=False),
    Column("since", BigInteger, nullable=False),
    # Missed calls that began before have been handled: announced, or seen as not to be announced (bot.missed).
    Column("missed_until", BigInteger),
)

# The last moment at which the wall clock was trusted (core.store.clock). There is only one row.
clock_mark = Table(
    "clock_mark",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
)
