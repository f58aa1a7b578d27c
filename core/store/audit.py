"""The audit: what happened at a PBX and who did it. Only this module writes audit rows.

Ids identify an actor, never the name, which people choose themselves. The service itself, the operator and the
connectors have an `ActorKind` of their own, which no name can imitate.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.store.database import Database
from core.store.retention import delete_oldest_in_steps
from core.store.tables import audit as _table
from core.store.tables import session as _session
from core.store.timestamps import to_ms
from core.store.transaction import Transaction, execute, first
from wire.bounds import MAX_NAME, clean_line


class AuditKind(StrEnum):
    """The kinds of audit rows.

    A kind is a past participle that says what happened, preceded by the object unless that is a session: `granted`,
    `pool-added`. It has at most 30 characters and is never renamed, because rows are kept for years. `core/audit/words`
    has its words for people.
    """

    # Sessions and their licences. The subject is the PBX user.
    GRANTED = "granted"
    DENIED = "denied"
    ENDED = "ended"
    """The detail holds an `EndCause`."""
    MOVED = "moved"
    """A session moved from one licence to another."""
    OFFERED = "offered"
    """A seat was offered to somebody on the waiting list."""
    OFFER_PASSED = "offer-passed"
    """The offer expired."""
    WAITING_ENDED = "waiting-ended"
    """A place on the waiting list ended, because what it rested on (trust, installation) ended."""
    IDENTITY_PINNED = "identity-pinned"
    """The PBX user was tied to a Teams identity; by e-mail, nobody else can sign in as this PBX user."""
    SIGN_IN_FAILED = "sign-in-failed"
    SIGN_IN_THROTTLED = "sign-in-throttled"

    # Licence keys and their pools. The subject is the serial.
    POOL_ADDED = "pool-added"
    POOL_CHANGED = "pool-changed"
    POOL_WITHDRAWN = "pool-withdrawn"
    POLICY_CHANGED = "policy-changed"
    EXPIRY_NOTIFIED = "expiry-told"
    KEY_RELEASED = "key-released"
    KEYS_REFUSED = "keys-refused"

    # Trust in Microsoft tenants. The subject is the tenant's id.
    TENANT_TRUSTED = "tenant-trusted"
    TENANT_DISTRUSTED = "tenant-distrusted"
    ENTRY_CHANGED = "entry-changed"
    PRIMARY_OVERRULED = "primary-overruled"
    """Another PBX became the tenant's main PBX, by a decision of somebody who speaks for the tenant."""
    ENTRY_APPROVED = "entry-approved"
    """The operator approved that this PBX lets the tenant's members sign in without a key."""
    APPROVAL_ENDED = "approval-ended"

    # The PBX's name, key and connector. The subject is the PBX's name.
    NAME_HANDED_OVER = "name-handed-over"
    CLAIM_REFUSED = "claim-refused"
    ENROLMENT_CODE_MADE = "enrolment-code-made"
    ENROLMENT_CODE_USED = "enrolment-code-used"
    ENROLMENT_CODE_REVOKED = "enrolment-code-revoked"
    PBX_KEY_RENEWED = "pbx-key-renewed"
    PBX_REMOVED = "pbx-removed"

    # Repairs that administrators asked of the connector. The subject is the PBX's name.
    UCI_RESTARTED = "uci-restarted"
    KEY_RENEWAL = "key-renewal"
    """A new PBX key was asked for: one row before the connector was asked, one with the outcome. That a new key is in
    force is said by `PBX_KEY_RENEWED`."""

    # What administrators looked at. The subject is the PBX's name.
    HOLDERS_EXPORTED = "holders-exported"
    AUDIT_EXPORTED = "audit-exported"
    EXAMINED = "examined"
    PACKAGE_OFFERED = "package-offered"
    """An administrator was given a link to a package."""

    ACT_REFUSED = "act-refused"
    """Somebody tried what only administrators may do, or only people who speak for a Microsoft tenant. The subject is
    the PBX's name."""

    # The audio advisor. The subject is the PBX user.
    CALL_HELP_ON = "call-help-on"
    CALL_HELP_OFF = "call-help-off"
    PROBE_PAIRED = "probe-paired"
    PROBE_UNPAIRED = "probe-unpaired"

    # The telephone. The subject is the PBX user.
    PHONE_ON = "phone-on"
    PHONE_OFF = "phone-off"


