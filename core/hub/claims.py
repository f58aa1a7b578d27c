"""Transactions for links: open and close one, store its status, hand a name over, evict a replica.

They are transactions of `core.store.transaction`, so that handshakes that wait at the same time share a commit. After a
restart, ten thousand connectors do not wait for ten thousand commits.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from core.budget import address_group
from core.store.audit import AN_HOUR, CONNECTOR, Actor, AuditKind, audit, count_audit
from core.store.timestamps import new_id, to_ms
from core.store.transaction import Transaction, execute, first, placeholders
from wire.link import Hello, Status, fingerprint
from wire.pbx_name import is_host_name

IDENTITIES_PER_ADDRESS: Final = 2
"""How many refused identities are kept as evidence for one name and address: the first and the latest. A host that
tries with ever new identities cannot push out the evidence about others."""
ADDRESSES_PER_NAME: Final = 50
"""How many addresses are kept as evidence for one name. Addresses with several identities are dropped first, then the
one that has been silent longest: a refused installation tries again every minute."""
EVENTS_PER_HOUR: Final = 120
"""How many events of one PBX are stored in an hour; further events are only counted."""
HOUR_MS: Final = 3_600_000


NO_KEY: Final = "0" * 64
"""An HMAC that matches no key, for a PBX whose key is unknown."""


class LinkEventKind(StrEnum):
    """What happened to a PBX's link."""

    OPENED = "opened"
    CLOSED = "closed"
    STATUS = "status"
    HANDED_OVER = "handed-over"
    OMITTED = "omitted"
    """Stands for further events within the hour; the detail holds their number."""


