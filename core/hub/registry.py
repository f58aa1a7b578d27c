"""The PBXs the service knows: who owns a name, which key is right, who holds the link."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from core.diagnosis.rules import PbxFacts
from core.store import tables
from core.store.database import Database, upsert
from core.store.moments import from_ms, new_id, to_ms
from wire.link import Hello, Status

_pbx = tables.pbx.c

_NOBODY: Final = "0" * 64
"""Compared with when the name is unknown, so that an unknown name takes as long as a wrong key."""


@dataclass(frozen=True, slots=True)
class Pbx:
    id: str
    name: str
    identity: str
    key_hmac: str
    claimed_at: datetime
    status: Status | None
    link_epoch: int
    link_opened_at: datetime | None
    link_closed_at: datetime | None
    refused_claim_at: datetime | None

    def facts(self, *, linked: bool) -> PbxFacts:
        return PbxFacts(
            pbx_name=self.name,
            linked=linked,
            status=self.status,
            ever_linked=self.link_opened_at is not None,
            down_since=self.link_closed_at,
            refused_claim_at=self.refused_claim_at,
        )


@dataclass(frozen=True, slots=True)
class Claimed:
    pbx: Pbx
    epoch: int


@dataclass(frozen=True, slots=True)
class BoundElsewhere:
    """Another identity owns the name."""


class Registry:
    def __init__(self, database: Database, key_pepper: bytes) -> None:
        self._database = database
        self._key_pepper = key_pepper

    async def by_id(self, pbx_id: str) -> Pbx | None:
        return await self._one(_query().where(_pbx.id == pbx_id))

    async def by_name(self, name: str) -> Pbx | None:
        return await self._one(_query().where(_pbx.name == name))

    def verifies(self, pbx: Pbx | None, key_digest: str) -> bool:
        """Whether this is the PBX's key; takes as long when there is no such PBX."""
        stored = pbx.key_hmac if pbx is not None else _NOBODY
        return hmac.compare_digest(stored, self._hmac(key_digest)) and pbx is not None

    async def claim(self, hello: Hello, address: str, now: datetime) -> Claimed | BoundElsewhere:
        """Takes a link's opening: the first identity that claims a name owns it. Raises the link's epoch."""
        try:
            return await self._claim(hello, address, now)
        except IntegrityError:  # another replica has made the row between our look and our insert
            return await self._claim(hello, address, now)

    async def _claim(self, hello: Hello, address: str, now: datetime) -> Claimed | BoundElsewhere:
        query = _query().where(_pbx.name == hello.pbx_name)
        async with self._database.writing() as connection:
            row = (await connection.execute(query.with_for_update(of=tables.pbx))).one_or_none()
            if row is not None and row.identity != hello.identity:
                claim = {"address": address, "connector_version": hello.connector_version, "at": to_ms(now)}
                await connection.execute(
                    upsert(connection, tables.refused_claim)
                    .values(pbx_id=row.id, identity=hello.identity, **claim)
                    .on_conflict_do_update(index_elements=["pbx_id", "identity"], set_=claim)
                )
                return BoundElsewhere()
            current = {
                "key_hmac": self._hmac(hello.key_digest),
                "status": hello.status.model_dump_json(by_alias=True),
                "link_opened_at": to_ms(now),
                "link_closed_at": None,
            }
            if row is None:
                await connection.execute(
                    insert(tables.pbx).values(
                        id=new_id(),
                        name=hello.pbx_name,
                        identity=hello.identity,
                        claimed_at=to_ms(now),
                        link_epoch=1,
                        **current,
                    )
                )
            else:
                await connection.execute(
                    update(tables.pbx)
                    .where(_pbx.id == row.id)
                    .values(link_epoch=row.link_epoch + 1, **current)
                )
            claimed = (await connection.execute(_query().where(_pbx.name == hello.pbx_name))).one()
        return Claimed(_to_pbx(claimed), claimed.link_epoch)

    async def report(self, pbx_id: str, epoch: int, status: Status) -> None:
        """Keeps the status; one that carries a stale epoch is refused silently."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(tables.pbx)
                .where(_pbx.id == pbx_id, _pbx.link_epoch == epoch)
                .values(status=status.model_dump_json(by_alias=True))
            )

    async def closed(self, pbx_id: str, epoch: int, now: datetime) -> None:
        """A late close of an old link never removes the new one."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(tables.pbx)
                .where(_pbx.id == pbx_id, _pbx.link_epoch == epoch)
                .values(link_closed_at=to_ms(now))
            )

    async def all_closed(self, now: datetime) -> None:
        """At start: a process that was killed left links open in the table."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(tables.pbx).where(_pbx.link_closed_at.is_(None)).values(link_closed_at=to_ms(now))
            )

    async def _one(self, query: Select[Any]) -> Pbx | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return _to_pbx(row) if row is not None else None

    def _hmac(self, key_digest: str) -> str:
        return hmac.new(self._key_pepper, key_digest.encode("ascii"), hashlib.sha256).hexdigest()


def _query() -> Select[Any]:
    claims = tables.refused_claim.c
    last_claim = select(func.max(claims.at)).where(claims.pbx_id == _pbx.id).scalar_subquery()
    return select(tables.pbx, last_claim.label("refused_claim_at"))


def _to_pbx(row: Row[Any]) -> Pbx:
    return Pbx(
        id=row.id,
        name=row.name,
        identity=row.identity,
        key_hmac=row.key_hmac,
        claimed_at=from_ms(row.claimed_at),
        status=Status.model_validate_json(row.status) if row.status else None,
        link_epoch=row.link_epoch,
        link_opened_at=_moment(row.link_opened_at),
        link_closed_at=_moment(row.link_closed_at),
        refused_claim_at=_moment(row.refused_claim_at),
    )


def _moment(value: int | None) -> datetime | None:
    return from_ms(value) if value is not None else None
