"""The transactions of links: opening one, its status, its end, handing a name over, evicting a replica.

Transactions of `core.store.transaction`: openings that wait at the same time are committed together, so that after a restart
ten thousand connectors do not wait for ten thousand commits.
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
"""Refused identities kept as evidence for one name and address: the first and the last, so that one host that knocks with
ever new identities pushes nobody out."""
ADDRESSES_PER_NAME: Final = 50
"""Addresses kept as evidence for one name. Those with several identities go first, then the one that was silent longest: an
installation that is refused tries again every minute."""
EVENTS_PER_HOUR: Final = 120
"""Rows of history for one PBX and hour; what comes after is only counted."""
HOUR_MS: Final = 3_600_000


NO_KEY: Final = "0" * 64
"""An HMAC that no key has: of a PBX whose key is not known."""


class LinkEventKind(StrEnum):
    OPENED = "opened"
    CLOSED = "closed"
    STATUS = "status"
    HANDED_OVER = "handed-over"
    OMITTED = "omitted"
    """How many more there were within the hour."""


@dataclass(frozen=True, slots=True)
class Claim:
    hello: Hello
    key_hmac: str
    previous_key_hmac: str | None
    address: str
    replica_id: str
    may_be_new: bool
    """A name that nobody has may be claimed without a code."""
    enrolment_hash: str | None
    """Of the code that came with it; None when there was none, or none may be tried now."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    pbx_id: str
    epoch: int
    previous_replica: str | None
    """Held the link before, and may not know yet that it holds it no longer."""
    is_new: bool = False
    """The name was free."""


@dataclass(frozen=True, slots=True)
class BoundElsewhere:
    """Another identity owns the name."""

    pbx_id: str


@dataclass(frozen=True, slots=True)
class NotEnrolled:
    """Nobody has the name, and this identity may not have it either: there was no good code, or it is no host name."""


def claim(claim: Claim) -> Transaction[Claimed | BoundElsewhere | NotEnrolled]:
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
    yield from execute(
        "INSERT INTO used_pbx (pbx_id, tenant_id, first_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        pbx_id,
        tenant_id,
        to_ms(now),
    )


def report(pbx_id: str, epoch: int, status: Status, now: datetime) -> Transaction[None]:
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


def closed(pbx_id: str, epoch: int, reason: str, now: datetime) -> Transaction[None]:
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
    """The part of a hand-over that is about the name and its link (`core.licensing.transactions.handing_over` has the whole). Gives the
    new epoch; None when this identity has not tried the name, or (`installation`) the name was handed over meanwhile.
    The old identity's link is closed by raising the epoch; the new one comes within its back-off.
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
    # What the old identity left counts no longer: nobody seals a login to its key, and neither of its PBX keys is good.
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
    # Behind the name is another installation now: people are warned again before they give it a password.
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
    """A replica whose beat still stands there: its links are closed. Gives their PBXs; None when it lives after all."""
    gone = yield from execute(
        "DELETE FROM replica WHERE id = $1 AND beat = $2 RETURNING id", replica_id, beat
    )
    if not gone:
        return None
    return (yield from _close_links_of((replica_id,), now))


def evict_others(replica_id: str, now: datetime) -> Transaction[Sequence[str]]:
    """At the start of the only process: every other replica left without saying so."""
    gone = yield from execute("DELETE FROM replica WHERE id <> $1 RETURNING id", replica_id)
    held = yield from execute(
        "SELECT DISTINCT link_replica FROM pbx WHERE link_closed_at IS NULL AND link_replica <> $1",
        replica_id,
    )
    replicas = {row["id"] for row in gone} | {row["link_replica"] for row in held}
    # A link of before there were replicas.
    yield from execute(
        "UPDATE pbx SET link_closed_at = $1 WHERE link_closed_at IS NULL AND link_replica IS NULL"
        " AND link_opened_at IS NOT NULL",
        to_ms(now),
    )
    return (yield from _close_links_of(sorted(replicas), now))


def _close_links_of(replica_ids: Sequence[str], now: datetime) -> Transaction[Sequence[str]]:
    """The epoch is raised, so that a replica that was only slow writes nothing more about them."""
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
    """Keeps as evidence that another identity has tried the name: it can be handed the name, see `hand_over`."""
    group, at = address_group(address), to_ms(now)
    owner = yield from first("SELECT identity, name FROM pbx WHERE id = $1 FOR UPDATE", pbx_id)
    if owner is None or owner["identity"] == identity:
        return  # removed or handed over meanwhile
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


def _is_enrolled(claim: Claim) -> Transaction[bool]:
    """The code is good once."""
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
    """Compares in constant time."""
    return hmac.compare_digest(stored_hash, given_hash) and to_ms(now) <= expires_at


def _condition(status: Status) -> tuple[object, ...]:
    return status.module_active, status.rest, status.uci


def _event(pbx_id: str, kind: LinkEventKind, detail: Mapping[str, Any], at: int) -> Transaction[None]:
    """Writes a row of history, or counts it where the hour has enough of them: a PBX cannot fill the table."""
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