@dataclass(frozen=True, slots=True)
class NameClaim:
    """A connector's request to open a link for a PBX name."""

    hello: Hello
    key_hmac: str
    previous_key_hmac: str | None
    address: str
    replica_id: str
    may_be_new: bool
    """Whether a free name may be claimed without a code."""
    enrolment_hash: str | None
    """HMAC of the enrolment code in the hello. None: there was no code, or no code may be tried now."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    pbx_id: str
    epoch: int
    previous_replica: str | None
    """The replica that held the link until now and may not know yet that it was replaced; None: no link was open."""
    is_new: bool = False
    """Whether the name was free before."""


@dataclass(frozen=True, slots=True)
class BoundElsewhere:
    """Another identity owns the name."""

    pbx_id: str


@dataclass(frozen=True, slots=True)
class NotEnrolled:
    """The name is free, but this identity may not claim it: there is no valid code, or the name is not a host name."""


def claim(claim: NameClaim) -> Transaction[Claimed | BoundElsewhere | NotEnrolled]:
    """NameClaim a PBX name for an identity and open its link; the epoch rises with each link."""
    hello, at = claim.hello, to_ms(claim.now)
    row = yield from first(
        "SELECT id, identity, key_hmac, link_epoch, link_closed_at, link_replica FROM pbx WHERE name = $1 FOR UPDATE",
        hello.pbx_name,
    )
    if row is not None and row["identity"] != hello.identity:
        return BoundElsewhere(row["id"])
    is_enrolled = row is None and is_host_name(hello.pbx_name) and (yield from _is_enrolled(claim))
    if row is None and not (is_enrolled or (claim.may_be_new and is_host_name(hello.pbx_name))):
        return NotEnrolled()
    until = hello.previous_key_until
    facts = (
        claim.key_hmac,
        hello.status.model_dump_json(by_alias=True),
        at,
        claim.replica_id,
        hello.connector_version,
        hello.sealing_key,
        hello.sealing_signature,
        claim.previous_key_hmac,
        to_ms(until) if until is not None else None,
        json.dumps(hello.capabilities or ()),
        hello.capabilities_signature,
    )
    if row is None:
        pbx_id, epoch, before = new_id(), 1, None
        yield from execute(
            "INSERT INTO pbx (key_hmac, status, link_opened_at, link_replica, connector_version, sealing_key,"
            " sealing_signature, previous_key_hmac, previous_key_until, capabilities, capabilities_signature, id, name,"
            " identity, claimed_at, link_epoch, refused_keys)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1, '[]')",
            *facts,
            pbx_id,
            hello.pbx_name,
            hello.identity,
            at,
        )
    else:
        pbx_id, epoch = row["id"], row["link_epoch"] + 1
        before = row["link_replica"] if row["link_closed_at"] is None else None
        yield from execute(
            "UPDATE pbx SET key_hmac = $1, status = $2, link_opened_at = $3, link_replica = $4,"
            " connector_version = $5, sealing_key = $6, sealing_signature = $7, previous_key_hmac = $8,"
            " previous_key_until = $9, capabilities = $10, capabilities_signature = $11, link_closed_at = NULL,"
            " link_epoch = $12 WHERE id = $13",
            *facts,
            epoch,
            pbx_id,
        )
        if row["key_hmac"] != claim.key_hmac:
            kept = {"previous": "kept" if claim.previous_key_hmac is not None else "none"}
            yield from count_audit(
                pbx_id=pbx_id,
                kind=AuditKind.PBX_KEY_RENEWED,
                actor=CONNECTOR,
                subject=hello.pbx_name,
                detail=kept,
                now=claim.now,
                within=AN_HOUR,
            )
    detail = {"address": claim.address, "version": hello.connector_version}
    if is_enrolled:
        kind = AuditKind.ENROLMENT_CODE_USED
        yield from audit(
            pbx_id=pbx_id,
            kind=kind,
            actor=CONNECTOR,
            subject=hello.pbx_name,
            detail={"address": claim.address},
            now=claim.now,
        )
    yield from _event(pbx_id=pbx_id, kind=LinkEventKind.OPENED, detail=detail, at=at)
    return Claimed(pbx_id, epoch, before, is_new=row is None)


def mark_used(pbx_id: str, tenant_id: str, now: datetime) -> Transaction[None]:
    """Note that members of the tenant have signed in at the PBX. Idempotent."""
    yield from execute(
        "INSERT INTO used_pbx (pbx_id, tenant_id, first_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        pbx_id,
        tenant_id,
        to_ms(now),
    )


def report(pbx_id: str, epoch: int, status: Status, now: datetime) -> Transaction[None]:
    """Store the status that a link reports; ignore it when a newer link has replaced that link."""
    row = yield from first("SELECT link_epoch, status FROM pbx WHERE id = $1 FOR UPDATE", pbx_id)
    if row is None or row["link_epoch"] != epoch:
        return
    text = status.model_dump_json(by_alias=True)
    if text == row["status"]:
        return
    yield from execute("UPDATE pbx SET status = $1 WHERE id = $2", text, pbx_id)
    before = Status.model_validate_json(row["status"]) if row["status"] else None
    if before is None or _condition(before) != _condition(status):
        detail = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        yield from _event(pbx_id=pbx_id, kind=LinkEventKind.STATUS, detail=detail, at=to_ms(now))


def record_closed(pbx_id: str, epoch: int, reason: str, now: datetime) -> Transaction[None]:
    """Store the end of a link; ignore it when a newer link has replaced that link."""
    rows = yield from execute(
        "UPDATE pbx SET link_closed_at = $1 WHERE id = $2 AND link_epoch = $3 AND link_closed_at IS NULL RETURNING id",
        to_ms(now),
        pbx_id,
        epoch,
    )
    if rows:
        yield from _event(pbx_id=pbx_id, kind=LinkEventKind.CLOSED, detail={"reason": reason}, at=to_ms(now))


def hand_over(
    pbx_id: str, identity: str, actor: Actor, now: datetime, installation: int | None
) -> Transaction[int | None]:
    """Give a PBX name to another identity; return the new epoch.

    This is the part of a hand-over that concerns the name and its link; `core.licensing.transactions.handing_over`
    does the rest. Return None when that identity has never claimed the name, or when `installation` is no longer the
    PBX's installation. Raising the epoch closes the old identity's link; the new connector links with its next
    attempt.
    """
    row = yield from first(
        "SELECT name, identity, link_epoch, installation FROM pbx WHERE id = $1 FOR UPDATE", pbx_id
    )
    if row is None or installation not in (None, row["installation"]):
        return None
    rows = yield from execute(
        "DELETE FROM refused_claim WHERE pbx_id = $1 AND identity = $2 RETURNING address", pbx_id, identity
    )
    if not rows:
        return None
    at = to_ms(now)
    # Nothing of the old identity stays valid: nobody seals a login to its key, and both of its PBX keys stop working.
    yield from execute(
        "UPDATE pbx SET identity = $1, installation = installation + 1, claimed_at = $2, link_epoch = link_epoch + 1,"
        " link_closed_at = $2, key_hmac = $3, sealing_key = NULL, sealing_signature = NULL, previous_key_hmac = NULL,"
        " previous_key_until = NULL, status = NULL, connector_version = NULL, refused_keys = '[]',"
        " capabilities = '[]', capabilities_signature = NULL WHERE id = $4",
        identity,
        at,
        NO_KEY,
        pbx_id,
    )
    # Another installation is behind the name now: people are warned again before they give it a password.
    yield from execute("DELETE FROM used_pbx WHERE pbx_id = $1", pbx_id)
    detail = {"before": row["identity"], "after": identity, "address": rows[0]["address"]}
    yield from _event(pbx_id=pbx_id, kind=LinkEventKind.HANDED_OVER, detail={"by": actor.name}, at=at)
    yield from audit(
        pbx_id=pbx_id,
        kind=AuditKind.NAME_HANDED_OVER,
        actor=actor,
        subject=row["name"],
        detail=detail,
        now=now,
    )
    return int(row["link_epoch"]) + 1


def evict(replica_id: str, beat: int, now: datetime) -> Transaction[Sequence[str] | None]:
    """Evict a replica and close its links, if its heartbeat counter is still `beat`.

    Return the ids of the PBXs whose links were closed, or None when the counter has moved: the replica is alive.
    """
    gone = yield from execute(
        "DELETE FROM replica WHERE id = $1 AND beat = $2 RETURNING id", replica_id, beat
    )
    if not gone:
        return None
    return (yield from _close_links_of((replica_id,), now))


def evict_others(replica_id: str, now: datetime) -> Transaction[Sequence[str]]:
    """Evict all other replicas. For the start of the only process: the others ended without leaving properly.

    Return the ids of the PBXs whose links were closed.
    """
    gone = yield from execute("DELETE FROM replica WHERE id <> $1 RETURNING id", replica_id)
    held = yield from execute(
        "SELECT DISTINCT link_replica FROM pbx WHERE link_closed_at IS NULL AND link_replica <> $1",
        replica_id,
    )
    replicas = {row["id"] for row in gone} | {row["link_replica"] for row in held}
    # Links that were opened by a version without replicas.
    yield from execute(
        "UPDATE pbx SET link_closed_at = $1 WHERE link_closed_at IS NULL AND link_replica IS NULL"
        " AND link_opened_at IS NOT NULL",
        to_ms(now),
    )
    return (yield from _close_links_of(sorted(replicas), now))


def _close_links_of(replica_ids: Sequence[str], now: datetime) -> Transaction[Sequence[str]]:
    """Close the links of these replicas; return their PBX ids.

    The epoch rises, so that a replica that was only slow can no longer write anything about these links.
    """
    at = to_ms(now)
    yield from execute(
        f"UPDATE audio_probe SET replica = NULL WHERE replica IN ({placeholders(replica_ids, 1)})",  # noqa: S608
        *replica_ids,
    )
    rows = yield from execute(
        "UPDATE pbx SET link_closed_at = $1, link_epoch = link_epoch + 1 WHERE link_closed_at IS NULL"  # noqa: S608
        f" AND link_replica IN ({placeholders(replica_ids, 2)}) RETURNING id",
        at,
        *replica_ids,
    )
    for row in rows:
        yield from _event(
            pbx_id=row["id"], kind=LinkEventKind.CLOSED, detail={"reason": "replica-lost"}, at=at
        )
    return [row["id"] for row in rows]


def note_refused_claim(
    pbx_id: str, identity: str, address: str, version: str, now: datetime
) -> Transaction[None]:
    """Keep as evidence that another identity claimed the name. It makes a hand-over to that identity possible."""
    group, at = address_group(address), to_ms(now)
    owner = yield from first("SELECT identity, name FROM pbx WHERE id = $1 FOR UPDATE", pbx_id)
    if owner is None or owner["identity"] == identity:
        return  # removed or handed over in the meantime
    yield from count_audit(
        pbx_id=pbx_id,
        kind=AuditKind.CLAIM_REFUSED,
        actor=Actor.stranger(fingerprint(identity)),
        subject=owner["name"],
        detail={"address": address[:64], "version": version},
        now=now,
        what=group,
        within=AN_HOUR,
    )
    known = yield from execute(
        "UPDATE refused_claim SET address = $1, address_group = $2, connector_version = $3, at = $4"
        " WHERE pbx_id = $5 AND identity = $6 RETURNING identity",
        address[:64],
        group,
        version,
        at,
        pbx_id,
        identity,
    )
    if known:
        return
    yield from execute(
        "DELETE FROM refused_claim WHERE pbx_id = $1 AND address_group = $2 AND identity NOT IN (SELECT identity"  # noqa: S608
        " FROM refused_claim WHERE pbx_id = $1 AND address_group = $2"
        f" ORDER BY first_at, identity LIMIT {IDENTITIES_PER_ADDRESS - 1})",
        pbx_id,
        group,
    )
    yield from execute(
        "INSERT INTO refused_claim (pbx_id, identity, address, address_group, connector_version, first_at, at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (pbx_id, identity) DO NOTHING",
        pbx_id,
        identity,
        address[:64],
        group,
        version,
        at,
    )
    yield from execute(
        "DELETE FROM refused_claim WHERE pbx_id = $1 AND address_group IN (SELECT address_group FROM refused_claim"  # noqa: S608
        " WHERE pbx_id = $1 AND address_group <> $2 GROUP BY address_group"
        f" ORDER BY count(*), max(at) DESC LIMIT {ADDRESSES_PER_NAME} OFFSET {ADDRESSES_PER_NAME - 1})",
        pbx_id,
        group,
    )


def _is_enrolled(claim: NameClaim) -> Transaction[bool]:
    """Return whether the claim has a valid enrolment code, and use the code up."""
    name = claim.hello.pbx_name
    if claim.enrolment_hash is not None:
        row = yield from first(
            "SELECT code_hash, expires_at FROM enrolment WHERE pbx_name = $1 FOR UPDATE", name
        )
        if row is not None and is_good_code(
            stored_hash=row["code_hash"],
            expires_at=row["expires_at"],
            given_hash=claim.enrolment_hash,
            now=claim.now,
        ):
            yield from execute("DELETE FROM enrolment WHERE pbx_name = $1", name)
            return True
    return False


def is_good_code(stored_hash: str, expires_at: int, given_hash: str, now: datetime) -> bool:
    """Return whether the code is right and has not expired. The comparison takes constant time."""
    return hmac.compare_digest(stored_hash, given_hash) and to_ms(now) <= expires_at


def _condition(status: Status) -> tuple[object, ...]:
    """Return the part of a status whose change is an event."""
    return status.module_active, status.rest, status.uci


def _event(pbx_id: str, kind: LinkEventKind, detail: Mapping[str, Any], at: int) -> Transaction[None]:
    """Store an event, or only count it when the hour already has enough, so that a PBX cannot fill the table."""
    written = yield from execute(
        "INSERT INTO link_event (pbx_id, at, kind, detail) SELECT $1, $2, $3, $4 WHERE (SELECT count(*)"  # noqa: S608
        f" FROM link_event WHERE pbx_id = $5 AND at > $6) < {EVENTS_PER_HOUR} RETURNING id",
        pbx_id,
        at,
        kind.value,
        json.dumps(detail),
        pbx_id,
        at - HOUR_MS,
    )
    if written:
        return
    more = yield from first(
        "SELECT id, detail FROM link_event WHERE pbx_id = $1 AND kind = $2 AND at > $3 ORDER BY id DESC LIMIT 1",
        pbx_id,
        LinkEventKind.OMITTED.value,
        at - HOUR_MS,
    )
    if more is None:
        yield from execute(
            "INSERT INTO link_event (pbx_id, at, kind, detail) VALUES ($1, $2, $3, $4)",
            pbx_id,
            at,
            LinkEventKind.OMITTED.value,
            json.dumps({"count": 1}),
        )
        return
    count = json.loads(more["detail"])["count"] + 1
    yield from execute(
        "UPDATE link_event SET detail = $1 WHERE id = $2", json.dumps({"count": count}), more["id"]
    )
