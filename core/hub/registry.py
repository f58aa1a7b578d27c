"""The PBXs the service knows: who owns a name, which key is right, who holds the link.

Whatever the owner of a link writes carries the link's epoch and is refused when it is stale.
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

from sqlalchemy import Row, Select, delete, func, select

from core.diagnosis.codes import LicenceReason
from core.diagnosis.rules import PbxFacts
from core.hub import claims
from core.hub.claims import BoundElsewhere, Claimed, LinkEventKind, NotEnrolled
from core.store import tables
from core.store.database import Database, upsert
from core.store.moments import from_ms, to_ms
from core.store.script import Writer
from wire.link import Checked, Hello, NameState, Status

_pbx = tables.pbx.c

_NOBODY: Final = "0" * 64
"""Compared with when the name is unknown, so that an unknown name takes as long as a wrong key."""
ENROLMENT_GOOD_FOR: Final = timedelta(days=7)
EVENTS_SHOWN: Final = 50
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Pbx:
    id: str
    name: str
    identity: str
    key_hmac: str
    claimed_at: datetime
    status_json: str | None
    link_epoch: int
    link_opened_at: datetime | None
    link_closed_at: datetime | None
    link_replica: str | None
    """The replica that holds the link, or held it last."""
    connector_version: str | None
    sealing_key: str
    """Of the connector that opened the link last, vouched for by the signature."""
    sealing_signature: str
    previous_key_hmac: str | None
    previous_key_until: datetime | None
    refused_keys: Sequence[LicenceReason]
    """Why licence keys of the connector make no pool."""
    refused_claim_at: datetime | None

    @property
    def is_linked(self) -> bool:
        return self.link_opened_at is not None and self.link_closed_at is None

    @property
    def status(self) -> Status | None:
        """As the connector reported last."""
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
        )


class KeyMatch(StrEnum):
    CURRENT = "current"
    PREVIOUS = "previous"
    """The key before the last rotation, which is still good."""


@dataclass(frozen=True, slots=True)
class RefusedClaim:
    """Another identity has tried a name."""

    identity: str
    address: str
    connector_version: str
    at: datetime


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
        self, database: Database, writer: Writer, key_pepper: bytes, *, enrolment_required: bool = False
    ) -> None:
        self._database = database
        self._writer = writer
        self._key_pepper = key_pepper
        self._enrolment_required = enrolment_required

    async def by_id(self, pbx_id: str) -> Pbx | None:
        return await self._one(_query().where(_pbx.id == pbx_id))

    async def existing(self, pbx_id: str) -> Pbx:
        """Of an id that the database holds by a foreign key; only a broken one gets to the `LookupError`."""
        pbx = await self.by_id(pbx_id)
        if pbx is None:
            raise LookupError(pbx_id)
        return pbx

    async def by_name(self, name: str) -> Pbx | None:
        return await self._one(_query().where(_pbx.name == name))

    def verifies(self, pbx: Pbx | None, key_digest: str, now: datetime) -> KeyMatch | None:
        """Whether this is the PBX's key; takes as long when there is no such PBX."""
        given = self._hmac(key_digest)
        current = hmac.compare_digest(pbx.key_hmac if pbx is not None else _NOBODY, given)
        before = pbx.previous_key_hmac if pbx is not None else None
        previous = hmac.compare_digest(before or _NOBODY, given)
        if pbx is None:
            return None
        if current:
            return KeyMatch.CURRENT
        until = pbx.previous_key_until
        return KeyMatch.PREVIOUS if previous and until is not None and now < until else None

    async def claim(
        self, hello: Hello, address: str, replica_id: str, now: datetime
    ) -> Claimed | BoundElsewhere | NotEnrolled:
        """Takes a link's opening: the first identity that claims a name owns it. Raises the link's epoch."""
        previous = hello.previous_key_digest
        claim = claims.Claim(
            hello=hello,
            key_hmac=self._hmac(hello.key_digest),
            previous_key_hmac=self._hmac(previous) if previous is not None else None,
            address=address,
            replica_id=replica_id,
            enrolment_required=self._enrolment_required,
            enrolment_hash=self._hmac(hello.enrolment_code or ""),
            now=now,
        )
        return await self._writer.run_small(lambda: claims.claim(claim))

    async def check(self, hello: Hello, now: datetime) -> Checked:
        """What a hello would meet. Only the name's own identity learns more than it would by that."""
        pbx = await self.by_name(hello.pbx_name)
        if pbx is None:
            needs_code = self._enrolment_required
            return Checked(
                name=NameState.ENROLMENT_NEEDED if needs_code else NameState.FREE,
                key_known=False,
                linked=False,
            )
        if pbx.identity != hello.identity:
            return Checked(name=NameState.BOUND_ELSEWHERE, key_known=False, linked=False)
        match = self.verifies(pbx, hello.key_digest, now)
        return Checked(name=NameState.MINE, key_known=match is KeyMatch.CURRENT, linked=pbx.is_linked)

    async def report(self, pbx_id: str, epoch: int, status: Status, now: datetime) -> None:
        """Keeps the status; one that carries a stale epoch is refused silently."""
        await self._writer.run_small(lambda: claims.report(pbx_id, epoch, status, now))

    async def closed(self, pbx_id: str, epoch: int, reason: str, now: datetime) -> None:
        """A late close of an old link never removes the new one."""
        await self._writer.run_small(lambda: claims.closed(pbx_id, epoch, reason, now))

    async def holds(self, replica_id: str) -> dict[str, int]:
        """The links that this replica holds by the table: PBX id to epoch."""
        query = select(_pbx.id, _pbx.link_epoch).where(
            _pbx.link_replica == replica_id, _pbx.link_closed_at.is_(None)
        )
        async with self._database.reading() as connection:
            return {row.id: row.link_epoch for row in (await connection.execute(query)).all()}

    async def hand_over(self, pbx_id: str, identity: str, actor: str, now: datetime) -> int | None:
        """Binds the name to an identity that has tried it; gives the link's new epoch, which ends the old identity's
        link. None when there is no such claim (any more).
        """
        return await self._writer.run(lambda: claims.hand_over(pbx_id, identity, actor, now))

    async def refused_claims(self, pbx_id: str) -> Sequence[RefusedClaim]:
        claim = tables.refused_claim.c
        query = select(tables.refused_claim).where(claim.pbx_id == pbx_id).order_by(claim.at.desc())
        async with self._database.reading() as connection:
            return [
                RefusedClaim(row.identity, row.address, row.connector_version, from_ms(row.at))
                for row in (await connection.execute(query)).all()
            ]

    async def history(self, pbx_id: str, since: datetime) -> LinkHistory:
        """What happened to the link since then, and who else has tried the name."""
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
        """A code with which one connector may claim a new name, once; a second code replaces the first."""
        code = secrets.token_hex(16)
        ends = now + ENROLMENT_GOOD_FOR
        values = {"code_hash": self._hmac(code), "expires_at": to_ms(ends)}
        async with self._database.writing() as connection:
            await connection.execute(
                upsert(connection, tables.enrolment)
                .values(pbx_name=name, **values)
                .on_conflict_do_update(index_elements=["pbx_name"], set_=values)
            )
        return code, ends

    async def forget_old(self, before: datetime) -> None:
        """Deletes the history of links before that, and codes that nobody used."""
        old = to_ms(before)
        async with self._database.writing() as connection:
            await connection.execute(delete(tables.link_event).where(tables.link_event.c.at < old))
            await connection.execute(delete(tables.enrolment).where(tables.enrolment.c.expires_at < old))

    async def _one(self, query: Select[Any]) -> Pbx | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return _to_pbx(row) if row is not None else None

    def _hmac(self, secret: str) -> str:
        return hmac.new(self._key_pepper, secret.encode("utf-8"), hashlib.sha256).hexdigest()