class ActorKind(StrEnum):
    """What kind of actor did something."""

    PERSON = "person"
    """A Teams user, identified by tenant and object id."""
    SYSTEM = "system"
    """The service itself: policies, expiry, changes that the PBX reported."""
    OPERATOR = "operator"
    """The operator, at the command line of the service."""
    CONNECTOR = "connector"
    """The PBX's own connector."""
    STRANGER = "stranger"
    """A connector of another identity; its name is the fingerprint of that identity."""
    SEVERAL = "several"
    """Several actors: the row counts what would otherwise be too many rows."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something. `name` is only for display; the ids are set only for a person."""

    kind: ActorKind
    name: str
    tenant_id: str | None = None
    object_id: str | None = None
    pbx_user_id: int | None = None
    """None while the person has not proven which PBX user they are."""

    @classmethod
    def person(cls, tenant_id: str, object_id: str, pbx_user_id: int | None, name: str) -> "Actor":
        """Make the actor for a Teams user. Normally called by `TeamsUser.acting_as` and `Session.actor`."""
        return cls(
            ActorKind.PERSON, clean_line(name, MAX_NAME) or object_id, tenant_id, object_id, pbx_user_id
        )

    @classmethod
    def stranger(cls, fingerprint: str) -> "Actor":
        return cls(ActorKind.STRANGER, fingerprint)


SYSTEM: Final = Actor(ActorKind.SYSTEM, "pbx-teams")
OPERATOR: Final = Actor(ActorKind.OPERATOR, "operator")
CONNECTOR: Final = Actor(ActorKind.CONNECTOR, "connector")

SEVERAL: Final = Actor(ActorKind.SEVERAL, "several")

NO_PBX: Final = ""
"""The `pbx_id` of rows about a PBX name that is still free."""

A_MINUTE: Final = timedelta(minutes=1)
AN_HOUR: Final = timedelta(hours=1)
SINGLY_PER_HOUR: Final = 60
"""How many rows of one kind strangers can cause at one PBX in an hour. Everything beyond is counted in one row per
hour."""
_HOUR_MS: Final = 3_600_000

AUDIT_COLUMNS: Final = (
    "at, pbx_id, kind, actor, subject, detail, pbx_user_id, pool_id, held_from,"
    " actor_kind, actor_tenant_id, actor_object_id, actor_pbx_user_id"
)
INSERT_AUDIT: Final = f"INSERT INTO audit ({AUDIT_COLUMNS})"
"""Start of an INSERT for the batched paths, which write audit rows in their own statements. See `audit_values`."""

_NAMES: Final = AUDIT_COLUMNS.split(", ")
INSERT_AUDIT_SQLITE: Final = f"{INSERT_AUDIT} VALUES ({', '.join('?' * len(_NAMES))})"
_INSERT_COUNTED: Final = (
    f"INSERT INTO audit ({AUDIT_COLUMNS}, times, coalesce_key)"  # noqa: S608
    f" VALUES ({', '.join(f'${i}' for i in range(1, len(_NAMES) + 3))})"
    " ON CONFLICT (coalesce_key) WHERE coalesce_key IS NOT NULL DO UPDATE SET times = audit.times + excluded.times"
)
_INSERT: Final = f"{INSERT_AUDIT} VALUES ({', '.join(f'${i}' for i in range(1, len(_NAMES) + 1))})"


def audit_values(
    at: int,
    pbx_id: str,
    kind: AuditKind,
    actor: Actor,
    subject: str,
    detail: str,
    pbx_user_id: int | None = None,
    pool_id: str | None = None,
    held_from: int | None = None,
) -> tuple[Any, ...]:
    """Return the values of a row in the order of `AUDIT_COLUMNS`.

    `at` and `held_from` are in milliseconds since the epoch; `detail` is JSON.
    """
    return (
        *(at, pbx_id, kind.value, actor.name, subject[:MAX_NAME], detail, pbx_user_id, pool_id, held_from),
        *(actor.kind.value, actor.tenant_id, actor.object_id, actor.pbx_user_id),
    )


