"""The audit: what happened at a PBX, who did it, and the one place that writes its rows.

An actor is told by ids, never by a name: a name is what somebody chose. The service itself, the operator and the
connectors act under an `ActorKind` of their own, which no name can take on.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.store.database import Database
from core.store.retention import delete_oldest_in_steps
from core.store.tables import audit as _table
from core.store.timestamps import to_ms
from core.store.transaction import Transaction, execute, first
from wire.bounds import MAX_NAME, clean_line


class AuditKind(StrEnum):
    """Every kind of row. Each is what happened, as a past participle, preceded by what it happened to where that is not
    a session: `granted`, `pool-added`. At most 30 characters; a kind is never renamed, because rows are kept for years.
    `core/audit/words` holds the words for each.
    """

    # Sessions and their licences. The subject is the PBX user.
    GRANTED = "granted"
    DENIED = "denied"
    ENDED = "ended"
    """The detail holds an `EndCause`."""
    MOVED = "moved"
    """From one licence to another."""
    OFFERED = "offered"
    """A seat to somebody who waits."""
    OFFER_PASSED = "offer-passed"
    WAITING_ENDED = "waiting-ended"
    """A place on the waiting list, together with what had proven its holder."""
    IDENTITY_PINNED = "identity-pinned"
    """From now on this PBX user is that Teams identity, and nobody else by e-mail."""
    SIGN_IN_FAILED = "sign-in-failed"
    SIGN_IN_THROTTLED = "sign-in-throttled"

    # Licence keys and their pools. The subject is the serial.
    POOL_ADDED = "pool-added"
    POOL_CHANGED = "pool-changed"
    POOL_WITHDRAWN = "pool-withdrawn"
    POLICY_CHANGED = "policy-changed"
    EXPIRY_TOLD = "expiry-told"
    KEY_RELEASED = "key-released"
    KEYS_REFUSED = "keys-refused"

    # Trust in Microsoft tenants. The subject is the tenant's id.
    TENANT_TRUSTED = "tenant-trusted"
    TENANT_DISTRUSTED = "tenant-distrusted"
    ENTRY_CHANGED = "entry-changed"
    PRIMARY_OVERRULED = "primary-overruled"
    """Another PBX became the main one of the tenant, by the word of somebody who speaks for it."""
    ENTRY_APPROVED = "entry-approved"
    """The operator has let this PBX offer itself to the tenant's people."""
    APPROVAL_ENDED = "approval-ended"

    # The PBX's name, key and connector. The subject is the PBX's name.
    NAME_HANDED_OVER = "name-handed-over"
    CLAIM_REFUSED = "claim-refused"
    ENROLMENT_CODE_MADE = "enrolment-code-made"
    ENROLMENT_CODE_USED = "enrolment-code-used"
    ENROLMENT_CODE_REVOKED = "enrolment-code-revoked"
    PBX_KEY_RENEWED = "pbx-key-renewed"
    PBX_REMOVED = "pbx-removed"

    # What administrators looked at. The subject is the PBX's name.
    HOLDERS_EXPORTED = "holders-exported"
    AUDIT_EXPORTED = "audit-exported"
    EXAMINED = "examined"

    ACT_REFUSED = "act-refused"
    """Somebody wanted what is for administrators, or for anyone who speaks for a Microsoft tenant. The subject is the PBX's
    name.
    """

    # The audio advisor. The subject is the PBX user.
    CALL_HELP_ON = "call-help-on"
    CALL_HELP_OFF = "call-help-off"
    PROBE_PAIRED = "probe-paired"
    PROBE_UNPAIRED = "probe-unpaired"

    # The telephone. The subject is the PBX user.
    PHONE_ON = "phone-on"
    PHONE_OFF = "phone-off"


class ActorKind(StrEnum):
    PERSON = "person"
    """A Teams user: tenant and object id say who."""
    SYSTEM = "system"
    """The service itself: policies, expiry, what the PBX said of its users."""
    OPERATOR = "operator"
    """At the command line of the service."""
    CONNECTOR = "connector"
    """The PBX's own."""
    STRANGER = "stranger"
    """A connector that is not the PBX's own; its name is the fingerprint of its identity."""
    SEVERAL = "several"
    """Of one row that stands for more people or connectors than are told singly."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something. `name` is text to show; ids are set for a person alone."""

    kind: ActorKind
    name: str
    tenant_id: str | None = None
    object_id: str | None = None
    pbx_user_id: int | None = None
    """None while it is not proven which PBX user the person is."""

    @classmethod
    def person(cls, tenant_id: str, object_id: str, pbx_user_id: int | None, name: str) -> "Actor":
        """Usually made by `TeamsUser.acting_as` or `Session.actor`."""
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
"""The `pbx_id` of rows about a name that no PBX has yet."""

A_MINUTE: Final = timedelta(minutes=1)
AN_HOUR: Final = timedelta(hours=1)
SINGLY_PER_HOUR: Final = 60
"""Rows of one kind that strangers can cause at one PBX; what goes beyond is counted in one row for each hour."""
_HOUR_MS: Final = 3_600_000

AUDIT_COLUMNS: Final = (
    "at, pbx_id, kind, actor, subject, detail, pbx_user_id, pool_id, held_from,"
    " actor_kind, actor_tenant_id, actor_object_id, actor_pbx_user_id"
)
INSERT_AUDIT: Final = f"INSERT INTO audit ({AUDIT_COLUMNS})"
"""For the batched paths, which write audit rows in statements of their own; the values are `audit_values`."""

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
    """In the order of `AUDIT_COLUMNS`; moments in milliseconds, the detail as JSON."""
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
    """Inserts one row, within a transaction. `pbx_user_id`: whom it is about; `held_from`: it ends the holding of a seat of
    `pool_id`, which began then (milliseconds).
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
    """As `audit`, for what strangers or machines cause as often as they like: the same `what` of the same person or kind
    of actor is counted in one row for each minute (`within`), and no more than `SINGLY_PER_HOUR` rows are written.
    """
    at, text = to_ms(now), json.dumps(detail)
    span = at // (within // timedelta(milliseconds=1))
    key = _key(pbx_id, kind, actor.kind, actor.tenant_id, actor.object_id, what, span)
    if (yield from _counted_again(key, times)):
        return
    singly = yield from first(
        "SELECT count(*) AS n FROM audit WHERE pbx_id = $1 AND at > $2 AND kind = $3 AND coalesce_key IS NOT NULL",
        pbx_id,
        at - _HOUR_MS,
        kind.value,
    )
    if singly is not None and singly["n"] >= SINGLY_PER_HOUR:
        key = _key(pbx_id, kind, at // _HOUR_MS)
        if (yield from _counted_again(key, times)):
            return
        actor, text = SEVERAL, "{}"
    yield from execute(
        _INSERT_COUNTED,
        *audit_values(at=at, pbx_id=pbx_id, kind=kind, actor=actor, subject=subject, detail=text),
        times,
        key,
    )


def _counted_again(key: str, times: int) -> Transaction[bool]:
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
    """One row, in a transaction of SQLAlchemy."""
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


async def forget_audit(database: Database, before: datetime) -> int:
    """Deletes the rows that are older than they are kept; gives how many."""
    return await delete_oldest_in_steps(database, _table, _table.c.at < to_ms(before))
