"""Grant, change and withdraw a PBX's trust in Microsoft tenants. Sessions that rest on withdrawn trust end."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.tenant_trust import PLAIN, Entry, Trust
from core.licensing.session import EndCause, Ending, Proof, Session
from core.licensing.transactions.proofs import check_installation
from core.licensing.transactions.sessions import end_all
from core.licensing.transactions.settling import settle
from core.licensing.transactions.steps import TransactionRefusedError, get_pbx_name, lock_pools
from core.licensing.transactions.waiting_list import end_waiting
from core.store.audit import Actor, AuditKind, audit
from core.store.timestamps import to_ms
from core.store.transaction import Transaction, count, execute, first

_RANK: Final = {Entry.WITH_KEY: 0, Entry.ONE_CLICK: 1, Entry.AUTOMATIC: 2}

_OF_TENANT: Final = f"tenant_id = $2 AND proof = '{Proof.EMAIL}'"
"""SQL condition: proven by an e-mail address of the tenant $2."""
_PROVEN: Final = f"pbx_id = $1 AND {_OF_TENANT}"


@dataclass(frozen=True, slots=True)
class TrustChange:
    """A request to change how far a PBX trusts a tenant."""

    pbx_id: str
    tenant_id: str
    trusted: bool
    entry: Entry | None
    """None: unchanged."""
    primary: bool | None
    """Whether this is the tenant's main PBX. None: unchanged."""
    actor: Actor
    speaks_for_tenant: bool
    now: datetime
    installation: int | None = None
    """The installation under which the actor is an administrator; None for the operator."""


@dataclass(frozen=True, slots=True)
class TrustChanged:
    ended: tuple[Session, ...] = ()
    """Sessions that rested on the trust and have ended."""
    overruled: str | None = None
    """Id of the PBX that was the tenant's main PBX until now."""


def change_trust(change: TrustChange) -> Transaction[TrustChanged]:
    """Grant, change or withdraw trust in a tenant. Idempotent: a request that changes nothing is not audited.

    Raises TransactionRefusedError when the PBX was handed over, when the actor may not decide this for the tenant, or
    when the tenant has another main PBX that the actor cannot overrule.
    """
    pbx_id, tenant_id = change.pbx_id, change.tenant_id
    yield from lock_pools(pbx_id)
    if change.installation is not None:
        yield from check_installation(pbx_id, change.installation, (yield from get_pbx_name(pbx_id)))
    row = yield from first(
        "SELECT entry, is_primary FROM trusted_tenant WHERE pbx_id = $1 AND tenant_id = $2 FOR UPDATE",
        pbx_id,
        tenant_id,
    )
    before = Trust(Entry(row["entry"]), bool(row["is_primary"])) if row is not None else None
    if not change.trusted:
        return (yield from _withdraw(change)) if before is not None else TrustChanged()
    known = before or PLAIN
    wanted = Trust(
        known.entry if change.entry is None else change.entry,
        known.is_primary if change.primary is None else change.primary,
    )
    if wanted == before:
        return TrustChanged()
    overruled = None
    if _RANK[wanted.entry] > _RANK[known.entry] or (wanted.is_primary and not known.is_primary):
        yield from _check_authority(change)
        if wanted.is_primary:
            overruled = yield from _overrule(change)
    yield from execute(
        "INSERT INTO trusted_tenant (pbx_id, tenant_id, trusted_by, at, entry, is_primary)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (pbx_id, tenant_id) DO UPDATE SET"
        " entry = excluded.entry, is_primary = excluded.is_primary",
        pbx_id,
        tenant_id,
        change.actor.name,
        to_ms(change.now),
        wanted.entry.value,
        wanted.is_primary,
    )
    if before is None:
        yield from audit(
            pbx_id=pbx_id,
            kind=AuditKind.TENANT_TRUSTED,
            actor=change.actor,
            subject=tenant_id,
            detail={},
            now=change.now,
        )
    if wanted != known:
        detail = {"entry": wanted.entry, "primary": wanted.is_primary}
        yield from audit(
            pbx_id=pbx_id,
            kind=AuditKind.ENTRY_CHANGED,
            actor=change.actor,
            subject=tenant_id,
            detail=detail,
            now=change.now,
        )
    return TrustChanged(overruled=overruled)


def approve_entry(
    pbx_id: str, tenant_id: str, actor: Actor, now: datetime, *, over_others: bool
) -> Transaction[str | None]:
    """Approve, as the operator on behalf of the tenant, that this PBX's administrators may let its members in without
    a key.

    With `over_others`, the tenant's present main PBX loses that role; return its id.
    """
    rows = yield from execute(
        "INSERT INTO tenant_approval (pbx_id, tenant_id, at) VALUES ($1, $2, $3)"
        " ON CONFLICT (pbx_id, tenant_id) DO NOTHING RETURNING pbx_id",
        pbx_id,
        tenant_id,
        to_ms(now),
    )
    if rows:
        yield from audit(
            pbx_id=pbx_id, kind=AuditKind.ENTRY_APPROVED, actor=actor, subject=tenant_id, detail={}, now=now
        )
    other = (yield from _other_primary(pbx_id, tenant_id)) if over_others else None
    if other is not None:
        yield from _end_primary(pbx_id=other, tenant_id=tenant_id, actor=actor, now=now)
    return other


