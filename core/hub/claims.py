"""The transactions of links: opening one, its status, its end, handing a name over, burying a replica.

Scripts of `core.store.script`: openings that wait at the same time are committed together, so that after a restart
ten thousand connectors do not wait for ten thousand commits.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from core.store.moments import new_id, to_ms
from core.store.script import Script, execute, first, marks
from wire.link import Hello, Status

MAX_REFUSED_CLAIMS: Final = 20
"""Identities kept as evidence for one name, newest first: a stranger cannot fill the table."""


class LinkEventKind(StrEnum):
    OPENED = "opened"
    CLOSED = "closed"
    STATUS = "status"
    HANDED_OVER = "handed-over"


@dataclass(frozen=True, slots=True)
class Claim:
    hello: Hello
    key_hmac: str
    previous_key_hmac: str | None
    address: str
    replica_id: str
    enrolment_required: bool
    enrolment_hash: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    pbx_id: str
    epoch: int
    previous_replica: str | None
    """Held the link before, and may not know yet that it holds it no longer."""


@dataclass(frozen=True, slots=True)
class BoundElsewhere:
    """Another identity owns the name."""

    pbx_id: str


@dataclass(frozen=True, slots=True)
class NotEnrolled:
    """The operator wants a code for a new name, and this was none."""


def claim(claim: Claim) -> Script[Claimed | BoundElsewhere | NotEnrolled]:
    hello, at = claim.hello, to_ms(claim.now)
    row = yield from first(
        "SELECT id, identity, link_epoch, link_closed_at, link_replica FROM pbx WHERE name = $1 FOR UPDATE",
        hello.pbx_name,
    )
    if row is not None and row["identity"] != hello.identity:
        yield from _keep_as_evidence(row["id"], claim)
        return BoundElsewhere(row["id"])
    if row is None and not (yield from _is_enrolled(claim)):
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
    )
    if row is None:
        pbx_id, epoch, before = new_id(), 1, None
        yield from execute(
            "INSERT INTO pbx (key_hmac, status, link_opened_at, link_replica, connector_version, sealing_key,"
            " sealing_signature, previous_key_hmac, previous_key_until, id, name, identity, claimed_at, link_epoch,"
            " refused_keys) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, '[]')",
            *(*facts, pbx_id, hello.pbx_name, hello.identity, at),
        )
    else:
        pbx_id, epoch = row["id"], row["link_epoch"] + 1
        before = row["link_replica"] if row["link_closed_at"] is None else None
        yield from execute(
            "UPDATE pbx SET key_hmac = $1, status = $2, link_opened_at = $3, link_replica = $4,"
            " connector_version = $5, sealing_key = $6, sealing_signature = $7, previous_key_hmac = $8,"
            " previous_key_until = $9, link_closed_at = NULL, link_epoch = $10 WHERE id = $11",
            *(*facts, epoch, pbx_id),
        )
    detail = {"address": claim.address, "version": hello.connector_version}
    yield from _event(pbx_id, LinkEventKind.OPENED, detail, at)
    return Claimed(pbx_id, epoch, before)


def report(pbx_id: str, epoch: int, status: Status, now: datetime) -> Script[None]:
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
        yield from _event(pbx_id, LinkEventKind.STATUS, detail, to_ms(now))


def closed(pbx_id: str, epoch: int, reason: str, now: datetime) -> Script[None]:
    rows = yield from execute(
        "UPDATE pbx SET link_closed_at = $1 WHERE id = $2 AND link_epoch = $3 AND link_closed_at IS NULL RETURNING id",
        *(to_ms(now), pbx_id, epoch),
    )
    if rows:
        yield from _event(pbx_id, LinkEventKind.CLOSED, {"reason": reason}, to_ms(now))


def hand_over(pbx_id: str, identity: str, actor: str, now: datetime) -> Script[int | None]:
    """Gives the new epoch; None when this identity has not tried the name. The old identity's link is closed by raising the epoch; the new one comes within its back-off."""
    row = yield from first("SELECT name, identity, link_epoch FROM pbx WHERE id = $1 FOR UPDATE", pbx_id)
    rows = yield from execute(
        "DELETE FROM refused_claim WHERE pbx_id = $1 AND identity = $2 RETURNING address", pbx_id, identity
    )
    if row is None or not rows:
        return None
    at = to_ms(now)
    # What the old identity left counts no longer: nobody seals a login to its key, nobody's old key is good.
    yield from execute(
        "UPDATE pbx SET identity = $1, link_epoch = link_epoch + 1, link_closed_at = $2, sealing_key = NULL,"
        " sealing_signature = NULL, previous_key_hmac = NULL, previous_key_until = NULL WHERE id = $3",
        *(identity, at, pbx_id),
    )
    detail = {"before": row["identity"], "after": identity, "address": rows[0]["address"]}
    yield from _event(pbx_id, LinkEventKind.HANDED_OVER, {"by": actor}, at)
    yield from execute(
        "INSERT INTO audit (at, pbx_id, kind, actor, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)",
        *(at, pbx_id, "name-handed-over", actor, row["name"], json.dumps(detail)),
    )
    return int(row["link_epoch"]) + 1


