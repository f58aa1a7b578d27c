"""A ledger on its own database, with one PBX, for tests of licensing."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import insert, text

from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing.ledger import open_ledger
from core.licensing.licence_key import LicenceKey
from core.licensing.overview import Overview
from core.licensing.rules import SeatChoice, TakeSeat, UseUal, seat_choices
from core.licensing.session import EndCause, Ending, Opened, Proof, Session, SessionPerson, SessionRequest
from core.signin.state_reading import StateReader
from core.store import tables
from core.store.audit import Actor
from core.store.database import Database, upgrade_async
from tests.support.refusals import outcome_of, refusal_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PBX = "pbx-1"
ADMIN = Actor.person("tenant", "admin", 1, "Admin")


class Book:
    def __init__(self, url: str) -> None:
        self.url = url
        self.installation = 1
        """The installation of the PBX that the next sign-ins refer to."""

    async def open(self, *, prepare: bool = True) -> "Book":
        if prepare:
            await upgrade_async(self.url)
        self.database = Database(self.url)
        self.ledger = open_ledger(self.database.address)
        self.overview = Overview(self.database)
        self.states = StateReader(self.database)
        if prepare:
            await self.add_pbx()
        return self

    async def close(self) -> None:
        await self.ledger.close()
        await self.database.close()

    async def add_pbx(self, pbx_id: str = PBX) -> None:
        async with self.database.writing() as connection:
            await connection.execute(
                insert(tables.pbx).values(
                    id=pbx_id,
                    name=f"{pbx_id}.example.com",
                    identity="i",
                    key_hmac="k",
                    claimed_at=0,
                    link_epoch=1,
                )
            )

    async def tried_by(self, identity: str) -> None:
        """Let another installation try the PBX's name, so that the name can be handed over to it."""
        claim = {"identity": identity, "address": "a", "address_group": "a", "connector_version": "1"}
        async with self.database.writing() as connection:
            await connection.execute(
                insert(tables.refused_claim).values(pbx_id=PBX, first_at=0, at=0, **claim)
            )

    async def put(
        self,
        seats: int,
        serial: str = "S",
        pbx_id: str = PBX,
        until: date = date(2027, 6, 1),
        now: datetime = NOW,
    ) -> bool:
        key = LicenceKey(
            serial=serial, licensee="L", seats=seats, valid_from=date(2026, 1, 1), valid_until=until
        )
        return await self.ledger.put_pool(pbx_id, key, now)

    async def choices(self, number: int, now: datetime = NOW) -> tuple[SeatChoice, ...]:
        return seat_choices(await self.overview.pools(PBX), number, (), now)

    async def request(self, number: int, *, ual: bool = False, **changes: Any) -> SessionRequest:
        if "licence" not in changes:
            choices = await self.choices(number, changes.get("now", NOW))
            changes["licence"] = UseUal() if ual else TakeSeat(choices or (SeatChoice("none"),))
        request = SessionRequest(
            teams_user=TeamsUser("tenant", f"object-{number}", f"Teams {number}"),
            pbx_id=PBX,
            pbx_name="pbx.example.com",
            person=person(number),
            licence=UseUal(),
            proof=Proof.PASSWORD,
            take_over=False,
            now=NOW,
            installation=self.installation,
        )
        return replace(request, **changes)

    async def take(self, number: int, *, ual: bool = False, **changes: Any) -> Opened | Finding:
        return await outcome_of(self.ledger.open_session(await self.request(number, ual=ual, **changes)))

    async def deny(self, number: int, **changes: Any) -> Finding:
        """Sign in, and check that it is refused and recorded."""
        request = await self.request(number, **changes)
        refused = await refusal_of(self.ledger.open_session(request))
        await self.ledger.record_denial(request, refused)
        return refused

    async def end(self, *opened: Opened, cause: EndCause = EndCause.SIGNED_OUT, now: datetime = NOW) -> int:
        if cause is EndCause.SIGNED_OUT:
            left = [await self.ledger.sign_out(one.session, now) for one in opened]
            return sum(session is not None for session in left)
        ids = [one.session.id for one in opened]
        return len(await self.ledger.end_sessions(PBX, ids, Ending(cause, ADMIN, "because", now)))

    async def session_of(self, number: int) -> Session | None:
        """Return the session of this PBX user, with any Teams account."""
        sessions = await self.overview.all_holders(PBX)
        return next((session for session in sessions if session.person.pbx_user_id == number), None)

    async def used(self) -> tuple[int, int]:
        pools = await self.overview.pools(PBX)
        return sum(pool.used for pool in pools), sum(pool.seats for pool in pools)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.database.reading() as connection:
            return [tuple(row) for row in (await connection.execute(text(query))).all()]


def person(number: int) -> SessionPerson:
    return SessionPerson(number, str(number), f"User {number}", "", is_administrator=False)
