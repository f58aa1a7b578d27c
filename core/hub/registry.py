"""The PBXs that the service knows: who owns a name, which PBX key is valid, which replica holds the link.

Whatever a link writes carries its epoch and is ignored when a newer link exists.
"""

import functools
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import delete, func, select

from core.diagnosis.codes import LicenceReason
from core.diagnosis.rules import PbxFacts
from core.hub import claims
from core.hub.claims import NO_KEY, BoundElsewhere, Claimed, LinkEventKind, NotEnrolled
from core.store import tables
from core.store.audit import NO_PBX, OPERATOR, AuditKind, add_audit
from core.store.database import Database, upsert
from core.store.retention import delete_in_steps, delete_oldest_in_steps
from core.store.timestamps import from_ms, to_ms
from core.store.transaction import Row, Writer
from wire.link import Capability, Checked, Hello, NameState, Status

_pbx = tables.pbx.c

ENROLMENT_GOOD_FOR: Final = timedelta(days=7)
EVENTS_SHOWN: Final = 50
HOUR_MS: Final = 3_600_000
PBX_COLUMNS: Final = (
    "id, name, identity, installation, key_hmac, claimed_at, status, link_epoch, link_opened_at, link_closed_at,"
    " link_replica, connector_version, sealing_key, sealing_signature, capabilities, capabilities_signature,"
    " previous_key_hmac, previous_key_until, refused_keys"
)
REFUSED_CLAIM_AT: Final = "(SELECT max(at) FROM refused_claim WHERE refused_claim.pbx_id = pbx.id)"
_COLUMNS: Final = f"{PBX_COLUMNS}, {REFUSED_CLAIM_AT} AS refused_claim_at"


@dataclass(frozen=True, slots=True)
class Pbx:
    """A row of the table `pbx`."""

    id: str
    name: str
    identity: str
    installation: int
    """Number of the installation that owns the name; each hand-over raises it."""
    key_hmac: str
    claimed_at: datetime
    status_json: str | None
    link_epoch: int
    link_opened_at: datetime | None
    link_closed_at: datetime | None
    link_replica: str | None
    """The replica that holds the link or was the last to hold it."""
    connector_version: str | None
    sealing_key: str
    """Public key to which browsers seal logins. The connector that opened the last link signed it."""
    sealing_signature: str
    capabilities: Sequence[str]
    """Capabilities of that connector (`wire.link.Capability`); empty for a connector of the first version."""
    capabilities_signature: str | None
    previous_key_hmac: str | None
    previous_key_until: datetime | None
    refused_keys: Sequence[LicenceReason]
    """Why some licence keys of the connector were refused."""
    refused_claim_at: datetime | None
    """When another identity last tried the name."""

    @property
    def is_linked(self) -> bool:
        return self.link_opened_at is not None and self.link_closed_at is None

    @property
    def status(self) -> Status | None:
        """The status that the connector last reported."""
        return _status(self.status_json) if self.status_json else None

    @property
    def facts(self) -> PbxFacts:
        return PbxFacts(
            pbx_name=self.name,
            linked=self.is_linked,
            status=self.status,
            ever_linked=self.link_opened_at is not None,
            down_since=self.link_closed_at,
            refused_claim_at=self.refused_claim_at,
            seals_answers=self.seals_answers,
            connector_version=self.connector_version,
        )

    @property
    def seals_answers(self) -> bool:
        """Whether browsers seal the answer to the PBX's challenge, so that the service cannot read it."""
        return Capability.SEALED_ANSWERS in self.capabilities

    @property
    def takes_uci_password(self) -> bool:
        """Whether the connector can get a user's OAuth token for UCI."""
        return Capability.UCI_BY_PASSWORD in self.capabilities

    @property
    def has_telephone(self) -> bool:
        """Whether the connector supports the methods of `wire.phone`."""
        return Capability.TELEPHONE in self.capabilities

    @property
    def reports_phone_capabilities(self) -> bool:
        """Whether the connector reports what the PBX's telephone offers."""
        return self.has_telephone and Capability.PHONE_CAPABILITIES in self.capabilities

    @property
    def repairs(self) -> "RepairSupport":
        if Capability.REPAIRS_REFUSED in self.capabilities:
            return RepairSupport.REFUSED
        return RepairSupport.OFFERED if Capability.REPAIRS in self.capabilities else RepairSupport.UNKNOWN