def bury(replica_id: str, beat: int, now: datetime) -> Script[Sequence[str] | None]:
    """A replica whose beat still stands there: its links are closed. Gives their PBXs; None when it lives after all."""
    gone = yield from execute(
        "DELETE FROM replica WHERE id = $1 AND beat = $2 RETURNING id", replica_id, beat
    )
    if not gone:
        return None
    return (yield from _close_links_of((replica_id,), now))


def bury_others(replica_id: str, now: datetime) -> Script[Sequence[str]]:
    """At the start of the only process: whoever else was here left without a word."""
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


def _close_links_of(replica_ids: Sequence[str], now: datetime) -> Script[Sequence[str]]:
    """The epoch is raised, so that a replica that was only slow writes nothing more about them."""
    at = to_ms(now)
    yield from execute(
        f"UPDATE audio_probe SET replica = NULL WHERE replica IN ({marks(replica_ids, 1)})",  # noqa: S608
        *replica_ids,
    )
    rows = yield from execute(
        "UPDATE pbx SET link_closed_at = $1, link_epoch = link_epoch + 1 WHERE link_closed_at IS NULL"  # noqa: S608
        f" AND link_replica IN ({marks(replica_ids, 2)}) RETURNING id",
        *(at, *replica_ids),
    )
    for row in rows:
        yield from _event(row["id"], LinkEventKind.CLOSED, {"reason": "replica-lost"}, at)
    return [row["id"] for row in rows]


def _keep_as_evidence(pbx_id: str, claim: Claim) -> Script[None]:
    hello, at = claim.hello, to_ms(claim.now)
    yield from execute(
        "INSERT INTO refused_claim (pbx_id, identity, address, connector_version, at) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (pbx_id, identity) DO UPDATE SET address = excluded.address,"
        " connector_version = excluded.connector_version, at = excluded.at",
        *(pbx_id, hello.identity, claim.address, hello.connector_version, at),
    )
    yield from execute(
        "DELETE FROM refused_claim WHERE pbx_id = $1 AND identity NOT IN (SELECT identity FROM refused_claim"  # noqa: S608
        f" WHERE pbx_id = $1 ORDER BY at DESC LIMIT {MAX_REFUSED_CLAIMS})",
        pbx_id,
    )


def _is_enrolled(claim: Claim) -> Script[bool]:
    """The code is good once."""
    if not claim.enrolment_required:
        return True
    row = yield from first(
        "SELECT code_hash, expires_at FROM enrolment WHERE pbx_name = $1 FOR UPDATE", claim.hello.pbx_name
    )
    if row is None or row["expires_at"] < to_ms(claim.now):
        return False
    if not hmac.compare_digest(row["code_hash"], claim.enrolment_hash):
        return False
    yield from execute("DELETE FROM enrolment WHERE pbx_name = $1", claim.hello.pbx_name)
    return True


def _condition(status: Status) -> tuple[object, ...]:
    return status.module_active, status.rest, status.uci


def _event(pbx_id: str, kind: LinkEventKind, detail: Mapping[str, Any], at: int) -> Script[None]:
    yield from execute(
        "INSERT INTO link_event (pbx_id, at, kind, detail) VALUES ($1, $2, $3, $4)",
        *(pbx_id, at, kind.value, json.dumps(detail)),
    )