@functools.lru_cache(maxsize=4096)
def _status(text: str) -> Status:
    return Status.model_validate_json(text)


def _query() -> Select[Any]:
    claimed = tables.refused_claim.c
    last_claim = select(func.max(claimed.at)).where(claimed.pbx_id == _pbx.id).scalar_subquery()
    return select(tables.pbx, last_claim.label("refused_claim_at"))


def _to_pbx(row: Row[Any]) -> Pbx:
    return Pbx(
        id=row.id,
        name=row.name,
        identity=row.identity,
        key_hmac=row.key_hmac,
        claimed_at=from_ms(row.claimed_at),
        status_json=row.status,
        link_epoch=row.link_epoch,
        link_opened_at=_moment(row.link_opened_at),
        link_closed_at=_moment(row.link_closed_at),
        link_replica=row.link_replica,
        connector_version=row.connector_version,
        sealing_key=row.sealing_key or "",
        sealing_signature=row.sealing_signature or "",
        previous_key_hmac=row.previous_key_hmac,
        previous_key_until=_moment(row.previous_key_until),
        refused_keys=tuple(LicenceReason(reason) for reason in json.loads(row.refused_keys)),
        refused_claim_at=_moment(row.refused_claim_at),
    )


def _moment(value: int | None) -> datetime | None:
    return from_ms(value) if value is not None else None