def end_approval(pbx_id: str, tenant_id: str, actor: Actor, now: datetime) -> Transaction[bool]:
    """Withdraw the operator's approval; return whether there was one."""
    rows = yield from execute(
        "DELETE FROM tenant_approval WHERE pbx_id = $1 AND tenant_id = $2 RETURNING pbx_id", pbx_id, tenant_id
    )
    if rows:
        yield from audit(
            pbx_id=pbx_id, kind=AuditKind.APPROVAL_ENDED, actor=actor, subject=tenant_id, detail={}, now=now
        )
    return bool(rows)


def end_all_trust(pbx_id: str, actor: Actor, now: datetime) -> Transaction[tuple[str, ...]]:
    """End the PBX's trust in all tenants; return their ids, because the PBX is no longer offered to their members.

    The caller ends the sessions and the places on the waiting list.
    """
    trusted = yield from execute(
        "SELECT tenant_id FROM trusted_tenant WHERE pbx_id = $1 ORDER BY tenant_id FOR UPDATE", pbx_id
    )
    tenants = tuple(row["tenant_id"] for row in trusted)
    for tenant_id in tenants:
        of_tenant = (pbx_id, tenant_id)
        detail = {
            "ended": (yield from count(f"SELECT count(*) AS n FROM session WHERE {_PROVEN}", *of_tenant)),
            "waited": (yield from count(f"SELECT count(*) AS n FROM waiting WHERE {_PROVEN}", *of_tenant)),
        }
        yield from audit(
            pbx_id=pbx_id,
            kind=AuditKind.TENANT_DISTRUSTED,
            actor=actor,
            subject=tenant_id,
            detail=detail,
            now=now,
        )
    approved = yield from execute("SELECT tenant_id FROM tenant_approval WHERE pbx_id = $1", pbx_id)
    for row in approved:
        yield from audit(
            pbx_id=pbx_id,
            kind=AuditKind.APPROVAL_ENDED,
            actor=actor,
            subject=row["tenant_id"],
            detail={},
            now=now,
        )
    for table in ("trusted_tenant", "tenant_approval", "pinned_identity"):
        yield from execute(f"DELETE FROM {table} WHERE pbx_id = $1", pbx_id)
    return tenants


def _withdraw(change: TrustChange) -> Transaction[TrustChanged]:
    pbx_id, tenant_id = change.pbx_id, change.tenant_id
    of_tenant = (pbx_id, tenant_id)
    yield from execute("DELETE FROM trusted_tenant WHERE pbx_id = $1 AND tenant_id = $2", *of_tenant)
    yield from execute(f"DELETE FROM pinned_identity WHERE pbx_id = $1 AND {_OF_TENANT}", *of_tenant)
    ending = Ending(cause=EndCause.TRUST_WITHDRAWN, actor=change.actor, reason="", now=change.now)
    waited = yield from end_waiting(pbx_id, ending, _OF_TENANT, tenant_id)
    ended = yield from end_all(pbx_id, ending, _OF_TENANT, tenant_id)
    detail = {"ended": len(ended), "waited": waited}
    yield from audit(
        pbx_id=pbx_id,
        kind=AuditKind.TENANT_DISTRUSTED,
        actor=change.actor,
        subject=tenant_id,
        detail=detail,
        now=change.now,
    )
    yield from settle(pbx_id, change.now)
    return TrustChanged(ended)


def _check_authority(change: TrustChange) -> Transaction[None]:
    """Raise TransactionRefusedError when the actor may not let the tenant's members sign in without a key.

    That takes a person who speaks for the tenant, or the operator's approval in the tenant's place.
    """
    if change.speaks_for_tenant:
        return
    approval = yield from first(
        "SELECT at FROM tenant_approval WHERE pbx_id = $1 AND tenant_id = $2",
        change.pbx_id,
        change.tenant_id,
    )
    if approval is None:
        raise TransactionRefusedError(Finding(Code.TENANT_AUTHORITY_NEEDED))


def _overrule(change: TrustChange) -> Transaction[str | None]:
    """End another PBX's role as the tenant's main PBX, because a tenant has only one; return that PBX's id.

    Raises TransactionRefusedError when there is one and the actor does not speak for the tenant.
    """
    other = yield from _other_primary(change.pbx_id, change.tenant_id)
    if other is None:
        return None
    if not change.speaks_for_tenant:
        pbx_name = yield from get_pbx_name(other)
        raise TransactionRefusedError(Finding(Code.PRIMARY_ELSEWHERE, {"pbx_name": pbx_name}))
    # The tenant's own decision takes precedence over an earlier approval by the operator.
    yield from end_approval(pbx_id=other, tenant_id=change.tenant_id, actor=change.actor, now=change.now)
    yield from _end_primary(pbx_id=other, tenant_id=change.tenant_id, actor=change.actor, now=change.now)
    return other


def _other_primary(pbx_id: str, tenant_id: str) -> Transaction[str | None]:
    row = yield from first(
        "SELECT pbx_id FROM trusted_tenant WHERE tenant_id = $1 AND is_primary AND pbx_id <> $2 FOR UPDATE",
        tenant_id,
        pbx_id,
    )
    return row["pbx_id"] if row is not None else None


def _end_primary(pbx_id: str, tenant_id: str, actor: Actor, now: datetime) -> Transaction[None]:
    yield from execute(
        "UPDATE trusted_tenant SET is_primary = false WHERE pbx_id = $1 AND tenant_id = $2", pbx_id, tenant_id
    )
    yield from audit(
        pbx_id=pbx_id, kind=AuditKind.PRIMARY_OVERRULED, actor=actor, subject=tenant_id, detail={}, now=now
    )
