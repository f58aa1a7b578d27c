"""What a refused sign-in leaves behind: it is raised, and its denial, audit rows and counts are stored all the same."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.connector_door import serve_connector
from core.diagnosis.codes import Code
from core.diagnosis.finding import RefusedError
from core.hub.bus import Bus, holders_topic
from core.hub.hub import Hub
from core.hub.plane import NoPlane
from core.hub.registry import Registry
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import TenantTrust
from core.signin.preferences import PreferenceStore
from core.signin.refusals import Refusals
from core.signin.signin import PbxAccess, SignIn
from core.signin.throttle import LIMITS, Count
from core.signin.verdicts import Verdicts
from tests.support.book import Book
from tests.support.linked_connector import LinkedConnector
from tests.support.refusals import outcome_of, refusal_of
from tests.support.world import free_ports
from wire.link import Capability, Method, PbxTrust, SealedProof
from wire.pbxkey import digest, new_key
from wire.sealing import SealedBox

TENANT = "aaaaaaaa-2222-4333-8444-555555555555"
BOX = SealedBox(ephemeral_key="A" * 87, nonce="A" * 16, ciphertext="AAAA")
PROOF = SealedProof(nonce="n", box=BOX)
PBX_USER: dict[str, Any] = {
    "userId": 7,
    "login": "1007",
    "displayName": "Anna",
    "email": "anna@example.com",
    "isAdministrator": False,
    "hasLicencePermission": False,
}


class Entrance:
    def __init__(self, book: Book) -> None:
        self.book = book
        self.connector = LinkedConnector("signin.example.com")
        registry = Registry(book.database, book.ledger.writer, b"pepper", enrolment_required=False)
        plane = NoPlane()
        self.bus = Bus(plane)
        self.refusals = Refusals(book.ledger.writer)
        self.hub = Hub(
            registry,
            plane,
            self.bus,
            self._no_keys,
            self._unheard,
            self._unheard,
            self._unheard,
            self._no_trust,
        )
        self.sign_in = SignIn(
            registry=registry,
            hub=self.hub,
            trust=TenantTrust(book.database),
            ledger=book.ledger,
            overview=book.overview,
            states=book.states,
            verdicts=Verdicts(book.overview),
            preferences=PreferenceStore(book.database),
            bus=self.bus,
            refusals=self.refusals,
        )
        self.user = TeamsUser(TENANT, "00000000-0000-4000-8000-000000000007", "Anna", "anna@example.com")

    async def _no_keys(self, _pbx_id: str, _keys: list[str], _epoch: int) -> list[Any]:
        return []

    async def _no_trust(self, _pbx_id: str) -> PbxTrust:
        return PbxTrust(tenants=[], total=0, teams_app_id="00000000-0000-4000-8000-000000000000")

    async def _unheard(self, _pbx_id: str, *_changed: object) -> None:
        return None

    def access(self, key: str | None = None) -> PbxAccess:
        return PbxAccess(self.connector.peer.name, digest(key or self.connector.peer.key), "192.0.2.1")

    async def by_password(self) -> object:
        return await self.sign_in.sign_in(self.user, self.access(), PROOF, take_over=False)

    async def audited(self) -> list[tuple[Any, ...]]:
        await self.refusals.write()
        return await self.book.rows("SELECT kind, detail FROM audit WHERE kind LIKE 'sign-in-%' ORDER BY id")


@pytest.fixture
async def entrance(book: Book) -> AsyncIterator[Entrance]:
    entrance = Entrance(book)
    app = web.Application()

    async def door(request: web.Request) -> web.StreamResponse:
        return await serve_connector(request, entrance.hub)

    app.router.add_get("/link", door)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    port = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{port}/link"
        await entrance.connector.connect(http, url, Capability.SEALED_ANSWERS)
        entrance.connector.answers[Method.LOGIN] = lambda _params: PBX_USER
        yield entrance
        await entrance.connector.close()
        await entrance.hub.drain(0)
    await runner.cleanup()


async def test_a_sign_in_without_a_free_licence_is_raised_and_its_denial_is_stored(
    entrance: Entrance,
) -> None:
    await entrance.book.put(1, pbx_id=entrance.connector.pbx_id)
    other = TeamsUser(TENANT, "00000000-0000-4000-8000-000000000008", "Ben")
    entrance.connector.answers[Method.LOGIN] = lambda _params: {**PBX_USER, "userId": 8}
    await entrance.sign_in.sign_in(other, entrance.access(), PROOF, take_over=False)
    entrance.connector.answers[Method.LOGIN] = lambda _params: PBX_USER
    with entrance.bus.watch(holders_topic(entrance.connector.pbx_id)) as woken:
        refusal = await refusal_of(entrance.by_password())
    assert refusal.code is Code.NO_LICENCE
    assert woken.is_set(), "administrators see the denial"
    rows = await entrance.book.rows("SELECT pbx_user_id, object_id, joined_at FROM waiting")
    assert rows == [(7, entrance.user.object_id, None)]
    await entrance.sign_in.join_waiting_list(entrance.user)
    assert await entrance.book.rows("SELECT pbx_user_id FROM waiting WHERE joined_at IS NOT NULL") == [(7,)]


async def test_an_administrator_without_a_free_licence_administers(entrance: Entrance) -> None:
    entrance.connector.answers[Method.LOGIN] = lambda _params: {**PBX_USER, "isAdministrator": True}
    state = await outcome_of(
        entrance.sign_in.sign_in(entrance.user, entrance.access(), PROOF, take_over=False)
    )
    assert getattr(state, "session", None) is not None, state
    assert await entrance.book.rows("SELECT licence_kind FROM session") == [("ADM",)]
    assert await entrance.book.rows("SELECT * FROM waiting") == [], "this is no denial"


async def test_who_was_not_refused_cannot_wait(entrance: Entrance) -> None:
    refusal = await refusal_of(entrance.sign_in.join_waiting_list(entrance.user))
    assert refusal.code is Code.NOT_REFUSED


async def test_a_wrong_key_is_audited_and_remains_counted(entrance: Entrance) -> None:
    limit = LIMITS[Count.GUESSES][0]
    wrong = entrance.access(new_key())
    attempts = (entrance.sign_in.prepare(entrance.user, wrong) for _ in range(limit))
    refusals = await asyncio.gather(*(refusal_of(attempt) for attempt in attempts))
    assert {refusal.code for refusal in refusals} == {Code.WRONG_KEY}
    with pytest.raises(RefusedError) as throttled:
        await entrance.sign_in.prepare(entrance.user, entrance.access())
    assert throttled.value.finding.code is Code.THROTTLED, "the right key, too late"
    kinds = [kind for kind, _ in await entrance.audited()]
    assert kinds == ["sign-in-failed", "sign-in-throttled"]


async def test_a_wrong_password_is_audited_and_counts_against_the_tenant(entrance: Entrance) -> None:
    entrance.connector.answers[Method.LOGIN] = lambda _params: "login-rejected"
    waits = [entrance.sign_in.throttle.password_wait(entrance.user, entrance.connector.pbx_id, None)]
    for _ in range(LIMITS[Count.TENANT_PASSWORDS][0]):
        entrance.user = TeamsUser(TENANT, f"00000000-0000-4000-8000-{len(waits):012}", "Somebody")
        assert (await refusal_of(entrance.by_password())).code is Code.LOGIN_REJECTED
        waits.append(entrance.sign_in.throttle.password_wait(entrance.user, entrance.connector.pbx_id, None))
    assert not any(waits[:-1]) and waits[-1], "the last permitted one is counted too"
    assert (await refusal_of(entrance.by_password())).code is Code.THROTTLED
    assert {kind for kind, _ in await entrance.audited()} == {"sign-in-failed", "sign-in-throttled"}


async def test_what_is_nobodys_fault_is_neither_audited_nor_counted(entrance: Entrance) -> None:
    entrance.connector.answers[Method.LOGIN] = lambda _params: "pbx-busy"
    for _ in range(LIMITS[Count.REFUSALS][0] + 1):
        assert (await refusal_of(entrance.by_password())).code is Code.PBX_BUSY
    assert await entrance.audited() == []