def audit(
    pbx_id: str,
    kind: AuditKind,
    actor: Actor,
    subject: str,
    detail: Mapping[str, object],
    now: datetime,
    *,
    pbx_user_id: int | None = None,
    pool_id: str | None = None,
    held_from: int | None = None,
) -> Transaction[None]:
    """Insert one row, as part of a transaction.

    `pbx_user_id` is the user whom the row is about. `held_from` (milliseconds since the epoch) means that the row
    ends the holding of a seat of `pool_id`, which began at that moment.
    """
    text = json.dumps(detail)
    yield from execute(
        _INSERT,
        *audit_values(
            at=to_ms(now),
            pbx_id=pbx_id,
            kind=kind,
            actor=actor,
            subject=subject,
            detail=text,
            pbx_user_id=pbx_user_id,
            pool_id=pool_id,
            held_from=held_from,
        ),
    )


def count_audit(
    pbx_id: str,
    kind: AuditKind,
    actor: Actor,
    subject: str,
    detail: Mapping[str, object],
    now: datetime,
    *,
    what: str = "",
    within: timedelta = A_MINUTE,
    times: int = 1,
) -> Transaction[None]:
    """Like `audit`, for events that strangers or machines can cause as often as they like.

    Events with the same `what` by the same person, or the same kind of actor, are counted in one row per minute (or per
    `within`). At most `SINGLY_PER_HOUR` rows are written in an hour; further events are counted in one row.
    """
    at, text = to_ms(now), json.dumps(detail)
    span = at // (within // timedelta(milliseconds=1))
    key = _key(pbx_id, kind, actor.kind, actor.tenant_id, actor.object_id, what, span)
    if (yield from _increment(key, times)):
        return
    singly = yield from first(
        "SELECT count(*) AS n FROM audit WHERE pbx_id = $1 AND at > $2 AND kind = $3 AND coalesce_key IS NOT NULL",
        pbx_id,
        at - _HOUR_MS,
        kind.value,
    )
    if singly is not None and singly["n"] >= SINGLY_PER_HOUR:
        key = _key(pbx_id, kind, at // _HOUR_MS)
        if (yield from _increment(key, times)):
            return
        actor, text = SEVERAL, "{}"
    yield from execute(
        _INSERT_COUNTED,
        *audit_values(at=at, pbx_id=pbx_id, kind=kind, actor=actor, subject=subject, detail=text),
        times,
        key,
    )


def _increment(key: str, times: int) -> Transaction[bool]:
    found = yield from execute(
        "UPDATE audit SET times = times + $1 WHERE coalesce_key = $2 RETURNING id", times, key
    )
    return bool(found)


def _key(*parts: object) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=32).hexdigest()


async def add_audit(
    connection: AsyncConnection,
    pbx_id: str,
    kind: AuditKind,
    actor: Actor,
    subject: str,
    at: datetime,
    detail: Mapping[str, object] | None = None,
    *,
    pbx_user_id: int | None = None,
) -> None:
    """Insert one row, as part of a SQLAlchemy transaction."""
    values = audit_values(
        at=to_ms(at),
        pbx_id=pbx_id,
        kind=kind,
        actor=actor,
        subject=subject,
        detail=json.dumps(detail or {}),
        pbx_user_id=pbx_user_id,
    )
    await connection.execute(insert(_table).values(dict(zip(_NAMES, values, strict=True))))


_ACTOR_OF_CAUSE: Final = {"lost": CONNECTOR, "refused": CONNECTOR, "licence-lost": SYSTEM}
"""Who ended something of a person, by the cause in the detail. For other causes it is the person."""


async def add_session_audit(
    connection: AsyncConnection,
    of: ColumnElement[bool],
    kind: AuditKind,
    at: datetime,
    detail: Mapping[str, object],
) -> None:
    """Insert one row about the person of a session, at the session's PBX; without such a session, insert none.

    `of` selects the session. The connector or the service is the actor where the detail's cause says so.
    """
    row = (await connection.execute(select(_session).where(of))).one_or_none()
    if row is None:
        return
    person = Actor.person(
        tenant_id=row.tenant_id,
        object_id=row.object_id,
        pbx_user_id=row.pbx_user_id,
        name=row.teams_name or row.display_name,
    )
    await add_audit(
        connection=connection,
        pbx_id=row.pbx_id,
        kind=kind,
        actor=_ACTOR_OF_CAUSE.get(str(detail.get("cause")), person),
        subject=row.display_name,
        at=at,
        detail=detail,
        pbx_user_id=row.pbx_user_id,
    )


async def forget_audit(database: Database, before: datetime) -> int:
    """Delete the rows from before that moment; return how many."""
    return await delete_oldest_in_steps(database, _table, _table.c.at < to_ms(before))