class RepairSupport(StrEnum):
    """Whether a connector can be repaired from Teams (`wire.link.REPAIR_METHODS`)."""

    OFFERED = "offered"
    REFUSED = "refused"
    """Its owner does not permit it."""
    UNKNOWN = "unknown"
    """It is too old to know the methods, other than the doctor."""


class KeyMatch(StrEnum):
    CURRENT = "current"
    PREVIOUS = "previous"
    """The key before the last rotation, which is still valid."""


@dataclass(frozen=True, slots=True)
class RefusedClaim:
    """Another identity tried to claim a name. Only administrators of that PBX and the operator can see it."""

    identity: str
    address: str
    connector_version: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An enrolment code that has not been used yet."""

    pbx_name: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LinkEvent:
    at: datetime
    kind: LinkEventKind
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LinkHistory:
    refused_claims: Sequence[RefusedClaim]
    events: Sequence[LinkEvent]
    """Newest first."""
    links_per_hour: Sequence[tuple[datetime, int]]


class Registry:
    def __init__(
        self, database: Database, writer: Writer, key_pepper: bytes, *, enrolment_required: bool = True
    ) -> None:
        self._database = database
        self._writer = writer
        self._key_pepper = key_pepper
        self._enrolment_required = enrolment_required

    async def by_id(self, pbx_id: str) -> Pbx | None:
        row = await self._database.fetch_first(f"SELECT {_COLUMNS} FROM pbx WHERE id = $1", pbx_id)
        return to_pbx(row) if row is not None else None

    async def existing(self, pbx_id: str) -> Pbx:
        """Return the PBX with an id from a foreign key. Raises LookupError only if the database is inconsistent."""
        pbx = await self.by_id(pbx_id)
        if pbx is None:
            raise LookupError(pbx_id)
        return pbx

    async def by_name(self, name: str) -> Pbx | None:
        row = await self._database.fetch_first(f"SELECT {_COLUMNS} FROM pbx WHERE name = $1", name)
        return to_pbx(row) if row is not None else None

    def match_key(self, pbx: Pbx | None, key_digest: str, now: datetime) -> KeyMatch | None:
        """Return which of the PBX's keys this is, or None. Takes equally long without a PBX or a known key."""
        given = self._hmac(key_digest)
        current = hmac.compare_digest(pbx.key_hmac if pbx is not None else NO_KEY, given)
        before = pbx.previous_key_hmac if pbx is not None else None
        previous = hmac.compare_digest(before or NO_KEY, given)
        if pbx is None:
            return None
        if current:
            return KeyMatch.CURRENT
        until = pbx.previous_key_until
        return KeyMatch.PREVIOUS if previous and until is not None and now < until else None

    @property
    def writer(self) -> Writer:
        return self._writer

    @property
    def enrolment_required(self) -> bool:
        """Whether a free name can be claimed only with an enrolment code."""
        return self._enrolment_required

    async def claim(
        self,
        hello: Hello,
        address: str,
        replica_id: str,
        now: datetime,
        *,
        may_be_new: bool = True,
        may_try_code: bool = True,
    ) -> Claimed | BoundElsewhere | NotEnrolled:
        """NameClaim the name in a hello and open its link. The first identity that claims a name owns it.

        Raises the link's epoch. `may_be_new` and `may_try_code` say whether the rate limits (`Admission`) allow a new
        name without a code, and trying a code.
        """
        previous = hello.previous_key_digest
        claim = claims.NameClaim(
            hello=hello,
            key_hmac=self._hmac(hello.key_digest),
            previous_key_hmac=self._hmac(previous) if previous is not None else None,
            address=address,
            replica_id=replica_id,
            may_be_new=may_be_new and not self._enrolment_required,
            enrolment_hash=self._code_hash(hello) if may_try_code else None,
            now=now,
        )
        return await self._writer.run_small(lambda: claims.claim(claim))

    async def check(self, hello: Hello, now: datetime, *, may_try_code: bool = True) -> Checked:
        """Return how a hello would be answered.

        Only the name's own identity, or one with a valid code for a free name, learns anything about the name. All
        others get the same answer for every name.
        """
        pbx = await self.by_name(hello.pbx_name)
        given = self._code_hash(hello) if may_try_code else None
        is_enrolled = await self._is_enrolled(hello.pbx_name, given or NO_KEY, now)
        if pbx is not None and pbx.identity == hello.identity:
            match = self.match_key(pbx, hello.key_digest, now)
            return Checked(name=NameState.MINE, key_known=match is KeyMatch.CURRENT, linked=pbx.is_linked)
        if pbx is None and is_enrolled:
            state = NameState.FREE
        else:
            state = NameState.ENROLMENT_NEEDED if self._enrolment_required else NameState.NOT_BOUND
        return Checked(name=state, key_known=False, linked=False)

    async def note_refused_claim(self, pbx_id: str, hello: Hello, address: str, now: datetime) -> None:
        """Keep as evidence that this identity tried to claim a name that belongs to another."""
        await self._writer.run_small(
            lambda: claims.note_refused_claim(
                pbx_id=pbx_id,
                identity=hello.identity,
                address=address,
                version=hello.connector_version,
                now=now,
            )
        )

    async def is_used_by(self, pbx_id: str, tenant_id: str) -> bool:
        """Return whether members of that Microsoft tenant have signed in at this PBX before."""
        used = "SELECT pbx_id FROM used_pbx WHERE pbx_id = $1 AND tenant_id = $2"
        return await self._database.fetch_first(used, pbx_id, tenant_id) is not None

    async def mark_used(self, pbx_id: str, tenant_id: str, now: datetime) -> None:
        """Note that a member of that tenant has signed in at this PBX. Idempotent."""
        await self._writer.run_small(lambda: claims.mark_used(pbx_id, tenant_id, now))

    async def report(self, pbx_id: str, epoch: int, status: Status, now: datetime) -> None:
        """Store a link's status; silently ignore one with a stale epoch."""
        await self._writer.run_small(
            lambda: claims.report(pbx_id=pbx_id, epoch=epoch, status=status, now=now)
        )

    async def record_closed(self, pbx_id: str, epoch: int, reason: str, now: datetime) -> None:
        """Store that a link has ended; ignore an older link that closes late."""
        await self._writer.run_small(
            lambda: claims.record_closed(pbx_id=pbx_id, epoch=epoch, reason=reason, now=now)
        )

    async def list_held_links(self, replica_id: str) -> dict[str, int]:
        """Return the links that a replica holds according to the table: PBX id to epoch."""
        query = select(_pbx.id, _pbx.link_epoch).where(
            _pbx.link_replica == replica_id, _pbx.link_closed_at.is_(None)
        )
        async with self._database.reading() as connection:
            return {row.id: row.link_epoch for row in (await connection.execute(query)).all()}

    async def refused_claims(self, pbx_id: str) -> Sequence[RefusedClaim]:
        claim = tables.refused_claim.c
        query = select(tables.refused_claim).where(claim.pbx_id == pbx_id).order_by(claim.at.desc())
        async with self._database.reading() as connection:
            return [
                RefusedClaim(
                    identity=row.identity,
                    address=row.address,
                    connector_version=row.connector_version,
                    at=from_ms(row.at),
                )
                for row in (await connection.execute(query)).all()
            ]

    async def history(self, pbx_id: str, since: datetime) -> LinkHistory:
        """Return what happened to the link since then, and who else tried the name."""
        event = tables.link_event.c
        events = (
            select(tables.link_event)
            .where(event.pbx_id == pbx_id, event.at >= to_ms(since))
            .order_by(event.at.desc(), event.id.desc())
            .limit(EVENTS_SHOWN)
        )
        hour = event.at - event.at % HOUR_MS
        hours = (
            select(hour.label("hour"), func.count().label("links"))
            .where(event.pbx_id == pbx_id, event.at >= to_ms(since), event.kind == LinkEventKind.OPENED)
            .group_by(hour)
            .order_by(hour)
        )
        async with self._database.reading() as connection:
            happened = (await connection.execute(events)).all()
            counted = (await connection.execute(hours)).all()
        return LinkHistory(
            refused_claims=await self.refused_claims(pbx_id),
            events=[
                LinkEvent(from_ms(row.at), LinkEventKind(row.kind), json.loads(row.detail))
                for row in happened
            ],
            links_per_hour=[(from_ms(row.hour), row.links) for row in counted],
        )

    async def enrol(self, name: str, now: datetime) -> tuple[str, datetime]:
        """Create an enrolment code for a new name; return it with its expiry.

        One connector may use it once. A second code for the same name replaces the first. The code cannot be read
        again, because only its HMAC is stored.
        """
        code = secrets.token_hex(16)
        ends = now + ENROLMENT_GOOD_FOR
        values = {"code_hash": self._hmac(code), "expires_at": to_ms(ends)}
        async with self._database.writing() as connection:
            await connection.execute(
                upsert(connection, tables.enrolment)
                .values(pbx_name=name, **values)
                .on_conflict_do_update(index_elements=["pbx_name"], set_=values)
            )
            made = AuditKind.ENROLMENT_CODE_MADE
            until = {"until": ends.date().isoformat()}
            await add_audit(
                connection=connection,
                pbx_id=NO_PBX,
                kind=made,
                actor=OPERATOR,
                subject=name,
                at=now,
                detail=until,
            )
        return code, ends

    async def enrolments(self, now: datetime) -> Sequence[Enrolment]:
        """Return the codes that can still be used, sorted by name."""
        enrolment = tables.enrolment.c
        query = (
            select(tables.enrolment).where(enrolment.expires_at >= to_ms(now)).order_by(enrolment.pbx_name)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [Enrolment(row.pbx_name, from_ms(row.expires_at)) for row in rows]

    async def revoke_enrolment(self, name: str, now: datetime) -> bool:
        """Delete a name's enrolment code; return False when there was none."""
        query = delete(tables.enrolment).where(tables.enrolment.c.pbx_name == name)
        async with self._database.writing() as connection:
            if not (await connection.execute(query)).rowcount:
                return False
            await add_audit(
                connection=connection,
                pbx_id=NO_PBX,
                kind=AuditKind.ENROLMENT_CODE_REVOKED,
                actor=OPERATOR,
                subject=name,
                at=now,
            )
            return True

    async def forget_old(self, before: datetime) -> None:
        """Delete old rows: link history, codes that expired unused, and refused claims that were not repeated since."""
        old = to_ms(before)
        await delete_oldest_in_steps(self._database, tables.link_event, tables.link_event.c.at < old)
        await delete_in_steps(self._database, tables.enrolment, tables.enrolment.c.expires_at < old)
        await delete_in_steps(self._database, tables.refused_claim, tables.refused_claim.c.at < old)

    async def _is_enrolled(self, name: str, given_hash: str, now: datetime) -> bool:
        query = select(tables.enrolment).where(tables.enrolment.c.pbx_name == name)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return row is not None and claims.is_good_code(
            stored_hash=row.code_hash, expires_at=row.expires_at, given_hash=given_hash, now=now
        )

    def _code_hash(self, hello: Hello) -> str | None:
        return self._hmac(hello.enrolment_code) if hello.enrolment_code else None

    def _hmac(self, secret: str) -> str:
        return hmac.new(self._key_pepper, secret.encode("utf-8"), hashlib.sha256).hexdigest()


@functools.lru_cache(maxsize=4096)
def _status(text: str) -> Status:
    return Status.model_validate_json(text)


@functools.lru_cache(maxsize=4096)
def _capabilities(text: str) -> Sequence[str]:
    return tuple(json.loads(text))


@functools.lru_cache(maxsize=4096)
def _reasons(text: str) -> Sequence[LicenceReason]:
    return tuple(LicenceReason(reason) for reason in json.loads(text))


def to_pbx(row: Row) -> Pbx:
    """Make a PBX from a row with `PBX_COLUMNS`, and `REFUSED_CLAIM_AT` as `refused_claim_at`."""
    return Pbx(
        id=row["id"],
        name=row["name"],
        identity=row["identity"],
        installation=row["installation"],
        key_hmac=row["key_hmac"],
        claimed_at=from_ms(row["claimed_at"]),
        status_json=row["status"],
        link_epoch=row["link_epoch"],
        link_opened_at=_moment(row["link_opened_at"]),
        link_closed_at=_moment(row["link_closed_at"]),
        link_replica=row["link_replica"],
        connector_version=row["connector_version"],
        sealing_key=row["sealing_key"] or "",
        sealing_signature=row["sealing_signature"] or "",
        capabilities=_capabilities(row["capabilities"]),
        capabilities_signature=row["capabilities_signature"],
        previous_key_hmac=row["previous_key_hmac"],
        previous_key_until=_moment(row["previous_key_until"]),
        refused_keys=_reasons(row["refused_keys"]),
        refused_claim_at=_moment(row["refused_claim_at"]),
    )


def _moment(value: int | None) -> datetime | None:
    return from_ms(value) if value is not None else None
